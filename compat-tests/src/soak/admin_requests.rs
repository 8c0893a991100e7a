//! The requests of an administrator, each insisted on. A request that is sent again because its answer was lost may find
//! its work done; that counts as done.

use std::collections::BTreeMap;

use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
    DescribeConfigsRequest, IncrementalAlterConfigsRequest, MetadataRequest,
};

use crate::soak::link::Link;
use crate::soak::requests::{text, topic_name};
use crate::soak::world::{Log, World};

const TIMEOUT_MS: i32 = 20_000;

const TOPIC_RESOURCE: i8 = 2;

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const TOPIC_ALREADY_EXISTS: i16 = 36;
const INVALID_PARTITIONS: i16 = 37;

/// The code as it counts when `done` means that an earlier attempt has succeeded.
fn unless(done: i16, code: i16) -> i16 {
    if code == done { 0 } else { code }
}

pub fn create_topic(
    world: &World,
    link: &mut Link,
    name: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) -> Option<()> {
    let what = format!("CreateTopics {name}");
    let configs = configs.iter().map(|(name, value)| {
        CreatableTopicConfig::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
    });
    let topic = CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(partitions)
        .with_replication_factor(1)
        .with_configs(configs.collect());
    let request = CreateTopicsRequest::default()
        .with_timeout_ms(TIMEOUT_MS)
        .with_topics(vec![topic]);
    world.insist(&what, || {
        world.judge(&what, link.call(7, &request), |it| {
            Some(unless(TOPIC_ALREADY_EXISTS, it.topics.first()?.error_code))
        })
    })?;
    Some(())
}

pub fn delete_topic(world: &World, link: &mut Link, name: &str) -> Option<()> {
    let what = format!("DeleteTopics {name}");
    let request = DeleteTopicsRequest::default()
        .with_timeout_ms(TIMEOUT_MS)
        .with_topic_names(vec![topic_name(name)]);
    world.insist(&what, || {
        world.judge(&what, link.call(5, &request), |it| {
            Some(unless(
                UNKNOWN_TOPIC_OR_PARTITION,
                it.responses.first()?.error_code,
            ))
        })
    })?;
    Some(())
}

pub fn grow_topic(world: &World, link: &mut Link, name: &str, count: i32) -> Option<()> {
    let what = format!("CreatePartitions {name} to {count}");
    let topic = CreatePartitionsTopic::default()
        .with_name(topic_name(name))
        .with_count(count)
        .with_assignments(None);
    let request = CreatePartitionsRequest::default()
        .with_timeout_ms(TIMEOUT_MS)
        .with_topics(vec![topic]);
    world.insist(&what, || {
        world.judge(&what, link.call(3, &request), |it| {
            Some(unless(INVALID_PARTITIONS, it.results.first()?.error_code))
        })
    })?;
    Some(())
}

/// The new log start.
pub fn delete_records(world: &World, link: &mut Link, log: &Log, offset: i64) -> Option<i64> {
    let what = format!("DeleteRecords {} to {offset}", log.name());
    let partition = DeleteRecordsPartition::default()
        .with_partition_index(log.partition)
        .with_offset(offset);
    let topic = DeleteRecordsTopic::default()
        .with_name(topic_name(log.topic.name))
        .with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default()
        .with_timeout_ms(TIMEOUT_MS)
        .with_topics(vec![topic]);
    let answer = world.insist(&what, || {
        world.judge(&what, link.call(2, &request), |it| {
            Some(it.topics.first()?.partitions.first()?.error_code)
        })
    })?;
    Some(answer.topics[0].partitions[0].low_watermark)
}

pub fn set_config(
    world: &World,
    link: &mut Link,
    topic: &str,
    key: &str,
    value: &str,
) -> Option<()> {
    let what = format!("IncrementalAlterConfigs {topic} {key}={value}");
    let config = AlterableConfig::default()
        .with_name(text(key))
        .with_value(Some(text(value)));
    let resource = AlterConfigsResource::default()
        .with_resource_type(TOPIC_RESOURCE)
        .with_resource_name(text(topic))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    world.insist(&what, || {
        world.judge(&what, link.call(1, &request), |it| {
            Some(it.responses.first()?.error_code)
        })
    })?;
    Some(())
}

/// All configs of a topic that have a value.
pub fn configs_of(world: &World, link: &mut Link, topic: &str) -> Option<BTreeMap<String, String>> {
    let what = format!("DescribeConfigs {topic}");
    let resource = DescribeConfigsResource::default()
        .with_resource_type(TOPIC_RESOURCE)
        .with_resource_name(text(topic))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let answer = world.insist(&what, || {
        world.judge(&what, link.call(4, &request), |it| {
            Some(it.results.first()?.error_code)
        })
    })?;
    let configs = answer.results[0].configs.iter();
    Some(
        configs
            .filter_map(|it| Some((it.name.to_string(), it.value.as_ref()?.to_string())))
            .collect(),
    )
}

/// The topics that are not internal, and how many partitions each has.
pub fn topics(world: &World, link: &mut Link) -> Option<BTreeMap<String, i32>> {
    let request = MetadataRequest::default()
        .with_topics(None)
        .with_allow_auto_topic_creation(false);
    let answer = world.insist("Metadata", || {
        world.judge("Metadata", link.call(9, &request), |it| {
            let mut codes = it.topics.iter().map(|topic| topic.error_code);
            Some(codes.find(|code| *code != 0).unwrap_or(0))
        })
    })?;
    let topics = answer.topics.iter().filter(|topic| !topic.is_internal);
    Some(
        topics
            .filter_map(|it| Some((it.name.as_ref()?.0.to_string(), it.partitions.len() as i32)))
            .collect(),
    )
}
