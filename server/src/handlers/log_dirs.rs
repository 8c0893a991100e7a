//! DescribeLogDirs, versions 1 to 5 (volume sizes from 4 on, KIP-827; cordoned directories from 5 on, KIP-1066).
//!
//! Behaviour: every data directory is in the answer, with those partitions of the request that it holds; all that it
//! holds when the request names none. A partition that is not there, or whose log is offline, is left out. The only
//! replica of a partition never lags and is never about to move.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use tracing::warn;

use crate::api::{Ctx, Reply};
use crate::broker::Broker;
use crate::errors::ErrorCode;

/// First version that tells the size of the volume.
const FIRST_VOLUME_VERSION: i16 = 4;

/// Answers DescribeLogDirs. Works on the disk, off the runtime.
pub fn handle(ctx: &Ctx<'_>, request: DescribeLogDirsRequest) -> Reply<DescribeLogDirsResponse> {
    let (broker, tells_volume) = (
        Arc::clone(ctx.broker),
        ctx.version() >= FIRST_VOLUME_VERSION,
    );
    Reply::blocking(move || {
        let partitions = partitions_by_directory(&broker, &asked(&broker, &request));
        let directories = broker.partitions.directories().into_iter().enumerate();
        let results = directories.map(|(place, path)| {
            let topics = partitions
                .get(&place)
                .into_iter()
                .flatten()
                .map(topic_entry)
                .collect();
            let path = std::path::absolute(&path).unwrap_or(path);
            let result = DescribeLogDirsResult::default()
                .with_log_dir(StrBytes::from_string(path.to_string_lossy().into_owned()))
                .with_topics(topics);
            if tells_volume {
                with_volume(result, &path)
            } else {
                result
            }
        });
        DescribeLogDirsResponse::default().with_results(results.collect())
    })
}

/// The partitions that the request is about, without duplicates.
fn asked(broker: &Broker, request: &DescribeLogDirsRequest) -> BTreeSet<(String, i32)> {
    match &request.topics {
        Some(topics) => topics
            .iter()
            .flat_map(|topic| {
                topic
                    .partitions
                    .iter()
                    .map(|index| (topic.topic.to_string(), *index))
            })
            .collect(),
        None => broker
            .image()
            .topics()
            .flat_map(|topic| {
                (0..)
                    .take(topic.partitions.len())
                    .map(|index| (topic.name.to_string(), index))
            })
            .collect(),
    }
}

/// Partitions by topic, for each directory by its place.
type ByDirectory = BTreeMap<usize, BTreeMap<String, Vec<DescribeLogDirsPartition>>>;

fn partitions_by_directory(broker: &Broker, asked: &BTreeSet<(String, i32)>) -> ByDirectory {
    let mut by_directory = ByDirectory::new();
    for (topic, index) in asked {
        let Ok(log) = broker.partition_by_name(topic, *index) else {
            continue;
        };
        let Some(place) = broker.partitions.directory_of(topic, *index) else {
            continue;
        };
        let entry = DescribeLogDirsPartition::default()
            .with_partition_index(*index)
            .with_partition_size(i64::try_from(log.size_bytes()).unwrap_or(i64::MAX))
            .with_offset_lag(0)
            .with_is_future_key(false);
        by_directory
            .entry(place)
            .or_default()
            .entry(topic.clone())
            .or_default()
            .push(entry);
    }
    by_directory
}

fn topic_entry(
    (name, partitions): (&String, &Vec<DescribeLogDirsPartition>),
) -> DescribeLogDirsTopic {
    DescribeLogDirsTopic::default()
        .with_name(TopicName(StrBytes::from_string(name.clone())))
        .with_partitions(partitions.clone())
}

/// Adds how large the volume of the directory is and what of it can be used. A directory whose volume cannot be asked
/// is KAFKA_STORAGE_ERROR and has nothing in it.
fn with_volume(result: DescribeLogDirsResult, path: &Path) -> DescribeLogDirsResult {
    match rustix::fs::statvfs(path) {
        Ok(volume) => {
            let bytes = |blocks: u64| {
                i64::try_from(blocks.saturating_mul(volume.f_frsize)).unwrap_or(i64::MAX)
            };
            result
                .with_total_bytes(bytes(volume.f_blocks))
                .with_usable_bytes(bytes(volume.f_bavail))
        }
        Err(error) => {
            warn!(path = %path.display(), %error, "the volume of a data directory cannot be asked for its size");
            result
                .with_topics(Vec::new())
                .with_error_code(ErrorCode::KafkaStorageError.code())
        }
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;

    use super::super::testing::TestBroker;
    use super::super::topics::auto_create;
    use super::*;

    fn ask(topics: &[(&'static str, &[i32])]) -> DescribeLogDirsRequest {
        let topic = |(name, indexes): &(&'static str, &[i32])| {
            DescribableLogDirTopic::default()
                .with_topic(StrBytes::from_static_str(name).into())
                .with_partitions(indexes.to_vec())
        };
        DescribeLogDirsRequest::default().with_topics(Some(topics.iter().map(topic).collect()))
    }

    /// Topics and partition indexes of the only directory.
    fn held(response: &DescribeLogDirsResponse) -> Vec<(&str, Vec<i32>)> {
        let [directory] = &response.results[..] else {
            panic!("one directory")
        };
        let topics = directory.topics.iter();
        topics
            .map(|topic| {
                (
                    topic.name.as_str(),
                    topic
                        .partitions
                        .iter()
                        .map(|partition| partition.partition_index)
                        .collect(),
                )
            })
            .collect()
    }

    #[tokio::test]
    async fn the_directory_has_what_is_asked_for_and_is_there() {
        let broker = TestBroker::start(&["num.partitions=2"]).await;
        auto_create(broker.broker(), &["a".to_owned(), "b".to_owned()]);
        let path = broker.broker().partitions.directories()[0]
            .display()
            .to_string();
        for version in 1..=5 {
            let response = broker
                .call(
                    handle,
                    version,
                    ask(&[("b", &[1, 9, 1]), ("gone", &[0]), ("a", &[])]),
                )
                .await;
            assert_eq!(held(&response), [("b", vec![1])]);
            let directory = &response.results[0];
            assert_eq!(
                (directory.log_dir.as_str(), directory.error_code),
                (path.as_str(), 0)
            );
            let tells_volume = version >= FIRST_VOLUME_VERSION;
            assert_eq!(directory.total_bytes > 0, tells_volume);
            assert!(directory.usable_bytes <= directory.total_bytes);
            assert_eq!(held(&broker.call(handle, version, ask(&[])).await), []);
            let all = DescribeLogDirsRequest::default().with_topics(None);
            let response = broker.call(handle, version, all).await;
            assert_eq!(held(&response), [("a", vec![0, 1]), ("b", vec![0, 1])]);
        }
    }
}
