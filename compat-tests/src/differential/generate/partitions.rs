//! DeleteRecords, ElectLeaders and reassignments.

use super::draft::Draft;
use crate::differential::template::{Template, array, object};

const DELETE_RECORDS: i16 = 21;
const ELECT_LEADERS: i16 = 43;
const ALTER_PARTITION_REASSIGNMENTS: i16 = 45;
const LIST_PARTITION_REASSIGNMENTS: i16 = 46;

const TIMEOUT_MS: i32 = 30_000;

pub fn delete_records(draft: &mut Draft<'_>) {
    let topics = draft.some_topics(2);
    let topics: Vec<_> = topics
        .into_iter()
        .map(|topic| {
            let partitions: Vec<_> = draft
                .some_partitions(&topic, 2)
                .into_iter()
                .map(|partition| {
                    let offset = draft.offset(&topic.name, partition);
                    object([
                        ("partitionIndex", partition.into()),
                        ("offset", offset.into()),
                    ])
                })
                .collect();
            object([
                ("name", topic.name.into()),
                ("partitions", array(partitions)),
            ])
        })
        .collect();
    let body = object([("topics", array(topics)), ("timeoutMs", TIMEOUT_MS.into())]);
    draft.ask_with(DELETE_RECORDS, body);
}

/// Topics with the numbers of some of their partitions.
fn numbered_topics(draft: &mut Draft<'_>, partitions_field: &'static str) -> Vec<Template> {
    let topics = draft.some_topics(2);
    topics
        .into_iter()
        .map(|topic| {
            let partitions = draft.some_partitions(&topic, 2);
            let name_field = if partitions_field == "partitions" {
                "topic"
            } else {
                "name"
            };
            object([
                (name_field, topic.name.into()),
                (partitions_field, array(partitions)),
            ])
        })
        .collect()
}

pub fn elect_leaders(draft: &mut Draft<'_>) {
    let topics = numbered_topics(draft, "partitions");
    let body = object([
        ("electionType", draft.mostly(0, &[1, 2, -1]).into()),
        ("topicPartitions", array(topics)),
        ("timeoutMs", TIMEOUT_MS.into()),
    ]);
    draft.ask_with(ELECT_LEADERS, body);
}

pub fn reassign(draft: &mut Draft<'_>) {
    let replica_sets: &[Option<&[i32]>] = &[
        Some(&[1]),
        Some(&[1]),
        None,
        Some(&[2]),
        Some(&[1, 1]),
        Some(&[]),
        Some(&[1, 2]),
        Some(&[-1]),
    ];
    let topics = draft.some_topics(2);
    let topics: Vec<_> = topics
        .into_iter()
        .map(|topic| {
            let partitions: Vec<_> = draft
                .some_partitions(&topic, 2)
                .into_iter()
                .map(|partition| {
                    let replicas = match draft.pick(replica_sets) {
                        Some(replicas) => array(replicas.iter().copied()),
                        None => Template::null(),
                    };
                    object([("partitionIndex", partition.into()), ("replicas", replicas)])
                })
                .collect();
            object([
                ("name", topic.name.into()),
                ("partitions", array(partitions)),
            ])
        })
        .collect();
    let body = object([
        ("timeoutMs", TIMEOUT_MS.into()),
        ("allowReplicationFactorChange", draft.chance(0.5).into()),
        ("topics", array(topics)),
    ]);
    draft.ask_with(ALTER_PARTITION_REASSIGNMENTS, body);
}

pub fn list_reassignments(draft: &mut Draft<'_>) {
    let topics = if draft.chance(0.3) {
        Template::null()
    } else {
        array(numbered_topics(draft, "partitionIndexes"))
    };
    let body = object([("timeoutMs", TIMEOUT_MS.into()), ("topics", topics)]);
    draft.ask_with(LIST_PARTITION_REASSIGNMENTS, body);
}
