//! How a request or a response names a topic.

use kafka_protocol::messages::TopicName;
use uuid::Uuid;

/// A topic by name, or by id in the versions that have ids (KIP-516): Produce from 13 on, Fetch from 13 on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TopicRef {
    Name(TopicName),
    Id(Uuid),
}
