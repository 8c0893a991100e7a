//! What the files of a log are called. Kafka's `LogFileUtils`.

use std::path::{Path, PathBuf};

use crate::Offset;

const LOG: &str = "log";
const OFFSET_INDEX: &str = "index";
const TIME_INDEX: &str = "timeindex";
const TXN_INDEX: &str = "txnindex";
const SNAPSHOT: &str = "snapshot";

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
    /// Apache Kafka's cleaner was about to put it in the place of segments.
    Swap,
    Other,
}

impl LogFile {
    pub(super) fn of(name: &str) -> LogFile {
        let Some((stem, suffix)) = name.split_once('.') else {
            return LogFile::Other;
        };
        match name.rsplit('.').next() {
            Some("tmp" | "deleted" | "cleaned") => return LogFile::Leftover,
            Some("swap") => return LogFile::Swap,
            Some(_) | None => {}
        }
        let Some(base) = parse_offset(stem) else {
            return LogFile::Other;
        };
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
