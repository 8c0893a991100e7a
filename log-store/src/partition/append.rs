//! Stage one of an append: decide, order, queue.

use super::marker::{Control, EndTxnMarker};
use super::plan::SegmentPlan;
use super::producers::{RememberedBatch, TxnChange, Verdict};
use super::writer::{Queued, Turn, WriteTerms};
use super::{
    AbortedTxn, AppendError, Durability, FsyncPolicy, LogOptions, Partition, State, Verification,
    producer_snapshot,
};
use crate::Offset;
use crate::batch::{
    Batch, BatchHeader, EndMarker, NO_TIMESTAMP_MS, Origin, StampedBatch, TimestampType, stamp,
};
use crate::engine::IndexPace;

/// How a batch is to be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendOptions {
    pub durability: Durability,
    pub origin: Origin,
    /// For a control batch: `transaction.version` of the coordinator that wrote the marker, which
    /// says how strict its epoch is taken (KIP-890). Otherwise without meaning.
    pub transaction_version: i16,
    /// What a transactional batch must show (KIP-890).
    pub verification: Verification,
    pub now_ms: i64,
}

impl AppendOptions {
    /// What a produce request asks for.
    pub fn client(durability: Durability, now_ms: i64) -> AppendOptions {
        AppendOptions {
            durability,
            origin: Origin::Client,
            transaction_version: 0,
            verification: Verification::NotRequired,
            now_ms,
        }
    }

    /// With what a transactional batch has to show.
    pub fn with_verification(self, verification: Verification) -> AppendOptions {
        AppendOptions {
            verification,
            ..self
        }
    }

    /// What a coordinator of this process asks for: always durable.
    pub fn coordinator(now_ms: i64) -> AppendOptions {
        AppendOptions {
            durability: Durability::Durable,
            origin: Origin::Coordinator,
            transaction_version: 0,
            verification: Verification::NotRequired,
            now_ms,
        }
    }
}

/// Where a batch is, or for a duplicate: has been since it first came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub base_offset: Offset,
    /// Inclusive.
    pub last_offset: Offset,
    /// -1 when the log keeps the producer's timestamps. For a duplicate the timestamp of the
    /// original, as Kafka answers it.
    pub log_append_time_ms: i64,
    pub log_start_offset: Offset,
    /// Nothing was appended: the same batch had come before.
    pub is_duplicate: bool,
}

impl Appended {
    /// What [`Partition::committed`] must reach for the batch to be committed.
    pub fn end_offset(&self) -> Offset {
        self.last_offset.plus(1)
    }
}

impl Partition {
    /// Gives `batch` its offsets and queues it, behind everything that was appended before; usually
    /// it is in the page cache when this returns. Never waits for a sync.
    ///
    /// The batch must have passed [`validate`](crate::batch::validate) with the log's settings,
    /// which also stamps a log append time.
    ///
    /// # Errors
    /// See [`AppendError`]; nothing has changed then, except after [`AppendError::Offline`].
    pub fn append(&self, batch: &Batch, options: AppendOptions) -> Result<Appended, AppendError> {
        let marker = read_marker(batch)?;
        let marker = marker.as_ref();
        let mut state = self.lock_with_room()?;
        let header = batch.header();
        if header.total_bytes() as u64 > u64::from(state.options.segment_bytes) {
            return Err(AppendError::TooLargeForSegment {
                batch_bytes: header.total_bytes(),
                bytes_max: state.options.segment_bytes,
            });
        }
        let verdict = state
            .producers
            .check(header, marker, &options, &state.verifications)?;
        if let Verdict::Duplicate(original) = verdict {
            return Ok(self.duplicate(&original));
        }

        let base_offset = self.log_end();
        if state
            .plan
            .is_full_for(header, base_offset, &state.options, options.now_ms)
        {
            state.queue_roll(base_offset, options.now_ms);
        }
        state.queue_epochs();
        let aborted = self.apply(&mut state, header, marker, base_offset);
        state.verifications.taken(header);
        let pace = state.index_pace();
        state.plan.add(header, pace);
        let stamped = stamp(batch, base_offset, self.leader_epoch);
        let end_offset = stamped.header().end_offset();
        let durability = self.durability(&mut state, options.durability, end_offset);
        self.ends.assigned(end_offset);
        let turn = state.queue_batch(stamped, durability, aborted);
        drop(state);
        self.write_out(turn);
        Ok(Appended {
            base_offset,
            last_offset: end_offset.plus(-1),
            log_append_time_ms: log_append_time_ms(header),
            log_start_offset: self.log_start(),
            is_duplicate: false,
        })
    }

    /// Whether [`Partition::append`] would take a batch of data with this header from its producer now. It holds for
    /// as long as nobody else appends: for a caller that is the log's only writer, and must know before it decides
    /// what to write.
    ///
    /// # Errors
    /// What the append would answer.
    pub fn check(&self, header: &BatchHeader, options: AppendOptions) -> Result<(), AppendError> {
        let state = self.lock_with_room()?;
        state
            .producers
            .check(header, None, &options, &state.verifications)?;
        Ok(())
    }

    fn duplicate(&self, original: &RememberedBatch) -> Appended {
        Appended {
            base_offset: original.first_offset(),
            last_offset: original.last_offset,
            log_append_time_ms: original.timestamp_ms,
            log_start_offset: self.log_start(),
            is_duplicate: true,
        }
    }

    /// Updates the producer and its transaction. Returns the transaction that the batch aborts.
    fn apply(
        &self,
        state: &mut State,
        header: &BatchHeader,
        marker: Option<&EndTxnMarker>,
        base_offset: Offset,
    ) -> Option<AbortedTxn> {
        match state.producers.apply(header, marker, base_offset) {
            TxnChange::None => None,
            TxnChange::Began => {
                self.ends.txn_began(base_offset);
                None
            }
            TxnChange::Ended { first } => {
                let next_open = self.ends.txn_ended(first, base_offset);
                if marker.is_none_or(|marker| marker.outcome == EndMarker::Commit) {
                    return None;
                }
                let aborted = AbortedTxn {
                    producer_id: header.producer_id,
                    first_offset: first,
                    last_offset: base_offset,
                    last_stable_offset: next_open.unwrap_or(base_offset.plus(1)),
                };
                self.lock_aborted().push(aborted);
                Some(aborted)
            }
        }
    }

    /// What the append gets: the policy decides first, then `flush.messages`, then the append.
    fn durability(&self, state: &mut State, asked: Durability, end_offset: Offset) -> Durability {
        let durability = match state.options.fsync {
            FsyncPolicy::Never => return Durability::Unsynced,
            FsyncPolicy::Always => Durability::Durable,
            FsyncPolicy::AcksAll => asked,
        };
        let flushed = self.durable_end().max(state.flush_end);
        let unflushed = u64::try_from(end_offset.distance_from(flushed)).unwrap_or(0);
        if durability == Durability::Unsynced && unflushed < state.options.flush_messages {
            return Durability::Unsynced;
        }
        state.flush_end = end_offset;
        Durability::Durable
    }
}

impl State {
    /// The next batch goes into a new segment, which begins at `base`.
    pub(super) fn queue_roll(&mut self, base: Offset, now_ms: i64) {
        self.queue.push(Queued::Roll {
            base,
            producers: producer_snapshot::encode(&self.producers),
            now_ms,
        });
        self.plan = SegmentPlan::begin(base, now_ms);
    }

    /// Puts a batch behind everything that was appended before. Returns what its appender has to write now.
    fn queue_batch(
        &mut self,
        batch: StampedBatch,
        durability: Durability,
        aborted: Option<AbortedTxn>,
    ) -> Turn {
        if aborted.is_none() && self.queue.is_idle() {
            self.queue.start_writing();
            return Turn::Alone {
                batch,
                durability,
                terms: WriteTerms::of(&self.options),
            };
        }
        self.queue.push(Queued::Batch { batch, durability });
        if let Some(aborted) = aborted {
            self.queue.push(Queued::Aborted(aborted));
        }
        if self.queue.start_writing() {
            Turn::Queue
        } else {
            Turn::Nothing
        }
    }

    /// The first batch of an epoch takes the epoch's start along.
    fn queue_epochs(&mut self) {
        if !self.are_epochs_saved {
            self.are_epochs_saved = true;
            let epochs = self.epochs.starts().to_vec();
            self.queue.push(Queued::Epochs(epochs));
        }
    }

    pub(super) fn index_pace(&self) -> IndexPace {
        index_pace(&self.options)
    }
}

pub(super) fn index_pace(options: &LogOptions) -> IndexPace {
    IndexPace {
        interval_bytes: options.index_interval_bytes,
    }
}

fn read_marker(batch: &Batch) -> Result<Option<EndTxnMarker>, AppendError> {
    if !batch.header().attributes.is_control() {
        return Ok(None);
    }
    match Control::of(batch) {
        Control::EndTxn(marker) => Ok(Some(marker)),
        Control::Other => Ok(None),
        Control::Malformed => Err(AppendError::InvalidControlBatch),
    }
}

fn log_append_time_ms(header: &BatchHeader) -> i64 {
    match header.attributes.timestamp_type() {
        TimestampType::CreateTime => NO_TIMESTAMP_MS,
        TimestampType::LogAppendTime => header.max_timestamp_ms,
    }
}
