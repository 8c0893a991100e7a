//! CreateTopics, DeleteTopics and CreatePartitions: changes of the set of topics.
//!
//! All of a request is one proposal, so that it is written once and takes effect at once. The answer leaves when the
//! change is durable, and the logs of new partitions are open.

mod add_partitions;
mod assignment;
mod auto_create;
mod create;
mod create_plan;
mod delete;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use add_partitions::handle as create_partitions;
pub use auto_create::auto_create;
pub use create::handle as create_topics;
pub use delete::handle as delete_topics;

use super::refusal::Refusal;
use crate::cluster::ProposeError;
use crate::errors::ErrorCode;

/// Metadata records in one request (`QuorumController.MAX_RECORDS_PER_USER_OP`).
const RECORDS_PER_REQUEST_MAX: usize = 10_000;

/// Whether Kafka's controller drops a request before it looks at it: its deadline has passed when it arrives.
fn has_no_time(timeout_ms: i32) -> bool {
    timeout_ms <= 0
}

/// The answer to a request whose changes could not be written.
fn not_written(error: &ProposeError) -> Refusal {
    match error {
        ProposeError::TooLarge { .. } => Refusal::new(
            ErrorCode::PolicyViolation,
            "the request changes too much at once",
        ),
        ProposeError::Storage(_) | ProposeError::Failed(_) => {
            tracing::error!(%error, "a change of topics could not be written");
            Refusal::new(
                ErrorCode::KafkaStorageError,
                "the metadata log could not be written",
            )
        }
        ProposeError::Contradiction(_) => {
            tracing::error!(%error, "a change of topics was refused");
            Refusal::bare(ErrorCode::UnknownServerError)
        }
    }
}

/// The keys that occur once, in order, and those that occur more often, each once.
fn once_and_repeated<K: Ord + Clone>(keys: impl IntoIterator<Item = K>) -> (Vec<K>, Vec<K>) {
    let mut order = Vec::new();
    let (mut seen, mut repeated) = (BTreeSet::new(), BTreeSet::new());
    for key in keys {
        if seen.insert(key.clone()) {
            order.push(key);
        } else {
            repeated.insert(key);
        }
    }
    order.into_iter().partition(|key| !repeated.contains(key))
}
