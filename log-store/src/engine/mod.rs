//! Where batches are kept: the seam under a partition.
//!
//! An engine stores opaque, ordered, epoch-stamped batches and a few small facts that belong with
//! them. It knows no topic names and assigns no offsets. [`disk`] keeps Kafka's own files;
//! [`memory`] keeps everything in memory; both pass the same conformance suite.
//!
//! # Who may call
//! The partition calls `write`, `roll` and `truncate` from one thread at a time. `sync` may run
//! beside them, and so may `trim`, `replace` and everything that reads; `replace` itself only runs
//! once at a time.

#[cfg(test)]
mod conformance;
pub mod disk;
pub mod memory;

use std::fmt;
use std::io;
use std::ops::ControlFlow;

use crate::Offset;
use crate::batch::{Batch, BatchHeader, NO_TIMESTAMP_MS, StampedBatch};
use crate::partition::{AbortedTxn, EpochStart};
use crate::slice::Slice;

/// A place that keeps one log.
///
/// ```text
///   segment 0        segment 1        active segment
///  [start ....... )[............... )[......... durable_end ...... end)
/// ```
///
/// An error of `write`, `roll`, `sync` or `truncate` leaves the engine in a state that only
/// opening it again can tell; the partition goes offline and calls nothing but reads and `close`.
pub trait Engine: Send + Sync + fmt::Debug {
    /// The first offset that the stored batches may contain: where the first segment begins.
    fn start(&self) -> Offset;

    /// Where the next batch goes: after the last one written.
    fn end(&self) -> Offset;

    /// Everything below has been made to last. Follows `end` in an engine for which writing is
    /// enough.
    fn durable_end(&self) -> Offset;

    /// Where the batches begin that opening the engine found unproven and checked one by one;
    /// `None` after a clean shutdown.
    fn recovered_from(&self) -> Option<Offset>;

    /// Appends `batches`, which must be in offset order and not below `end`. When it returns they
    /// can be read.
    ///
    /// # Errors
    /// When not all of them could be written.
    fn write(&self, batches: &[StampedBatch], pace: IndexPace) -> io::Result<()>;

    /// Ends the active segment, and begins one whose first batch will be at `base` or above.
    /// `producers` is the producer state below `base`, kept as by `save_producers`.
    fn roll(&self, base: Offset, producers: &[u8], now_ms: i64) -> io::Result<()>;

    /// Makes everything that was written before the call last, and returns the new durable end.
    ///
    /// # Errors
    /// When the disk refused. Nothing may then be taken for durable that was not before, and the
    /// call must not be repeated: the kernel forgets the failed pages.
    fn sync(&self) -> io::Result<Offset>;

    /// Whole batches from the one that contains `from` on (or follows it, when that offset was
    /// compacted away), all below `end`.
    ///
    /// # Errors
    /// Those of the disk; `InvalidData` when what is stored is no batch.
    fn read(&self, range: ReadRange) -> io::Result<Vec<Slice>>;

    /// Shows the headers of the batches from the one that contains `from` on, until `visit` breaks.
    ///
    /// # Errors
    /// As [`Engine::read`].
    fn scan(
        &self,
        from: Offset,
        visit: &mut dyn FnMut(&BatchHeader) -> ControlFlow<()>,
    ) -> io::Result<()>;

    /// An offset at or below the first batch that has a timestamp of at least `timestamp_ms`, as
    /// near to it as the indexes tell.
    ///
    /// # Errors
    /// As [`Engine::read`].
    fn timestamp_floor(&self, timestamp_ms: i64) -> io::Result<Offset>;

    /// About how many bytes of batches there are from `from` to `end`, as far as the indexes in
    /// memory tell: rather too many than too few, and without touching the disk.
    fn bytes_between(&self, from: Offset, end: Offset) -> u64;

    /// All segments, oldest first; the last one is the active one. Never empty.
    fn segments(&self) -> Vec<SegmentStat>;

    /// Forgets whole segments that end at or below `before`, the active one excepted.
    fn trim(&self, before: Offset) -> io::Result<()>;

    /// Forgets every batch that reaches `end` or beyond, and everything saved about them.
    fn truncate(&self, end: Offset) -> io::Result<()>;

    /// Puts one segment in the place of the sealed segments of `range`, with what `fill` gives it.
    /// Whoever reads sees the old ones or the new one; what was read from the old ones stays
    /// readable. Producer states that were saved within the range are forgotten, and so are the
    /// aborted transactions with markers in it, save those that `fill` returns. When the call
    /// returns, all of it lasts; after a crash there are the old segments or the new one.
    ///
    /// `fill` may take its time: nothing waits for it. When segments of the range are trimmed
    /// meanwhile, or the log is closed, nothing happens.
    ///
    /// # Errors
    /// See [`ReplaceError`].
    fn replace(
        &self,
        range: SegmentRange,
        pace: IndexPace,
        fill: &mut Fill<'_>,
    ) -> Result<Replaced, ReplaceError>;

    /// The offset that was saved last with `save_cleaned_to`.
    fn cleaned_to(&self) -> Option<Offset>;

    /// Remembers up to where the log was compacted. It lasts when the call returns.
    fn save_cleaned_to(&self, cleaned_to: Offset) -> io::Result<()>;

    /// The producer state that was saved at the largest offset not above `at_most`.
    ///
    /// # Errors
    /// Those of the disk. What the bytes mean is the caller's business.
    fn producers(&self, at_most: Offset) -> io::Result<Option<(Offset, Vec<u8>)>>;

    /// Keeps the producer state below `at` until the segment that begins there is trimmed.
    fn save_producers(&self, at: Offset, producers: &[u8]) -> io::Result<()>;

    /// The leader epochs that were saved last, oldest first.
    fn epochs(&self) -> io::Result<Vec<EpochStart>>;

    /// Replaces the saved leader epochs. They last from the next `sync` or `close` on.
    fn save_epochs(&self, epochs: &[EpochStart]) -> io::Result<()>;

    /// The aborted transactions whose markers are stored, by marker offset.
    fn aborted(&self) -> io::Result<Vec<AbortedTxn>>;

    /// Adds an aborted transaction whose marker is in the active segment.
    fn save_aborted(&self, txn: AbortedTxn) -> io::Result<()>;

    /// Forgets the aborted transactions whose markers are at `from` or behind it, and the producer
    /// states above `from`: they are made anew from the batches after a crash.
    fn forget_from(&self, from: Offset) -> io::Result<()>;

    /// The log start that was saved last; `start` when none was.
    fn log_start(&self) -> Offset;

    /// Remembers where the log starts. It lasts when the call returns.
    fn save_log_start(&self, log_start: Offset) -> io::Result<()>;

    /// Remembers that nothing below `durable_end` needs to be checked after a crash. Only a hint,
    /// which may be lost; no IO.
    fn checkpoint(&self);

    /// The base of the active segment, when so much was written to it since its landmarks were
    /// saved that a check after a crash would take a while.
    fn landmarks_due(&self) -> Option<Offset>;

    /// Saves what lets a check after a crash begin in the middle of the active segment. Only a
    /// hint, which may be lost; nothing is done when another segment is active by now.
    ///
    /// # Errors
    /// Those of the disk; the log is none the worse.
    fn save_landmarks(&self, landmarks: Landmarks) -> io::Result<()>;

    /// Waits for whoever is just removing or replacing segments, and lets nobody begin to: from now
    /// on the files are somebody else's.
    fn retire(&self);

    /// Writes what `close` makes last; `producers` is the producer state at `end`. Nothing else is
    /// written from now on.
    fn prepare_close(&self, producers: &[u8]) -> io::Result<()>;

    /// Makes everything last and lets go of all files, after `prepare_close`.
    fn close(&self) -> io::Result<()>;
}

/// What is known about the middle of an active segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landmarks {
    pub base: Offset,
    /// The producer state below an offset. Only when no transaction was aborted between `base` and
    /// there: whoever begins at this state does not learn of it.
    pub producers: Option<(Offset, Vec<u8>)>,
}

/// Sealed segments that follow each other: from the one that begins at `base` to the one that ends
/// at `end` (exclusive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentRange {
    pub base: Offset,
    pub end: Offset,
}

impl SegmentRange {
    pub fn contains(&self, offset: Offset) -> bool {
        self.base <= offset && offset < self.end
    }
}

/// Gives a new segment its batches. Called once.
pub type Fill<'a> = dyn FnMut(&mut dyn SegmentSink) -> io::Result<Filled> + 'a;

/// Takes the batches of a new segment.
pub trait SegmentSink {
    /// Appends a batch that has its place already: behind the ones before, and within the range.
    fn push(&mut self, batch: &Batch) -> io::Result<()>;
}

/// How filling a new segment has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filled {
    /// With the aborted transactions whose markers are in it, by marker.
    Completely { aborted: Vec<AbortedTxn> },
    /// It is not wanted any more.
    GivenUp,
}

/// What has become of a replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    Done,
    /// Everything is as it was.
    NotNow,
}

/// Why segments could not be replaced.
#[derive(Debug)]
pub enum ReplaceError {
    /// Everything is as it was, and the engine can go on.
    Unchanged(io::Error),
    /// Only opening the engine again can tell which segments there are.
    Unknown(io::Error),
}

/// What to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRange {
    pub from: Offset,
    /// Exclusive, and a batch boundary: no batch that reaches it or beyond is returned.
    pub end: Offset,
    pub bytes_max: usize,
    pub first_batch: FirstBatch,
}

/// What happens when the first batch alone is larger than the reader asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstBatch {
    /// It is returned nevertheless (KIP-74).
    Always,
    /// Nothing is returned.
    WithinLimit,
}

/// What an engine tells about one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentStat {
    pub base: Offset,
    /// Exclusive: the base of the next segment, or the end of the log.
    pub end: Offset,
    pub bytes: u64,
    /// -1 when no batch has a timestamp.
    pub max_timestamp_ms: i64,
    /// The last offset of the first batch that has the max timestamp.
    pub max_timestamp_offset: Offset,
    /// The max timestamp of the first batch, which the age of the segment counts from (-1 when
    /// there is none).
    pub first_timestamp_ms: i64,
    /// When the segment was created or last written, for segments without timestamps.
    pub modified_ms: i64,
    /// Entries in the offset index.
    pub index_entries: u64,
    /// Bytes written since the last of them.
    pub bytes_since_entry: u64,
}

impl SegmentStat {
    /// A segment without batches.
    pub(crate) fn empty(base: Offset, now_ms: i64) -> SegmentStat {
        SegmentStat {
            base,
            end: base,
            bytes: 0,
            max_timestamp_ms: NO_TIMESTAMP_MS,
            max_timestamp_offset: base,
            first_timestamp_ms: NO_TIMESTAMP_MS,
            modified_ms: now_ms,
            index_entries: 0,
            bytes_since_entry: 0,
        }
    }
}

/// How often an index entry is made: before a batch when more than `interval_bytes` were written
/// since the last one. The partition plans segments by the same rule, so that it knows when an
/// index is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexPace {
    pub interval_bytes: u32,
}

impl IndexPace {
    /// Whether a batch of `batch_bytes` gets an entry; counts it.
    pub(crate) fn takes_entry(self, bytes_since_entry: &mut u64, batch_bytes: u64) -> bool {
        let takes = *bytes_since_entry > u64::from(self.interval_bytes);
        if takes {
            *bytes_since_entry = 0;
        }
        *bytes_since_entry += batch_bytes;
        takes
    }
}
