//! DeleteTopics, versions 1 to 6 (topic ids in version 6, KIP-516).
//!
//! Behaviour: a name or id that occurs twice, a name whose id is named too, and an entry with both or neither are
//! INVALID_REQUEST, each with an answer of its own; so an answer may have other entries than the request. Where
//! `delete.topic.enable` is off everything is TOPIC_DELETION_DISABLED, below version 3 INVALID_REQUEST. The logs are
//! gone when the answer leaves, and groups have forgotten what they had committed for the topics.

use std::collections::BTreeSet;
use std::sync::Arc;

use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use klamm_group_coordinator::{Command, DeletedTopic, TopicId};
use tracing::warn;
use uuid::Uuid;

use super::super::refusal::{Refusal, fields};
use super::{has_no_time, not_written, once_and_repeated};
use crate::api::{Ctx, Reply};
use crate::broker::Broker;
use crate::cluster::changes::delete_topic;
use crate::cluster::{ClusterImage, TopicImage};
use crate::errors::ErrorCode;

const FIRST_DISABLED_VERSION: i16 = 3;

/// Answers DeleteTopics. Works on the disk, off the runtime.
pub fn handle(ctx: &Ctx<'_>, request: DeleteTopicsRequest) -> Reply<DeleteTopicsResponse> {
    if !ctx.broker.config().delete_topic_enable {
        let disabled = ctx.version() >= FIRST_DISABLED_VERSION;
        let error = if disabled {
            ErrorCode::TopicDeletionDisabled
        } else {
            ErrorCode::InvalidRequest
        };
        return Reply::Now(refused_request(&request, error));
    }
    let asked = Asked::new(&request);
    if asked.names.is_empty() && asked.ids.is_empty() {
        return Reply::Now(DeleteTopicsResponse::default().with_responses(asked.refused));
    }
    if has_no_time(request.timeout_ms) {
        return Reply::Now(refused_request(&request, ErrorCode::RequestTimedOut));
    }
    let broker = Arc::clone(ctx.broker);
    Reply::later(async move {
        let (deleting, refused) = (Arc::clone(&broker), asked.refused.clone());
        let deleted = tokio::task::spawn_blocking(move || delete(&deleting, &asked)).await;
        match deleted.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())) {
            Ok(Deleted {
                topics,
                mut results,
            }) => {
                forget_offsets(&broker, topics).await;
                results.extend(refused);
                DeleteTopicsResponse::default().with_responses(results)
            }
            Err(refusal) => refused_request(&request, refusal.code),
        }
    })
}

/// A request without what is wrong with itself.
struct Asked {
    names: Vec<TopicName>,
    ids: Vec<Uuid>,
    repeated_ids: BTreeSet<Uuid>,
    /// Answers that are known before any topic is looked up.
    refused: Vec<DeletableTopicResult>,
}

impl Asked {
    fn new(request: &DeleteTopicsRequest) -> Self {
        let invalid = |text: &str| Err(Refusal::new(ErrorCode::InvalidRequest, text));
        let (mut names, mut ids) = (request.topic_names.clone(), Vec::new());
        let mut refused = Vec::new();
        for topic in &request.topics {
            match (&topic.name, topic.topic_id) {
                (None, id) if id.is_nil() => {
                    refused.push(result(
                        None,
                        id,
                        &invalid("the entry has neither a name nor an id"),
                    ));
                }
                (None, id) => ids.push(id),
                (Some(name), id) if id.is_nil() => names.push(name.clone()),
                (Some(name), id) => {
                    refused.push(result(
                        Some(name.clone()),
                        id,
                        &invalid("the entry has both a name and an id"),
                    ));
                }
            }
        }
        let (names, repeated_names) = once_and_repeated(names);
        let (ids, repeated_ids) = once_and_repeated(ids);
        for name in repeated_names {
            refused.push(result(
                Some(name),
                Uuid::nil(),
                &invalid("the name occurs more than once"),
            ));
        }
        for id in &repeated_ids {
            refused.push(result(None, *id, &invalid("the id occurs more than once")));
        }
        Self {
            names,
            ids,
            repeated_ids: repeated_ids.into_iter().collect(),
            refused,
        }
    }

    /// The topics that are asked for, and the answers to what is not there or asked for in two ways.
    fn find(&self, image: &ClusterImage) -> (Vec<Arc<TopicImage>>, Vec<DeletableTopicResult>) {
        let (mut found, mut results) = (Vec::new(), Vec::new());
        for id in &self.ids {
            match image.topic_by_id(*id) {
                Some(topic) => found.push(Arc::clone(topic)),
                None => results.push(result(None, *id, &unknown(ErrorCode::UnknownTopicId))),
            }
        }
        for name in &self.names {
            let Some(topic) = image.topic(name) else {
                let refusal = unknown(ErrorCode::UnknownTopicOrPartition);
                results.push(result(Some(name.clone()), Uuid::nil(), &refusal));
                continue;
            };
            let found_before = found.len();
            found.retain(|other| other.id != topic.id);
            if found.len() < found_before || self.repeated_ids.contains(&topic.id) {
                let refusal = Err(Refusal::new(
                    ErrorCode::InvalidRequest,
                    "the topic is asked for by its id too",
                ));
                results.push(result(Some(name.clone()), topic.id, &refusal));
            } else {
                found.push(Arc::clone(topic));
            }
        }
        (found, results)
    }
}

fn unknown(error: ErrorCode) -> Result<(), Refusal> {
    Err(Refusal::new(error, "there is no such topic"))
}

/// What a request has deleted, and its answers.
struct Deleted {
    topics: Vec<Arc<TopicImage>>,
    results: Vec<DeletableTopicResult>,
}

/// Deletes the topics that were asked for, with their logs.
fn delete(broker: &Broker, asked: &Asked) -> Result<Deleted, Refusal> {
    let _changing = broker.lock_topics();
    let ((topics, mut results), _) = broker
        .propose(|proposal| {
            let (found, results) = asked.find(proposal.image());
            for topic in &found {
                delete_topic(proposal, topic.id);
            }
            (found, results)
        })
        .map_err(|error| not_written(&error))?;
    broker.partitions.delete_topics(&topics);
    for topic in &topics {
        let name = TopicName(StrBytes::from_string(topic.name.to_string()));
        results.push(result(Some(name), topic.id, &Ok(())));
    }
    Ok(Deleted { topics, results })
}

/// Lets the groups forget what they have committed for topics that are gone.
async fn forget_offsets(broker: &Arc<Broker>, topics: Vec<Arc<TopicImage>>) {
    if topics.is_empty() {
        return;
    }
    let topics = topics
        .iter()
        .map(|topic| DeletedTopic {
            name: topic.name.to_string(),
            topic_id: TopicId(topic.id.into_bytes()),
        })
        .collect();
    // Offsets that stay behind name the id of their topic, and are not taken for those of one that is made later.
    if let Err(error) = broker
        .groups
        .submit_to_all(broker, Command::TopicsDeleted { topics })
        .await
    {
        warn!(
            ?error,
            "groups keep what they have committed for deleted topics"
        );
    }
}

fn result(
    name: Option<TopicName>,
    id: Uuid,
    outcome: &Result<(), Refusal>,
) -> DeletableTopicResult {
    let (error_code, error_message) = fields(outcome);
    DeletableTopicResult::default()
        .with_name(name)
        .with_topic_id(id)
        .with_error_code(error_code)
        .with_error_message(error_message)
}

/// Every entry of the request refused for the same reason, without a text.
fn refused_request(request: &DeleteTopicsRequest, error: ErrorCode) -> DeleteTopicsResponse {
    let refusal = Err(Refusal::bare(error));
    let by_name = request
        .topic_names
        .iter()
        .map(|name| result(Some(name.clone()), Uuid::nil(), &refusal));
    let by_either = request
        .topics
        .iter()
        .map(|topic| result(topic.name.clone(), topic.topic_id, &refusal));
    DeleteTopicsResponse::default().with_responses(by_name.chain(by_either).collect())
}
