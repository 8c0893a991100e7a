//! ListOffsets and OffsetForLeaderEpoch.

use super::draft::Draft;
use crate::differential::template::{array, object};

pub const LIST_OFFSETS: i16 = 2;
const OFFSET_FOR_LEADER_EPOCH: i16 = 23;

/// Latest, earliest, max timestamp, earliest local, latest tiered, earliest pending upload, and what means nothing.
const SPECIAL_TIMES: &[i64] = &[-1, -2, -3, -4, -5, -6, -7, i64::MIN];

pub fn list_offsets(draft: &mut Draft<'_>) {
    let topics = draft.some_topics(2);
    let topics: Vec<_> = topics
        .into_iter()
        .map(|topic| {
            let mut chosen = draft.some_partitions(&topic, 3);
            if draft.chance(0.05) {
                chosen.push(chosen[0]);
            }
            let partitions: Vec<_> = chosen
                .into_iter()
                .map(|partition| {
                    let timestamp = if draft.chance(0.6) {
                        draft.pick(SPECIAL_TIMES)
                    } else {
                        draft.timestamp()
                    };
                    object([
                        ("partitionIndex", partition.into()),
                        ("currentLeaderEpoch", draft.current_leader_epoch().into()),
                        ("timestamp", timestamp.into()),
                    ])
                })
                .collect();
            object([
                ("name", topic.name.into()),
                ("partitions", array(partitions)),
            ])
        })
        .collect();
    let body = object([
        ("replicaId", draft.mostly(-1, &[1, -2, 5]).into()),
        ("isolationLevel", i16::from(draft.chance(0.4)).into()),
        ("topics", array(topics)),
        ("timeoutMs", draft.mostly(1_000, &[0]).into()),
    ]);
    draft.ask_with(LIST_OFFSETS, body);
}

pub fn offset_for_leader_epoch(draft: &mut Draft<'_>) {
    let topics = draft.some_topics(2);
    let topics: Vec<_> = topics
        .into_iter()
        .map(|topic| {
            let partitions: Vec<_> = draft
                .some_partitions(&topic, 3)
                .into_iter()
                .map(|partition| {
                    object([
                        ("partition", partition.into()),
                        ("currentLeaderEpoch", draft.current_leader_epoch().into()),
                        (
                            "leaderEpoch",
                            draft.pick(&[0, 0, 0, 1, 5, -1, -2, i32::MAX]).into(),
                        ),
                    ])
                })
                .collect();
            object([
                ("topic", topic.name.into()),
                ("partitions", array(partitions)),
            ])
        })
        .collect();
    let body = object([
        ("replicaId", draft.mostly(-1, &[-2, 1, 5]).into()),
        ("topics", array(topics)),
    ]);
    draft.ask_with(OFFSET_FOR_LEADER_EPOCH, body);
}
