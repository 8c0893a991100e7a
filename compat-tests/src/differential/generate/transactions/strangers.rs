//! Calls about transactional ids that nobody has, and first calls with mistakes.

use super::super::draft::Draft;
use super::super::idempotence::INIT_PRODUCER_ID;
use super::inspect::any_transactional_id;
use super::{
    ADD_OFFSETS_TO_TXN, ADD_PARTITIONS_TO_TXN, END_TXN, TIMEOUT_MS, TXN_OFFSET_COMMIT,
    UNKNOWN_PRODUCER, WRITE_TXN_MARKERS,
};
use crate::differential::template::{Template, array, object};

const FIND_COORDINATOR: i16 = 10;

/// What FindCoordinator calls a transactional id.
const TRANSACTION_KEY: i16 = 1;

pub fn find_coordinator(draft: &mut Draft<'_>) {
    let key = any_transactional_id(draft);
    let mut keys = vec![key.clone()];
    if draft.chance(0.3) {
        keys.push(any_transactional_id(draft));
    }
    let body = object([
        ("key", key.into()),
        ("keyType", TRANSACTION_KEY.into()),
        ("coordinatorKeys", array(keys)),
    ]);
    draft.ask_with(FIND_COORDINATOR, body);
}

/// InitProducerId with anything in its fields.
pub fn init_producer_id(draft: &mut Draft<'_>) {
    let id = any_transactional_id(draft);
    let timeout = draft.mostly(TIMEOUT_MS, &[0, -1, 900_000, 900_001, i32::MAX, i32::MIN]);
    let body = object([
        ("transactionalId", id.into()),
        ("transactionTimeoutMs", timeout.into()),
        (
            "producerId",
            draft.mostly(-1_i64, &[UNKNOWN_PRODUCER, -2]).into(),
        ),
        (
            "producerEpoch",
            draft
                .mostly(-1_i16, &[0, 5, i16::MAX - 1, i16::MAX, -2])
                .into(),
        ),
    ]);
    draft.ask_with(INIT_PRODUCER_ID, body);
}

/// One call in the name of a producer that does not exist.
pub fn strangers(draft: &mut Draft<'_>) {
    let name = any_transactional_id(draft);
    let name = name.as_str();
    let id = draft.pick(&[UNKNOWN_PRODUCER, -1]);
    let epoch = draft.pick(&[0_i16, 1, -1, i16::MAX]);
    let group = format!("{}offsets0", draft.prefix);
    let producer = object([
        ("transactionalId", name.into()),
        ("producerId", id.into()),
        ("producerEpoch", epoch.into()),
    ]);
    match draft.weighted(&[3, 2, 2, 2, 1]) {
        0 => {
            let topics = some_topics(draft, "partitions");
            let transaction = producer
                .with("verifyOnly", draft.chance(0.5))
                .with("topics", topics.clone());
            let body = object([
                ("transactions", array([transaction])),
                ("v3AndBelowTransactionalId", name.into()),
                ("v3AndBelowProducerId", id.into()),
                ("v3AndBelowProducerEpoch", epoch.into()),
                ("v3AndBelowTopics", topics),
            ]);
            draft.ask_with(ADD_PARTITIONS_TO_TXN, body);
        }
        1 => {
            let group = draft.mostly(group, &[String::new()]);
            draft.ask_with(ADD_OFFSETS_TO_TXN, producer.with("groupId", group));
        }
        2 => {
            let topics = offset_topics(draft);
            let group = draft.mostly(group, &[String::new()]);
            let body = producer.with("groupId", group).with("topics", topics);
            draft.ask_with(TXN_OFFSET_COMMIT, body);
        }
        3 => {
            let committed = draft.chance(0.5);
            draft.ask_with(END_TXN, producer.with("committed", committed));
        }
        _ => {
            let topics = some_topics(draft, "partitionIndexes");
            let marker = object([
                ("producerId", id.into()),
                ("producerEpoch", epoch.into()),
                ("topics", topics),
            ]);
            let markers = draft.mostly(vec![marker], &[vec![]]);
            draft.ask_with(WRITE_TXN_MARKERS, object([("markers", array(markers))]));
        }
    }
}

fn some_topics(draft: &mut Draft<'_>, partitions_field: &'static str) -> Template {
    let topics = draft.some_topics(2);
    let topics: Vec<_> = topics
        .into_iter()
        .map(|topic| {
            let partitions = draft.some_partitions(&topic, 2);
            object([
                ("name", topic.name.into()),
                (partitions_field, array(partitions)),
            ])
        })
        .collect();
    array(topics)
}

fn offset_topics(draft: &mut Draft<'_>) -> Template {
    let topics = draft.some_topics(2);
    let topics: Vec<_> = topics
        .into_iter()
        .map(|topic| {
            let partitions: Vec<_> = draft
                .some_partitions(&topic, 2)
                .into_iter()
                .map(|partition| {
                    object([
                        ("partitionIndex", partition.into()),
                        ("committedOffset", 0_i64.into()),
                    ])
                })
                .collect();
            object([
                ("name", topic.name.into()),
                ("partitions", array(partitions)),
            ])
        })
        .collect();
    array(topics)
}
