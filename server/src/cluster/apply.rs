//! What each metadata record does to the image.
//!
//! The same function serves proposals and replay, so an image is the fold of its log (but for fields that the cluster's
//! metadata version has no room for). A record that contradicts the image changes nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use super::record::{
    BrokerRegistrationChangeRecord, MetadataRecord, PartitionChangeRecord, PartitionRecord,
    RecordError, RegisterBrokerRecord, RegisterControllerRecord, SupportedFeature,
};
use super::topic_name;
use super::view::{
    BrokerRegistration, ClusterImage, ConfigResource, ControllerRegistration, PartitionImage,
    TopicImage,
};

/// Why a record does not fit the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplyError {
    UnknownBroker {
        broker_id: i32,
        broker_epoch: i64,
    },
    DuplicateTopicName(String),
    DuplicateTopicId(Uuid),
    UnknownTopicId(Uuid),
    /// Partition indexes are dense: a new one is the next one.
    PartitionIndex {
        topic_id: Uuid,
        partition_id: i32,
    },
    /// Leader epochs never go backwards.
    LeaderEpoch {
        topic_id: Uuid,
        partition_id: i32,
    },
    /// The number of directories is not the number of replicas.
    Directories {
        topic_id: Uuid,
        partition_id: i32,
    },
    /// A record that is only kept does not say what it is about.
    Unreadable(RecordError),
    /// Producer ids are never handed out twice.
    ProducerId {
        next: i64,
        current: i64,
    },
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownBroker {
                broker_id,
                broker_epoch,
            } => {
                write!(
                    f,
                    "no broker {broker_id} is registered with epoch {broker_epoch}"
                )
            }
            Self::DuplicateTopicName(name) => write!(f, "topic {name} exists"),
            Self::DuplicateTopicId(id) => write!(f, "topic id {id} exists"),
            Self::UnknownTopicId(id) => write!(f, "topic id {id} is unknown"),
            Self::PartitionIndex {
                topic_id,
                partition_id,
            } => {
                write!(
                    f,
                    "partition {partition_id} of topic id {topic_id} is neither known nor the next one"
                )
            }
            Self::LeaderEpoch {
                topic_id,
                partition_id,
            } => {
                write!(
                    f,
                    "leader epoch of partition {partition_id} of topic id {topic_id} would go backwards"
                )
            }
            Self::Directories {
                topic_id,
                partition_id,
            } => {
                write!(
                    f,
                    "partition {partition_id} of topic id {topic_id} has not one directory for each replica"
                )
            }
            Self::Unreadable(error) => error.fmt(f),
            Self::ProducerId { next, current } => {
                write!(
                    f,
                    "next producer id {next} is not above the current one, {current}"
                )
            }
        }
    }
}

impl std::error::Error for ApplyError {}

/// Applies one record. The offset of the image is the caller's business, and so are transactions: a record inside one
/// has its effect at once.
pub fn apply(image: &mut ClusterImage, record: &MetadataRecord) -> Result<(), ApplyError> {
    match record {
        MetadataRecord::RegisterBroker(record) => register_broker(image, record),
        MetadataRecord::UnregisterBroker {
            broker_id,
            broker_epoch,
        } => {
            registered(image, *broker_id, *broker_epoch)?;
            image.brokers.remove(broker_id);
        }
        MetadataRecord::BrokerRegistrationChange(change) => change_broker(image, change)?,
        MetadataRecord::RegisterController(record) => register_controller(image, record),
        MetadataRecord::Topic { name, topic_id } => add_topic(image, name, *topic_id)?,
        MetadataRecord::Partition(record) => set_partition(image, record)?,
        MetadataRecord::PartitionChange(change) => change_partition(image, change)?,
        MetadataRecord::RemoveTopic { topic_id } => remove_topic(image, *topic_id)?,
        MetadataRecord::Config {
            resource_type,
            resource_name,
            name,
            value,
        } => {
            let resource = ConfigResource {
                kind: *resource_type,
                name: resource_name.clone(),
            };
            set_config(image, resource, name, value.as_deref());
        }
        MetadataRecord::FeatureLevel { name, level: 0 } => {
            image.features.levels.remove(name);
        }
        MetadataRecord::FeatureLevel { name, level } => {
            image.features.levels.insert(name.clone(), *level);
        }
        MetadataRecord::ProducerIds {
            next_producer_id, ..
        } => {
            let current = image.next_producer_id;
            if *next_producer_id <= current {
                return Err(ApplyError::ProducerId {
                    next: *next_producer_id,
                    current,
                });
            }
            image.next_producer_id = *next_producer_id;
        }
        MetadataRecord::ClearElr { topic_name } => clear_elr(image, topic_name),
        MetadataRecord::NoOp
        | MetadataRecord::BeginTransaction { .. }
        | MetadataRecord::EndTransaction
        | MetadataRecord::AbortTransaction { .. }
        | MetadataRecord::ZkMigrationState { .. } => {}
        MetadataRecord::Other {
            api_key,
            version,
            body,
        } => image
            .retained
            .apply(*api_key, *version, body)
            .map_err(ApplyError::Unreadable)?,
    }
    Ok(())
}

fn register_broker(image: &mut ClusterImage, record: &RegisterBrokerRecord) {
    let registration = BrokerRegistration {
        id: record.broker_id,
        epoch: record.broker_epoch,
        is_migrating_zk_broker: record.is_migrating_zk_broker,
        incarnation_id: record.incarnation_id,
        listeners: record.endpoints.clone(),
        features: supported(&record.features),
        rack: record.rack.clone(),
        is_fenced: record.is_fenced,
        is_in_controlled_shutdown: record.is_in_controlled_shutdown,
        log_dirs: record.log_dirs.clone(),
        cordoned_log_dirs: record.cordoned_log_dirs.clone(),
    };
    image
        .brokers
        .insert(record.broker_id, Arc::new(registration));
}

fn supported(features: &[SupportedFeature]) -> BTreeMap<String, (i16, i16)> {
    let range = |feature: &SupportedFeature| {
        (
            feature.name.clone(),
            (feature.level_first, feature.level_last),
        )
    };
    features.iter().map(range).collect()
}

fn registered(
    image: &mut ClusterImage,
    broker_id: i32,
    broker_epoch: i64,
) -> Result<&mut Arc<BrokerRegistration>, ApplyError> {
    image
        .brokers
        .get_mut(&broker_id)
        .filter(|registration| registration.epoch == broker_epoch)
        .ok_or(ApplyError::UnknownBroker {
            broker_id,
            broker_epoch,
        })
}

fn change_broker(
    image: &mut ClusterImage,
    change: &BrokerRegistrationChangeRecord,
) -> Result<(), ApplyError> {
    let registration = Arc::make_mut(registered(image, change.broker_id, change.broker_epoch)?);
    if let Some(is_fenced) = change.is_fenced {
        registration.is_fenced = is_fenced;
    }
    registration.is_in_controlled_shutdown |= change.begins_controlled_shutdown;
    if !change.log_dirs.is_empty() {
        registration.log_dirs = change.log_dirs.clone();
    }
    if let Some(cordoned) = &change.cordoned_log_dirs {
        registration.cordoned_log_dirs = Some(cordoned.clone());
    }
    Ok(())
}

fn register_controller(image: &mut ClusterImage, record: &RegisterControllerRecord) {
    let registration = ControllerRegistration {
        id: record.controller_id,
        incarnation_id: record.incarnation_id,
        is_zk_migration_ready: record.is_zk_migration_ready,
        listeners: record.endpoints.clone(),
        features: supported(&record.features),
    };
    image
        .controllers
        .insert(record.controller_id, Arc::new(registration));
}

fn add_topic(image: &mut ClusterImage, name: &str, id: Uuid) -> Result<(), ApplyError> {
    if image.topics.contains_key(name) {
        return Err(ApplyError::DuplicateTopicName(name.to_owned()));
    }
    if image.topic_names.contains_key(&id) {
        return Err(ApplyError::DuplicateTopicId(id));
    }
    let name: Arc<str> = Arc::from(name);
    if let Some(unified) = topic_name::unified(&name) {
        let mut names = image
            .colliding_names
            .get(&unified)
            .cloned()
            .unwrap_or_default();
        names.push(Arc::clone(&name));
        image.colliding_names.insert_mut(unified, names);
    }
    let topic = TopicImage {
        name: Arc::clone(&name),
        id,
        partitions: Vec::new(),
    };
    image.topic_names.insert_mut(id, Arc::clone(&name));
    image.topics.insert_mut(name, Arc::new(topic));
    Ok(())
}

fn remove_topic(image: &mut ClusterImage, id: Uuid) -> Result<(), ApplyError> {
    let name = image
        .topic_names
        .get(&id)
        .cloned()
        .ok_or(ApplyError::UnknownTopicId(id))?;
    image.partition_count -= image
        .topics
        .get(&name)
        .map_or(0, |topic| topic.partitions.len());
    image.topic_names.remove_mut(&id);
    image.topics.remove_mut(&name);
    // The configs of a topic go with it: the log has no records that delete them.
    image.configs.remove_mut(&ConfigResource::topic(&name));
    if let Some(unified) = topic_name::unified(&name) {
        let mut names = image
            .colliding_names
            .get(&unified)
            .cloned()
            .unwrap_or_default();
        names.retain(|other| *other != name);
        if names.is_empty() {
            image.colliding_names.remove_mut(&unified);
        } else {
            image.colliding_names.insert_mut(unified, names);
        }
    }
    Ok(())
}

/// The topic of an id, ready to be changed. Only the first change after a swap copies the topic.
fn topic_mut(image: &mut ClusterImage, id: Uuid) -> Result<&mut TopicImage, ApplyError> {
    let name = image
        .topic_names
        .get(&id)
        .cloned()
        .ok_or(ApplyError::UnknownTopicId(id))?;
    let topic = image
        .topics
        .get_mut(&name)
        .expect("both topic maps hold the same topics");
    Ok(Arc::make_mut(topic))
}

fn set_partition(image: &mut ClusterImage, record: &PartitionRecord) -> Result<(), ApplyError> {
    let PartitionRecord {
        partition_id,
        topic_id,
        ..
    } = *record;
    let partition = with_directories(record.partition.clone(), topic_id, partition_id)?;
    let topic = topic_mut(image, topic_id)?;
    let index = usize::try_from(partition_id).map_err(|_| ApplyError::PartitionIndex {
        topic_id,
        partition_id,
    })?;
    let index_next = topic.partitions.len();
    match topic.partitions.get_mut(index) {
        Some(known) if partition.leader_epoch < known.leader_epoch => {
            return Err(ApplyError::LeaderEpoch {
                topic_id,
                partition_id,
            });
        }
        Some(known) => *known = partition,
        None if index == index_next => {
            topic.partitions.push(partition);
            image.partition_count += 1;
        }
        None => {
            return Err(ApplyError::PartitionIndex {
                topic_id,
                partition_id,
            });
        }
    }
    Ok(())
}

fn change_partition(
    image: &mut ClusterImage,
    change: &PartitionChangeRecord,
) -> Result<(), ApplyError> {
    let PartitionChangeRecord {
        partition_id,
        topic_id,
        ..
    } = *change;
    let topic = topic_mut(image, topic_id)?;
    let known = usize::try_from(partition_id)
        .ok()
        .and_then(|index| topic.partitions.get_mut(index));
    let known = known.ok_or(ApplyError::PartitionIndex {
        topic_id,
        partition_id,
    })?;
    let mut partition = known.clone();
    if let Some(leader) = change.leader {
        partition.leader = leader;
        partition.leader_epoch =
            partition
                .leader_epoch
                .checked_add(1)
                .ok_or(ApplyError::LeaderEpoch {
                    topic_id,
                    partition_id,
                })?;
    }
    let replace = |list: &mut Vec<i32>, change: &Option<Vec<i32>>| {
        if let Some(change) = change {
            list.clone_from(change);
        }
    };
    replace(&mut partition.isr, &change.isr);
    replace(&mut partition.replicas, &change.replicas);
    replace(&mut partition.removing_replicas, &change.removing_replicas);
    replace(&mut partition.adding_replicas, &change.adding_replicas);
    replace(&mut partition.elr, &change.elr);
    replace(&mut partition.last_known_elr, &change.last_known_elr);
    if let Some(is_recovering) = change.is_recovering {
        partition.is_recovering = is_recovering;
    }
    if let Some(directories) = &change.directories {
        partition.directories.clone_from(directories);
    }
    partition.partition_epoch = partition.partition_epoch.wrapping_add(1);
    *known = with_directories(partition, topic_id, partition_id)?;
    Ok(())
}

/// A partition whose directories are not known at all gets a nil id for each replica, as in Kafka.
fn with_directories(
    mut partition: PartitionImage,
    topic_id: Uuid,
    partition_id: i32,
) -> Result<PartitionImage, ApplyError> {
    if partition.directories.iter().all(Uuid::is_nil) {
        partition.directories = vec![Uuid::nil(); partition.replicas.len()];
    }
    if partition.directories.len() != partition.replicas.len() {
        return Err(ApplyError::Directories {
            topic_id,
            partition_id,
        });
    }
    Ok(partition)
}

fn set_config(image: &mut ClusterImage, resource: ConfigResource, name: &str, value: Option<&str>) {
    let mut values = image
        .configs
        .get(&resource)
        .map(|values| BTreeMap::clone(values))
        .unwrap_or_default();
    match value {
        Some(value) => values.insert(name.to_owned(), value.to_owned()),
        None => values.remove(name),
    };
    if values.is_empty() {
        image.configs.remove_mut(&resource);
    } else {
        image.configs.insert_mut(resource, Arc::new(values));
    }
}

fn clear_elr(image: &mut ClusterImage, topic_name: &str) {
    let has_elr = |topic: &TopicImage| {
        topic
            .partitions
            .iter()
            .any(|partition| !partition.elr.is_empty() || !partition.last_known_elr.is_empty())
    };
    let is_meant = |topic: &TopicImage| topic_name.is_empty() || &*topic.name == topic_name;
    let ids: Vec<Uuid> = image
        .topics()
        .filter(|topic| is_meant(topic) && has_elr(topic))
        .map(|topic| topic.id)
        .collect();
    for id in ids {
        let topic = topic_mut(image, id).expect("the id was just read from the image");
        for partition in &mut topic.partitions {
            partition.elr.clear();
            partition.last_known_elr.clear();
        }
    }
}
