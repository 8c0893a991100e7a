//! Joining a group, up to the first generation. Ideas and names from Kafka's GroupMetadataManagerTest.

mod common;

use common::build::*;
use common::{Context, GROUP, run, run_default};
use klamm_group_coordinator::{Command, GroupConfig, GroupError, GroupState, JoinGroup};

fn refusal(context: &mut Context, join: JoinGroup) -> GroupError {
    let ticket = context.join(join);
    context.join_refused(ticket).error
}

/// What is refused before a group is looked up, with the member id as it came (GroupCoordinatorServiceTest:
/// testJoinGroupInvalidGroupId, testJoinGroupInvalidSessionTimeout).
#[test]
fn a_join_without_group_or_with_an_odd_session_is_refused_first() {
    run_default(|context| {
        for (join, error) in [
            (
                JoinGroup {
                    group_id: String::new(),
                    session_timeout_ms: 1,
                    ..join_as("m")
                },
                GroupError::EmptyGroupId,
            ),
            (
                JoinGroup {
                    session_timeout_ms: 5_999,
                    ..join_as("m")
                },
                GroupError::SessionTimeoutOutOfRange,
            ),
            (
                JoinGroup {
                    session_timeout_ms: 1_800_001,
                    ..join_as("m")
                },
                GroupError::SessionTimeoutOutOfRange,
            ),
        ] {
            let ticket = context.join(join);
            let refused = context.join_refused(ticket);
            assert_eq!((refused.error, refused.member_id.as_str()), (error, "m"));
        }
        assert_eq!(context.log_end(), 0);
    });
}

/// A member id needs a group that gave it out (testJoinGroupUnknownMemberNewGroup).
#[test]
fn a_member_id_does_not_create_a_group() {
    run_default(|context| {
        let ticket = context.join(join_as("m"));
        let refused = context.join_refused(ticket);
        assert_eq!(
            (refused.error, refused.member_id.as_str()),
            (GroupError::UnknownMember, "m")
        );
        assert_eq!(context.state(), GroupState::Dead);
    });
}

/// The group is created all the same, and in the log (testJoinGroupWithEmptyProtocolType,
/// testJoinGroupWithEmptyGroupProtocol).
#[test]
fn a_join_without_protocols_is_inconsistent_but_creates_the_group() {
    run_default(|context| {
        for bad in [
            JoinGroup {
                protocol_type: String::new(),
                ..join()
            },
            JoinGroup {
                protocols: Vec::new(),
                ..join()
            },
        ] {
            let ticket = context.join(bad);
            let refused = context.join_refused(ticket);
            assert_eq!(refused.error, GroupError::InconsistentProtocol);
            assert_eq!(refused.member_id, "");
        }
        assert_eq!(context.state(), GroupState::Empty);
        assert_eq!(context.log_end(), 1);
    });
}

/// testClassicGroupJoinInconsistentProtocolType, testJoinGroupInconsistentGroupProtocol.
#[test]
fn a_member_must_share_type_and_a_protocol_with_all_others() {
    run_default(|context| {
        context.stable_group(vec![join()]);
        let other_type = JoinGroup {
            protocol_type: "connect".to_owned(),
            ..join()
        };
        assert_eq!(
            refusal(context, other_type),
            GroupError::InconsistentProtocol
        );
        let other_protocol = JoinGroup {
            protocols: protocols(&["roundrobin"]),
            ..join()
        };
        assert_eq!(
            refusal(context, other_protocol),
            GroupError::InconsistentProtocol
        );
        assert_eq!(context.state(), GroupState::Stable);
    });
}

/// The id is the client's id and the UUID; the group stays empty until the member is back
/// (testJoinGroupCompletionWhenPendingMemberJoins, KIP-394).
#[test]
fn a_new_member_of_a_later_version_is_sent_back_with_an_id() {
    run_default(|context| {
        let ticket = context.join(join_v4());
        let refused = context.join_refused(ticket);
        assert_eq!(refused.error, GroupError::MemberIdRequired);
        assert_eq!(refused.member_id, "client-uuid001");
        assert_eq!(context.state(), GroupState::Empty);

        let ticket = context.join(JoinGroup {
            requires_known_member_id: true,
            ..join_as(&refused.member_id)
        });
        assert_eq!(context.state(), GroupState::PreparingRebalance);
        context.advance(3_000);
        let joined = context.joined(ticket);
        assert_eq!(joined.member_id, refused.member_id);
        assert_eq!(joined.leader, refused.member_id);
        assert_eq!(joined.generation, 1);
        assert_eq!(joined.protocol_name.as_deref(), Some("range"));
        assert_eq!(joined.protocol_type.as_deref(), Some("consumer"));
        assert_eq!(joined.members.len(), 1);
    });
}

/// A pending member that does not come back within its session is forgotten
/// (testHeartbeatExpirationShouldRemovePendingMember).
#[test]
fn a_pending_member_has_one_session_to_come_back() {
    run_default(|context| {
        let ticket = context.join(join_v4());
        let member_id = context.join_refused(ticket).member_id;
        context.advance(i64::from(SESSION_MS) - 1);
        context.give_up_pending_members();
        let kept = context.shard.next_deadline().map(|deadline| deadline.0);
        assert_eq!(kept, Some(context.now_ms() + 1));
        context.advance(1);
        assert_eq!(
            refusal(context, join_as(&member_id)),
            GroupError::UnknownMember
        );
    });
}

/// Kafka answers this with an internal error, and so do we in the end
/// (testJoinGroupExistingPendingMemberWithGroupInstanceIdThrowsException).
#[test]
fn a_pending_member_must_not_show_an_instance_id() {
    run_default(|context| {
        let ticket = context.join(join_v4());
        let member_id = context.join_refused(ticket).member_id;
        let odd = join_static("instance", &member_id);
        assert_eq!(refusal(context, odd), GroupError::InstanceIdOfPendingMember);
    });
}

/// Members come at 0, 2 and 5 s: each new one buys 3 s more, and the answer to all comes at 9 s
/// (testResetRebalanceDelayWhenNewMemberJoinsGroupDuringInitialRebalance, KIP-134).
#[test]
fn the_first_rebalance_waits_as_long_as_members_keep_coming() {
    run_default(|context| {
        let mut tickets = vec![context.join(join())];
        context.advance(2_000);
        tickets.push(context.join(join()));
        context.advance(3_000);
        tickets.push(context.join(join()));
        context.advance(3_999);
        assert_eq!(context.waiting_count(), 3);
        context.advance(1);
        let joined: Vec<_> = tickets
            .into_iter()
            .map(|ticket| context.joined(ticket))
            .collect();
        assert!(
            joined
                .iter()
                .all(|it| it.generation == 1 && it.leader == joined[0].member_id)
        );
        assert_eq!(joined[0].members.len(), 3);
        assert!(joined[1].members.is_empty() && joined[2].members.is_empty());
    });
}

/// The rebalance timeout of 4 s leaves 1 s after the first delay of 3 s, however many come
/// (testDelayRebalanceUptoRebalanceTimeout).
#[test]
fn the_first_rebalance_ends_with_the_largest_rebalance_timeout() {
    run_default(|context| {
        let short = || JoinGroup {
            rebalance_timeout_ms: 4_000,
            ..join()
        };
        context.join(short());
        for _ in 0..3 {
            context.advance(1_000);
            context.join(short());
        }
        context.advance(999);
        assert_eq!(context.waiting_count(), 4);
        context.advance(1);
        assert_eq!(context.waiting_count(), 0);
    });
}

/// `group.initial.rebalance.delay.ms=0`, as in tests of clients: the answer comes with the next tick.
#[test]
fn without_initial_delay_the_first_join_is_answered_at_once() {
    let config = GroupConfig {
        initial_rebalance_delay_ms: 0,
        ..GroupConfig::default()
    };
    run(&config, |context| {
        let ticket = context.join(join());
        context.advance(0);
        assert_eq!(context.joined(ticket).generation, 1);
    });
}

/// The first one in leads; only its answer lists everyone, with what they said for the chosen protocol.
#[test]
fn only_the_leader_learns_who_is_there() {
    run_default(|context| {
        let one = JoinGroup {
            protocols: vec![protocol("range", &["a"])],
            ..join()
        };
        let two = JoinGroup {
            protocols: vec![protocol("range", &["b"])],
            ..join()
        };
        let (one, two) = (context.join(one), context.join(two));
        context.advance(6_000);
        let (one, two) = (context.joined(one), context.joined(two));
        let told: Vec<_> = one
            .members
            .iter()
            .map(|it| (it.member_id.clone(), it.metadata.clone()))
            .collect();
        assert_eq!(
            told,
            [
                (one.member_id, subscription(&["a"])),
                (two.member_id, subscription(&["b"]))
            ]
        );
        assert!(two.members.is_empty());
    });
}

/// Connect and Schema Registry have types of their own, whose metadata is opaque.
#[test]
fn any_protocol_type_will_do() {
    run_default(|context| {
        let worker = || JoinGroup {
            protocol_type: "connect".to_owned(),
            protocols: vec![klamm_group_coordinator::Protocol {
                name: "sessioned".to_owned(),
                metadata: bytes::Bytes::from_static(b"\xff\xff"),
            }],
            ..join()
        };
        let group = context.stable_group(vec![worker(), worker()]);
        let description = context.describe(GROUP).unwrap();
        assert_eq!(description.protocol_type, "connect");
        assert_eq!(description.protocol_name, "sessioned");
        assert_eq!(description.members.len(), group.members.len());
        assert_eq!(&description.members[0].metadata[..], b"\xff\xff");
    });
}

/// testJoinGroupShouldReceiveErrorIfGroupOverMaxSize, testDynamicMembersJoinGroupWithMaxSizeAndNotRequiredKnownMember.
#[test]
fn a_full_group_turns_new_members_away_but_keeps_its_own() {
    let config = GroupConfig {
        members_max: 2,
        ..GroupConfig::default()
    };
    run(&config, |context| {
        let (one, two) = (context.join(join()), context.join(join()));
        let ticket = context.join(join());
        let refused = context.join_refused(ticket);
        assert_eq!(
            (refused.error, refused.member_id.as_str()),
            (GroupError::GroupFull, "")
        );
        context.advance(6_000);
        let one = context.joined(one);
        let group = StableGroup {
            generation: 1,
            members: vec![one.member_id, context.joined(two).member_id],
        };
        assert_eq!(refusal(context, join_v4()), GroupError::GroupFull);
        context.sync_all(&group);
        assert_eq!(refusal(context, join()), GroupError::GroupFull);
        // A follower with nothing new is answered at once, full or not.
        let ticket = context.join(join_as(&group.members[1]));
        assert_eq!(context.joined(ticket).generation, 1);
    });
}

/// A lowered limit takes effect with the next load: a rebalance, in which the last to come back are left out
/// (testOnLoadedExceedGroupMaxSizeTriggersRebalance, testLastJoiningMembersAreKickedOutWhenRejoiningGroupWithMaxSize).
#[test]
fn a_group_over_the_limit_rebalances_when_it_is_loaded() {
    let mut context = Context::new(GroupConfig::default(), false);
    let group = context.stable_group(vec![join(), join(), join()]);
    context.set_config(GroupConfig {
        members_max: 2,
        ..GroupConfig::default()
    });
    context.restart();
    assert_eq!(context.state(), GroupState::PreparingRebalance);
    let one = context.join(join_as(&group.members[1]));
    let two = context.join(join_as(&group.members[2]));
    // The third, which led, comes too late and is out; so the other two go on without it.
    assert_eq!(
        refusal(&mut context, join_as(&group.members[0])),
        GroupError::GroupFull
    );
    context.advance(i64::from(REBALANCE_MS));
    let (one, two) = (context.joined(one), context.joined(two));
    assert_eq!((one.generation, two.generation), (2, 2));
    assert_eq!(one.leader, group.members[1]);
    assert_eq!(one.members.len(), 2);
}

/// New members cannot heartbeat, so a parked join ends after five minutes, with an error that makes a client
/// that is still there try again (testNewMemberJoinExpiration).
#[test]
fn a_new_member_waits_five_minutes_at_most() {
    let mut context = Context::new(GroupConfig::default(), false);
    let slow = || JoinGroup {
        rebalance_timeout_ms: 600_000,
        session_timeout_ms: 700_000,
        ..join()
    };
    let group = context.stable_group(vec![slow()]);
    let ticket = context.join(slow());
    assert_eq!(context.state(), GroupState::PreparingRebalance);
    context.advance(299_999);
    assert!(context.is_waiting(ticket));
    context.advance(1);
    let refused = context.join_refused(ticket);
    assert_eq!(
        (refused.error, refused.member_id.as_str()),
        (GroupError::UnknownMember, "")
    );
    // The other one is still awaited.
    let ticket = context.join(JoinGroup {
        member_id: group.members[0].clone(),
        ..slow()
    });
    assert_eq!(context.joined(ticket).members.len(), 1);
}

/// Kafka would leave the first request without an answer for ever.
#[test]
fn a_member_that_joins_twice_gets_two_answers() {
    run_default(|context| {
        let group = context.stable_group(vec![join(), join()]);
        let first = context.join(join_as(&group.members[0]));
        let second = context.join(join_as(&group.members[0]));
        let refused = context.join_refused(first);
        assert_eq!(refused.error, GroupError::RebalanceInProgress);
        context.join(join_as(&group.members[1]));
        assert_eq!(context.joined(second).generation, 2);
    });
}

/// A client id at the limit of a string leaves no room for the UUID.
#[test]
fn names_that_no_record_can_hold_are_refused() {
    run_default(|context| {
        let long = "x".repeat(i16::MAX as usize);
        let member = JoinGroup {
            client_id: long.clone(),
            ..join()
        };
        assert_eq!(refusal(context, member), GroupError::NameTooLong);
        let group = JoinGroup {
            group_id: format!("{long}x"),
            ..join()
        };
        assert_eq!(refusal(context, group), GroupError::NameTooLong);
        let mut commit = commit("topic", 0, 1);
        commit.group_id = format!("{long}x");
        assert_eq!(context.commit(commit), Err(GroupError::NameTooLong));
    });
}

/// With two protocols that all support, the more wanted one is chosen, and again after a change of mind.
#[test]
fn protocols_are_chosen_by_vote() {
    let mut context = Context::new(GroupConfig::default(), false);
    let wants = |names: &[&str]| JoinGroup {
        protocols: protocols(names),
        ..join()
    };
    let tickets = [
        context.join(wants(&["range", "roundrobin"])),
        context.join(wants(&["roundrobin", "range"])),
        context.join(wants(&["roundrobin", "sticky", "range"])),
    ];
    context.advance(6_000);
    for ticket in tickets {
        assert_eq!(
            context.joined(ticket).protocol_name.as_deref(),
            Some("roundrobin")
        );
    }
}

/// A command for another group does not disturb this one.
#[test]
fn groups_do_not_know_each_other() {
    run_default(|context| {
        context.stable_group(vec![join()]);
        let other = JoinGroup {
            group_id: "other".to_owned(),
            ..join()
        };
        let ticket = context.join(other);
        assert!(context.is_waiting(ticket));
        assert_eq!(context.state(), GroupState::Stable);
        let deleted = context.ask(Command::DeleteGroup {
            group_id: "other".to_owned(),
        });
        let refused = Err(GroupError::NonEmptyGroup);
        assert_eq!(
            deleted,
            klamm_group_coordinator::Reply::DeleteGroup(refused)
        );
    });
}
