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

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::delete_records_request::{
        DeleteRecordsPartition, DeleteRecordsTopic,
    };
    use kafka_protocol::protocol::StrBytes;
    use klamm_log_store::batch::{BatchBuilder, BatchSettings};
    use klamm_log_store::partition::AppendOptions;

    use super::super::testing::TestBroker;
    use super::super::topics::auto_create;
    use super::*;
    use crate::cluster::ConfigResource;
    use crate::cluster::changes::set_config;

    fn ask(topics: &[(&'static str, &[(i32, i64)])]) -> DeleteRecordsRequest {
        let partition = |(index, offset): &(i32, i64)| {
            DeleteRecordsPartition::default()
                .with_partition_index(*index)
                .with_offset(*offset)
        };
        let topic = |(name, partitions): &(&'static str, &[(i32, i64)])| {
            DeleteRecordsTopic::default()
                .with_name(StrBytes::from_static_str(name).into())
                .with_partitions(partitions.iter().map(partition).collect())
        };
        DeleteRecordsRequest::default().with_topics(topics.iter().map(topic).collect())
    }

    /// A partition's index, log start and error code.
    type Outcome = (i32, i64, i16);

    fn results(response: &DeleteRecordsResponse) -> Vec<(&str, Vec<Outcome>)> {
        let topics = response.topics.iter();
        topics
            .map(|topic| {
                let partitions = topic.partitions.iter();
                let partitions = partitions.map(|result| {
                    (
                        result.partition_index,
                        result.low_watermark,
                        result.error_code,
                    )
                });
                (topic.name.as_str(), partitions.collect())
            })
            .collect()
    }

    /// Topics of two partitions; the first partition of "a" holds ten committed records.
    async fn with_records() -> TestBroker {
        let broker =
            TestBroker::start(&["num.partitions=2", "offsets.topic.num.partitions=2"]).await;
        auto_create(
            broker.broker(),
            &["a", "b", "__consumer_offsets"].map(str::to_owned),
        );
        let mut batch = BatchBuilder::new(BatchSettings::default());
        for _ in 0..10 {
            batch.push(1, None, Some(b"value"), &[]);
        }
        let log = broker
            .broker()
            .partition_by_name("a", 0)
            .expect("its log is open");
        log.append(
            &batch.build().expect("a small batch"),
            AppendOptions::coordinator(1),
        )
        .expect("the log is fine");
        log.committed(Offset(10)).await.expect("the log is fine");
        broker
    }

    #[tokio::test]
    async fn the_log_starts_at_the_offset_that_was_given() {
        let broker = with_records().await;
        for (version, offset, log_start) in [(0, 3, 3), (1, 2, 3), (2, HIGH_WATERMARK, 10)] {
            let response = broker
                .call(
                    handle,
                    version,
                    ask(&[("a", &[(0, offset), (1, HIGH_WATERMARK)])]),
                )
                .await;
            assert_eq!(
                results(&response),
                [("a", vec![(0, log_start, 0), (1, 0, 0)])]
            );
        }
    }

    /// The answers of Apache Kafka 4.3.1. A partition that is named twice counts as named last.
    #[tokio::test]
    async fn what_cannot_be_deleted_is_refused_partition_by_partition() {
        let broker = with_records().await;
        let compact = |proposal: &mut crate::cluster::Proposal| {
            set_config(
                proposal,
                &ConfigResource::topic("b"),
                "cleanup.policy",
                Some("compact"),
            );
        };
        broker
            .broker()
            .propose(compact)
            .expect("the config can be set");
        let request = ask(&[
            ("a", &[(0, -2), (0, 11), (9, 0), (-1, 0)]),
            ("b", &[(0, 0), (7, 0)]),
            ("gone", &[(0, 0)]),
            ("__consumer_offsets", &[(0, 0), (99, 0)]),
            ("a", &[(1, -5)]),
            ("b", &[]),
        ]);
        let expected = [
            ("__consumer_offsets", vec![(0, -1, 17), (99, -1, 3)]),
            ("a", vec![(-1, -1, 3), (0, -1, 1), (1, -1, 1), (9, -1, 3)]),
            ("b", vec![(0, -1, 44), (7, -1, 3)]),
            ("gone", vec![(0, -1, 3)]),
        ];
        assert_eq!(results(&broker.call(handle, 2, request).await), expected);
    }
}
