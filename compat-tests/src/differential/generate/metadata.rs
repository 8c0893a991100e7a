//! Metadata and DescribeTopicPartitions.

use super::draft::{Draft, UNKNOWN_ID, ZERO_ID};
use crate::differential::template::{Template, array, object};
use crate::schema::Versions;

const METADATA: i16 = 3;
const DESCRIBE_TOPIC_PARTITIONS: i16 = 75;

/// The first version that can ask by id.
const ID_VERSIONS: Versions = Versions {
    first: 10,
    last: i16::MAX,
};

pub fn metadata(draft: &mut Draft<'_>) {
    let by_id = draft.chance(0.3);
    let topics = match draft.weighted(&[10, 1, 1]) {
        0 => {
            let count = draft.pick(&[1, 1, 2, 3]);
            array(
                (0..count)
                    .map(|_| any_topic(draft, by_id))
                    .collect::<Vec<_>>(),
            )
        }
        1 => Template::null(),
        _ => array([] as [Template; 0]),
    };
    let body = object([
        ("topics", topics),
        ("allowAutoTopicCreation", draft.chance(0.25).into()),
        (
            "includeClusterAuthorizedOperations",
            draft.chance(0.3).into(),
        ),
        ("includeTopicAuthorizedOperations", draft.chance(0.3).into()),
    ]);
    let versions = if by_id { ID_VERSIONS } else { Versions::ALL };
    let version = draft.version_in(METADATA, versions);
    let request = draft.request_at(METADATA, version, body);
    draft.ask(request);
}

fn any_topic(draft: &mut Draft<'_>, by_id: bool) -> Template {
    if by_id {
        let id = match draft.own_topic() {
            Some(topic) if draft.chance(0.7) => topic.id,
            _ => draft.pick(&[UNKNOWN_ID, ZERO_ID]).into(),
        };
        let name = match draft.own_topic() {
            // Both at once is a mistake.
            Some(topic) if draft.chance(0.1) => topic.name.into(),
            _ => Template::null(),
        };
        return object([("topicId", id), ("name", name)]);
    }
    let name = match draft.weighted(&[8, 2, 2]) {
        0 => draft.any_topic().name,
        1 => draft.fresh_topic_name("auto"),
        _ => draft.illegal_topic(),
    };
    draft.follow(&name);
    object([("name", name.into())])
}

pub fn describe_topic_partitions(draft: &mut Draft<'_>) {
    let mut topics = draft.some_topics(3);
    if draft.chance(0.1) {
        topics[0].name = draft.illegal_topic();
    }
    let cursor = match draft.own_topic() {
        Some(topic) if draft.chance(0.3) => object([
            ("topicName", topic.name.into()),
            ("partitionIndex", draft.pick(&[0, 1, 2, -1, 100]).into()),
        ]),
        _ => Template::null(),
    };
    let body = object([
        (
            "topics",
            array(
                topics
                    .iter()
                    .map(|topic| object([("name", topic.name.as_str().into())])),
            ),
        ),
        (
            "responsePartitionLimit",
            draft.mostly(2_000, &[1, 2, 3, 0, -1]).into(),
        ),
        ("cursor", cursor),
    ]);
    draft.ask_with(DESCRIBE_TOPIC_PARTITIONS, body);
}
