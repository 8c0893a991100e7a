//! What there is to compact, and which segments become one.

use crate::Offset;
use crate::engine::{SegmentRange, SegmentStat};
use crate::partition::plan::{OFFSET_ENTRY_BYTES, TIME_ENTRY_BYTES};
use crate::partition::{LogOptions, Partition};

/// What there is to compact in a log. Kafka's `LogToClean`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cleanable {
    /// Everything below has been compacted before.
    pub first_dirty: Offset,
    /// The base of the first segment that is left alone; `first_dirty` when nothing is cleanable.
    pub first_uncleanable: Offset,
    /// Bytes of the segments that begin below `first_dirty`.
    pub clean_bytes: u64,
    /// Bytes of the segments from there to `first_uncleanable`.
    pub cleanable_bytes: u64,
    /// How much longer than `max.compaction.lag.ms` the oldest dirty records have waited; 0 when
    /// they may wait.
    pub delay_ms: i64,
    /// `min.cleanable.dirty.ratio` of the log.
    pub dirty_ratio_min: f64,
}

impl Cleanable {
    pub fn total_bytes(&self) -> u64 {
        self.clean_bytes + self.cleanable_bytes
    }

    /// The share of the bytes that is dirty, 0 to 1: among several logs, the one with the largest
    /// comes first.
    pub fn dirty_ratio(&self) -> f64 {
        if self.total_bytes() == 0 {
            return 0.0;
        }
        self.cleanable_bytes as f64 / self.total_bytes() as f64
    }

    /// Whether it is worth it, or has waited for too long.
    pub fn is_due(&self) -> bool {
        let must_be = self.delay_ms > 0 && self.cleanable_bytes > 0;
        must_be || self.dirty_ratio() > self.dirty_ratio_min
    }
}

/// Segments that become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) range: SegmentRange,
    pub(super) segments: usize,
    pub(super) bytes: u64,
}

impl Partition {
    /// `None` when there is no sealed segment.
    pub(super) fn plan_cleaning(&self, options: &LogOptions, now_ms: i64) -> Option<Cleanable> {
        let last_stable = self.last_stable();
        let segments = self.engine.segments();
        let (active, sealed) = segments.split_last()?;
        sealed.first()?;
        let log_start = self.log_start();
        // What lies outside of the log was noted before it was cut, and means nothing any more.
        let first_dirty = self
            .engine
            .cleaned_to()
            .filter(|cleaned_to| (log_start..=self.log_end()).contains(cleaned_to))
            .unwrap_or(log_start);
        let dirty = &sealed[sealed.partition_point(|segment| segment.end <= first_dirty)..];
        let lag_ms = options.compaction.lag_ms_min;
        let too_young = dirty
            .iter()
            .find(|segment| lag_ms > 0 && segment.latest_ms() > now_ms.saturating_sub(lag_ms));
        let uncleanable = last_stable
            .min(active.base)
            .min(too_young.map_or(active.base, |segment| segment.base));
        // Segments are compacted as a whole.
        let first_uncleanable = sealed
            .iter()
            .find(|segment| segment.end > uncleanable)
            .map_or(active.base, |segment| segment.base);
        let cleanable = dirty
            .iter()
            .filter(|segment| segment.end <= first_uncleanable);
        Some(Cleanable {
            first_dirty,
            first_uncleanable: first_uncleanable.max(first_dirty),
            clean_bytes: bytes_of(sealed.iter().filter(|segment| segment.base < first_dirty)),
            cleanable_bytes: bytes_of(cleanable),
            delay_ms: delay_ms(dirty, options, now_ms),
            dirty_ratio_min: options.compaction.dirty_ratio_min,
        })
    }
}

/// How much longer than it may the oldest of the segments has been dirty.
fn delay_ms(dirty: &[SegmentStat], options: &LogOptions, now_ms: i64) -> i64 {
    let Some(lag_ms) = options.compaction.lag_ms_max else {
        return 0;
    };
    let earliest_ms = dirty
        .iter()
        .map(|segment| segment.first_timestamp_ms)
        .filter(|timestamp_ms| *timestamp_ms > 0)
        .min();
    earliest_ms.map_or(0, |earliest_ms| {
        let due_ms = earliest_ms.saturating_add(lag_ms);
        now_ms.saturating_sub(due_ms).max(0)
    })
}

/// The segments that begin below `end`, in groups of which each fits in one segment.
/// `Cleaner.groupSegmentsBySize`.
pub(super) fn groups(segments: &[SegmentStat], options: &LogOptions, end: Offset) -> Vec<Group> {
    let sealed = &segments[..segments.len().saturating_sub(1)];
    let mut groups: Vec<Group> = Vec::new();
    let mut index_entries = 0;
    for segment in sealed.iter().take_while(|segment| segment.base < end) {
        let entries = index_entries + segment.index_entries + 1;
        let index_bytes_max = u64::from(options.segment_index_bytes);
        let fits_index = entries * OFFSET_ENTRY_BYTES.max(TIME_ENTRY_BYTES) <= index_bytes_max;
        match groups.last_mut() {
            Some(group)
                if fits_index
                    && group.bytes + segment.bytes <= u64::from(options.segment_bytes)
                    && (segment.bytes == 0 || is_in_reach(group.range.base, segment.end)) =>
            {
                group.range.end = segment.end;
                group.segments += 1;
                group.bytes += segment.bytes;
                index_entries = entries;
            }
            Some(_) | None => {
                groups.push(Group {
                    range: SegmentRange {
                        base: segment.base,
                        end: segment.end,
                    },
                    segments: 1,
                    bytes: segment.bytes,
                });
                index_entries = segment.index_entries + 1;
            }
        }
    }
    groups
}

/// Whether an index with this base can name the offsets below `end`.
fn is_in_reach(base: Offset, end: Offset) -> bool {
    end.plus(-1).distance_from(base) <= i64::from(i32::MAX)
}

fn bytes_of<'a>(segments: impl Iterator<Item = &'a SegmentStat>) -> u64 {
    segments.map(|segment| segment.bytes).sum()
}

impl SegmentStat {
    /// The largest timestamp; when it was last written where there is none.
    pub(in crate::partition) fn latest_ms(&self) -> i64 {
        if self.max_timestamp_ms >= 0 {
            self.max_timestamp_ms
        } else {
            self.modified_ms
        }
    }
}
