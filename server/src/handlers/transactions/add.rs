//! AddPartitionsToTxn, versions 0 to 5, and AddOffsetsToTxn, versions 0 to 4.
//!
//! Behaviour: partitions are added all or none: one that does not exist fails its whole transaction, and those that do
//! exist are OPERATION_NOT_ATTEMPTED then. Offsets are added as the offsets partition of their group.
//!
//! Version notes: below 2 a fenced producer is told INVALID_PRODUCER_EPOCH. AddPartitionsToTxn from 4 on is what brokers
//! say to a coordinator: several transactions at a time, and questions that change nothing (KIP-890).

use std::sync::Arc;

use kafka_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
};
use klamm_group_coordinator::ProducerId;
use klamm_group_coordinator::txn::{AddPartitions, TxnCommand, TxnPartition, TxnReply};

use super::code_for;
use crate::api::{Ctx, Reply};
use crate::broker::Broker;
use crate::cluster::ClusterImage;
use crate::cluster::topic_name::GROUP_METADATA_TOPIC_NAME;
use crate::errors::{self, ErrorCode};

const FIRST_FENCED_VERSION: i16 = 2;
const FIRST_BATCHED_VERSION: i16 = 4;

/// Answers AddPartitionsToTxn.
pub fn add_partitions(
    ctx: &Ctx<'_>,
    request: AddPartitionsToTxnRequest,
) -> Reply<AddPartitionsToTxnResponse> {
    let (version, broker) = (ctx.version(), Arc::clone(ctx.broker));
    Reply::later(async move {
        if version < FIRST_BATCHED_VERSION {
            let transaction = AddPartitionsToTxnTransaction::default()
                .with_transactional_id(request.v3_and_below_transactional_id)
                .with_producer_id(request.v3_and_below_producer_id)
                .with_producer_epoch(request.v3_and_below_producer_epoch)
                .with_topics(request.v3_and_below_topics);
            let topics = add(&broker, transaction, version).await;
            return AddPartitionsToTxnResponse::default()
                .with_results_by_topic_v3_and_below(topics);
        }
        let mut results = Vec::with_capacity(request.transactions.len());
        for transaction in request.transactions {
            let id = transaction.transactional_id.clone();
            let topics = add(&broker, transaction, version).await;
            results.push(
                AddPartitionsToTxnResult::default()
                    .with_transactional_id(id)
                    .with_topic_results(topics),
            );
        }
        AddPartitionsToTxnResponse::default().with_results_by_transaction(results)
    })
}

/// Answers AddOffsetsToTxn.
pub fn add_offsets(
    ctx: &Ctx<'_>,
    request: AddOffsetsToTxnRequest,
) -> Reply<AddOffsetsToTxnResponse> {
    let (version, broker) = (ctx.version(), Arc::clone(ctx.broker));
    Reply::later(async move {
        let error = added_offsets(&broker, request, version).await.err();
        AddOffsetsToTxnResponse::default()
            .with_error_code(error.map_or(errors::NONE, |error| error.code()))
    })
}

async fn added_offsets(
    broker: &Arc<Broker>,
    request: AddOffsetsToTxnRequest,
    version: i16,
) -> Result<(), ErrorCode> {
    if request.transactional_id.is_empty() {
        return Err(ErrorCode::InvalidRequest);
    }
    let partition = broker
        .groups
        .partition_of(broker, &request.group_id)
        .await
        .map_err(|error| error.code())?;
    let command = AddPartitions {
        transactional_id: request.transactional_id.to_string(),
        producer_id: ProducerId(request.producer_id.0),
        producer_epoch: request.producer_epoch,
        partitions: vec![TxnPartition {
            topic: GROUP_METADATA_TOPIC_NAME.to_owned(),
            partition,
        }],
        client_version: 0,
    };
    let id = command.transactional_id.clone();
    let command = TxnCommand::AddPartitions(command);
    match broker.transactions.ask(broker, &id, command).await? {
        TxnReply::AddPartitions(Ok(())) => Ok(()),
        TxnReply::AddPartitions(Err(error)) => Err(code_for(error, version, FIRST_FENCED_VERSION)),
        _ => Err(ErrorCode::UnknownServerError),
    }
}

/// Adds the partitions of one transaction, or asks after them.
async fn add(
    broker: &Arc<Broker>,
    transaction: AddPartitionsToTxnTransaction,
    version: i16,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let topics = transaction.topics;
    let image = broker.image();
    if partitions(&topics).any(|(topic, partition)| !exists(&image, topic, partition)) {
        return results(&topics, |topic, partition| {
            if exists(&image, topic, partition) {
                Some(ErrorCode::OperationNotAttempted)
            } else {
                Some(ErrorCode::UnknownTopicOrPartition)
            }
        });
    }
    if transaction.transactional_id.is_empty() {
        return results(&topics, |_, _| Some(ErrorCode::InvalidRequest));
    }
    let command = AddPartitions {
        transactional_id: transaction.transactional_id.to_string(),
        producer_id: ProducerId(transaction.producer_id.0),
        producer_epoch: transaction.producer_epoch,
        partitions: partitions(&topics)
            .map(|(topic, partition)| TxnPartition {
                topic: topic.to_owned(),
                partition,
            })
            .collect(),
        client_version: if version < FIRST_BATCHED_VERSION {
            0
        } else {
            2
        },
    };
    let id = command.transactional_id.clone();
    let command = if transaction.verify_only {
        TxnCommand::VerifyPartitions(command)
    } else {
        TxnCommand::AddPartitions(command)
    };
    let error = match broker.transactions.ask(broker, &id, command).await {
        Ok(TxnReply::AddPartitions(Ok(()))) => None,
        Ok(TxnReply::VerifyPartitions(Ok(verified))) => {
            let mut verified = verified.into_iter();
            return results(&topics, |_, _| {
                let error = verified.next().and_then(Result::err);
                error.map(errors::of_txn_error)
            });
        }
        Ok(TxnReply::AddPartitions(Err(error)) | TxnReply::VerifyPartitions(Err(error))) => {
            Some(code_for(error, version, FIRST_FENCED_VERSION))
        }
        Ok(_) => Some(ErrorCode::UnknownServerError),
        Err(error) => Some(error),
    };
    results(&topics, |_, _| error)
}

fn partitions(topics: &[AddPartitionsToTxnTopic]) -> impl Iterator<Item = (&str, i32)> {
    topics.iter().flat_map(|topic| {
        let name = topic.name.as_str();
        topic.partitions.iter().map(move |index| (name, *index))
    })
}

fn exists(image: &ClusterImage, topic: &str, partition: i32) -> bool {
    image
        .topic(topic)
        .is_some_and(|topic| topic.partition(partition).is_some())
}

/// An answer for every partition, in the order of the request.
fn results(
    topics: &[AddPartitionsToTxnTopic],
    mut error_of: impl FnMut(&str, i32) -> Option<ErrorCode>,
) -> Vec<AddPartitionsToTxnTopicResult> {
    topics
        .iter()
        .map(|topic| {
            let partitions = topic.partitions.iter().map(|index| {
                let error = error_of(&topic.name, *index);
                AddPartitionsToTxnPartitionResult::default()
                    .with_partition_index(*index)
                    .with_partition_error_code(error.map_or(errors::NONE, |error| error.code()))
            });
            AddPartitionsToTxnTopicResult::default()
                .with_name(topic.name.clone())
                .with_results_by_partition(partitions.collect())
        })
        .collect()
}
