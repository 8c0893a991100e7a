//! When a segment is full. Decided while an append is ordered, before its bytes are written, so
//! that the producer state of exactly that moment can be saved with the new segment.

use super::LogOptions;
use crate::Offset;
use crate::batch::{BatchHeader, NO_TIMESTAMP_MS};
use crate::engine::{IndexPace, SegmentStat};

/// Bytes of one entry of an offset index and of a time index.
pub(super) const OFFSET_ENTRY_BYTES: u64 = 8;
pub(super) const TIME_ENTRY_BYTES: u64 = 12;

/// The active segment as it will be when everything that is queued has been written.
#[derive(Clone, Copy, Debug)]
pub(super) struct SegmentPlan {
    pub(super) base: Offset,
    bytes: u64,
    first_timestamp_ms: i64,
    created_ms: i64,
    index_entries: u64,
    bytes_since_entry: u64,
}

impl SegmentPlan {
    pub(super) fn of(active: &SegmentStat) -> SegmentPlan {
        SegmentPlan {
            base: active.base,
            bytes: active.bytes,
            first_timestamp_ms: active.first_timestamp_ms,
            created_ms: active.modified_ms,
            index_entries: active.index_entries,
            bytes_since_entry: active.bytes_since_entry,
        }
    }

    pub(super) fn begin(base: Offset, now_ms: i64) -> SegmentPlan {
        SegmentPlan {
            base,
            bytes: 0,
            first_timestamp_ms: NO_TIMESTAMP_MS,
            created_ms: now_ms,
            index_entries: 0,
            bytes_since_entry: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Whether `header`, at `base_offset`, belongs into a new segment (`LogSegment.shouldRoll`).
    pub(super) fn is_full_for(
        &self,
        header: &BatchHeader,
        base_offset: Offset,
        options: &LogOptions,
        now_ms: i64,
    ) -> bool {
        let last_offset = base_offset.plus(header.last_offset_delta.into());
        if last_offset.distance_from(self.base) > i64::from(i32::MAX) {
            return true;
        }
        if self.is_empty() {
            return false;
        }
        let age_ms = if self.first_timestamp_ms >= 0 {
            header
                .max_timestamp_ms
                .saturating_sub(self.first_timestamp_ms)
        } else {
            now_ms.saturating_sub(self.created_ms)
        };
        let index_bytes_max = u64::from(options.segment_index_bytes);
        let is_offset_index_full = self.index_entries >= index_bytes_max / OFFSET_ENTRY_BYTES;
        // The last slot of the time index is kept for the entry that closes the segment.
        let is_time_index_full = self.index_entries + 1 >= index_bytes_max / TIME_ENTRY_BYTES;
        self.bytes + header.total_bytes() as u64 > u64::from(options.segment_bytes)
            || age_ms > options.segment_age_ms_max()
            || is_offset_index_full
            || is_time_index_full
    }

    /// `header` goes into this segment.
    pub(super) fn add(&mut self, header: &BatchHeader, pace: IndexPace) {
        let batch_bytes = header.total_bytes() as u64;
        if self.is_empty() {
            self.first_timestamp_ms = header.max_timestamp_ms;
        }
        if pace.takes_entry(&mut self.bytes_since_entry, batch_bytes) {
            self.index_entries += 1;
        }
        self.bytes += batch_bytes;
    }
}
