//! Describing and changing configs of topics, brokers, groups and client metrics.

use super::draft::Draft;
use crate::differential::template::{Template, array, object};

const DESCRIBE_CONFIGS: i16 = 32;
const ALTER_CONFIGS: i16 = 33;
const INCREMENTAL_ALTER_CONFIGS: i16 = 44;

const TOPIC: i32 = 2;
const BROKER: i32 = 4;
const BROKER_LOGGER: i32 = 8;
const CLIENT_METRICS: i32 = 16;
const GROUP: i32 = 32;

/// Values of a config, right ones first.
pub type Values = &'static [Option<&'static str>];

/// Topic configs with right, edge and wrong values.
pub const TOPIC_CONFIGS: &[(&str, Values)] = &[
    (
        "cleanup.policy",
        &[
            Some("compact"),
            Some("delete"),
            Some("compact,delete"),
            Some(""),
            Some("shred"),
            None,
        ],
    ),
    (
        "compression.type",
        &[
            Some("zstd"),
            Some("producer"),
            Some("uncompressed"),
            Some("none"),
            Some("ZSTD"),
        ],
    ),
    (
        "compression.gzip.level",
        &[Some("1"), Some("-1"), Some("10"), Some("0")],
    ),
    ("compression.lz4.level", &[Some("1"), Some("18"), Some("0")]),
    (
        "compression.zstd.level",
        &[Some("3"), Some("23"), Some("-131072")],
    ),
    ("delete.retention.ms", &[Some("1"), Some("0"), Some("-1")]),
    ("file.delete.delay.ms", &[Some("1000"), Some("-1")]),
    (
        "flush.messages",
        &[Some("1"), Some("0"), Some("9223372036854775807")],
    ),
    (
        "flush.ms",
        &[Some("1000"), Some("-1"), Some("99999999999999999999")],
    ),
    (
        "follower.replication.throttled.replicas",
        &[Some("*"), Some("0:1"), Some("none"), Some("")],
    ),
    (
        "leader.replication.throttled.replicas",
        &[Some("*"), Some("0:1,1:1"), Some("x")],
    ),
    (
        "index.interval.bytes",
        &[Some("0"), Some("4096"), Some("-1")],
    ),
    (
        "local.retention.ms",
        &[Some("-2"), Some("-1"), Some("1000")],
    ),
    ("max.compaction.lag.ms", &[Some("1"), Some("0")]),
    (
        "max.message.bytes",
        &[Some("1000"), Some("0"), Some("-1"), Some("many")],
    ),
    (
        "message.timestamp.after.max.ms",
        &[Some("3600000"), Some("0"), Some("-1")],
    ),
    (
        "message.timestamp.before.max.ms",
        &[Some("86400000"), Some("-1")],
    ),
    (
        "message.timestamp.type",
        &[
            Some("CreateTime"),
            Some("LogAppendTime"),
            Some("logappendtime"),
        ],
    ),
    (
        "min.cleanable.dirty.ratio",
        &[Some("0.1"), Some("0"), Some("1"), Some("1.1"), Some("half")],
    ),
    ("min.compaction.lag.ms", &[Some("0"), Some("-1")]),
    (
        "min.insync.replicas",
        &[Some("1"), Some("2"), Some("0"), Some(" 1 ")],
    ),
    ("preallocate", &[Some("false"), Some("TRUE"), Some("yes")]),
    ("remote.storage.enable", &[Some("false"), Some("true")]),
    (
        "retention.bytes",
        &[Some("-1"), Some("1000000"), Some("-2")],
    ),
    (
        "retention.ms",
        &[Some("-1"), Some("86400000"), Some("-2"), Some("1e3")],
    ),
    (
        "segment.bytes",
        &[Some("1048576"), Some("13"), Some("2147483648")],
    ),
    ("segment.index.bytes", &[Some("4"), Some("3")]),
    ("segment.jitter.ms", &[Some("0"), Some("-1")]),
    ("segment.ms", &[Some("1000"), Some("0")]),
    (
        "unclean.leader.election.enable",
        &[Some("false"), Some("true"), Some("perhaps")],
    ),
    ("no.such.config", &[Some("1"), None]),
    ("", &[Some("1")]),
];

/// Broker configs whose values do not depend on the machine.
const BROKER_CONFIGS: &[(&str, Values)] = &[
    (
        "log.retention.ms",
        &[Some("86400000"), Some("-1"), Some("x")],
    ),
    ("log.cleaner.threads", &[Some("1"), Some("0"), Some("x")]),
    ("message.max.bytes", &[Some("1000000"), Some("-1")]),
    ("compression.type", &[Some("producer"), Some("bzip2")]),
    ("num.partitions", &[Some("1")]),
    ("auto.create.topics.enable", &[Some("true")]),
    ("background.threads", &[Some("10"), Some("1000")]),
    ("min.insync.replicas", &[Some("1"), Some("0")]),
    ("no.such.config", &[Some("1"), None]),
];

const GROUP_CONFIGS: &[(&str, Values)] = &[
    (
        "consumer.session.timeout.ms",
        &[
            Some("45000"),
            Some("50000"),
            Some("1"),
            Some("x"),
            Some("60001"),
        ],
    ),
    (
        "consumer.heartbeat.interval.ms",
        &[Some("5000"), Some("6000"), Some("1"), Some("60000")],
    ),
    ("share.session.timeout.ms", &[Some("45000"), Some("1")]),
    ("no.such.config", &[Some("1")]),
];

const CLIENT_METRICS_CONFIGS: &[(&str, Values)] = &[
    (
        "interval.ms",
        &[Some("1000"), Some("99"), Some("3600001"), Some("x")],
    ),
    ("metrics", &[Some("a.,b."), Some("")]),
    (
        "match",
        &[Some("client_id=a.*"), Some("client_id"), Some("nonsense=1")],
    ),
    ("no.such.config", &[Some("1")]),
];

/// The first value half of the time, else any.
pub fn some_value(draft: &mut Draft<'_>, pool: Values) -> Option<&'static str> {
    if draft.chance(0.5) {
        pool[0]
    } else {
        draft.pick(pool)
    }
}

/// A resource and the configs it may have.
struct Resource {
    kind: i32,
    name: String,
    configs: &'static [(&'static str, Values)],
    /// False for what other sequences would notice.
    may_change: bool,
}

fn any_resource(draft: &mut Draft<'_>) -> Resource {
    let own = |kind, name, configs| Resource {
        kind,
        name,
        configs,
        may_change: true,
    };
    match draft.weighted(&[12, 3, 4, 2, 2, 2]) {
        0 => own(TOPIC, draft.any_topic().name, TOPIC_CONFIGS),
        1 => own(TOPIC, draft.illegal_topic(), TOPIC_CONFIGS),
        2 => Resource {
            kind: BROKER,
            name: draft.mostly("1", &["", "2", "x", "-1", " 1"]).to_owned(),
            configs: BROKER_CONFIGS,
            may_change: false,
        },
        3 => {
            let name = draft.group_name();
            own(GROUP, draft.mostly(name, &[String::new()]), GROUP_CONFIGS)
        }
        4 => {
            let name = format!("{}metrics", draft.prefix);
            own(
                CLIENT_METRICS,
                draft.mostly(name, &[String::new()]),
                CLIENT_METRICS_CONFIGS,
            )
        }
        _ => Resource {
            kind: draft.pick(&[0, 1, 3, 7, 64, -1, BROKER_LOGGER]),
            name: draft.pick(&["2", "", "x"]).to_owned(),
            configs: BROKER_CONFIGS,
            may_change: true,
        },
    }
}

pub fn describe(draft: &mut Draft<'_>) {
    let count = draft.pick(&[1, 1, 1, 2, 3]);
    let mut resources = Vec::new();
    for _ in 0..count {
        let resource = any_resource(draft);
        let names: Vec<&str> = resource.configs.iter().map(|(name, _)| *name).collect();
        let keys = match draft.weighted(&[2, 1, 5]) {
            // The configs of a broker as a whole say much about its machine.
            0 if resource.kind != BROKER => Template::null(),
            1 => array([] as [Template; 0]),
            _ => {
                let count = draft.between(1..=4);
                array((0..count).map(|_| draft.pick(&names)))
            }
        };
        resources.push(object([
            ("resourceType", resource.kind.into()),
            ("resourceName", resource.name.into()),
            ("configurationKeys", keys),
        ]));
    }
    if draft.chance(0.05) {
        resources.push(resources[0].clone());
    }
    let body = object([
        ("resources", array(resources)),
        ("includeSynonyms", draft.chance(0.5).into()),
        ("includeDocumentation", draft.chance(0.3).into()),
    ]);
    draft.ask_with(DESCRIBE_CONFIGS, body);
}

pub fn alter_incrementally(draft: &mut Draft<'_>) {
    change(draft, INCREMENTAL_ALTER_CONFIGS);
    follow_up(draft);
}

pub fn alter(draft: &mut Draft<'_>) {
    change(draft, ALTER_CONFIGS);
    follow_up(draft);
}

fn change(draft: &mut Draft<'_>, api_key: i16) {
    let mut may_change = true;
    let mut named: Vec<(i32, String)> = Vec::new();
    let mut resources = Vec::new();
    for _ in 0..draft.pick(&[1, 1, 1, 2]) {
        let resource = any_resource(draft);
        // Apache Kafka never answers AlterConfigs with a resource that is named twice, so that comes up rarely.
        let name = (resource.kind, resource.name.clone());
        if named.contains(&name) && !draft.chance(0.05) {
            continue;
        }
        named.push(name);
        may_change &= resource.may_change;
        let mut configs = Vec::new();
        for _ in 0..draft.pick(&[1, 1, 1, 2, 3, 0]) {
            configs.push(any_change(draft, api_key, &resource));
        }
        if draft.chance(0.05) && !configs.is_empty() {
            configs.push(configs[0].clone());
        }
        resources.push(object([
            ("resourceType", resource.kind.into()),
            ("resourceName", resource.name.into()),
            ("configs", array(configs)),
        ]));
    }
    if draft.chance(0.005) {
        resources.push(resources[0].clone());
    }
    let validate_only = !may_change || draft.chance(0.25);
    let body = object([
        ("resources", array(resources)),
        ("validateOnly", validate_only.into()),
    ]);
    draft.ask_with(api_key, body);
}

fn any_change(draft: &mut Draft<'_>, api_key: i16, resource: &Resource) -> Template {
    let (name, values) = draft.pick(resource.configs);
    let value = some_value(draft, values);
    let change = object([("name", name.into()), ("value", value.into())]);
    if api_key == ALTER_CONFIGS {
        return change;
    }
    // Set, delete, append, subtract, and what does not exist.
    let operation = match draft.weighted(&[10, 4, 3, 3, 1]) {
        4 => draft.pick(&[4_i16, -1]),
        known => known as i16,
    };
    change.with("configOperation", operation)
}

/// Looks at what a change has done to the topics of the sequence.
fn follow_up(draft: &mut Draft<'_>) {
    if !draft.serves(DESCRIBE_CONFIGS) || draft.chance(0.5) {
        return;
    }
    let Some(topic) = draft.own_topic() else {
        return;
    };
    let resource = object([
        ("resourceType", TOPIC.into()),
        ("resourceName", topic.name.into()),
        ("configurationKeys", Template::null()),
    ]);
    let body = object([
        ("resources", array([resource])),
        ("includeSynonyms", true.into()),
    ]);
    draft.ask_with(DESCRIBE_CONFIGS, body);
}
