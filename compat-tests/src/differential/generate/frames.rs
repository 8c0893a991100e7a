//! Requests whose bytes are not what their header says.

use super::draft::Draft;
use crate::differential::plan::{FrameDamage, Request};
use crate::differential::template::{Template, array, object};

/// Reading requests only: what a damaged one says by chance must not change the server.
const HARMLESS_APIS: &[i16] = &[1, 2, 9, 10, 12, 15, 16, 18, 23, 32, 35, 60, 75];

/// The connection of these requests, which is lost more often than not.
const CONNECTION: usize = 5;

/// A body with something in it where that needs little.
fn small_body(draft: &mut Draft<'_>, api_key: i16) -> Template {
    let name = draft.any_topic().name;
    match api_key {
        9 | 12 => object([("groupId", draft.group_name().into())]),
        15 => object([("groups", array([draft.group_name()]))]),
        75 => object([("topics", array([object([("name", name.into())])]))]),
        10 => {
            let group = draft.group_name();
            object([
                ("key", group.as_str().into()),
                ("coordinatorKeys", array([group])),
            ])
        }
        _ => object([]),
    }
}

fn harmless(draft: &mut Draft<'_>) -> Request {
    let served: Vec<i16> = HARMLESS_APIS
        .iter()
        .copied()
        .filter(|api| draft.serves(*api))
        .collect();
    let api_key = draft.pick(&served);
    let body = small_body(draft, api_key);
    draft.request(api_key, body).on(CONNECTION)
}

pub fn damaged(draft: &mut Draft<'_>) {
    let mut request = harmless(draft);
    request.damage = Some(match draft.weighted(&[3, 2, 3]) {
        0 => FrameDamage::Cut(draft.between(1..=8) as usize),
        1 => {
            let length = draft.pick(&[1, 4, 100]);
            FrameDamage::Extend(draft.bytes(length))
        }
        _ => FrameDamage::Invert(draft.between(0..=40) as usize),
    });
    draft.ask(request);
}

pub fn unsupported_version(draft: &mut Draft<'_>) {
    let mut request = harmless(draft);
    request.damage = Some(if draft.chance(0.8) {
        FrameDamage::ClaimVersion(draft.pick(&[-1, 50, i16::MAX]))
    } else {
        FrameDamage::ClaimApi(draft.pick(&[-1, 4, 500, i16::MAX]))
    });
    draft.ask(request);
}
