//! One partition: an ordered log of record batches with offsets.
//!
//! An append has two stages. Stage one, [`Partition::append`], decides and orders: under a short
//! lock it checks the producer, assigns the offsets and queues the batch; whoever finds no writer
//! at work then writes the queue out. Stage two is waiting for the promise that the append asked
//! for: [`Partition::committed`]. Stage one never waits for a sync, and dropping stage two loses
//! nothing.
//!
//! A failed write or sync takes the partition offline until it is opened again; no other partition
//! is affected.

mod append;
mod compaction;
mod ends;
mod epochs;
mod error;
mod lookup;
mod marker;
mod open;
mod options;
mod plan;
mod producer_snapshot;
mod producers;
mod read;
mod retention;
#[cfg(test)]
mod tests;
mod txns;
mod verification;
mod waiters;
mod writer;

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use self::ends::EndsCell;
use self::epochs::Epochs;
use self::plan::SegmentPlan;
use self::producers::Producers;
use self::verification::Verifications;
use self::waiters::Waiters;
use self::writer::WriteQueue;
use crate::engine::{Engine, Landmarks};
use crate::syncer::{SyncQueue, SyncTarget, SyncTurn};
use crate::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

pub use append::{AppendOptions, Appended};
pub use compaction::{
    CleanError, CleanReport, Cleanable, Cleaner, CleanerSettings, Throttle, Uncleanable,
};
pub use ends::{Ends, ReadLimit};
pub use epochs::{EpochEnd, EpochStart};
pub use error::{AppendError, DeleteRecordsError, Offline, OpenError, ReadError};
pub use lookup::TimestampOffset;
pub use open::OpenOptions;
pub use options::{Cleanup, Compaction, Durability, FsyncPolicy, LogOptions};
pub use read::ReadSlices;
pub use retention::Retained;
pub use txns::AbortedTxn;
pub use verification::{Verification, VerificationGuard};
pub use waiters::{FetchWait, FetchWake, Reached};

/// How much longer than the longest timeout a transaction may be open before it counts as late: the
/// coordinator may need a while to end it (`ProducerStateManager.LATE_TRANSACTION_BUFFER_MS`).
const LATE_TXN_BUFFER_MS: i64 = 5 * 60 * 1000;

/// A log that is open. Shared as `Arc<Partition>`; every method may be called from any thread.
pub struct Partition {
    engine: Box<dyn Engine>,
    leader_epoch: LeaderEpoch,
    state: Mutex<State>,
    /// Signalled when the writer has taken or finished the queue.
    drained: Condvar,
    ends: EndsCell,
    waiters: Waiters,
    aborted: Mutex<Vec<AbortedTxn>>,
    /// Whether somebody compacts just now.
    is_cleaning: AtomicBool,
    /// Set when compaction has met something that it cannot read.
    uncleanable: OnceLock<Uncleanable>,
    /// Held by whoever moves the log start, so that it never goes back on the disk.
    trimming: Mutex<()>,
    offline: OnceLock<Offline>,
    sync_queue: Arc<SyncQueue>,
    turn: SyncTurn,
    this: Weak<Partition>,
}

/// What an append decides by, all as of the log end.
struct State {
    options: Arc<LogOptions>,
    producers: Producers,
    verifications: Verifications,
    epochs: Epochs,
    /// Whether the engine has `epochs`.
    are_epochs_saved: bool,
    plan: SegmentPlan,
    queue: WriteQueue,
    /// Up to where a sync has been asked for because of `flush.messages`.
    flush_end: Offset,
    /// No append is taken any more.
    is_closed: bool,
}

/// A producer that the log remembers, as DescribeProducers shows it (KIP-664).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveProducer {
    pub producer_id: ProducerId,
    pub epoch: ProducerEpoch,
    /// -1 when no batch is remembered.
    pub last_sequence: i32,
    /// -1 when none is known.
    pub last_timestamp_ms: i64,
    /// -1 when no marker was written.
    pub coordinator_epoch: i32,
    pub txn_first_offset: Option<Offset>,
}

impl Partition {
    /// All ends at one moment.
    pub fn ends(&self) -> Ends {
        self.ends.snapshot()
    }

    pub fn log_start(&self) -> Offset {
        self.ends.log_start()
    }

    pub fn log_end(&self) -> Offset {
        self.ends.log_end()
    }

    pub fn written_end(&self) -> Offset {
        self.ends.written_end()
    }

    pub fn durable_end(&self) -> Offset {
        self.ends.durable_end()
    }

    pub fn high_watermark(&self) -> Offset {
        self.ends.high_watermark()
    }

    pub fn last_stable(&self) -> Offset {
        self.ends.last_stable()
    }

    /// The end (exclusive) that a reader with `limit` may see.
    pub fn limit_end(&self, limit: ReadLimit) -> Offset {
        self.ends.limit(limit)
    }

    /// Resolves once everything below `end` (exclusive, usually
    /// [`Appended::end_offset`]) is committed: it has met the durability that its append asked for.
    /// What acks=all and the coordinators wait for.
    pub fn committed(self: &Arc<Self>, end: Offset) -> Reached {
        Reached::new(Arc::clone(self), ReadLimit::HighWatermark, end)
    }

    /// Resolves once everything below `end` (exclusive) is in the page cache. What acks=1 waits
    /// for.
    pub fn written(self: &Arc<Self>, end: Offset) -> Reached {
        Reached::new(Arc::clone(self), ReadLimit::LogEnd, end)
    }

    /// Changes the settings; they hold from the next append and the next retention pass on.
    pub fn set_options(&self, options: LogOptions) {
        self.lock_any().options = Arc::new(options);
    }

    pub fn options(&self) -> Arc<LogOptions> {
        Arc::clone(&self.lock_any().options)
    }

    /// The epoch that the log was opened at, which new batches are stamped with.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// Where `requested` ended (KIP-101); see [`EpochEnd`].
    pub fn epoch_end_offset(&self, requested: LeaderEpoch) -> EpochEnd {
        self.lock_any().epochs.end_of(requested, self.log_end())
    }

    /// Whether a reader that has read up to `fetch_offset`, and the last batch of which had
    /// `last_fetched_epoch`, has read another history than this log's (KIP-595). If so, where the
    /// histories part.
    pub fn divergence(
        &self,
        last_fetched_epoch: LeaderEpoch,
        fetch_offset: Offset,
    ) -> Option<EpochEnd> {
        let end = self.epoch_end_offset(last_fetched_epoch);
        (end.epoch < last_fetched_epoch || end.end < fetch_offset).then_some(end)
    }

    /// Bytes of all segments.
    pub fn size_bytes(&self) -> u64 {
        self.engine
            .segments()
            .iter()
            .map(|segment| segment.bytes)
            .sum()
    }

    /// The producers that the log remembers, by id.
    pub fn active_producers(&self) -> Vec<ActiveProducer> {
        let state = self.lock_any();
        let mut producers: Vec<ActiveProducer> = state
            .producers
            .iter()
            .map(|(producer_id, producer)| ActiveProducer {
                producer_id,
                epoch: producer.epoch,
                last_sequence: producer.last_sequence(),
                last_timestamp_ms: producer.last_timestamp_ms,
                coordinator_epoch: producer.coordinator_epoch,
                txn_first_offset: producer.txn_first_offset,
            })
            .collect();
        producers.sort_unstable_by_key(|producer| producer.producer_id);
        producers
    }

    /// Forgets producers that have been idle for `producer.id.expiration.ms`, and verifications
    /// that were begun so long ago. Producers with an open transaction stay. To be called every
    /// `producer.id.expiration.check.interval.ms`; no IO.
    pub fn expire_producers(&self, now_ms: i64) {
        let mut state = self.lock_any();
        let expiration_ms = state.options.producer_id_expiration_ms;
        state.producers.expire(now_ms, expiration_ms);
        state.verifications.expire(now_ms, expiration_ms);
    }

    /// Whether the earliest open transaction has been without a batch for so much longer than
    /// `timeout_ms_max` (`transaction.max.timeout.ms`) that its coordinator cannot know of it any
    /// more: it holds readers of committed records back until somebody aborts it (KIP-664).
    pub fn has_late_txn(&self, now_ms: i64, timeout_ms_max: i64) -> bool {
        let allowed_ms = timeout_ms_max.saturating_add(LATE_TXN_BUFFER_MS);
        let earliest = self
            .lock_any()
            .producers
            .iter()
            .filter_map(|(_, producer)| Some((producer.txn_first_offset?, producer)))
            .min_by_key(|(first, _)| *first)
            .map(|(_, producer)| producer.last_timestamp_ms);
        earliest.is_some_and(|last_ms| last_ms > 0 && now_ms.saturating_sub(last_ms) > allowed_ms)
    }

    /// The aborted transactions that a reader of the batches from `from` to `end` (exclusive) must
    /// know of, by marker: also those that began before `from`.
    pub fn aborted_txns(&self, from: Offset, end: Offset) -> Vec<AbortedTxn> {
        let aborted = self.lock_aborted();
        let first = aborted.partition_point(|txn| txn.last_offset < from);
        let mut concerned = Vec::new();
        for txn in &aborted[first..] {
            if txn.first_offset < end {
                concerned.push(*txn);
            }
            // What ends later began where this one left the last stable offset, or behind it.
            if txn.last_stable_offset >= end {
                break;
            }
        }
        concerned
    }

    /// Why the partition cannot be used any more, if so.
    pub fn offline(&self) -> Option<Offline> {
        self.offline.get().cloned()
    }

    /// Whether the partition cannot be used any more. Costs a look.
    pub fn is_offline(&self) -> bool {
        self.offline.get().is_some()
    }

    /// Writes and syncs everything that has been appended so far. Blocks on the disk.
    ///
    /// # Errors
    /// When the partition is, or thereby goes, offline.
    pub fn flush(&self) -> Result<(), Offline> {
        drop(self.lock_drained()?);
        self.sync_now();
        self.check_online()
    }

    /// Remembers what need not be checked after a crash; see [`Engine::checkpoint`].
    pub(crate) fn checkpoint(&self) {
        if self.offline.get().is_some() {
            return;
        }
        if let Some(base) = self.engine.landmarks_due() {
            let landmarks = Landmarks {
                base,
                producers: self.producers_since(base),
            };
            if let Err(error) = self.engine.save_landmarks(landmarks) {
                tracing::warn!(%error, log = ?self.engine, "a check after a crash will take longer");
            }
        }
        self.engine.checkpoint();
    }

    /// The producers below the log end, and where that is; none when a transaction was aborted at
    /// `base` or behind it.
    fn producers_since(&self, base: Offset) -> Option<(Offset, Vec<u8>)> {
        let state = self.lock_any();
        let has_aborted = self
            .lock_aborted()
            .last()
            .is_some_and(|txn| txn.last_offset >= base);
        (!has_aborted).then(|| (self.log_end(), producer_snapshot::encode(&state.producers)))
    }

    /// The first half of [`Partition::close`]: takes no more appends, and writes everything without
    /// waiting for the disk.
    ///
    /// # Errors
    /// As those of the whole.
    pub(crate) fn prepare_close(&self) -> Result<(), Offline> {
        let mut state = self.lock_drained()?;
        self.end_appends(&mut state)
    }

    fn end_appends(&self, state: &mut State) -> Result<(), Offline> {
        if std::mem::replace(&mut state.is_closed, true) {
            return Ok(());
        }
        let producers = producer_snapshot::encode(&state.producers);
        let prepared = self.engine.prepare_close(&producers);
        prepared.map_err(|error| self.go_offline(format!("closing failed: {error}")))
    }

    /// Takes no more appends, writes and syncs what is queued, saves the producer state and lets go
    /// of all files. Whoever still waits gets the answer that is due, or [`Offline`]. Blocks on the
    /// disk; a second call does nothing.
    ///
    /// # Errors
    /// When the disk refused. What was committed before stays so.
    pub fn close(&self) -> Result<(), Offline> {
        let mut state = self.lock_drained()?;
        self.end_appends(&mut state)?;
        if let Err(error) = self.engine.close() {
            return Err(self.go_offline(format!("closing failed: {error}")));
        }
        self.moved(self.ends.synced(self.written_end()));
        let _ = self.offline.set(Offline::new("it was closed"));
        drop(state);
        self.waiters.wake_all();
        Ok(())
    }

    /// Takes no more appends and tells everybody, because the log is being deleted or moved away.
    /// Saves nothing. When this returns, no segment is removed or replaced any more.
    pub fn retire(&self, reason: &str) {
        self.lock_any().is_closed = true;
        let _ = self.offline.set(Offline::new(reason));
        self.drained.notify_all();
        self.waiters.wake_all();
        self.engine.retire();
    }

    fn engine(&self) -> &dyn Engine {
        &*self.engine
    }

    fn ends_cell(&self) -> &EndsCell {
        &self.ends
    }

    fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    fn check_online(&self) -> Result<(), Offline> {
        self.offline.get().cloned().map_or(Ok(()), Err)
    }

    /// The first reason counts. Wakes everybody.
    fn go_offline(&self, reason: String) -> Offline {
        let offline = Offline::new(reason);
        if self.offline.set(offline.clone()).is_ok() {
            tracing::error!(reason = offline.reason(), log = ?self.engine, "partition goes offline");
        }
        self.drained.notify_all();
        self.waiters.wake_all();
        self.offline.get().cloned().unwrap_or(offline)
    }

    /// The state, when the partition is online.
    fn lock_state(&self) -> Result<MutexGuard<'_, State>, Offline> {
        let Ok(state) = self.state.lock() else {
            return Err(self.go_offline("an append panicked".to_owned()));
        };
        self.check_online()?;
        Ok(state)
    }

    /// The state with nothing queued and nobody writing.
    fn lock_drained(&self) -> Result<MutexGuard<'_, State>, Offline> {
        let mut state = self.lock_state()?;
        while state.queue.is_writing() {
            state.queue.waiting_count += 1;
            let Ok(woken) = self.drained.wait(state) else {
                return Err(self.go_offline("an append panicked".to_owned()));
            };
            state = woken;
            state.queue.waiting_count -= 1;
            self.check_online()?;
        }
        Ok(state)
    }

    /// The state, to look at even when the partition is offline.
    fn lock_any(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_aborted(&self) -> MutexGuard<'_, Vec<AbortedTxn>> {
        self.aborted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SyncTarget for Partition {
    fn turn(&self) -> &SyncTurn {
        &self.turn
    }

    fn sync(&self) {
        self.sync_now();
    }

    fn panicked(&self) {
        self.go_offline("a sync panicked".to_owned());
    }
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partition")
            .field("engine", &self.engine)
            .field("ends", &self.ends())
            .field("offline", &self.offline())
            .finish()
    }
}
