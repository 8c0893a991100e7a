//! Committed offsets, and those that wait for the end of a transaction.

use std::collections::BTreeMap;

use super::pending::PendingOffsets;
use crate::ids::{Millis, ProducerId};
use crate::record::OffsetCommitValue;
use crate::step::TransactionOutcome;

/// Partition to offset, of one topic of one group.
pub type PartitionOffsets = BTreeMap<i32, StoredOffset>;
/// Topic to partitions, of one group.
pub type GroupOffsets = BTreeMap<String, PartitionOffsets>;

/// An offset, and where in the log its record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOffset {
    pub value: OffsetCommitValue,
    /// Decides between a commit inside a transaction and one outside of it: the later record counts.
    pub record_offset: i64,
}

/// When offsets without an expiry time of their own expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpiryRule {
    Never,
    /// The retention time after this moment.
    Since(Millis),
    /// The retention time after the commit.
    SinceCommit,
}

impl StoredOffset {
    /// Whether the offset is old enough to go (`OffsetExpirationConditionImpl`). An expiry time that came with the
    /// commit counts alone, but only if the rule lets offsets expire at all.
    pub fn is_expired(&self, rule: ExpiryRule, now: Millis, retention_ms: i64) -> bool {
        let base_ms = match rule {
            ExpiryRule::Never => return false,
            ExpiryRule::Since(since) => since.0,
            ExpiryRule::SinceCommit => self.value.commit_timestamp_ms,
        };
        match self.value.expire_timestamp_ms {
            Some(expire_ms) => now.0 >= expire_ms,
            None => now.0.saturating_sub(base_ms) >= retention_ms,
        }
    }
}

/// Offsets by group, topic and partition. No level holds an empty map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offsets {
    groups: BTreeMap<String, GroupOffsets>,
}

impl Offsets {
    pub fn group(&self, group_id: &str) -> Option<&GroupOffsets> {
        self.groups.get(group_id)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &GroupOffsets)> {
        self.groups
            .iter()
            .map(|(group_id, topics)| (group_id.as_str(), topics))
    }

    pub fn find(&self, group_id: &str, topic: &str, partition: i32) -> Option<&StoredOffset> {
        self.groups.get(group_id)?.get(topic)?.get(&partition)
    }

    pub fn insert(&mut self, group_id: &str, topic: &str, partition: i32, offset: StoredOffset) {
        let topics = match self.groups.get_mut(group_id) {
            Some(topics) => topics,
            None => self.groups.entry(group_id.to_owned()).or_default(),
        };
        let partitions = match topics.get_mut(topic) {
            Some(partitions) => partitions,
            None => topics.entry(topic.to_owned()).or_default(),
        };
        partitions.insert(partition, offset);
    }

    pub fn remove(&mut self, group_id: &str, topic: &str, partition: i32) {
        let Some(topics) = self.groups.get_mut(group_id) else {
            return;
        };
        if let Some(partitions) = topics.get_mut(topic) {
            partitions.remove(&partition);
            if partitions.is_empty() {
                topics.remove(topic);
            }
        }
        if topics.is_empty() {
            self.groups.remove(group_id);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Every offset with its group, topic and partition.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str, i32, &StoredOffset)> {
        self.iter().flat_map(|(group_id, topics)| {
            topics.iter().flat_map(move |(topic, partitions)| {
                partitions
                    .iter()
                    .map(move |(&partition, offset)| (group_id, topic.as_str(), partition, offset))
            })
        })
    }
}

/// All offsets of a shard. Only records change it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OffsetStore {
    pub(super) committed: Offsets,
    pub(super) pending: PendingOffsets,
}

impl OffsetStore {
    /// Takes an offset from a record. With a producer it is pending until the producer's transaction ends.
    pub fn apply_commit(
        &mut self,
        group_id: &str,
        topic: &str,
        partition: i32,
        offset: StoredOffset,
        producer: Option<ProducerId>,
    ) {
        match producer {
            None => self.committed.insert(group_id, topic, partition, offset),
            Some(producer) => self
                .pending
                .insert(producer, group_id, topic, partition, offset),
        }
    }

    /// Forgets an offset, with everything that is pending for the partition.
    pub fn apply_tombstone(&mut self, group_id: &str, topic: &str, partition: i32) {
        self.committed.remove(group_id, topic, partition);
        self.pending.remove(group_id, topic, partition);
    }

    /// Ends a transaction: what it committed counts now, unless something newer does, or never will.
    pub fn apply_marker(&mut self, producer: ProducerId, outcome: TransactionOutcome) {
        let ended = self.pending.take(producer);
        if outcome == TransactionOutcome::Aborted {
            return;
        }
        for (group_id, topic, partition, offset) in ended.entries() {
            let is_newest = self
                .committed
                .find(group_id, topic, partition)
                .is_none_or(|existing| offset.record_offset > existing.record_offset);
            if is_newest {
                self.committed
                    .insert(group_id, topic, partition, offset.clone());
            }
        }
    }

    /// Whether a record of the partition would still be missed if a tombstone were left out.
    pub fn has_any(&self, group_id: &str, topic: &str, partition: i32) -> bool {
        self.committed.find(group_id, topic, partition).is_some()
            || self.pending.contains(group_id, topic, partition)
    }
}
