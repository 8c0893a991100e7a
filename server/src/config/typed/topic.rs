//! What a partition reads from its topic's configs.

use std::time::Duration;

use super::CompressionLevels;

/// The effective configs of one topic: its own overrides, then the broker's settings, then the defaults.
///
/// Durations that Kafka bounds by the largest number are `Option`s, `None` meaning "never" or "no bound".
#[derive(Debug, Clone, PartialEq)]
pub struct TopicConfig {
    pub cleanup_policy: CleanupPolicy,
    /// `retention.ms`; `None`: kept for ever.
    pub retention: Option<Duration>,
    /// `retention.bytes` per partition; `None`: no bound.
    pub retention_bytes: Option<u64>,
    /// `segment.bytes`: the active segment is closed before it would grow past this.
    pub segment_bytes: u32,
    /// `segment.ms`.
    pub segment_age_max: Duration,
    /// `segment.jitter.ms`: up to this much is taken off `segment_age_max`, anew for each segment.
    pub segment_jitter: Duration,
    /// `segment.index.bytes`.
    pub segment_index_bytes_max: u32,
    /// `index.interval.bytes`.
    pub index_interval_bytes: u32,
    /// `preallocate`.
    pub preallocate: bool,
    /// `flush.messages`: sync after this many records; `None`: never for this reason.
    pub flush_messages: Option<u64>,
    /// `flush.ms`: sync when the oldest unsynced record is this old; `None`: never for this reason.
    pub flush_interval: Option<Duration>,
    /// `file.delete.delay.ms`.
    pub file_delete_delay: Duration,
    /// `max.message.bytes`: the largest batch that is taken, its header included.
    pub batch_bytes_max: usize,
    pub compression: TopicCompression,
    /// Levels for `compression`.
    pub compression_levels: CompressionLevels,
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`; `None`: a record may be as old as it likes.
    pub timestamp_before_max: Option<Duration>,
    /// `message.timestamp.after.max.ms`; `None`: a record may be as far in the future as it likes.
    pub timestamp_after_max: Option<Duration>,
    /// `delete.retention.ms`: how long compaction keeps tombstones.
    pub delete_retention: Duration,
    /// `min.compaction.lag.ms`.
    pub compaction_lag_min: Duration,
    /// `max.compaction.lag.ms`; `None`: no bound.
    pub compaction_lag_max: Option<Duration>,
    /// `min.cleanable.dirty.ratio`, 0 to 1.
    pub cleanable_dirty_ratio_min: f64,
    /// `min.insync.replicas`.
    pub min_insync_replicas: i32,
    /// `unclean.leader.election.enable`.
    pub unclean_leader_election_enable: bool,
}

/// `cleanup.policy`. Neither flag set (an empty list) means that nothing is ever removed (KIP-1149).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanupPolicy {
    pub delete: bool,
    pub compact: bool,
}

/// `compression.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicCompression {
    /// Batches stay as the producer made them.
    Producer,
    Uncompressed,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// `message.timestamp.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's time stands.
    CreateTime,
    /// The broker stamps its own time on every batch.
    LogAppendTime,
}
