//! What a transaction shard can be asked to do.

use crate::ids::ProducerId;
use crate::step::TransactionOutcome;
use crate::txn::TransactionState;

/// A request to one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TxnCommand {
    InitProducerId(InitProducerId),
    /// Make partitions part of the transaction; the first ones open it.
    AddPartitions(AddPartitions),
    /// Ask which partitions are part of the transaction, and change nothing (KIP-890).
    VerifyPartitions(AddPartitions),
    EndTransaction(EndTransaction),
    /// Markers that a step asked for are committed.
    MarkersWritten(MarkersWritten),
    DescribeTransaction {
        transactional_id: String,
    },
    ListTransactions(ListTransactions),
}

/// Claim a transactional id: whoever held it before is fenced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitProducerId {
    pub transactional_id: String,
    pub timeout_ms: i32,
    /// KIP-939.
    pub enable_two_phase_commit: bool,
    /// KIP-939.
    pub keep_prepared: bool,
    /// What the producer believes to be (version 3 and later), `None` for a new one.
    pub expected: Option<(ProducerId, i16)>,
    /// An id that nobody has; see [`crate::txn::TxnReply::NeedsProducerId`].
    pub fresh_producer_id: Option<ProducerId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddPartitions {
    pub transactional_id: String,
    pub producer_id: ProducerId,
    pub producer_epoch: i16,
    pub partitions: Vec<TxnPartition>,
    /// The level of `transaction.version` that the client's request speaks: 0 or 2.
    pub client_version: i16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndTransaction {
    pub transactional_id: String,
    pub producer_id: ProducerId,
    pub producer_epoch: i16,
    pub outcome: TransactionOutcome,
    /// The level of `transaction.version` that the client's request speaks: 0 or 2.
    pub client_version: i16,
    /// See [`InitProducerId::fresh_producer_id`].
    pub fresh_producer_id: Option<ProducerId>,
}

/// A partition that a transaction writes to; `__consumer_offsets` among them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxnPartition {
    pub topic: String,
    pub partition: i32,
}

/// Says that markers of a [`crate::txn::WriteMarkers`] are committed, or their partitions gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkersWritten {
    pub transactional_id: String,
    pub producer_id: ProducerId,
    /// The epoch in the markers.
    pub producer_epoch: i16,
    /// The partitions that have no marker yet. The transaction is complete when there are none.
    pub missing: Vec<TxnPartition>,
}

/// Name the transactional ids of this shard. A filter that is `None` lets everything pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListTransactions {
    pub producer_ids: Option<Vec<ProducerId>>,
    pub states: Option<Vec<TransactionState>>,
    /// Only transactions that have been open for longer than this, in milliseconds.
    pub open_longer_than_ms: Option<i64>,
}
