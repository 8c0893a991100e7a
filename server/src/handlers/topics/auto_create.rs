//! Topics that are made because somebody asked for them (`DefaultAutoTopicCreationManager`).

use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::protocol::StrBytes;
use tracing::{info, warn};

use super::create::create;
use crate::broker::Broker;
use crate::cluster::topic_name::{
    CLUSTER_METADATA_TOPIC_NAME, GROUP_METADATA_TOPIC_NAME, SHARE_GROUP_STATE_TOPIC_NAME,
    TRANSACTION_STATE_TOPIC_NAME,
};

/// Makes topics with the broker's default partition count and replication factor, internal ones as the broker makes
/// them for itself. Names are legal and not repeated. A topic that cannot be made is named in the log: the client
/// finds that it is still not there. Blocks on the disk.
pub fn auto_create(broker: &Broker, names: &[String]) {
    let mut ordinary = Vec::new();
    for name in names {
        match name.as_str() {
            GROUP_METADATA_TOPIC_NAME | TRANSACTION_STATE_TOPIC_NAME => {
                if let Err(reason) = broker.ensure_internal_topic(name) {
                    warn!(
                        topic = name,
                        reason, "an internal topic could not be created"
                    );
                }
            }
            CLUSTER_METADATA_TOPIC_NAME | SHARE_GROUP_STATE_TOPIC_NAME => {
                info!(topic = name, "the topic is not created for a client");
            }
            _ => ordinary.push(with_defaults(name)),
        }
    }
    let topics: Vec<_> = ordinary.iter().collect();
    if topics.is_empty() {
        return;
    }
    match create(broker, &topics, false) {
        Ok(outcomes) => {
            for (topic, outcome) in topics.iter().zip(outcomes) {
                match outcome {
                    Ok(_) => info!(topic = %*topic.name, "topic created on first use"),
                    Err(refusal) => {
                        info!(topic = %*topic.name, %refusal, "topic not created on first use")
                    }
                }
            }
        }
        Err(refusal) => info!(%refusal, "topics not created on first use"),
    }
}

fn with_defaults(name: &str) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(TopicName(StrBytes::from_string(name.to_owned())))
        .with_num_partitions(-1)
        .with_replication_factor(-1)
}
