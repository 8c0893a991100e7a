//! The batches of a part of the log, one after the other, at the pace that is allowed.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{CleanError, Cleaner, Uncleanable};
use crate::Offset;
use crate::batch::{Batch, RawBatch};
use crate::engine::{FirstBatch, ReadRange, SegmentRange};
use crate::partition::Partition;

pub(super) struct Source<'a> {
    partition: &'a Partition,
    cleaner: &'a Cleaner,
    /// Where to read on.
    next: Offset,
    end: Offset,
    chunks: VecDeque<Bytes>,
}

impl<'a> Source<'a> {
    /// `range` may begin inside of a batch, which is then the first one.
    pub(super) fn new(
        partition: &'a Partition,
        cleaner: &'a Cleaner,
        range: SegmentRange,
    ) -> Source<'a> {
        Source {
            partition,
            cleaner,
            next: range.base,
            end: range.end,
            chunks: VecDeque::new(),
        }
    }

    /// The next batch; the log's own bytes are trusted no more than their checksum.
    pub(super) fn next(&mut self) -> Result<Option<Batch>, CleanError> {
        if self.chunks.is_empty() && self.next < self.end {
            self.read()?;
        }
        let Some(chunk) = self.chunks.front_mut() else {
            return Ok(None);
        };
        let batch = RawBatch::split_from(chunk).and_then(RawBatch::check);
        if chunk.is_empty() {
            self.chunks.pop_front();
        }
        let batch = batch.map_err(|error| {
            Uncleanable::new(format!(
                "batch at offset {} or after it: {error}",
                self.next
            ))
        })?;
        self.next = batch.header().end_offset();
        Ok(Some(batch))
    }

    /// `bytes` were read or written: waits as long as that demands.
    ///
    /// # Errors
    /// When the cleaning is to end.
    pub(super) fn spent(&self, bytes: usize) -> Result<(), CleanError> {
        if self.cleaner.throttle.spent(bytes).is_break() {
            return Err(CleanError::Stopped);
        }
        Ok(())
    }

    fn read(&mut self) -> Result<(), CleanError> {
        self.partition.check_online()?;
        if !self.partition.options().cleanup.compacts() {
            return Err(CleanError::Stopped);
        }
        let slices = self
            .partition
            .engine
            .read(ReadRange {
                from: self.next,
                end: self.end,
                bytes_max: self.cleaner.settings.io_buffer_bytes,
                first_batch: FirstBatch::Always,
            })
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::InvalidData => Uncleanable::new(error.to_string()).into(),
                _ => CleanError::from_io(error),
            })?;
        for slice in slices {
            self.spent(slice.len_bytes())?;
            let bytes = slice.read_to_bytes().map_err(CleanError::from_io)?;
            self.chunks.push_back(bytes);
        }
        Ok(())
    }
}
