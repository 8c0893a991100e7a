//! Which offsets go: by request, with their group, with their topic, or by age. Nothing is removed here; the
//! partitions named get a tombstone, and the tombstone removes the offset.

use std::collections::BTreeSet;

use super::store::{ExpiryRule, OffsetStore, Offsets};
use crate::command::DeletedTopic;
use crate::ids::Millis;

/// A group's offset for one partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OffsetKey {
    pub group_id: String,
    pub topic: String,
    pub partition: i32,
}

impl OffsetKey {
    fn new(group_id: &str, topic: &str, partition: i32) -> Self {
        Self {
            group_id: group_id.to_owned(),
            topic: topic.to_owned(),
            partition,
        }
    }
}

/// What expiry found in one group.
#[derive(Debug, PartialEq, Eq)]
pub struct Expired {
    pub keys: Vec<OffsetKey>,
    /// Nothing is left, not even in open transactions, once the keys are gone.
    pub is_all: bool,
}

impl OffsetStore {
    /// Everything that is kept for a group, open transactions included.
    pub fn keys_of_group(&self, group_id: &str) -> BTreeSet<OffsetKey> {
        let committed = self.committed.group(group_id).into_iter().flatten();
        let committed = committed.flat_map(|(topic, partitions)| {
            partitions
                .keys()
                .map(|&partition| OffsetKey::new(group_id, topic, partition))
        });
        let pending = self.pending.partitions(group_id);
        committed
            .chain(pending.map(|(topic, partition)| OffsetKey::new(group_id, topic, partition)))
            .collect()
    }

    /// Everything that any group committed for topics that are gone. Offsets that were committed for another
    /// incarnation of the topic stay.
    pub fn keys_of_topics(&self, topics: &[DeletedTopic]) -> BTreeSet<OffsetKey> {
        let mut keys = BTreeSet::new();
        let mut collect =
            |offsets: &Offsets| {
                for (group_id, group_offsets) in offsets.iter() {
                    for topic in topics {
                        let partitions = group_offsets.get(&topic.name).into_iter().flatten();
                        let ours = partitions.filter(|(_, offset)| {
                            let topic_id = offset.value.topic_id;
                            !topic_id.is_known() || topic_id == topic.topic_id
                        });
                        keys.extend(ours.map(|(&partition, _)| {
                            OffsetKey::new(group_id, &topic.name, partition)
                        }));
                    }
                }
            };
        collect(&self.committed);
        self.pending.iter().for_each(collect);
        keys
    }

    /// What is too old in a group (`OffsetMetadataManager.cleanupExpiredOffsets`). Offsets of subscribed topics and
    /// of open transactions stay.
    pub fn expired(
        &self,
        group_id: &str,
        rule: ExpiryRule,
        is_subscribed_to: impl Fn(&str) -> bool,
        now: Millis,
        retention_ms: i64,
    ) -> Expired {
        let mut keys = Vec::new();
        let mut is_all = !self.pending.contains_group(group_id);
        for (topic, partitions) in self.committed.group(group_id).into_iter().flatten() {
            let is_kept = is_subscribed_to(topic);
            for (&partition, offset) in partitions {
                let expires = !is_kept
                    && offset.is_expired(rule, now, retention_ms)
                    && !self.pending.contains(group_id, topic, partition);
                if expires {
                    keys.push(OffsetKey::new(group_id, topic, partition));
                } else {
                    is_all = false;
                }
            }
        }
        Expired { keys, is_all }
    }
}
