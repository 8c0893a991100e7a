//! What lies in the directory of the metadata log, by the names that Kafka gives (`LogFileUtils`, `Snapshots`).

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Digits of an offset in the name of a segment or snapshot.
const OFFSET_DIGITS: usize = 20;
/// Digits of an epoch in the name of a snapshot.
const EPOCH_DIGITS: usize = 10;

const SEGMENT_SUFFIX: &str = ".log";
const SNAPSHOT_SUFFIX: &str = ".checkpoint";
/// Half-written snapshots.
const PART_SUFFIX: &str = ".checkpoint.part";
/// Files that Kafka is about to delete.
const DELETED_SUFFIX: &str = ".deleted";
/// Files beside a segment that Kafka makes from it, and makes again when they are missing.
const SIDE_SUFFIXES: [&str; 4] = [".index", ".timeindex", ".txnindex", ".snapshot"];

/// End offset (exclusive) and epoch of the log that a snapshot stands for. The order is that of age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SnapshotId {
    pub(super) offset_end: i64,
    pub(super) epoch: i32,
}

impl SnapshotId {
    /// The snapshot with which a directory is formatted: it says who votes, and holds no record of the log.
    pub(super) fn is_bootstrap(self) -> bool {
        self.offset_end == 0
    }

    pub(super) fn path(self, directory: &Path) -> PathBuf {
        directory.join(format!("{}{SNAPSHOT_SUFFIX}", self.stem()))
    }

    /// Where the snapshot is written before it is whole.
    pub(super) fn part_path(self, directory: &Path) -> PathBuf {
        directory.join(format!("{}{PART_SUFFIX}", self.stem()))
    }

    fn stem(self) -> String {
        format!("{:020}-{:010}", self.offset_end, self.epoch)
    }

    fn parse(name: &str) -> Option<Self> {
        let (offset_end, epoch) = name.strip_suffix(SNAPSHOT_SUFFIX)?.split_once('-')?;
        if offset_end.len() != OFFSET_DIGITS || epoch.len() != EPOCH_DIGITS {
            return None;
        }
        Some(Self {
            offset_end: number(offset_end)?,
            epoch: number(epoch)?,
        })
    }
}

/// The files that count, each kind in order of age.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Base offsets of the segments.
    pub(super) segments: Vec<i64>,
    pub(super) snapshots: Vec<SnapshotId>,
}

/// Lists the directory, and removes what an interrupted snapshot or deletion has left.
pub(super) fn list(directory: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if let Some(base_offset) = segment_base_offset(name) {
            listing.segments.push(base_offset);
        } else if let Some(snapshot) = SnapshotId::parse(name) {
            listing.snapshots.push(snapshot);
        } else if name.ends_with(PART_SUFFIX) || name.ends_with(DELETED_SUFFIX) {
            fs::remove_file(entry.path())?;
        }
    }
    listing.segments.sort_unstable();
    listing.snapshots.sort_unstable();
    Ok(listing)
}

pub(super) fn segment_path(directory: &Path, base_offset: i64) -> PathBuf {
    directory.join(format!("{base_offset:020}{SEGMENT_SUFFIX}"))
}

fn segment_base_offset(name: &str) -> Option<i64> {
    let digits = name.strip_suffix(SEGMENT_SUFFIX)?;
    (digits.len() == OFFSET_DIGITS).then(|| number(digits))?
}

fn number<T: std::str::FromStr>(digits: &str) -> Option<T> {
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
}

/// Removes a segment and what belongs to it. The segment goes last: whatever is left after a crash is found by its name.
pub(super) fn remove_segment(directory: &Path, base_offset: i64) -> io::Result<()> {
    remove_side_files(directory, base_offset)?;
    remove_if_there(&segment_path(directory, base_offset))
}

/// Removes the files beside a segment, which speak of positions in it.
pub(super) fn remove_side_files(directory: &Path, base_offset: i64) -> io::Result<()> {
    SIDE_SUFFIXES.iter().try_for_each(|suffix| {
        remove_if_there(&directory.join(format!("{base_offset:020}{suffix}")))
    })
}

pub(super) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_kafkas_names_count() {
        let directory = tempfile::tempdir().unwrap();
        for name in [
            "00000000000000000042.log",
            "00000000000000000000.log",
            "00000000000000000000.index",
            "42.log",
            "0000000000000000004x.log",
            "00000000000000000042-0000000007.checkpoint",
            "00000000000000000000-0000000000.checkpoint",
            "00000000000000000043-0000000007-8812.checkpoint.part",
            "00000000000000000041-0000000007.checkpoint.deleted",
            "00000000000000000000.log.deleted",
            "leader-epoch-checkpoint",
        ] {
            File::create(directory.path().join(name)).unwrap();
        }
        let listing = list(directory.path()).unwrap();
        assert_eq!(listing.segments, [0, 42]);
        let id = |offset_end, epoch| SnapshotId { offset_end, epoch };
        assert_eq!(listing.snapshots, [id(0, 0), id(42, 7)]);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 8);

        remove_segment(directory.path(), 0).unwrap();
        remove_segment(directory.path(), 7).unwrap();
        assert_eq!(list(directory.path()).unwrap().segments, [42]);
        assert!(!directory.path().join("00000000000000000000.index").exists());
    }
}
