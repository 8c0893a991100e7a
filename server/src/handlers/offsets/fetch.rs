//! OffsetFetch, versions 1 to 10.
//!
//! Behaviour: a partition without a committed offset, a topic or a group that does not exist are no errors: offset -1.
//!
//! Version notes: from 2 on, no topics mean all. From 7 on a client can ask for stable offsets (KIP-447). From 8 on
//! several groups can be asked for (KIP-709). Below 2 there is no error of the whole answer, so every partition has it.
//! From 10 on topics have ids in place of names (KIP-848): an id that nobody knows is an UNKNOWN_TOPIC_ID behind the
//! others, and topics without an id are left out where all were asked for.

use std::sync::Arc;

use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use klamm_group_coordinator::{
    Command, FetchOffsets, FetchTopic, FetchTopics, FetchedPartition, FetchedTopic,
    Reply as GroupReply, TopicId,
};
use uuid::Uuid;

use crate::api::{Ctx, Reply};
use crate::broker::Broker;
use crate::cluster::ClusterImage;
use crate::errors::{self, ErrorCode};
use crate::handlers::groups::ask;

const FIRST_WHOLE_ERROR_VERSION: i16 = 2;
const FIRST_BATCHED_VERSION: i16 = 8;
const FIRST_TOPIC_ID_VERSION: i16 = 10;
const NO_OFFSET: i64 = -1;
const NO_LEADER_EPOCH: i32 = -1;

/// Answers OffsetFetch.
pub fn handle(ctx: &Ctx<'_>, request: OffsetFetchRequest) -> Reply<OffsetFetchResponse> {
    let (broker, version) = (Arc::clone(ctx.broker), ctx.version());
    let require_stable = request.require_stable;
    if version >= FIRST_BATCHED_VERSION {
        return Reply::later(async move {
            let mut groups = Vec::with_capacity(request.groups.len());
            for group in request.groups {
                groups.push(fetch(&broker, group, require_stable, version).await);
            }
            OffsetFetchResponse::default().with_groups(groups)
        });
    }
    let topics = request.topics.map(|topics| {
        topics
            .into_iter()
            .map(|topic| {
                OffsetFetchRequestTopics::default()
                    .with_name(topic.name)
                    .with_partition_indexes(topic.partition_indexes)
            })
            .collect()
    });
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(request.group_id)
        .with_topics(topics);
    Reply::later(
        async move { single_response(fetch(&broker, group, require_stable, version).await) },
    )
}

/// The answer of the only group, in the form that versions below 8 have.
fn single_response(group: OffsetFetchResponseGroup) -> OffsetFetchResponse {
    let topics = group
        .topics
        .into_iter()
        .map(|topic| {
            let partitions = topic.partitions.into_iter().map(|partition| {
                OffsetFetchResponsePartition::default()
                    .with_partition_index(partition.partition_index)
                    .with_committed_offset(partition.committed_offset)
                    .with_committed_leader_epoch(partition.committed_leader_epoch)
                    .with_metadata(partition.metadata)
                    .with_error_code(partition.error_code)
            });
            OffsetFetchResponseTopic::default()
                .with_name(topic.name)
                .with_partitions(partitions.collect())
        })
        .collect();
    OffsetFetchResponse::default()
        .with_error_code(group.error_code)
        .with_topics(topics)
}

async fn fetch(
    broker: &Arc<Broker>,
    mut group: OffsetFetchRequestGroup,
    require_stable: bool,
    version: i16,
) -> OffsetFetchResponseGroup {
    let image = broker.image();
    let uses_ids = version >= FIRST_TOPIC_ID_VERSION;
    let mut unknown = Vec::new();
    let topics = match &mut group.topics {
        None => FetchTopics::All,
        Some(topics) => {
            if uses_ids {
                resolve_names(&image, topics);
            }
            let (nameless, named) = topics
                .iter()
                .partition(|topic| uses_ids && topic.name.is_empty());
            unknown = nameless;
            FetchTopics::Named(named.into_iter().map(fetch_topic).collect())
        }
    };
    let is_all = topics == FetchTopics::All;
    let command = FetchOffsets {
        group_id: group.group_id.to_string(),
        topics,
        require_stable,
    };
    let fetched = match ask(broker, &group.group_id, Command::FetchOffsets(command)).await {
        Ok(GroupReply::FetchOffsets(Ok(fetched))) => fetched,
        Ok(GroupReply::FetchOffsets(Err(error))) => {
            return group_error(&group, errors::of_group_error(error), version);
        }
        Ok(_) => return group_error(&group, ErrorCode::UnknownServerError, version),
        Err(error) => return group_error(&group, error, version),
    };
    let mut answers: Vec<OffsetFetchResponseTopics> =
        fetched.into_iter().map(fetched_topic).collect();
    if is_all && uses_ids {
        answers.retain_mut(|topic| {
            topic.topic_id = image
                .topic(&topic.name)
                .map_or(Uuid::nil(), |found| found.id);
            !topic.topic_id.is_nil()
        });
    }
    answers.extend(unknown.into_iter().map(unknown_topic));
    OffsetFetchResponseGroup::default()
        .with_group_id(group.group_id.clone())
        .with_topics(answers)
}

fn resolve_names(image: &ClusterImage, topics: &mut [OffsetFetchRequestTopics]) {
    for topic in topics {
        if let Some(found) = image.topic_by_id(topic.topic_id) {
            topic.name = TopicName(StrBytes::from_string(found.name.to_string()));
        }
    }
}

fn fetch_topic(topic: &OffsetFetchRequestTopics) -> FetchTopic {
    FetchTopic {
        name: topic.name.to_string(),
        topic_id: TopicId(topic.topic_id.into_bytes()),
        partitions: topic.partition_indexes.clone(),
    }
}

fn fetched_topic(topic: FetchedTopic) -> OffsetFetchResponseTopics {
    OffsetFetchResponseTopics::default()
        .with_name(TopicName(StrBytes::from_string(topic.name)))
        .with_topic_id(Uuid::from_bytes(topic.topic_id.0))
        .with_partitions(
            topic
                .partitions
                .into_iter()
                .map(fetched_partition)
                .collect(),
        )
}

fn fetched_partition(partition: FetchedPartition) -> OffsetFetchResponsePartitions {
    let answer = empty_partition(partition.partition);
    match partition.result {
        Ok(None) => answer,
        Ok(Some(value)) => answer
            .with_committed_offset(value.offset)
            .with_committed_leader_epoch(value.leader_epoch.unwrap_or(NO_LEADER_EPOCH))
            .with_metadata(Some(StrBytes::from_string(value.metadata))),
        Err(error) => answer.with_error_code(errors::of_group_error(error).code()),
    }
}

/// A partition with no offset committed.
fn empty_partition(index: i32) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions::default()
        .with_partition_index(index)
        .with_committed_offset(NO_OFFSET)
        .with_committed_leader_epoch(NO_LEADER_EPOCH)
        .with_metadata(Some(StrBytes::default()))
}

fn unknown_topic(topic: &OffsetFetchRequestTopics) -> OffsetFetchResponseTopics {
    failed_topic(topic, ErrorCode::UnknownTopicId)
}

fn failed_topic(topic: &OffsetFetchRequestTopics, error: ErrorCode) -> OffsetFetchResponseTopics {
    let partitions = topic
        .partition_indexes
        .iter()
        .map(|&index| empty_partition(index).with_error_code(error.code()))
        .collect();
    OffsetFetchResponseTopics::default()
        .with_name(topic.name.clone())
        .with_topic_id(topic.topic_id)
        .with_partitions(partitions)
}

/// The answer of a group that failed as a whole (`OffsetFetchResponse.groupError`).
fn group_error(
    group: &OffsetFetchRequestGroup,
    error: ErrorCode,
    version: i16,
) -> OffsetFetchResponseGroup {
    let answer = OffsetFetchResponseGroup::default().with_group_id(group.group_id.clone());
    if version >= FIRST_WHOLE_ERROR_VERSION {
        return answer.with_error_code(error.code());
    }
    let topics = group.topics.iter().flatten();
    answer.with_topics(topics.map(|topic| failed_topic(topic, error)).collect())
}
