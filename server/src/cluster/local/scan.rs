//! Reading a file of batches, and telling a torn end from damage.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;
use klamm_log_store::batch::{BATCH_HEADER_BYTES, Batch, BatchHeader, RawBatch};

use super::replay::BadRecord;
use super::{METADATA_BATCH_BYTES_MAX, OpenError};

/// Why a whole batch is not taken.
pub(super) enum Refusal {
    /// It does not continue the log.
    Gap(String),
    Record(BadRecord),
}

impl From<BadRecord> for Refusal {
    fn from(bad: BadRecord) -> Self {
        Self::Record(bad)
    }
}

pub(super) struct Scan {
    /// The end of the last whole batch.
    pub(super) position_end: u64,
    /// Why the bytes after it are no batch, when there are any.
    pub(super) bad_tail: Option<String>,
}

impl Scan {
    /// Makes an error of bytes that are no batch.
    pub(super) fn whole(self, path: &Path) -> Result<Self, OpenError> {
        match self.bad_tail {
            None => Ok(self),
            Some(reason) => Err(OpenError::Damaged {
                path: path.to_owned(),
                position: self.position_end,
                reason,
            }),
        }
    }
}

/// Hands every whole batch of a file to `take`, up to the first bytes that are none.
pub(super) fn scan(
    path: &Path,
    mut take: impl FnMut(&Batch) -> Result<(), Refusal>,
) -> Result<Scan, OpenError> {
    let io = |error| OpenError::Io {
        path: path.to_owned(),
        error,
    };
    let mut input = BufReader::new(File::open(path).map_err(io)?);
    let mut position = 0;
    loop {
        match read_batch(&mut input).map_err(io)? {
            Next::Batch(batch) => {
                take(&batch).map_err(|refusal| match refusal {
                    Refusal::Gap(reason) => OpenError::Damaged {
                        path: path.to_owned(),
                        position,
                        reason,
                    },
                    Refusal::Record(BadRecord { offset, reason }) => OpenError::Record {
                        path: path.to_owned(),
                        offset,
                        reason,
                    },
                })?;
                position += batch.header().total_bytes() as u64;
            }
            Next::End => {
                return Ok(Scan {
                    position_end: position,
                    bad_tail: None,
                });
            }
            Next::Bad(reason) => {
                return Ok(Scan {
                    position_end: position,
                    bad_tail: Some(reason),
                });
            }
        }
    }
}

enum Next {
    Batch(Batch),
    End,
    Bad(String),
}

fn read_batch(input: &mut impl Read) -> io::Result<Next> {
    let header_bytes = read_up_to(input, BATCH_HEADER_BYTES)?;
    if header_bytes.is_empty() {
        return Ok(Next::End);
    }
    let header = match BatchHeader::parse(&header_bytes) {
        Ok(header) if header.total_bytes() <= METADATA_BATCH_BYTES_MAX => header,
        Ok(header) => {
            return Ok(Next::Bad(format!(
                "batch of {} bytes is too large",
                header.total_bytes()
            )));
        }
        Err(error) => return Ok(Next::Bad(error.to_string())),
    };
    let mut bytes = header_bytes;
    bytes.extend(read_up_to(
        input,
        header.total_bytes() - BATCH_HEADER_BYTES,
    )?);
    let batch = RawBatch::split_from(&mut Bytes::from(bytes)).and_then(RawBatch::check);
    Ok(batch.map_or_else(|error| Next::Bad(error.to_string()), Next::Batch))
}

/// Reads `count` bytes, fewer when the file ends before.
fn read_up_to(input: &mut impl Read, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(count as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Cuts off a tail that is no batch, when a crash during the last append explains it. Every append is durable before the
/// next one begins, so a crash can leave one batch in pieces; whole batches behind the bad bytes mean damage instead.
pub(super) fn cut(
    segment: &File,
    path: &Path,
    position: u64,
    reason: &str,
) -> Result<(), OpenError> {
    let io = |error| OpenError::Io {
        path: path.to_owned(),
        error,
    };
    let length = segment.metadata().map_err(io)?.len();
    let tail_bytes = length - position;
    let damaged = || OpenError::Damaged {
        path: path.to_owned(),
        position,
        reason: reason.to_owned(),
    };
    if tail_bytes > METADATA_BATCH_BYTES_MAX as u64 {
        return Err(damaged());
    }
    let mut tail = vec![0; tail_bytes as usize];
    segment.read_exact_at(&mut tail, position).map_err(io)?;
    if holds_batch(&Bytes::from(tail)) {
        return Err(damaged());
    }
    tracing::warn!(path = %path.display(), position, tail_bytes, reason, "cutting an unfinished append off the metadata log");
    segment
        .set_len(position)
        .and_then(|()| segment.sync_all())
        .map_err(io)
}

/// Whether a whole batch begins anywhere behind the first byte of `tail`.
fn holds_batch(tail: &Bytes) -> bool {
    (1..tail.len()).any(|start| {
        let raw = RawBatch::split_from(&mut tail.slice(start..));
        raw.is_ok_and(|raw| raw.is_crc_valid())
    })
}

/// The first batch of a file, if there is a whole one.
pub(super) fn read_first(path: &Path) -> io::Result<Option<Batch>> {
    let mut input = BufReader::new(File::open(path)?);
    Ok(match read_batch(&mut input)? {
        Next::Batch(batch) => Some(batch),
        Next::End | Next::Bad(_) => None,
    })
}
