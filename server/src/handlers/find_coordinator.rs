//! FindCoordinator, versions 0 to 6 (KIP-699 batches from 4 on).
//!
//! Behaviour: the coordinator of every group is the leader of a partition of `__consumer_offsets`, that of every
//! transactional id the leader of one of `__transaction_state`. The topic is made when the first one is asked for, and
//! the answer waits for it, where Apache Kafka answers COORDINATOR_NOT_AVAILABLE once and lets the client ask again.
//!
//! Not yet: coordinators of share groups. They answer UNSUPPORTED_VERSION, which ends a client at once, where a
//! retriable error would let it try for ever.

use std::sync::Arc;

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;

use crate::api::{Ctx, Reply};
use crate::broker::{Broker, Node};
use crate::errors::ErrorCode;

/// First version that asks for several keys at once.
const FIRST_BATCHED_VERSION: i16 = 4;
/// First version that knows share groups (KIP-932).
const FIRST_SHARE_VERSION: i16 = 6;

/// What a key names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyType {
    Group,
    Transaction,
    Share,
}

/// Answers FindCoordinator.
pub fn handle(ctx: &Ctx<'_>, request: FindCoordinatorRequest) -> Reply<FindCoordinatorResponse> {
    let version = ctx.version();
    let key_type = key_type(request.key_type, version);
    let (broker, node) = (Arc::clone(ctx.broker), ctx.broker.node_for(ctx.connection));
    Reply::later(async move {
        if version < FIRST_BATCHED_VERSION {
            let found = find(&broker, key_type, &request.key).await.map(|()| node);
            return single_response(found, version);
        }
        let mut coordinators = Vec::with_capacity(request.coordinator_keys.len());
        for key in request.coordinator_keys {
            let found = find(&broker, key_type, &key).await.map(|()| node.clone());
            coordinators.push(coordinator(key, found, key_type.is_ok()));
        }
        FindCoordinatorResponse::default().with_coordinators(coordinators)
    })
}

fn key_type(number: i8, version: i16) -> Result<KeyType, ErrorCode> {
    match number {
        0 => Ok(KeyType::Group),
        1 => Ok(KeyType::Transaction),
        2 if version >= FIRST_SHARE_VERSION => Ok(KeyType::Share),
        _ => Err(ErrorCode::InvalidRequest),
    }
}

/// Whether this node coordinates the key.
async fn find(
    broker: &Arc<Broker>,
    key_type: Result<KeyType, ErrorCode>,
    key: &str,
) -> Result<(), ErrorCode> {
    match key_type? {
        KeyType::Group => broker
            .groups
            .ensure_topic(broker)
            .await
            .map_err(|_| ErrorCode::CoordinatorNotAvailable),
        KeyType::Transaction => broker
            .transactions
            .ensure_topic(broker)
            .await
            .map_err(|_| ErrorCode::CoordinatorNotAvailable),
        KeyType::Share if !is_share_partition_key(key) => Err(ErrorCode::InvalidRequest),
        KeyType::Share => Err(ErrorCode::UnsupportedVersion),
    }
}

/// `group:topicId:partition`, as in Kafka's `SharePartitionKey`.
fn is_share_partition_key(key: &str) -> bool {
    let mut parts = key.split(':');
    let (group, topic_id, partition) = (parts.next(), parts.next(), parts.next());
    group.is_some_and(|group| !group.trim().is_empty())
        && topic_id.is_some_and(|id| !id.trim().is_empty())
        && partition.is_some_and(|index| index.parse::<i32>().is_ok())
        && parts.next().is_none()
}

fn single_response(found: Result<Node, ErrorCode>, version: i16) -> FindCoordinatorResponse {
    let (error, node) = parts(found);
    let response = FindCoordinatorResponse::default()
        .with_error_code(error.map_or(0, |error| error.code()))
        .with_node_id(BrokerId(node.id))
        .with_host(node.host)
        .with_port(node.port);
    if version == 0 {
        return response;
    }
    // Kafka puts the name of the code there even when there is no error.
    let message = error.map_or_else(|| "NONE".to_owned(), |error| error.to_string());
    response.with_error_message(Some(StrBytes::from_string(message)))
}

/// One answer of a batch. Kafka fills the message only where the whole request was refused.
fn coordinator(
    key: StrBytes,
    found: Result<Node, ErrorCode>,
    is_request_valid: bool,
) -> Coordinator {
    let (error, node) = parts(found);
    let message = if is_request_valid {
        StrBytes::default()
    } else {
        StrBytes::from_string(error.map_or_else(String::new, |error| error.to_string()))
    };
    Coordinator::default()
        .with_key(key)
        .with_error_code(error.map_or(0, |error| error.code()))
        .with_error_message(Some(message))
        .with_node_id(BrokerId(node.id))
        .with_host(node.host)
        .with_port(node.port)
}

fn parts(found: Result<Node, ErrorCode>) -> (Option<ErrorCode>, Node) {
    match found {
        Ok(node) => (None, node),
        Err(error) => (Some(error), Node::none()),
    }
}
