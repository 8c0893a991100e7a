//! The part of the LZ4 frame format that Kafka speaks (`Lz4BlockInputStream`, `Lz4BlockOutputStream`).
//!
//! One frame of independent blocks. Kafka's reader neither verifies a content checksum nor looks
//! at anything after the end mark, and refuses linked blocks; a broker that took more than this
//! would store batches that Java consumers cannot read.

use std::cell::Cell;
use std::hash::Hasher;
use std::ops::RangeInclusive;

use twox_hash::XxHash32;

use super::compression::DecompressError;

const MAGIC: u32 = 0x184d_2204;
/// Version 1, independent blocks, no checksums, no content size.
const FLAGS_WRITTEN: u8 = 0x60;
/// Blocks of up to 64 KiB.
const BLOCK_DESCRIPTOR_WRITTEN: u8 = 0x40;
const BLOCK_BYTES_WRITTEN: usize = 64 * 1024;
/// The bit of a block's length that says that the block is stored as it is.
const INCOMPRESSIBLE_BIT: u32 = 0x8000_0000;
const END_MARK: u32 = 0;
/// What one byte of a block can grow to, at most: a match length takes 255 from each further byte.
const GROWTH_MAX: usize = 255;

/// Decompresses one frame, block by block.
pub struct Lz4Frame<'a> {
    rest: &'a [u8],
    block_bytes_max: usize,
    has_block_checksums: bool,
    has_content_checksum: bool,
    is_finished: bool,
    block: Block<'a>,
    /// Where compressed blocks go; kept from block to block, with what earlier ones have left in it.
    room: Vec<u8>,
}

/// Where the current block lies.
enum Block<'a> {
    Stored(&'a [u8]),
    /// At the front of the room.
    Decompressed {
        block_bytes: usize,
    },
}

impl<'a> Lz4Frame<'a> {
    /// Reads the frame's descriptor.
    pub fn open(mut bytes: &'a [u8]) -> Result<Lz4Frame<'a>, DecompressError> {
        if take_u32(&mut bytes)? != MAGIC {
            return Err(corrupt("bad lz4 magic"));
        }
        let descriptor = bytes;
        let [flags, block_descriptor] = take(&mut bytes)?;
        let is_understood = flags & 0b1110_0011 == FLAGS_WRITTEN && block_descriptor & 0x8f == 0;
        let block_size_id = block_descriptor >> 4;
        if !is_understood || block_size_id < 4 {
            return Err(corrupt("unsupported lz4 frame descriptor"));
        }
        if flags & 0x08 != 0 {
            let _content_bytes: [u8; 8] = take(&mut bytes)?;
        }
        let descriptor = &descriptor[..descriptor.len() - bytes.len()];
        let [header_checksum] = take(&mut bytes)?;
        if header_checksum != (hash(descriptor) >> 8) as u8 {
            return Err(corrupt("bad lz4 header checksum"));
        }
        Ok(Lz4Frame {
            rest: bytes,
            block_bytes_max: 1 << (2 * block_size_id + 8),
            has_block_checksums: flags & 0x10 != 0,
            has_content_checksum: flags & 0x04 != 0,
            is_finished: false,
            block: Block::Stored(&[]),
            room: Vec::new(),
        })
    }

    /// The current block, at most 4 MiB long.
    pub fn piece(&self) -> &[u8] {
        match self.block {
            Block::Stored(block) => block,
            Block::Decompressed { block_bytes } => &self.room[..block_bytes],
        }
    }

    /// Goes to the next block; to an empty one after the end mark.
    ///
    /// A block that is itself empty looks like the end to the caller, as it does in Kafka.
    pub fn advance(&mut self) -> Result<(), DecompressError> {
        self.block = Block::Stored(&[]);
        if self.is_finished {
            return Ok(());
        }
        let length = take_u32(&mut self.rest)?;
        let is_stored = length & INCOMPRESSIBLE_BIT != 0;
        let length = length & !INCOMPRESSIBLE_BIT;
        if length == END_MARK {
            self.is_finished = true;
            if self.has_content_checksum {
                take_u32(&mut self.rest)?;
            }
            return Ok(());
        }
        if length as usize > self.block_bytes_max {
            return Err(corrupt("lz4 block is too large"));
        }
        let Some((block, rest)) = self.rest.split_at_checked(length as usize) else {
            return Err(corrupt("lz4 frame ends too early"));
        };
        self.rest = rest;
        self.block = Block::Stored(block);
        if !is_stored {
            self.decompress(block)?;
        }
        if self.has_block_checksums && take_u32(&mut self.rest)? != hash(block) {
            return Err(corrupt("bad lz4 block checksum"));
        }
        Ok(())
    }

    fn decompress(&mut self, block: &[u8]) -> Result<(), DecompressError> {
        let room_bytes = self.block_bytes_max.min(block.len() * GROWTH_MAX);
        if self.room.is_empty() {
            self.room = SPARE_ROOM.take();
        }
        if self.room.len() < room_bytes {
            self.room.resize(room_bytes, 0);
        }
        let room = &mut self.room[..room_bytes];
        let block_bytes =
            lz4_flex::block::decompress_into(block, room).map_err(|_| corrupt("bad lz4 block"))?;
        self.block = Block::Decompressed { block_bytes };
        Ok(())
    }
}

impl Drop for Lz4Frame<'_> {
    fn drop(&mut self) {
        if !self.room.is_empty() && self.room.len() <= SPARE_ROOM_BYTES_MAX {
            SPARE_ROOM.set(std::mem::take(&mut self.room));
        }
    }
}

/// What a thread keeps of the room for a block: filling it with zeros costs as much as decompressing a small batch.
/// Larger blocks than those that Kafka's clients write are not worth the memory.
const SPARE_ROOM_BYTES_MAX: usize = BLOCK_BYTES_WRITTEN;

thread_local! {
    static SPARE_ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The level that Kafka takes when none is configured. It stands for the fast encoder.
pub const LEVEL_DEFAULT: i32 = 9;
const LEVELS: RangeInclusive<i32> = 1..=17;

/// One frame as Kafka writes it: blocks of 64 KiB without checksums. Every level but the default one is one of the
/// high-compression encoder, as in Kafka (`Lz4BlockOutputStream`).
pub fn compress(plain: &[u8], level: i32) -> Vec<u8> {
    let mut frame = Vec::with_capacity(plain.len() / 2 + 64);
    frame.extend_from_slice(&MAGIC.to_le_bytes());
    let descriptor = [FLAGS_WRITTEN, BLOCK_DESCRIPTOR_WRITTEN];
    frame.extend_from_slice(&descriptor);
    frame.push((hash(&descriptor) >> 8) as u8);
    for chunk in plain.chunks(BLOCK_BYTES_WRITTEN) {
        let block = compress_block(chunk, level);
        let (block, flag) = if block.len() < chunk.len() {
            (&block[..], 0)
        } else {
            (chunk, INCOMPRESSIBLE_BIT)
        };
        frame.extend_from_slice(&(block.len() as u32 | flag).to_le_bytes());
        frame.extend_from_slice(block);
    }
    frame.extend_from_slice(&END_MARK.to_le_bytes());
    frame
}

fn compress_block(chunk: &[u8], level: i32) -> Vec<u8> {
    if level == LEVEL_DEFAULT {
        return lz4_flex::block::compress(chunk);
    }
    let level = level.clamp(*LEVELS.start(), *LEVELS.end());
    let mode = lz4::block::CompressionMode::HIGHCOMPRESSION(level);
    lz4::block::compress(chunk, Some(mode), false)
        .expect("lz4 gives itself room for the longest result")
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], DecompressError> {
    let Some((field, rest)) = bytes.split_first_chunk::<N>() else {
        return Err(corrupt("lz4 frame ends too early"));
    };
    *bytes = rest;
    Ok(*field)
}

fn take_u32(bytes: &mut &[u8]) -> Result<u32, DecompressError> {
    take(bytes).map(u32::from_le_bytes)
}

fn hash(bytes: &[u8]) -> u32 {
    let mut hash = XxHash32::with_seed(0);
    hash.write(bytes);
    hash.finish_32()
}

fn corrupt(reason: &'static str) -> DecompressError {
    DecompressError::Corrupt { reason }
}
