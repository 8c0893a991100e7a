//! Where in a segment a batch lies, by offset and by time. Kafka's `OffsetIndex` and `TimeIndex`.
//!
//! ```text
//! .index      int32 offset - base | int32 position          the last offset of a batch, where it is
//! .timeindex  int64 timestamp | int32 offset - base         the largest timestamp so far, and the
//!                                                           last offset of the batch that has it
//! ```
//! Both grow in both fields. The active segment's are in memory; they are written when the segment
//! is sealed, so a file is always trimmed, as Kafka leaves it.

use bytes::{Buf, BufMut};

use super::recent::{PlacedBatch, RecentBatches};
use crate::Offset;
use crate::batch::{BatchHeader, NO_TIMESTAMP_MS};
use crate::engine::{IndexPace, SegmentStat};

const OFFSET_ENTRY_BYTES: usize = 8;
const TIME_ENTRY_BYTES: usize = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OffsetEntry {
    pub(super) last_offset: Offset,
    pub(super) position: u64,
}

/// A timestamp and the last offset of the batch that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeEntry {
    pub(super) timestamp_ms: i64,
    pub(super) offset: Offset,
}

impl TimeEntry {
    pub(super) fn none(base: Offset) -> TimeEntry {
        TimeEntry {
            timestamp_ms: NO_TIMESTAMP_MS,
            offset: base,
        }
    }
}

/// Both indexes of one segment, and what decides when they grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Index {
    base: Offset,
    pub(super) offsets: Vec<OffsetEntry>,
    pub(super) times: Vec<TimeEntry>,
    /// The largest timestamp of the segment.
    pub(super) largest: TimeEntry,
    pub(super) bytes_since_entry: u64,
    pub(super) recent: RecentBatches,
}

impl Index {
    pub(super) fn new(base: Offset) -> Index {
        Index {
            base,
            offsets: Vec::new(),
            times: Vec::new(),
            largest: TimeEntry::none(base),
            bytes_since_entry: 0,
            recent: RecentBatches::default(),
        }
    }

    pub(super) fn base(&self) -> Offset {
        self.base
    }

    /// Forgets what is known about batches that reach `end` or beyond.
    pub(super) fn cut(&mut self, end: Offset) {
        let offsets = self
            .offsets
            .partition_point(|entry| entry.last_offset < end);
        self.offsets.truncate(offsets);
        let last_offset = self.offsets.last().map(|entry| entry.last_offset);
        let times = self
            .times
            .partition_point(|entry| Some(entry.offset) <= last_offset);
        self.times.truncate(times);
        self.largest = self.last_time();
    }

    /// A batch was written at `position`.
    pub(super) fn add(&mut self, header: &BatchHeader, position: u64, pace: IndexPace) {
        let last_offset = header.last_offset();
        self.recent.add(PlacedBatch::new(header, position));
        if header.max_timestamp_ms > self.largest.timestamp_ms {
            self.largest = TimeEntry {
                timestamp_ms: header.max_timestamp_ms,
                offset: last_offset,
            };
        }
        let batch_bytes = header.total_bytes() as u64;
        if pace.takes_entry(&mut self.bytes_since_entry, batch_bytes) {
            self.offsets.push(OffsetEntry {
                last_offset,
                position,
            });
            self.add_time();
        }
    }

    /// A sealed segment's time index ends with its largest timestamp.
    pub(super) fn seal(&mut self) {
        self.add_time();
    }

    /// Where to begin looking for the batch that contains `offset`.
    pub(super) fn position_floor(&self, offset: Offset) -> u64 {
        let next = self
            .offsets
            .partition_point(|entry| entry.last_offset <= offset);
        next.checked_sub(1)
            .map_or(0, |index| self.offsets[index].position)
    }

    /// The start of a batch at or before `position`, the nearest one that is indexed.
    pub(super) fn batch_floor(&self, position: u64) -> u64 {
        let next = self
            .offsets
            .partition_point(|entry| entry.position <= position);
        next.checked_sub(1)
            .map_or(0, |index| self.offsets[index].position)
    }

    /// The start of a batch above `offset`, the nearest one that is indexed.
    pub(super) fn position_above(&self, offset: Offset) -> Option<u64> {
        let next = self
            .offsets
            .partition_point(|entry| entry.last_offset <= offset);
        self.offsets.get(next).map(|entry| entry.position)
    }

    /// Takes back what [`Index::describe`] has said and the files do not tell.
    pub(super) fn recall(&mut self, stat: &SegmentStat) {
        self.bytes_since_entry = stat.bytes_since_entry;
        self.largest = TimeEntry {
            timestamp_ms: stat.max_timestamp_ms,
            offset: stat.max_timestamp_offset,
        };
    }

    /// What the index says about its segment.
    pub(super) fn describe(&self, stat: &mut SegmentStat) {
        stat.max_timestamp_ms = self.largest.timestamp_ms;
        stat.max_timestamp_offset = self.largest.offset;
        stat.index_entries = self.offsets.len() as u64;
        stat.bytes_since_entry = self.bytes_since_entry;
    }

    pub(super) fn offset_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.offsets.len() * OFFSET_ENTRY_BYTES);
        for entry in &self.offsets {
            bytes.put_u32(self.relative(entry.last_offset));
            bytes.put_u32(u32::try_from(entry.position).expect("segments are below 4 GiB"));
        }
        bytes
    }

    pub(super) fn time_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.times.len() * TIME_ENTRY_BYTES);
        for entry in &self.times {
            bytes.put_i64(entry.timestamp_ms);
            bytes.put_u32(self.relative(entry.offset));
        }
        bytes
    }

    /// The index in the two files. `None` when it cannot be that of a segment of `bytes`: it must
    /// be made anew then.
    pub(super) fn parse(base: Offset, offsets: &[u8], times: &[u8], bytes: u64) -> Option<Index> {
        if !offsets.len().is_multiple_of(OFFSET_ENTRY_BYTES)
            || !times.len().is_multiple_of(TIME_ENTRY_BYTES)
        {
            return None;
        }
        let mut index = Index::new(base);
        for mut entry in offsets.chunks_exact(OFFSET_ENTRY_BYTES) {
            let last_offset = base.plus(entry.get_u32().into());
            let position = u64::from(entry.get_u32());
            let grows = index
                .offsets
                .last()
                .is_none_or(|last| last.last_offset < last_offset && last.position < position);
            if !grows || position >= bytes {
                return None;
            }
            index.offsets.push(OffsetEntry {
                last_offset,
                position,
            });
        }
        for mut entry in times.chunks_exact(TIME_ENTRY_BYTES) {
            let timestamp_ms = entry.get_i64();
            let offset = base.plus(entry.get_u32().into());
            let grows = index
                .times
                .last()
                .is_none_or(|last| last.timestamp_ms < timestamp_ms && last.offset <= offset);
            if !grows {
                return None;
            }
            index.times.push(TimeEntry {
                timestamp_ms,
                offset,
            });
        }
        index.largest = index.last_time();
        Some(index)
    }

    /// Kafka takes an entry only when its timestamp is new.
    fn add_time(&mut self) {
        if self.largest.timestamp_ms > self.last_time().timestamp_ms {
            self.times.push(self.largest);
        }
    }

    fn last_time(&self) -> TimeEntry {
        self.times
            .last()
            .copied()
            .unwrap_or(TimeEntry::none(self.base))
    }

    fn relative(&self, offset: Offset) -> u32 {
        u32::try_from(offset.distance_from(self.base))
            .expect("segments span less than 2^31 offsets")
    }
}
