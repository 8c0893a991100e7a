//! Proof that the coordinator knows of a transaction before the log takes part in it (KIP-890,
//! part 1). Kafka's `VerificationGuard` and `VerificationStateEntry`.
//!
//! ```text
//! start_verification -> guard -> the coordinator is asked -> append with the guard
//!                                      |
//!                  a marker that comes in between takes the guard back
//! ```
//! Without it, a batch that was delayed until after its transaction's marker would begin a
//! transaction that nobody ever ends, and readers of committed records would wait for ever.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{AppendError, Partition};
use crate::batch::BatchHeader;
use crate::{ProducerEpoch, ProducerId};

/// Verifications that may be under way per partition. When there are more, the older half is given
/// up: their appends are refused, and their producers ask again.
const VERIFICATIONS_MAX: usize = 1 << 16;

/// Shows that a verification was begun and that nothing has happened to the transaction since. No
/// two are alike within a process, so that none outlives what it was given for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerificationGuard(u64);

impl VerificationGuard {
    fn fresh() -> VerificationGuard {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        VerificationGuard(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What an append must show before a transactional batch is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Nothing: verification is switched off (`transaction.partition.verification.enable`), the
    /// batch is a marker, or it is not transactional.
    NotRequired,
    /// That its transaction is open in this log already, or else this guard from
    /// [`Partition::start_verification`], for which the coordinator has vouched since.
    Required(Option<VerificationGuard>),
}

/// A transaction which is being verified and has written nothing yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingVerification {
    guard: VerificationGuard,
    began_ms: i64,
    epoch: ProducerEpoch,
    /// The lowest that has asked in this epoch. Nothing above it is taken before it, or else its
    /// own retry would be out of order for ever.
    lowest_sequence: i32,
    /// The producer speaks transaction version 2: its epoch grows with every transaction, and its
    /// first sequence is 0.
    supports_epoch_bump: bool,
}

impl PendingVerification {
    fn lower(&mut self, epoch: ProducerEpoch, sequence: i32) {
        if epoch > self.epoch {
            self.epoch = epoch;
            self.lowest_sequence = sequence;
        } else if epoch == self.epoch {
            self.lowest_sequence = self.lowest_sequence.min(sequence);
        }
    }

    /// Whether a client's batch with this first sequence must wait for another, or cannot be the
    /// first one of a producer of which the log has no batch.
    pub(super) fn is_out_of_order(&self, sequence: i32, has_batches: bool) -> bool {
        let is_late_start = self.supports_epoch_bump && sequence != 0 && !has_batches;
        is_late_start || sequence > self.lowest_sequence
    }
}

/// The verifications of one log. Not kept over a restart: the producers ask again.
#[derive(Debug, Default)]
pub(super) struct Verifications {
    by_id: HashMap<ProducerId, PendingVerification>,
}

impl Verifications {
    pub(super) fn of(&self, producer_id: ProducerId) -> Option<&PendingVerification> {
        self.by_id.get(&producer_id)
    }

    fn begin(
        &mut self,
        producer_id: ProducerId,
        epoch: ProducerEpoch,
        sequence: i32,
        supports_epoch_bump: bool,
        now_ms: i64,
    ) -> VerificationGuard {
        self.make_room(producer_id);
        let pending = self.by_id.entry(producer_id).or_insert_with(|| {
            let guard = VerificationGuard::fresh();
            PendingVerification {
                guard,
                began_ms: now_ms,
                epoch,
                lowest_sequence: sequence,
                supports_epoch_bump,
            }
        });
        pending.lower(epoch, sequence);
        pending.guard
    }

    /// Whether `shown` is what the producer was given last, and still holds.
    pub(super) fn is_valid(&self, producer_id: ProducerId, shown: VerificationGuard) -> bool {
        self.of(producer_id)
            .is_some_and(|pending| pending.guard == shown)
    }

    /// A transactional batch was taken: either the log has the transaction now, or it is over. Only
    /// a marker of transaction version 2 may belong to the transaction before the one that is being
    /// verified: it carries the epoch which that one has already.
    pub(super) fn taken(&mut self, header: &BatchHeader) {
        if !header.attributes.is_transactional() {
            return;
        }
        let is_of_next_txn = self.of(header.producer_id).is_some_and(|pending| {
            pending.supports_epoch_bump
                && header.attributes.is_control()
                && header.producer_epoch == pending.epoch
        });
        if !is_of_next_txn {
            self.by_id.remove(&header.producer_id);
        }
    }

    pub(super) fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        self.by_id
            .retain(|_, pending| now_ms.saturating_sub(pending.began_ms) < expiration_ms);
    }

    fn make_room(&mut self, newcomer: ProducerId) {
        if self.by_id.len() < VERIFICATIONS_MAX || self.by_id.contains_key(&newcomer) {
            return;
        }
        let mut guards: Vec<u64> = self.by_id.values().map(|pending| pending.guard.0).collect();
        guards.sort_unstable();
        let kept_from = guards[guards.len() / 2];
        self.by_id.retain(|_, pending| pending.guard.0 >= kept_from);
    }
}

impl Partition {
    /// Begins the verification of a producer's transaction, before its first batch here.
    /// `base_sequence` is that of the batch, and `supports_epoch_bump` whether its request speaks
    /// transaction version 2 (Produce 12, TxnOffsetCommit 5).
    ///
    /// `None`: the transaction is open in this log already, and the batch can be appended at once
    /// with [`Verification::Required`]`(None)`. Otherwise the caller asks the coordinator whether
    /// the partition is part of the transaction, and when it is, appends with the guard. Until then
    /// the same producer gets the same guard again.
    ///
    /// # Errors
    /// [`AppendError::InvalidProducerEpoch`] when a newer epoch has written here.
    pub fn start_verification(
        &self,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        base_sequence: i32,
        supports_epoch_bump: bool,
        now_ms: i64,
    ) -> Result<Option<VerificationGuard>, AppendError> {
        let mut state = self.lock_state()?;
        if state.producers.has_open_txn(producer_id, producer_epoch)? {
            return Ok(None);
        }
        let guard = state.verifications.begin(
            producer_id,
            producer_epoch,
            base_sequence,
            supports_epoch_bump,
            now_ms,
        );
        Ok(Some(guard))
    }
}
