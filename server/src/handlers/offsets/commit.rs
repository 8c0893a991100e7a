//! OffsetCommit, versions 2 to 10.
//!
//! Behaviour: partitions that do not exist are refused one by one, and the others are committed all the same. If none
//! is left, the group is not asked. The answer names what was refused here first, then the rest.
//!
//! Version notes: 2 to 4 can bring a retention time. Below 9 a generation of a group that does not exist is an
//! ILLEGAL_GENERATION, from 9 on GROUP_ID_NOT_FOUND. From 10 on topics have ids in place of names (KIP-848).

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use klamm_group_coordinator::{
    Command, CommitOffsets, CommitPartition, CommitTopic, CommittedTopic, GroupError,
    Reply as GroupReply, TopicId,
};
use uuid::Uuid;

use crate::api::{Ctx, Reply};
use crate::broker::Broker;
use crate::cluster::{ClusterImage, TopicImage};
use crate::errors::{self, ErrorCode};
use crate::handlers::groups::{ask, code_of, optional};

const LAST_RETENTION_VERSION: i16 = 4;
const FIRST_GROUP_NOT_FOUND_VERSION: i16 = 9;
const FIRST_TOPIC_ID_VERSION: i16 = 10;
const NO_RETENTION_MS: i64 = -1;

/// Answers OffsetCommit.
pub fn handle(ctx: &Ctx<'_>, request: OffsetCommitRequest) -> Reply<OffsetCommitResponse> {
    let version = ctx.version();
    let image = ctx.broker.image();
    let mut refused = Answer::new(version);
    let retention_ms = Some(request.retention_time_ms)
        .filter(|&ms| version <= LAST_RETENTION_VERSION && ms != NO_RETENTION_MS);
    let command = CommitOffsets {
        group_id: request.group_id.to_string(),
        generation: request.generation_id_or_member_epoch,
        member_id: request.member_id.to_string(),
        instance_id: optional(request.group_instance_id),
        retention_ms,
        topics: request
            .topics
            .into_iter()
            .filter_map(|topic| existing_partitions(&image, topic, &mut refused))
            .collect(),
    };
    if command.topics.is_empty() {
        return Reply::Now(refused.into_response());
    }
    let broker = Arc::clone(ctx.broker);
    Reply::later(async move {
        let committed = commit(&broker, command, version).await;
        refused.merge(committed);
        refused.into_response()
    })
}

/// The part of a topic that exists; the rest is refused.
fn existing_partitions(
    image: &ClusterImage,
    topic: OffsetCommitRequestTopic,
    refused: &mut Answer,
) -> Option<CommitTopic> {
    let found = match refused.uses_ids {
        true => image.topic_by_id(topic.topic_id),
        false => image.topic(&topic.name),
    };
    let Some(found) = found else {
        let error = match refused.uses_ids {
            true => ErrorCode::UnknownTopicId,
            false => ErrorCode::UnknownTopicOrPartition,
        };
        let answer = refused.topic(topic.name, topic.topic_id);
        for partition in &topic.partitions {
            answer
                .partitions
                .push(answer_partition(partition.partition_index, error.code()));
        }
        return None;
    };
    let mut partitions = Vec::with_capacity(topic.partitions.len());
    for partition in topic.partitions {
        if found.partition(partition.partition_index).is_some() {
            partitions.push(commit_partition(partition));
        } else {
            let code = ErrorCode::UnknownTopicOrPartition.code();
            let answer = refused.topic(name_of(found), found.id);
            answer
                .partitions
                .push(answer_partition(partition.partition_index, code));
        }
    }
    (!partitions.is_empty()).then(|| CommitTopic {
        name: found.name.to_string(),
        topic_id: TopicId(found.id.into_bytes()),
        partitions,
    })
}

fn commit_partition(partition: OffsetCommitRequestPartition) -> CommitPartition {
    CommitPartition {
        partition: partition.partition_index,
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: optional(partition.committed_metadata),
    }
}

fn name_of(topic: &TopicImage) -> TopicName {
    TopicName(StrBytes::from_string(topic.name.to_string()))
}

/// Has the group commit. What refuses the whole commit is answered for each of its partitions.
async fn commit(
    broker: &Arc<Broker>,
    command: CommitOffsets,
    version: i16,
) -> Vec<OffsetCommitResponseTopic> {
    let group_id = command.group_id.clone();
    let topics = command.topics.clone();
    let error = match ask(broker, &group_id, Command::CommitOffsets(command)).await {
        Ok(GroupReply::CommitOffsets(Ok(committed))) => {
            return committed.into_iter().map(committed_topic).collect();
        }
        Ok(GroupReply::CommitOffsets(Err(GroupError::GroupNotFound)))
            if version < FIRST_GROUP_NOT_FOUND_VERSION =>
        {
            ErrorCode::IllegalGeneration
        }
        Ok(GroupReply::CommitOffsets(Err(error))) => errors::of_group_error(error),
        Ok(_) => ErrorCode::UnknownServerError,
        Err(error) => error,
    };
    topics
        .into_iter()
        .map(|topic| refused_topic(topic, error))
        .collect()
}

fn committed_topic(topic: CommittedTopic) -> OffsetCommitResponseTopic {
    let partitions = topic
        .partitions
        .iter()
        .map(|partition| answer_partition(partition.partition, code_of(&partition.result)))
        .collect();
    answer_topic(topic.name, topic.topic_id, partitions)
}

fn refused_topic(topic: CommitTopic, error: ErrorCode) -> OffsetCommitResponseTopic {
    let partitions = topic
        .partitions
        .iter()
        .map(|partition| answer_partition(partition.partition, error.code()))
        .collect();
    answer_topic(topic.name, topic.topic_id, partitions)
}

fn answer_topic(
    name: String,
    topic_id: TopicId,
    partitions: Vec<OffsetCommitResponsePartition>,
) -> OffsetCommitResponseTopic {
    OffsetCommitResponseTopic::default()
        .with_name(TopicName(StrBytes::from_string(name)))
        .with_topic_id(Uuid::from_bytes(topic_id.0))
        .with_partitions(partitions)
}

fn answer_partition(index: i32, code: i16) -> OffsetCommitResponsePartition {
    OffsetCommitResponsePartition::default()
        .with_partition_index(index)
        .with_error_code(code)
}

/// An answer that grows in two steps, like Kafka's own (`OffsetCommitResponse.Builder`): what is refused here has
/// every topic once; what the group says goes to the topic of the same name or id, or behind, and stands as it is
/// if nothing was refused here.
struct Answer {
    uses_ids: bool,
    topics: Vec<OffsetCommitResponseTopic>,
    places: HashMap<Key, usize>,
}

#[derive(PartialEq, Eq, Hash)]
enum Key {
    Name(TopicName),
    Id(Uuid),
}

impl Answer {
    fn new(version: i16) -> Self {
        Self {
            uses_ids: version >= FIRST_TOPIC_ID_VERSION,
            topics: Vec::new(),
            places: HashMap::new(),
        }
    }

    fn key(&self, name: &TopicName, topic_id: Uuid) -> Key {
        if self.uses_ids {
            Key::Id(topic_id)
        } else {
            Key::Name(name.clone())
        }
    }

    fn topic(&mut self, name: TopicName, topic_id: Uuid) -> &mut OffsetCommitResponseTopic {
        let key = self.key(&name, topic_id);
        let place = *self.places.entry(key).or_insert_with(|| {
            let topic = OffsetCommitResponseTopic::default()
                .with_name(name)
                .with_topic_id(topic_id);
            self.topics.push(topic);
            self.topics.len() - 1
        });
        &mut self.topics[place]
    }

    fn merge(&mut self, topics: Vec<OffsetCommitResponseTopic>) {
        if self.topics.is_empty() {
            self.topics = topics;
            return;
        }
        for topic in topics {
            self.topic(topic.name, topic.topic_id)
                .partitions
                .extend(topic.partitions);
        }
    }

    fn into_response(self) -> OffsetCommitResponse {
        OffsetCommitResponse::default().with_topics(self.topics)
    }
}
