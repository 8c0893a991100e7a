//! The records that lead from nothing to an image: what a snapshot holds.

use std::sync::Arc;

use super::record::{
    MetadataRecord, PartitionRecord, RegisterBrokerRecord, RegisterControllerRecord,
    SupportedFeature,
};
use super::view::{
    BrokerRegistration, ClusterImage, ConfigResource, ControllerRegistration,
    KRAFT_VERSION_FEATURE, METADATA_VERSION_FEATURE, TopicImage,
};

/// The image as records, in the order of Kafka's `MetadataImage.write`. They are made one by one, so that a large image
/// is not held a second time.
pub fn records(image: &ClusterImage) -> impl Iterator<Item = MetadataRecord> {
    // The metadata version stands first: it says which records a reader must understand.
    let (metadata_version, features): (Vec<_>, Vec<_>) = image
        .features
        .levels
        .iter()
        .filter(|(name, _)| *name != KRAFT_VERSION_FEATURE)
        .partition(|(name, _)| *name == METADATA_VERSION_FEATURE);
    let features = metadata_version
        .into_iter()
        .chain(features)
        .map(|(name, level)| MetadataRecord::FeatureLevel {
            name: name.clone(),
            level: *level,
        });
    let brokers = image.brokers.values().map(|broker| broker_record(broker));
    let controllers = image
        .controllers
        .values()
        .map(|controller| controller_record(controller));
    let producer_ids = (image.next_producer_id > 0).then_some(MetadataRecord::ProducerIds {
        broker_id: -1,
        broker_epoch: -1,
        next_producer_id: image.next_producer_id,
    });
    features
        .chain(brokers)
        .chain(controllers)
        .chain(image.topics().flat_map(topic_records))
        .chain(config_records(image))
        .chain(producer_ids)
        .chain(image.retained.records())
}

fn broker_record(broker: &BrokerRegistration) -> MetadataRecord {
    MetadataRecord::RegisterBroker(RegisterBrokerRecord {
        broker_id: broker.id,
        is_migrating_zk_broker: broker.is_migrating_zk_broker,
        incarnation_id: broker.incarnation_id,
        broker_epoch: broker.epoch,
        endpoints: broker.listeners.clone(),
        features: supported(&broker.features),
        rack: broker.rack.clone(),
        is_fenced: broker.is_fenced,
        is_in_controlled_shutdown: broker.is_in_controlled_shutdown,
        log_dirs: broker.log_dirs.clone(),
        cordoned_log_dirs: broker.cordoned_log_dirs.clone(),
    })
}

fn controller_record(controller: &ControllerRegistration) -> MetadataRecord {
    MetadataRecord::RegisterController(RegisterControllerRecord {
        controller_id: controller.id,
        incarnation_id: controller.incarnation_id,
        is_zk_migration_ready: controller.is_zk_migration_ready,
        endpoints: controller.listeners.clone(),
        features: supported(&controller.features),
    })
}

fn supported(features: &std::collections::BTreeMap<String, (i16, i16)>) -> Vec<SupportedFeature> {
    features
        .iter()
        .map(|(name, (level_first, level_last))| SupportedFeature {
            name: name.clone(),
            level_first: *level_first,
            level_last: *level_last,
        })
        .collect()
}

fn topic_records(topic: &Arc<TopicImage>) -> impl Iterator<Item = MetadataRecord> {
    let partitions = topic.partitions.iter().zip(0..);
    let partitions = partitions.map(|(partition, partition_id)| {
        MetadataRecord::Partition(PartitionRecord {
            partition_id,
            topic_id: topic.id,
            partition: partition.clone(),
        })
    });
    std::iter::once(MetadataRecord::Topic {
        name: topic.name.to_string(),
        topic_id: topic.id,
    })
    .chain(partitions)
}

/// Sorted, so that the same image always makes the same bytes.
fn config_records(image: &ClusterImage) -> impl Iterator<Item = MetadataRecord> {
    let mut resources: Vec<(&ConfigResource, _)> = image.configured_resources().collect();
    resources.sort_unstable_by_key(|(resource, _)| *resource);
    resources.into_iter().flat_map(|(resource, values)| {
        values.iter().map(|(name, value)| MetadataRecord::Config {
            resource_type: resource.kind,
            resource_name: resource.name.clone(),
            name: name.clone(),
            value: Some(value.clone()),
        })
    })
}
