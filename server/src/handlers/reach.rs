//! Which brokers a client can reach through the listener that it came by.

use std::collections::BTreeMap;

use kafka_protocol::messages::BrokerId;
use kafka_protocol::protocol::StrBytes;

use crate::api::ConnectionFacts;
use crate::broker::{Broker, Node};
use crate::cluster::{BrokerRegistration, ClusterImage, PartitionImage};

/// The brokers of an image as one connection sees them.
#[derive(Debug)]
pub struct Reach {
    /// The brokers that have the connection's listener, fenced ones included.
    brokers: BTreeMap<i32, ReachableBroker>,
}

/// A broker that has the connection's listener.
#[derive(Debug, Clone)]
pub struct ReachableBroker {
    pub node: Node,
    pub rack: Option<StrBytes>,
    pub is_fenced: bool,
}

impl Reach {
    pub fn new(broker: &Broker, connection: &ConnectionFacts, image: &ClusterImage) -> Self {
        let reachable = |registration: &BrokerRegistration| {
            let node = if registration.id == broker.node_id {
                broker.node_for(connection)
            } else {
                let endpoint = registration
                    .listeners
                    .iter()
                    .find(|endpoint| endpoint.name == connection.listener)?;
                let host = StrBytes::from_string(endpoint.host.clone());
                Node {
                    id: registration.id,
                    host,
                    port: i32::from(endpoint.port),
                }
            };
            let rack = registration.rack.clone().map(StrBytes::from_string);
            Some((
                node.id,
                ReachableBroker {
                    node,
                    rack,
                    is_fenced: registration.is_fenced,
                },
            ))
        };
        Self {
            brokers: image
                .brokers
                .values()
                .filter_map(|registration| reachable(registration))
                .collect(),
        }
    }

    /// Every broker that has the listener, in the order of their ids.
    pub fn brokers(&self) -> impl Iterator<Item = &ReachableBroker> {
        self.brokers.values()
    }

    /// The brokers that clients are sent to.
    pub fn online(&self) -> impl Iterator<Item = &ReachableBroker> {
        self.brokers().filter(|broker| !broker.is_fenced)
    }

    pub fn is_online(&self, id: i32) -> bool {
        self.brokers
            .get(&id)
            .is_some_and(|broker| !broker.is_fenced)
    }

    /// The leader of a partition, if the client can reach it.
    pub fn leader(&self, partition: &PartitionImage) -> Option<BrokerId> {
        self.brokers
            .contains_key(&partition.leader)
            .then_some(BrokerId(partition.leader))
    }

    /// The replicas of a partition that the client cannot reach.
    pub fn offline_replicas(&self, partition: &PartitionImage) -> Vec<BrokerId> {
        partition
            .replicas
            .iter()
            .filter(|id| !self.is_online(**id))
            .map(|id| BrokerId(*id))
            .collect()
    }
}

/// Broker ids as messages hold them.
pub fn broker_ids(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().map(|id| BrokerId(*id)).collect()
}
