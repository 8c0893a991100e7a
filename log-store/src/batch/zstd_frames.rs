//! zstd frames (RFC 8878), one after the other, read the way Kafka's `ZstdCompression` reads them.

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::compression::{DecompressError, PIECE_BYTES};

/// Frames that need a larger window than 2^27 bytes are refused, as by every decoder that is not
/// told otherwise. 27 is what level 22, Kafka's highest, uses.
const WINDOW_LOG_MAX: u32 = 27;

/// Compressed bytes that are given to the decoder at a time, as in Kafka.
const INPUT_BYTES: usize = 128 * 1024 + 3;

/// Decompresses frames.
pub struct ZstdFrames<'a> {
    decoder: Decoder<'static>,
    /// What the decoder is working on.
    input: &'a [u8],
    /// What comes after `input`.
    rest: &'a [u8],
    /// Whether a frame has ended within the current round of input. The section may end then, even
    /// within a further frame: a few stray bytes after a frame do no harm.
    has_frame_ended: bool,
    piece: Vec<u8>,
    piece_bytes: usize,
}

impl<'a> ZstdFrames<'a> {
    pub fn open(section: &'a [u8]) -> Result<ZstdFrames<'a>, DecompressError> {
        let mut decoder = Decoder::new().map_err(|_| BAD_FRAME)?;
        decoder
            .set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))
            .map_err(|_| BAD_FRAME)?;
        Ok(ZstdFrames {
            decoder,
            input: &[],
            rest: section,
            // An empty section gives no bytes and no error.
            has_frame_ended: true,
            piece: vec![0; PIECE_BYTES],
            piece_bytes: 0,
        })
    }

    pub fn piece(&self) -> &[u8] {
        &self.piece[..self.piece_bytes]
    }

    /// Goes to the next piece, which is full unless a frame or the section ends there; to an empty
    /// one at the end. An error takes the bytes of the whole piece with it.
    pub fn advance(&mut self) -> Result<(), DecompressError> {
        self.piece_bytes = 0;
        while self.piece_bytes < self.piece.len() {
            if self.input.is_empty() && !self.rest.is_empty() {
                let input_bytes = self.rest.len().min(INPUT_BYTES);
                (self.input, self.rest) = self.rest.split_at(input_bytes);
                self.has_frame_ended = false;
            }
            let is_out_of_input = self.input.is_empty();
            let (hint, produced_bytes) = self.run()?;
            let is_frame_end = hint == 0;
            self.has_frame_ended |= is_frame_end;
            if is_frame_end && self.piece_bytes > 0 {
                return Ok(());
            }
            if is_out_of_input && produced_bytes == 0 {
                break;
            }
        }
        if self.piece_bytes == 0 && !self.has_frame_ended {
            return Err(DecompressError::Corrupt {
                reason: "zstd frame ends too early",
            });
        }
        Ok(())
    }

    /// Lets the decoder fill the rest of the piece. Returns its hint, which is 0 where a frame
    /// ends, and how much it has produced.
    fn run(&mut self) -> Result<(usize, usize), DecompressError> {
        let mut input = InBuffer::around(self.input);
        let mut output = OutBuffer::around(&mut self.piece[self.piece_bytes..]);
        let hint = self
            .decoder
            .run(&mut input, &mut output)
            .map_err(|_| BAD_FRAME)?;
        let (consumed_bytes, produced_bytes) = (input.pos(), output.pos());
        self.input = &self.input[consumed_bytes..];
        self.piece_bytes += produced_bytes;
        Ok((hint, produced_bytes))
    }
}

const BAD_FRAME: DecompressError = DecompressError::Corrupt {
    reason: "bad zstd frame",
};
