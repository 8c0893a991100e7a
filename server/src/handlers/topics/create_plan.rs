//! What a CreateTopics request would create, decided against one image (`ReplicationControlManager.createTopics`).

use std::collections::BTreeMap;

use kafka_protocol::messages::create_topics_request::CreatableTopic;
use uuid::Uuid;

use super::super::refusal::Refusal;
use super::RECORDS_PER_REQUEST_MAX;
use super::assignment::{manual_partition, placed_partitions};
use crate::cluster::changes::create_topic;
use crate::cluster::{ClusterImage, PartitionImage, Proposal, topic_name};
use crate::config::{Configs, Overrides};
use crate::errors::ErrorCode;
use crate::kafka_uuid;

/// Partitions that the topics of one request may have together (`ReplicationControlManager.MAX_PARTITIONS_PER_BATCH`).
const PARTITIONS_PER_REQUEST_MAX: usize = 10_000;

/// Length of a config value in UTF-16 code units, as Kafka counts it.
const CONFIG_VALUE_UNITS_MAX: usize = 32_767;

/// A count or a replication factor that is left to the broker.
const DEFAULT: i32 = -1;

/// A topic that can be created.
#[derive(Debug, Clone)]
pub struct NewTopic {
    pub id: Uuid,
    pub overrides: Overrides,
    pub partitions: Vec<PartitionImage>,
}

impl NewTopic {
    pub fn push_to(&self, proposal: &mut Proposal, name: &str) {
        create_topic(proposal, name, self.id, &self.overrides, &self.partitions);
    }
}

/// Decides on each topic. Names are not repeated. Nothing depends on the order of the topics: two new names that
/// collide with each other are both created, as by Kafka.
///
/// # Errors
/// POLICY_VIOLATION for the whole request when it is too large.
pub fn plan(
    topics: &[&CreatableTopic],
    image: &ClusterImage,
    configs: &Configs,
) -> Result<Vec<Result<NewTopic, Refusal>>, Refusal> {
    let defaults = configs.broker();
    let partition_count: usize = topics
        .iter()
        .map(|topic| wanted_partitions(topic, defaults.num_partitions))
        .sum();
    if partition_count > PARTITIONS_PER_REQUEST_MAX {
        return Err(Refusal::new(
            ErrorCode::PolicyViolation,
            "the topics of a request have too many partitions together",
        ));
    }
    let planned: Vec<_> = topics
        .iter()
        .map(|topic| new_topic(topic, image, configs))
        .collect();
    let records = |topic: &NewTopic| 1 + topic.overrides.len() + topic.partitions.len();
    if planned.iter().flatten().map(records).sum::<usize>() > RECORDS_PER_REQUEST_MAX {
        return Err(Refusal::new(
            ErrorCode::PolicyViolation,
            "the request changes too much at once",
        ));
    }
    Ok(planned)
}

fn wanted_partitions(topic: &CreatableTopic, default_count: i32) -> usize {
    let count = match topic.num_partitions {
        _ if !topic.assignments.is_empty() => return topic.assignments.len(),
        DEFAULT => default_count,
        count => count,
    };
    usize::try_from(count).unwrap_or(0)
}

fn new_topic(
    topic: &CreatableTopic,
    image: &ClusterImage,
    configs: &Configs,
) -> Result<NewTopic, Refusal> {
    check_name(&topic.name, image)?;
    let overrides = overrides(topic)?;
    configs.check_topic(&overrides).map_err(Refusal::from)?;
    let partitions = if topic.assignments.is_empty() {
        placed(topic, image, configs)?
    } else {
        assigned(topic, image)?
    };
    Ok(NewTopic {
        id: kafka_uuid::random(),
        overrides,
        partitions,
    })
}

fn check_name(name: &str, image: &ClusterImage) -> Result<(), Refusal> {
    if image.topic(name).is_some() {
        return Err(Refusal::new(
            ErrorCode::TopicAlreadyExists,
            "the topic exists",
        ));
    }
    if let Some(other) = image.topic_colliding_with(name) {
        let text = format!("the name differs from that of topic {other} only by '.' and '_'");
        return Err(Refusal::new(ErrorCode::InvalidTopicException, text));
    }
    topic_name::check(name)
        .map_err(|reason| Refusal::new(ErrorCode::InvalidTopicException, reason.to_string()))
}

/// The configs of the request. Where one is named twice, the last value counts.
fn overrides(topic: &CreatableTopic) -> Result<Overrides, Refusal> {
    let mut overrides = BTreeMap::new();
    for config in &topic.configs {
        let Some(value) = &config.value else {
            let text = format!("config {} has no value", config.name);
            return Err(Refusal::new(ErrorCode::InvalidConfig, text));
        };
        if value.encode_utf16().count() > CONFIG_VALUE_UNITS_MAX {
            let text = format!(
                "the value of config {} is longer than {CONFIG_VALUE_UNITS_MAX}",
                config.name
            );
            return Err(Refusal::new(ErrorCode::InvalidConfig, text));
        }
        overrides.insert(config.name.to_string(), value.to_string());
    }
    Ok(overrides)
}

fn assigned(topic: &CreatableTopic, image: &ClusterImage) -> Result<Vec<PartitionImage>, Refusal> {
    if i32::from(topic.replication_factor) != DEFAULT || topic.num_partitions != DEFAULT {
        let text = "assignments leave no room for a partition count or a replication factor";
        return Err(Refusal::new(ErrorCode::InvalidRequest, text));
    }
    let refuse = |text: &str| Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, text));
    let mut partitions: BTreeMap<i32, PartitionImage> = BTreeMap::new();
    let mut replica_count = None;
    for assignment in &topic.assignments {
        if partitions.contains_key(&assignment.partition_index) {
            return refuse("a partition is assigned twice");
        }
        let partition = manual_partition(image, &assignment.broker_ids, replica_count)?;
        replica_count = Some(partition.replicas.len());
        partitions.insert(assignment.partition_index, partition);
    }
    if partitions
        .keys()
        .zip(0..)
        .any(|(index, expected)| *index != expected)
    {
        return refuse("the assigned partitions do not count up from 0");
    }
    Ok(partitions.into_values().collect())
}

fn placed(
    topic: &CreatableTopic,
    image: &ClusterImage,
    configs: &Configs,
) -> Result<Vec<PartitionImage>, Refusal> {
    let defaults = configs.broker();
    let replica_count = match i32::from(topic.replication_factor) {
        DEFAULT => i32::from(defaults.default_replication_factor),
        count => count,
    };
    let partition_count = match topic.num_partitions {
        DEFAULT => defaults.num_partitions,
        count => count,
    };
    let replica_count = usize::try_from(replica_count)
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| {
            Refusal::new(
                ErrorCode::InvalidReplicationFactor,
                "a replication factor is positive, or -1 for the default",
            )
        })?;
    let partition_count = usize::try_from(partition_count)
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| {
            Refusal::new(
                ErrorCode::InvalidPartitions,
                "a partition count is positive, or -1 for the default",
            )
        })?;
    placed_partitions(image, 0, partition_count, replica_count)
}
