//! Feature levels that this release supports, and those that a new cluster starts with.

use std::collections::BTreeMap;

use crate::cluster::record::SupportedFeature;

/// A feature, the levels that are supported, and the one that a new cluster starts with.
struct Feature {
    name: &'static str,
    level_first: i16,
    level_last: i16,
    /// 0: not finalized.
    level_initial: i16,
}

/// The features of Apache Kafka 4.3 that this release has. A feature is a promise: group, transaction, share and streams
/// features come with their APIs.
const FEATURES: &[Feature] = &[
    Feature {
        name: "eligible.leader.replicas.version",
        level_first: 0,
        level_last: 1,
        level_initial: 1,
    },
    Feature {
        name: "kraft.version",
        level_first: 0,
        level_last: 1,
        level_initial: 0,
    },
    // 3.3-IV3 to 4.3-IV0: which versions of metadata records are written.
    Feature {
        name: "metadata.version",
        level_first: 7,
        level_last: 30,
        level_initial: 30,
    },
];

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
