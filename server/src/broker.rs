//! A broker as a value: everything that one broker owns, and nothing that is global to the process.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use klamm_group_coordinator::GroupConfig;
use klamm_group_coordinator::txn::TxnConfig;
use klamm_log_store::partition::Partition;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::api::ConnectionFacts;
use crate::clock::{Clock, millis};
use crate::cluster::changes::{create_topic, new_partition};
use crate::cluster::topic_name::{GROUP_METADATA_TOPIC_NAME, TRANSACTION_STATE_TOPIC_NAME};
use crate::cluster::{
    ClusterImage, ConfigResource, MetadataStore, Proposal, ProposeError, TopicImage,
};
use crate::config::{BrokerConfig, Configs, Overrides};
use crate::coordinator::{GroupCoordinator, TransactionCoordinator};
use crate::deadlines::Deadlines;
use crate::errors::ErrorCode;
use crate::features;
use crate::fetch::session::FetchSessions;
use crate::limits::RequestMemory;
use crate::metrics::Metrics;
pub use crate::node::Node;
use crate::partitions::{Hosted, Partitions};
use crate::producer_ids::ProducerIds;

/// One broker. Several of them can live in one process.
pub struct Broker {
    pub node_id: i32,
    pub clock: Clock,
    pub configs: Configs,
    /// The cluster's image. Changes go through [`Broker::propose`], so that everything here follows them.
    pub metadata: Arc<dyn MetadataStore>,
    pub partitions: Partitions,
    pub groups: GroupCoordinator,
    pub transactions: TransactionCoordinator,
    pub producer_ids: ProducerIds,
    pub fetch_sessions: FetchSessions,
    pub request_memory: Arc<RequestMemory>,
    pub deadlines: Deadlines,
    /// See [`Broker::lock_topics`].
    pub topic_changes: Mutex<()>,
    /// Held while the broker follows an image.
    pub following: Mutex<()>,
    /// Work that goes on behind the requests.
    pub background: Background,
    pub metrics: Metrics,
}

/// What a broker does beside answering: it is waited for when the broker stops, and ends then.
#[derive(Debug, Clone, Default)]
pub struct Background {
    pub tasks: TaskTracker,
    pub shutdown: CancellationToken,
}

impl Broker {
    /// The broker's settings as they are now.
    pub fn config(&self) -> Arc<BrokerConfig> {
        self.configs.broker()
    }

    /// The newest image of the cluster.
    pub fn image(&self) -> Arc<ClusterImage> {
        self.metadata.image()
    }

    /// Changes the cluster's metadata and lets everything on this broker follow: settings, open logs, groups. When it
    /// returns, the change is durable and in effect. Blocks on the disk: call it off the runtime.
    pub fn propose<T>(
        &self,
        change: impl FnMut(&mut Proposal) -> T,
    ) -> Result<(T, Arc<ClusterImage>), ProposeError> {
        let (answer, image) = self.metadata.propose_with(change)?;
        self.image_changed();
        Ok((answer, image))
    }

    /// Lets everything follow the newest image.
    pub fn image_changed(&self) {
        // One at a time, and always the newest: who comes late must not bring back what an older image says.
        let _following = self
            .following
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let image = self.image();
        let none = Overrides::new();
        let of_resource = |resource| {
            image
                .configs(&resource)
                .map_or(&none, |overrides| &**overrides)
        };
        let has_new_defaults = self.configs.apply(
            of_resource(ConfigResource::default_broker()),
            of_resource(ConfigResource::broker(self.node_id)),
        );
        if has_new_defaults {
            self.groups.set_config(&self.group_config());
        }
        // Holds a feature level as well, which may change alone.
        self.transactions.set_config(&self.txn_config());
        self.partitions
            .image_changed(&image, &self.configs, has_new_defaults);
    }

    /// Runs `work` until it is done or the broker stops.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.background.shutdown.clone();
        self.background.tasks.spawn(async move {
            tokio::select! {
                () = work => {}
                () = shutdown.cancelled() => {}
            }
        });
    }

    /// A producer id that nobody has had before.
    ///
    /// # Errors
    /// COORDINATOR_LOAD_IN_PROGRESS, as Kafka answers when no block of ids can be had.
    pub async fn fresh_producer_id(self: &Arc<Self>) -> Result<i64, ErrorCode> {
        if let Some(id) = self.producer_ids.take() {
            return Ok(id);
        }
        let broker = Arc::clone(self);
        let taken = tokio::task::spawn_blocking(move || {
            broker
                .producer_ids
                .take_from_new_block(&*broker.metadata, broker.node_id)
        });
        match taken.await {
            Ok(Ok(id)) => Ok(id),
            Ok(Err(error)) => {
                tracing::error!(%error, "no block of producer ids could be allocated");
                Err(ErrorCode::CoordinatorLoadInProgress)
            }
            Err(_) => Err(ErrorCode::CoordinatorLoadInProgress),
        }
    }

    /// Held by whoever creates or deletes topics, from the proposal until the logs are there or gone: a topic that is
    /// made again must not find the directories of the one before it.
    pub fn lock_topics(&self) -> MutexGuard<'_, ()> {
        self.topic_changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// This node as the client of `connection` can reach it.
    pub fn node_for(&self, connection: &ConnectionFacts) -> Node {
        Node::for_connection(self.node_id, &self.config().listeners, connection)
    }

    /// A partition that the image has. See [`Partitions::hosted`].
    pub fn hosted(&self, topic: &TopicImage, index: i32) -> Result<Hosted, ErrorCode> {
        self.partitions
            .hosted(&self.image(), topic, index, &self.configs)
    }

    /// The log of a partition by its topic's name.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION, or KAFKA_STORAGE_ERROR when the log is offline.
    pub fn partition_by_name(&self, topic: &str, index: i32) -> Result<Arc<Partition>, ErrorCode> {
        let image = self.image();
        let topic = image
            .topic(topic)
            .ok_or(ErrorCode::UnknownTopicOrPartition)?;
        self.hosted(topic, index)?.log
    }

    /// Opens every log of the image, several at a time, so that what a crash left behind is checked soon, and a clean
    /// stop can vouch for all of it. Logs that somebody asks for are opened then, without waiting for their turn. Blocks
    /// on the disk; ends early when the broker stops.
    pub fn open_all_logs(&self) {
        let image = self.image();
        let partitions: Vec<(Arc<TopicImage>, i32)> = image
            .topics()
            .flat_map(|topic| {
                (0..)
                    .take(topic.partitions.len())
                    .map(|index| (Arc::clone(topic), index))
            })
            .collect();
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..self.config().log.recovery_threads_per_directory.max(1) {
                scope.spawn(|| {
                    while let Some((topic, index)) =
                        partitions.get(next.fetch_add(1, Ordering::Relaxed))
                        && !self.background.shutdown.is_cancelled()
                    {
                        // A log that cannot be opened has said so and is offline; the others are not affected.
                        let _ = self.hosted(topic, *index);
                    }
                });
            }
        });
    }

    /// Closes every log and marks the data as closed. Blocks on the disk.
    pub fn close(&self) {
        let epoch = self
            .image()
            .broker(self.node_id)
            .map_or(-1, |broker| broker.epoch);
        self.partitions.close(epoch);
    }

    /// What the group coordinator goes by.
    pub fn group_config(&self) -> GroupConfig {
        let config = self.config();
        let ms_i32 =
            |duration: std::time::Duration| i32::try_from(duration.as_millis()).unwrap_or(i32::MAX);
        GroupConfig {
            session_timeout_ms_min: ms_i32(config.group.session_timeout_min),
            session_timeout_ms_max: ms_i32(config.group.session_timeout_max),
            initial_rebalance_delay_ms: ms_i32(config.group.initial_rebalance_delay),
            members_max: i32::try_from(config.group.members_max).unwrap_or(i32::MAX),
            offset_metadata_units_max: i32::try_from(config.offsets.metadata_bytes_max)
                .unwrap_or(i32::MAX),
            offsets_retention_ms: millis(config.offsets.retention),
            offsets_retention_check_interval_ms: millis(config.offsets.retention_check_interval),
            batch_bytes_max: self.batch_bytes_max(GROUP_METADATA_TOPIC_NAME),
            ..GroupConfig::default()
        }
    }

    /// What the transaction coordinator goes by.
    pub fn txn_config(&self) -> TxnConfig {
        let config = self.config();
        let transaction = &config.transaction;
        TxnConfig {
            transaction_timeout_ms_max: i32::try_from(transaction.timeout_max.as_millis())
                .unwrap_or(i32::MAX),
            transactional_id_expiration_ms: millis(transaction.id_expiration),
            transactional_id_expiration_check_interval_ms: millis(
                transaction.expiration_check_interval,
            ),
            two_phase_commit_enabled: transaction.two_phase_commit_enable,
            transaction_version: features::transaction_version(&self.image()),
            batch_bytes_max: self.batch_bytes_max(TRANSACTION_STATE_TOPIC_NAME),
        }
    }

    /// `max.message.bytes` of a topic.
    fn batch_bytes_max(&self, topic: &str) -> usize {
        let image = self.image();
        let none = Overrides::new();
        let overrides = image
            .configs(&ConfigResource::topic(topic))
            .map_or(&none, |overrides| &**overrides);
        self.configs.topic(overrides).batch_bytes_max
    }

    /// Makes an internal topic unless it is there, and returns how many partitions it has. Blocks on the disk.
    ///
    /// # Errors
    /// A text for the log.
    pub fn ensure_internal_topic(&self, name: &str) -> Result<usize, String> {
        if let Some(topic) = self.image().topic(name) {
            return Ok(topic.partitions.len());
        }
        let config = self.config();
        let (count, segment_bytes) = match name {
            GROUP_METADATA_TOPIC_NAME => (config.offsets.partitions, config.offsets.segment_bytes),
            _ => (
                config.transaction.partitions,
                config.transaction.segment_bytes,
            ),
        };
        let configs = BTreeMap::from([
            ("cleanup.policy".to_owned(), "compact".to_owned()),
            ("compression.type".to_owned(), "producer".to_owned()),
            ("segment.bytes".to_owned(), segment_bytes.to_string()),
        ]);
        let id = Uuid::new_v4();
        let ((), image) = self
            .propose(|proposal| {
                if proposal.image().topic(name).is_none() {
                    let replicas = [self.node_id];
                    let partition = new_partition(proposal.image(), &replicas, &replicas);
                    let partitions = vec![partition; usize::try_from(count).unwrap_or(1)];
                    create_topic(proposal, name, id, &configs, &partitions);
                }
            })
            .map_err(|error| error.to_string())?;
        Ok(image.topic(name).map_or(0, |topic| topic.partitions.len()))
    }
}
