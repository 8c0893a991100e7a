//! Creating, growing and deleting topics.

use super::configs::{TOPIC_CONFIGS, some_value};
use super::draft::{Draft, Topic, UNKNOWN_ID};
use crate::differential::template::{Template, array, object, topic_id_variable, variable};

const CREATE_TOPICS: i16 = 19;
const DELETE_TOPICS: i16 = 20;
const CREATE_PARTITIONS: i16 = 37;

/// Long enough for any answer; shorter ones would race with the controller.
const TIMEOUT_MS: i32 = 30_000;

/// Configs that change how other requests of a sequence are answered.
const TELLING_CONFIGS: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("cleanup.policy", "compact,delete"),
    ("message.timestamp.type", "LogAppendTime"),
    ("max.message.bytes", "300"),
    ("message.timestamp.before.max.ms", "86400000"),
    ("message.timestamp.after.max.ms", "600000"),
    ("compression.type", "gzip"),
    ("compression.type", "snappy"),
    ("compression.type", "lz4"),
    ("compression.type", "zstd"),
    ("compression.type", "uncompressed"),
    ("min.insync.replicas", "2"),
    ("retention.ms", "-1"),
    ("segment.bytes", "1048576"),
];

/// The topics that a sequence begins with.
pub fn set_up(draft: &mut Draft<'_>) {
    if !draft.serves(CREATE_TOPICS) {
        return;
    }
    for _ in 0..draft.pick(&[0, 1, 1, 1, 2, 2, 3]) {
        let mut configs = Vec::new();
        for _ in 0..draft.pick(&[0, 0, 1, 1, 2]) {
            let (name, value) = draft.pick(TELLING_CONFIGS);
            if configs.iter().all(|(other, _)| *other != name) {
                configs.push((name, value));
            }
        }
        create_known(draft, &configs);
    }
}

/// Creates a topic that takes everything.
pub fn create_plain(draft: &mut Draft<'_>) {
    create_known(draft, &[]);
}

/// Creates a topic that later steps use.
fn create_known(draft: &mut Draft<'_>, configs: &[(&str, &str)]) {
    let name = draft.fresh_topic_name("topic");
    create_named(draft, name, configs);
}

fn create_named(draft: &mut Draft<'_>, name: String, configs: &[(&str, &str)]) {
    let partitions = draft.pick(&[1, 1, 2, 3, 4]);
    let topic = object([
        ("name", name.as_str().into()),
        ("numPartitions", partitions.into()),
        ("replicationFactor", 1.into()),
        ("assignments", array([] as [Template; 0])),
        (
            "configs",
            array(
                configs
                    .iter()
                    .map(|(name, value)| config(name, Some(value))),
            ),
        ),
    ]);
    draft.topics.push(Topic {
        name,
        partitions,
        next_offsets: vec![0; partitions as usize],
    });
    let body = object([
        ("topics", array([topic])),
        ("timeoutMs", TIMEOUT_MS.into()),
        ("validateOnly", false.into()),
    ]);
    draft.ask_with(CREATE_TOPICS, body);
}

pub fn create(draft: &mut Draft<'_>) {
    if draft.chance(0.15) {
        create_known(draft, &[]);
        return;
    }
    let count = draft.pick(&[1, 1, 1, 2, 3]);
    let mut topics: Vec<Template> = (0..count).map(|_| any_creatable(draft)).collect();
    if draft.chance(0.05) {
        topics.push(topics[0].clone());
    }
    if draft.chance(0.03) {
        topics.clear();
    }
    let body = object([
        ("topics", array(topics)),
        ("timeoutMs", TIMEOUT_MS.into()),
        ("validateOnly", draft.chance(0.3).into()),
    ]);
    draft.ask_with(CREATE_TOPICS, body);
}

fn any_creatable(draft: &mut Draft<'_>) -> Template {
    let name = match draft.weighted(&[8, 2, 3, 1]) {
        0 => draft.fresh_topic_name("new"),
        1 => match draft.own_topic() {
            Some(topic) => topic.name,
            None => draft.fresh_topic_name("new"),
        },
        2 => draft.illegal_topic(),
        // Differs from an existing name in a character that metric names can't tell apart.
        _ => {
            let name = match draft.own_topic() {
                Some(topic) => topic.name.replace('-', "_"),
                None => format!("{}a.b", draft.prefix),
            };
            draft.follow(&name);
            name
        }
    };
    let manual = draft.chance(0.15);
    let (partitions, replicas) = if manual {
        (draft.mostly(-1, &[1, 2, 0]), draft.mostly(-1, &[1, 2]))
    } else {
        (
            draft.mostly(1, &[-1, 0, -2, 5, i32::MIN]),
            draft.mostly(1, &[-1, 0, 2, 3, -2, i32::MAX / 65_536]),
        )
    };
    let assignments = if manual {
        some_assignments(draft)
    } else {
        array([] as [Template; 0])
    };
    let configs: Vec<Template> = (0..draft.pick(&[0, 0, 1, 1, 2]))
        .map(|_| any_config(draft))
        .collect();
    object([
        ("name", name.into()),
        ("numPartitions", partitions.into()),
        ("replicationFactor", (replicas as i16).into()),
        ("assignments", assignments),
        ("configs", array(configs)),
    ])
}

fn some_assignments(draft: &mut Draft<'_>) -> Template {
    let pool: &[&[(i32, &[i32])]] = &[
        &[(0, &[1])],
        &[(0, &[1]), (1, &[1])],
        &[(0, &[2])],
        &[(1, &[1])],
        &[(0, &[1]), (2, &[1])],
        &[(0, &[1, 1])],
        &[(0, &[])],
        &[(0, &[1]), (0, &[1])],
        &[(0, &[1, 2])],
        &[(0, &[-1])],
    ];
    let chosen = draft.pick(pool);
    array(chosen.iter().map(|(partition, brokers)| {
        object([
            ("partitionIndex", (*partition).into()),
            ("brokerIds", array(brokers.iter().copied())),
        ])
    }))
}

fn any_config(draft: &mut Draft<'_>) -> Template {
    let (name, pool) = draft.pick(TOPIC_CONFIGS);
    let value = some_value(draft, pool);
    config(name, value)
}

fn config(name: &str, value: Option<&str>) -> Template {
    object([("name", name.into()), ("value", value.into())])
}

/// Deletes topics and creates one of them again in some cases: under the same name, but with another id.
pub fn delete(draft: &mut Draft<'_>) {
    let mut topics: Vec<(String, Template)> = Vec::new();
    let mut deleted = None;
    for _ in 0..draft.pick(&[1, 1, 2]) {
        let (name, id) = match draft.weighted(&[3, 3, 1]) {
            0 if draft.topics.len() > 1 => {
                let last = draft.topics.len() as i64 - 1;
                let position = draft.between(0..=last) as usize;
                let topic = draft.topics.remove(position);
                let id = variable(topic_id_variable(&topic.name), UNKNOWN_ID);
                deleted = Some(topic.name.clone());
                (topic.name, id)
            }
            1 => (draft.unknown_topic(), UNKNOWN_ID.into()),
            _ => (
                draft.illegal_topic(),
                draft.pick(&[UNKNOWN_ID, [0; 16]]).into(),
            ),
        };
        topics.push((name, id));
    }
    if draft.chance(0.1) {
        topics.push(topics[0].clone());
    }
    let names = array(topics.iter().map(|(name, _)| name.as_str()));
    let states = array(topics.into_iter().map(|(name, id)| {
        // Exactly one of name and id should be there.
        match draft.weighted(&[5, 5, 1]) {
            0 => object([("name", name.into())]),
            1 => object([("name", Template::null()), ("topicId", id)]),
            _ => object([("name", name.into()), ("topicId", id)]),
        }
    }));
    let body = object([
        ("topicNames", names),
        ("topics", states),
        ("timeoutMs", TIMEOUT_MS.into()),
    ]);
    draft.ask_with(DELETE_TOPICS, body);
    if let Some(name) = deleted
        && draft.chance(0.4)
    {
        create_named(draft, name, &[]);
    }
}

pub fn create_partitions(draft: &mut Draft<'_>) {
    let validate_only = draft.chance(0.3);
    let mut topics = Vec::new();
    for topic in draft.some_topics(2) {
        let now = topic.partitions;
        let count = draft.mostly(now + 1, &[now, now - 1, 0, -1, now + 3, now + 2]);
        let added = usize::try_from(count - now).unwrap_or(0);
        let assignments = if draft.chance(0.7) {
            Template::null()
        } else {
            let pools: &[&[i32]] = &[&[1], &[1], &[2], &[1, 1], &[], &[1, 2]];
            let given = draft.mostly(added, &[0, 1, added + 1]);
            array((0..given).map(|_| {
                let brokers = draft.pick(pools);
                object([("brokerIds", array(brokers.iter().copied()))])
            }))
        };
        topics.push(object([
            ("name", topic.name.into()),
            ("count", count.into()),
            ("assignments", assignments),
        ]));
    }
    if draft.chance(0.05) {
        topics.push(topics[0].clone());
    }
    let body = object([
        ("topics", array(topics)),
        ("timeoutMs", TIMEOUT_MS.into()),
        ("validateOnly", validate_only.into()),
    ]);
    draft.ask_with(CREATE_PARTITIONS, body);
}
