//! Committing, fetching, deleting and expiring offsets. Ideas and names from Kafka's OffsetMetadataManagerTest,
//! GroupCoordinatorShardTest and ClassicGroupTest.

mod common;

use common::build::*;
use common::{Context, GROUP, START_MS, run, run_default};
use klamm_group_coordinator::{
    Command, CommitOffsets, CommitPartition, CommitTopic, DeletedTopic, FetchOffsets, FetchTopic,
    FetchTopics, FetchedTopic, GroupConfig, GroupError, GroupState, JoinGroup, OffsetTopic,
    OffsetValue, Reply, TopicId,
};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const ID: TopicId = TopicId([1; 16]);
const OTHER_ID: TopicId = TopicId([2; 16]);

fn fetch(context: &mut Context, topics: Vec<FetchTopic>) -> Vec<FetchedTopic> {
    let command = FetchOffsets {
        group_id: GROUP.to_owned(),
        topics: FetchTopics::Named(topics),
        require_stable: true,
    };
    match context.ask(Command::FetchOffsets(command)) {
        Reply::FetchOffsets(Ok(topics)) => topics,
        other => panic!("not offsets: {other:?}"),
    }
}

fn delete_offsets(
    context: &mut Context,
    topics: &[(&str, i32)],
) -> Result<Vec<Result<(), GroupError>>, GroupError> {
    let topics = topics
        .iter()
        .map(|(name, partition)| OffsetTopic {
            name: (*name).to_owned(),
            partitions: vec![*partition],
        })
        .collect();
    match context.ask(Command::DeleteOffsets {
        group_id: GROUP.to_owned(),
        topics,
    }) {
        Reply::DeleteOffsets(result) => Ok(result?
            .into_iter()
            .map(|topic| topic.partitions[0].result)
            .collect()),
        other => panic!("not an answer to a deletion: {other:?}"),
    }
}

fn delete_group(context: &mut Context) -> Result<(), GroupError> {
    match context.ask(Command::DeleteGroup {
        group_id: GROUP.to_owned(),
    }) {
        Reply::DeleteGroup(result) => result,
        other => panic!("not an answer to a deletion: {other:?}"),
    }
}

/// testSimpleGroupOffsetCommit: no member, no group; the commit makes one, which keeps offsets and nothing else.
#[test]
fn a_commit_from_nobody_creates_a_simple_group() {
    run_default(|context| {
        assert_eq!(context.commit(commit("topic", 0, 100)), Ok(()));
        assert_eq!(context.committed("topic"), Some(100));
        let description = context.describe(GROUP).unwrap();
        assert_eq!(
            (description.state, description.protocol_type.as_str()),
            (GroupState::Empty, "")
        );
        // An instance id alone makes no difference as long as the group is empty
        // (testSimpleGroupOffsetCommitWithInstanceId).
        let odd = CommitOffsets {
            instance_id: Some("i".to_owned()),
            ..commit("topic", 0, 101)
        };
        assert_eq!(context.commit(odd), Ok(()));
        assert_eq!(context.committed("topic"), Some(101));
    });
}

/// testOffsetCommitWithUnknownGroup, and the empty group id that old clients use.
#[test]
fn a_generation_needs_a_group() {
    run_default(|context| {
        assert_eq!(
            context.commit(commit_as("m", 1, "topic", 1)),
            Err(GroupError::GroupNotFound)
        );
        let unnamed = CommitOffsets {
            group_id: String::new(),
            ..commit("topic", 0, 1)
        };
        assert_eq!(context.commit(unnamed), Ok(()));
        assert_eq!(context.offsets("").len(), 1);
    });
}

/// testGenericGroupOffsetCommitWithUnknownMemberId, ...WithIllegalGeneration, ...WithUnknownInstanceId,
/// ...WithoutMemberIdAndGeneration, ...WhileInCompletingRebalanceState, ClassicGroupTest.testValidateOffsetCommit.
#[test]
fn who_may_commit_depends_on_the_state_of_the_group() {
    run_default(|context| {
        let group = context.joined_group(vec![join(), join()]);
        let member = &group.members[0];
        let current = commit_as(member, 1, "topic", 1);
        assert_eq!(
            context.commit(current.clone()),
            Err(GroupError::RebalanceInProgress)
        );
        context.sync_all(&group);
        assert_eq!(context.commit(current.clone()), Ok(()));
        for (refused, error) in [
            (commit_as("m", 1, "topic", 1), GroupError::UnknownMember),
            (
                commit_as(member, 2, "topic", 1),
                GroupError::IllegalGeneration,
            ),
            (
                commit_as(member, -1, "topic", 1),
                GroupError::IllegalGeneration,
            ),
            (commit("topic", 0, 1), GroupError::UnknownMember),
            (
                CommitOffsets {
                    instance_id: Some("i".to_owned()),
                    ..current.clone()
                },
                GroupError::UnknownMember,
            ),
        ] {
            assert_eq!(context.commit(refused), Err(error));
        }
        // While the next generation gathers, the current one may still say how far it has come.
        context.join(join_as(&group.members[1]));
        context.join(join());
        assert_eq!(context.state(), GroupState::PreparingRebalance);
        assert_eq!(context.commit(commit_as(member, 1, "topic", 2)), Ok(()));
        assert_eq!(context.committed("topic"), Some(2));

        context.leave(group.members.iter().map(|id| leaving(id, None)).collect());
        context.advance(400_000);
        assert_eq!(context.state(), GroupState::Empty);
        assert_eq!(context.commit(current), Err(GroupError::UnknownMember));
        assert_eq!(context.commit(commit("topic", 0, 3)), Ok(()));
    });
}

/// testConsumerGroupOffsetCommitWithOffsetMetadataTooLarge, for a classic group; the length counts as Java counts.
#[test]
fn metadata_that_is_too_long_refuses_its_partition_only() {
    run_default(|context| {
        let partition = |partition, metadata: String| CommitPartition {
            partition,
            offset: 7,
            leader_epoch: 3,
            metadata: Some(metadata),
        };
        let topics = vec![CommitTopic {
            name: "topic".to_owned(),
            topic_id: ID,
            partitions: vec![
                partition(0, "é".repeat(4096)),
                partition(1, "\u{1f600}".repeat(2049)),
                partition(0, "x".repeat(4097)),
            ],
        }];
        let reply = context.ask(Command::CommitOffsets(CommitOffsets {
            topics,
            ..commit("", 0, 0)
        }));
        let Reply::CommitOffsets(Ok(committed)) = reply else {
            panic!("not granted")
        };
        let results: Vec<_> = committed[0]
            .partitions
            .iter()
            .map(|it| (it.partition, it.result))
            .collect();
        let too_large = Err(GroupError::OffsetMetadataTooLarge);
        assert_eq!(results, [(0, Ok(())), (1, too_large), (0, too_large)]);
        assert_eq!(committed[0].topic_id, ID);
        assert_eq!(context.offsets(GROUP)[0].partitions.len(), 1);
    });
}

/// A commit that stores nothing still makes a group, but Kafka shows it only after the next record of the partition.
#[test]
fn a_group_without_any_record_is_not_listed() {
    let mut context = Context::new(GroupConfig::default(), false);
    let mut nothing = commit("topic", 0, 1);
    nothing.topics[0].partitions.clear();
    let reply = context.ask(Command::CommitOffsets(nothing));
    assert!(matches!(reply, Reply::CommitOffsets(Ok(_))));
    assert_eq!(context.state(), GroupState::Dead);
    // It exists all the same: a generation is not refused for want of a group.
    assert_eq!(
        context.commit(commit_as("m", 1, "topic", 1)),
        Err(GroupError::UnknownMember)
    );
    assert_eq!(delete_group(&mut context), Ok(()));
    assert_eq!(delete_group(&mut context), Err(GroupError::GroupNotFound));
}

/// Fields come back as they were committed, odd values included; what was not committed is empty
/// (testFetchOffsetsWithUnknownGroup, testGenericGroupFetchOffsetsWithDeadGroup).
#[test]
fn fetching_mirrors_the_question() {
    run_default(|context| {
        let topic = |name: &str, partitions: &[i32]| FetchTopic {
            name: name.to_owned(),
            topic_id: TopicId::ZERO,
            partitions: partitions.to_vec(),
        };
        let unknown = fetch(context, vec![topic("topic", &[0])]);
        assert_eq!(unknown[0].partitions[0].result, Ok(None));

        let mut odd = commit("topic", 1, -5);
        odd.topics[0].partitions[0].leader_epoch = -7;
        odd.topics[0].partitions[0].metadata = None;
        assert_eq!(context.commit(odd), Ok(()));
        let fetched = fetch(
            context,
            vec![topic("topic", &[2, 1, 1]), topic("other", &[0])],
        );
        let value = OffsetValue {
            offset: -5,
            leader_epoch: Some(-7),
            metadata: String::new(),
        };
        let results: Vec<_> = fetched
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|it| (it.partition, it.result.clone()))
            .collect();
        let expected = [
            (2, Ok(None)),
            (1, Ok(Some(value.clone()))),
            (1, Ok(Some(value))),
            (0, Ok(None)),
        ];
        assert_eq!(results, expected);
    });
}

/// testFetchOffsetsWithRecreatedTopic, testFetchOffsetsWithTopicIds.
#[test]
fn an_offset_of_another_incarnation_of_the_topic_is_not_returned() {
    run_default(|context| {
        let mut with_id = commit("topic", 0, 9);
        with_id.topics[0].topic_id = ID;
        assert_eq!(context.commit(with_id), Ok(()));
        for (topic_id, offset) in [(ID, Some(9)), (TopicId::ZERO, Some(9)), (OTHER_ID, None)] {
            let topic = FetchTopic {
                name: "topic".to_owned(),
                topic_id,
                partitions: vec![0],
            };
            let fetched = fetch(context, vec![topic]);
            let value = fetched[0].partitions[0].result.clone().unwrap();
            assert_eq!(value.map(|value| value.offset), offset);
            assert_eq!(fetched[0].topic_id, topic_id);
        }
    });
}

/// testGenericGroupOffsetDelete, testGenericGroupOffsetDeleteWithErrors, ClassicGroupTest.testValidateOffsetDelete.
#[test]
fn offsets_of_topics_that_nobody_reads_can_be_deleted() {
    run_default(|context| {
        assert_eq!(
            delete_offsets(context, &[("topic", 0)]),
            Err(GroupError::GroupNotFound)
        );
        let group = context.stable_group(vec![join()]);
        for topic in ["topic", "idle"] {
            assert_eq!(
                context.commit(commit_as(&group.members[0], 1, topic, 4)),
                Ok(())
            );
        }
        let log_end = context.log_end();
        let results = delete_offsets(context, &[("topic", 0), ("idle", 0), ("idle", 1)]);
        assert_eq!(
            results,
            Ok(vec![Err(GroupError::SubscribedToTopic), Ok(()), Ok(())])
        );
        assert_eq!(context.records_since(log_end).len(), 1);
        assert_eq!(
            (context.committed("topic"), context.committed("idle")),
            (Some(4), None)
        );

        context.leave(vec![leaving(&group.members[0], None)]);
        assert_eq!(delete_offsets(context, &[("topic", 0)]), Ok(vec![Ok(())]));
        assert_eq!(context.committed("topic"), None);
    });
}

/// Of a group whose members are no consumers nobody knows what it reads.
#[test]
fn offsets_of_a_busy_group_of_another_type_cannot_be_deleted() {
    run_default(|context| {
        let worker = JoinGroup {
            protocol_type: "connect".to_owned(),
            ..join()
        };
        context.stable_group(vec![worker]);
        assert_eq!(
            delete_offsets(context, &[("topic", 0)]),
            Err(GroupError::NonEmptyGroup)
        );
    });
}

/// testClassicGroupDelete, testDeleteGroupAllOffsets, ClassicGroupTest.testValidateDeleteGroup.
#[test]
fn an_empty_group_is_deleted_with_its_offsets() {
    run_default(|context| {
        assert_eq!(delete_group(context), Err(GroupError::GroupNotFound));
        let group = context.stable_group(vec![join()]);
        for partition in 0..3 {
            let mut commit = commit_as(&group.members[0], 1, "topic", 4);
            commit.topics[0].partitions[0].partition = partition;
            assert_eq!(context.commit(commit), Ok(()));
        }
        assert_eq!(delete_group(context), Err(GroupError::NonEmptyGroup));
        context.leave(vec![leaving(&group.members[0], None)]);
        let log_end = context.log_end();
        assert_eq!(delete_group(context), Ok(()));
        let tombstones = context.records_since(log_end);
        assert_eq!(tombstones.len(), 4);
        assert!(tombstones.iter().all(|record| record.value.is_none()));
        assert_eq!(context.state(), GroupState::Dead);
        assert!(context.offsets(GROUP).is_empty());
        // The next group of this name starts over.
        assert_eq!(context.stable_group(vec![join()]).generation, 1);
    });
}

/// Timers of a deleted group do not reach the next one of its name.
#[test]
fn nothing_of_a_deleted_group_comes_back() {
    let mut context = Context::new(GroupConfig::default(), false);
    let ticket = context.join(join_v4());
    let pending = context.join_refused(ticket).member_id;
    assert_eq!(delete_group(&mut context), Ok(()));
    let ticket = context.join(join_as(&pending));
    assert_eq!(
        context.join_refused(ticket).error,
        GroupError::UnknownMember
    );
    let ticket = context.join(join());
    context.advance_until_answered();
    assert_eq!(context.joined(ticket).generation, 1);
}

/// testOnTopicsDeletedWithZeroTopicId, ...WithMatchingTopicId, ...WithMismatchedTopicId.
#[test]
fn a_deleted_topic_takes_its_offsets_along() {
    run_default(|context| {
        for (partition, topic_id) in [TopicId::ZERO, ID, OTHER_ID].into_iter().enumerate() {
            let mut commit = commit("gone", partition as i32, 1);
            commit.topics[0].topic_id = topic_id;
            assert_eq!(context.commit(commit), Ok(()));
        }
        assert_eq!(context.commit(commit("kept", 0, 1)), Ok(()));
        let topics = vec![DeletedTopic {
            name: "gone".to_owned(),
            topic_id: ID,
        }];
        assert_eq!(
            context.ask(Command::TopicsDeleted { topics }),
            Reply::TopicsDeleted
        );
        let left: Vec<_> = context
            .offsets(GROUP)
            .into_iter()
            .flat_map(|topic| {
                topic
                    .partitions
                    .into_iter()
                    .map(move |it| (topic.name.clone(), it.partition))
            })
            .collect();
        assert_eq!(left, [("gone".to_owned(), 2), ("kept".to_owned(), 0)]);
    });
}

/// testCleanupExpiredOffsets for a simple group: each offset by its own age, then the group.
#[test]
fn offsets_of_a_simple_group_expire_one_by_one() {
    run_default(|context| {
        assert_eq!(context.commit(commit("old", 0, 1)), Ok(()));
        context.advance(DAY_MS);
        assert_eq!(context.commit(commit("new", 0, 1)), Ok(()));
        context.advance(6 * DAY_MS + 600_000);
        assert_eq!(
            (context.committed("old"), context.committed("new")),
            (None, Some(1))
        );
        assert_eq!(context.state(), GroupState::Empty);
        context.advance(DAY_MS);
        assert_eq!(context.committed("new"), None);
        assert_eq!(context.state(), GroupState::Dead);
    });
}

/// ClassicGroupTest.testOffsetExpirationCondition: what counts is when the last member left.
#[test]
fn offsets_of_a_left_group_expire_by_the_time_it_became_empty() {
    run_default(|context| {
        let long = JoinGroup {
            session_timeout_ms: 1_800_000,
            ..join()
        };
        let group = context.stable_group(vec![long]);
        assert_eq!(
            context.commit(commit_as(&group.members[0], 1, "topic", 1)),
            Ok(())
        );
        for _ in 0..8 * 48 {
            context.advance(DAY_MS / 48 - 1);
            assert_eq!(context.heartbeat(heartbeat(&group.members[0], 1)), Ok(()));
        }
        context.leave(vec![leaving(&group.members[0], None)]);
        let left_ms = context.now_ms();
        context.advance(7 * DAY_MS - 1);
        assert_eq!(context.committed("topic"), Some(1));
        context.advance(600_000);
        assert_eq!(context.committed("topic"), None);
        assert_eq!(context.state(), GroupState::Dead);
        assert!(context.now_ms() - left_ms >= 7 * DAY_MS);
    });
}

/// A stable group of consumers keeps what it reads and loses what it no longer reads; other types keep everything.
#[test]
fn a_stable_group_loses_offsets_of_topics_it_no_longer_reads() {
    for (protocol_type, idle_is_kept) in [("consumer", false), ("connect", true)] {
        run_default(|context| {
            let long = JoinGroup {
                session_timeout_ms: 1_800_000,
                protocol_type: protocol_type.to_owned(),
                ..join()
            };
            let group = context.stable_group(vec![long]);
            for topic in ["topic", "idle"] {
                assert_eq!(
                    context.commit(commit_as(&group.members[0], 1, topic, 4)),
                    Ok(())
                );
            }
            for _ in 0..8 * 48 {
                context.advance(DAY_MS / 48 - 1);
                assert_eq!(context.heartbeat(heartbeat(&group.members[0], 1)), Ok(()));
            }
            assert_eq!(context.committed("topic"), Some(4));
            assert_eq!(context.committed("idle").is_some(), idle_is_kept);
        });
    }
}

/// testGenericGroupOffsetCommitWithRetentionTime: versions 2 to 4 bring their own time, which counts alone.
#[test]
fn a_retention_time_in_the_commit_overrides_the_setting() {
    run_default(|context| {
        let brief = CommitOffsets {
            retention_ms: Some(1_000),
            ..commit("brief", 0, 1)
        };
        assert_eq!(context.commit(brief), Ok(()));
        let long = CommitOffsets {
            retention_ms: Some(30 * DAY_MS),
            ..commit("long", 0, 1)
        };
        assert_eq!(context.commit(long), Ok(()));
        // Beyond the end of time it wraps around to the past, as in Kafka.
        let wrapped = CommitOffsets {
            retention_ms: Some(i64::MAX),
            ..commit("wrapped", 0, 1)
        };
        assert_eq!(context.commit(wrapped), Ok(()));
        context.advance(600_000);
        assert_eq!(
            (context.committed("brief"), context.committed("wrapped")),
            (None, None)
        );
        context.advance(20 * DAY_MS);
        assert_eq!(context.committed("long"), Some(1));
        assert_eq!(context.now_ms(), START_MS + 20 * DAY_MS + 600_000);
    });
}

/// testCleanupExpiredOffsetsGroupHasNoOffsets: an empty group that keeps nothing goes with the next search.
#[test]
fn an_empty_group_without_offsets_goes() {
    run_default(|context| {
        let group = context.stable_group(vec![join()]);
        context.leave(vec![leaving(&group.members[0], None)]);
        assert_eq!(context.state(), GroupState::Empty);
        context.advance(600_000);
        assert_eq!(context.state(), GroupState::Dead);
    });
}

/// Kafka refuses a commit whole if its records do not fit into one batch.
#[test]
fn a_commit_larger_than_a_batch_is_refused_whole() {
    let config = GroupConfig {
        batch_bytes_max: 200,
        ..GroupConfig::default()
    };
    run(&config, |context| {
        let mut large = commit("topic", 0, 1);
        large
            .topics
            .extend(commit("x".repeat(100).as_str(), 0, 1).topics);
        assert_eq!(context.commit(large), Err(GroupError::RecordsTooLarge));
        assert_eq!(context.committed("topic"), None);
        assert_eq!(context.commit(commit("topic", 0, 1)), Ok(()));
    });
}

/// testIsInStates and ListGroups' filters; a filter of unknown names lets nothing pass.
#[test]
fn lists_are_filtered_by_state_and_type() {
    use klamm_group_coordinator::{GroupType, ListGroups};
    run_default(|context| {
        context.stable_group(vec![join()]);
        assert_eq!(
            context.commit(CommitOffsets {
                group_id: "simple".to_owned(),
                ..commit("topic", 0, 1)
            }),
            Ok(())
        );
        let mut listed =
            |states: Option<Vec<GroupState>>, types: Option<Vec<GroupType>>| match context
                .ask(Command::ListGroups(ListGroups { states, types }))
            {
                Reply::ListGroups(groups) => {
                    groups.into_iter().map(|it| it.group_id).collect::<Vec<_>>()
                }
                other => panic!("not a list: {other:?}"),
            };
        assert_eq!(listed(None, None), [GROUP, "simple"]);
        assert_eq!(listed(Some(vec![GroupState::Stable]), None), [GROUP]);
        let empty = GroupState::from_name(" eMPTy ").into_iter().collect();
        assert_eq!(
            listed(Some(empty), Some(vec![GroupType::Classic])),
            ["simple"]
        );
        assert!(listed(Some(Vec::new()), None).is_empty());
        assert!(listed(None, Some(Vec::new())).is_empty());
    });
}
