//! Proposals that several rooms share.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use uuid::Uuid;

use super::record::{
    BrokerRegistrationChangeRecord, MetadataRecord, PartitionChangeRecord, PartitionRecord,
    RegisterBrokerRecord, RegisterControllerRecord,
};
use super::store::{MetadataStore, Proposal, ProposeError};
use super::view::{
    ClusterImage, ConfigResource, METADATA_VERSION_FEATURE, NO_LEADER, PartitionImage,
};

/// Producer ids in one block, as in Kafka's `ProducerIdsBlock`.
pub const PRODUCER_ID_BLOCK_COUNT: i64 = 1000;

/// Partition changes in one proposal: far below what one batch of the metadata log can hold.
const PARTITION_CHANGES_PER_PROPOSAL: usize = 10_000;

/// Begins the metadata of a new cluster with `records`: its first feature levels, configs and credentials, as Kafka's
/// controller does with its bootstrap records. Changes nothing on a cluster that has a metadata version.
pub fn bootstrap(
    store: &dyn MetadataStore,
    records: &[MetadataRecord],
) -> Result<Arc<ClusterImage>, ProposeError> {
    store.propose(&mut |proposal| {
        let levels = &proposal.image().features.levels;
        if !levels.contains_key(METADATA_VERSION_FEATURE) {
            records
                .iter()
                .for_each(|record| proposal.push(record.clone()));
        }
    })
}

/// Registers a new incarnation of a broker, unfenced. `broker_epoch` is set here: it is the offset of the record.
/// Returns the epoch.
pub fn register_broker(
    store: &dyn MetadataStore,
    registration: &RegisterBrokerRecord,
) -> Result<i64, ProposeError> {
    let (broker_epoch, _) = store.propose_with(|proposal| {
        let broker_epoch = proposal.next_offset();
        let broker_id = registration.broker_id;
        let fenced = RegisterBrokerRecord {
            broker_epoch,
            is_fenced: true,
            ..registration.clone()
        };
        proposal.push(MetadataRecord::RegisterBroker(fenced));
        if !registration.is_fenced {
            proposal.push(MetadataRecord::BrokerRegistrationChange(
                BrokerRegistrationChangeRecord {
                    broker_id,
                    broker_epoch,
                    is_fenced: Some(false),
                    ..BrokerRegistrationChangeRecord::default()
                },
            ));
        }
        broker_epoch
    })?;
    Ok(broker_epoch)
}

/// 3.7-IV0, the first metadata version in which controllers are registered.
const CONTROLLER_REGISTRATION_METADATA_VERSION: i16 = 15;

/// Registers a new incarnation of a controller. Changes nothing on a cluster whose metadata version knows no such thing:
/// Kafka could not write a snapshot with it.
pub fn register_controller(
    store: &dyn MetadataStore,
    registration: &RegisterControllerRecord,
) -> Result<(), ProposeError> {
    store.propose(&mut |proposal| {
        let metadata_version = proposal.image().features.metadata_version();
        if metadata_version >= CONTROLLER_REGISTRATION_METADATA_VERSION {
            proposal.push(MetadataRecord::RegisterController(registration.clone()));
        }
    })?;
    Ok(())
}

/// Starts a new leader epoch on every partition that `node_id` leads. To be called before any partition is opened after
/// an unclean shutdown: records of the old epoch that the crash took away must not share their epoch with new ones.
pub fn bump_leader_epochs(store: &dyn MetadataStore, node_id: i32) -> Result<(), ProposeError> {
    let is_led = |partition: &PartitionImage| partition.leader == node_id;
    change_partitions(store, is_led, |change| PartitionChangeRecord {
        leader: Some(node_id),
        ..change
    })
}

/// Makes `node_id` the leader of every partition that it holds a replica of and that nobody leads: Apache Kafka leaves
/// its partitions so when it shuts down. Only for a cluster of one node, where no other replica can know more.
pub fn elect_leaders(store: &dyn MetadataStore, node_id: i32) -> Result<(), ProposeError> {
    let is_leaderless = |partition: &PartitionImage| {
        partition.leader == NO_LEADER && partition.replicas.contains(&node_id)
    };
    change_partitions(store, is_leaderless, |change| PartitionChangeRecord {
        leader: Some(node_id),
        isr: Some(vec![node_id]),
        elr: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        ..change
    })
}

/// Makes one change to every partition that is meant, in proposals of bounded size.
fn change_partitions(
    store: &dyn MetadataStore,
    is_meant: impl Fn(&PartitionImage) -> bool,
    change: impl Fn(PartitionChangeRecord) -> PartitionChangeRecord,
) -> Result<(), ProposeError> {
    let image = store.image();
    let meant: Vec<(Uuid, i32)> = image
        .topics()
        .flat_map(|topic| {
            topic
                .partitions
                .iter()
                .zip(0..)
                .map(|(partition, index)| (topic.id, index, partition))
        })
        .filter(|(_, _, partition)| is_meant(partition))
        .map(|(topic_id, index, _)| (topic_id, index))
        .collect();
    for chunk in meant.chunks(PARTITION_CHANGES_PER_PROPOSAL) {
        store.propose(&mut |proposal| {
            for (topic_id, partition_id) in chunk {
                // A topic that was deleted since the image was taken needs no change.
                if proposal.image().topic_by_id(*topic_id).is_some() {
                    proposal.push(MetadataRecord::PartitionChange(change(
                        PartitionChangeRecord {
                            partition_id: *partition_id,
                            topic_id: *topic_id,
                            ..PartitionChangeRecord::default()
                        },
                    )));
                }
            }
        })?;
    }
    Ok(())
}

/// Takes the next block of producer ids for a broker. No block is ever handed out twice; when the int64 range is
/// used up, the answer is none.
pub fn next_producer_ids(
    store: &dyn MetadataStore,
    broker_id: i32,
) -> Result<Option<Range<i64>>, ProposeError> {
    let (block, _) = store.propose_with(|proposal| {
        let first = proposal.image().next_producer_id;
        let end = first.checked_add(PRODUCER_ID_BLOCK_COUNT)?;
        let broker_epoch = proposal
            .image()
            .broker(broker_id)
            .map_or(-1, |broker| broker.epoch);
        proposal.push(MetadataRecord::ProducerIds {
            broker_id,
            broker_epoch,
            next_producer_id: end,
        });
        Some(first..end)
    })?;
    Ok(block)
}

/// A partition as it starts: all live replicas in sync, the first of them the leader. `isr` must not be empty.
pub fn new_partition(image: &ClusterImage, replicas: &[i32], isr: &[i32]) -> PartitionImage {
    PartitionImage {
        leader: isr[0],
        leader_epoch: 0,
        partition_epoch: 0,
        replicas: replicas.to_vec(),
        isr: isr.to_vec(),
        adding_replicas: Vec::new(),
        removing_replicas: Vec::new(),
        elr: Vec::new(),
        last_known_elr: Vec::new(),
        directories: replicas
            .iter()
            .map(|replica| directory_of(image, *replica))
            .collect(),
        is_recovering: false,
    }
}

/// The directory that a new replica goes to: the only one of its broker, or one that the broker will name.
fn directory_of(image: &ClusterImage, broker_id: i32) -> Uuid {
    match image
        .broker(broker_id)
        .map(|broker| broker.log_dirs.as_slice())
    {
        Some([only]) => *only,
        Some([]) => Uuid::nil(),
        _ => UNASSIGNED_DIRECTORY,
    }
}

/// Kafka's `DirectoryId.UNASSIGNED`: the broker has yet to choose.
const UNASSIGNED_DIRECTORY: Uuid = Uuid::from_u128(1);

/// Adds a topic with its configs and partitions. The caller has checked the name.
pub fn create_topic(
    proposal: &mut Proposal,
    name: &str,
    topic_id: Uuid,
    configs: &BTreeMap<String, String>,
    partitions: &[PartitionImage],
) {
    proposal.push(MetadataRecord::Topic {
        name: name.to_owned(),
        topic_id,
    });
    let resource = ConfigResource::topic(name);
    for (config, value) in configs {
        set_config(proposal, &resource, config, Some(value));
    }
    add_partitions(proposal, topic_id, 0, partitions);
}

/// Adds partitions to a topic, the first of them with the index `index_first`.
pub fn add_partitions(
    proposal: &mut Proposal,
    topic_id: Uuid,
    index_first: i32,
    partitions: &[PartitionImage],
) {
    for (partition_id, partition) in (index_first..).zip(partitions) {
        let partition = partition.clone();
        proposal.push(MetadataRecord::Partition(PartitionRecord {
            partition_id,
            topic_id,
            partition,
        }));
    }
}

/// Removes a topic, its partitions and its configs.
pub fn delete_topic(proposal: &mut Proposal, topic_id: Uuid) {
    proposal.push(MetadataRecord::RemoveTopic { topic_id });
}

/// Sets a dynamic config, or deletes it.
pub fn set_config(
    proposal: &mut Proposal,
    resource: &ConfigResource,
    name: &str,
    value: Option<&str>,
) {
    proposal.push(MetadataRecord::Config {
        resource_type: resource.kind,
        resource_name: resource.name.clone(),
        name: name.to_owned(),
        value: value.map(str::to_owned),
    });
}

#[cfg(test)]
mod tests;
