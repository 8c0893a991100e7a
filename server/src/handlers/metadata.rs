//! Metadata, versions 0 to 13 (topic ids from 10 on, KIP-516).
//!
//! Behaviour: brokers are named by the address under which the client can reach them. A topic that is asked for by
//! name and is not there is made when the client and `auto.create.topics.enable` allow it; the answer still says
//! UNKNOWN_TOPIC_OR_PARTITION, as Apache Kafka's does, and is sent when the topic can be used. Where ids are given
//! (12 on), names are ignored. The answer has each topic once, however often it was asked for.
//!
//! Version notes: version 0 takes an empty list for all topics, and tells of replicas that cannot be reached with an
//! error. Below 6 a leader without the client's listener is LEADER_NOT_AVAILABLE, from then on LISTENER_NOT_FOUND.
//! Topic ids in versions 10 and 11, and null names below 12, fail the whole request with INVALID_REQUEST.

use std::collections::BTreeSet;
use std::sync::Arc;

use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::authorized::{CLUSTER_OPERATIONS, NOT_ASKED, TOPIC_OPERATIONS};
use super::reach::{Reach, broker_ids};
use super::topics::auto_create;
use crate::api::{Ctx, Reply};
use crate::cluster::{ClusterImage, PartitionImage, TopicImage, topic_name};
use crate::errors::ErrorCode;

/// First version with topic ids in requests.
const FIRST_TOPIC_ID_VERSION: i16 = 12;
const FIRST_LISTENER_NOT_FOUND_VERSION: i16 = 6;
/// Versions that tell what the client may do with the cluster.
const CLUSTER_OPERATIONS_VERSIONS: std::ops::RangeInclusive<i16> = 8..=10;

/// Answers Metadata.
pub fn handle(ctx: &Ctx<'_>, request: MetadataRequest) -> Reply<MetadataResponse> {
    let version = ctx.version();
    let asked = match Asked::new(&request, version) {
        Ok(asked) => asked,
        Err(error) => return Reply::Now(refused(&request, error)),
    };
    let image = ctx.broker.image();
    let reach = Reach::new(ctx.broker, ctx.connection, &image);
    let mut found = Found::new(
        asked,
        &Entries {
            image: &image,
            reach: &reach,
            version,
        },
    );
    if request.include_topic_authorized_operations {
        for topic in &mut found.topics {
            topic.topic_authorized_operations = TOPIC_OPERATIONS;
        }
    }
    let tells_cluster_operations = request.include_cluster_authorized_operations
        && CLUSTER_OPERATIONS_VERSIONS.contains(&version);
    let controller = reach
        .online()
        .next()
        .map_or(NO_CONTROLLER, |broker| broker.node.id);
    let response = MetadataResponse::default()
        .with_brokers(reach.online().map(broker_entry).collect())
        .with_cluster_id(Some(StrBytes::from_string(image.cluster_id.to_string())))
        .with_controller_id(BrokerId(controller))
        .with_topics(found.unknown_ids.into_iter().chain(found.topics).collect())
        .with_cluster_authorized_operations(if tells_cluster_operations {
            CLUSTER_OPERATIONS
        } else {
            NOT_ASKED
        });
    let may_create =
        ctx.broker.config().auto_create_topics_enable && request.allow_auto_topic_creation;
    if !may_create || found.missing.is_empty() {
        return Reply::Now(response);
    }
    let (broker, missing) = (Arc::clone(ctx.broker), found.missing);
    Reply::blocking(move || {
        auto_create(&broker, &missing);
        response
    })
}

/// The entries of an answer.
#[derive(Default)]
struct Found {
    unknown_ids: Vec<MetadataResponseTopic>,
    topics: Vec<MetadataResponseTopic>,
    /// Legal names of topics that are not there.
    missing: Vec<String>,
}

impl Found {
    fn new(asked: Asked<'_>, entries: &Entries<'_>) -> Self {
        let image = entries.image;
        let mut found = Self::default();
        match asked {
            Asked::All => found
                .topics
                .extend(image.topics().map(|topic| entries.topic(topic))),
            Asked::Ids(ids) => {
                for id in ids {
                    match image.topic_by_id(id) {
                        Some(topic) => found.topics.push(entries.topic(topic)),
                        None => found.unknown_ids.push(unknown_id(id)),
                    }
                }
            }
            Asked::Names(names) => found.add_names(&names, entries),
        }
        found
    }

    /// Kafka's order: what is there, what cannot be, what may be made.
    fn add_names(&mut self, names: &[&TopicName], entries: &Entries<'_>) {
        let (mut illegal, mut missing) = (Vec::new(), Vec::new());
        for name in names {
            match entries.image.topic(name) {
                Some(topic) => self.topics.push(entries.topic(topic)),
                None if topic_name::check(name).is_err() => {
                    illegal.push(absent(name, ErrorCode::InvalidTopicException));
                }
                None => {
                    missing.push(absent(name, ErrorCode::UnknownTopicOrPartition));
                    self.missing.push(name.to_string());
                }
            }
        }
        self.topics.extend(illegal);
        self.topics.extend(missing);
    }
}

const NO_CONTROLLER: i32 = -1;
const NO_LEADER: BrokerId = BrokerId(crate::cluster::view::NO_LEADER);

/// What a request is about.
enum Asked<'a> {
    All,
    /// Without duplicates, in the order of the request.
    Ids(Vec<Uuid>),
    /// Without duplicates, in the order of the request.
    Names(Vec<&'a TopicName>),
}

impl<'a> Asked<'a> {
    /// # Errors
    /// What the whole request fails with.
    fn new(request: &'a MetadataRequest, version: i16) -> Result<Self, ErrorCode> {
        let Some(topics) = request
            .topics
            .as_ref()
            .filter(|topics| version > 0 || !topics.is_empty())
        else {
            return Ok(Self::All);
        };
        let knows_ids = version >= FIRST_TOPIC_ID_VERSION;
        if !knows_ids
            && topics
                .iter()
                .any(|topic| topic.name.is_none() || !topic.topic_id.is_nil())
        {
            return Err(ErrorCode::InvalidRequest);
        }
        let mut seen_ids = BTreeSet::new();
        let ids = topics
            .iter()
            .map(|topic| topic.topic_id)
            .filter(|id| !id.is_nil() && seen_ids.insert(*id));
        let ids: Vec<Uuid> = ids.collect();
        if !ids.is_empty() {
            return Ok(Self::Ids(ids));
        }
        let mut seen_names = BTreeSet::new();
        let mut names = Vec::new();
        for topic in topics {
            // Kafka runs into a null here, which it reports as its own mistake.
            let name = topic.name.as_ref().ok_or(ErrorCode::UnknownServerError)?;
            if seen_names.insert(name.as_str()) {
                names.push(name);
            }
        }
        Ok(Self::Names(names))
    }
}

/// The answer to a request that fails as a whole: an error for each topic and nothing of the cluster.
fn refused(request: &MetadataRequest, error: ErrorCode) -> MetadataResponse {
    let topics = request.topics.iter().flatten().map(|topic| {
        MetadataResponseTopic::default()
            .with_error_code(error.code())
            .with_name(Some(topic.name.clone().unwrap_or_default()))
            .with_topic_id(topic.topic_id)
    });
    MetadataResponse::default()
        .with_controller_id(BrokerId(NO_CONTROLLER))
        .with_topics(topics.collect())
        .with_error_code(error.code())
}

fn broker_entry(broker: &super::reach::ReachableBroker) -> MetadataResponseBroker {
    MetadataResponseBroker::default()
        .with_node_id(BrokerId(broker.node.id))
        .with_host(broker.node.host.clone())
        .with_port(broker.node.port)
        .with_rack(broker.rack.clone())
}

fn unknown_id(id: Uuid) -> MetadataResponseTopic {
    MetadataResponseTopic::default()
        .with_error_code(ErrorCode::UnknownTopicId.code())
        .with_name(None)
        .with_topic_id(id)
}

fn absent(name: &TopicName, error: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic::default()
        .with_error_code(error.code())
        .with_name(Some(name.clone()))
        .with_is_internal(topic_name::is_internal(name))
}

/// Makes the entries of topics that exist.
struct Entries<'a> {
    image: &'a ClusterImage,
    reach: &'a Reach,
    version: i16,
}

impl Entries<'_> {
    fn topic(&self, topic: &TopicImage) -> MetadataResponseTopic {
        let partitions = (0..)
            .zip(&topic.partitions)
            .map(|(index, partition)| self.partition(index, partition));
        MetadataResponseTopic::default()
            .with_name(Some(TopicName(StrBytes::from_string(
                topic.name.to_string(),
            ))))
            .with_topic_id(topic.id)
            .with_is_internal(topic.is_internal())
            .with_partitions(partitions.collect())
    }

    fn partition(&self, index: i32, partition: &PartitionImage) -> MetadataResponsePartition {
        let leader = self.reach.leader(partition);
        let error = match leader {
            None if self.version >= FIRST_LISTENER_NOT_FOUND_VERSION
                && self.image.broker(partition.leader).is_some() =>
            {
                Some(ErrorCode::ListenerNotFound)
            }
            None => Some(ErrorCode::LeaderNotAvailable),
            Some(_)
                if self.version == 0
                    && partition
                        .replicas
                        .iter()
                        .any(|id| !self.reach.is_online(*id)) =>
            {
                Some(ErrorCode::ReplicaNotAvailable)
            }
            Some(_) => None,
        };
        MetadataResponsePartition::default()
            .with_error_code(error.map_or(0, |error| error.code()))
            .with_partition_index(index)
            .with_leader_id(leader.unwrap_or(NO_LEADER))
            .with_leader_epoch(partition.leader_epoch)
            .with_replica_nodes(self.replicas(&partition.replicas))
            .with_isr_nodes(self.replicas(&partition.isr))
            .with_offline_replicas(self.reach.offline_replicas(partition))
    }

    /// Version 0 leaves out replicas that cannot be reached.
    fn replicas(&self, ids: &[i32]) -> Vec<BrokerId> {
        let mut replicas = broker_ids(ids);
        if self.version == 0 {
            replicas.retain(|id| self.reach.is_online(id.0));
        }
        replicas
    }
}

#[cfg(test)]
mod tests;
