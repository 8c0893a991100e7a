//! What can be seen of transactions from outside.

use super::super::cluster::API_VERSIONS;
use super::super::commits::{OFFSET_FETCH, fetch_topics};
use super::super::draft::{Draft, TopicRef};
use super::super::fetch::{FETCH, of_transactions};
use super::super::offsets::LIST_OFFSETS;
use super::claim::Claim;
use super::offsets::transactional_group;
use super::producer::Producer;
use super::{DESCRIBE_PRODUCERS, DESCRIBE_TRANSACTIONS, LIST_TRANSACTIONS};
use crate::differential::plan::Request;
use crate::differential::template::{Template, array, object};

const LATEST: i64 = -1;

/// States that a transaction can be in, names that are none, and one that never lasts.
const STATES: &[&str] = &[
    "Empty",
    "Ongoing",
    "Ongoing",
    "CompleteCommit",
    "CompleteAbort",
    "PrepareEpochFence",
    "Dead",
    "ongoing",
    "Nonsense",
    "",
];

/// Patterns of transactional ids, broken ones among them.
const PATTERNS: &[Option<&str>] = &[
    None,
    Some(""),
    Some(".*"),
    Some(".*txn[0-9]+"),
    Some("txn"),
    Some("["),
    Some("*"),
];

/// Durations that a transaction has certainly exceeded or not; -1 for any.
const DURATIONS_MS: &[i64] = &[-1, -2, 3_600_000, i64::MAX];

/// One look at what a producer has done.
pub fn observe(draft: &mut Draft<'_>, producer: &Producer) {
    match draft.weighted(&[3, 3, 2, 7, 3, 3]) {
        0 => describe_producers(draft),
        1 => {
            let ids = array([producer.transactional_id.as_str()]);
            draft.ask_with(DESCRIBE_TRANSACTIONS, object([("transactionalIds", ids)]));
        }
        2 => list(draft, Some(producer)),
        3 => fetch(draft),
        4 => list_offsets(draft),
        _ => {
            let group = transactional_group(draft);
            let request = fetch_offsets(draft, &group);
            draft.ask(request);
        }
    }
}

fn fetch(draft: &mut Draft<'_>) {
    let Some((topic, partitions)) = a_whole_topic(draft) else {
        return;
    };
    let is_committed = draft.chance(0.75);
    let body = of_transactions(draft, &topic, &partitions, is_committed);
    draft.ask_with(FETCH, body);
}

fn a_whole_topic(draft: &mut Draft<'_>) -> Option<(TopicRef, Vec<i32>)> {
    let topic = draft.own_topic()?;
    let partitions = (0..topic.partitions).collect();
    Some((topic, partitions))
}

/// The last stable offset, or the high watermark.
fn list_offsets(draft: &mut Draft<'_>) {
    let Some((topic, partitions)) = a_whole_topic(draft) else {
        return;
    };
    let partitions = partitions.into_iter().map(|partition| {
        object([
            ("partitionIndex", partition.into()),
            ("timestamp", LATEST.into()),
        ])
    });
    let topic = object([
        ("name", topic.name.into()),
        ("partitions", array(partitions)),
    ]);
    let body = object([
        ("replicaId", (-1).into()),
        ("isolationLevel", i16::from(draft.chance(0.75)).into()),
        ("topics", array([topic])),
    ]);
    draft.ask_with(LIST_OFFSETS, body);
}

/// The offsets of a group, whether or not a transaction is about to change them.
pub fn fetch_offsets(draft: &mut Draft<'_>, group: &str) -> Request {
    let topics = fetch_topics(draft, false);
    let of_group = fetch_topics(draft, true);
    let group_topics = object([("groupId", group.into()), ("topics", of_group)]);
    let body = object([
        ("groupId", group.into()),
        ("topics", topics),
        ("groups", array([group_topics])),
        ("requireStable", draft.chance(0.6).into()),
    ]);
    draft.request(OFFSET_FETCH, body)
}

pub fn describe_producers(draft: &mut Draft<'_>) {
    let topics = draft.some_topics(2);
    let mut topics: Vec<Template> = topics
        .into_iter()
        .map(|topic| {
            let partitions = draft.some_partitions(&topic, 3);
            object([
                ("name", topic.name.into()),
                ("partitionIndexes", array(partitions)),
            ])
        })
        .collect();
    if draft.chance(0.05) {
        let illegal = draft.illegal_topic();
        topics.push(object([
            ("name", illegal.into()),
            ("partitionIndexes", array([0])),
        ]));
    }
    draft.ask_with(DESCRIBE_PRODUCERS, object([("topics", array(topics))]));
}

pub fn describe_transactions(draft: &mut Draft<'_>) {
    let ids: Vec<String> = (0..draft.pick(&[0, 1, 1, 2, 3]))
        .map(|_| any_transactional_id(draft))
        .collect();
    let body = object([("transactionalIds", array(ids))]);
    draft.ask_with(DESCRIBE_TRANSACTIONS, body);
}

/// An id that an earlier conversation of the sequence may have used.
pub fn any_transactional_id(draft: &mut Draft<'_>) -> String {
    let number = draft.between(0..=20);
    let known = format!("{}txn{number}", draft.prefix);
    let unknown = format!("{}nobody", draft.prefix);
    draft.mostly(known, &[unknown, String::new()])
}

pub fn list_transactions(draft: &mut Draft<'_>) {
    list(draft, None);
}

fn list(draft: &mut Draft<'_>, producer: Option<&Producer>) {
    let states: Vec<&str> = (0..draft.pick(&[0, 0, 1, 2]))
        .map(|_| draft.pick(STATES))
        .collect();
    let mut producers: Vec<Template> = Vec::new();
    if draft.chance(0.3) {
        if let Some(producer) = producer {
            producers.push(producer.id(Claim::Own));
        }
        if draft.chance(0.3) {
            producers.push(super::UNKNOWN_PRODUCER.into());
        }
    }
    let body = object([
        ("stateFilters", array(states)),
        ("producerIdFilters", Template::Array(producers)),
        ("durationFilter", draft.mostly(-1_i64, DURATIONS_MS).into()),
        ("transactionalIdPattern", draft.pick(PATTERNS).into()),
    ]);
    draft.ask_with(LIST_TRANSACTIONS, body);
}

/// The finalized features, of which transaction.version is one.
pub fn features(draft: &mut Draft<'_>) {
    let body = object([
        ("clientSoftwareName", "fuzz".into()),
        ("clientSoftwareVersion", "1.0".into()),
    ]);
    draft.ask_with(API_VERSIONS, body);
}
