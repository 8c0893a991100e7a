//! Forgetting: old segments at one end, batches that must not be at the other.

use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::index::Index;
use super::scan::HeaderScan;
use super::segment::Segment;
use super::{DiskEngine, lock};
use crate::Offset;
use crate::engine::{Engine, SegmentStat};

impl DiskEngine {
    pub(super) fn remove_segments(&self, before: Offset) -> io::Result<()> {
        let reshaping = lock(&self.reshaping);
        if reshaping.is_retired {
            return Ok(());
        }
        let removed: Vec<Arc<Segment>> = {
            let mut segments = self.write_segments();
            let sealed = segments.len() - 1;
            let gone = segments[..sealed].partition_point(|segment| segment.stat().end <= before);
            let removed: Vec<Arc<Segment>> = segments.drain(..gone).collect();
            for segment in &removed {
                segment.leave();
            }
            removed
        };
        if removed.is_empty() {
            return Ok(());
        }
        self.change();
        {
            let mut open = lock(&self.sealed_open);
            open.retain(|segment| !removed.iter().any(|gone| Arc::ptr_eq(gone, segment)));
        }
        // What takes their place must be there for good before they go: the segment that begins
        // where they end, and the producers who wrote them.
        self.sync_written()?;
        for segment in removed {
            segment.remove(&*self.fs)?;
        }
        self.remove_snapshots((Bound::Unbounded, Bound::Excluded(self.start())))
    }

    pub(super) fn cut_batches(&self, end: Offset) -> io::Result<()> {
        if end >= self.end() {
            return Ok(());
        }
        self.change();
        let _reshaping = lock(&self.reshaping);
        let _no_sync = lock(&self.syncing);
        let mut segments = self.write_segments();
        while segments.len() > 1
            && let Some(last) = segments.last()
            && last.base() >= end
        {
            last.leave();
            last.remove(&*self.fs)?;
            segments.pop();
        }
        let active = Arc::clone(segments.last().expect("one is kept"));
        lock(&self.sealed_open).retain(|segment| !Arc::ptr_eq(segment, &active));
        self.cut(&active, end)?;
        drop(segments);
        self.remove_snapshots((Bound::Excluded(end), Bound::Unbounded))?;
        let end = active.stat().end;
        self.end.store(end.0, Ordering::Release);
        self.durable_end.fetch_min(end.0, Ordering::AcqRel);
        let recovery_point = self.recovery_points.offset(&self.name);
        if recovery_point.is_some_and(|point| point > end) {
            self.recovery_points.set(&self.name, end);
            self.recovery_points.save()?;
        }
        Ok(())
    }

    /// Cuts everything from `end` on off the segment that becomes the active one.
    fn cut(&self, segment: &Segment, end: Offset) -> io::Result<()> {
        let opened = segment.open(&*self.fs, self.pace)?;
        let mut stat = segment.stat();
        let position = match Segment::locate(&opened, stat.bytes, end)? {
            Some(batch) => batch.position,
            None => stat.bytes,
        };
        opened.file.set_len(position)?;
        opened.file.sync()?;
        segment.remove_index(&*self.fs)?;
        self.cut_txn_index(segment.base(), end)?;
        let mut index = Index::new(stat.base);
        stat = SegmentStat::empty(stat.base, stat.modified_ms);
        let mut headers = HeaderScan::new(Arc::clone(&opened.file), 0, position);
        while let Some((at, header)) = headers.next()? {
            if at == 0 {
                stat.first_timestamp_ms = header.max_timestamp_ms;
            }
            index.add(&header, at, self.pace);
            stat.end = header.end_offset();
        }
        stat.bytes = position;
        index.describe(&mut stat);
        *opened.index_mut() = index;
        segment.reset(stat);
        Ok(())
    }
}
