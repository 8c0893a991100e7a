//! UpdateFeatures: what only asks or is refused, and in sequences of their own a change of transaction.version.

use super::draft::Draft;
use super::transactions;
use crate::differential::template::{Template, array, object};
use crate::schema::Versions;

const UPDATE_FEATURES: i16 = 57;

const TRANSACTION_VERSION: &str = "transaction.version";

/// What a new cluster begins with.
pub const LATEST_TRANSACTION_VERSION: i16 = 2;

/// The first version with a request that only asks.
const FIRST_WITH_VALIDATE_ONLY: i16 = 1;

/// The numbers of upgrade types.
const UPGRADE: i16 = 1;
const SAFE_DOWNGRADE: i16 = 2;

const TIMEOUT_MS: i32 = 30_000;

/// Levels of features that both servers know, right and wrong ones, and a feature that nobody knows.
const LEVELS: &[(&str, i16)] = &[
    (TRANSACTION_VERSION, 0),
    (TRANSACTION_VERSION, 1),
    (TRANSACTION_VERSION, 2),
    (TRANSACTION_VERSION, 3),
    (TRANSACTION_VERSION, -1),
    ("metadata.version", 1),
    ("metadata.version", 1_000),
    ("kraft.version", 1_000),
    ("no.such.version", 0),
    ("no.such.version", 1),
    ("", 1),
];

/// Changes that no server makes.
const REFUSED: &[(&str, i16)] = &[
    (TRANSACTION_VERSION, 3),
    (TRANSACTION_VERSION, -1),
    (TRANSACTION_VERSION, i16::MAX),
    ("metadata.version", 1_000),
    ("no.such.version", 1),
    ("", 1),
];

fn update(feature: &str, level: i16, upgrade_type: i16) -> Template {
    object([
        ("feature", feature.into()),
        ("maxVersionLevel", level.into()),
        ("allowDowngrade", (upgrade_type != UPGRADE).into()),
        ("upgradeType", upgrade_type.into()),
    ])
}

fn body(updates: Vec<Template>, is_validate_only: bool) -> Template {
    object([
        ("timeoutMs", TIMEOUT_MS.into()),
        ("featureUpdates", array(updates)),
        ("validateOnly", is_validate_only.into()),
    ])
}

/// Changes nothing, whatever it asks for.
pub fn ask(draft: &mut Draft<'_>) {
    let version = draft.version(UPDATE_FEATURES);
    let is_validate_only = version >= FIRST_WITH_VALIDATE_ONLY && draft.chance(0.8);
    let pool = if is_validate_only { LEVELS } else { REFUSED };
    let mut updates: Vec<Template> = Vec::new();
    let mut names = Vec::new();
    for _ in 0..draft.pick(&[1, 1, 1, 2]) {
        let (feature, level) = draft.pick(pool);
        if !names.contains(&feature) {
            names.push(feature);
            let upgrade_type = draft.mostly(UPGRADE, &[SAFE_DOWNGRADE, 3, 0, 7, -1]);
            updates.push(update(feature, level, upgrade_type));
        }
    }
    if draft.chance(0.05) {
        updates.clear();
    }
    let request = draft.request_at(UPDATE_FEATURES, version, body(updates, is_validate_only));
    draft.ask(request);
}

/// A server with an older transaction.version, and the way back.
pub fn older_transaction_version(draft: &mut Draft<'_>) {
    draft.stay_alone();
    let older = draft.pick(&[0, 1]);
    change(draft, older, SAFE_DOWNGRADE);
    transactions::features(draft);
    for _ in 0..draft.between(2..=4) {
        let talk = match older {
            0 => transactions::oldest,
            _ => draft.pick::<fn(&mut Draft<'_>)>(&[
                transactions::explicit,
                transactions::implicit,
                transactions::fencing,
                transactions::offsets,
            ]),
        };
        talk(draft);
    }
    change(draft, LATEST_TRANSACTION_VERSION, UPGRADE);
    transactions::features(draft);
    transactions::fencing(draft);
}

/// True for an update that no server makes.
#[cfg(test)]
pub fn is_refused(update: &crate::schema::Value) -> bool {
    use crate::schema::Value;

    let feature = update.field("feature").and_then(Value::text);
    let level = update.field("maxVersionLevel").and_then(Value::integer);
    REFUSED
        .iter()
        .any(|(name, refused)| feature == Some(*name) && level == Some(i64::from(*refused)))
}

fn change(draft: &mut Draft<'_>, level: i16, upgrade_type: i16) {
    let version = draft.version_in(UPDATE_FEATURES, Versions::ALL);
    let updates = vec![update(TRANSACTION_VERSION, level, upgrade_type)];
    let request = draft.request_at(UPDATE_FEATURES, version, body(updates, false));
    draft.ask(request);
}
