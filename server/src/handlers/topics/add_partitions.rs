//! CreatePartitions, versions 0 to 3 (KIP-195).
//!
//! Behaviour: the count is that of all partitions, old ones included, and must be larger than what there is. A topic
//! that occurs twice is INVALID_REQUEST. `validate_only` answers as if the partitions had been created.
//!
//! Differs from Apache Kafka: a topic that would get more than 10,000 partitions at once is a POLICY_VIOLATION and stays
//! as it is. Kafka answers UNKNOWN_SERVER_ERROR and still creates the first 10,000.

use std::collections::BTreeSet;
use std::sync::Arc;

use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse, TopicName};

use super::super::refusal::{Refusal, fields};
use super::assignment::{manual_partition, placed_partitions};
use super::{RECORDS_PER_REQUEST_MAX, has_no_time, not_written, once_and_repeated};
use crate::api::{Ctx, Reply};
use crate::broker::Broker;
use crate::cluster::changes::add_partitions;
use crate::cluster::{ClusterImage, PartitionImage, TopicImage};
use crate::errors::ErrorCode;

/// Answers CreatePartitions. Works on the disk, off the runtime.
pub fn handle(ctx: &Ctx<'_>, request: CreatePartitionsRequest) -> Reply<CreatePartitionsResponse> {
    let (once, repeated) = once_and_repeated(request.topics.iter().map(|topic| topic.name.clone()));
    let repeated = repeated.into_iter().map(|name| {
        result(
            name,
            &Err(Refusal::new(
                ErrorCode::InvalidRequest,
                "the topic is named more than once",
            )),
        )
    });
    let mut results: Vec<_> = repeated.collect();
    if once.is_empty() {
        return Reply::Now(CreatePartitionsResponse::default().with_results(results));
    }
    if has_no_time(request.timeout_ms) {
        return Reply::Now(refused_request(
            &request,
            &Refusal::bare(ErrorCode::RequestTimedOut),
        ));
    }
    let (broker, once) = (Arc::clone(ctx.broker), BTreeSet::from_iter(once));
    Reply::blocking(move || {
        let topics: Vec<_> = request
            .topics
            .iter()
            .filter(|topic| once.contains(&topic.name))
            .collect();
        match add(&broker, &topics, request.validate_only) {
            Err(refusal) => refused_request(&request, &refusal),
            Ok(outcomes) => {
                let outcomes = topics.iter().zip(&outcomes);
                results
                    .extend(outcomes.map(|(topic, outcome)| result(topic.name.clone(), outcome)));
                CreatePartitionsResponse::default().with_results(results)
            }
        }
    })
}

/// Adds the partitions and opens their logs.
fn add(
    broker: &Broker,
    topics: &[&CreatePartitionsTopic],
    validate_only: bool,
) -> Result<Vec<Result<(), Refusal>>, Refusal> {
    let _changing = broker.lock_topics();
    let (outcomes, image) = broker
        .propose(|proposal| {
            let mut outcomes = Vec::new();
            for asked in topics {
                let added = new_partitions(proposal.image(), asked).map(|(topic, partitions)| {
                    if !validate_only {
                        let index_first =
                            i32::try_from(topic.partitions.len()).expect("indexes are int32");
                        add_partitions(proposal, topic.id, index_first, &partitions);
                    }
                });
                outcomes.push(added);
            }
            outcomes
        })
        .map_err(|error| not_written(&error))?;
    for (asked, outcome) in topics.iter().zip(&outcomes) {
        if outcome.is_ok()
            && let Some(topic) = image.topic(&asked.name)
        {
            broker
                .partitions
                .create_topic(&image, topic, &broker.configs);
        }
    }
    Ok(outcomes)
}

/// The topic and the partitions that are to be added to it.
fn new_partitions(
    image: &ClusterImage,
    asked: &CreatePartitionsTopic,
) -> Result<(Arc<TopicImage>, Vec<PartitionImage>), Refusal> {
    let topic = image
        .topic(&asked.name)
        .ok_or_else(|| Refusal::bare(ErrorCode::UnknownTopicOrPartition))?;
    let count_before = topic.partitions.len();
    let Some(added) = usize::try_from(asked.count)
        .ok()
        .and_then(|count| count.checked_sub(count_before))
    else {
        let text = format!(
            "the topic has {count_before} partitions, which is more than {}",
            asked.count
        );
        return Err(Refusal::new(ErrorCode::InvalidPartitions, text));
    };
    if added == 0 {
        let text = format!("the topic has {count_before} partitions already");
        return Err(Refusal::new(ErrorCode::InvalidPartitions, text));
    }
    if asked
        .assignments
        .as_ref()
        .is_some_and(|assignments| assignments.len() != added)
    {
        let text = format!("{added} new partitions need as many assignments");
        return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, text));
    }
    if added > RECORDS_PER_REQUEST_MAX {
        let text = format!("{added} new partitions are more than {RECORDS_PER_REQUEST_MAX}");
        return Err(Refusal::new(ErrorCode::PolicyViolation, text));
    }
    let replica_count = topic
        .partitions
        .first()
        .map_or(0, |partition| partition.replicas.len());
    let partitions = match &asked.assignments {
        Some(assignments) => assignments
            .iter()
            .map(|assignment| manual_partition(image, &assignment.broker_ids, Some(replica_count)))
            .collect::<Result<_, _>>()?,
        None => placed_partitions(image, count_before, added, replica_count)?,
    };
    Ok((Arc::clone(topic), partitions))
}

fn result(name: TopicName, outcome: &Result<(), Refusal>) -> CreatePartitionsTopicResult {
    let (error_code, error_message) = fields(outcome);
    CreatePartitionsTopicResult::default()
        .with_name(name)
        .with_error_code(error_code)
        .with_error_message(error_message)
}

/// Every topic of the request refused for the same reason, repeated names included.
fn refused_request(
    request: &CreatePartitionsRequest,
    refusal: &Refusal,
) -> CreatePartitionsResponse {
    let refusal = Err(refusal.clone());
    let results = request
        .topics
        .iter()
        .map(|topic| result(topic.name.clone(), &refusal));
    CreatePartitionsResponse::default().with_results(results.collect())
}
