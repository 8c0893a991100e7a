//! Static members (KIP-345). Ideas and names from Kafka's GroupMetadataManagerTest.

mod common;

use common::build::*;
use common::{Context, GROUP, run_default};
use klamm_group_coordinator::{
    GroupConfig, GroupError, GroupState, Heartbeat, JoinGroup, Protocol, SyncGroup,
};

/// A stable group of two static members, `leader` and `follower`.
fn two_instances(context: &mut Context) -> StableGroup {
    context.stable_group(vec![join_static("leader", ""), join_static("follower", "")])
}

fn sync_static(member_id: &str, instance_id: &str, generation: i32) -> SyncGroup {
    SyncGroup {
        instance_id: Some(instance_id.to_owned()),
        ..sync(member_id, generation)
    }
}

fn heartbeat_static(member_id: &str, instance_id: &str, generation: i32) -> Heartbeat {
    Heartbeat {
        instance_id: Some(instance_id.to_owned()),
        ..heartbeat(member_id, generation)
    }
}

/// The id is made of the instance id, and there is no second request (testStaticMemberJoinAsFirstMember).
#[test]
fn a_static_member_is_admitted_at_once_under_its_instance_id() {
    run_default(|context| {
        let ticket = context.join(JoinGroup {
            requires_known_member_id: true,
            ..join_static("instance", "")
        });
        context.advance(3_000);
        let joined = context.joined(ticket);
        assert_eq!(joined.member_id, "instance-uuid001");
        assert_eq!(joined.members[0].instance_id.as_deref(), Some("instance"));
    });
}

/// Nothing about the protocol changes, so the group stays stable, and the new id is written down
/// (testStaticMemberRejoinAsFollowerWithUnknownMemberId, testReplaceStaticMemberInStableStateSucceeds).
#[test]
fn a_follower_that_comes_back_takes_over_without_a_rebalance() {
    run_default(|context| {
        let group = two_instances(context);
        let log_end = context.log_end();
        let ticket = context.join(join_static("follower", ""));
        let joined = context.joined(ticket);
        assert_ne!(joined.member_id, group.members[1]);
        assert_eq!(
            (joined.generation, &joined.leader),
            (group.generation, &group.members[0])
        );
        assert!(!joined.skip_assignment && joined.members.is_empty());
        assert_eq!(context.state(), GroupState::Stable);
        assert_eq!(context.records_since(log_end).len(), 1);

        // The new id has the old one's assignment, and the old id is fenced.
        let ticket = context.sync(sync_static(&joined.member_id, "follower", group.generation));
        assert_eq!(
            context.sync_reply(ticket).unwrap().assignment,
            group.members[1]
        );
        let old = heartbeat_static(&group.members[1], "follower", group.generation);
        assert_eq!(context.heartbeat(old), Err(GroupError::FencedInstance));
        let new = heartbeat_static(&joined.member_id, "follower", group.generation);
        assert_eq!(context.heartbeat(new), Ok(()));
    });
}

/// A client of version 9 is told that it leads and that there is nothing to assign (KIP-814,
/// testStaticMemberRejoinWithLeaderIdAndUnknownMemberId).
#[test]
fn a_leader_that_comes_back_is_told_to_skip_the_assignment() {
    run_default(|context| {
        let group = two_instances(context);
        let ticket = context.join(JoinGroup {
            supports_skipping_assignment: true,
            ..join_static("leader", "")
        });
        let joined = context.joined(ticket);
        assert!(joined.skip_assignment);
        assert_eq!(joined.leader, joined.member_id);
        assert_eq!(joined.members.len(), 2);
        assert_eq!(joined.generation, group.generation);
        assert_eq!(context.state(), GroupState::Stable);
    });
}

/// A client that cannot be told so is given the old id as the leader's, so that it does not assign anything.
#[test]
fn an_old_leader_that_comes_back_believes_that_another_one_leads() {
    run_default(|context| {
        let group = two_instances(context);
        let ticket = context.join(join_static("leader", ""));
        let joined = context.joined(ticket);
        assert_eq!(joined.leader, group.members[0]);
        assert_ne!(joined.leader, joined.member_id);
        assert!(!joined.skip_assignment && joined.members.is_empty());
        // In truth it leads: when it joins with its id, the group rebalances.
        context.join(join_static("leader", &joined.member_id));
        assert_eq!(context.state(), GroupState::PreparingRebalance);
    });
}

/// testGetDifferentStaticMemberIdAfterEachRejoin.
#[test]
fn every_return_of_a_static_member_makes_a_new_id() {
    run_default(|context| {
        let group = two_instances(context);
        let mut ids = vec![group.members[1].clone()];
        for _ in 0..5 {
            let ticket = context.join(join_static("follower", ""));
            let id = context.joined(ticket).member_id;
            assert!(!ids.contains(&id));
            ids.push(id);
        }
        assert_eq!(context.describe(GROUP).unwrap().members.len(), 2);
    });
}

/// testStaticMemberRejoinAsFollowerWithKnownMemberIdAndNoProtocolChange, and the leader's counterpart
/// testStaticMemberRejoinWithLeaderIdAndKnownMemberId.
#[test]
fn with_its_id_a_follower_changes_nothing_and_a_leader_rebalances() {
    run_default(|context| {
        let group = two_instances(context);
        let ticket = context.join(join_static("follower", &group.members[1]));
        let joined = context.joined(ticket);
        assert_eq!(
            (&joined.member_id, joined.generation),
            (&group.members[1], group.generation)
        );

        let leader = context.join(join_static("leader", &group.members[0]));
        assert_eq!(context.state(), GroupState::PreparingRebalance);
        let follower = context.join(join_static("follower", &group.members[1]));
        assert_eq!(context.joined(leader).generation, group.generation + 1);
        assert_eq!(context.joined(follower).leader, group.members[0]);
    });
}

/// The group's choice would be another one, so everybody has to join again
/// (testStaticMemberRejoinWithUnknownMemberIdAndChangeOfProtocolWithSelectedProtocolChanged).
#[test]
fn a_return_that_changes_the_chosen_protocol_rebalances() {
    let mut context = Context::new(GroupConfig::default(), false);
    let both = |instance: &str| JoinGroup {
        protocols: protocols(&["range", "roundrobin"]),
        ..join_static(instance, "")
    };
    let group = context.stable_group(vec![both("leader"), both("follower")]);
    let other = JoinGroup {
        protocols: protocols(&["roundrobin"]),
        ..join_static("follower", "")
    };
    let ticket = context.join(other);
    assert!(context.is_waiting(ticket));
    assert_eq!(context.state(), GroupState::PreparingRebalance);
    let leader = context.join(JoinGroup {
        member_id: group.members[0].clone(),
        ..both("leader")
    });
    assert_eq!(
        context.joined(ticket).protocol_name.as_deref(),
        Some("roundrobin")
    );
    assert_eq!(context.joined(leader).generation, group.generation + 1);
}

/// New metadata for the chosen protocol is written down; new timeouts count from now on
/// (testStaticMemberRejoinWithUnknownMemberIdAndChangeOfProtocolWhileSelectProtocolUnchanged).
#[test]
fn a_return_with_other_metadata_is_written_down() {
    run_default(|context| {
        two_instances(context);
        let protocols = vec![
            protocol("range", &["other"]),
            protocol("sticky", &["other"]),
        ];
        let ticket = context.join(JoinGroup {
            protocols,
            session_timeout_ms: 20_000,
            ..join_static("follower", "")
        });
        let member_id = context.joined(ticket).member_id;
        let described = context.describe(GROUP).unwrap();
        assert_eq!(described.members[1].member_id, member_id);
        assert_eq!(described.members[1].metadata, subscription(&["other"]));
    });
}

/// The record would not fit into a batch, so the old id stays
/// (testStaticMemberRejoinWithUnknownMemberIdAndChangeOfProtocolWhileSelectProtocolUnchangedPersistenceFailure).
#[test]
fn a_return_that_cannot_be_written_is_undone() {
    run_default(|context| {
        let group = two_instances(context);
        let before = context.describe(GROUP).unwrap();
        let log_end = context.log_end();
        let huge = Protocol {
            name: "range".to_owned(),
            metadata: vec![0; 2_000_000].into(),
        };
        let ticket = context.join(JoinGroup {
            protocols: vec![huge],
            ..join_static("follower", "")
        });
        let refused = context.join_refused(ticket);
        assert_eq!(
            (refused.error, refused.member_id.as_str()),
            (GroupError::RecordsTooLarge, "")
        );
        assert_eq!(context.describe(GROUP).unwrap(), before);
        assert_eq!(context.log_end(), log_end);
        let old = heartbeat_static(&group.members[1], "follower", group.generation);
        assert_eq!(context.heartbeat(old), Ok(()));
    });
}

/// Two processes with the same instance id: the one that waits is fenced by the one that comes
/// (testStaticMemberFenceDuplicateRejoiningFollowerAfterMemberIdChanged).
#[test]
fn a_parked_join_is_fenced_by_a_duplicate() {
    run_default(|context| {
        let group = two_instances(context);
        let leader = context.join(join_static("leader", &group.members[0]));
        let first = context.join(JoinGroup {
            protocols: protocols(&["range", "new"]),
            ..join_static("extra", "")
        });
        let duplicate = context.join(JoinGroup {
            protocols: protocols(&["range", "new"]),
            ..join_static("extra", "")
        });
        let refused = context.join_refused(first);
        assert_eq!(refused.error, GroupError::FencedInstance);
        assert_ne!(refused.member_id, "");
        let follower = context.join(join_static("follower", &group.members[1]));
        for ticket in [leader, follower, duplicate] {
            assert_eq!(context.joined(ticket).generation, group.generation + 1);
        }
    });
}

/// While the leader assigns, its members must not change under it
/// (testReplaceStaticMemberInCompletingRebalanceStateTriggersRebalance,
/// testStaticMemberFenceDuplicateSyncingFollowerAfterMemberIdChanged).
#[test]
fn a_return_during_the_sync_fences_the_old_id_and_rebalances() {
    run_default(|context| {
        let group =
            context.joined_group(vec![join_static("leader", ""), join_static("follower", "")]);
        let parked = context.sync(sync_static(&group.members[1], "follower", group.generation));
        let back = context.join(join_static("follower", ""));
        assert_eq!(context.sync_reply(parked), Err(GroupError::FencedInstance));
        assert_eq!(context.state(), GroupState::PreparingRebalance);
        let stale = sync_static(&group.members[1], "follower", group.generation);
        let stale = context.sync(stale);
        assert_eq!(context.sync_reply(stale), Err(GroupError::FencedInstance));
        let leader = context.join(join_static("leader", &group.members[0]));
        assert_eq!(context.joined(back).generation, group.generation + 1);
        assert_eq!(context.joined(leader).members.len(), 2);
    });
}

/// Its metadata stays; it may still come back while its session lasts
/// (testStaticMemberFollowerFailToRejoinBeforeRebalanceTimeout).
#[test]
fn a_static_member_that_misses_a_rebalance_keeps_its_place() {
    let mut context = Context::new(GroupConfig::default(), false);
    let long = |instance: &str, id: &str| JoinGroup {
        session_timeout_ms: 120_000,
        rebalance_timeout_ms: 5_000,
        ..join_static(instance, id)
    };
    let group = context.stable_group(vec![long("leader", ""), long("follower", "")]);
    let leader = context.join(long("leader", &group.members[0]));
    context.advance(5_000);
    let joined = context.joined(leader);
    assert_eq!(joined.generation, group.generation + 1);
    assert_eq!(joined.members.len(), 2);
}

/// The other one leads now (testStaticMemberLeaderFailToRejoinBeforeRebalanceTimeout).
#[test]
fn a_static_leader_that_misses_a_rebalance_is_succeeded() {
    let mut context = Context::new(GroupConfig::default(), false);
    let long = |instance: &str, id: &str| JoinGroup {
        session_timeout_ms: 120_000,
        rebalance_timeout_ms: 5_000,
        ..join_static(instance, id)
    };
    let group = context.stable_group(vec![long("leader", ""), long("follower", "")]);
    let changed = JoinGroup {
        protocols: vec![protocol("range", &["new"])],
        ..long("follower", &group.members[1])
    };
    let follower = context.join(changed);
    context.advance(5_000);
    let joined = context.joined(follower);
    assert_eq!(joined.leader, group.members[1]);
    assert_eq!(joined.members.len(), 2);
}

/// Nobody comes, and nobody may be removed: the group waits until the session is over, and no timer spins although
/// the rebalance timeout is zero (testCompleteJoinPhaseNoMembersRejoinedExtendsJoinPhase).
#[test]
fn a_group_of_absent_static_members_waits_for_their_sessions() {
    let mut context = Context::new(GroupConfig::default(), false);
    let hasty = |instance: &str, rebalance_timeout_ms| JoinGroup {
        rebalance_timeout_ms,
        session_timeout_ms: 6_000,
        ..join_static(instance, "")
    };
    context.stable_group(vec![hasty("one", 1), hasty("two", 1)]);
    let ticket = context.join(hasty("two", 0));
    let joined = context.joined(ticket);
    context.leave(vec![leaving("", Some("one"))]);
    context.advance(5_999);
    assert_eq!(context.state(), GroupState::PreparingRebalance);
    assert_eq!(context.describe(GROUP).unwrap().members.len(), 1);
    let beat = heartbeat(&joined.member_id, joined.generation);
    assert_eq!(
        context.heartbeat(beat),
        Err(GroupError::RebalanceInProgress)
    );
    context.advance(6_000);
    assert_eq!(context.state(), GroupState::Empty);
}

/// testStaticMemberRejoinAsFollowerWithMismatchedInstanceId, testStaticMemberJoinWithUnknownInstanceIdAndKnownMemberId.
#[test]
fn member_id_and_instance_id_must_belong_together() {
    run_default(|context| {
        let group = two_instances(context);
        for (instance, member_id, error) in [
            ("leader", &group.members[1], GroupError::FencedInstance),
            ("unknown", &group.members[1], GroupError::UnknownMember),
        ] {
            let ticket = context.join(join_static(instance, member_id));
            let refused = context.join_refused(ticket);
            assert_eq!((refused.error, &refused.member_id), (error, member_id));
            let ticket = context.sync(sync_static(member_id, instance, group.generation));
            assert_eq!(context.sync_reply(ticket), Err(error));
            let beat = heartbeat_static(member_id, instance, group.generation);
            assert_eq!(context.heartbeat(beat), Err(error));
            let left = context.leave(vec![leaving(member_id, Some(instance))]);
            assert_eq!(left[0].result, Err(error));
            let mut commit = commit_as(member_id, group.generation, "topic", 1);
            commit.instance_id = Some(instance.to_owned());
            assert_eq!(context.commit(commit), Err(error));
        }
    });
}

/// An administrator names instances alone, in one batch with one rebalance
/// (testStaticMembersValidBatchLeaveGroup, testStaticMembersUnknownInstanceBatchLeaveGroup).
#[test]
fn an_administrator_removes_instances() {
    run_default(|context| {
        two_instances(context);
        let left = context.leave(vec![
            leaving("", Some("unknown")),
            leaving("", None),
            leaving("", Some("follower")),
        ]);
        let results: Vec<_> = left.iter().map(|it| it.result).collect();
        let unknown = Err(GroupError::UnknownMember);
        assert_eq!(results, [unknown, unknown, Ok(())]);
        assert_eq!(left[2].instance_id.as_deref(), Some("follower"));
        assert_eq!(context.state(), GroupState::PreparingRebalance);
        let left = context.leave(vec![leaving("", Some("leader"))]);
        assert_eq!(left[0].result, Ok(()));
        assert_eq!(context.state(), GroupState::Empty);
        assert_eq!(context.describe(GROUP).unwrap().members, []);
    });
}

/// A static member that is gone for longer than its session is out like any other.
#[test]
fn a_static_member_is_removed_when_its_session_ends() {
    run_default(|context| {
        two_instances(context);
        context.advance(i64::from(SESSION_MS));
        // Both sessions end: the first one starts a rebalance, the second one leaves nobody to wait for.
        assert_eq!(context.state(), GroupState::Empty);
    });
}
