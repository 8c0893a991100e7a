//! What the server reads from the broker's settings.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::listeners::Listener;

/// Everything that one broker reads from its settings: static ones and the dynamic ones over them.
///
/// Fields that Kafka can change without a restart are marked *dynamic*; everybody else may read its field once.
/// A bound that Kafka writes as -1 or as the largest number is an `Option` here, `None` meaning "no bound".
#[derive(Debug, Clone, PartialEq)]
pub struct BrokerConfig {
    /// `node.id` (or its old name `broker.id`); 1 where nothing is set.
    pub node_id: i32,
    /// The cluster id asked for by `CLUSTER_ID` or `klamm.cluster.id`; `None`: the one in the data directory, or a new one.
    pub cluster_id: Option<String>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Every listener that is to be bound. Never empty, names are distinct.
    pub listeners: Vec<Listener>,
    /// `inter.broker.listener.name`: the listener whose address other brokers would use.
    pub inter_broker_listener: String,
    pub storage: StorageRoot,
    /// `klamm.fsync`; [`FsyncPolicy::Never`] for an ephemeral broker unless it was asked for.
    pub fsync: FsyncPolicy,
    pub net: NetworkConfig,

    /// `auto.create.topics.enable`.
    pub auto_create_topics_enable: bool,
    /// `delete.topic.enable`.
    pub delete_topic_enable: bool,
    /// `num.partitions`, for topics created without a count.
    pub num_partitions: i32,
    /// `default.replication.factor`, for topics created without one.
    pub default_replication_factor: i16,
    /// `fetch.max.bytes`: no answer to a fetch is asked to be larger, save for one oversized first batch.
    pub fetch_bytes_max: i32,
    /// `max.incremental.fetch.session.cache.slots`.
    pub fetch_sessions_max: usize,
    /// `max.request.partition.size.limit`: partitions that one DescribeTopicPartitions answer may hold.
    pub response_partitions_max: i32,
    /// `request.timeout.ms`.
    pub request_timeout: Duration,

    pub log: LogTimers,
    pub cleaner: CleanerConfig,
    /// `producer.id.expiration.ms` (*dynamic*): an idle producer's state is forgotten after it.
    pub producer_id_expiration: Duration,
    /// `producer.id.expiration.check.interval.ms`.
    pub producer_id_expiration_check_interval: Duration,

    pub group: GroupCoordinatorConfig,
    pub consumer_group: ConsumerGroupDefaults,
    pub offsets: OffsetsConfig,
    pub transaction: TransactionConfig,
}

/// Where the broker keeps its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorageRoot {
    /// A temporary directory, made at start and removed at exit.
    Ephemeral,
    /// `--data-dir`, `log.dirs` or `log.dir`: at least one directory; topics are spread over all of them.
    Directories(Vec<PathBuf>),
}

/// What an answer to a produce request promises about the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FsyncPolicy {
    /// An answer to acks=all leaves after the bytes are on the disk; acks=1 promises the page cache.
    AcksAll,
    /// Every answer, acks=1 included, leaves after the bytes are on the disk.
    Always,
    /// No answer waits for the disk; only `flush.messages` and `flush.ms` cause a sync.
    Never,
}

/// Sockets and what peers may take up.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkConfig {
    /// `socket.request.max.bytes`: a longer frame ends its connection.
    pub request_bytes_max: usize,
    /// `queued.max.request.bytes`: bytes that all requests together may hold in memory. Kafka's default is no
    /// bound; Klamm's is [`klamm.request.memory.bytes.max`](crate::config), since memory is never unbounded here.
    pub request_memory_bytes_max: usize,
    /// `connections.max.idle.ms`; `None`: idle connections are kept.
    pub connection_idle_max: Option<Duration>,
    /// `max.connections` (*dynamic*); `None`: no bound.
    pub connections_max: Option<usize>,
    /// `max.connections.per.ip` (*dynamic*).
    pub connections_per_ip_max: Option<usize>,
    /// `max.connections.per.ip.overrides` (*dynamic*); host names have been resolved.
    pub connections_per_ip_overrides: Vec<(IpAddr, usize)>,
    /// `max.connection.creation.rate` (*dynamic*), accepted connections per second over all listeners.
    pub connections_per_second_max: Option<u32>,
    /// `socket.listen.backlog.size`.
    pub listen_backlog: i32,
    /// `socket.send.buffer.bytes`; `None`: the system's own choice.
    pub send_buffer_bytes: Option<usize>,
    /// `socket.receive.buffer.bytes`; `None`: the system's own choice.
    pub receive_buffer_bytes: Option<usize>,
}

/// Intervals of the work that goes on behind the logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTimers {
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval: Duration,
    /// `log.flush.scheduler.interval.ms`; `None`: `flush.ms` is never looked at.
    pub flush_check_interval: Option<Duration>,
    /// `log.flush.offset.checkpoint.interval.ms`.
    pub recovery_point_checkpoint_interval: Duration,
    /// `log.flush.start.offset.checkpoint.interval.ms`.
    pub start_offset_checkpoint_interval: Duration,
    /// `replica.high.watermark.checkpoint.interval.ms`.
    pub high_watermark_checkpoint_interval: Duration,
    /// `num.recovery.threads.per.data.dir` (*dynamic*).
    pub recovery_threads_per_directory: usize,
}

/// Compaction (`log.cleaner.*`), all but `enabled` *dynamic*.
#[derive(Debug, Clone, PartialEq)]
pub struct CleanerConfig {
    pub enabled: bool,
    pub threads: usize,
    pub dedupe_buffer_bytes: u64,
    pub io_buffer_bytes: usize,
    pub io_buffer_load_factor: f64,
    pub io_bytes_per_second_max: f64,
    pub backoff: Duration,
}

/// Classic groups and the coordinator itself (`group.*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupCoordinatorConfig {
    /// `group.coordinator.rebalance.protocols`; classic is always among them.
    pub protocols: Vec<String>,
    /// `group.min.session.timeout.ms`.
    pub session_timeout_min: Duration,
    /// `group.max.session.timeout.ms`.
    pub session_timeout_max: Duration,
    /// `group.initial.rebalance.delay.ms`; zero for an ephemeral broker unless it was asked for.
    pub initial_rebalance_delay: Duration,
    /// `group.max.size`.
    pub members_max: usize,
}

/// Groups of the consumer protocol (KIP-848): defaults that a group's own configs may override, and their bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerGroupDefaults {
    pub session_timeout: Duration,
    pub session_timeout_min: Duration,
    pub session_timeout_max: Duration,
    pub heartbeat_interval: Duration,
    pub heartbeat_interval_min: Duration,
    pub heartbeat_interval_max: Duration,
    pub members_max: usize,
    /// `group.consumer.assignors`, the first being the default.
    pub assignors: Vec<String>,
    /// `group.consumer.migration.policy`, in lower case.
    pub migration_policy: String,
}

/// `__consumer_offsets` and what is kept in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetsConfig {
    /// `offsets.topic.num.partitions`.
    pub partitions: i32,
    /// `offsets.topic.replication.factor`.
    pub replication_factor: i16,
    /// `offsets.topic.segment.bytes`.
    pub segment_bytes: i32,
    /// `offsets.topic.compression.codec`, the id of a codec.
    pub compression_codec: i8,
    /// `offsets.retention.minutes`.
    pub retention: Duration,
    /// `offsets.retention.check.interval.ms`.
    pub retention_check_interval: Duration,
    /// `offset.metadata.max.bytes`.
    pub metadata_bytes_max: usize,
    /// `offsets.commit.timeout.ms`.
    pub commit_timeout: Duration,
}

/// `__transaction_state` and what is kept in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionConfig {
    /// `transaction.state.log.num.partitions`.
    pub partitions: i32,
    /// `transaction.state.log.replication.factor`.
    pub replication_factor: i16,
    /// `transaction.state.log.min.isr`.
    pub min_insync_replicas: i32,
    /// `transaction.state.log.segment.bytes`.
    pub segment_bytes: i32,
    /// `transaction.max.timeout.ms`.
    pub timeout_max: Duration,
    /// `transactional.id.expiration.ms`.
    pub id_expiration: Duration,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`.
    pub abort_check_interval: Duration,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`.
    pub expiration_check_interval: Duration,
    /// `transaction.partition.verification.enable` (*dynamic*).
    pub partition_verification_enable: bool,
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
