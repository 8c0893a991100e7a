//! Offsets by time, and the two ends with their epochs. What ListOffsets asks for.

use std::ops::ControlFlow;

use super::{Partition, ReadError, ReadLimit};
use crate::batch::{Batch, BatchHeader, RawBatch, RecordsError, TimestampedOffset};
use crate::engine::{FirstBatch, ReadRange};
use crate::{LeaderEpoch, Offset};

/// A record found by its timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    pub timestamp_ms: i64,
    pub offset: Offset,
    /// The epoch of its batch.
    pub leader_epoch: Option<LeaderEpoch>,
}

impl Partition {
    /// The log start and the epoch that was current there.
    pub fn earliest(&self) -> (Offset, Option<LeaderEpoch>) {
        let state = self.lock_any();
        let log_start = self.log_start();
        (log_start, state.epochs.at(log_start))
    }

    /// The end that a reader with `limit` may see, and the current epoch.
    pub fn latest(&self, limit: ReadLimit) -> (Offset, LeaderEpoch) {
        (self.limit_end(limit), self.leader_epoch())
    }

    /// The first record, in offset order, whose timestamp is at least `timestamp_ms`: exactly that
    /// record, also inside of a compressed batch. `None` when there is none, or it lies beyond
    /// `limit`. Reads and decompresses; may block on the disk.
    ///
    /// # Errors
    /// [`ReadError::Offline`] and [`ReadError::Storage`].
    pub fn offset_for_timestamp(
        &self,
        timestamp_ms: i64,
        limit: ReadLimit,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        self.check_online()?;
        let log_start = self.log_start();
        let from = self.engine().timestamp_floor(timestamp_ms)?.max(log_start);
        self.find(
            from,
            limit,
            |header| header.max_timestamp_ms >= timestamp_ms,
            |batch| batch.first_record_at_or_after(timestamp_ms, log_start),
        )
    }

    /// The first record that has the largest timestamp of the log. `None` when no record has one,
    /// or it lies beyond `limit`.
    ///
    /// # Errors
    /// As [`Partition::offset_for_timestamp`].
    pub fn max_timestamp_offset(
        &self,
        limit: ReadLimit,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        self.check_online()?;
        let segments = self.engine().segments();
        // The first of the largest: max_by_key would give the last one.
        let largest = segments
            .iter()
            .rev()
            .max_by_key(|segment| segment.max_timestamp_ms);
        let Some(segment) = largest.filter(|segment| segment.max_timestamp_ms >= 0) else {
            return Ok(None);
        };
        let max_timestamp_ms = segment.max_timestamp_ms;
        let from = segment.max_timestamp_offset.max(self.log_start());
        self.find(
            from,
            limit,
            |header| header.max_timestamp_ms == max_timestamp_ms,
            Batch::record_of_max_timestamp,
        )
    }

    /// The first batch that may hold the record and does.
    fn find(
        &self,
        from: Offset,
        limit: ReadLimit,
        may_hold: impl Fn(&BatchHeader) -> bool,
        search: impl Fn(&Batch) -> Result<Option<TimestampedOffset>, RecordsError>,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        let end = self.limit_end(limit);
        let mut found = Ok(None);
        self.engine().scan(from, &mut |header| {
            if header.base_offset >= end {
                return ControlFlow::Break(());
            }
            if !may_hold(header) {
                return ControlFlow::Continue(());
            }
            found = self.search_batch(header, &search);
            match &found {
                Ok(None) => ControlFlow::Continue(()),
                Ok(Some(_)) | Err(_) => ControlFlow::Break(()),
            }
        })?;
        Ok(found?.filter(|record| record.offset < end))
    }

    fn search_batch(
        &self,
        header: &BatchHeader,
        search: impl Fn(&Batch) -> Result<Option<TimestampedOffset>, RecordsError>,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        let batch = self.read_batch(header)?;
        let record = search(&batch).map_err(|error| ReadError::Storage {
            reason: format!("batch at offset {}: {error}", header.base_offset),
        })?;
        let epoch = header.partition_leader_epoch;
        Ok(record.map(|record| TimestampOffset {
            timestamp_ms: record.timestamp_ms,
            offset: record.offset,
            leader_epoch: (epoch >= LeaderEpoch(0)).then_some(epoch),
        }))
    }

    fn read_batch(&self, header: &BatchHeader) -> Result<Batch, ReadError> {
        let slices = self.engine().read(ReadRange {
            from: header.base_offset,
            end: header.end_offset(),
            bytes_max: header.total_bytes(),
            first_batch: FirstBatch::Always,
        })?;
        let damaged = |reason: String| ReadError::Storage {
            reason: format!("batch at offset {}: {reason}", header.base_offset),
        };
        let Some(slice) = slices.first() else {
            return Err(damaged("it is gone".to_owned()));
        };
        let mut bytes = slice.read_to_bytes()?;
        RawBatch::split_from(&mut bytes)
            .and_then(RawBatch::check)
            .map_err(|error| damaged(error.to_string()))
    }
}
