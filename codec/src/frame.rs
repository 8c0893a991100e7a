//! Frames: an int32 length in bytes, then that many bytes.

use bytes::{Buf, Bytes, BytesMut};

use crate::error::FrameError;

/// The bytes of the length prefix. They are not counted in the length.
pub const LENGTH_PREFIX_BYTES: usize = 4;

/// The default of `socket.request.max.bytes`: no longer frame is taken.
pub const FRAME_BYTES_MAX_DEFAULT: usize = 104_857_600;

/// Reads a length prefix: the bytes of the frame that follows it, 1 to `limit_bytes`.
///
/// Kafka takes an empty frame too (`NetworkReceive`), but only raw GSSAPI tokens use it; every frame here holds a header.
/// A length within the limit is still only a claim: reserve memory for bytes that have arrived, not for bytes declared.
pub fn frame_length(
    prefix: [u8; LENGTH_PREFIX_BYTES],
    limit_bytes: usize,
) -> Result<usize, FrameError> {
    let declared = i32::from_be_bytes(prefix);
    let length =
        usize::try_from(declared).map_err(|_| FrameError::NegativeLength { length: declared })?;
    if length == 0 {
        return Err(FrameError::Empty);
    }
    if length > limit_bytes {
        return Err(FrameError::TooLong {
            length,
            limit: limit_bytes,
        });
    }
    Ok(length)
}

/// Takes the first frame out of the bytes read from a socket, without its length prefix and without a copy.
///
/// `Ok(None)` means that more bytes are needed; the buffer is then left as it was, and the length prefix has been
/// checked if it is there, so that a bad one is refused before its frame arrives.
pub fn take_frame(
    received: &mut BytesMut,
    limit_bytes: usize,
) -> Result<Option<Bytes>, FrameError> {
    let Some(prefix) = received.first_chunk::<LENGTH_PREFIX_BYTES>() else {
        return Ok(None);
    };
    let length = frame_length(*prefix, limit_bytes)?;
    if received.len() - LENGTH_PREFIX_BYTES < length {
        return Ok(None);
    }
    received.advance(LENGTH_PREFIX_BYTES);
    Ok(Some(received.split_to(length).freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_refused_when_negative_zero_or_above_the_limit() {
        assert_eq!(frame_length([0, 0, 0, 8], 8), Ok(8));
        assert_eq!(
            frame_length([0, 0, 0, 9], 8),
            Err(FrameError::TooLong {
                length: 9,
                limit: 8
            })
        );
        assert_eq!(frame_length([0, 0, 0, 0], 8), Err(FrameError::Empty));
        assert_eq!(
            frame_length([0xff; 4], 8),
            Err(FrameError::NegativeLength { length: -1 })
        );
        assert_eq!(
            frame_length([0x7f, 0xff, 0xff, 0xff], FRAME_BYTES_MAX_DEFAULT),
            Err(FrameError::TooLong {
                length: 0x7fff_ffff,
                limit: FRAME_BYTES_MAX_DEFAULT
            })
        );
    }

    #[test]
    fn frames_come_out_whole_and_in_order_however_the_bytes_arrive() {
        let wire = [0, 0, 0, 2, b'a', b'b', 0, 0, 0, 1, b'c'];
        let mut received = BytesMut::new();
        let mut frames = Vec::new();
        for byte in wire {
            received.extend_from_slice(&[byte]);
            while let Some(frame) =
                take_frame(&mut received, 2).expect("every length is within the limit")
            {
                frames.push(frame);
            }
        }
        assert_eq!(
            frames,
            [Bytes::from_static(b"ab"), Bytes::from_static(b"c")]
        );
        assert!(received.is_empty());
    }

    #[test]
    fn a_bad_length_is_refused_before_its_frame_arrives() {
        let mut received = BytesMut::from(&[0x7f, 0xff, 0xff, 0xff][..]);
        assert_eq!(
            take_frame(&mut received, 100),
            Err(FrameError::TooLong {
                length: 0x7fff_ffff,
                limit: 100
            })
        );
    }
}
