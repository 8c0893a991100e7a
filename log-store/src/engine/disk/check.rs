//! Reading every byte of a segment, and judging where it stops making sense.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::fs::FsFile;
use super::index::Index;
use crate::Offset;
use crate::batch::header::{ATTRIBUTES_AT, MAGIC_AT};
use crate::batch::{BATCH_HEADER_BYTES, BatchHeader, HeaderError, MAGIC_V2};
use crate::engine::{IndexPace, SegmentStat};

/// Bytes that are read at once.
const WINDOW_BYTES: usize = 1 << 20;

/// What a power cut loses is lost in pieces of at least this size.
const SECTOR_BYTES: u64 = 512;

/// What a segment holds.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) index: Index,
    /// Of the valid batches.
    pub(super) stat: SegmentStat,
    /// Where they end before the file does.
    pub(super) damage: Option<Damage>,
}

#[derive(Debug)]
pub(super) struct Damage {
    pub(super) position: u64,
    pub(super) file_bytes: u64,
    pub(super) reason: Invalid,
}

/// Why bytes are no valid batch.
#[derive(Debug)]
pub(super) enum Invalid {
    /// The file ends inside of the batch.
    Incomplete,
    Header(HeaderError),
    UnexpectedOffset(Offset),
    Checksum,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Invalid::Incomplete => f.write_str("the file ends inside of a batch"),
            Invalid::Header(error) => error.fmt(f),
            Invalid::UnexpectedOffset(offset) => write!(f, "unexpected base offset {offset}"),
            Invalid::Checksum => f.write_str("a batch fails its checksum"),
        }
    }
}

/// Checks the batches of a segment until one is not valid: from its start, or behind those that
/// `believed` describes.
pub(super) fn check(
    file: &Arc<dyn FsFile>,
    base: Offset,
    pace: IndexPace,
    believed: Option<(Index, SegmentStat)>,
) -> io::Result<Checked> {
    let mut window = Window::new(file)?;
    let from_start = || (Index::new(base), SegmentStat::empty(base, 0));
    let (mut index, mut stat) = believed.unwrap_or_else(from_start);
    let mut damage = None;
    while stat.bytes < window.file_bytes {
        match window.batch(stat.bytes, base, stat.end)? {
            Ok(header) => {
                if stat.bytes == 0 {
                    stat.first_timestamp_ms = header.max_timestamp_ms;
                }
                index.add(&header, stat.bytes, pace);
                stat.bytes += header.total_bytes() as u64;
                stat.end = header.end_offset();
            }
            Err(reason) => {
                damage = Some(Damage {
                    position: stat.bytes,
                    file_bytes: window.file_bytes,
                    reason,
                });
                break;
            }
        }
    }
    Ok(Checked {
        index,
        stat,
        damage,
    })
}

/// Whether a valid batch lies at `position`, with an offset of at least `offset_min`.
pub(super) fn valid_at(
    file: &Arc<dyn FsFile>,
    position: u64,
    offset_min: Offset,
) -> io::Result<bool> {
    let mut window = Window::new(file)?;
    Ok(window.batch(position, offset_min, offset_min)?.is_ok())
}

/// Where the first valid batch lies behind the damage at `position`.
pub(super) fn valid_after(
    file: &Arc<dyn FsFile>,
    position: u64,
    offset_min: Offset,
) -> io::Result<Option<u64>> {
    let mut window = Window::new(file)?;
    let mut candidates = Window::new(file)?;
    let mut at = position + 1;
    while at + BATCH_HEADER_BYTES as u64 <= window.file_bytes {
        let bytes = window.at(at, BATCH_HEADER_BYTES)?;
        // Whatever is no batch is recognized by one byte, mostly.
        let magics = bytes.get(MAGIC_AT..).unwrap_or_default();
        let Some(skip) = magics.iter().position(|byte| *byte == MAGIC_V2 as u8) else {
            at += magics.len().max(1) as u64;
            continue;
        };
        at += skip as u64;
        if candidates.batch(at, offset_min, offset_min)?.is_ok() {
            return Ok(Some(at));
        }
        at += 1;
    }
    Ok(None)
}

/// Whether something between `from`, where a batch with `offset` should start, and `to` was never
/// written: a whole sector of zeros, or zeros at the end of a sector where the offset or the magic
/// should be.
pub(super) fn has_hole(
    file: &Arc<dyn FsFile>,
    offset: Offset,
    from: u64,
    to: u64,
) -> io::Result<bool> {
    let expected = offset.0.to_be_bytes();
    let mut window = Window::new(file)?;
    let mut at = from;
    while at < to {
        let sector_end = (at / SECTOR_BYTES + 1) * SECTOR_BYTES;
        // What follows may begin in the last sector, with zeros.
        let piece_end = if at == from {
            sector_end.min(to)
        } else {
            sector_end
        };
        let piece_bytes = (piece_end - at) as usize;
        let piece = window.at(at, piece_bytes)?;
        let piece = &piece[..piece.len().min(piece_bytes)];
        let tells = if at == from {
            let expected = &expected[..piece.len().min(expected.len())];
            piece.len() > MAGIC_AT || expected.iter().any(|byte| *byte != 0)
        } else {
            piece.len() as u64 == SECTOR_BYTES
        };
        if tells && piece.iter().all(|byte| *byte == 0) {
            return Ok(true);
        }
        at += piece_bytes as u64;
    }
    Ok(false)
}

/// A file, seen through a buffer.
struct Window<'a> {
    file: &'a Arc<dyn FsFile>,
    file_bytes: u64,
    buffer: Vec<u8>,
    position: u64,
}

impl<'a> Window<'a> {
    fn new(file: &'a Arc<dyn FsFile>) -> io::Result<Window<'a>> {
        Ok(Window {
            file,
            file_bytes: file.len_bytes()?,
            buffer: Vec::new(),
            position: 0,
        })
    }

    /// The bytes from `position` on, as many as are buffered: at least `bytes_min` (which must not
    /// exceed the window), unless the file ends.
    fn at(&mut self, position: u64, bytes_min: usize) -> io::Result<&[u8]> {
        let buffered_end = self.position + self.buffer.len() as u64;
        let is_buffered = position >= self.position && position + bytes_min as u64 <= buffered_end;
        if !is_buffered {
            let left_bytes = self.file_bytes.saturating_sub(position);
            let wanted_bytes = left_bytes.min(WINDOW_BYTES as u64);
            self.buffer.resize(wanted_bytes as usize, 0);
            let read_bytes = self.file.read_at(&mut self.buffer, position)?;
            self.buffer.truncate(read_bytes);
            self.position = position;
        }
        Ok(&self.buffer[(position - self.position) as usize..])
    }

    /// The batch at `position` of the segment with `base`, whose offsets must not be below
    /// `offset_min`; or why there is none.
    fn batch(
        &mut self,
        position: u64,
        base: Offset,
        offset_min: Offset,
    ) -> io::Result<Result<BatchHeader, Invalid>> {
        let file_bytes = self.file_bytes;
        let header = match BatchHeader::parse(self.at(position, BATCH_HEADER_BYTES)?) {
            Ok(header) => header,
            Err(HeaderError::TooShort { .. }) => return Ok(Err(Invalid::Incomplete)),
            Err(error) => return Ok(Err(Invalid::Header(error))),
        };
        let batch_bytes = header.total_bytes() as u64;
        if batch_bytes > file_bytes.saturating_sub(position) {
            return Ok(Err(Invalid::Incomplete));
        }
        let span = header.last_offset().distance_from(base);
        if header.base_offset < offset_min
            || header.last_offset_delta < 0
            || !(0..=i64::from(i32::MAX)).contains(&span)
        {
            return Ok(Err(Invalid::UnexpectedOffset(header.base_offset)));
        }
        let crc = self.crc(position + ATTRIBUTES_AT as u64, position + batch_bytes)?;
        if crc != header.crc {
            return Ok(Err(Invalid::Checksum));
        }
        Ok(Ok(header))
    }

    fn crc(&mut self, from: u64, to: u64) -> io::Result<u32> {
        let mut crc = 0;
        let mut at = from;
        while at < to {
            let wanted = (to - at).min(WINDOW_BYTES as u64) as usize;
            let bytes = self.at(at, wanted)?;
            let bytes = &bytes[..bytes.len().min(wanted)];
            if bytes.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            crc = crc32c::crc32c_append(crc, bytes);
            at += bytes.len() as u64;
        }
        Ok(crc)
    }
}
