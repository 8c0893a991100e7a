//! TxnOffsetCommit, versions 0 to 5.
//!
//! Behaviour: offsets that count when the producer's transaction commits. Partitions that do not exist are refused one by
//! one, as for OffsetCommit. The offsets partition of the group must be part of the transaction: the coordinator of the
//! transaction is asked once for each.
//!
//! Version notes: from 3 on the consumer's generation and member are checked (KIP-447); from 5 on the broker adds the
//! offsets partition to the transaction by itself (KIP-890).

use std::sync::Arc;

use kafka_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestTopic;
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{TopicName, TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use kafka_protocol::protocol::StrBytes;
use klamm_group_coordinator as coordinator;
use klamm_group_coordinator::txn::TxnPartition;
use klamm_group_coordinator::{
    Command, CommitPartition, CommitTopic, CommitTransactionalOffsets, CommittedTopic,
    Reply as GroupReply, TopicId,
};
use klamm_log_store::batch::NO_SEQUENCE;
use klamm_log_store::partition::Verification;
use klamm_log_store::{ProducerEpoch, ProducerId};

use crate::api::{Ctx, Reply};
use crate::broker::Broker;
use crate::cluster::ClusterImage;
use crate::cluster::topic_name::GROUP_METADATA_TOPIC_NAME;
use crate::coordinator::{Demand, Manner, Writer};
use crate::errors::{self, ErrorCode};
use crate::handlers::groups::{code_of, optional};

/// Answers TxnOffsetCommit.
pub fn handle(ctx: &Ctx<'_>, request: TxnOffsetCommitRequest) -> Reply<TxnOffsetCommitResponse> {
    let image = ctx.broker.image();
    let mut answer = Answer::default();
    let command = CommitTransactionalOffsets {
        group_id: request.group_id.to_string(),
        producer_id: coordinator::ProducerId(request.producer_id.0),
        producer_epoch: request.producer_epoch,
        generation: request.generation_id,
        member_id: request.member_id.to_string(),
        instance_id: optional(request.group_instance_id),
        topics: request
            .topics
            .into_iter()
            .filter_map(|topic| existing_partitions(&image, topic, &mut answer))
            .collect(),
    };
    if command.topics.is_empty() {
        return Reply::Now(answer.into_response());
    }
    let writer = Writer {
        transactional_id: request.transactional_id.to_string(),
        producer_id: ProducerId(request.producer_id.0),
        producer_epoch: ProducerEpoch(request.producer_epoch),
        manner: Manner::of_offset_commit(ctx.version()),
    };
    let broker = Arc::clone(ctx.broker);
    Reply::later(async move {
        let topics = command.topics.clone();
        let committed = match commit(&broker, &writer, command).await {
            Ok(committed) => committed.into_iter().map(committed_topic).collect(),
            Err(error) => topics
                .into_iter()
                .map(|topic| refused_topic(topic, error))
                .collect(),
        };
        answer.merge(committed);
        answer.into_response()
    })
}

/// The part of a topic that exists; the rest is refused.
fn existing_partitions(
    image: &ClusterImage,
    topic: TxnOffsetCommitRequestTopic,
    refused: &mut Answer,
) -> Option<CommitTopic> {
    let found = image.topic(&topic.name);
    let mut partitions = Vec::with_capacity(topic.partitions.len());
    for partition in topic.partitions {
        let index = partition.partition_index;
        if found.is_some_and(|found| found.partition(index).is_some()) {
            partitions.push(CommitPartition {
                partition: index,
                offset: partition.committed_offset,
                leader_epoch: partition.committed_leader_epoch,
                metadata: optional(partition.committed_metadata),
            });
        } else {
            let code = ErrorCode::UnknownTopicOrPartition.code();
            let partitions = &mut refused.topic(&topic.name).partitions;
            partitions.push(answer_partition(index, code));
        }
    }
    (!partitions.is_empty()).then(|| CommitTopic {
        name: topic.name.to_string(),
        topic_id: TopicId::ZERO,
        partitions,
    })
}

/// Has the coordinator of the transaction vouch for the group's offsets partition, and the group commit.
async fn commit(
    broker: &Arc<Broker>,
    writer: &Writer,
    command: CommitTransactionalOffsets,
) -> Result<Vec<CommittedTopic>, ErrorCode> {
    if command.group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    let group_id = command.group_id.clone();
    let verification = verified(broker, writer, &group_id)
        .await
        .map_err(told_by_coordinator)?;
    let producer = (command.producer_id, command.producer_epoch);
    let command = Command::CommitTransactionalOffsets(command);
    let reply = broker
        .groups
        .submit_in_transaction(broker, &group_id, command, producer, verification)
        .await
        .map_err(|error| told_by_coordinator(error.code()))?;
    match reply {
        GroupReply::CommitTransactionalOffsets(Ok(committed)) => Ok(committed),
        GroupReply::CommitTransactionalOffsets(Err(error)) => Err(errors::of_group_error(error)),
        _ => Err(ErrorCode::UnknownServerError),
    }
}

/// What the offsets partition of a group is to be shown before it takes part in the transaction.
async fn verified(
    broker: &Arc<Broker>,
    writer: &Writer,
    group_id: &str,
) -> Result<Verification, ErrorCode> {
    let partition = broker
        .groups
        .partition_of(broker, group_id)
        .await
        .map_err(|error| error.code())?;
    let log = broker.partition_by_name(GROUP_METADATA_TOPIC_NAME, partition)?;
    let demand = writer
        .demand(broker, &log, NO_SEQUENCE)
        .map_err(|error| errors::of_append_error(&error).0)?;
    let guard = match demand {
        Demand::Met(verification) => return Ok(verification),
        Demand::Vouch(guard) => guard,
    };
    let offsets = TxnPartition {
        topic: GROUP_METADATA_TOPIC_NAME.to_owned(),
        partition,
    };
    for result in writer.vouch(broker, vec![offsets]).await {
        result?;
    }
    Ok(Verification::Required(Some(guard)))
}

/// Errors of a partition as errors of the coordinator that lives in it (`CoordinatorOperationExceptionHelper`).
fn told_by_coordinator(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::NetworkException => ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::NotEnoughReplicas
        | ErrorCode::RequestTimedOut => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => ErrorCode::UnknownServerError,
        error => error,
    }
}

fn committed_topic(topic: CommittedTopic) -> TxnOffsetCommitResponseTopic {
    let partitions = topic
        .partitions
        .iter()
        .map(|partition| answer_partition(partition.partition, code_of(&partition.result)))
        .collect();
    answer_topic(&topic.name).with_partitions(partitions)
}

fn refused_topic(topic: CommitTopic, error: ErrorCode) -> TxnOffsetCommitResponseTopic {
    let partitions = topic
        .partitions
        .iter()
        .map(|partition| answer_partition(partition.partition, error.code()))
        .collect();
    answer_topic(&topic.name).with_partitions(partitions)
}

fn answer_topic(name: &str) -> TxnOffsetCommitResponseTopic {
    TxnOffsetCommitResponseTopic::default()
        .with_name(TopicName(StrBytes::from_string(name.to_owned())))
}

fn answer_partition(index: i32, code: i16) -> TxnOffsetCommitResponsePartition {
    TxnOffsetCommitResponsePartition::default()
        .with_partition_index(index)
        .with_error_code(code)
}

/// An answer that grows in two steps, like Kafka's own (`TxnOffsetCommitResponse.Builder`): what is refused here has
/// every topic once; what the group says goes to the topic of the same name, or behind, and stands as it is if nothing
/// was refused here.
#[derive(Debug, Default)]
struct Answer {
    topics: Vec<TxnOffsetCommitResponseTopic>,
}

impl Answer {
    fn topic(&mut self, name: &TopicName) -> &mut TxnOffsetCommitResponseTopic {
        let place = match self.topics.iter().position(|topic| topic.name == *name) {
            Some(place) => place,
            None => {
                self.topics.push(answer_topic(name));
                self.topics.len() - 1
            }
        };
        &mut self.topics[place]
    }

    fn merge(&mut self, topics: Vec<TxnOffsetCommitResponseTopic>) {
        if self.topics.is_empty() {
            self.topics = topics;
            return;
        }
        for topic in topics {
            self.topic(&topic.name).partitions.extend(topic.partitions);
        }
    }

    fn into_response(self) -> TxnOffsetCommitResponse {
        TxnOffsetCommitResponse::default().with_topics(self.topics)
    }
}
