//! A transactional id: whose it is, and the transaction that it is in.

use std::collections::BTreeSet;

use crate::ids::{Millis, ProducerId};
use crate::step::TransactionOutcome;
use crate::txn::{ProducerIdentity, TransactionState, TxnPartition};

/// The start of a transaction that has not begun.
pub const NO_START_MS: i64 = -1;

/// From this epoch on a producer gets a new id instead of a higher epoch. The one after it is kept for fencing.
const EPOCH_LAST: i16 = i16::MAX - 1;

/// The lowest level of `transaction.version` at which every end of a transaction raises the epoch (KIP-890).
const VERSION_WITH_EPOCH_BUMPS: i16 = 2;

/// The timeout that two-phase commit gives a transaction: it never times out (KIP-939).
pub const TIMEOUT_MS_NEVER: i32 = i32::MAX;

/// Whether clients of this level of `transaction.version` get a new epoch with every end of a transaction.
pub fn bumps_epochs(transaction_version: i16) -> bool {
    transaction_version >= VERSION_WITH_EPOCH_BUMPS
}

/// Whether an epoch is so high that the producer must get a new id.
pub fn is_exhausted(epoch: i16) -> bool {
    epoch >= EPOCH_LAST
}

/// The last epoch that a client is given; a retry names it when the end of its transaction has led to a new id.
pub fn is_last(epoch: i16) -> bool {
    epoch == EPOCH_LAST
}

/// How far a transaction is. The states of Kafka that no record has (`Dead`, `PrepareEpochFence`) are not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Empty,
    Ongoing,
    /// The outcome is written; the markers are not.
    Prepared(TransactionOutcome),
    Complete(TransactionOutcome),
}

impl Phase {
    pub fn state(self) -> TransactionState {
        match self {
            Self::Empty => TransactionState::Empty,
            Self::Ongoing => TransactionState::Ongoing,
            Self::Prepared(TransactionOutcome::Committed) => TransactionState::PrepareCommit,
            Self::Prepared(TransactionOutcome::Aborted) => TransactionState::PrepareAbort,
            Self::Complete(TransactionOutcome::Committed) => TransactionState::CompleteCommit,
            Self::Complete(TransactionOutcome::Aborted) => TransactionState::CompleteAbort,
        }
    }
}

/// What the last record of a transactional id says (`TransactionMetadata`).
///
/// Every transition makes a new value and remembers the producer id of the old one as the previous id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    pub producer_id: ProducerId,
    pub producer_epoch: i16,
    /// The id before the last transition; most of the time the same.
    pub previous_producer_id: Option<ProducerId>,
    /// With which the producer goes on after the markers, when its epochs are exhausted.
    pub next_producer_id: Option<ProducerId>,
    /// The epoch before the last bump that a producer asked for. It makes a retry of `InitProducerId` known. No
    /// record holds it, so that it is lost with the shard, as in Kafka.
    pub last_epoch: Option<i16>,
    pub timeout_ms: i32,
    pub phase: Phase,
    pub partitions: BTreeSet<TxnPartition>,
    /// [`NO_START_MS`] since the id was initialized, until the first transaction begins.
    pub start_ms: i64,
    pub updated_ms: i64,
    /// The level of `transaction.version` of whoever began or ended the transaction.
    pub client_version: i16,
}

impl Transaction {
    /// A transactional id that nobody has used before.
    pub fn first(producer_id: ProducerId, timeout_ms: i32, now: Millis) -> Self {
        Self {
            producer_id,
            producer_epoch: 0,
            previous_producer_id: Some(producer_id),
            next_producer_id: None,
            last_epoch: None,
            timeout_ms,
            phase: Phase::Empty,
            partitions: BTreeSet::new(),
            start_ms: NO_START_MS,
            updated_ms: now.0,
            client_version: 0,
        }
    }

    pub fn identity(&self) -> ProducerIdentity {
        ProducerIdentity {
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
        }
    }

    pub fn is_exhausted(&self) -> bool {
        is_exhausted(self.producer_epoch)
    }

    /// The moment from which on the transaction may be aborted; none if there is no transaction or it may last.
    pub fn deadline(&self) -> Option<Millis> {
        let is_timed = self.phase == Phase::Ongoing && self.timeout_ms != TIMEOUT_MS_NEVER;
        is_timed.then(|| Millis(self.start_ms).plus(i64::from(self.timeout_ms)))
    }

    /// The producer goes on, or another one begins, under this identity.
    pub fn initialized(
        &self,
        identity: ProducerIdentity,
        last_epoch: Option<i16>,
        timeout_ms: i32,
        now: Millis,
    ) -> Self {
        Self {
            producer_id: identity.producer_id,
            producer_epoch: identity.producer_epoch,
            last_epoch,
            timeout_ms,
            start_ms: NO_START_MS,
            ..self.moved_on(Phase::Empty, BTreeSet::new(), now)
        }
    }

    /// The transaction, begun by this if it has not been, writes to these partitions too.
    pub fn with_partitions(
        &self,
        added: &[TxnPartition],
        client_version: i16,
        now: Millis,
    ) -> Self {
        let mut partitions = self.partitions.clone();
        partitions.extend(added.iter().cloned());
        Self {
            start_ms: match self.phase {
                Phase::Ongoing => self.start_ms,
                Phase::Empty | Phase::Prepared(_) | Phase::Complete(_) => now.0,
            },
            client_version,
            ..self.moved_on(Phase::Ongoing, partitions, now)
        }
    }

    /// The outcome is decided (`prepareAbortOrCommit`). An abort may come without a transaction; it starts now.
    pub fn prepared(
        &self,
        outcome: TransactionOutcome,
        client_version: i16,
        next_producer_id: Option<ProducerId>,
        now: Millis,
    ) -> Self {
        let (producer_epoch, last_epoch) = if bumps_epochs(client_version) {
            // An epoch at its end stays there, so that an abort is always possible.
            let bumped = self.producer_epoch.saturating_add(1);
            (bumped, Some(self.producer_epoch))
        } else {
            (self.producer_epoch, self.last_epoch)
        };
        Self {
            producer_epoch,
            last_epoch,
            next_producer_id,
            start_ms: match self.phase {
                Phase::Ongoing => self.start_ms,
                Phase::Empty | Phase::Prepared(_) | Phase::Complete(_) => now.0,
            },
            client_version,
            ..self.moved_on(Phase::Prepared(outcome), self.partitions.clone(), now)
        }
    }

    /// The transaction with a raised epoch that no client gets, for an abort that does not raise it
    /// (`transaction.version` 0 and 1).
    pub fn fenced(&self) -> Self {
        Self {
            producer_epoch: self.producer_epoch.saturating_add(1),
            last_epoch: None,
            ..self.clone()
        }
    }

    /// The markers are written (`prepareComplete`).
    pub fn completed(&self, outcome: TransactionOutcome, now: Millis) -> Self {
        let (producer_id, producer_epoch) = match self.next_producer_id {
            Some(next) if bumps_epochs(self.client_version) => (next, 0),
            Some(_) | None => (self.producer_id, self.producer_epoch),
        };
        Self {
            producer_id,
            producer_epoch,
            next_producer_id: None,
            ..self.moved_on(Phase::Complete(outcome), BTreeSet::new(), now)
        }
    }

    /// What all transitions have in common.
    fn moved_on(&self, phase: Phase, partitions: BTreeSet<TxnPartition>, now: Millis) -> Self {
        Self {
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            previous_producer_id: Some(self.producer_id),
            next_producer_id: self.next_producer_id,
            last_epoch: self.last_epoch,
            timeout_ms: self.timeout_ms,
            phase,
            partitions,
            start_ms: self.start_ms,
            updated_ms: now.0,
            client_version: self.client_version,
        }
    }
}
