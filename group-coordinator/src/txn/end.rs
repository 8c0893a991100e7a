//! EndTxn: a producer decides the outcome of its transaction (`TransactionCoordinator.endTransaction`).

use super::refusal::Refusal;
use super::shard::TxnShard;
use super::transaction::{Phase, Transaction, bumps_epochs, is_last};
use super::turn::Turn;
use crate::ids::Millis;
use crate::step::TransactionOutcome;
use crate::txn::{EndTransaction, ProducerIdentity, TxnError, TxnReply};

/// What a valid request leads to.
#[derive(Debug)]
enum End {
    /// The request has been carried out before.
    Known,
    /// The outcome is decided.
    Decided(Transaction),
}

impl TxnShard {
    pub(super) fn end_transaction(
        &mut self,
        turn: &mut Turn,
        request: &EndTransaction,
    ) -> TxnReply {
        match self.end(turn, request) {
            Ok(identity) => TxnReply::EndTransaction(Ok(identity)),
            Err(Refusal::Error(error)) => TxnReply::EndTransaction(Err(error)),
            Err(Refusal::NeedsProducerId) => TxnReply::NeedsProducerId,
        }
    }

    fn end(
        &mut self,
        turn: &mut Turn,
        request: &EndTransaction,
    ) -> Result<Option<ProducerIdentity>, Refusal> {
        if request.transactional_id.is_empty() {
            return Err(TxnError::EmptyTransactionalId.into());
        }
        let transaction = self
            .transactions
            .get(&request.transactional_id)
            .ok_or(TxnError::InvalidProducerIdMapping)?;
        let gives_identity = bumps_epochs(request.client_version);
        let end = match gives_identity {
            true => end_with_bump(transaction, request, turn.now)?,
            false => end_without_bump(transaction, request, turn.now)?,
        };
        let identity = match end {
            End::Known => transaction.identity(),
            End::Decided(next) => {
                let identity = next.completed(request.outcome, turn.now).identity();
                self.advance(turn, &request.transactional_id, next)?;
                identity
            }
        };
        Ok(gives_identity.then_some(identity))
    }
}

/// The end of a transaction whose client does not speak KIP-890 (`endTransactionWithTV1`): the epoch stays.
fn end_without_bump(
    transaction: &Transaction,
    request: &EndTransaction,
    now: Millis,
) -> Result<End, Refusal> {
    if transaction.producer_id != request.producer_id {
        return Err(TxnError::InvalidProducerIdMapping.into());
    }
    if transaction.producer_epoch != request.producer_epoch {
        return Err(TxnError::ProducerFenced.into());
    }
    match transaction.phase {
        Phase::Ongoing => {
            let next = transaction.prepared(request.outcome, request.client_version, None, now);
            Ok(End::Decided(next))
        }
        Phase::Prepared(_) => Err(TxnError::ConcurrentTransactions.into()),
        Phase::Complete(outcome) if outcome == request.outcome => Ok(End::Known),
        Phase::Complete(_) | Phase::Empty => Err(TxnError::InvalidTxnState.into()),
    }
}

/// The end of a transaction whose client speaks KIP-890: every end raises the epoch, so that a request with the epoch
/// before is a retry, and one with the current epoch is about the next transaction, begun or not.
///
/// ```text
///                  abort                  commit
///               retry     current     retry     current
/// Empty         fenced    abort       fenced    invalid
/// aborted       known     abort       invalid   invalid
/// committed     invalid   abort       known     invalid
/// ```
fn end_with_bump(
    transaction: &Transaction,
    request: &EndTransaction,
    now: Millis,
) -> Result<End, Refusal> {
    // Comes first, since the producer may already use the id that it gets when the transaction is complete.
    if matches!(transaction.phase, Phase::Prepared(_)) {
        return Err(TxnError::ConcurrentTransactions.into());
    }
    let is_retry_before_new_id = transaction.previous_producer_id == Some(request.producer_id)
        && is_last(request.producer_epoch)
        && transaction.producer_epoch == 0;
    let is_retry = is_retry_before_new_id
        || request.producer_epoch.checked_add(1) == Some(transaction.producer_epoch);
    if transaction.producer_id != request.producer_id && !is_retry_before_new_id {
        return Err(TxnError::InvalidProducerIdMapping.into());
    }
    let is_current = request.producer_epoch == transaction.producer_epoch;
    let is_valid_epoch = match transaction.phase {
        Phase::Empty | Phase::Ongoing | Phase::Prepared(_) => is_current,
        Phase::Complete(_) => is_retry || is_current,
    };
    if !is_valid_epoch {
        return Err(TxnError::ProducerFenced.into());
    }
    match (transaction.phase, request.outcome) {
        (Phase::Ongoing, _) => decide(transaction, request, now),
        (Phase::Complete(outcome), requested) if is_retry && outcome == requested => Ok(End::Known),
        (Phase::Empty | Phase::Complete(_), TransactionOutcome::Aborted) if !is_retry => {
            decide(transaction, request, now)
        }
        (Phase::Empty | Phase::Complete(_) | Phase::Prepared(_), _) => {
            Err(TxnError::InvalidTxnState.into())
        }
    }
}

/// Decides the outcome and raises the epoch; a producer whose epochs are exhausted gets a new id.
fn decide(
    transaction: &Transaction,
    request: &EndTransaction,
    now: Millis,
) -> Result<End, Refusal> {
    // Only an abort may end what carries the epoch that is kept for fencing, which no client is ever given.
    if transaction.producer_epoch == i16::MAX && request.outcome == TransactionOutcome::Committed {
        return Err(TxnError::InvalidTxnState.into());
    }
    let next_producer_id = match transaction.is_exhausted() {
        true => Some(request.fresh_producer_id.ok_or(Refusal::NeedsProducerId)?),
        false => None,
    };
    let next = transaction.prepared(
        request.outcome,
        request.client_version,
        next_producer_id,
        now,
    );
    Ok(End::Decided(next))
}
