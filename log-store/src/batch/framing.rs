//! Finding the one batch in the records field of a produce request.
//!
//! This is Kafka's `ProduceRequest.validateRecords`, which looks at lengths and magics only, and
//! runs before any partition is asked.

use bytes::Bytes;

use super::error::RequestError;
use super::header::{
    ATTRIBUTES_AT, Attributes, BATCH_LENGTH_AT, Codec, LOG_OVERHEAD_BYTES, MAGIC_AT, MAGIC_V2,
};

/// The shortest length field of any format: what magic 0 needs.
const LENGTH_MIN: i32 = 14;

/// The bytes of the only batch in `records`, whose magic is 2. Bytes after it that do not amount
/// to a batch are dropped, as in Kafka's `UnifiedLog.trimInvalidBytes`.
///
/// The batch may still be shorter than its header.
pub fn only_batch(records: Bytes, allows_zstd: bool) -> Result<Bytes, RequestError> {
    let Some(first) = frame_at(&records, 0)? else {
        return Err(RequestError::Invalid {
            reason: "no whole record batch".to_owned(),
        });
    };
    if first.magic != MAGIC_V2 {
        return Err(RequestError::Invalid {
            reason: format!("record batch has magic {} instead of 2", first.magic),
        });
    }
    if !allows_zstd {
        // The attributes are there: the shortest batch ends after them.
        let attributes = [records[ATTRIBUTES_AT], records[ATTRIBUTES_AT + 1]];
        match Attributes(u16::from_be_bytes(attributes)).compression() {
            Ok(Codec::Zstd) => return Err(RequestError::UnsupportedCompression),
            Ok(Codec::None | Codec::Gzip | Codec::Snappy | Codec::Lz4) => {}
            Err(id) => {
                return Err(RequestError::Unreadable {
                    reason: format!("unknown codec {id}"),
                });
            }
        }
    }
    if frame_at(&records, first.bytes)?.is_some() {
        return Err(RequestError::Invalid {
            reason: "more than one record batch".to_owned(),
        });
    }
    Ok(records.slice(..first.bytes))
}

struct Frame {
    bytes: usize,
    magic: i8,
}

/// The batch that starts at `start`; `None` when it is not all there (Kafka's
/// `ByteBufferLogInputStream.nextBatch`).
fn frame_at(records: &[u8], start: usize) -> Result<Option<Frame>, RequestError> {
    let records = &records[start..];
    let Some(length) = records
        .get(BATCH_LENGTH_AT..)
        .and_then(|rest| rest.first_chunk::<4>())
    else {
        return Ok(None);
    };
    let length = i32::from_be_bytes(*length);
    if length < LENGTH_MIN {
        return Err(RequestError::Corrupt {
            reason: format!("record batch has a length of {length}"),
        });
    }
    let Some(&magic) = records.get(MAGIC_AT) else {
        return Ok(None);
    };
    let magic = magic as i8;
    if !(0..=MAGIC_V2).contains(&magic) {
        return Err(RequestError::Corrupt {
            reason: format!("record batch has magic {magic}"),
        });
    }
    let Some(bytes) = length.checked_add(LOG_OVERHEAD_BYTES as i32) else {
        return Err(RequestError::Unreadable {
            reason: format!("record batch has a length of {length}"),
        });
    };
    let bytes = bytes as usize;
    Ok((bytes <= records.len()).then_some(Frame { bytes, magic }))
}
