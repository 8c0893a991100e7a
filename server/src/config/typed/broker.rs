//! What the server reads from the broker's settings.

use std::net::IpAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use super::metadata_log::MetadataLogConfig;
use super::units::{bounded, bounded_count, count, milliseconds, minutes};
use crate::config::listeners::Listener;
use crate::config::load::StaticSettings;
use crate::config::relations;
use crate::config::values::BrokerValues;

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
    /// `klamm.metrics.listener`.
    pub metrics_listener: Option<String>,
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

    /// `metadata.log.dir`; `None`: the first of the data directories.
    pub metadata_log_dir: Option<PathBuf>,
    pub metadata_log: MetadataLogConfig,
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
    /// Bytes that all requests together may hold in memory: `queued.max.request.bytes`, and where that is -1 (Kafka's
    /// default: no bound) `klamm.request.memory.max.bytes`.
    pub request_memory_bytes_max: usize,
    /// `klamm.batch.decompressed.max.bytes`.
    pub decompressed_bytes_max: usize,
    /// `klamm.connection.requests.max`.
    pub requests_in_flight_max: usize,
    /// `connections.max.idle.ms`; `None`: idle connections are kept.
    pub connection_idle_max: Option<Duration>,
    /// `max.connections` (*dynamic*); `None`: no bound.
    pub connections_max: Option<usize>,
    /// `max.connections.per.ip` (*dynamic*).
    pub connections_per_ip_max: Option<usize>,
    /// `max.connections.per.ip.overrides` (*dynamic*), addresses only: an entry with a host name has no effect.
    pub connections_per_ip_overrides: Vec<(IpAddr, usize)>,
    /// `max.connection.creation.rate` (*dynamic*), accepted connections per second over all listeners.
    pub connections_per_second_max: Option<u32>,
    /// `socket.listen.backlog.size`.
    pub listen_backlog: i32,
    /// `klamm.network.threads`, with the machine's cores in place of 0.
    pub threads: usize,
    /// `socket.send.buffer.bytes`; `None`: the system's own choice.
    pub send_buffer_bytes: Option<usize>,
    /// `socket.receive.buffer.bytes` where it is set; `None`: the system's own choice.
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
    /// `log.initial.task.delay.ms`: the first round of each of these waits this long after the start.
    pub initial_delay: Duration,
    /// `replica.high.watermark.checkpoint.interval.ms`.
    pub high_watermark_checkpoint_interval: Duration,
    /// `num.recovery.threads.per.data.dir` (*dynamic*).
    pub recovery_threads_per_directory: usize,
    /// `klamm.open.files.max`; `None` leaves it to the process's limit.
    pub open_files_max: Option<usize>,
    /// `klamm.log.reopen.interval.ms`.
    pub reopen_interval_ms: i64,
}

/// Compaction (`log.cleaner.*`), all but `enabled` *dynamic*.
#[derive(Debug, Clone, PartialEq)]
pub struct CleanerConfig {
    /// `log.cleaner.enable`.
    pub enabled: bool,
    /// `log.cleaner.dedupe.buffer.size`: memory for the map of keys.
    pub dedupe_buffer_bytes: u64,
    /// `log.cleaner.io.max.bytes.per.second`; infinite where nothing bounds it.
    pub io_bytes_per_second_max: f64,
    /// `log.cleaner.backoff.ms`.
    pub backoff: Duration,
    /// `log.cleaner.threads`: logs that are compacted at a time.
    pub threads: usize,
    /// `log.cleaner.io.buffer.size`.
    pub io_buffer_bytes: usize,
    /// `log.cleaner.io.buffer.load.factor`: how full the map of keys may get, 0 to 1.
    pub load_factor: f64,
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
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`.
    pub expiration_check_interval: Duration,
    /// `transaction.partition.verification.enable` (*dynamic*).
    pub partition_verification_enable: bool,
    /// `transaction.two.phase.commit.enable`.
    pub two_phase_commit_enable: bool,
    /// `add.partitions.to.txn.retry.backoff.ms`.
    pub add_partitions_retry_backoff: Duration,
    /// `add.partitions.to.txn.retry.backoff.max.ms`: how long a produce request tries in all.
    pub add_partitions_retry_max: Duration,
}

impl BrokerConfig {
    /// Reads the view out of `values`: those of `settings`, the dynamic ones over them.
    pub(in crate::config) fn new(settings: &StaticSettings, values: &BrokerValues) -> Self {
        let directories = values.list("log.dirs");
        let directories = if directories.is_empty() {
            values.list("log.dir")
        } else {
            directories
        };
        let storage = if settings.ephemeral {
            StorageRoot::Ephemeral
        } else {
            StorageRoot::Directories(directories.into_iter().map(PathBuf::from).collect())
        };
        Self {
            node_id: int(values, "node.id"),
            cluster_id: values.text("klamm.cluster.id"),
            metrics_listener: values.text("klamm.metrics.listener"),
            rack: values.text("broker.rack"),
            listeners: settings.listeners.listeners.clone(),
            inter_broker_listener: settings.listeners.inter_broker.clone(),
            storage,
            fsync: match values.text("klamm.fsync").as_deref() {
                Some("always") => FsyncPolicy::Always,
                Some("never") => FsyncPolicy::Never,
                _ => FsyncPolicy::AcksAll,
            },
            net: NetworkConfig::new(values),
            auto_create_topics_enable: values.boolean("auto.create.topics.enable"),
            delete_topic_enable: values.boolean("delete.topic.enable"),
            num_partitions: int(values, "num.partitions"),
            default_replication_factor: int(values, "default.replication.factor"),
            fetch_bytes_max: int(values, "fetch.max.bytes"),
            fetch_sessions_max: count(values, "max.incremental.fetch.session.cache.slots"),
            response_partitions_max: int(values, "max.request.partition.size.limit"),
            request_timeout: milliseconds(values, "request.timeout.ms"),
            metadata_log_dir: values.text("metadata.log.dir").map(PathBuf::from),
            metadata_log: MetadataLogConfig::new(values),
            log: LogTimers::new(values),
            cleaner: CleanerConfig::new(values),
            producer_id_expiration: milliseconds(values, "producer.id.expiration.ms"),
            producer_id_expiration_check_interval: milliseconds(
                values,
                "producer.id.expiration.check.interval.ms",
            ),
            group: GroupCoordinatorConfig::new(values),
            consumer_group: ConsumerGroupDefaults::new(values),
            offsets: OffsetsConfig::new(values),
            transaction: TransactionConfig::new(values),
        }
    }
}

/// A number whose row keeps it in the range of `T`.
fn int<T: TryFrom<i64>>(values: &BrokerValues, name: &str) -> T {
    let number = values.integer(name);
    T::try_from(number).unwrap_or_else(|_| panic!("{name}={number} is in the range of its kind"))
}

impl NetworkConfig {
    fn new(values: &BrokerValues) -> Self {
        let queued = values.integer("queued.max.request.bytes");
        let memory = if queued > 0 {
            queued
        } else {
            values.integer("klamm.request.memory.max.bytes")
        };
        let overrides = relations::connections_per_ip_overrides(values).unwrap_or_default();
        let address =
            |(host, connections): (String, usize)| Some((host.parse().ok()?, connections));
        Self {
            request_bytes_max: count(values, "socket.request.max.bytes"),
            request_memory_bytes_max: usize::try_from(memory).unwrap_or(usize::MAX),
            decompressed_bytes_max: count(values, "klamm.batch.decompressed.max.bytes"),
            requests_in_flight_max: count(values, "klamm.connection.requests.max"),
            connection_idle_max: bounded(values.integer("connections.max.idle.ms")),
            connections_max: bounded_count(values, "max.connections"),
            connections_per_ip_max: bounded_count(values, "max.connections.per.ip"),
            connections_per_ip_overrides: overrides.into_iter().filter_map(address).collect(),
            connections_per_second_max: Some(int(values, "max.connection.creation.rate"))
                .filter(|rate| *rate != i32::MAX as u32),
            listen_backlog: int(values, "socket.listen.backlog.size"),
            threads: network_threads(values),
            send_buffer_bytes: usize::try_from(values.integer("socket.send.buffer.bytes")).ok(),
            receive_buffer_bytes: Some(values.integer("socket.receive.buffer.bytes"))
                .filter(|_| values.is_set("socket.receive.buffer.bytes"))
                .and_then(|bytes| usize::try_from(bytes).ok()),
        }
    }
}

fn network_threads(values: &BrokerValues) -> usize {
    match count(values, "klamm.network.threads") {
        0 => std::thread::available_parallelism().map_or(1, NonZero::get),
        threads => threads,
    }
}

impl LogTimers {
    fn new(values: &BrokerValues) -> Self {
        Self {
            retention_check_interval: milliseconds(values, "log.retention.check.interval.ms"),
            flush_check_interval: bounded(values.integer("log.flush.scheduler.interval.ms")),
            recovery_point_checkpoint_interval: milliseconds(
                values,
                "log.flush.offset.checkpoint.interval.ms",
            ),
            start_offset_checkpoint_interval: milliseconds(
                values,
                "log.flush.start.offset.checkpoint.interval.ms",
            ),
            initial_delay: milliseconds(values, "log.initial.task.delay.ms"),
            high_watermark_checkpoint_interval: milliseconds(
                values,
                "replica.high.watermark.checkpoint.interval.ms",
            ),
            recovery_threads_per_directory: count(values, "num.recovery.threads.per.data.dir"),
            open_files_max: Some(count(values, "klamm.open.files.max")).filter(|max| *max > 0),
            reopen_interval_ms: values.integer("klamm.log.reopen.interval.ms"),
        }
    }
}

impl CleanerConfig {
    fn new(values: &BrokerValues) -> Self {
        Self {
            enabled: values.boolean("log.cleaner.enable"),
            dedupe_buffer_bytes: u64::try_from(values.integer("log.cleaner.dedupe.buffer.size"))
                .unwrap_or(0),
            io_bytes_per_second_max: values.double("log.cleaner.io.max.bytes.per.second"),
            backoff: milliseconds(values, "log.cleaner.backoff.ms"),
            threads: count(values, "log.cleaner.threads"),
            io_buffer_bytes: count(values, "log.cleaner.io.buffer.size"),
            load_factor: values.double("log.cleaner.io.buffer.load.factor"),
        }
    }
}

impl GroupCoordinatorConfig {
    fn new(values: &BrokerValues) -> Self {
        Self {
            protocols: values.list("group.coordinator.rebalance.protocols"),
            session_timeout_min: milliseconds(values, "group.min.session.timeout.ms"),
            session_timeout_max: milliseconds(values, "group.max.session.timeout.ms"),
            initial_rebalance_delay: milliseconds(values, "group.initial.rebalance.delay.ms"),
            members_max: count(values, "group.max.size"),
        }
    }
}

impl ConsumerGroupDefaults {
    fn new(values: &BrokerValues) -> Self {
        Self {
            session_timeout: milliseconds(values, "group.consumer.session.timeout.ms"),
            session_timeout_min: milliseconds(values, "group.consumer.min.session.timeout.ms"),
            session_timeout_max: milliseconds(values, "group.consumer.max.session.timeout.ms"),
            heartbeat_interval: milliseconds(values, "group.consumer.heartbeat.interval.ms"),
            heartbeat_interval_min: milliseconds(
                values,
                "group.consumer.min.heartbeat.interval.ms",
            ),
            heartbeat_interval_max: milliseconds(
                values,
                "group.consumer.max.heartbeat.interval.ms",
            ),
            members_max: count(values, "group.consumer.max.size"),
            assignors: values.list("group.consumer.assignors"),
            migration_policy: values
                .text("group.consumer.migration.policy")
                .unwrap_or_default()
                .to_lowercase(),
        }
    }
}

impl OffsetsConfig {
    fn new(values: &BrokerValues) -> Self {
        Self {
            partitions: int(values, "offsets.topic.num.partitions"),
            replication_factor: int(values, "offsets.topic.replication.factor"),
            segment_bytes: int(values, "offsets.topic.segment.bytes"),
            compression_codec: int(values, "offsets.topic.compression.codec"),
            retention: minutes(values, "offsets.retention.minutes"),
            retention_check_interval: milliseconds(values, "offsets.retention.check.interval.ms"),
            metadata_bytes_max: count(values, "offset.metadata.max.bytes"),
            commit_timeout: milliseconds(values, "offsets.commit.timeout.ms"),
        }
    }
}

impl TransactionConfig {
    fn new(values: &BrokerValues) -> Self {
        Self {
            partitions: int(values, "transaction.state.log.num.partitions"),
            replication_factor: int(values, "transaction.state.log.replication.factor"),
            min_insync_replicas: int(values, "transaction.state.log.min.isr"),
            segment_bytes: int(values, "transaction.state.log.segment.bytes"),
            timeout_max: milliseconds(values, "transaction.max.timeout.ms"),
            id_expiration: milliseconds(values, "transactional.id.expiration.ms"),
            expiration_check_interval: milliseconds(
                values,
                "transaction.remove.expired.transaction.cleanup.interval.ms",
            ),
            partition_verification_enable: values
                .boolean("transaction.partition.verification.enable"),
            two_phase_commit_enable: values.boolean("transaction.two.phase.commit.enable"),
            add_partitions_retry_backoff: milliseconds(
                values,
                "add.partitions.to.txn.retry.backoff.ms",
            ),
            add_partitions_retry_max: milliseconds(
                values,
                "add.partitions.to.txn.retry.backoff.max.ms",
            ),
        }
    }
}
