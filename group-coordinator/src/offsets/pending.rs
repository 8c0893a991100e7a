//! Offsets inside open transactions.

use std::collections::{BTreeMap, BTreeSet};

use super::store::{Offsets, StoredOffset};
use crate::ids::ProducerId;

/// Offsets by the producer whose transaction they belong to, and which partitions that makes unstable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PendingOffsets {
    by_producer: BTreeMap<ProducerId, Offsets>,
    /// Group to topic to partition to producers. No level holds an empty collection.
    open: BTreeMap<String, OpenTopics>,
}

type OpenTopics = BTreeMap<String, BTreeMap<i32, BTreeSet<ProducerId>>>;

impl PendingOffsets {
    pub fn insert(
        &mut self,
        producer: ProducerId,
        group_id: &str,
        topic: &str,
        partition: i32,
        offset: StoredOffset,
    ) {
        self.by_producer
            .entry(producer)
            .or_default()
            .insert(group_id, topic, partition, offset);
        self.open
            .entry(group_id.to_owned())
            .or_default()
            .entry(topic.to_owned())
            .or_default()
            .entry(partition)
            .or_default()
            .insert(producer);
    }

    /// Whether any transaction is open for the partition.
    pub fn contains(&self, group_id: &str, topic: &str, partition: i32) -> bool {
        self.producers(group_id, topic, partition).is_some()
    }

    /// Whether any transaction is open for the group.
    pub fn contains_group(&self, group_id: &str) -> bool {
        self.open.contains_key(group_id)
    }

    /// The partitions of the group for which transactions are open.
    pub fn partitions(&self, group_id: &str) -> impl Iterator<Item = (&str, i32)> {
        self.open
            .get(group_id)
            .into_iter()
            .flatten()
            .flat_map(|(topic, partitions)| {
                partitions
                    .keys()
                    .map(move |&partition| (topic.as_str(), partition))
            })
    }

    /// What is pending, producer by producer.
    pub fn iter(&self) -> impl Iterator<Item = &Offsets> {
        self.by_producer.values()
    }

    /// Drops what is pending for a partition, whoever's it is.
    pub fn remove(&mut self, group_id: &str, topic: &str, partition: i32) {
        let producers = self
            .producers(group_id, topic, partition)
            .cloned()
            .unwrap_or_default();
        for producer in producers {
            if let Some(offsets) = self.by_producer.get_mut(&producer) {
                offsets.remove(group_id, topic, partition);
                if offsets.is_empty() {
                    self.by_producer.remove(&producer);
                }
            }
            self.close(producer, group_id, topic, partition);
        }
    }

    /// Takes out what is pending for a producer.
    pub fn take(&mut self, producer: ProducerId) -> Offsets {
        let offsets = self.by_producer.remove(&producer).unwrap_or_default();
        for (group_id, topic, partition, _) in offsets.entries() {
            self.close(producer, group_id, topic, partition);
        }
        offsets
    }

    fn producers(
        &self,
        group_id: &str,
        topic: &str,
        partition: i32,
    ) -> Option<&BTreeSet<ProducerId>> {
        self.open.get(group_id)?.get(topic)?.get(&partition)
    }

    fn close(&mut self, producer: ProducerId, group_id: &str, topic: &str, partition: i32) {
        let Some(topics) = self.open.get_mut(group_id) else {
            return;
        };
        if let Some(partitions) = topics.get_mut(topic) {
            if let Some(producers) = partitions.get_mut(&partition) {
                producers.remove(&producer);
                if producers.is_empty() {
                    partitions.remove(&partition);
                }
            }
            if partitions.is_empty() {
                topics.remove(topic);
            }
        }
        if topics.is_empty() {
            self.open.remove(group_id);
        }
    }
}
