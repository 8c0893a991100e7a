//! Looking at groups from outside, deleting them, and calls of members that nobody knows.

use super::commits;
use super::draft::Draft;
use super::members::{HEARTBEAT, JOIN_GROUP, LEAVE_GROUP, SYNC_GROUP, join_body};
use crate::differential::plan::Request;
use crate::differential::template::{Template, array, object};

const FIND_COORDINATOR: i16 = 10;
const DESCRIBE_GROUPS: i16 = 15;
const LIST_GROUPS: i16 = 16;
pub const DELETE_GROUPS: i16 = 42;

/// Key types: groups, and numbers that mean nothing. Transactions and share groups bring topics of their own into being.
const KEY_TYPES: &[i16] = &[0, 0, 3, -1];

fn any_group(draft: &mut Draft<'_>) -> String {
    let own = draft.group_name();
    let unknown = format!("{}unknown", draft.prefix);
    draft.mostly(own, &[unknown, String::new()])
}

pub fn find_coordinator(draft: &mut Draft<'_>) {
    let key = any_group(draft);
    let mut keys = vec![key.clone()];
    if draft.chance(0.3) {
        keys.push(any_group(draft));
    }
    if draft.chance(0.05) {
        keys.clear();
    }
    let body = object([
        ("key", key.into()),
        ("keyType", draft.mostly(0, KEY_TYPES).into()),
        ("coordinatorKeys", array(keys)),
    ]);
    draft.ask_with(FIND_COORDINATOR, body);
}

pub fn describe(draft: &mut Draft<'_>) {
    let groups: Vec<String> = (0..draft.pick(&[1, 1, 2]))
        .map(|_| any_group(draft))
        .collect();
    let body = object([
        ("groups", array(groups)),
        ("includeAuthorizedOperations", draft.chance(0.4).into()),
    ]);
    draft.ask_with(DESCRIBE_GROUPS, body);
}

pub fn list(draft: &mut Draft<'_>) {
    let states = [
        "Empty",
        "Stable",
        "empty",
        "Dead",
        "PreparingRebalance",
        "Nonsense",
        "",
    ];
    let types = ["classic", "consumer", "Classic", "share", "Nonsense", ""];
    let some = |draft: &mut Draft<'_>, pool: &[&'static str]| {
        let count = draft.pick(&[0, 0, 1, 2]);
        array((0..count).map(|_| draft.pick(pool)).collect::<Vec<_>>())
    };
    let states = some(draft, &states);
    let types = some(draft, &types);
    let body = object([("statesFilter", states), ("typesFilter", types)]);
    draft.ask_with(LIST_GROUPS, body);
}

pub fn delete(draft: &mut Draft<'_>) {
    let own = draft.group_name();
    commits::commit_first(draft, &own);
    let mut groups: Vec<String> = (0..draft.pick(&[1, 1, 2]))
        .map(|_| any_group(draft))
        .collect();
    if draft.chance(0.05) {
        groups.push(groups[0].clone());
    }
    let body = object([("groupsNames", array(groups))]);
    draft.ask_with(DELETE_GROUPS, body);
}

/// Calls with ids and generations that were never given out.
pub fn wrong_member_calls(draft: &mut Draft<'_>) {
    for _ in 0..draft.between(1..=2) {
        let request = wrong_member_call(draft);
        draft.ask(request);
    }
}

fn wrong_member_call(draft: &mut Draft<'_>) -> Request {
    let group = any_group(draft);
    let member = draft.pick(&["", "nobody"]);
    let generation = draft.pick(&[-1, 0, 1, 5]);
    let instance = draft.pick(&[None, None, Some("instance"), Some("")]);
    let about = |body: Template| {
        body.with("groupId", group.as_str())
            .with("memberId", member)
            .with("groupInstanceId", instance)
            .with("generationId", generation)
    };
    match draft.weighted(&[2, 2, 2, 2]) {
        0 => draft.request(HEARTBEAT, about(object([]))),
        1 => {
            let body = about(object([
                ("protocolType", draft.pick(&[None, Some("consumer")]).into()),
                ("protocolName", draft.pick(&[None, Some("range")]).into()),
                ("assignments", array([] as [Template; 0])),
            ]));
            draft.request(SYNC_GROUP, body)
        }
        2 => {
            let members = array([object([
                ("memberId", member.into()),
                ("groupInstanceId", instance.into()),
            ])]);
            let body = object([
                ("groupId", group.as_str().into()),
                ("memberId", member.into()),
                (
                    "members",
                    draft.mostly(members, &[array([] as [Template; 0])]),
                ),
            ]);
            draft.request(LEAVE_GROUP, body)
        }
        _ => {
            let body = join_body(draft, &group)
                // An id that was never given out is refused; an empty one would create a member.
                .with("memberId", "nobody")
                .with("groupInstanceId", instance);
            draft.request(JOIN_GROUP, body)
        }
    }
}
