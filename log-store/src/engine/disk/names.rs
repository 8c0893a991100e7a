//! What the files of a log are called. Kafka's `LogFileUtils`.

use std::path::{Path, PathBuf};

use super::fs::TEMPORARY_SUFFIX;
use crate::Offset;

const LOG: &str = "log";
const OFFSET_INDEX: &str = "index";
const TIME_INDEX: &str = "timeindex";
const TXN_INDEX: &str = "txnindex";
const SNAPSHOT: &str = "snapshot";

/// What is added to the names of the files of a segment that takes the place of others, while it is
/// being made, and from when it is complete until the others are gone.
pub(super) const CLEANED_SUFFIX: &str = ".cleaned";
pub(super) const SWAP_SUFFIX: &str = ".swap";
/// What Apache Kafka adds to the names of files that it is about to remove.
const DELETED_SUFFIX: &str = ".deleted";

/// Digits of the base offset in a file name.
const OFFSET_DIGITS: usize = 20;

pub(super) const EPOCHS_FILE: &str = "leader-epoch-checkpoint";

/// What a file in a log's directory is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogFile {
    Log(Offset),
    /// An index, of any kind, of the segment with that base.
    Index(Offset),
    Snapshot(Offset),
    /// Left over from something that was interrupted; of no use.
    Leftover,
    /// Of a segment that was being compacted, with that base: not complete.
    Cleaned(Offset),
    /// Of a compacted segment with that base, complete and about to take its place.
    Swap(Offset),
    Other,
}

impl LogFile {
    pub(super) fn of(name: &str) -> LogFile {
        let Some((stem, suffix)) = name.split_once('.') else {
            return LogFile::Other;
        };
        if name.ends_with(TEMPORARY_SUFFIX) || name.ends_with(DELETED_SUFFIX) {
            return LogFile::Leftover;
        }
        let Some(base) = parse_offset(stem) else {
            return LogFile::Other;
        };
        if name.ends_with(CLEANED_SUFFIX) {
            return LogFile::Cleaned(base);
        }
        if name.ends_with(SWAP_SUFFIX) {
            return LogFile::Swap(base);
        }
        match suffix {
            LOG => LogFile::Log(base),
            OFFSET_INDEX | TIME_INDEX | TXN_INDEX => LogFile::Index(base),
            SNAPSHOT => LogFile::Snapshot(base),
            _ => LogFile::Other,
        }
    }
}

pub(super) fn log_path(dir: &Path, base: Offset) -> PathBuf {
    path(dir, base, LOG)
}

pub(super) fn offset_index_path(dir: &Path, base: Offset) -> PathBuf {
    path(dir, base, OFFSET_INDEX)
}

pub(super) fn time_index_path(dir: &Path, base: Offset) -> PathBuf {
    path(dir, base, TIME_INDEX)
}

pub(super) fn txn_index_path(dir: &Path, base: Offset) -> PathBuf {
    path(dir, base, TXN_INDEX)
}

pub(super) fn snapshot_path(dir: &Path, at: Offset) -> PathBuf {
    path(dir, at, SNAPSHOT)
}

/// All files that a segment may have.
pub(super) fn segment_paths(dir: &Path, base: Offset) -> [PathBuf; 4] {
    [LOG, OFFSET_INDEX, TIME_INDEX, TXN_INDEX].map(|suffix| path(dir, base, suffix))
}

fn path(dir: &Path, offset: Offset, suffix: &str) -> PathBuf {
    dir.join(format!("{:0OFFSET_DIGITS$}.{suffix}", offset.0))
}

fn parse_offset(stem: &str) -> Option<Offset> {
    let is_offset = stem.len() == OFFSET_DIGITS && stem.bytes().all(|byte| byte.is_ascii_digit());
    if !is_offset {
        return None;
    }
    stem.parse().ok().map(Offset)
}
