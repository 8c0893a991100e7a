//! What the log remembers of each producer, so that a retry is not stored twice and a gap is not
//! stored at all (KIP-98). Kafka's `ProducerStateManager`, `ProducerAppendInfo` and
//! `ProducerStateEntry`.

use std::collections::{HashMap, VecDeque};

use super::marker::EndTxnMarker;
use super::verification::Verifications;
use super::{AppendError, AppendOptions, Verification};
use crate::batch::{BatchHeader, NO_SEQUENCE, NO_TIMESTAMP_MS, Origin};
use crate::{Offset, ProducerEpoch, ProducerId};

/// Batches that are remembered per producer. Clients keep up to five requests in flight.
pub(super) const BATCHES_REMEMBERED: usize = 5;

/// Producers that are remembered per partition. When there are more, those that have been idle
/// longest are forgotten as if they had expired.
const PRODUCERS_MAX: usize = 1 << 20;

/// What the coordinator epoch is before any marker was written.
const NO_COORDINATOR_EPOCH: i32 = -1;

/// The transaction version from which on a marker's epoch must be above the producer's (KIP-890).
const STRICT_MARKERS_VERSION: i16 = 2;

/// One batch of a producer, as a retry would repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RememberedBatch {
    pub(super) last_sequence: i32,
    pub(super) last_offset: Offset,
    pub(super) offset_delta: i32,
    pub(super) timestamp_ms: i64,
}

impl RememberedBatch {
    pub(super) fn first_offset(&self) -> Offset {
        self.last_offset.plus(-i64::from(self.offset_delta))
    }

    /// Sequences run on a circle of 2^31.
    fn first_sequence(&self) -> i32 {
        self.last_sequence.wrapping_sub(self.offset_delta) & i32::MAX
    }
}

/// The state of one producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Producer {
    pub(super) epoch: ProducerEpoch,
    /// The newest ones of this epoch, oldest first.
    pub(super) batches: VecDeque<RememberedBatch>,
    pub(super) coordinator_epoch: i32,
    pub(super) last_timestamp_ms: i64,
    pub(super) txn_first_offset: Option<Offset>,
}

impl Producer {
    pub(super) fn empty() -> Producer {
        Producer {
            epoch: ProducerEpoch::NONE,
            batches: VecDeque::new(),
            coordinator_epoch: NO_COORDINATOR_EPOCH,
            last_timestamp_ms: NO_TIMESTAMP_MS,
            txn_first_offset: None,
        }
    }

    pub(super) fn last_sequence(&self) -> i32 {
        self.batches
            .back()
            .map_or(NO_SEQUENCE, |batch| batch.last_sequence)
    }

    fn duplicate_of(&self, header: &BatchHeader) -> Option<RememberedBatch> {
        if header.producer_epoch != self.epoch {
            return None;
        }
        let same = |batch: &&RememberedBatch| {
            batch.first_sequence() == header.base_sequence
                && batch.last_sequence == header.last_sequence()
        };
        self.batches.iter().find(same).copied()
    }

    fn check_epoch(
        &self,
        producer_id: ProducerId,
        epoch: ProducerEpoch,
    ) -> Result<(), AppendError> {
        if epoch < self.epoch {
            return Err(self.epoch_error(producer_id, epoch));
        }
        Ok(())
    }

    fn epoch_error(&self, producer_id: ProducerId, epoch: ProducerEpoch) -> AppendError {
        AppendError::InvalidProducerEpoch {
            producer_id,
            epoch,
            current: self.epoch,
        }
    }

    fn has_open_txn(&self, epoch: ProducerEpoch) -> bool {
        self.epoch == epoch && self.txn_first_offset.is_some()
    }

    /// A new epoch begins at 0; the same epoch goes on where it was; a producer without any state
    /// may begin anywhere, because its state may have expired.
    fn check_sequence(
        &self,
        header: &BatchHeader,
        verifications: &Verifications,
    ) -> Result<(), AppendError> {
        let last = self.last_sequence();
        let is_out_of_order = verifications.of(header.producer_id).is_some_and(|pending| {
            pending.is_out_of_order(header.base_sequence, !self.batches.is_empty())
        });
        let follows = if is_out_of_order {
            false
        } else if self.epoch == ProducerEpoch::NONE {
            true
        } else if header.producer_epoch != self.epoch {
            header.base_sequence == 0
        } else {
            i64::from(header.base_sequence) == i64::from(last) + 1
                || (header.base_sequence == 0 && last == i32::MAX)
        };
        if follows {
            return Ok(());
        }
        Err(AppendError::OutOfOrderSequence {
            producer_id: header.producer_id,
            sequence: header.base_sequence,
            last_sequence: last,
        })
    }

    /// Markers of the first two transaction versions carry the producer's epoch, later ones a
    /// greater one; an equal one is a retry there when the transaction has ended already
    /// (KAFKA-19999).
    fn check_marker(
        &self,
        header: &BatchHeader,
        marker: &EndTxnMarker,
        transaction_version: i16,
    ) -> Result<(), AppendError> {
        let is_retry = header.producer_epoch == self.epoch
            && (self.txn_first_offset.is_none() || self.epoch == ProducerEpoch(i16::MAX));
        let is_stale = if transaction_version >= STRICT_MARKERS_VERSION {
            header.producer_epoch <= self.epoch && !is_retry
        } else {
            header.producer_epoch < self.epoch
        };
        if is_stale {
            return Err(self.epoch_error(header.producer_id, header.producer_epoch));
        }
        if self.coordinator_epoch > marker.coordinator_epoch {
            return Err(AppendError::CoordinatorFenced {
                producer_id: header.producer_id,
                coordinator_epoch: marker.coordinator_epoch,
                current: self.coordinator_epoch,
            });
        }
        Ok(())
    }

    fn enter_epoch(&mut self, epoch: ProducerEpoch) {
        if self.epoch != epoch {
            self.batches.clear();
            self.epoch = epoch;
        }
    }

    fn remember(&mut self, header: &BatchHeader, base_offset: Offset) {
        self.enter_epoch(header.producer_epoch);
        if self.batches.len() == BATCHES_REMEMBERED {
            self.batches.pop_front();
        }
        self.batches.push_back(RememberedBatch {
            last_sequence: header.last_sequence(),
            last_offset: base_offset.plus(header.last_offset_delta.into()),
            offset_delta: header.last_offset_delta,
            timestamp_ms: header.max_timestamp_ms,
        });
        self.last_timestamp_ms = header.max_timestamp_ms;
    }
}

/// What the log thinks of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Append,
    Duplicate(RememberedBatch),
}

/// What an accepted batch means for the transaction of its producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TxnChange {
    None,
    Began,
    Ended { first: Offset },
}

fn check_verified(
    producer_id: ProducerId,
    verification: Verification,
    verifications: &Verifications,
) -> Result<(), AppendError> {
    let is_verified = match verification {
        Verification::NotRequired => true,
        Verification::Required(None) => false,
        Verification::Required(Some(guard)) => verifications.is_valid(producer_id, guard),
    };
    if is_verified {
        return Ok(());
    }
    Err(AppendError::UnverifiedTxn { producer_id })
}

/// The producers of one log, as they stand at its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Producers {
    by_id: HashMap<ProducerId, Producer>,
}

impl Producers {
    /// Whether `header` may be appended now; `marker` is what a control batch holds. Changes
    /// nothing.
    pub(super) fn check(
        &self,
        header: &BatchHeader,
        marker: Option<&EndTxnMarker>,
        options: &AppendOptions,
        verifications: &Verifications,
    ) -> Result<Verdict, AppendError> {
        if !header.producer_id.is_some() {
            return Ok(Verdict::Append);
        }
        let unknown = Producer::empty();
        let producer = self.by_id.get(&header.producer_id).unwrap_or(&unknown);
        if let Some(marker) = marker {
            producer.check_marker(header, marker, options.transaction_version)?;
            return Ok(Verdict::Append);
        }
        if options.origin == Origin::Client
            && let Some(original) = producer.duplicate_of(header)
        {
            return Ok(Verdict::Duplicate(original));
        }
        producer.check_epoch(header.producer_id, header.producer_epoch)?;
        if header.attributes.is_transactional()
            && !header.attributes.is_control()
            && !producer.has_open_txn(header.producer_epoch)
        {
            check_verified(header.producer_id, options.verification, verifications)?;
        }
        match options.origin {
            Origin::Client => producer.check_sequence(header, verifications)?,
            // What coordinators write in a producer's name carries no sequence.
            Origin::Coordinator => {}
        }
        if producer.txn_first_offset.is_some() && !header.attributes.is_transactional() {
            return Err(AppendError::InvalidTxnState {
                producer_id: header.producer_id,
            });
        }
        Ok(Verdict::Append)
    }

    /// Takes a batch that is being appended at `base_offset`, or was when the log is replayed.
    pub(super) fn apply(
        &mut self,
        header: &BatchHeader,
        marker: Option<&EndTxnMarker>,
        base_offset: Offset,
    ) -> TxnChange {
        // A control batch without a marker is what compaction leaves of a decided transaction.
        if !header.producer_id.is_some() || (header.attributes.is_control() && marker.is_none()) {
            return TxnChange::None;
        }
        self.make_room(header.producer_id);
        let producer = self
            .by_id
            .entry(header.producer_id)
            .or_insert_with(Producer::empty);
        if let Some(marker) = marker {
            producer.enter_epoch(header.producer_epoch);
            producer.coordinator_epoch = marker.coordinator_epoch;
            producer.last_timestamp_ms = header.max_timestamp_ms;
            let first = producer.txn_first_offset.take();
            return first.map_or(TxnChange::None, |first| TxnChange::Ended { first });
        }
        producer.remember(header, base_offset);
        if header.attributes.is_transactional() && producer.txn_first_offset.is_none() {
            producer.txn_first_offset = Some(base_offset);
            return TxnChange::Began;
        }
        TxnChange::None
    }

    /// Whether the producer has a transaction of this epoch open here.
    ///
    /// # Errors
    /// [`AppendError::InvalidProducerEpoch`] when a newer epoch has written.
    pub(super) fn has_open_txn(
        &self,
        producer_id: ProducerId,
        epoch: ProducerEpoch,
    ) -> Result<bool, AppendError> {
        let Some(producer) = self.by_id.get(&producer_id) else {
            return Ok(false);
        };
        producer.check_epoch(producer_id, epoch)?;
        Ok(producer.has_open_txn(epoch))
    }

    /// Forgets producers that have been idle for `expiration_ms` and have no transaction open.
    pub(super) fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        self.by_id.retain(|_, producer| {
            producer.txn_first_offset.is_some()
                || now_ms.saturating_sub(producer.last_timestamp_ms) < expiration_ms
        });
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ProducerId, &Producer)> {
        self.by_id.iter().map(|(id, producer)| (*id, producer))
    }

    pub(super) fn insert(&mut self, producer_id: ProducerId, producer: Producer) {
        self.by_id.insert(producer_id, producer);
    }

    /// Forgets the half that has been idle longest when there are too many.
    fn make_room(&mut self, newcomer: ProducerId) {
        if self.by_id.len() < PRODUCERS_MAX || self.by_id.contains_key(&newcomer) {
            return;
        }
        let mut idle: Vec<(i64, ProducerId)> = self
            .iter()
            .filter(|(_, producer)| producer.txn_first_offset.is_none())
            .map(|(id, producer)| (producer.last_timestamp_ms, id))
            .collect();
        idle.sort_unstable();
        for (_, producer_id) in idle.iter().take(PRODUCERS_MAX / 2) {
            self.by_id.remove(producer_id);
        }
        tracing::warn!(
            forgotten = idle.len().min(PRODUCERS_MAX / 2),
            "too many producers on one partition: forgot those idle longest"
        );
    }
}
