//! The small files beside the batches: producers and aborted transactions.

use std::io::{self, IoSlice};
use std::ops::Bound;

use super::fs::{self, OpenMode};
use super::{DiskEngine, lock, names, txn_index};
use crate::Offset;
use crate::partition::AbortedTxn;

impl DiskEngine {
    pub(super) fn write_snapshot(&self, at: Offset, producers: &[u8]) -> io::Result<()> {
        let path = names::snapshot_path(&self.dir, at);
        fs::write_whole(&*self.fs, &path, producers)?;
        lock(&self.snapshots).insert(at);
        self.sync_later([path]);
        Ok(())
    }

    pub(super) fn newest_snapshot(&self, at_most: Offset) -> io::Result<Option<(Offset, Vec<u8>)>> {
        let newest = lock(&self.snapshots).range(..=at_most).next_back().copied();
        let Some(at) = newest else {
            return Ok(None);
        };
        let bytes = fs::read_whole(&*self.fs, &names::snapshot_path(&self.dir, at))?;
        Ok(Some((at, bytes.unwrap_or_default())))
    }

    pub(super) fn remove_snapshots(&self, range: (Bound<Offset>, Bound<Offset>)) -> io::Result<()> {
        let removed: Vec<Offset> = {
            let mut snapshots = lock(&self.snapshots);
            let removed: Vec<Offset> = snapshots.range(range).copied().collect();
            snapshots.retain(|at| !removed.contains(at));
            removed
        };
        for at in removed {
            fs::remove_if_there(&*self.fs, &names::snapshot_path(&self.dir, at))?;
        }
        Ok(())
    }

    pub(super) fn read_aborted(&self) -> io::Result<Vec<AbortedTxn>> {
        let mut aborted = Vec::new();
        for segment in self.read_segments().iter() {
            let path = names::txn_index_path(&self.dir, segment.base());
            if let Some(bytes) = fs::read_whole(&*self.fs, &path)? {
                aborted.extend(txn_index::decode(&bytes));
            }
        }
        Ok(aborted)
    }

    pub(super) fn write_aborted(&self, txn: AbortedTxn) -> io::Result<()> {
        self.change();
        let base = self.segment_at(txn.last_offset).base();
        let path = names::txn_index_path(&self.dir, base);
        let file = self.fs.open(&path, OpenMode::Create)?;
        let entry_bytes = txn_index::ENTRY_BYTES as u64;
        let position = file.len_bytes()? / entry_bytes * entry_bytes;
        let entry = txn_index::encode(&txn);
        fs::write_all_at(&*file, &mut [IoSlice::new(&entry)], position)?;
        self.sync_later([path]);
        Ok(())
    }

    /// Forgets aborted transactions with markers at `from` or behind it, and whatever a crash has
    /// made of entries.
    pub(super) fn forget_aborted(&self, from: Offset) -> io::Result<()> {
        let active = self.active().base();
        for segment in self.read_segments().iter() {
            // The last one's may tell of a marker that was lost.
            if segment.stat().end <= from && segment.base() != active {
                continue;
            }
            let path = names::txn_index_path(&self.dir, segment.base());
            let Some(bytes) = fs::read_whole(&*self.fs, &path)? else {
                continue;
            };
            let kept: Vec<u8> = txn_index::decode(&bytes)
                .iter()
                .filter(|txn| (segment.base()..from).contains(&txn.last_offset))
                .filter(|txn| txn.first_offset < txn.last_offset)
                .flat_map(txn_index::encode)
                .collect();
            if kept.is_empty() {
                fs::remove_if_there(&*self.fs, &path)?;
            } else if kept != bytes {
                fs::write_whole(&*self.fs, &path, &kept)?;
                self.sync_later([path]);
            }
        }
        Ok(())
    }

    pub(super) fn cut_txn_index(&self, base: Offset, end: Offset) -> io::Result<()> {
        let path = names::txn_index_path(&self.dir, base);
        let Some(bytes) = fs::read_whole(&*self.fs, &path)? else {
            return Ok(());
        };
        let kept: Vec<u8> = txn_index::decode(&bytes)
            .iter()
            .filter(|txn| txn.last_offset < end)
            .flat_map(txn_index::encode)
            .collect();
        fs::write_whole(&*self.fs, &path, &kept)?.sync()
    }
}
