//! DescribeConfigs, AlterConfigs and IncrementalAlterConfigs: what clients see of configs and do to them.
//!
//! Resources are topics, brokers (by id, or with an empty name all of them), client metrics subscriptions, groups and
//! the loggers of a broker. Klamm has no loggers in Kafka's sense: none are listed, and none can be changed.

mod alter;
mod describe;
mod edit;
#[cfg(test)]
mod tests;

pub use alter::{alter, incremental_alter};
pub use describe::handle as describe;

use super::refusal::Refusal;
use crate::cluster::ConfigResource;
use crate::errors::ErrorCode;

/// The kinds of resource that requests name (`ConfigResource.Type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Topic,
    Broker,
    BrokerLogger,
    ClientMetrics,
    Group,
}

impl Kind {
    fn of(resource_type: i8) -> Option<Self> {
        match resource_type {
            ConfigResource::TOPIC => Some(Self::Topic),
            ConfigResource::BROKER => Some(Self::Broker),
            8 => Some(Self::BrokerLogger),
            ConfigResource::CLIENT_METRICS => Some(Self::ClientMetrics),
            ConfigResource::GROUP => Some(Self::Group),
            _ => None,
        }
    }
}

/// Checks that a resource is this broker, by its id.
fn check_is_this_broker(name: &str, node_id: i32) -> Result<(), Refusal> {
    let invalid = |text: String| Err(Refusal::new(ErrorCode::InvalidRequest, text));
    match name.parse::<i32>() {
        Ok(id) if id == node_id => Ok(()),
        Ok(id) => invalid(format!(
            "broker {id} was asked for, but this is broker {node_id}"
        )),
        Err(_) => invalid(format!("a broker's id is a number, not {name:?}")),
    }
}
