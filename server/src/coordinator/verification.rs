//! Makes sure that the coordinator of a transaction knows of a partition before the partition takes the transaction's
//! first records (KIP-890; Kafka's `AddPartitionsToTxnManager`).
//!
//! Clients of `transaction.version` 2 leave it to the broker to add the partition; for older ones the broker asks
//! whether they have done so themselves. Once the transaction is open in the partition nobody is asked any more.

use std::sync::Arc;

use klamm_group_coordinator as coordinator;
use klamm_group_coordinator::txn::{AddPartitions, TxnCommand, TxnPartition, TxnReply};
use klamm_log_store::partition::{AppendError, Partition, Verification, VerificationGuard};
use klamm_log_store::{ProducerEpoch, ProducerId};

use crate::broker::Broker;
use crate::errors::{self, ErrorCode};

/// How a client makes partitions part of its transaction, by the version of its request (Kafka's
/// `TransactionSupportedOperation`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// By itself, and it does not know TRANSACTION_ABORTABLE.
    ByItself,
    /// By itself.
    ByItselfAbortable,
    /// The broker does it with the first records (`transaction.version` 2).
    WithRecords,
}

impl Manner {
    fn of(version: i16, first_abortable: i16, first_with_records: i16) -> Self {
        if version >= first_with_records {
            Self::WithRecords
        } else if version >= first_abortable {
            Self::ByItselfAbortable
        } else {
            Self::ByItself
        }
    }

    /// By the version of Produce.
    pub fn of_produce(version: i16) -> Self {
        Self::of(version, 11, 12)
    }

    /// By the version of TxnOffsetCommit.
    pub fn of_offset_commit(version: i16) -> Self {
        Self::of(version, 4, 5)
    }

    fn needs_verification(self, broker: &Broker) -> bool {
        self == Self::WithRecords || broker.config().transaction.partition_verification_enable
    }
}

/// A producer's transaction, as a request that writes in it names it.
#[derive(Debug, Clone)]
pub struct Writer {
    pub transactional_id: String,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub manner: Manner,
}

/// What a partition wants before it takes a batch of the transaction.
#[derive(Debug, Clone, Copy)]
pub enum Demand {
    /// Nothing more than this.
    Met(Verification),
    /// The coordinator must vouch first; then this guard does.
    Vouch(VerificationGuard),
}

impl Writer {
    /// What `log` wants before it takes a batch that begins with `base_sequence`.
    ///
    /// # Errors
    /// The producer is not the one that the log knows.
    pub fn demand(
        &self,
        broker: &Broker,
        log: &Partition,
        base_sequence: i32,
    ) -> Result<Demand, AppendError> {
        if !self.manner.needs_verification(broker) {
            return Ok(Demand::Met(Verification::NotRequired));
        }
        let guard = log.start_verification(
            self.producer_id,
            self.producer_epoch,
            base_sequence,
            self.manner == Manner::WithRecords,
            broker.clock.now_ms(),
        )?;
        Ok(match guard {
            None => Demand::Met(Verification::Required(None)),
            Some(guard) => Demand::Vouch(guard),
        })
    }

    /// Asks the coordinator to vouch for partitions: one answer for each, in their order.
    pub async fn vouch(
        &self,
        broker: &Arc<Broker>,
        partitions: Vec<TxnPartition>,
    ) -> Vec<Result<(), ErrorCode>> {
        let count = partitions.len();
        let command = AddPartitions {
            transactional_id: self.transactional_id.clone(),
            producer_id: coordinator::ProducerId(self.producer_id.0),
            producer_epoch: self.producer_epoch.0,
            partitions,
            client_version: 2,
        };
        let command = match self.manner {
            Manner::WithRecords => TxnCommand::AddPartitions(command),
            Manner::ByItself | Manner::ByItselfAbortable => TxnCommand::VerifyPartitions(command),
        };
        let transactions = &broker.transactions;
        let error = match transactions
            .ask(broker, &self.transactional_id, command)
            .await
        {
            Ok(TxnReply::AddPartitions(Ok(()))) => return vec![Ok(()); count],
            Ok(TxnReply::VerifyPartitions(Ok(results))) => {
                let map = |result: Result<(), _>| {
                    result.map_err(|error| self.told(errors::of_txn_error(error)))
                };
                return results.into_iter().map(map).collect();
            }
            Ok(TxnReply::AddPartitions(Err(error)) | TxnReply::VerifyPartitions(Err(error))) => {
                errors::of_txn_error(error)
            }
            Ok(_) => ErrorCode::UnknownServerError,
            Err(error) => error,
        };
        vec![Err(self.told(error)); count]
    }

    /// What the client of a produce or commit request is told in place of the coordinator's own error.
    fn told(&self, error: ErrorCode) -> ErrorCode {
        match error {
            ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
            ErrorCode::TransactionAbortable if self.manner == Manner::ByItself => {
                ErrorCode::InvalidTxnState
            }
            error => error,
        }
    }
}
