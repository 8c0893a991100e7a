//! Committed offsets: written without membership, read, and deleted.

use super::draft::Draft;
use crate::differential::template::{Template, array, object};

pub const OFFSET_COMMIT: i16 = 8;
pub const OFFSET_FETCH: i16 = 9;
const OFFSET_DELETE: i16 = 47;

/// The largest commit metadata that a broker takes by default.
const METADATA_BYTES_MAX: usize = 4_096;

pub fn commit(draft: &mut Draft<'_>) {
    let topics = commit_topics(draft);
    let group = draft.group_name();
    let group = draft.mostly(group, &[String::new()]);
    // Without a generation the group comes into being, and one without a name would be shared by all sequences.
    let usual_generation = if group.is_empty() { 1 } else { -1 };
    let body = object([
        ("groupId", group.into()),
        (
            "generationIdOrMemberEpoch",
            draft
                .mostly(usual_generation, &[usual_generation, 0, 1])
                .into(),
        ),
        ("memberId", draft.mostly("", &["nobody"]).into()),
        (
            "groupInstanceId",
            draft.mostly(None, &[Some("instance")]).into(),
        ),
        (
            "retentionTimeMs",
            draft.mostly(-1_i64, &[1, 86_400_000]).into(),
        ),
        ("topics", topics),
    ]);
    draft.ask_with(OFFSET_COMMIT, body);
}

/// The topics of a commit.
pub fn commit_topics(draft: &mut Draft<'_>) -> Template {
    let topics = draft.some_topics(2);
    let topics: Vec<_> = topics
        .into_iter()
        .map(|topic| {
            let partitions: Vec<_> = draft
                .some_partitions(&topic, 2)
                .into_iter()
                .map(|partition| {
                    let long = "m".repeat(METADATA_BYTES_MAX);
                    let too_long = "m".repeat(METADATA_BYTES_MAX + 1);
                    let metadata = draft.mostly(
                        Some("note".to_owned()),
                        &[None, Some(String::new()), Some(long), Some(too_long)],
                    );
                    let offset = draft.offset(&topic.name, partition);
                    object([
                        ("partitionIndex", partition.into()),
                        ("committedOffset", offset.into()),
                        ("committedLeaderEpoch", draft.mostly(-1, &[0, 3, -2]).into()),
                        ("committedMetadata", metadata.into()),
                    ])
                })
                .collect();
            object([
                ("name", topic.name.into()),
                ("topicId", topic.id),
                ("partitions", array(partitions)),
            ])
        })
        .collect();
    array(topics)
}

pub fn fetch(draft: &mut Draft<'_>) {
    let group = draft.group_name();
    let group = draft.mostly(group, &[String::new(), format!("{}nobody", draft.prefix)]);
    let topics = fetch_topics(draft, false);
    let of_group = fetch_topics(draft, true);
    let mut groups = vec![fetch_group(draft, &group, of_group)];
    if draft.chance(0.2) {
        let other = draft.group_name();
        let of_group = fetch_topics(draft, true);
        groups.push(fetch_group(draft, &other, of_group));
    }
    let body = object([
        ("groupId", group.into()),
        ("topics", topics),
        ("groups", array(groups)),
        ("requireStable", draft.chance(0.3).into()),
    ]);
    draft.ask_with(OFFSET_FETCH, body);
}

fn fetch_group(draft: &mut Draft<'_>, group: &str, topics: Template) -> Template {
    let (member, epoch) = draft.mostly((None, -1), &[(Some("nobody"), 1), (Some(""), -1)]);
    object([
        ("groupId", group.into()),
        ("memberId", member.into()),
        ("memberEpoch", epoch.into()),
        ("topics", topics),
    ])
}

/// The topics of the whole request have no ids in any version; those of one group have.
pub fn fetch_topics(draft: &mut Draft<'_>, with_ids: bool) -> Template {
    if draft.chance(0.25) {
        return Template::null();
    }
    let topics = draft.some_topics(2);
    let topics: Vec<_> = topics
        .into_iter()
        .map(|topic| {
            let partitions = draft.some_partitions(&topic, 3);
            let named = object([
                ("name", topic.name.into()),
                ("partitionIndexes", array(partitions)),
            ]);
            if with_ids {
                named.with("topicId", topic.id)
            } else {
                named
            }
        })
        .collect();
    array(topics)
}

/// Makes sure, mostly, that the group exists: a commit from outside creates it.
pub fn commit_first(draft: &mut Draft<'_>, group: &str) {
    if !draft.serves(OFFSET_COMMIT) || draft.chance(0.3) {
        return;
    }
    let topics = commit_topics(draft);
    let body = object([
        ("groupId", group.into()),
        ("generationIdOrMemberEpoch", (-1).into()),
        ("topics", topics),
    ]);
    draft.ask_with(OFFSET_COMMIT, body);
}

pub fn delete(draft: &mut Draft<'_>) {
    let group = draft.group_name();
    commit_first(draft, &group);
    delete_from(draft, &group);
}

/// OffsetDelete, mostly of this group.
pub fn delete_from(draft: &mut Draft<'_>, group: &str) {
    let topics = draft.some_topics(2);
    let topics: Vec<_> = topics
        .into_iter()
        .map(|topic| {
            let partitions: Vec<_> = draft
                .some_partitions(&topic, 2)
                .into_iter()
                .map(|partition| object([("partitionIndex", partition.into())]))
                .collect();
            object([
                ("name", topic.name.into()),
                ("partitions", array(partitions)),
            ])
        })
        .collect();
    let body = object([
        ("groupId", draft.mostly(group, &["", "nobody"]).into()),
        ("topics", array(topics)),
    ]);
    draft.ask_with(OFFSET_DELETE, body);
}
