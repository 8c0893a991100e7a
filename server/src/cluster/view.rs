//! The cluster image: what all brokers agree on, frozen at one offset of the metadata log.

use std::collections::BTreeMap;
use std::sync::Arc;

use rpds::{HashTrieMapSync, RedBlackTreeMapSync};
use uuid::Uuid;

use super::retained::RetainedRecords;
use super::topic_name;

/// One state of the cluster's metadata. Cloning it is cheap: the large maps share their structure, so a proposal costs
/// what it changes and not what the cluster holds.
#[derive(Debug, Clone)]
pub struct ClusterImage {
    /// The cluster's id as clients see it: 22 characters of base64url.
    pub cluster_id: Arc<str>,
    /// The node that this image was built on.
    pub node_id: i32,
    /// Offset of the last metadata record that this image holds; -1 when there is none.
    pub offset: i64,
    /// The epoch that the metadata log is written with now. Grows with every opening of the log.
    pub epoch: i32,
    /// Every registered broker, fenced ones included.
    pub brokers: BTreeMap<i32, Arc<BrokerRegistration>>,
    /// Every registered controller.
    pub controllers: BTreeMap<i32, Arc<ControllerRegistration>>,
    pub features: FinalizedFeatures,
    /// First id of the next block of producer ids. Only ever grows.
    pub next_producer_id: i64,
    pub(super) topics: RedBlackTreeMapSync<Arc<str>, Arc<TopicImage>>,
    pub(super) topic_names: HashTrieMapSync<Uuid, Arc<str>>,
    /// Topics with a '.' or '_' in their names, by the name with every '.' turned into '_'.
    pub(super) colliding_names: HashTrieMapSync<String, Vec<Arc<str>>>,
    pub(super) configs: HashTrieMapSync<ConfigResource, Arc<BTreeMap<String, String>>>,
    pub(super) partition_count: usize,
    /// What the log says beside all this.
    pub retained: RetainedRecords,
}

/// A broker as it registered itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerRegistration {
    pub id: i32,
    /// Offset of the metadata record that registered this incarnation.
    pub epoch: i64,
    /// Left over from the days of ZooKeeper.
    pub is_migrating_zk_broker: bool,
    pub incarnation_id: Uuid,
    pub listeners: Vec<Endpoint>,
    /// Feature levels that the broker supports, first and last inclusive.
    pub features: BTreeMap<String, (i16, i16)>,
    pub rack: Option<String>,
    /// A fenced broker leads nothing and is not shown to clients.
    pub is_fenced: bool,
    pub is_in_controlled_shutdown: bool,
    pub log_dirs: Vec<Uuid>,
    /// Directories that take no new replicas; none before the broker has said so (KIP-1066).
    pub cordoned_log_dirs: Option<Vec<Uuid>>,
}

/// A controller as it registered itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControllerRegistration {
    pub id: i32,
    pub incarnation_id: Uuid,
    /// Left over from the days of ZooKeeper.
    pub is_zk_migration_ready: bool,
    pub listeners: Vec<Endpoint>,
    pub features: BTreeMap<String, (i16, i16)>,
}

/// Where a listener of a node is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name, e.g. `PLAINTEXT`.
    pub name: String,
    pub host: String,
    pub port: u16,
    /// Kafka's number: 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
    pub security_protocol: i16,
}

/// Feature levels that the cluster has agreed on. A feature at level 0 is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FinalizedFeatures {
    pub levels: BTreeMap<String, i16>,
}

impl FinalizedFeatures {
    /// The level of a feature; 0 when it is not finalized.
    pub fn level(&self, name: &str) -> i16 {
        self.levels.get(name).copied().unwrap_or(0)
    }

    /// The level of `metadata.version`, which decides the versions of new metadata records; the oldest one that Kafka
    /// 4 accepts when nothing is finalized yet.
    pub fn metadata_version(&self) -> i16 {
        self.levels
            .get(METADATA_VERSION_FEATURE)
            .copied()
            .unwrap_or(METADATA_VERSION_MIN)
    }
}

/// Name of the feature whose level says where the voters are named. The log has it in control records, so no snapshot
/// states it among the features.
pub const KRAFT_VERSION_FEATURE: &str = "kraft.version";
/// Name of the feature whose level is the metadata version.
pub const METADATA_VERSION_FEATURE: &str = "metadata.version";
/// 3.3-IV3, the oldest metadata version that Kafka 4.3 works with.
pub const METADATA_VERSION_MIN: i16 = 7;

/// A topic and its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicImage {
    pub name: Arc<str>,
    pub id: Uuid,
    /// By partition index: dense, from 0.
    pub partitions: Vec<PartitionImage>,
}

impl TopicImage {
    /// The partition of an index as it comes from a client; none when it is negative or too large.
    pub fn partition(&self, index: i32) -> Option<&PartitionImage> {
        usize::try_from(index)
            .ok()
            .and_then(|index| self.partitions.get(index))
    }

    /// Whether this is one of the topics that Kafka keeps its own state in.
    pub fn is_internal(&self) -> bool {
        topic_name::is_internal(&self.name)
    }
}

/// Who holds and who leads one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionImage {
    /// Node id of the leader; [`NO_LEADER`] when there is none.
    pub leader: i32,
    /// Counts leaderships of this partition; never goes backwards.
    pub leader_epoch: i32,
    /// Counts changes of this partition of any kind.
    pub partition_epoch: i32,
    /// Preferred leader first.
    pub replicas: Vec<i32>,
    pub isr: Vec<i32>,
    pub adding_replicas: Vec<i32>,
    pub removing_replicas: Vec<i32>,
    /// Eligible leader replicas (KIP-966).
    pub elr: Vec<i32>,
    pub last_known_elr: Vec<i32>,
    /// The directory of each replica, in the order of `replicas`; nil ids where a directory is not known.
    pub directories: Vec<Uuid>,
    /// Whether an unclean election is still being recovered from.
    pub is_recovering: bool,
}

/// The leader of a partition that has none.
pub const NO_LEADER: i32 = -1;

/// What a config belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConfigResource {
    /// Kafka's number: 2 topic, 4 broker, 16 client metrics, 32 group.
    pub kind: i8,
    /// Topic name, broker id in decimal (empty for the default of all brokers), subscription or group name.
    pub name: String,
}

impl ConfigResource {
    pub const TOPIC: i8 = 2;
    pub const BROKER: i8 = 4;
    pub const CLIENT_METRICS: i8 = 16;
    pub const GROUP: i8 = 32;

    pub fn topic(name: &str) -> Self {
        Self {
            kind: Self::TOPIC,
            name: name.to_owned(),
        }
    }

    pub fn broker(id: i32) -> Self {
        Self {
            kind: Self::BROKER,
            name: id.to_string(),
        }
    }

    /// The dynamic default of all brokers.
    pub fn default_broker() -> Self {
        Self {
            kind: Self::BROKER,
            name: String::new(),
        }
    }

    pub fn group(name: &str) -> Self {
        Self {
            kind: Self::GROUP,
            name: name.to_owned(),
        }
    }

    pub fn client_metrics(name: &str) -> Self {
        Self {
            kind: Self::CLIENT_METRICS,
            name: name.to_owned(),
        }
    }
}

impl ClusterImage {
    /// The image before the first record.
    pub fn empty(cluster_id: &str, node_id: i32) -> Self {
        Self {
            cluster_id: Arc::from(cluster_id),
            node_id,
            offset: -1,
            epoch: 0,
            brokers: BTreeMap::new(),
            controllers: BTreeMap::new(),
            features: FinalizedFeatures::default(),
            next_producer_id: 0,
            topics: RedBlackTreeMapSync::new_sync(),
            topic_names: HashTrieMapSync::new_sync(),
            colliding_names: HashTrieMapSync::new_sync(),
            configs: HashTrieMapSync::new_sync(),
            partition_count: 0,
            retained: RetainedRecords::default(),
        }
    }

    pub fn topic(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.topics.get(name)
    }

    pub fn topic_by_id(&self, id: Uuid) -> Option<&Arc<TopicImage>> {
        self.topic_names
            .get(&id)
            .and_then(|name| self.topics.get(name))
    }

    /// All topics, internal ones included, in the order of their names.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.topics.values()
    }

    /// The topics whose names are `first` or later, in the order of their names.
    pub fn topics_from<'a>(&'a self, first: &'a str) -> impl Iterator<Item = &'a Arc<TopicImage>> {
        self.topics
            .range::<str, _>((std::ops::Bound::Included(first), std::ops::Bound::Unbounded))
            .map(|(_, topic)| topic)
    }

    /// A topic whose name differs from `name` in nothing but '.' and '_', which would share its metrics.
    pub fn topic_colliding_with(&self, name: &str) -> Option<&Arc<str>> {
        let names = self.colliding_names.get(&topic_name::unified(name)?)?;
        names.iter().find(|other| &***other != name)
    }

    pub fn topic_count(&self) -> usize {
        self.topics.size()
    }

    /// Partitions of all topics together.
    pub fn partition_count(&self) -> usize {
        self.partition_count
    }

    /// The dynamic configs of a resource; none when nothing was ever set on it.
    pub fn configs(&self, resource: &ConfigResource) -> Option<&Arc<BTreeMap<String, String>>> {
        self.configs.get(resource)
    }

    /// Every resource that has dynamic configs, in no order.
    pub fn configured_resources(
        &self,
    ) -> impl Iterator<Item = (&ConfigResource, &Arc<BTreeMap<String, String>>)> {
        self.configs.iter()
    }

    pub fn broker(&self, id: i32) -> Option<&Arc<BrokerRegistration>> {
        self.brokers.get(&id)
    }

    /// The brokers that clients may be sent to, in the order of their ids.
    pub fn unfenced_brokers(&self) -> impl Iterator<Item = &Arc<BrokerRegistration>> {
        self.brokers.values().filter(|broker| !broker.is_fenced)
    }
}
