//! OffsetFetch.

use super::store::{GroupOffsets, OffsetStore, StoredOffset};
use crate::command::{FetchOffsets, FetchTopic, FetchTopics};
use crate::error::GroupError;
use crate::ids::TopicId;
use crate::reply::{FetchedPartition, FetchedTopic, OffsetValue};

impl OffsetStore {
    /// The committed offsets of a group, as far as they are asked for. A group that does not exist has none.
    pub fn fetch(&self, request: &FetchOffsets, group_exists: bool) -> Vec<FetchedTopic> {
        let offsets = self
            .committed
            .group(&request.group_id)
            .filter(|_| group_exists);
        match &request.topics {
            FetchTopics::All => self.fetch_all(request, offsets),
            FetchTopics::Named(topics) => topics
                .iter()
                .map(|topic| self.fetch_topic(request, topic, offsets))
                .collect(),
        }
    }

    fn fetch_all(
        &self,
        request: &FetchOffsets,
        offsets: Option<&GroupOffsets>,
    ) -> Vec<FetchedTopic> {
        let topics = offsets.into_iter().flatten();
        topics
            .map(|(name, partitions)| FetchedTopic {
                name: name.clone(),
                topic_id: TopicId::ZERO,
                partitions: partitions
                    .iter()
                    .map(|(&partition, offset)| {
                        self.fetched(request, name, partition, Some(offset))
                    })
                    .collect(),
            })
            .collect()
    }

    fn fetch_topic(
        &self,
        request: &FetchOffsets,
        topic: &FetchTopic,
        offsets: Option<&GroupOffsets>,
    ) -> FetchedTopic {
        let offsets = offsets.and_then(|offsets| offsets.get(&topic.name));
        let partitions = topic.partitions.iter().map(|&partition| {
            let offset = offsets
                .and_then(|offsets| offsets.get(&partition))
                .filter(|offset| !offset.value.topic_id.contradicts(topic.topic_id));
            self.fetched(request, &topic.name, partition, offset)
        });
        FetchedTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: partitions.collect(),
        }
    }

    fn fetched(
        &self,
        request: &FetchOffsets,
        topic: &str,
        partition: i32,
        offset: Option<&StoredOffset>,
    ) -> FetchedPartition {
        let is_unstable =
            request.require_stable && self.pending.contains(&request.group_id, topic, partition);
        let result = match is_unstable {
            true => Err(GroupError::UnstableOffset),
            false => Ok(offset.map(|offset| OffsetValue {
                offset: offset.value.offset,
                leader_epoch: offset.value.leader_epoch,
                metadata: offset.value.metadata.clone(),
            })),
        };
        FetchedPartition { partition, result }
    }
}
