//! Compaction: of the records with one key, the last one stays. Kafka's `Cleaner`, `LogCleaner` and
//! `LogCleanerManager`.
//!
//! ```text
//!  log start          first dirty           first uncleanable          log end
//!     |  compacted before  |  may be compacted now  |  not touched        |
//!     [====================|========================|=====================)
//!                          '-- its keys go into the map: as many as fit
//!     '-- rewritten, segment by segment, up to where the map reaches --'
//! ```
//! The first uncleanable offset is the base of a segment: that of the active one, of the one that
//! the last stable offset lies in, or of the first whose records are younger than
//! `min.compaction.lag.ms`.
//!
//! # What the caller owes
//! The partition does nothing on its own. Whoever owns the partitions runs as many workers as there
//! are `log.cleaner.threads`, each with a [`Cleaner`] of its own, on threads that may block. A
//! worker asks every partition for [`Partition::cleanable`], takes the one with the largest
//! [`Cleanable::dirty_ratio`] among those for which [`Cleanable::is_due`] says so, calls
//! [`Partition::clean`], and looks again; when nothing is due it waits for `log.cleaner.backoff.ms`.
//! All workers share one [`Throttle`]. Changed topic configs reach a partition by
//! [`Partition::set_options`], changed broker configs the cleaner by its `settings` and
//! [`Throttle::set_rate`]. At shutdown, [`Throttle::stop`] ends what is under way, before the logs
//! are closed.

mod error;
mod offset_map;
mod plan;
mod retention;
mod source;
mod throttle;
mod txns;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use self::offset_map::OffsetMap;
use self::retention::Retention;
use self::source::Source;
use self::txns::CleanedTxns;
use super::{AbortedTxn, LogOptions, Partition, append};
use crate::Offset;
use crate::batch::Batch;
use crate::engine::{Filled, ReplaceError, Replaced, SegmentRange, SegmentSink};

pub use error::{CleanError, Uncleanable};
pub use plan::Cleanable;
pub use throttle::Throttle;

/// Bytes that the records of one batch may take when they are decompressed.
const BATCH_BYTES_MAX: usize = i32::MAX as usize;

/// What a worker compacts with.
#[derive(Clone, Debug)]
pub struct Cleaner {
    pub settings: CleanerSettings,
    /// Shared by all workers.
    pub throttle: Arc<Throttle>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CleanerSettings {
    /// Memory for the map of keys: the worker's share of `log.cleaner.dedupe.buffer.size`. Taken
    /// while a log is being cleaned, and no more than its dirty part can need.
    pub dedupe_buffer_bytes: u64,
    /// `log.cleaner.io.buffer.load.factor`: how full the map may become, 0 to 1.
    pub load_factor: f64,
    /// Bytes that are read at once: the worker's share of `log.cleaner.io.buffer.size`. A larger
    /// batch is read alone.
    pub io_buffer_bytes: usize,
    /// A random number that no client knows.
    pub hash_seed: u64,
}

impl Default for CleanerSettings {
    /// Those of one worker with Kafka's defaults; the seed must be given.
    fn default() -> CleanerSettings {
        CleanerSettings {
            dedupe_buffer_bytes: 128 << 20,
            load_factor: 0.9,
            io_buffer_bytes: 512 << 10,
            hash_seed: 0,
        }
    }
}

/// What a cleaning has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleanReport {
    /// The first offset that is still dirty.
    pub cleaned_to: Offset,
    /// Keys that were found in the dirty part.
    pub keys: usize,
    /// Bytes of the segments that were read to be rewritten, and of what was written.
    pub bytes_before: u64,
    pub bytes_after: u64,
    pub segments_before: usize,
    pub segments_after: usize,
}

impl Partition {
    /// What there is to compact now, as `LogCleanerManager.cleanableOffsets` finds it. `None` when
    /// the policy is another, the log is empty, somebody is at it, or it cannot be done. No IO.
    pub fn cleanable(&self, now_ms: i64) -> Option<Cleanable> {
        let options = self.options();
        if !options.cleanup.compacts() || self.offline().is_some() || self.uncleanable().is_some() {
            return None;
        }
        if self.is_cleaning.load(Ordering::Acquire) {
            return None;
        }
        self.plan_cleaning(&options, now_ms)
            .filter(|cleanable| cleanable.total_bytes() > 0)
    }

    /// Why the log is not compacted any more, until it is opened again, if so.
    pub fn uncleanable(&self) -> Option<Uncleanable> {
        self.uncleanable.get().cloned()
    }

    /// Compacts what is [`cleanable`](Partition::cleanable), due or not: as much of it as has room
    /// in the map. Appending and reading go on. Blocks on the disk and on the throttle, for long.
    ///
    /// # Errors
    /// See [`CleanError`]. Segments that were finished before stay compacted; no record is lost.
    pub fn clean(&self, cleaner: &Cleaner, now_ms: i64) -> Result<CleanReport, CleanError> {
        let _turn = Turn::take(&self.is_cleaning).ok_or(CleanError::Busy)?;
        if let Some(uncleanable) = self.uncleanable() {
            return Err(CleanError::Uncleanable(uncleanable));
        }
        let result = Cleaning::begin(self, cleaner, now_ms).and_then(Cleaning::run);
        if let Err(CleanError::Uncleanable(uncleanable)) = &result {
            tracing::error!(log = ?self.engine, %uncleanable, "the log is not compacted any more");
            let _ = self.uncleanable.set(uncleanable.clone());
        }
        result
    }
}

/// The right to compact a log, for one at a time.
struct Turn<'a>(&'a AtomicBool);

impl Turn<'_> {
    fn take(is_taken: &AtomicBool) -> Option<Turn<'_>> {
        let was_taken = is_taken.swap(true, Ordering::AcqRel);
        (!was_taken).then_some(Turn(is_taken))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// One cleaning of one log.
struct Cleaning<'a> {
    partition: &'a Partition,
    cleaner: &'a Cleaner,
    options: Arc<LogOptions>,
    cleanable: Cleanable,
    now_ms: i64,
    report: CleanReport,
}

impl<'a> Cleaning<'a> {
    fn begin(
        partition: &'a Partition,
        cleaner: &'a Cleaner,
        now_ms: i64,
    ) -> Result<Cleaning<'a>, CleanError> {
        partition.check_online()?;
        let options = partition.options();
        let cleanable = partition
            .plan_cleaning(&options, now_ms)
            .filter(|_| options.cleanup.compacts())
            .ok_or(CleanError::Stopped)?;
        let report = CleanReport {
            cleaned_to: cleanable.first_dirty,
            ..CleanReport::default()
        };
        Ok(Cleaning {
            partition,
            cleaner,
            options,
            cleanable,
            now_ms,
            report,
        })
    }

    fn run(mut self) -> Result<CleanReport, CleanError> {
        if self.cleanable.first_dirty >= self.cleanable.first_uncleanable {
            return Ok(self.report);
        }
        // What takes the place of older records must not be lost after they are gone.
        if self.partition.durable_end() < self.cleanable.first_uncleanable {
            self.partition.sync_now();
            self.partition.check_online()?;
        }
        let map = self.map_keys()?;
        let end = map.latest().plus(1);
        let groups = plan::groups(&self.partition.engine.segments(), &self.options, end);
        let mut txns = CleanedTxns::new(self.partition.lock_aborted().clone());
        for group in groups {
            self.clean_group(&group, &map, &mut txns)?;
        }
        self.report.keys = map.entry_count();
        self.report.cleaned_to = end;
        let saved = self.partition.engine.save_cleaned_to(end);
        saved.map_err(|error| CleanError::Io(error.to_string()))?;
        tracing::debug!(log = ?self.partition.engine, report = ?self.report, "compacted a log");
        Ok(self.report)
    }

    /// The keys of the dirty part, from its start on, until there is no more room.
    fn map_keys(&self) -> Result<OffsetMap, CleanError> {
        let Cleanable {
            first_dirty,
            first_uncleanable,
            ..
        } = self.cleanable;
        let settings = &self.cleaner.settings;
        // No more keys than offsets.
        let keys_max = first_uncleanable.distance_from(first_dirty);
        let mut map = OffsetMap::new(
            settings.dedupe_buffer_bytes,
            settings.load_factor,
            u64::try_from(keys_max).unwrap_or(0),
            settings.hash_seed,
        );
        map.reached(first_dirty.plus(-1));
        let mut aborted = self.partition.lock_aborted().clone();
        aborted.retain(|txn| txn.last_offset >= first_dirty);
        let mut txns = CleanedTxns::new(aborted);
        let mut source = self.source(SegmentRange {
            base: first_dirty,
            end: first_uncleanable,
        });
        while let Some(batch) = source.next()? {
            let header = batch.header();
            if header.attributes.is_control() {
                txns.is_marker_spent(&batch);
            } else if !txns.is_aborted(header) && !self.map_batch(&batch, &mut map)? {
                return Ok(map);
            }
            map.reached(header.last_offset());
        }
        map.reached(first_uncleanable.plus(-1));
        Ok(map)
    }

    /// Whether all keys of the batch had room.
    fn map_batch(&self, batch: &Batch, map: &mut OffsetMap) -> Result<bool, CleanError> {
        let unreadable = |error| Uncleanable::batch(batch.header().base_offset, &error);
        for record in batch.records(BATCH_BYTES_MAX).map_err(unreadable)?.iter() {
            let record = record.map_err(unreadable)?;
            let offset = batch.header().record_offset(record.offset_delta);
            if let Some(key) = record.key
                && offset >= self.cleanable.first_dirty
                && !map.put(key, offset)
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes one segment of those in `group`.
    fn clean_group(
        &mut self,
        group: &plan::Group,
        map: &OffsetMap,
        txns: &mut CleanedTxns,
    ) -> Result<(), CleanError> {
        let retention = Retention::new(self.partition, map, &self.cleanable, self.now_ms);
        let mut failure = None;
        let mut bytes_after = 0;
        let pace = append::index_pace(&self.options);
        let replaced =
            self.partition
                .engine
                .replace(group.range, pace, &mut |sink| match self.fill(
                    group.range,
                    &retention,
                    txns,
                    sink,
                ) {
                    Ok(filled) => {
                        bytes_after = filled.bytes;
                        self.forget_aborted(group.range, &filled.aborted);
                        Ok(Filled::Completely {
                            aborted: filled.aborted,
                        })
                    }
                    Err(error) => {
                        failure = Some(error);
                        Ok(Filled::GivenUp)
                    }
                });
        match replaced {
            Ok(Replaced::Done) => {
                self.report.segments_before += group.segments;
                self.report.segments_after += 1;
                self.report.bytes_before += group.bytes;
                self.report.bytes_after += bytes_after;
                Ok(())
            }
            Ok(Replaced::NotNow) => Err(failure.unwrap_or(CleanError::Stopped)),
            Err(ReplaceError::Unchanged(error)) => Err(CleanError::Io(error.to_string())),
            Err(ReplaceError::Unknown(error)) => {
                let reason = format!("replacing segments failed: {error}");
                Err(self.partition.go_offline(reason).into())
            }
        }
    }

    fn fill(
        &self,
        range: SegmentRange,
        retention: &Retention<'_>,
        txns: &mut CleanedTxns,
        sink: &mut dyn SegmentSink,
    ) -> Result<FilledSegment, CleanError> {
        let mut bytes = 0;
        let mut source = self.source(range);
        while let Some(batch) = source.next()? {
            let kept = retention.kept(batch, txns)?;
            if let Some(kept) = kept {
                let batch_bytes = kept.bytes().len();
                bytes += batch_bytes as u64;
                source.spent(batch_bytes)?;
                sink.push(&kept).map_err(CleanError::from_io)?;
            }
        }
        Ok(FilledSegment {
            bytes,
            aborted: txns.take_kept(),
        })
    }

    /// Readers are told no more of aborted transactions of which nothing is left: not in the new
    /// segment, in which their markers may be missing, and neither in the old ones.
    fn forget_aborted(&self, range: SegmentRange, kept: &[AbortedTxn]) {
        self.partition.lock_aborted().retain(|txn| {
            let place = kept.binary_search_by_key(&txn.last_offset, |kept| kept.last_offset);
            !range.contains(txn.last_offset) || place.is_ok()
        });
    }

    fn source(&self, range: SegmentRange) -> Source<'_> {
        Source::new(self.partition, self.cleaner, range)
    }
}

struct FilledSegment {
    bytes: u64,
    aborted: Vec<AbortedTxn>,
}

impl CleanError {
    fn from_io(error: io::Error) -> CleanError {
        CleanError::Io(error.to_string())
    }
}
