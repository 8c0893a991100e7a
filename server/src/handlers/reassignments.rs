//! ListPartitionReassignments, version 0 (KIP-455).
//!
//! Behaviour: lists the partitions whose replicas are being moved. On one node there is nowhere to move them to, so
//! only a partition that Apache Kafka left in the middle of a move can be in the list.

use kafka_protocol::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use kafka_protocol::messages::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::reach::broker_ids;
use crate::api::{Ctx, Reply};
use crate::cluster::{PartitionImage, TopicImage};

/// Answers ListPartitionReassignments.
pub fn handle(
    ctx: &Ctx<'_>,
    request: ListPartitionReassignmentsRequest,
) -> Reply<ListPartitionReassignmentsResponse> {
    let image = ctx.broker.image();
    let topics = match &request.topics {
        None => image
            .topics()
            .filter_map(|topic| ongoing(topic, 0..topic.partitions.len() as i32))
            .collect(),
        Some(asked) => asked
            .iter()
            .filter_map(|asked| {
                ongoing(
                    image.topic(&asked.name)?,
                    asked.partition_indexes.iter().copied(),
                )
            })
            .collect(),
    };
    Reply::Now(
        ListPartitionReassignmentsResponse::default()
            .with_error_message(None)
            .with_topics(topics),
    )
}

/// The entry of a topic, when any of the partitions is being moved.
fn ongoing(
    topic: &TopicImage,
    indexes: impl IntoIterator<Item = i32>,
) -> Option<OngoingTopicReassignment> {
    let is_moving = |partition: &&PartitionImage| {
        !partition.adding_replicas.is_empty() || !partition.removing_replicas.is_empty()
    };
    let moving = indexes.into_iter().filter_map(|index| {
        let partition = topic.partition(index).filter(is_moving)?;
        Some(
            OngoingPartitionReassignment::default()
                .with_partition_index(index)
                .with_replicas(broker_ids(&partition.replicas))
                .with_adding_replicas(broker_ids(&partition.adding_replicas))
                .with_removing_replicas(broker_ids(&partition.removing_replicas)),
        )
    });
    let partitions: Vec<_> = moving.collect();
    let name = TopicName(StrBytes::from_string(topic.name.to_string()));
    (!partitions.is_empty()).then(|| {
        OngoingTopicReassignment::default()
            .with_name(name)
            .with_partitions(partitions)
    })
}
