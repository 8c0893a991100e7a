//! Feature levels that this release supports, and those that a new cluster starts with.

use std::collections::BTreeMap;

use crate::cluster::record::SupportedFeature;
use crate::cluster::view::{KRAFT_VERSION_FEATURE, METADATA_VERSION_FEATURE};
use crate::cluster::{ClusterImage, MetadataRecord};

/// A feature, the levels that are supported, and the one that a new cluster starts with.
struct Feature {
    name: &'static str,
    level_first: i16,
    level_last: i16,
    /// 0: not finalized.
    level_initial: i16,
}

/// The features of Apache Kafka 4.3 that this release has. A feature is a promise: group, share and streams features come
/// with their APIs.
const FEATURES: &[Feature] = &[
    Feature {
        name: ELIGIBLE_LEADER_REPLICAS_FEATURE,
        level_first: 0,
        level_last: 1,
        level_initial: 1,
    },
    Feature {
        name: KRAFT_VERSION_FEATURE,
        level_first: 0,
        level_last: 1,
        level_initial: 0,
    },
    // 3.3-IV3 to 4.3-IV0: which versions of metadata records are written.
    Feature {
        name: METADATA_VERSION_FEATURE,
        level_first: 7,
        level_last: 30,
        level_initial: 30,
    },
    // 1: flexible records in `__transaction_state` (KIP-915); 2: an epoch for each transaction (KIP-890).
    Feature {
        name: TRANSACTION_VERSION_FEATURE,
        level_first: 0,
        level_last: 2,
        level_initial: 2,
    },
];

const ELIGIBLE_LEADER_REPLICAS_FEATURE: &str = "eligible.leader.replicas.version";
const TRANSACTION_VERSION_FEATURE: &str = "transaction.version";

/// Whether the last word of `records` is that eligible leader replicas are kept.
pub fn has_eligible_leader_replicas(records: &[MetadataRecord]) -> bool {
    let level = |record: &MetadataRecord| match record {
        MetadataRecord::FeatureLevel { name, level }
            if name == ELIGIBLE_LEADER_REPLICAS_FEATURE =>
        {
            Some(*level)
        }
        _ => None,
    };
    records
        .iter()
        .rev()
        .find_map(level)
        .is_some_and(|level| level > 0)
}

/// The level of `transaction.version` that the cluster has agreed on.
pub fn transaction_version(image: &ClusterImage) -> i16 {
    image.features.level(TRANSACTION_VERSION_FEATURE)
}

/// What this node tells of itself.
pub fn supported() -> Vec<SupportedFeature> {
    FEATURES
        .iter()
        .map(|feature| SupportedFeature {
            name: feature.name.to_owned(),
            level_first: feature.level_first,
            level_last: feature.level_last,
        })
        .collect()
}

/// The levels of a cluster that has just been made.
pub fn bootstrap_levels() -> BTreeMap<String, i16> {
    FEATURES
        .iter()
        .filter(|feature| feature.level_initial > 0)
        .map(|feature| (feature.name.to_owned(), feature.level_initial))
        .collect()
}

/// A level that somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Update {
    pub level: i16,
    /// `None`: a kind that this release does not know.
    pub kind: Option<UpdateKind>,
}

/// Which way a level may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateKind {
    Upgrade,
    SafeDowngrade,
    UnsafeDowngrade,
}

/// Metadata versions that brought new records or fields: no cluster goes back to before one of them (`MetadataVersion`).
const METADATA_CHANGES: [i16; 10] = [7, 8, 11, 13, 14, 15, 17, 23, 30, 31];
/// The metadata version that eligible leader replicas need.
const ELIGIBLE_LEADER_REPLICAS_METADATA_VERSION: i16 = 23;

/// Whether features that are finalized at `levels` may be updated, all together (Kafka's `FeatureControlManager`).
///
/// # Errors
/// Why not, for the person who asked.
pub fn check(
    levels: &BTreeMap<String, i16>,
    updates: &BTreeMap<String, Update>,
) -> Result<(), String> {
    for (name, update) in updates {
        check_one(levels, updates, name, *update).map_err(|reason| {
            format!(
                "no feature was updated: {name} cannot be set to {}: {reason}",
                update.level
            )
        })?;
    }
    Ok(())
}

fn check_one(
    levels: &BTreeMap<String, i16>,
    updates: &BTreeMap<String, Update>,
    name: &str,
    update: Update,
) -> Result<(), String> {
    let kind = update.kind.ok_or("the kind of update is not known")?;
    let level = update.level;
    if level < 0 {
        return Err("a level is not negative".to_owned());
    }
    let feature = FEATURES
        .iter()
        .find(|feature| feature.name == name)
        .ok_or("this server does not have the feature")?;
    if !(feature.level_first..=feature.level_last).contains(&level) {
        return Err(format!(
            "this server supports {} to {}",
            feature.level_first, feature.level_last
        ));
    }
    let current = levels.get(name).copied().unwrap_or(0);
    if level < current && kind == UpdateKind::Upgrade {
        return Err(format!("it is at {current}, and this would be a downgrade"));
    }
    if level > current && kind != UpdateKind::Upgrade {
        return Err(format!(
            "it is at {current}, and this would be no downgrade"
        ));
    }
    match name {
        METADATA_VERSION_FEATURE if loses_metadata(current, level) => Err(format!(
            "the metadata of {current} cannot be expressed in it"
        )),
        KRAFT_VERSION_FEATURE if level != current => {
            Err("the set of voters is fixed on this server".to_owned())
        }
        ELIGIBLE_LEADER_REPLICAS_FEATURE if level > 0 => {
            let metadata_version = updates
                .get(METADATA_VERSION_FEATURE)
                .map(|update| update.level)
                .or_else(|| levels.get(METADATA_VERSION_FEATURE).copied())
                .unwrap_or(0);
            if metadata_version < ELIGIBLE_LEADER_REPLICAS_METADATA_VERSION {
                return Err(format!(
                    "it needs {METADATA_VERSION_FEATURE} {ELIGIBLE_LEADER_REPLICAS_METADATA_VERSION}"
                ));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Whether a cluster at metadata version `from` has records or fields that `to` lacks.
fn loses_metadata(from: i16, to: i16) -> bool {
    METADATA_CHANGES
        .iter()
        .any(|change| to < *change && *change <= from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(name: &str, level: i16, kind: Option<UpdateKind>) -> Result<(), String> {
        let updates = BTreeMap::from([(name.to_owned(), Update { level, kind })]);
        check(&bootstrap_levels(), &updates)
    }

    #[test]
    fn transaction_version_goes_down_and_up_again() {
        let (up, down) = (Some(UpdateKind::Upgrade), Some(UpdateKind::SafeDowngrade));
        assert_eq!(outcome("transaction.version", 2, up), Ok(()));
        assert_eq!(outcome("transaction.version", 0, down), Ok(()));
        assert!(outcome("transaction.version", 1, up).is_err());
        assert!(outcome("transaction.version", 3, up).is_err());
        assert!(outcome("transaction.version", -1, down).is_err());
        assert!(outcome("transaction.version", 1, None).is_err());
    }

    #[test]
    fn what_kafka_refuses_is_refused() {
        let (up, down) = (Some(UpdateKind::Upgrade), Some(UpdateKind::UnsafeDowngrade));
        assert!(outcome("no.such.feature", 1, up).is_err());
        // 4.3-IV0 brought new metadata.
        assert!(outcome("metadata.version", 29, down).is_err());
        assert_eq!(outcome("metadata.version", 30, up), Ok(()));
        assert!(loses_metadata(30, 29) && !loses_metadata(29, 24) && loses_metadata(29, 22));
    }
}
