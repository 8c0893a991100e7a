//! Kafka's metadata records.
//!
//! Fields and versions are those of Apache Kafka 4.3.1 (`common/metadata/*.json`). Records that the image has no use for
//! yet (ACLs, SCRAM credentials, quotas, delegation tokens) are kept as bytes, so that a log written by Kafka can be read and
//! a snapshot states them again.

mod broker;
mod control;
mod frame;
mod retained;
mod topic;
mod wire;

use uuid::Uuid;

pub use broker::{
    BrokerRegistrationChangeRecord, RegisterBrokerRecord, RegisterControllerRecord,
    SupportedFeature,
};
pub use control::{ControlRecord, Voters};
pub use frame::{decode, encode};
pub use retained::{Effect, Subject, effect};
pub use topic::{PartitionChangeRecord, PartitionRecord};
pub use wire::RecordError;

/// One change of the cluster's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataRecord {
    RegisterBroker(RegisterBrokerRecord),
    UnregisterBroker {
        broker_id: i32,
        broker_epoch: i64,
    },
    BrokerRegistrationChange(BrokerRegistrationChangeRecord),
    RegisterController(RegisterControllerRecord),
    Topic {
        name: String,
        topic_id: Uuid,
    },
    Partition(PartitionRecord),
    PartitionChange(PartitionChangeRecord),
    RemoveTopic {
        topic_id: Uuid,
    },
    /// A value of none deletes the config.
    Config {
        resource_type: i8,
        resource_name: String,
        name: String,
        value: Option<String>,
    },
    FeatureLevel {
        name: String,
        level: i16,
    },
    ProducerIds {
        broker_id: i32,
        broker_epoch: i64,
        next_producer_id: i64,
    },
    NoOp,
    BeginTransaction {
        name: Option<String>,
    },
    EndTransaction,
    AbortTransaction {
        reason: Option<String>,
    },
    ZkMigrationState {
        state: i8,
    },
    /// Forgets the eligible leader replicas of a topic, of all topics when the name is empty.
    ClearElr {
        topic_name: String,
    },
    /// A record that the image only keeps, as it was read.
    Other {
        api_key: u16,
        version: u16,
        body: Vec<u8>,
    },
}

#[cfg(test)]
mod tests;
