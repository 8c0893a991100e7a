//! DeleteRecords, versions 0 to 2 (KIP-107).
//!
//! Behaviour: moves the log start of each partition up to an offset, -1 standing for the high watermark, and answers
//! where the log starts then. An offset below 0 or above the high watermark is OFFSET_OUT_OF_RANGE. Internal topics
//! are INVALID_TOPIC_EXCEPTION, topics that are compacted and not deleted from are POLICY_VIOLATION. A partition that
//! is named twice is answered once, for the last offset given.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse, TopicName};
use klamm_log_store::Offset;

use crate::api::{Ctx, Reply};
use crate::broker::Broker;
use crate::cluster::ClusterImage;
use crate::errors::{self, ErrorCode};
use crate::partitions::Hosted;

/// The offset that stands for the high watermark.
const HIGH_WATERMARK: i64 = -1;
/// The low watermark of a partition that is answered with an error.
const NO_LOW_WATERMARK: i64 = -1;

/// Answers DeleteRecords. Works on the disk, off the runtime.
pub fn handle(ctx: &Ctx<'_>, request: DeleteRecordsRequest) -> Reply<DeleteRecordsResponse> {
    let broker = Arc::clone(ctx.broker);
    Reply::blocking(move || {
        let image = broker.image();
        let mut offsets: BTreeMap<TopicName, BTreeMap<i32, i64>> = BTreeMap::new();
        for topic in request.topics {
            for partition in topic.partitions {
                offsets
                    .entry(topic.name.clone())
                    .or_default()
                    .insert(partition.partition_index, partition.offset);
            }
        }
        let topics = offsets.into_iter().map(|(name, partitions)| {
            let results = partitions
                .into_iter()
                .map(|(index, offset)| result(index, delete(&broker, &image, &name, index, offset)))
                .collect();
            DeleteRecordsTopicResult::default()
                .with_name(name)
                .with_partitions(results)
        });
        DeleteRecordsResponse::default().with_topics(topics.collect())
    })
}

/// Deletes the records of one partition before an offset, and returns its log start.
fn delete(
    broker: &Broker,
    image: &ClusterImage,
    name: &str,
    index: i32,
    offset: i64,
) -> Result<Offset, ErrorCode> {
    let topic = image
        .topic(name)
        .ok_or(ErrorCode::UnknownTopicOrPartition)?;
    if topic.partition(index).is_none() {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    if topic.is_internal() {
        return Err(ErrorCode::InvalidTopicException);
    }
    let Hosted { topic: hosted, log } = broker.hosted(topic, index)?;
    let log = log?;
    let policy = hosted.config().cleanup_policy;
    if policy.compact && !policy.delete {
        return Err(ErrorCode::PolicyViolation);
    }
    let offset = if offset == HIGH_WATERMARK {
        log.high_watermark()
    } else {
        Offset(offset)
    };
    log.delete_records_before(offset)
        .map_err(|error| errors::of_delete_records_error(&error))
}

fn result(index: i32, deleted: Result<Offset, ErrorCode>) -> DeleteRecordsPartitionResult {
    let (error_code, low_watermark) = match deleted {
        Ok(log_start) => (errors::NONE, log_start.0),
        Err(error) => (error.code(), NO_LOW_WATERMARK),
    };
    DeleteRecordsPartitionResult::default()
        .with_partition_index(index)
        .with_low_watermark(low_watermark)
        .with_error_code(error_code)
}
