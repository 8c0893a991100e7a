//! OffsetCommit and TxnOffsetCommit: from a request to records.

use super::store::{OffsetStore, StoredOffset};
use crate::command::{CommitPartition, CommitTopic};
use crate::config::GroupConfig;
use crate::error::GroupError;
use crate::ids::{Millis, ProducerId, TopicId};
use crate::record::{self, OffsetCommitValue, STRING_BYTES_MAX};
use crate::reply::{CommittedPartition, CommittedTopic};
use crate::step::{Record, batch_bytes};

/// When the offsets of a commit begin to count, and when they cease to.
#[derive(Debug, Clone, Copy)]
pub enum CommitKind {
    /// At once; for so long, if the request says how long.
    Plain { retention_ms: Option<i64> },
    /// When the producer's transaction is committed.
    Transactional { producer: ProducerId },
}

/// One offset to store, and the record that says so.
#[derive(Debug)]
pub struct Commit {
    topic: String,
    partition: i32,
    producer: Option<ProducerId>,
    value: OffsetCommitValue,
    record: Record,
}

/// Checks that a record can hold every name in the commit.
pub fn check_names(group_id: &str, topics: &[CommitTopic]) -> Result<(), GroupError> {
    let topics = topics.iter().map(|topic| topic.name.len());
    let longest = topics.chain([group_id.len()]).max().unwrap_or(0);
    if longest > STRING_BYTES_MAX {
        return Err(GroupError::NameTooLong);
    }
    Ok(())
}

/// Decides partition by partition what a commit may store. The group has accepted the commit as a whole.
///
/// # Errors
/// The records would not fit into one batch; Kafka refuses such a commit whole.
pub fn plan(
    config: &GroupConfig,
    now: Millis,
    group_id: &str,
    topics: &[CommitTopic],
    kind: CommitKind,
) -> Result<(Vec<Commit>, Vec<CommittedTopic>), GroupError> {
    let producer = match kind {
        CommitKind::Plain { .. } => None,
        CommitKind::Transactional { producer } => Some(producer),
    };
    let mut commits = Vec::new();
    let mut answers = Vec::new();
    for topic in topics {
        let mut partitions = Vec::new();
        for partition in &topic.partitions {
            let result = check_metadata(config, partition);
            partitions.push(CommittedPartition {
                partition: partition.partition,
                result,
            });
            if result.is_ok() {
                let value = commit_value(topic, partition, now, kind);
                let record =
                    record::offset_commit(group_id, &topic.name, partition.partition, &value);
                commits.push(Commit {
                    topic: topic.name.clone(),
                    partition: partition.partition,
                    producer,
                    value,
                    record,
                });
            }
        }
        answers.push(CommittedTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions,
        });
    }
    if batch_bytes(commits.iter().map(|commit| &commit.record)) > config.batch_bytes_max {
        return Err(GroupError::RecordsTooLarge);
    }
    Ok((commits, answers))
}

impl Commit {
    /// Stores the offset as if its record had been read at `record_offset`, and gives out the record.
    pub fn apply(self, offsets: &mut OffsetStore, group_id: &str, record_offset: i64) -> Record {
        let offset = StoredOffset {
            value: self.value,
            record_offset,
        };
        offsets.apply_commit(group_id, &self.topic, self.partition, offset, self.producer);
        self.record
    }
}

fn check_metadata(config: &GroupConfig, partition: &CommitPartition) -> Result<(), GroupError> {
    let metadata = partition.metadata.as_deref().unwrap_or_default();
    let units_max = usize::try_from(config.offset_metadata_units_max).unwrap_or(0);
    let is_too_long =
        metadata.len() > STRING_BYTES_MAX || metadata.encode_utf16().count() > units_max;
    if is_too_long {
        Err(GroupError::OffsetMetadataTooLarge)
    } else {
        Ok(())
    }
}

fn commit_value(
    topic: &CommitTopic,
    partition: &CommitPartition,
    now: Millis,
    kind: CommitKind,
) -> OffsetCommitValue {
    let (expire_timestamp_ms, topic_id) = match kind {
        // A retention time beyond the end of time wraps around, as Java's addition does.
        CommitKind::Plain { retention_ms } => (
            retention_ms.map(|retention_ms| now.0.wrapping_add(retention_ms)),
            topic.topic_id,
        ),
        CommitKind::Transactional { .. } => (None, TopicId::ZERO),
    };
    // The version of the record that has an expiry time has neither a leader epoch nor a topic id.
    let is_expiring = expire_timestamp_ms.is_some_and(|expire_ms| expire_ms != -1);
    OffsetCommitValue {
        offset: partition.offset,
        leader_epoch: Some(partition.leader_epoch).filter(|&epoch| epoch != -1 && !is_expiring),
        metadata: partition.metadata.clone().unwrap_or_default(),
        commit_timestamp_ms: now.0,
        expire_timestamp_ms: expire_timestamp_ms.filter(|_| is_expiring),
        topic_id: if is_expiring { TopicId::ZERO } else { topic_id },
    }
}
