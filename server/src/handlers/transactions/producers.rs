//! DescribeProducers, version 0 (KIP-664).
//!
//! Behaviour: the producers that a partition remembers, with their open transactions. A topic name that no topic can
//! have is an INVALID_TOPIC_EXCEPTION for each of its partitions.

use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse, ProducerId};
use klamm_log_store::partition::ActiveProducer;

use crate::api::{Ctx, Reply};
use crate::broker::Broker;
use crate::cluster::topic_name;
use crate::errors::ErrorCode;
use crate::handlers::refusal::{self, Refusal};

/// Answers DescribeProducers.
pub fn handle(
    ctx: &Ctx<'_>,
    request: DescribeProducersRequest,
) -> Reply<DescribeProducersResponse> {
    let topics = request
        .topics
        .into_iter()
        .map(|topic| describe(ctx.broker, topic))
        .collect();
    Reply::Now(DescribeProducersResponse::default().with_topics(topics))
}

fn describe(broker: &Broker, topic: TopicRequest) -> TopicResponse {
    let illegal = topic_name::check(&topic.name)
        .err()
        .map(|illegal| Refusal::new(ErrorCode::InvalidTopicException, illegal.to_string()));
    let partitions = topic.partition_indexes.iter().map(|index| {
        let producers = match &illegal {
            Some(illegal) => Err(illegal.clone()),
            None => broker
                .partition_by_name(&topic.name, *index)
                .map(|log| log.active_producers())
                .map_err(|code| unavailable(broker, &topic.name, code)),
        };
        let (code, message) = refusal::fields(&producers);
        PartitionResponse::default()
            .with_partition_index(*index)
            .with_error_code(code)
            .with_error_message(message)
            .with_active_producers(producers.unwrap_or_default().iter().map(producer).collect())
    });
    TopicResponse::default()
        .with_partitions(partitions.collect())
        .with_name(topic.name)
}

/// Kafka says why only where the whole topic is missing.
fn unavailable(broker: &Broker, topic: &str, code: ErrorCode) -> Refusal {
    if broker.image().topic(topic).is_none() {
        Refusal::new(code, "there is no such topic")
    } else {
        Refusal::bare(code)
    }
}

fn producer(active: &ActiveProducer) -> ProducerState {
    ProducerState::default()
        .with_producer_id(ProducerId(active.producer_id.0))
        .with_producer_epoch(i32::from(active.epoch.0))
        .with_last_sequence(active.last_sequence)
        .with_last_timestamp(active.last_timestamp_ms)
        .with_coordinator_epoch(active.coordinator_epoch)
        .with_current_txn_start_offset(active.txn_first_offset.map_or(-1, |offset| offset.0))
}
