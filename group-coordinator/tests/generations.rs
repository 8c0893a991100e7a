//! From a first generation to the last: rejoining, syncing, heartbeats, leaving, sessions.
//! Ideas and names from Kafka's GroupMetadataManagerTest.

mod common;

use bytes::Bytes;
use common::build::*;
use common::{Context, GROUP, run, run_default};
use klamm_group_coordinator::{
    Command, GroupConfig, GroupError, GroupState, Heartbeat, JoinGroup, LeaveGroup, Reply,
    SyncGroup,
};

/// Restarts would forget who has synced and which protocols were offered.
fn without_restarts(scenario: impl Fn(&mut Context)) {
    scenario(&mut Context::new(GroupConfig::default(), false));
}

/// A follower with the same metadata has missed an answer at most; the leader wants to assign anew
/// (testJoinGroupFromUnchangedFollowerDoesNotRebalance, testJoinGroupFromUnchangedLeaderShouldRebalance).
#[test]
fn only_the_leader_rebalances_with_unchanged_metadata() {
    run_default(|context| {
        let group = context.stable_group(vec![join(), join()]);
        let ticket = context.join(join_as(&group.members[1]));
        let joined = context.joined(ticket);
        assert_eq!((joined.generation, &joined.leader), (1, &group.members[0]));
        assert!(joined.members.is_empty());
        assert_eq!(context.state(), GroupState::Stable);

        let leader = context.join(join_as(&group.members[0]));
        assert!(context.is_waiting(leader));
        assert_eq!(context.state(), GroupState::PreparingRebalance);
        let follower = context.join(join_as(&group.members[1]));
        assert_eq!(context.joined(leader).generation, 2);
        assert_eq!(context.joined(follower).generation, 2);
    });
}

/// testJoinGroupAsExistingMemberWithUpdatedMetadataTriggersRebalanceInStableState.
#[test]
fn changed_metadata_rebalances() {
    run_default(|context| {
        let group = context.stable_group(vec![join(), join()]);
        let changed = vec![protocol("range", &["other"])];
        context.join(JoinGroup {
            protocols: changed,
            ..join_as(&group.members[1])
        });
        assert_eq!(context.state(), GroupState::PreparingRebalance);
    });
}

/// The answer to the join may have been lost (testJoinGroupExistingMemberUpdatedMetadataTriggersRebalance and its
/// counterpart): the same again gets the same answer, the leader's with everyone in it.
#[test]
fn a_join_repeated_before_the_sync_gets_the_same_answer() {
    run_default(|context| {
        let group = context.joined_group(vec![join(), join()]);
        let leader = context.join(join_as(&group.members[0]));
        assert_eq!(context.joined(leader).members.len(), 2);
        let follower = context.join(join_as(&group.members[1]));
        assert_eq!(context.joined(follower).generation, 1);
        assert_eq!(context.state(), GroupState::CompletingRebalance);

        let parked = context.sync(sync(&group.members[1], 1));
        let changed = vec![protocol("range", &["other"])];
        context.join(JoinGroup {
            protocols: changed,
            ..join_as(&group.members[0])
        });
        assert_eq!(context.state(), GroupState::PreparingRebalance);
        assert_eq!(
            context.sync_reply(parked),
            Err(GroupError::RebalanceInProgress)
        );
    });
}

/// Dynamic members that do not come back in time are out; the oldest of the others leads
/// (testCompleteJoinRemoveNotYetRejoinedDynamicMembers, ClassicGroupTest.testElectNewJoinedLeader).
#[test]
fn whoever_misses_the_rebalance_is_out() {
    without_restarts(|context| {
        let short = |id: &str| JoinGroup {
            rebalance_timeout_ms: 5_000,
            ..join_as(id)
        };
        let group = context.stable_group(vec![short(""), short(""), short("")]);
        let changed = |id: &str| JoinGroup {
            protocols: protocols(&["range", "new"]),
            ..short(id)
        };
        let two = context.join(changed(&group.members[2]));
        let one = context.join(changed(&group.members[1]));
        context.advance(5_000);
        let (one, two) = (context.joined(one), context.joined(two));
        assert_eq!((one.generation, two.generation), (2, 2));
        assert_eq!(one.leader, group.members[1]);
        assert_eq!(one.members.len(), 2);
        assert_eq!(
            context.heartbeat(heartbeat(&group.members[0], 2)),
            Err(GroupError::UnknownMember)
        );
    });
}

/// A join with a fresh id waits for the pending one as well
/// (testJoinGroupCompletionWhenPendingMemberJoins, testJoinGroupCompletionWhenPendingMemberTimesOut).
#[test]
fn a_rebalance_waits_for_pending_members() {
    without_restarts(|context| {
        let group = context.stable_group(vec![join()]);
        let ticket = context.join(join_v4());
        let pending = context.join_refused(ticket).member_id;
        let leader = context.join(join_as(&group.members[0]));
        assert!(context.is_waiting(leader));
        let new = context.join(join_as(&pending));
        assert_eq!(context.joined(leader).generation, 2);
        assert_eq!(context.joined(new).member_id, pending);
        let members = vec![group.members[0].clone(), pending.clone()];
        context.sync_all(&StableGroup {
            generation: 2,
            members,
        });

        let ticket = context.join(join_v4());
        context.join_refused(ticket);
        let leader = context.join(join_as(&group.members[0]));
        let new = context.join(join_as(&pending));
        context.advance(i64::from(SESSION_MS) - 1);
        assert!(context.is_waiting(leader));
        context.advance(1);
        assert_eq!(context.joined(leader).generation, 3);
        assert_eq!(context.joined(new).generation, 3);
    });
}

/// testSyncGroupFromUnknownGroup, testSyncGroupFromUnknownMember, testSyncGroupFromIllegalGeneration,
/// testSyncGroupReturnsAnErrorWhenProtocolTypeIsInconsistent and ...NameIsInconsistent.
#[test]
fn a_sync_must_name_group_member_generation_and_protocol_right() {
    run_default(|context| {
        let refused = |context: &mut Context, sync: SyncGroup| {
            let ticket = context.sync(sync);
            context.sync_reply(ticket).unwrap_err()
        };
        let no_group = SyncGroup {
            group_id: String::new(),
            ..sync("m", 1)
        };
        assert_eq!(refused(context, no_group), GroupError::EmptyGroupId);
        assert_eq!(refused(context, sync("m", 1)), GroupError::UnknownMember);
        let group = context.joined_group(vec![join()]);
        let leader = &group.members[0];
        assert_eq!(refused(context, sync("m", 1)), GroupError::UnknownMember);
        assert_eq!(
            refused(context, sync(leader, 2)),
            GroupError::IllegalGeneration
        );
        let other_type = SyncGroup {
            protocol_type: Some("connect".to_owned()),
            ..sync(leader, 1)
        };
        assert_eq!(
            refused(context, other_type),
            GroupError::InconsistentProtocol
        );
        let other_name = SyncGroup {
            protocol_name: Some("sticky".to_owned()),
            ..sync(leader, 1)
        };
        assert_eq!(
            refused(context, other_name),
            GroupError::InconsistentProtocol
        );
        let right = SyncGroup {
            protocol_type: Some("consumer".to_owned()),
            protocol_name: Some("range".to_owned()),
            ..sync(leader, 1)
        };
        let ticket = context.sync(right);
        let synced = context.sync_reply(ticket).unwrap();
        assert_eq!(synced.protocol_type.as_deref(), Some("consumer"));
        assert_eq!(synced.protocol_name.as_deref(), Some("range"));
    });
}

/// testSyncGroupFollowerAfterLeader, testSyncGroupLeaderAfterFollower, testSyncGroupEmptyAssignment.
#[test]
fn everyone_gets_what_the_leader_assigned_and_the_log_has_it() {
    run_default(|context| {
        let group = context.joined_group(vec![join(), join(), join()]);
        let [leader, early, late] = &group.members[..] else {
            panic!("three members")
        };
        let log_end = context.log_end();
        let early_ticket = context.sync(sync(early, 1));
        assert!(context.is_waiting(early_ticket));
        // An assignment for the leader is missing, and someone unknown is assigned something.
        let assignments = vec![
            (early.clone(), Bytes::from_static(b"e")),
            ("unknown".to_owned(), Bytes::from_static(b"u")),
            (late.clone(), Bytes::from_static(b"replaced")),
            (late.clone(), Bytes::from_static(b"l")),
        ];
        let ticket = context.sync(SyncGroup {
            assignments,
            ..sync(leader, 1)
        });
        assert_eq!(context.sync_reply(ticket).unwrap().assignment, "");
        assert_eq!(context.sync_reply(early_ticket).unwrap().assignment, "e");
        assert_eq!(context.records_since(log_end).len(), 1);
        let late_ticket = context.sync(sync(late, 1));
        assert_eq!(context.sync_reply(late_ticket).unwrap().assignment, "l");
        assert_eq!(context.state(), GroupState::Stable);
    });
}

/// testLeaderFailureInSyncGroup: the followers that wait are sent back, and the group goes on without the leader.
#[test]
fn a_leader_that_never_syncs_is_removed() {
    without_restarts(|context| {
        let long = |id: &str| JoinGroup {
            session_timeout_ms: 300_000,
            ..join_as(id)
        };
        let group = context.joined_group(vec![long(""), long("")]);
        let follower = context.sync(sync(&group.members[1], 1));
        context.advance(i64::from(REBALANCE_MS) - 1);
        assert!(context.is_waiting(follower));
        context.advance(1);
        assert_eq!(
            context.sync_reply(follower),
            Err(GroupError::RebalanceInProgress)
        );
        assert_eq!(context.state(), GroupState::PreparingRebalance);
        let ticket = context.join(long(&group.members[1]));
        let joined = context.joined(ticket);
        assert_eq!(
            (joined.leader, joined.members.len()),
            (group.members[1].clone(), 1)
        );
    });
}

/// testRebalanceTimesOutWhenSyncRequestIsNotReceivedFromFollowers: the group is stable already, yet a follower
/// that has not fetched its assignment in time is out.
#[test]
fn a_follower_that_never_syncs_is_removed() {
    without_restarts(|context| {
        let long = || JoinGroup {
            session_timeout_ms: 300_000,
            ..join()
        };
        let group = context.joined_group(vec![long(), long(), long()]);
        let leader = context.sync(sync_leader(&group.members[0], 1, &group.members));
        assert!(context.sync_reply(leader).is_ok());
        let ticket = context.sync(sync(&group.members[1], 1));
        assert!(context.sync_reply(ticket).is_ok());
        context.advance(i64::from(REBALANCE_MS));
        assert_eq!(context.state(), GroupState::PreparingRebalance);
        let gone = heartbeat(&group.members[2], 1);
        assert_eq!(context.heartbeat(gone), Err(GroupError::UnknownMember));
    });
}

/// testRebalanceDoesNotTimeOutWhenAllSyncAreReceived.
#[test]
fn once_all_have_synced_no_timer_runs_for_them() {
    without_restarts(|context| {
        let long = || JoinGroup {
            session_timeout_ms: 300_000,
            ..join()
        };
        context.stable_group(vec![long(), long()]);
        context.advance(2 * i64::from(REBALANCE_MS));
        assert_eq!(context.state(), GroupState::Stable);
    });
}

/// An assignment that does not fit into the log fails the generation, not the shard.
#[test]
fn an_assignment_too_large_for_the_log_rebalances() {
    run_default(|context| {
        let group = context.joined_group(vec![join(), join()]);
        let follower = context.sync(sync(&group.members[1], 1));
        let huge = vec![(group.members[1].clone(), Bytes::from(vec![0; 2_000_000]))];
        let leader = context.sync(SyncGroup {
            assignments: huge,
            ..sync(&group.members[0], 1)
        });
        assert_eq!(context.sync_reply(leader), Err(GroupError::RecordsTooLarge));
        assert_eq!(
            context.sync_reply(follower),
            Err(GroupError::RecordsTooLarge)
        );
        assert_eq!(context.state(), GroupState::PreparingRebalance);
        let tickets = group
            .members
            .iter()
            .map(|id| context.join(join_as(id)))
            .collect::<Vec<_>>();
        for ticket in tickets {
            assert_eq!(context.joined(ticket).generation, 2);
        }
    });
}

/// Kafka would leave the first request without an answer for ever.
#[test]
fn a_member_that_syncs_twice_gets_two_answers() {
    run_default(|context| {
        let group = context.joined_group(vec![join(), join()]);
        let first = context.sync(sync(&group.members[1], 1));
        let second = context.sync(sync(&group.members[1], 1));
        assert_eq!(
            context.sync_reply(first),
            Err(GroupError::RebalanceInProgress)
        );
        let leader = context.sync(sync_leader(&group.members[0], 1, &group.members));
        assert!(context.sync_reply(leader).is_ok());
        assert_eq!(
            context.sync_reply(second).unwrap().assignment,
            group.members[1]
        );
    });
}

/// testHeartbeatUnknownGroup, ...EmptyGroup, ...UnknownMemberExistingGroup, ...IllegalGeneration,
/// ...DuringPreparingRebalance, ...DuringCompletingRebalance, testValidHeartbeat.
#[test]
fn heartbeats_tell_members_what_to_do() {
    run_default(|context| {
        let no_group = Heartbeat {
            group_id: String::new(),
            ..heartbeat("m", 1)
        };
        assert_eq!(context.heartbeat(no_group), Err(GroupError::EmptyGroupId));
        assert_eq!(
            context.heartbeat(heartbeat("m", 1)),
            Err(GroupError::UnknownMember)
        );
        let group = context.joined_group(vec![join(), join()]);
        let [leader, follower] = &group.members[..] else {
            panic!("two members")
        };
        assert_eq!(context.heartbeat(heartbeat(leader, 1)), Ok(()));
        context.sync_all(&group);
        assert_eq!(context.heartbeat(heartbeat(leader, 1)), Ok(()));
        assert_eq!(
            context.heartbeat(heartbeat("m", 1)),
            Err(GroupError::UnknownMember)
        );
        assert_eq!(
            context.heartbeat(heartbeat(leader, 2)),
            Err(GroupError::IllegalGeneration)
        );
        context.join(join_as(leader));
        assert_eq!(
            context.heartbeat(heartbeat(follower, 1)),
            Err(GroupError::RebalanceInProgress)
        );
        context.leave(vec![leaving(leader, None), leaving(follower, None)]);
        assert_eq!(
            context.heartbeat(heartbeat(leader, 1)),
            Err(GroupError::UnknownMember)
        );
    });
}

/// testClassicGroupMemberSessionTimeout, testClassicGroupMemberHeartbeatMaintainsSession,
/// testGenericGroupOffsetCommitMaintainsSession.
#[test]
fn heartbeats_and_commits_keep_a_session_alive() {
    without_restarts(|context| {
        let group = context.stable_group(vec![join()]);
        let member = &group.members[0];
        for _ in 0..3 {
            context.advance(i64::from(SESSION_MS) - 1);
            assert_eq!(context.heartbeat(heartbeat(member, 1)), Ok(()));
            context.advance(i64::from(SESSION_MS) - 1);
            assert_eq!(context.commit(commit_as(member, 1, "topic", 5)), Ok(()));
        }
        context.advance(i64::from(SESSION_MS));
        assert_eq!(
            context.heartbeat(heartbeat(member, 1)),
            Err(GroupError::UnknownMember)
        );
        assert_eq!(context.state(), GroupState::Empty);
    });
}

/// testClassicGroupMemberSessionTimeoutDuringRebalance, testRebalanceCompletesBeforeMemberJoins: a silent member is
/// out before the rebalance timeout; those who wait for the rebalance need not send heartbeats.
#[test]
fn sessions_end_during_a_rebalance_but_not_for_those_who_wait() {
    without_restarts(|context| {
        let group = context.stable_group(vec![join(), join()]);
        let leader = context.join(join_as(&group.members[0]));
        context.advance(i64::from(SESSION_MS) - 1);
        let beat = heartbeat(&group.members[1], 1);
        assert_eq!(
            context.heartbeat(beat),
            Err(GroupError::RebalanceInProgress)
        );
        context.advance(i64::from(SESSION_MS) - 1);
        assert!(context.is_waiting(leader));
        context.advance(1);
        let joined = context.joined(leader);
        assert_eq!((joined.generation, joined.members.len()), (2, 1));
    });
}

/// testNewMemberFailureAfterJoinGroupCompletion: once it has an id, a new member has an ordinary session.
#[test]
fn a_new_member_that_dies_after_its_first_join_is_removed() {
    without_restarts(|context| {
        let group = context.stable_group(vec![join()]);
        let new = context.join(join());
        let old = context.join(join_as(&group.members[0]));
        let new = context.joined(new);
        assert_eq!(context.joined(old).generation, 2);
        let ticket = context.sync(sync_leader(&group.members[0], 2, &group.members));
        assert!(context.sync_reply(ticket).is_ok());
        context.advance(i64::from(SESSION_MS) - 1);
        assert_eq!(context.heartbeat(heartbeat(&group.members[0], 2)), Ok(()));
        context.advance(1);
        assert_eq!(context.state(), GroupState::PreparingRebalance);
        assert_eq!(
            context.heartbeat(heartbeat(&new.member_id, 2)),
            Err(GroupError::UnknownMember)
        );
    });
}

/// testLeaveGroupInvalidGroup, testLeaveGroupUnknownGroup, testLeaveGroupUnknownMemberIdExistingGroup,
/// testValidLeaveGroup, testPendingMembersLeaveGroup.
#[test]
fn leaving_is_answered_member_by_member() {
    without_restarts(|context| {
        let no_group = LeaveGroup {
            group_id: String::new(),
            members: vec![leaving("m", None)],
        };
        let refused = Reply::LeaveGroup(Err(GroupError::EmptyGroupId));
        assert_eq!(context.ask(Command::LeaveGroup(no_group)), refused);
        let left = context.leave(vec![leaving("m", Some("i"))]);
        assert_eq!(left[0].result, Err(GroupError::UnknownMember));
        assert_eq!(
            (left[0].member_id.as_str(), left[0].instance_id.as_deref()),
            ("m", Some("i"))
        );

        let group = context.stable_group(vec![join(), join()]);
        let ticket = context.join(join_v4());
        let pending = context.join_refused(ticket).member_id;
        let left = context.leave(vec![leaving("m", None), leaving(&pending, None)]);
        assert_eq!(left[0].result, Err(GroupError::UnknownMember));
        assert_eq!(left[1].result, Ok(()));
        // Even a member that never got in makes the others join again, as in Kafka.
        assert_eq!(context.state(), GroupState::PreparingRebalance);

        let one = context.join(join_as(&group.members[0]));
        context.leave(vec![leaving(&group.members[1], None)]);
        assert_eq!(context.joined(one).members.len(), 1);
        context.leave(vec![leaving(&group.members[0], None)]);
        let description = context.describe(GROUP).unwrap();
        assert_eq!(description.state, GroupState::Empty);
        assert_eq!(description.protocol_type, "consumer");
        assert_eq!(description.protocol_name, "");
    });
}

/// Whoever leaves while its own requests wait gets answers to them.
#[test]
fn leaving_answers_what_the_member_waits_for() {
    run_default(|context| {
        let group = context.stable_group(vec![join(), join()]);
        let parked = context.join(join_as(&group.members[0]));
        context.leave(vec![leaving(&group.members[0], None)]);
        let refused = context.join_refused(parked);
        assert_eq!(
            (refused.error, refused.member_id.as_str()),
            (GroupError::UnknownMember, "")
        );

        let new = context.join(join());
        let one = context.join(join_as(&group.members[1]));
        let (one, new) = (context.joined(one), context.joined(new));
        let parked = context.sync(sync(&new.member_id, one.generation));
        context.leave(vec![leaving(&new.member_id, None)]);
        assert_eq!(context.sync_reply(parked), Err(GroupError::UnknownMember));
    });
}

/// testGenerationIdIncrementsOnRebalance: also over an empty generation, and it is never used again.
#[test]
fn generations_only_go_up() {
    run_default(|context| {
        let mut expected = 0;
        for _ in 0..3 {
            let group = context.stable_group(vec![join()]);
            expected += 1;
            assert_eq!(group.generation, expected);
            context.leave(vec![leaving(&group.members[0], None)]);
            expected += 1;
            assert_eq!(context.state(), GroupState::Empty);
        }
    });
}

/// After a crash members, generation and assignments are as they were, and members heartbeat on
/// (testOnLoadedSchedulesClassicGroupMemberHeartbeats).
#[test]
fn a_restart_goes_unnoticed_by_members() {
    let mut context = Context::new(GroupConfig::default(), false);
    let group = context.stable_group(vec![join(), join_static("instance", ""), join()]);
    let before = context.describe(GROUP).unwrap();
    context.restart();
    assert_eq!(context.describe(GROUP).unwrap(), before);
    for member in &group.members {
        assert_eq!(
            context.heartbeat(heartbeat(member, group.generation)),
            Ok(())
        );
        let ticket = context.sync(sync(member, group.generation));
        assert_eq!(context.sync_reply(ticket).unwrap().assignment, *member);
    }
    // Whoever does not come back has a whole session to do so.
    context.advance(i64::from(SESSION_MS) - 1);
    assert_eq!(context.describe(GROUP).unwrap(), before);
    context.advance(1);
    assert_eq!(context.state(), GroupState::Empty);
}

/// A generation whose assignment was not written never happened; its members have to join again.
#[test]
fn a_restart_during_a_rebalance_goes_back_to_the_last_assignment() {
    let mut context = Context::new(GroupConfig::default(), false);
    let group = context.stable_group(vec![join(), join()]);
    let parked: Vec<_> = group
        .members
        .iter()
        .map(|id| context.join(join_as(id)))
        .collect();
    for ticket in parked {
        assert_eq!(context.joined(ticket).generation, 2);
    }
    context.restart();
    assert_eq!(context.state(), GroupState::Stable);
    let ahead = heartbeat(&group.members[0], 2);
    assert_eq!(context.heartbeat(ahead), Err(GroupError::IllegalGeneration));
    assert_eq!(context.heartbeat(heartbeat(&group.members[0], 1)), Ok(()));
}

/// With no delay and no wait, one member alone goes from nothing to stable without any time passing.
#[test]
fn a_lone_member_is_stable_within_one_tick() {
    let config = GroupConfig {
        initial_rebalance_delay_ms: 0,
        ..GroupConfig::default()
    };
    run(&config, |context| {
        let start = context.now_ms();
        context.stable_group(vec![join()]);
        assert_eq!(context.now_ms(), start);
        assert_eq!(context.state(), GroupState::Stable);
    });
}
