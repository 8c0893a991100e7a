//! Which segments there are, and which of their files are open.

use std::io;
use std::sync::{Arc, PoisonError, RwLockReadGuard, RwLockWriteGuard};

use super::segment::{Opened, Segment};
use super::{DiskEngine, SEALED_OPEN_MAX, lock};
use crate::Offset;

/// What a segment has for a reader.
#[derive(Debug)]
pub(super) enum Readable {
    Batches(Arc<Opened>),
    /// No batch.
    Nothing,
    /// It was trimmed or replaced since it was looked up: look again.
    Gone,
}

/// Goes through the log segment by segment while it grows, is trimmed and is compacted. Between two
/// steps it remembers an offset and no segment: what comes next may have another shape by then.
pub(super) struct Walk<'a> {
    engine: &'a DiskEngine,
    next: Option<Offset>,
}

impl Walk<'_> {
    /// The next segment, and from which offset on it is to be read.
    pub(super) fn step(&mut self) -> Option<(Arc<Segment>, Offset)> {
        let from = self.next?;
        let (segment, is_active) = {
            let segments = self.engine.read_segments();
            let next = segments.partition_point(|segment| segment.base() <= from);
            let place = next.saturating_sub(1);
            (Arc::clone(&segments[place]), place + 1 == segments.len())
        };
        self.next = (!is_active).then(|| segment.stat().end);
        Some((segment, from))
    }

    /// The segment of the last step, which was to be read from `from` on, is gone.
    pub(super) fn look_again(&mut self, from: Offset) {
        self.next = Some(from);
    }
}

impl DiskEngine {
    pub(super) fn active(&self) -> Arc<Segment> {
        let segments = self.read_segments();
        Arc::clone(segments.last().expect("there is always an active segment"))
    }

    /// The segment that `offset` lies in: the last one that does not begin above it, or the first.
    pub(super) fn segment_at(&self, offset: Offset) -> Arc<Segment> {
        let segments = self.read_segments();
        let next = segments.partition_point(|segment| segment.base() <= offset);
        Arc::clone(&segments[next.saturating_sub(1)])
    }

    /// The segment that `offset` lies in, and all that follow it.
    pub(super) fn walk(&self, from: Offset) -> Walk<'_> {
        Walk {
            engine: self,
            next: Some(from),
        }
    }

    /// The segment's file, for reading. Lets go of the sealed file that was used longest ago.
    pub(super) fn open_to_read(&self, segment: &Arc<Segment>) -> io::Result<Readable> {
        if segment.stat().bytes == 0 {
            return Ok(Readable::Nothing);
        }
        if let Some(opened) = segment.opened() {
            return Ok(Readable::Batches(opened));
        }
        let opened = match segment.open(&*self.fs, self.pace) {
            Ok(opened) => opened,
            Err(_) if segment.is_gone() => return Ok(Readable::Gone),
            Err(error) => return Err(error),
        };
        let is_active = Arc::ptr_eq(segment, &self.active());
        if !is_active {
            self.keep_open(Arc::clone(segment));
        }
        Ok(Readable::Batches(opened))
    }

    pub(super) fn keep_open(&self, segment: Arc<Segment>) {
        let mut open = lock(&self.sealed_open);
        open.retain(|other| !Arc::ptr_eq(other, &segment));
        open.push_back(segment);
        while open.len() > SEALED_OPEN_MAX
            && let Some(oldest) = open.pop_front()
        {
            oldest.close();
        }
    }

    /// The active segment's file, made now if it is missing.
    pub(super) fn open_to_write(&self, segment: &Segment) -> io::Result<Arc<Opened>> {
        if let Some(opened) = segment.opened() {
            return Ok(opened);
        }
        let is_new = segment.stat().bytes == 0;
        let opened = segment.open(&*self.fs, self.pace)?;
        if is_new {
            self.sync_later([]);
        }
        Ok(opened)
    }

    pub(super) fn read_segments(&self) -> RwLockReadGuard<'_, Vec<Arc<Segment>>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write_segments(&self) -> RwLockWriteGuard<'_, Vec<Arc<Segment>>> {
        self.segments
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
