//! What a transaction shard answers.

use std::fmt;

use crate::ids::{ProducerId, Ticket};
use crate::step::{Record, TransactionOutcome};
use crate::txn::TxnPartition;

/// The outcome of one call.
///
/// The rules of [`crate::Step`] hold. Markers are written only when the records of this step and of all earlier
/// steps are committed; when they are, [`crate::txn::TxnCommand::MarkersWritten`] completes the transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TxnStep {
    pub records: Vec<Record>,
    pub replies: Vec<(Ticket, TxnReply)>,
    pub markers: Vec<WriteMarkers>,
}

/// The end of a transaction, to be written to every partition that it touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteMarkers {
    pub transactional_id: String,
    pub producer_id: ProducerId,
    pub producer_epoch: i16,
    pub outcome: TransactionOutcome,
    /// The leader epoch of the shard's partition.
    pub coordinator_epoch: i32,
    /// The level of `transaction.version` under which the transaction ends; it says how strictly partitions take the
    /// epoch.
    pub transaction_version: i16,
    /// Sorted. Empty only in the step of [`crate::txn::TxnShard::loaded`]: then nothing is to be written, and the
    /// transaction can be completed at once.
    pub partitions: Vec<TxnPartition>,
}

/// One reply for each kind of command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TxnReply {
    InitProducerId(Result<ProducerIdentity, TxnError>),
    AddPartitions(Result<(), TxnError>),
    /// One result for each partition that was asked about, in that order.
    VerifyPartitions(Result<Vec<Result<(), TxnError>>, TxnError>),
    /// The identity with which the producer goes on: a new one if the client speaks `transaction.version` 2, `None`
    /// otherwise.
    EndTransaction(Result<Option<ProducerIdentity>, TxnError>),
    MarkersWritten,
    DescribeTransaction(Result<TransactionDescription, TxnError>),
    ListTransactions(Vec<TransactionListing>),
    /// The command needs a producer id that nobody has. Nothing has happened; submit it again with one.
    NeedsProducerId,
}

/// A producer id and the epoch that is valid for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerIdentity {
    pub producer_id: ProducerId,
    pub producer_epoch: i16,
}

/// Kafka's `TransactionState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionState {
    Empty,
    Ongoing,
    PrepareCommit,
    PrepareAbort,
    CompleteCommit,
    CompleteAbort,
    Dead,
    PrepareEpochFence,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionDescription {
    pub transactional_id: String,
    pub state: TransactionState,
    pub timeout_ms: i32,
    /// When the transaction began, or the last one if there is none, in milliseconds since 1970; -1 if there was
    /// none since the id was initialized.
    pub start_time_ms: i64,
    pub producer_id: ProducerId,
    pub producer_epoch: i16,
    /// Sorted.
    pub partitions: Vec<TxnPartition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionListing {
    pub transactional_id: String,
    pub producer_id: ProducerId,
    pub state: TransactionState,
}

/// Why a command was refused. Which Kafka error code it becomes is the server's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TxnError {
    /// The transactional id is empty.
    EmptyTransactionalId,
    /// The timeout is not positive, or longer than the config allows.
    InvalidTimeout,
    /// Two-phase commit is not enabled here.
    TwoPhaseCommitDisabled,
    /// Keeping a prepared transaction is not there in Kafka 4.3 either.
    KeepPreparedUnsupported,
    /// Nobody has initialized the transactional id, or it has expired.
    TransactionalIdNotFound,
    /// The producer id is not the one of the transactional id.
    InvalidProducerIdMapping,
    /// Another producer holds the transactional id by now.
    ProducerFenced,
    /// The transaction before is still ending; try again.
    ConcurrentTransactions,
    /// The transaction cannot end like this in its state.
    InvalidTxnState,
    /// The partition is not part of the transaction, which can only be aborted.
    TransactionAbortable,
    /// A record of the transaction would be larger than a batch may be, or a name longer than a record can hold.
    RecordTooLarge,
}

impl fmt::Display for TxnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmptyTransactionalId => "transactional id is empty",
            Self::InvalidTimeout => "transaction timeout is out of range",
            Self::TwoPhaseCommitDisabled => "two-phase commit is not enabled",
            Self::KeepPreparedUnsupported => "a prepared transaction cannot be kept",
            Self::TransactionalIdNotFound => "transactional id is not known",
            Self::InvalidProducerIdMapping => "producer id does not belong to the transactional id",
            Self::ProducerFenced => "another producer holds the transactional id",
            Self::ConcurrentTransactions => "transaction before is still ending",
            Self::InvalidTxnState => "transaction cannot end like this in its state",
            Self::TransactionAbortable => "partition is not part of the transaction",
            Self::RecordTooLarge => "record of the transaction does not fit into a batch",
        })
    }
}

impl std::error::Error for TxnError {}
