//! AddPartitionsToTxn and AddOffsetsToTxn: what a transaction writes to, and whether it does.

use super::shard::TxnShard;
use super::transaction::{Phase, Transaction};
use super::turn::Turn;
use crate::txn::{AddPartitions, TxnError};

impl TxnShard {
    /// Makes partitions part of the transaction (`handleAddPartitionsToTransaction`).
    pub(super) fn add_partitions(
        &mut self,
        turn: &mut Turn,
        request: &AddPartitions,
    ) -> Result<(), TxnError> {
        let transaction = self.transaction_of(request)?;
        // Comes before the identity, since the producer may already use the one that it gets when the transaction
        // is complete.
        if matches!(transaction.phase, Phase::Prepared(_)) {
            return Err(TxnError::ConcurrentTransactions);
        }
        check_identity(transaction, request)?;
        let mut partitions = request.partitions.iter();
        let is_known = transaction.phase == Phase::Ongoing
            && partitions.all(|partition| transaction.partitions.contains(partition));
        if is_known {
            return Ok(());
        }
        let next =
            transaction.with_partitions(&request.partitions, request.client_version, turn.now);
        self.advance(turn, &request.transactional_id, next)
    }

    /// Says which partitions are part of the transaction (`handleVerifyPartitionsInTransaction`).
    pub(super) fn verify_partitions(
        &self,
        request: &AddPartitions,
    ) -> Result<Vec<Result<(), TxnError>>, TxnError> {
        let transaction = self.transaction_of(request)?;
        check_identity(transaction, request)?;
        if matches!(transaction.phase, Phase::Prepared(_)) {
            return Err(TxnError::ConcurrentTransactions);
        }
        let results = request.partitions.iter().map(|partition| {
            match transaction.partitions.contains(partition) {
                true => Ok(()),
                false => Err(TxnError::TransactionAbortable),
            }
        });
        Ok(results.collect())
    }

    fn transaction_of(&self, request: &AddPartitions) -> Result<&Transaction, TxnError> {
        if request.transactional_id.is_empty() {
            return Err(TxnError::EmptyTransactionalId);
        }
        self.transactions
            .get(&request.transactional_id)
            .ok_or(TxnError::InvalidProducerIdMapping)
    }
}

fn check_identity(transaction: &Transaction, request: &AddPartitions) -> Result<(), TxnError> {
    if transaction.producer_id != request.producer_id {
        return Err(TxnError::InvalidProducerIdMapping);
    }
    if transaction.producer_epoch != request.producer_epoch {
        return Err(TxnError::ProducerFenced);
    }
    Ok(())
}
