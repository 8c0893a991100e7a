//! Which brokers hold the partitions of a topic.

use kafka_protocol::messages::BrokerId;

use super::super::refusal::Refusal;
use crate::cluster::changes::new_partition;
use crate::cluster::{ClusterImage, PartitionImage};
use crate::errors::ErrorCode;

/// The partitions that a client has placed itself.
///
/// # Errors
/// INVALID_REPLICA_ASSIGNMENT (`ReplicationControlManager.validateManualPartitionAssignment`): no replica, a broker
/// that is not registered or named twice, a number of replicas other than `replica_count`, or no live broker.
pub fn manual_partition(
    image: &ClusterImage,
    brokers: &[BrokerId],
    replica_count: Option<usize>,
) -> Result<PartitionImage, Refusal> {
    let refuse = |text: &str| Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, text));
    let mut sorted: Vec<i32> = brokers.iter().map(|id| id.0).collect();
    if sorted.is_empty() {
        return refuse("a partition needs at least one replica");
    }
    sorted.sort_unstable();
    if sorted.iter().any(|id| image.broker(*id).is_none()) {
        return refuse("a replica is assigned to a broker that is not registered");
    }
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return refuse("a broker is assigned more than one replica of a partition");
    }
    if replica_count.is_some_and(|count| count != sorted.len()) {
        return refuse("all partitions of a topic have the same number of replicas");
    }
    let replicas: Vec<i32> = brokers.iter().map(|id| id.0).collect();
    let isr = active(image, &replicas);
    if isr.is_empty() {
        return refuse("none of the assigned brokers is active");
    }
    Ok(new_partition(image, &replicas, &isr))
}

/// Places new partitions: the replicas of each on different brokers, live ones first, and the leaders in turns.
/// `index_first` is the index of the first of them.
///
/// # Errors
/// INVALID_REPLICATION_FACTOR when there are not so many brokers, or none is live.
pub fn placed_partitions(
    image: &ClusterImage,
    index_first: usize,
    count: usize,
    replica_count: usize,
) -> Result<Vec<PartitionImage>, Refusal> {
    let refuse = |text: String| Err(Refusal::new(ErrorCode::InvalidReplicationFactor, text));
    let ids: Vec<i32> = image.brokers.keys().copied().collect();
    let live = active(image, &ids);
    if live.is_empty() {
        return refuse("no broker is active".to_owned());
    }
    if replica_count > ids.len() {
        return refuse(format!(
            "{replica_count} replicas need as many brokers, and {} are registered",
            ids.len()
        ));
    }
    let resting: Vec<i32> = ids.into_iter().filter(|id| !live.contains(id)).collect();
    let partitions = (index_first..index_first + count).map(|index| {
        let turn = index % live.len();
        let in_turn = live[turn..].iter().chain(&live[..turn]).chain(&resting);
        let replicas: Vec<i32> = in_turn.take(replica_count).copied().collect();
        new_partition(image, &replicas, &active(image, &replicas))
    });
    Ok(partitions.collect())
}

/// Those brokers that can lead: neither fenced nor about to stop.
fn active(image: &ClusterImage, ids: &[i32]) -> Vec<i32> {
    let is_active = |id: &&i32| {
        image
            .broker(**id)
            .is_some_and(|broker| !broker.is_fenced && !broker.is_in_controlled_shutdown)
    };
    ids.iter().filter(is_active).copied().collect()
}
