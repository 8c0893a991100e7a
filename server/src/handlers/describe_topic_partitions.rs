//! DescribeTopicPartitions, version 0 (KIP-966).
//!
//! Behaviour: topics come in the order of their names, all of them when none is named. An answer has at most
//! `max.request.partition.size.limit` partitions, fewer when the client asks for fewer; where more are left, a
//! cursor tells where the next request is to begin. A cursor that names no topic of the list, or a negative
//! partition, fails the whole request with INVALID_REQUEST.

use std::collections::BTreeSet;

use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{
    BrokerId, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::authorized::TOPIC_OPERATIONS;
use super::reach::{Reach, broker_ids};
use crate::api::{Ctx, Reply};
use crate::cluster::view::NO_LEADER;
use crate::cluster::{ClusterImage, PartitionImage, TopicImage, topic_name};
use crate::errors::ErrorCode;

/// Answers DescribeTopicPartitions.
pub fn handle(
    ctx: &Ctx<'_>,
    request: DescribeTopicPartitionsRequest,
) -> Reply<DescribeTopicPartitionsResponse> {
    let image = ctx.broker.image();
    let first_name = request
        .cursor
        .as_ref()
        .map_or("", |cursor| cursor.topic_name.as_str());
    let named: BTreeSet<&str> = request
        .topics
        .iter()
        .map(|topic| topic.name.as_str())
        .filter(|name| *name >= first_name)
        .collect();
    if let Some(cursor) = &request.cursor
        && (cursor.partition_index < 0
            || (!request.topics.is_empty() && !named.contains(first_name)))
    {
        return Reply::Now(refused(&request));
    }
    let partitions_max = request
        .response_partition_limit
        .min(ctx.broker.config().response_partitions_max)
        .max(1);
    let reach = Reach::new(ctx.broker, ctx.connection, &image);
    let page = Page {
        image: &image,
        reach: &reach,
        first_name,
        first_index: request
            .cursor
            .as_ref()
            .map_or(0, |cursor| cursor.partition_index),
        partitions_left: partitions_max,
        topics: Vec::new(),
    };
    Reply::Now(if request.topics.is_empty() {
        page.fill(image.topics_from(first_name).map(|topic| &*topic.name))
    } else {
        page.fill(named.into_iter())
    })
}

fn refused(request: &DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let topics = request.topics.iter().map(|topic| {
        DescribeTopicPartitionsResponseTopic::default()
            .with_error_code(ErrorCode::InvalidRequest.code())
            .with_name(Some(topic.name.clone()))
    });
    DescribeTopicPartitionsResponse::default().with_topics(topics.collect())
}

/// An answer while it is being filled.
struct Page<'a> {
    image: &'a ClusterImage,
    reach: &'a Reach,
    /// The topic of the request's cursor, which begins at `first_index`; all others begin at 0.
    first_name: &'a str,
    first_index: i32,
    partitions_left: i32,
    topics: Vec<DescribeTopicPartitionsResponseTopic>,
}

impl Page<'_> {
    /// Takes topics until the page is full. A name without a topic takes no room.
    fn fill<'n>(mut self, names: impl Iterator<Item = &'n str>) -> DescribeTopicPartitionsResponse {
        for name in names {
            if self.partitions_left == 0 {
                return self.end(Some(cursor(name, 0)));
            }
            let entry = match self.image.topic(name) {
                Some(topic) => {
                    let (partitions, next_index) = self.partitions(topic);
                    self.topics.push(
                        entry(name, None)
                            .with_topic_id(topic.id)
                            .with_partitions(partitions),
                    );
                    match next_index {
                        Some(index) => return self.end(Some(cursor(name, index))),
                        None => continue,
                    }
                }
                None if topic_name::check(name).is_err() => {
                    entry(name, Some(ErrorCode::InvalidTopicException))
                }
                None => entry(name, Some(ErrorCode::UnknownTopicOrPartition)),
            };
            self.topics.push(entry);
        }
        self.end(None)
    }

    /// The partitions of a topic that have room, and the index that is next when there are more.
    fn partitions(
        &mut self,
        topic: &TopicImage,
    ) -> (Vec<DescribeTopicPartitionsResponsePartition>, Option<i32>) {
        let first = if *topic.name == *self.first_name {
            self.first_index
        } else {
            0
        };
        let count = i32::try_from(topic.partitions.len()).expect("partition indexes are int32");
        // The sum wraps in Kafka, which then hands out a cursor that it does not accept.
        let end = count.min(first.wrapping_add(self.partitions_left));
        let partitions: Vec<_> = (first..end)
            .filter_map(|index| {
                topic
                    .partition(index)
                    .map(|partition| self.partition(index, partition))
            })
            .collect();
        if end < count {
            return (partitions, Some(end));
        }
        self.partitions_left -= i32::try_from(partitions.len()).expect("no more than were left");
        (partitions, None)
    }

    fn partition(
        &self,
        index: i32,
        partition: &PartitionImage,
    ) -> DescribeTopicPartitionsResponsePartition {
        DescribeTopicPartitionsResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(self.reach.leader(partition).unwrap_or(BrokerId(NO_LEADER)))
            .with_leader_epoch(partition.leader_epoch)
            .with_replica_nodes(broker_ids(&partition.replicas))
            .with_isr_nodes(broker_ids(&partition.isr))
            .with_eligible_leader_replicas(Some(broker_ids(&partition.elr)))
            .with_last_known_elr(Some(broker_ids(&partition.last_known_elr)))
            .with_offline_replicas(self.reach.offline_replicas(partition))
    }

    fn end(self, next: Option<Cursor>) -> DescribeTopicPartitionsResponse {
        DescribeTopicPartitionsResponse::default()
            .with_topics(self.topics)
            .with_next_cursor(next)
    }
}

fn entry(name: &str, error: Option<ErrorCode>) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(error.map_or(0, |error| error.code()))
        .with_name(Some(TopicName(StrBytes::from_string(name.to_owned()))))
        .with_is_internal(topic_name::is_internal(name))
        .with_topic_authorized_operations(TOPIC_OPERATIONS)
}

fn cursor(name: &str, index: i32) -> Cursor {
    Cursor::default()
        .with_topic_name(TopicName(StrBytes::from_string(name.to_owned())))
        .with_partition_index(index)
}

#[cfg(test)]
mod tests;
