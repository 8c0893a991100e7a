//! InitProducerId: a transactional id gets a producer, and whoever held it before is fenced
//! (`TransactionCoordinator.handleInitProducerId`).

use super::refusal::Refusal;
use super::shard::TxnShard;
use super::transaction::{Phase, TIMEOUT_MS_NEVER, Transaction, bumps_epochs, is_exhausted};
use super::turn::Turn;
use crate::ids::{Millis, ProducerId};
use crate::step::TransactionOutcome;
use crate::txn::{InitProducerId, ProducerIdentity, TxnConfig, TxnError, TxnReply};

/// What a valid request leads to.
#[derive(Debug)]
enum Claim {
    /// The transactional id is the caller's.
    Granted(Transaction),
    /// A transaction is open and must be aborted first; the caller comes back.
    Aborting(Transaction),
}

impl TxnShard {
    pub(super) fn init_producer_id(
        &mut self,
        turn: &mut Turn,
        request: &InitProducerId,
    ) -> TxnReply {
        match self.claim(turn, request) {
            Ok(identity) => TxnReply::InitProducerId(Ok(identity)),
            Err(Refusal::Error(error)) => TxnReply::InitProducerId(Err(error)),
            Err(Refusal::NeedsProducerId) => TxnReply::NeedsProducerId,
        }
    }

    fn claim(
        &mut self,
        turn: &mut Turn,
        request: &InitProducerId,
    ) -> Result<ProducerIdentity, Refusal> {
        let timeout_ms = check(&self.config, request)?;
        let transactional_id = &request.transactional_id;
        let claim = match self.transactions.get(transactional_id) {
            Some(transaction) => {
                let version = self.config.transaction_version;
                claim_known(transaction, request, timeout_ms, version, turn.now)?
            }
            None => {
                let producer_id = request.fresh_producer_id.ok_or(Refusal::NeedsProducerId)?;
                Claim::Granted(Transaction::first(producer_id, timeout_ms, turn.now))
            }
        };
        match claim {
            Claim::Granted(next) => {
                let identity = next.identity();
                self.advance(turn, transactional_id, next)?;
                Ok(identity)
            }
            Claim::Aborting(next) => {
                self.advance(turn, transactional_id, next)?;
                Err(TxnError::ConcurrentTransactions.into())
            }
        }
    }
}

/// Checks what needs no state, and gives the timeout that counts.
fn check(config: &TxnConfig, request: &InitProducerId) -> Result<i32, TxnError> {
    if request.transactional_id.is_empty() {
        return Err(TxnError::EmptyTransactionalId);
    }
    if request.enable_two_phase_commit && !config.two_phase_commit_enabled {
        return Err(TxnError::TwoPhaseCommitDisabled);
    }
    if request.keep_prepared {
        return Err(TxnError::KeepPreparedUnsupported);
    }
    if request.enable_two_phase_commit {
        return Ok(TIMEOUT_MS_NEVER);
    }
    if request.timeout_ms <= 0 || request.timeout_ms > config.transaction_timeout_ms_max {
        return Err(TxnError::InvalidTimeout);
    }
    Ok(request.timeout_ms)
}

/// Someone wants a transactional id that somebody had before, perhaps the same producer
/// (`prepareInitProducerIdTransit`).
fn claim_known(
    transaction: &Transaction,
    request: &InitProducerId,
    timeout_ms: i32,
    transaction_version: i16,
    now: Millis,
) -> Result<Claim, Refusal> {
    // Comes first, since the producer may already use the id that it gets when the transaction is complete.
    if matches!(transaction.phase, Phase::Prepared(_)) {
        return Err(TxnError::ConcurrentTransactions.into());
    }
    if let Some((expected_id, expected_epoch)) = request.expected {
        let is_retry_of_new_id =
            transaction.previous_producer_id == Some(expected_id) && is_exhausted(expected_epoch);
        if expected_id != transaction.producer_id && !is_retry_of_new_id {
            return Err(TxnError::ProducerFenced.into());
        }
    }
    if transaction.phase == Phase::Ongoing {
        let fresh = request.fresh_producer_id;
        return fence(transaction, transaction_version, fresh, now).map(Claim::Aborting);
    }
    let (identity, last_epoch) = next_identity(transaction, request)?;
    let next = transaction.initialized(identity, last_epoch, timeout_ms, now);
    Ok(Claim::Granted(next))
}

/// Who the producer is from now on, and the epoch that tells a retry of the request.
fn next_identity(
    transaction: &Transaction,
    request: &InitProducerId,
) -> Result<(ProducerIdentity, Option<i16>), Refusal> {
    let ProducerIdentity {
        producer_id,
        producer_epoch,
    } = transaction.identity();
    let expected_epoch = request.expected.map(|(_, epoch)| epoch);
    let is_current = expected_epoch.is_none_or(|expected| expected == producer_epoch);
    let last_epoch = expected_epoch.map(|_| producer_epoch);

    if transaction.is_exhausted() {
        // Kafka runs into an internal error here when the epoch is another one. Whose ever it is, it is fenced.
        if !is_current {
            return Err(TxnError::ProducerFenced.into());
        }
        let fresh = ProducerIdentity {
            producer_id: request.fresh_producer_id.ok_or(Refusal::NeedsProducerId)?,
            producer_epoch: 0,
        };
        return Ok((fresh, last_epoch));
    }
    if is_current {
        let bumped = ProducerIdentity {
            producer_id,
            producer_epoch: producer_epoch + 1,
        };
        return Ok((bumped, last_epoch));
    }
    // The answer to the request before was lost.
    if expected_epoch == transaction.last_epoch {
        return Ok((transaction.identity(), transaction.last_epoch));
    }
    Err(TxnError::ProducerFenced.into())
}

/// Aborts an open transaction whose producer must not go on: the epoch of the abort is higher than the producer's.
/// `fresh` is an id that nobody has, needed if the producer's epochs are exhausted and `transaction_version` is 2.
pub(super) fn fence(
    transaction: &Transaction,
    transaction_version: i16,
    fresh: Option<ProducerId>,
    now: Millis,
) -> Result<Transaction, Refusal> {
    let outcome = TransactionOutcome::Aborted;
    if !bumps_epochs(transaction_version) {
        return Ok(transaction.fenced().prepared(outcome, 0, None, now));
    }
    let next_producer_id = match transaction.is_exhausted() {
        true => Some(fresh.ok_or(Refusal::NeedsProducerId)?),
        false => None,
    };
    Ok(transaction.prepared(outcome, transaction_version, next_producer_id, now))
}
