//! OffsetDelete, version 0 (KIP-496).
//!
//! Behaviour: partitions that do not exist are refused one by one. The group is asked even if none is left, and what
//! it refuses as a whole is all that the answer says.

use std::sync::Arc;

use kafka_protocol::messages::offset_delete_request::OffsetDeleteRequestTopic;
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use klamm_group_coordinator::{Command, DeletedTopicOffsets, OffsetTopic, Reply as GroupReply};

use crate::api::{Ctx, Reply};
use crate::cluster::ClusterImage;
use crate::errors::{self, ErrorCode};
use crate::handlers::groups::{ask, code_of};

/// Answers OffsetDelete.
pub fn handle(ctx: &Ctx<'_>, request: OffsetDeleteRequest) -> Reply<OffsetDeleteResponse> {
    let broker = Arc::clone(ctx.broker);
    let image = ctx.broker.image();
    let mut answers: Vec<OffsetDeleteResponseTopic> = Vec::new();
    let topics = request
        .topics
        .into_iter()
        .filter_map(|topic| existing_partitions(&image, topic, &mut answers))
        .collect();
    let group_id = request.group_id.to_string();
    Reply::later(async move {
        let command = Command::DeleteOffsets {
            group_id: group_id.clone(),
            topics,
        };
        let error = match ask(&broker, &group_id, command).await {
            Ok(GroupReply::DeleteOffsets(Ok(deleted))) => {
                merge(&mut answers, deleted);
                return OffsetDeleteResponse::default().with_topics(answers);
            }
            Ok(GroupReply::DeleteOffsets(Err(error))) => errors::of_group_error(error),
            Ok(_) => ErrorCode::UnknownServerError,
            Err(error) => error,
        };
        OffsetDeleteResponse::default().with_error_code(error.code())
    })
}

/// The part of a topic that exists; the rest is refused.
fn existing_partitions(
    image: &ClusterImage,
    topic: OffsetDeleteRequestTopic,
    answers: &mut Vec<OffsetDeleteResponseTopic>,
) -> Option<OffsetTopic> {
    let found = image.topic(&topic.name);
    let indexes = topic
        .partitions
        .iter()
        .map(|partition| partition.partition_index);
    let (existing, missing): (Vec<i32>, Vec<i32>) =
        indexes.partition(|&index| found.is_some_and(|found| found.partition(index).is_some()));
    // A topic that does not exist is answered even if no partition was named.
    if found.is_none() || !missing.is_empty() {
        let code = ErrorCode::UnknownTopicOrPartition.code();
        let answer = topic_answer(answers, &topic.name);
        answer.partitions.extend(
            missing
                .into_iter()
                .map(|index| partition_answer(index, code)),
        );
    }
    (!existing.is_empty()).then(|| OffsetTopic {
        name: topic.name.to_string(),
        partitions: existing,
    })
}

/// Adds what the group says: to the topic of the same name, or behind. If nothing was refused here, it stands as it is.
fn merge(answers: &mut Vec<OffsetDeleteResponseTopic>, deleted: Vec<DeletedTopicOffsets>) {
    let is_whole = answers.is_empty();
    for topic in deleted {
        let name = TopicName(StrBytes::from_string(topic.name));
        let partitions = topic
            .partitions
            .iter()
            .map(|partition| partition_answer(partition.partition, code_of(&partition.result)));
        if is_whole {
            answers.push(
                OffsetDeleteResponseTopic::default()
                    .with_name(name)
                    .with_partitions(partitions.collect()),
            );
        } else {
            topic_answer(answers, &name).partitions.extend(partitions);
        }
    }
}

fn topic_answer<'a>(
    answers: &'a mut Vec<OffsetDeleteResponseTopic>,
    name: &TopicName,
) -> &'a mut OffsetDeleteResponseTopic {
    let place = answers
        .iter()
        .position(|topic| topic.name == *name)
        .unwrap_or_else(|| {
            answers.push(OffsetDeleteResponseTopic::default().with_name(name.clone()));
            answers.len() - 1
        });
    &mut answers[place]
}

fn partition_answer(index: i32, code: i16) -> OffsetDeleteResponsePartition {
    OffsetDeleteResponsePartition::default()
        .with_partition_index(index)
        .with_error_code(code)
}
