//! A log in memory, for tests and for whoever wants nothing kept. Writing is all the durability it
//! has.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::{ControlFlow, Range};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;

use super::{
    Engine, Fill, Filled, FirstBatch, IndexPace, Landmarks, ReadRange, ReplaceError, Replaced,
    SegmentRange, SegmentSink, SegmentStat,
};
use crate::Offset;
use crate::batch::{Batch, BatchHeader, StampedBatch};
use crate::partition::{AbortedTxn, EpochStart};
use crate::slice::Slice;

/// The engine in memory.
pub struct MemoryEngine {
    log: RwLock<Log>,
}

struct Log {
    segments: Vec<Segment>,
    producers: BTreeMap<Offset, Vec<u8>>,
    epochs: Vec<EpochStart>,
    aborted: Vec<AbortedTxn>,
    log_start: Offset,
    cleaned_to: Option<Offset>,
    is_retired: bool,
}

struct Segment {
    stat: SegmentStat,
    /// By last offset.
    batches: BTreeMap<Offset, Stored>,
}

struct Stored {
    header: BatchHeader,
    bytes: Bytes,
}

impl MemoryEngine {
    /// An empty log that starts at offset 0.
    pub fn new(now_ms: i64) -> MemoryEngine {
        MemoryEngine {
            log: RwLock::new(Log {
                segments: vec![Segment::empty(Offset::ZERO, now_ms)],
                producers: BTreeMap::new(),
                epochs: Vec::new(),
                aborted: Vec::new(),
                log_start: Offset::ZERO,
                cleaned_to: None,
                is_retired: false,
            }),
        }
    }

    fn read_log(&self) -> RwLockReadGuard<'_, Log> {
        self.log.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_log(&self) -> RwLockWriteGuard<'_, Log> {
        self.log.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn active(&self) -> &Segment {
        self.segments.last().expect("there is always a segment")
    }

    fn active_mut(&mut self) -> &mut Segment {
        self.segments.last_mut().expect("there is always a segment")
    }

    fn batches_from(&self, from: Offset) -> impl Iterator<Item = &Stored> {
        let first = self
            .segments
            .partition_point(|segment| segment.stat.end <= from);
        self.segments[first..]
            .iter()
            .flat_map(move |segment| segment.batches.range(from..).map(|(_, stored)| stored))
    }
}

impl Log {
    /// Which places the sealed segments of `range` have; `None` when they are not there (any more).
    fn places(&self, range: SegmentRange) -> Option<Range<usize>> {
        let sealed = &self.segments[..self.segments.len() - 1];
        let first = sealed
            .iter()
            .position(|segment| segment.stat.base == range.base)?;
        let last = sealed
            .iter()
            .position(|segment| segment.stat.end == range.end)?;
        (first <= last).then_some(first..last + 1)
    }
}

/// The batches of a new segment, until it takes its place.
#[derive(Default)]
struct Staged {
    batches: Vec<Stored>,
}

impl SegmentSink for Staged {
    fn push(&mut self, batch: &Batch) -> io::Result<()> {
        self.batches.push(Stored {
            header: *batch.header(),
            // Copied, so that what it was read with does not stay.
            bytes: Bytes::copy_from_slice(batch.bytes()),
        });
        Ok(())
    }
}

impl Segment {
    fn empty(base: Offset, now_ms: i64) -> Segment {
        Segment {
            stat: SegmentStat::empty(base, now_ms),
            batches: BTreeMap::new(),
        }
    }

    fn push(&mut self, stored: Stored, pace: IndexPace) {
        let header = stored.header;
        let stat = &mut self.stat;
        if stat.bytes == 0 {
            stat.first_timestamp_ms = header.max_timestamp_ms;
        }
        if header.max_timestamp_ms > stat.max_timestamp_ms {
            stat.max_timestamp_ms = header.max_timestamp_ms;
            stat.max_timestamp_offset = header.last_offset();
        }
        let batch_bytes = header.total_bytes() as u64;
        if pace.takes_entry(&mut stat.bytes_since_entry, batch_bytes) {
            stat.index_entries += 1;
        }
        stat.bytes += batch_bytes;
        stat.end = header.end_offset();
        self.batches.insert(header.last_offset(), stored);
    }
}

impl Engine for MemoryEngine {
    fn start(&self) -> Offset {
        self.read_log().segments[0].stat.base
    }

    fn end(&self) -> Offset {
        self.read_log().active().stat.end
    }

    fn durable_end(&self) -> Offset {
        self.end()
    }

    fn recovered_from(&self) -> Option<Offset> {
        None
    }

    fn write(&self, batches: &[StampedBatch], pace: IndexPace) -> io::Result<()> {
        let mut log = self.write_log();
        for batch in batches {
            let header = *batch.header();
            let active = log.active_mut();
            assert!(header.base_offset >= active.stat.end);
            let stored = Stored {
                header,
                // Copied, so that the memory of the request does not stay.
                bytes: batch.to_bytes(),
            };
            active.push(stored, pace);
        }
        Ok(())
    }

    fn roll(&self, base: Offset, producers: &[u8], now_ms: i64) -> io::Result<()> {
        let mut log = self.write_log();
        let active = log.active_mut();
        assert!(base >= active.stat.end);
        if active.stat.base == base {
            return Ok(());
        }
        active.stat.end = base;
        log.producers.insert(base, producers.to_vec());
        log.segments.push(Segment::empty(base, now_ms));
        Ok(())
    }

    fn sync(&self) -> io::Result<Offset> {
        Ok(self.end())
    }

    fn read(&self, range: ReadRange) -> io::Result<Vec<Slice>> {
        let log = self.read_log();
        let mut slices = Vec::new();
        let mut left_bytes = range.bytes_max;
        for stored in log.batches_from(range.from) {
            if stored.header.last_offset() >= range.end {
                break;
            }
            let batch_bytes = stored.bytes.len();
            let is_first = slices.is_empty() && range.first_batch == FirstBatch::Always;
            if batch_bytes > left_bytes && !is_first {
                break;
            }
            left_bytes = left_bytes.saturating_sub(batch_bytes);
            slices.push(Slice::Bytes(stored.bytes.clone()));
        }
        Ok(slices)
    }

    fn scan(
        &self,
        from: Offset,
        visit: &mut dyn FnMut(&BatchHeader) -> ControlFlow<()>,
    ) -> io::Result<()> {
        let log = self.read_log();
        let headers: Vec<BatchHeader> =
            log.batches_from(from).map(|stored| stored.header).collect();
        // The visitor may come back for the batches themselves.
        drop(log);
        for header in &headers {
            if visit(header).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn timestamp_floor(&self, timestamp_ms: i64) -> io::Result<Offset> {
        let log = self.read_log();
        let holds = |segment: &&Segment| segment.stat.max_timestamp_ms >= timestamp_ms;
        let segment = log.segments.iter().find(holds);
        Ok(segment.map_or(log.active().stat.end, |segment| segment.stat.base))
    }

    fn bytes_between(&self, from: Offset, end: Offset) -> u64 {
        let log = self.read_log();
        log.batches_from(from)
            .take_while(|stored| stored.header.last_offset() < end)
            .map(|stored| stored.bytes.len() as u64)
            .sum()
    }

    fn segments(&self) -> Vec<SegmentStat> {
        let log = self.read_log();
        log.segments.iter().map(|segment| segment.stat).collect()
    }

    fn trim(&self, before: Offset) -> io::Result<()> {
        let mut log = self.write_log();
        let sealed = log.segments.len() - 1;
        let gone = log.segments[..sealed].partition_point(|segment| segment.stat.end <= before);
        log.segments.drain(..gone);
        let start = log.segments[0].stat.base;
        log.producers.retain(|at, _| *at >= start);
        log.aborted.retain(|txn| txn.last_offset >= start);
        Ok(())
    }

    fn truncate(&self, end: Offset) -> io::Result<()> {
        let mut log = self.write_log();
        while log.segments.len() > 1 && log.active().stat.base >= end {
            log.segments.pop();
        }
        let active = log.active_mut();
        let modified_ms = active.stat.modified_ms;
        let kept = std::mem::replace(active, Segment::empty(active.stat.base, modified_ms));
        // Index entries are only counted, and nothing here is full before a disk would be.
        let pace = IndexPace {
            interval_bytes: u32::MAX,
        };
        for (last_offset, stored) in kept.batches {
            if last_offset < end {
                active.push(stored, pace);
            }
        }
        let end = active.stat.end;
        log.producers.retain(|at, _| *at <= end);
        log.aborted.retain(|txn| txn.last_offset < end);
        Ok(())
    }

    fn replace(
        &self,
        range: SegmentRange,
        pace: IndexPace,
        fill: &mut Fill<'_>,
    ) -> Result<Replaced, ReplaceError> {
        let mut staged = Staged::default();
        let filled = fill(&mut staged).map_err(ReplaceError::Unchanged)?;
        let Filled::Completely { aborted } = filled else {
            return Ok(Replaced::NotNow);
        };
        let mut log = self.write_log();
        let Some(places) = log.places(range).filter(|_| !log.is_retired) else {
            return Ok(Replaced::NotNow);
        };
        let modified_ms = log.segments[places.end - 1].stat.modified_ms;
        let mut segment = Segment::empty(range.base, modified_ms);
        for stored in staged.batches {
            assert!(stored.header.base_offset >= segment.stat.end);
            assert!(stored.header.end_offset() <= range.end);
            segment.push(stored, pace);
        }
        segment.stat.end = range.end;
        log.segments.splice(places, [segment]);
        log.producers
            .retain(|at, _| *at == range.base || !range.contains(*at));
        log.aborted.retain(|txn| !range.contains(txn.last_offset));
        log.aborted.extend(aborted);
        log.aborted.sort_by_key(|txn| txn.last_offset);
        Ok(Replaced::Done)
    }

    fn cleaned_to(&self) -> Option<Offset> {
        self.read_log().cleaned_to
    }

    fn save_cleaned_to(&self, cleaned_to: Offset) -> io::Result<()> {
        self.write_log().cleaned_to = Some(cleaned_to);
        Ok(())
    }

    fn retire(&self) {
        self.write_log().is_retired = true;
    }

    fn producers(&self, at_most: Offset) -> io::Result<Option<(Offset, Vec<u8>)>> {
        let log = self.read_log();
        let newest = log.producers.range(..=at_most).next_back();
        Ok(newest.map(|(at, producers)| (*at, producers.clone())))
    }

    fn save_producers(&self, at: Offset, producers: &[u8]) -> io::Result<()> {
        self.write_log().producers.insert(at, producers.to_vec());
        Ok(())
    }

    fn epochs(&self) -> io::Result<Vec<EpochStart>> {
        Ok(self.read_log().epochs.clone())
    }

    fn save_epochs(&self, epochs: &[EpochStart]) -> io::Result<()> {
        self.write_log().epochs = epochs.to_vec();
        Ok(())
    }

    fn aborted(&self) -> io::Result<Vec<AbortedTxn>> {
        Ok(self.read_log().aborted.clone())
    }

    fn save_aborted(&self, txn: AbortedTxn) -> io::Result<()> {
        self.write_log().aborted.push(txn);
        Ok(())
    }

    fn forget_from(&self, from: Offset) -> io::Result<()> {
        let mut log = self.write_log();
        log.aborted.retain(|txn| txn.last_offset < from);
        log.producers.retain(|at, _| *at <= from);
        Ok(())
    }

    fn log_start(&self) -> Offset {
        let log = self.read_log();
        log.log_start.max(log.segments[0].stat.base)
    }

    fn save_log_start(&self, log_start: Offset) -> io::Result<()> {
        self.write_log().log_start = log_start;
        Ok(())
    }

    fn checkpoint(&self) {}

    fn landmarks_due(&self) -> Option<Offset> {
        None
    }

    fn save_landmarks(&self, _landmarks: Landmarks) -> io::Result<()> {
        Ok(())
    }

    fn prepare_close(&self, producers: &[u8]) -> io::Result<()> {
        self.save_producers(self.end(), producers)
    }

    fn close(&self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for MemoryEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = self.read_log();
        f.debug_struct("MemoryEngine")
            .field("segments", &log.segments.len())
            .field("end", &log.active().stat.end)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::conformance::{self, Subject};
    use super::MemoryEngine;
    use crate::testing::NOW_MS;

    struct InMemory;

    impl Subject for InMemory {
        type Engine = MemoryEngine;

        fn create(&mut self) -> MemoryEngine {
            MemoryEngine::new(NOW_MS)
        }

        fn reopen(&mut self, _engine: MemoryEngine) -> Option<MemoryEngine> {
            None
        }
    }

    #[test]
    fn memory_does_what_an_engine_must() {
        // The conformance suite.
        conformance::run(&mut InMemory);
    }
}
