//! Offsets in transactions, with and without a member of the group behind them.

use super::super::commits::{commit_first, delete_from};
use super::super::draft::Draft;
use super::super::groups::DELETE_GROUPS;
use super::super::members::{self, Member};
use super::claim::Protocol;
use super::inspect::{fetch_offsets, observe};
use super::producer::Producer;
use crate::differential::plan::Request;
use crate::differential::template::{array, object};

/// A group whose offsets transactions commit.
pub fn transactional_group(draft: &mut Draft<'_>) -> String {
    let number = draft.between(0..=1);
    let group = format!("{}offsets{number}", draft.prefix);
    draft.nearly_always(group.clone(), &[group, String::new()])
}

/// A consumer whose offsets a producer commits, seen before, in and behind the transaction.
pub fn offsets(draft: &mut Draft<'_>) {
    let protocol = draft.pick(&[Protocol::Explicit, Protocol::Implicit]);
    let number = draft.fresh_number();
    let group = format!("{}consumers{number}", draft.prefix);
    let member = draft.chance(0.6).then(|| {
        let member = Member::new(draft, &group, 0);
        members::join_alone(draft, &member);
        let sync = member.sync(draft, &[&member]);
        draft.ask(sync);
        member
    });
    let mut producer = Producer::start(draft, protocol);
    for _ in 0..draft.pick(&[1, 1, 2]) {
        if protocol == Protocol::Explicit && draft.chance(0.9) {
            producer.add_offsets(draft, &group);
        }
        for _ in 0..draft.pick(&[1, 1, 2]) {
            let commit = producer.offset_commit(draft, &group);
            let commit = with_membership(draft, commit, member.as_ref());
            draft.ask(commit);
            look(draft, &group, &producer);
        }
        let committed = draft.chance(0.7);
        producer.end(draft, committed);
        look(draft, &group, &producer);
    }
    if let Some(member) = member {
        let leave = member.leave(draft);
        draft.ask(leave);
    }
}

fn look(draft: &mut Draft<'_>, group: &str, producer: &Producer) {
    match draft.weighted(&[7, 2, 1]) {
        0 => {
            let request = fetch_offsets(draft, group);
            draft.ask(request);
        }
        1 => observe(draft, producer),
        _ => interfere(draft, group),
    }
}

/// Somebody else changes the group, or its offsets, that a transaction is about to change.
fn interfere(draft: &mut Draft<'_>, group: &str) {
    match draft.weighted(&[2, 2, 1]) {
        0 => commit_first(draft, group),
        1 => delete_from(draft, group),
        _ => {
            let body = object([("groupsNames", array([group]))]);
            draft.ask_with(DELETE_GROUPS, body);
        }
    }
}

/// The member that commits, another one, or none.
fn with_membership(draft: &mut Draft<'_>, mut commit: Request, member: Option<&Member>) -> Request {
    let own = draft.chance(0.75);
    commit.body = match member {
        Some(member) if own => commit
            .body
            .with("generationId", member.generation())
            .with("memberId", member.id()),
        Some(member) => match draft.weighted(&[1, 1, 1, 1]) {
            0 => commit
                .body
                .with("generationId", draft.pick(&[0, 2, 99, -1]))
                .with("memberId", member.id()),
            1 => commit
                .body
                .with("generationId", member.generation())
                .with("memberId", draft.pick(&["nobody", ""])),
            2 => commit
                .body
                .with("generationId", member.generation())
                .with("memberId", member.id())
                .with("groupInstanceId", draft.pick(&["nobody", ""])),
            // As a client that knows nothing of the group.
            _ => commit.body,
        },
        None if own => commit.body,
        None => commit
            .body
            .with("generationId", draft.pick(&[-1, 0, 1]))
            .with("memberId", draft.pick(&["nobody", ""]))
            .with("groupInstanceId", draft.pick(&[None, Some("nobody")])),
    };
    commit
}
