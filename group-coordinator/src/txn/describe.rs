//! DescribeTransactions and ListTransactions.

use super::shard::TxnShard;
use crate::ids::Millis;
use crate::txn::{ListTransactions, TransactionDescription, TransactionListing, TxnError};

impl TxnShard {
    pub(super) fn describe(
        &self,
        transactional_id: &str,
    ) -> Result<TransactionDescription, TxnError> {
        if transactional_id.is_empty() {
            return Err(TxnError::EmptyTransactionalId);
        }
        let transaction = self
            .transactions
            .get(transactional_id)
            .ok_or(TxnError::TransactionalIdNotFound)?;
        Ok(TransactionDescription {
            transactional_id: transactional_id.to_owned(),
            state: transaction.phase.state(),
            timeout_ms: transaction.timeout_ms,
            start_time_ms: transaction.start_ms,
            producer_id: transaction.producer_id,
            producer_epoch: transaction.producer_epoch,
            partitions: transaction.partitions.iter().cloned().collect(),
        })
    }

    pub(super) fn list(&self, now: Millis, request: &ListTransactions) -> Vec<TransactionListing> {
        // Like in Kafka, an id that has no transaction counts as open since its last one began, or since 1970.
        let is_old_enough = |start_ms: i64| match request.open_longer_than_ms {
            Some(duration_ms) => duration_ms < 0 || now.0.saturating_sub(start_ms) > duration_ms,
            None => true,
        };
        self.transactions
            .iter()
            .filter(|(_, transaction)| is_old_enough(transaction.start_ms))
            .map(|(transactional_id, transaction)| TransactionListing {
                transactional_id: transactional_id.clone(),
                producer_id: transaction.producer_id,
                state: transaction.phase.state(),
            })
            .filter(|listing| passes(&request.producer_ids, &listing.producer_id))
            .filter(|listing| passes(&request.states, &listing.state))
            .collect()
    }
}

fn passes<T: PartialEq>(filter: &Option<Vec<T>>, value: &T) -> bool {
    filter.as_ref().is_none_or(|wanted| wanted.contains(value))
}
