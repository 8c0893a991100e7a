//! Which segments there are, and which of their files are open.

use std::io;
use std::sync::{Arc, PoisonError, RwLockReadGuard, RwLockWriteGuard};

use super::segment::{Opened, Segment};
use super::{DiskEngine, SEALED_OPEN_MAX, lock};
use crate::Offset;
use crate::engine::Engine;

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
    pub(super) fn segments_from(&self, offset: Offset) -> impl Iterator<Item = Arc<Segment>> {
        let first = self.segment_at(offset);
        std::iter::successors(Some(first), |segment| self.segment_after(segment.base()))
    }

    fn segment_after(&self, base: Offset) -> Option<Arc<Segment>> {
        let segments = self.read_segments();
        let next = segments.partition_point(|segment| segment.base() <= base);
        segments.get(next).cloned()
    }

    /// The segment's file, for reading, and its size; `None` when it has no batches or has been
    /// trimmed meanwhile. Lets go of the sealed file that was used longest ago.
    pub(super) fn open_to_read(&self, segment: &Arc<Segment>) -> io::Result<Option<Arc<Opened>>> {
        if segment.stat().bytes == 0 {
            return Ok(None);
        }
        if let Some(opened) = segment.opened() {
            return Ok(Some(opened));
        }
        let opened = match segment.open(&*self.fs, self.pace) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let is_trimmed = segment.stat().end <= self.start();
                return if is_trimmed { Ok(None) } else { Err(error) };
            }
            Err(error) => return Err(error),
        };
        let is_active = Arc::ptr_eq(segment, &self.active());
        if !is_active {
            self.keep_open(Arc::clone(segment));
        }
        Ok(Some(opened))
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
