//! CreateTopics, versions 2 to 7 (configs in the answer from 5 on, KIP-525; topic ids from 7 on, KIP-516).
//!
//! Behaviour: a topic is refused for its name, then for its configs, then for its partitions and replicas. A name that
//! occurs twice is refused altogether. More than 10,000 partitions or metadata records fail the whole request with
//! POLICY_VIOLATION, and so does a timeout that is not positive, with REQUEST_TIMED_OUT. `validate_only` answers as if
//! the topics had been created, ids included.

use std::collections::BTreeSet;
use std::sync::Arc;

use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult,
};
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::super::refusal::Refusal;
use super::create_plan::{NewTopic, plan};
use super::{has_no_time, not_written, once_and_repeated};
use crate::api::{Ctx, Reply};
use crate::broker::Broker;
use crate::cluster::topic_name::CLUSTER_METADATA_TOPIC_NAME;
use crate::config::Entry;
use crate::errors::ErrorCode;

/// First version that answers with what was made of the topic.
const FIRST_DETAILS_VERSION: i16 = 5;

/// Answers CreateTopics. Works on the disk, off the runtime.
pub fn handle(ctx: &Ctx<'_>, request: CreateTopicsRequest) -> Reply<CreateTopicsResponse> {
    let (once, repeated) = once_and_repeated(request.topics.iter().map(|topic| topic.name.clone()));
    let is_metadata_log = |name: &&TopicName| name.as_str() == CLUSTER_METADATA_TOPIC_NAME;
    let (prohibited, creatable): (Vec<_>, Vec<_>) = once.iter().partition(is_metadata_log);
    let refused_names = repeated
        .into_iter()
        .map(|name| (name, "the topic is named more than once"))
        .chain(
            prohibited
                .into_iter()
                .map(|name| (name.clone(), "the metadata log is not a topic")),
        );
    let refused: Vec<_> = refused_names
        .map(|(name, text)| refused_topic(name, &Refusal::new(ErrorCode::InvalidRequest, text)))
        .collect();
    if creatable.is_empty() {
        return Reply::Now(CreateTopicsResponse::default().with_topics(refused));
    }
    if has_no_time(request.timeout_ms) {
        return Reply::Now(refused_request(
            &request,
            &Refusal::bare(ErrorCode::RequestTimedOut),
        ));
    }
    let creatable: BTreeSet<TopicName> = creatable.into_iter().cloned().collect();
    let (broker, tells_details) = (
        Arc::clone(ctx.broker),
        ctx.version() >= FIRST_DETAILS_VERSION,
    );
    Reply::blocking(move || {
        let topics: Vec<_> = request
            .topics
            .iter()
            .filter(|topic| creatable.contains(&topic.name))
            .collect();
        match create(&broker, &topics, request.validate_only) {
            Err(refusal) => refused_request(&request, &refusal),
            Ok(outcomes) => {
                let results = topics
                    .iter()
                    .zip(outcomes)
                    .map(|(topic, outcome)| match outcome {
                        Ok(created) if tells_details => {
                            detailed(&broker, topic.name.clone(), &created)
                        }
                        Ok(_) => CreatableTopicResult::default()
                            .with_name(topic.name.clone())
                            .with_error_message(None),
                        Err(refusal) => refused_topic(topic.name.clone(), &refusal),
                    });
                CreateTopicsResponse::default().with_topics(results.chain(refused).collect())
            }
        }
    })
}

/// Creates topics whose names differ. When this returns they can be used. Blocks on the disk.
///
/// # Errors
/// What fails all of the topics together.
pub fn create(
    broker: &Broker,
    topics: &[&CreatableTopic],
    validate_only: bool,
) -> Result<Vec<Result<NewTopic, Refusal>>, Refusal> {
    if validate_only {
        return plan(topics, &broker.image(), &broker.configs);
    }
    let _changing = broker.lock_topics();
    let (planned, image) = broker
        .propose(|proposal| {
            let planned: Vec<Result<NewTopic, Refusal>> =
                plan(topics, proposal.image(), &broker.configs)?;
            for (topic, planned) in topics.iter().zip(&planned) {
                if let Ok(planned) = planned {
                    planned.push_to(proposal, &topic.name);
                }
            }
            Ok::<_, Refusal>(planned)
        })
        .map_err(|error| not_written(&error))?;
    let planned = planned?;
    for (topic, planned) in topics.iter().zip(&planned) {
        if planned.is_ok()
            && let Some(topic) = image.topic(&topic.name)
        {
            broker
                .partitions
                .create_topic(&image, topic, &broker.configs);
        }
    }
    Ok(planned)
}

fn detailed(broker: &Broker, name: TopicName, created: &NewTopic) -> CreatableTopicResult {
    let replica_count = created
        .partitions
        .first()
        .map_or(0, |partition| partition.replicas.len());
    CreatableTopicResult::default()
        .with_name(name)
        .with_topic_id(created.id)
        .with_error_message(None)
        .with_num_partitions(i32::try_from(created.partitions.len()).unwrap_or(i32::MAX))
        .with_replication_factor(i16::try_from(replica_count).unwrap_or(i16::MAX))
        .with_configs(Some(
            broker
                .configs
                .describe_new_topic(&created.overrides)
                .into_iter()
                .map(config)
                .collect(),
        ))
}

fn config(entry: Entry) -> CreatableTopicConfigs {
    CreatableTopicConfigs::default()
        .with_name(StrBytes::from_string(entry.name))
        .with_value(entry.value.map(StrBytes::from_string))
        .with_read_only(entry.is_read_only)
        .with_config_source(entry.source as i8)
        .with_is_sensitive(entry.is_sensitive)
}

fn refused_topic(name: TopicName, refusal: &Refusal) -> CreatableTopicResult {
    CreatableTopicResult::default()
        .with_name(name)
        .with_error_code(refusal.code.code())
        .with_error_message(refusal.message())
}

/// Every topic of the request refused for the same reason, repeated names included.
fn refused_request(request: &CreateTopicsRequest, refusal: &Refusal) -> CreateTopicsResponse {
    let topics = request
        .topics
        .iter()
        .map(|topic| refused_topic(topic.name.clone(), refusal));
    CreateTopicsResponse::default().with_topics(topics.collect())
}
