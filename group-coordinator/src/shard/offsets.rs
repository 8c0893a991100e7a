//! Commands about offsets, and their end by age.

use super::Shard;
use crate::command::{
    CommitOffsets, CommitTopic, CommitTransactionalOffsets, DeletedTopic, FetchOffsets, OffsetTopic,
};
use crate::error::GroupError;
use crate::ids::Millis;
use crate::offsets::commit::CommitKind;
use crate::offsets::{OffsetKey, commit};
use crate::record;
use crate::reply::{CommittedTopic, DeletedPartition, DeletedTopicOffsets, FetchedTopic};
use crate::step::Step;
use crate::timers::{Alarm, TimerKey};

impl Shard {
    pub(super) fn commit(
        &mut self,
        now: Millis,
        request: &CommitOffsets,
        step: &mut Step,
    ) -> Result<Vec<CommittedTopic>, GroupError> {
        commit::check_names(&request.group_id, &request.topics)?;
        // Whoever is in no generation needs no group; the commit makes one that only keeps offsets.
        match request.generation < 0 {
            true => self.ensure_group(&request.group_id),
            false => self.check_group(&request.group_id, GroupError::GroupNotFound)?,
        }
        let (groups, mut turn) = self.turn(now, step);
        let group = groups
            .get_mut(&request.group_id)
            .expect("the group exists by now");
        group.accept_commit(&mut turn, request)?;
        let kind = CommitKind::Plain {
            retention_ms: request.retention_ms,
        };
        self.store(now, &request.group_id, &request.topics, kind, step)
    }

    pub(super) fn commit_transactional(
        &mut self,
        now: Millis,
        request: &CommitTransactionalOffsets,
        step: &mut Step,
    ) -> Result<Vec<CommittedTopic>, GroupError> {
        if request.group_id.is_empty() {
            return Err(GroupError::EmptyGroupId);
        }
        commit::check_names(&request.group_id, &request.topics)?;
        match request.generation < 0 {
            true => self.ensure_group(&request.group_id),
            false => self.check_group(&request.group_id, GroupError::IllegalGeneration)?,
        }
        self.groups[&request.group_id].check_transactional_commit(request)?;
        let kind = CommitKind::Transactional {
            producer: request.producer_id,
        };
        let answers = self.store(now, &request.group_id, &request.topics, kind, step)?;
        if !step.records.is_empty() {
            step.producer = Some((request.producer_id, request.producer_epoch));
        }
        Ok(answers)
    }

    fn check_group(&self, group_id: &str, error: GroupError) -> Result<(), GroupError> {
        match self.groups.contains_key(group_id) {
            true => Ok(()),
            false => Err(error),
        }
    }

    /// Makes a group that only keeps offsets, if there is none.
    fn ensure_group(&mut self, group_id: &str) {
        if !self.groups.contains_key(group_id) {
            self.create_simple_group(group_id);
            self.unlisted.insert(group_id.to_owned());
        }
    }

    /// Writes the offsets that a group has accepted.
    fn store(
        &mut self,
        now: Millis,
        group_id: &str,
        topics: &[CommitTopic],
        kind: CommitKind,
        step: &mut Step,
    ) -> Result<Vec<CommittedTopic>, GroupError> {
        let (commits, answers) = commit::plan(&self.config, now, group_id, topics, kind)?;
        for commit in commits {
            let record_offset = self.offset_after(step);
            let record = commit.apply(&mut self.offsets, group_id, record_offset);
            step.records.push(record);
        }
        Ok(answers)
    }

    pub(super) fn fetch(&self, request: &FetchOffsets) -> Vec<FetchedTopic> {
        self.offsets
            .fetch(request, self.groups.contains_key(&request.group_id))
    }

    pub(super) fn delete_offsets(
        &mut self,
        group_id: &str,
        topics: &[OffsetTopic],
        step: &mut Step,
    ) -> Result<Vec<DeletedTopicOffsets>, GroupError> {
        if group_id.is_empty() {
            return Err(GroupError::EmptyGroupId);
        }
        let group = self.groups.get(group_id).ok_or(GroupError::GroupNotFound)?;
        group.check_offset_delete()?;
        let mut keys = Vec::new();
        let mut answers = Vec::new();
        for topic in topics {
            let result = match group.is_subscribed_to(&topic.name) {
                true => Err(GroupError::SubscribedToTopic),
                false => Ok(()),
            };
            let partitions = topic.partitions.iter();
            answers.push(DeletedTopicOffsets {
                name: topic.name.clone(),
                partitions: partitions
                    .clone()
                    .map(|&partition| DeletedPartition { partition, result })
                    .collect(),
            });
            if result.is_ok() {
                keys.extend(partitions.map(|&partition| OffsetKey {
                    group_id: group_id.to_owned(),
                    topic: topic.name.clone(),
                    partition,
                }));
            }
        }
        for key in keys {
            if self
                .offsets
                .has_any(&key.group_id, &key.topic, key.partition)
            {
                self.forget_offset(&key, step);
            }
        }
        Ok(answers)
    }

    pub(super) fn delete_topics(&mut self, topics: &[DeletedTopic], step: &mut Step) {
        for key in self.offsets.keys_of_topics(topics) {
            self.forget_offset(&key, step);
        }
    }

    /// Looks for offsets that are too old, and for empty groups without any (`cleanupGroupMetadata`).
    pub(super) fn expire(&mut self, now: Millis, step: &mut Step) {
        let group_ids: Vec<String> = self.groups.keys().cloned().collect();
        for group_id in group_ids {
            let group = &self.groups[&group_id];
            let expired = self.offsets.expired(
                &group_id,
                group.expiry_rule(),
                |topic| group.is_subscribed_to(topic),
                now,
                self.config.offsets_retention_ms,
            );
            let is_over = expired.is_all && group.is_empty();
            for key in &expired.keys {
                self.forget_offset(key, step);
            }
            if is_over {
                self.bury_group(&group_id, step);
            }
        }
        self.schedule_expiry(now);
    }

    pub(super) fn schedule_expiry(&mut self, now: Millis) {
        let deadline = now.plus(self.config.offsets_retention_check_interval_ms.max(1));
        self.timers
            .schedule(TimerKey::Expiry, deadline, Alarm::Plain);
    }

    /// Writes the tombstone of an offset, and takes it to heart.
    pub(super) fn forget_offset(&mut self, key: &OffsetKey, step: &mut Step) {
        let OffsetKey {
            group_id,
            topic,
            partition,
        } = key;
        step.records
            .push(record::offset_commit_tombstone(group_id, topic, *partition));
        self.offsets.apply_tombstone(group_id, topic, *partition);
    }
}
