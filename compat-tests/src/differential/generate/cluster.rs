//! Requests about the server as a whole: versions, cluster, log directories, quorum, ACLs.

use super::draft::Draft;
use crate::differential::template::{Template, array, object};

pub const API_VERSIONS: i16 = 18;
const DESCRIBE_ACLS: i16 = 29;
const CREATE_ACLS: i16 = 30;
const DELETE_ACLS: i16 = 31;
const DESCRIBE_LOG_DIRS: i16 = 35;
const DESCRIBE_QUORUM: i16 = 55;
const DESCRIBE_CLUSTER: i16 = 60;

/// Names and versions of client software, right and wrong ones.
const SOFTWARE: &[&str] = &[
    "apache-kafka-java",
    "4.3.1",
    "a",
    "",
    "-a",
    "a-",
    "a b",
    "a.b-c",
    "ä",
    "a_b",
];

pub fn api_versions(draft: &mut Draft<'_>) {
    let body = object([
        ("clientSoftwareName", draft.mostly("fuzz", SOFTWARE).into()),
        (
            "clientSoftwareVersion",
            draft.mostly("1.0", SOFTWARE).into(),
        ),
    ]);
    draft.ask_with(API_VERSIONS, body);
}

pub fn describe_cluster(draft: &mut Draft<'_>) {
    let body = object([
        (
            "includeClusterAuthorizedOperations",
            draft.chance(0.4).into(),
        ),
        ("endpointType", draft.mostly(1_i16, &[2, 3, 0, -1]).into()),
        ("includeFencedBrokers", draft.chance(0.3).into()),
    ]);
    draft.ask_with(DESCRIBE_CLUSTER, body);
}

pub fn describe_log_dirs(draft: &mut Draft<'_>) {
    let topics = if draft.chance(0.3) {
        Template::null()
    } else {
        let topics = draft.some_topics(2);
        let topics: Vec<_> = topics
            .into_iter()
            .map(|topic| {
                let partitions = draft.some_partitions(&topic, 3);
                object([
                    ("topic", topic.name.into()),
                    ("partitions", array(partitions)),
                ])
            })
            .collect();
        array(topics)
    };
    draft.ask_with(DESCRIBE_LOG_DIRS, object([("topics", topics)]));
}

pub fn describe_quorum(draft: &mut Draft<'_>) {
    let topic = draft.mostly("__cluster_metadata", &["", "other"]);
    let partition = draft.mostly(0, &[1, -1]);
    let partitions = array([object([("partitionIndex", partition.into())])]);
    let mut topics = vec![object([
        ("topicName", topic.into()),
        ("partitions", partitions),
    ])];
    if draft.chance(0.1) {
        topics.push(topics[0].clone());
    }
    if draft.chance(0.1) {
        topics.clear();
    }
    draft.ask_with(DESCRIBE_QUORUM, object([("topics", array(topics))]));
}

/// Numbers of enumerations: unknown, any, some that exist, and some that do not.
const ENUMERATION: &[i16] = &[0, 1, 2, 3, 4, 7, 20, -1];

pub fn acls(draft: &mut Draft<'_>) {
    let name = format!("{}acl", draft.prefix);
    let name = draft
        .pick(&[None, Some(name.as_str()), Some("*")])
        .map(str::to_owned);
    let principal = draft.pick(&[None, Some("User:somebody"), Some("nobody")]);
    let host = draft.pick(&[None, Some("*"), Some("127.0.0.1")]);
    let resource_type = draft.mostly(2, ENUMERATION);
    let pattern = draft.mostly(3, ENUMERATION);
    let operation = draft.mostly(3, ENUMERATION);
    let permission = draft.mostly(3, ENUMERATION);
    match draft.weighted(&[1, 1, 1]) {
        0 => {
            let body = object([
                ("resourceTypeFilter", resource_type.into()),
                ("resourceNameFilter", name.into()),
                ("patternTypeFilter", pattern.into()),
                ("principalFilter", principal.into()),
                ("hostFilter", host.into()),
                ("operation", operation.into()),
                ("permissionType", permission.into()),
            ]);
            draft.ask_with(DESCRIBE_ACLS, body);
        }
        1 => {
            let creation = object([
                ("resourceType", resource_type.into()),
                ("resourceName", name.into()),
                ("resourcePatternType", pattern.into()),
                ("principal", principal.into()),
                ("host", host.into()),
                ("operation", operation.into()),
                ("permissionType", permission.into()),
            ]);
            draft.ask_with(CREATE_ACLS, object([("creations", array([creation]))]));
        }
        _ => {
            let filter = object([
                ("resourceTypeFilter", resource_type.into()),
                ("resourceNameFilter", name.into()),
                ("patternTypeFilter", pattern.into()),
                ("principalFilter", principal.into()),
                ("hostFilter", host.into()),
                ("operation", operation.into()),
                ("permissionType", permission.into()),
            ]);
            draft.ask_with(DELETE_ACLS, object([("filters", array([filter]))]));
        }
    }
}
