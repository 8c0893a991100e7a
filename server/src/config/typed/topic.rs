//! What a partition reads from its topic's configs.

use std::time::Duration;

use super::units::{bounded, bounded_bytes, duration_ms};
use crate::config::resolved::TopicValues;

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

/// Levels for recompression, used where a topic's `compression.type` names the codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompressionLevels {
    /// -1 (the library's default) or 1 to 9.
    pub gzip: i32,
    /// 1 to 17.
    pub lz4: i32,
    /// -131072 to 22.
    pub zstd: i32,
}

impl TopicConfig {
    pub(in crate::config) fn new(values: &TopicValues) -> Self {
        let policies = values.list("cleanup.policy");
        let segment_bytes = values.optional_integer("internal.segment.bytes");
        Self {
            cleanup_policy: CleanupPolicy {
                delete: policies.iter().any(|policy| policy == "delete"),
                compact: policies.iter().any(|policy| policy == "compact"),
            },
            retention: bounded(values.integer("retention.ms")),
            retention_bytes: bounded_bytes(values.integer("retention.bytes")),
            segment_bytes: whole(segment_bytes.unwrap_or_else(|| values.integer("segment.bytes"))),
            segment_age_max: duration_ms(values.integer("segment.ms")),
            segment_jitter: duration_ms(values.integer("segment.jitter.ms")),
            segment_index_bytes_max: whole(values.integer("segment.index.bytes")),
            index_interval_bytes: whole(values.integer("index.interval.bytes")),
            preallocate: values.boolean("preallocate"),
            flush_messages: bounded_bytes(values.integer("flush.messages")),
            flush_interval: bounded(values.integer("flush.ms")),
            file_delete_delay: duration_ms(values.integer("file.delete.delay.ms")),
            batch_bytes_max: usize::try_from(values.integer("max.message.bytes")).unwrap_or(0),
            compression: match values.text("compression.type") {
                "uncompressed" => TopicCompression::Uncompressed,
                "gzip" => TopicCompression::Gzip,
                "snappy" => TopicCompression::Snappy,
                "lz4" => TopicCompression::Lz4,
                "zstd" => TopicCompression::Zstd,
                _ => TopicCompression::Producer,
            },
            compression_levels: CompressionLevels {
                gzip: level(values, "compression.gzip.level"),
                lz4: level(values, "compression.lz4.level"),
                zstd: level(values, "compression.zstd.level"),
            },
            timestamp_type: match values.text("message.timestamp.type") {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            timestamp_before_max: bounded(values.integer("message.timestamp.before.max.ms")),
            timestamp_after_max: bounded(values.integer("message.timestamp.after.max.ms")),
            delete_retention: duration_ms(values.integer("delete.retention.ms")),
            compaction_lag_min: duration_ms(values.integer("min.compaction.lag.ms")),
            compaction_lag_max: bounded(values.integer("max.compaction.lag.ms")),
            cleanable_dirty_ratio_min: values.double("min.cleanable.dirty.ratio"),
            min_insync_replicas: level(values, "min.insync.replicas"),
            unclean_leader_election_enable: values.boolean("unclean.leader.election.enable"),
        }
    }
}

/// An int that is not below zero.
fn whole(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// An int.
fn level(values: &TopicValues, name: &str) -> i32 {
    i32::try_from(values.integer(name)).unwrap_or_else(|_| panic!("{name} is an int"))
}
