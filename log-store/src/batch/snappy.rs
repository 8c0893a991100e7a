//! Snappy as Java's `SnappyInputStream` and `SnappyOutputStream` frame it, and bare snappy.
//!
//! Java clients write a header of 16 bytes and then chunks, each a big-endian length and a bare
//! snappy block. Other clients send one bare block; the reader tells them apart by the header, as
//! the Java one does.

use super::compression::DecompressError;

/// 0x82, "SNAPPY", 0.
const MAGIC: [u8; 8] = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00];
const FRAME_HEADER_BYTES: usize = 16;
/// The version and the lowest compatible version that Java writes.
const VERSION: u32 = 1;
/// Bytes of plain text in each chunk that is written: the default of the Java library.
const CHUNK_BYTES_WRITTEN: usize = 32 * 1024;
/// What one byte of a block can grow to, at most: no element of the format makes more than 64
/// bytes, and each takes at least one.
const GROWTH_MAX: usize = 64;

/// Bytes that are handed on at a time, gathered from as many chunks as it takes. The Java client
/// gathers as many; where exactly an error is noticed decides which answer Kafka gives.
const PIECE_BYTES: usize = 2 * 1024;

/// Decompresses a section, chunk by chunk.
pub struct SnappyChunks<'a> {
    rest: &'a [u8],
    is_framed: bool,
    chunk: Vec<u8>,
    /// How much of the chunk has gone into pieces.
    position: usize,
    piece: Vec<u8>,
}

impl<'a> SnappyChunks<'a> {
    pub fn open(bytes: &'a [u8]) -> Result<SnappyChunks<'a>, DecompressError> {
        if bytes.is_empty() {
            return Err(corrupt("no snappy block"));
        }
        let is_framed = bytes.len() >= FRAME_HEADER_BYTES && bytes.starts_with(&MAGIC);
        Ok(SnappyChunks {
            rest: if is_framed {
                &bytes[FRAME_HEADER_BYTES..]
            } else {
                bytes
            },
            is_framed,
            chunk: Vec::new(),
            position: 0,
            piece: Vec::new(),
        })
    }

    /// The current piece.
    pub fn piece(&self) -> &[u8] {
        &self.piece
    }

    /// Goes to the next piece, which is full unless it is the last; to an empty one at the end. An
    /// error in any of the chunks that the piece spans takes the whole piece with it.
    ///
    /// # Errors
    /// [`DecompressError::TooLarge`] when a chunk says that it is longer than `room` bytes;
    /// nothing is allocated for it then.
    pub fn advance(&mut self, room: usize) -> Result<(), DecompressError> {
        self.piece.clear();
        while self.piece.len() < PIECE_BYTES {
            let mut chunk = &self.chunk[self.position..];
            if chunk.is_empty() {
                self.position = 0;
                self.chunk.clear();
                let Some(block) = self.next_block()? else {
                    break;
                };
                decompress_block(block, room, &mut self.chunk)?;
                chunk = &self.chunk;
            }
            let taken_bytes = chunk.len().min(PIECE_BYTES - self.piece.len());
            self.piece.extend_from_slice(&chunk[..taken_bytes]);
            self.position += taken_bytes;
        }
        Ok(())
    }

    fn next_block(&mut self) -> Result<Option<&'a [u8]>, DecompressError> {
        if !self.is_framed {
            let block = std::mem::take(&mut self.rest);
            return Ok((!block.is_empty()).then_some(block));
        }
        // Fewer bytes than a length are taken for the end, as in Java.
        while let Some((length, rest)) = self.rest.split_first_chunk::<4>() {
            if *length != MAGIC[..4] {
                let (block, rest) = usize::try_from(i32::from_be_bytes(*length))
                    .ok()
                    .and_then(|length| rest.split_at_checked(length))
                    .ok_or(corrupt("snappy chunk ends too early"))?;
                self.rest = rest;
                return Ok(Some(block));
            }
            // Streams may be joined; the header of the next one stands in the place of a length.
            let Some((header, rest)) = self.rest.split_first_chunk::<FRAME_HEADER_BYTES>() else {
                return Err(corrupt("snappy header ends too early"));
            };
            if !header.starts_with(&MAGIC) {
                self.rest = &[];
                break;
            }
            if i32::from_be_bytes([header[8], header[9], header[10], header[11]]) < VERSION as i32 {
                return Err(corrupt("unsupported snappy version"));
            }
            self.rest = rest;
        }
        Ok(None)
    }
}

/// Writes the chunks that Java writes.
pub fn compress(plain: &[u8]) -> Vec<u8> {
    let mut encoder = snap::raw::Encoder::new();
    let mut framed = Vec::with_capacity(FRAME_HEADER_BYTES + plain.len() / 2);
    framed.extend_from_slice(&MAGIC);
    framed.extend_from_slice(&VERSION.to_be_bytes());
    framed.extend_from_slice(&VERSION.to_be_bytes());
    let mut block = vec![0; snap::raw::max_compress_len(CHUNK_BYTES_WRITTEN)];
    for chunk in plain.chunks(CHUNK_BYTES_WRITTEN) {
        let block_bytes = encoder
            .compress(chunk, &mut block)
            .expect("the block has room for the longest result of a chunk");
        framed.extend_from_slice(&(block_bytes as u32).to_be_bytes());
        framed.extend_from_slice(&block[..block_bytes]);
    }
    framed
}

fn decompress_block(block: &[u8], room: usize, plain: &mut Vec<u8>) -> Result<(), DecompressError> {
    let plain_bytes =
        snap::raw::decompress_len(block).map_err(|_| corrupt("bad snappy block length"))?;
    if plain_bytes > block.len().saturating_mul(GROWTH_MAX) {
        return Err(corrupt("snappy block is shorter than it says"));
    }
    if plain_bytes > room {
        return Err(DecompressError::TooLarge);
    }
    plain.resize(plain_bytes, 0);
    snap::raw::Decoder::new()
        .decompress(block, plain)
        .map_err(|_| corrupt("bad snappy block"))?;
    Ok(())
}

fn corrupt(reason: &'static str) -> DecompressError {
    DecompressError::Corrupt { reason }
}
