//! The settings of a shard. Defaults are Kafka's (`GroupCoordinatorConfig`).

/// Settings and limits of a [`crate::Shard`]; each field names the broker config it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.min.session.timeout.ms`.
    pub session_timeout_ms_min: i32,
    /// `group.max.session.timeout.ms`.
    pub session_timeout_ms_max: i32,
    /// `group.initial.rebalance.delay.ms`: how long the first rebalance of an empty group waits for more members.
    pub initial_rebalance_delay_ms: i32,
    /// `group.max.size`: the most members that a classic group may have.
    pub members_max: i32,
    /// How long a new member may wait for the answer to its join. A constant in Kafka.
    pub new_member_join_timeout_ms: i32,
    /// `offset.metadata.max.bytes`. Kafka compares it with the number of UTF-16 code units, and so does the shard.
    pub offset_metadata_units_max: i32,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`: how often expired offsets and empty groups are looked for.
    pub offsets_retention_check_interval_ms: i64,
    /// `max.message.bytes` of `__consumer_offsets`: the largest batch that can be appended. A command whose records
    /// do not fit is refused; the driver may rely on that.
    pub batch_bytes_max: usize,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            session_timeout_ms_min: 6_000,
            session_timeout_ms_max: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            members_max: i32::MAX,
            new_member_join_timeout_ms: 5 * 60 * 1000,
            offset_metadata_units_max: 4096,
            offsets_retention_ms: 7 * 24 * 60 * 60 * 1000,
            offsets_retention_check_interval_ms: 10 * 60 * 1000,
            batch_bytes_max: 1_048_588,
        }
    }
}
