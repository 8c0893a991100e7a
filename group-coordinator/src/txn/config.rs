//! The settings of a transaction shard. Defaults are Kafka's (`TransactionStateManagerConfig`).

/// Settings and limits of a [`crate::txn::TxnShard`]; each field names the broker config it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxnConfig {
    /// `transaction.max.timeout.ms`.
    pub transaction_timeout_ms_max: i32,
    /// `transactional.id.expiration.ms`: how long an id without a transaction is remembered.
    pub transactional_id_expiration_ms: i64,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`: how often expired ids are looked for.
    pub transactional_id_expiration_check_interval_ms: i64,
    /// `transaction.two.phase.commit.enable` (KIP-939).
    pub two_phase_commit_enabled: bool,
    /// The finalized level of the feature `transaction.version`: 0, 1 (flexible records) or 2 (KIP-890).
    pub transaction_version: i16,
    /// `max.message.bytes` of `__transaction_state`: the largest batch that can be appended.
    pub batch_bytes_max: usize,
}

impl Default for TxnConfig {
    fn default() -> Self {
        Self {
            transaction_timeout_ms_max: 15 * 60 * 1000,
            transactional_id_expiration_ms: 7 * 24 * 60 * 60 * 1000,
            transactional_id_expiration_check_interval_ms: 60 * 60 * 1000,
            two_phase_commit_enabled: false,
            transaction_version: 2,
            batch_bytes_max: 1_048_588,
        }
    }
}
