//! Where a check after a crash may begin: in the middle of the active segment, at the recovery point.
//!
//! What is in front of the recovery point is known to be whole, and only its index and the producers
//! that wrote it are needed. So from time to time the index of the active segment is written as it
//! is, and a producer snapshot beside it. Neither is synced: a damaged snapshot fails its checksum,
//! and an index counts up to the recovery point only, if it grows and its last entry there leads to
//! the batch that it names. Without them the check begins where the segment does.

use std::io;
use std::ops::Bound;

use super::{DiskEngine, fs, lock, names};
use crate::Offset;
use crate::engine::{Landmarks, SegmentStat};

/// Bytes of batches that are not worth landmarks: reading them takes less than writing these. Logs
/// in tests are small.
const LANDMARK_BYTES: u64 = if cfg!(test) { 1 << 8 } else { 64 << 10 };

/// The landmarks of the active segment that are on the disk.
#[derive(Debug)]
pub(super) struct SavedLandmarks {
    base: Offset,
    /// Bytes of the segment that its index on the disk covers.
    indexed_bytes: u64,
    /// Producer snapshots that no segment begins with, oldest first.
    snapshots: Vec<Offset>,
}

impl SavedLandmarks {
    pub(super) fn of(base: Offset, indexed_bytes: u64) -> SavedLandmarks {
        SavedLandmarks {
            base,
            indexed_bytes,
            snapshots: Vec::new(),
        }
    }

    pub(super) fn are_due(&self, active: &SegmentStat) -> bool {
        let indexed_bytes = if active.base == self.base {
            self.indexed_bytes
        } else {
            0
        };
        active.bytes.saturating_sub(indexed_bytes) >= LANDMARK_BYTES
    }
}

impl DiskEngine {
    /// Gives way to whoever reshapes the log, and keeps others from sealing the segment meanwhile:
    /// they write the same files.
    pub(super) fn write_landmarks(&self, landmarks: Landmarks) -> io::Result<()> {
        let Ok(reshaping) = self.reshaping.try_lock() else {
            return Ok(());
        };
        if reshaping.is_retired {
            return Ok(());
        }
        let _naming = lock(&self.naming);
        let active = self.active();
        if active.base() != landmarks.base {
            return Ok(());
        }
        let Some(opened) = active.opened() else {
            return Ok(());
        };
        let indexed_bytes = active.stat().bytes;
        let index = opened.index().clone();
        active.save_index(&*self.fs, &index)?;
        let mut saved = lock(&self.landmarks);
        saved.base = landmarks.base;
        saved.indexed_bytes = indexed_bytes;
        if let Some((at, producers)) = landmarks.producers
            && lock(&self.snapshots).insert(at)
        {
            let path = names::snapshot_path(&self.dir, at);
            fs::write_whole(&*self.fs, &path, &producers)?;
            saved.snapshots.push(at);
        }
        self.remove_passed_snapshots(&mut saved.snapshots)
    }

    /// The next check begins at the recovery point, with the newest snapshot that is not above it.
    fn remove_passed_snapshots(&self, snapshots: &mut Vec<Offset>) -> io::Result<()> {
        let recovery_point = self.recovery_points.offset(&self.name);
        let recovery_point = recovery_point.unwrap_or(Offset::ZERO);
        let usable = snapshots.partition_point(|at| *at <= recovery_point);
        for at in snapshots.drain(..usable.saturating_sub(1)) {
            let is_base = self
                .read_segments()
                .iter()
                .any(|segment| segment.base() == at);
            if !is_base {
                self.remove_snapshots((Bound::Included(at), Bound::Included(at)))?;
            }
        }
        Ok(())
    }
}
