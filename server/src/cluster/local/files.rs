//! The files of the metadata log: the newest snapshot, and the segments after it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use klamm_log_store::batch::{BATCH_HEADER_BYTES, Batch, BatchHeader, RawBatch};

use super::replay::{BadRecord, Replay};
use super::{Durability, METADATA_BATCH_BYTES_MAX, OpenError};

/// The directory of the log, open for appending to its last segment.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    segment: File,
    /// Where the next batch goes: the end of the last whole batch.
    position_end: u64,
    durability: Durability,
}

/// Why a batch was not appended.
#[derive(Debug)]
pub(super) enum AppendError {
    /// Nothing of it is in the log.
    TakenBack(io::Error),
    /// It is not known what of it is in the log.
    Unknown(io::Error),
}

impl From<AppendError> for io::Error {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::TakenBack(error) | AppendError::Unknown(error) => error,
        }
    }
}

impl Files {
    /// Reads the directory into `replay` and opens its last segment, having cut off what a crash left half-written.
    pub(super) fn open(
        directory: &Path,
        durability: Durability,
        replay: &mut Replay<'_>,
    ) -> Result<Self, OpenError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| OpenError::Io { path, error }
        };
        fs::create_dir_all(directory).map_err(at(directory))?;
        let Listing {
            snapshot,
            mut segments,
        } = list(directory).map_err(at(directory))?;
        if let Some(snapshot) = snapshot {
            read_snapshot(&snapshot, replay)?;
        }
        if segments.is_empty() {
            segments.push(create_segment(directory, replay.next_offset()).map_err(at(directory))?);
        }
        let last = segments.pop().expect("a segment was just made sure of");
        for path in &segments {
            let scan = scan(path, |batch| log_batch(batch, replay))?;
            if let Some(reason) = scan.bad_tail {
                return Err(OpenError::Damaged {
                    path: path.clone(),
                    position: scan.position_end,
                    reason,
                });
            }
        }
        let scan = scan(&last, |batch| log_batch(batch, replay))?;
        let segment = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&last)
            .map_err(at(&last))?;
        if let Some(reason) = scan.bad_tail {
            cut(&segment, &last, scan.position_end, &reason)?;
        }
        Ok(Self {
            directory: directory.to_owned(),
            segment,
            position_end: scan.position_end,
            durability,
        })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Appends one batch; when this returns it is durable.
    pub(super) fn append(&mut self, batch: &[u8]) -> Result<(), AppendError> {
        if let Err(error) = self.segment.write_all_at(batch, self.position_end) {
            return Err(match self.segment.set_len(self.position_end) {
                Ok(()) => AppendError::TakenBack(error),
                Err(_) => AppendError::Unknown(error),
            });
        }
        if self.durability == Durability::Disk {
            // After a failed sync the page cache may hold what the disk does not, and only a restart can tell.
            self.segment.sync_data().map_err(AppendError::Unknown)?;
        }
        self.position_end += batch.len() as u64;
        Ok(())
    }
}

struct Listing {
    /// The newest snapshot.
    snapshot: Option<Snapshot>,
    /// All segments in the order of their base offsets.
    segments: Vec<PathBuf>,
}

struct Snapshot {
    path: PathBuf,
    /// The snapshot holds all records below this offset.
    offset_end: i64,
    epoch: i32,
}

fn list(directory: &Path) -> io::Result<Listing> {
    let mut listing = Listing {
        snapshot: None,
        segments: Vec::new(),
    };
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if let Some(base_offset) = name.strip_suffix(".log")
            && base_offset.len() == SEGMENT_NAME_DIGITS
            && base_offset.bytes().all(|byte| byte.is_ascii_digit())
        {
            listing.segments.push(path);
        } else if let Some((offset_end, epoch)) = snapshot_name(name)
            && listing
                .snapshot
                .as_ref()
                .is_none_or(|newest| (newest.offset_end, newest.epoch) < (offset_end, epoch))
        {
            listing.snapshot = Some(Snapshot {
                path,
                offset_end,
                epoch,
            });
        }
    }
    // All names have the same number of digits, so their order is that of their offsets.
    listing.segments.sort();
    Ok(listing)
}

/// Digits of the base offset in a segment's name.
const SEGMENT_NAME_DIGITS: usize = 20;

/// End offset and epoch of a snapshot, from its name: `00000000000000000042-0000000007.checkpoint`.
fn snapshot_name(name: &str) -> Option<(i64, i32)> {
    let (offset_end, epoch) = name.strip_suffix(".checkpoint")?.split_once('-')?;
    Some((offset_end.parse().ok()?, epoch.parse().ok()?))
}

fn create_segment(directory: &Path, base_offset: i64) -> io::Result<PathBuf> {
    let path = directory.join(format!("{base_offset:020}.log"));
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)?;
    // A file is there after a crash only when its directory has been synced, and the same holds for the directory.
    File::open(directory)?.sync_all()?;
    if let Some(parent) = directory.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(path)
}

fn read_snapshot(snapshot: &Snapshot, replay: &mut Replay<'_>) -> Result<(), OpenError> {
    let scan = scan(&snapshot.path, |batch| {
        replay.snapshot_batch(batch).map_err(Refusal::Record)
    })?;
    if let Some(reason) = scan.bad_tail {
        return Err(OpenError::Damaged {
            path: snapshot.path.clone(),
            position: scan.position_end,
            reason,
        });
    }
    replay.end_snapshot(snapshot.offset_end, snapshot.epoch);
    Ok(())
}

/// Why a whole batch is not taken.
enum Refusal {
    /// It does not continue the log.
    Gap(String),
    Record(BadRecord),
}

fn log_batch(batch: &Batch, replay: &mut Replay<'_>) -> Result<(), Refusal> {
    let next_offset = replay.next_offset();
    if batch.header().base_offset.0 > next_offset {
        return Err(Refusal::Gap(format!(
            "expected offset {next_offset}, found {}",
            batch.header().base_offset
        )));
    }
    replay.log_batch(batch).map_err(Refusal::Record)
}

struct Scan {
    /// The end of the last whole batch.
    position_end: u64,
    /// Why the bytes after it are no batch, when there are any.
    bad_tail: Option<String>,
}

/// Hands every whole batch of a file to `take`, up to the first bytes that are none.
fn scan(
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
fn cut(segment: &File, path: &Path, position: u64, reason: &str) -> Result<(), OpenError> {
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
