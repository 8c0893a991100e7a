//! Committing offsets in transactions. Ideas and names from Kafka's OffsetMetadataManagerTest and ClassicGroupTest.

mod common;

use common::build::*;
use common::{Context, GROUP, START_MS, run, run_default};
use klamm_group_coordinator::{
    Command, CommitOffsets, CommitPartition, DeletedTopic, FetchOffsets, FetchTopic, FetchTopics,
    GroupConfig, GroupError, GroupState, Millis, OffsetTopic, ProducerId, Reply, Shard, Ticket,
    TopicId, TransactionOutcome,
};

use TransactionOutcome::{Aborted, Committed};

const PRODUCER: ProducerId = ProducerId(5);
const OTHER_PRODUCER: ProducerId = ProducerId(6);
const UNSTABLE: Result<Option<i64>, GroupError> = Err(GroupError::UnstableOffset);
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What is committed for the partition `topic-0`, if nothing is pending for it.
fn stable(context: &mut Context) -> Result<Option<i64>, GroupError> {
    let command = FetchOffsets {
        group_id: GROUP.to_owned(),
        topics: FetchTopics::Named(vec![FetchTopic {
            name: "topic".to_owned(),
            topic_id: TopicId::ZERO,
            partitions: vec![0],
        }]),
        require_stable: true,
    };
    match context.ask(Command::FetchOffsets(command)) {
        Reply::FetchOffsets(Ok(topics)) => {
            let value = topics[0].partitions[0].result.clone()?;
            Ok(value.map(|it| it.offset))
        }
        other => panic!("not offsets: {other:?}"),
    }
}

/// testSimpleGroupTransactionalOffsetCommit: the record is that of any commit; that it belongs to a transaction is said
/// beside it.
#[test]
fn the_step_of_a_commit_names_the_producer() {
    let mut shard = Shard::new(GroupConfig::default());
    shard.loaded(Millis(START_MS));
    let plain = Command::CommitOffsets(commit("topic", 0, 7));
    let mut known = commit("topic", 0, 7);
    // The id of the topic is not stored.
    known.topics[0].topic_id = TopicId([1; 16]);
    let pending = Command::CommitTransactionalOffsets(in_transaction(PRODUCER, known));
    let pending = shard.handle(Millis(START_MS), Ticket(1), pending);
    assert_eq!(pending.producer, Some((PRODUCER, PRODUCER_EPOCH)));
    assert_eq!(pending.replies.len(), 1);
    let plain = shard.handle(Millis(START_MS), Ticket(2), plain);
    assert_eq!(plain.producer, None);
    assert_eq!(plain.records, pending.records);
    assert_eq!(plain.records.len(), 1);
}

/// testFetchOffsetsWithPendingTransactionalOffsets and the replay of markers, with the shard's own commits.
#[test]
fn offsets_count_from_the_marker_on() {
    for (outcome, expected) in [(Committed, Some(2)), (Aborted, Some(1))] {
        run_default(|context| {
            context
                .commit(commit("topic", 0, 1))
                .expect("nobody is in the way");
            context
                .commit_in_transaction(PRODUCER, commit("topic", 0, 2))
                .expect("accepted");
            assert_eq!(context.committed("topic"), Some(1));
            assert_eq!(stable(context), UNSTABLE);
            context.end_transaction(OTHER_PRODUCER, outcome);
            assert_eq!(stable(context), UNSTABLE);
            context.end_transaction(PRODUCER, outcome);
            assert_eq!(stable(context), Ok(expected));
            // A second marker finds nothing.
            context.end_transaction(PRODUCER, Committed);
            assert_eq!(stable(context), Ok(expected));
        });
    }
}

/// Of two transactions and a plain commit, the one that was written last counts, in whatever order they end.
#[test]
fn the_commit_that_was_written_last_counts() {
    for order in [[PRODUCER, OTHER_PRODUCER], [OTHER_PRODUCER, PRODUCER]] {
        run_default(|context| {
            context
                .commit_in_transaction(PRODUCER, commit("topic", 0, 1))
                .expect("accepted");
            context.commit(commit("topic", 0, 2)).expect("accepted");
            context
                .commit_in_transaction(OTHER_PRODUCER, commit("topic", 0, 3))
                .expect("accepted");
            for producer in order {
                assert_eq!(stable(context), UNSTABLE);
                context.end_transaction(producer, Committed);
            }
            assert_eq!(stable(context), Ok(Some(3)));
        });
    }
}

/// testConsumerGroupTransactionalOffsetCommit...: strangers are welcome in every state; whoever says who it is must be
/// right, and is no longer waited for than before (`ClassicGroup.validateOffsetCommit` with `isTransactional`).
#[test]
fn members_are_checked_if_they_say_who_they_are() {
    run_default(|context| {
        let group = context.stable_group(vec![join(), join_static("instance", "")]);
        let [leader, static_id] = &group.members[..] else {
            panic!("two members");
        };
        let generation = group.generation;
        let by = |member_id: &str, generation: i32, instance_id: Option<&str>| {
            let commit = CommitOffsets {
                instance_id: instance_id.map(str::to_owned),
                ..commit_as(member_id, generation, "topic", 1)
            };
            in_transaction(PRODUCER, commit)
        };
        let unknown = Err(GroupError::UnknownMember);
        let illegal = Err(GroupError::IllegalGeneration);
        for (request, expected) in [
            (by("", -1, None), Ok(())),
            (by(leader, generation, None), Ok(())),
            (by(static_id, generation, Some("instance")), Ok(())),
            (
                by(leader, generation, Some("instance")),
                Err(GroupError::FencedInstance),
            ),
            (by(leader, generation, Some("nobody")), unknown),
            (by("", -1, Some("nobody")), unknown),
            (by("nobody", generation, None), unknown),
            (by("", generation, None), unknown),
            (by("nobody", -1, None), unknown),
            (by(leader, -1, None), illegal),
            (by(leader, generation - 1, None), illegal),
            (by(leader, generation + 1, None), illegal),
        ] {
            let log_end = context.log_end();
            assert_eq!(
                context.commit_transactional(request.clone()),
                expected,
                "{request:?}"
            );
            let written = context.log_end() - log_end;
            assert_eq!(written, usize::from(expected.is_ok()));
        }
    });
}

/// A member commits while the next generation is being made, where a plain commit would be sent back.
#[test]
fn the_state_of_the_group_does_not_matter() {
    let mut context = Context::new(GroupConfig::default(), false);
    let group = context.joined_group(vec![join()]);
    assert_eq!(context.state(), GroupState::CompletingRebalance);
    let own = commit_as(&group.members[0], group.generation, "topic", 1);
    let plain = context.commit(own.clone());
    assert_eq!(plain, Err(GroupError::RebalanceInProgress));
    assert_eq!(context.commit_in_transaction(PRODUCER, own), Ok(()));
}

/// A member that was asked to come back with its id is not one yet.
#[test]
fn a_pending_member_is_not_known() {
    let mut context = Context::new(GroupConfig::default(), false);
    context.stable_group(vec![join()]);
    let ticket = context.join(join_v4());
    let pending = context.join_refused(ticket).member_id;
    let own = commit_as(&pending, 1, "topic", 1);
    let answer = context.commit_in_transaction(PRODUCER, own);
    assert_eq!(answer, Err(GroupError::UnknownMember));
}

/// Unlike a plain commit, one in a transaction is no sign of life.
#[test]
fn a_commit_does_not_keep_a_member_alive() {
    for (is_transactional, expected) in [(false, GroupState::Stable), (true, GroupState::Empty)] {
        let mut context = Context::new(GroupConfig::default(), false);
        let group = context.stable_group(vec![join()]);
        context.advance(i64::from(SESSION_MS) - 1);
        let own = commit_as(&group.members[0], group.generation, "topic", 1);
        match is_transactional {
            true => context.commit_in_transaction(PRODUCER, own),
            false => context.commit(own),
        }
        .expect("the member is alive");
        context.advance(i64::from(SESSION_MS) - 1);
        assert_eq!(context.state(), expected);
    }
}

/// testGenericGroupTransactionalOffsetCommitWithUnknownGroupId and testSimpleGroup...: a generation needs a group, and
/// the lack of one is told in the same words as a wrong generation.
#[test]
fn groups_that_are_not_there() {
    run_default(|context| {
        let own = commit_as("member", 1, "topic", 1);
        let answer = context.commit_in_transaction(PRODUCER, own);
        assert_eq!(answer, Err(GroupError::IllegalGeneration));
        let nameless = CommitOffsets {
            group_id: String::new(),
            ..commit("topic", 0, 1)
        };
        let answer = context.commit_in_transaction(PRODUCER, nameless);
        assert_eq!(answer, Err(GroupError::EmptyGroupId));
        assert!(context.log.is_empty());

        // A stranger's commit makes the group, with or without a member id.
        let stranger = commit_as("member", -1, "topic", 1);
        let answer = context.commit_in_transaction(PRODUCER, stranger);
        assert_eq!(answer, Ok(()));
        assert_eq!(context.state(), GroupState::Empty);
        context.end_transaction(PRODUCER, Aborted);
        assert_eq!(context.state(), GroupState::Empty);
    });
}

/// Metadata that is too long refuses its partition; names and batches that are too large refuse all.
#[test]
fn what_is_too_large_is_refused() {
    let config = GroupConfig {
        offset_metadata_units_max: 3,
        batch_bytes_max: 300,
        ..GroupConfig::default()
    };
    run(&config, |context| {
        let partition = |partition: i32, metadata: &str| CommitPartition {
            partition,
            offset: 1,
            leader_epoch: 4,
            metadata: Some(metadata.to_owned()),
        };
        let mut mixed = in_transaction(PRODUCER, commit("topic", 0, 1));
        mixed.topics[0].partitions = vec![partition(0, "four"), partition(1, "it")];
        let reply = context.ask(Command::CommitTransactionalOffsets(mixed.clone()));
        let Reply::CommitTransactionalOffsets(Ok(topics)) = reply else {
            panic!("not granted: {reply:?}");
        };
        let results: Vec<_> = topics[0].partitions.iter().map(|it| it.result).collect();
        let too_long = Err(GroupError::OffsetMetadataTooLarge);
        assert_eq!(results, [too_long, Ok(())]);
        assert_eq!(context.log_end(), 1);

        // Nothing is left to write, so there is nothing of a transaction either.
        let mut none = mixed.clone();
        none.topics[0].partitions.pop();
        assert_eq!(context.commit_transactional(none), too_long);

        let mut many = mixed.clone();
        many.topics[0].partitions = (0..10).map(|index| partition(index, "it")).collect();
        assert_eq!(
            context.commit_transactional(many),
            Err(GroupError::RecordsTooLarge)
        );
        let mut long = mixed;
        long.topics[0].name = "x".repeat(32_768);
        assert_eq!(
            context.commit_transactional(long),
            Err(GroupError::NameTooLong)
        );
        assert_eq!(context.log_end(), 1);
    });
}

/// testDeleteGroupAllOffsetsWithPendingTransactionalOffsets, testOffsetDeletionsWithPendingTransactionalOffsets,
/// testOnPartitionsDeleted...: a deletion reaches what is pending, and what is pending holds up no deletion.
#[test]
fn deletions_forget_what_is_pending() {
    let offsets = Command::DeleteOffsets {
        group_id: GROUP.to_owned(),
        topics: vec![OffsetTopic {
            name: "topic".to_owned(),
            partitions: vec![0],
        }],
    };
    let group = Command::DeleteGroup {
        group_id: GROUP.to_owned(),
    };
    let topics = Command::TopicsDeleted {
        topics: vec![DeletedTopic {
            name: "topic".to_owned(),
            topic_id: TopicId([7; 16]),
        }],
    };
    for deletion in [offsets, group, topics] {
        run_default(|context| {
            for producer in [PRODUCER, OTHER_PRODUCER] {
                context
                    .commit_in_transaction(producer, commit("topic", 0, 2))
                    .expect("accepted");
            }
            context.ask(deletion.clone());
            assert_eq!(stable(context), Ok(None));
            context.end_transaction(PRODUCER, Committed);
            // What is committed after the deletion is not affected by it.
            context
                .commit_in_transaction(OTHER_PRODUCER, commit("topic", 0, 9))
                .expect("accepted");
            assert_eq!(stable(context), UNSTABLE);
            context.end_transaction(OTHER_PRODUCER, Committed);
            assert_eq!(stable(context), Ok(Some(9)));
        });
    }
}

/// testCleanupExpiredOffsetsWithPendingTransactionalOffsets, ...OnlyPending...: an open transaction keeps the offset
/// that it may replace, and its group.
#[test]
fn nothing_expires_while_a_transaction_is_open() {
    for has_committed in [false, true] {
        run_default(|context| {
            if has_committed {
                context.commit(commit("topic", 0, 1)).expect("accepted");
            }
            context.commit(commit("other", 0, 1)).expect("accepted");
            context
                .commit_in_transaction(PRODUCER, commit("topic", 0, 2))
                .expect("accepted");
            context.advance(8 * DAY_MS);
            assert_eq!(context.committed("other"), None);
            assert_eq!(context.committed("topic"), has_committed.then_some(1));
            assert_eq!(context.state(), GroupState::Empty);
            assert_eq!(stable(context), UNSTABLE);

            context.end_transaction(PRODUCER, Aborted);
            context.advance(DAY_MS);
            assert_eq!(context.committed("topic"), None);
            assert_eq!(context.describe(GROUP), Err(GroupError::GroupNotFound));
        });
    }
}
