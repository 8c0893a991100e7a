//! Feature levels that this release supports, and those that a new cluster starts with.

use std::collections::BTreeMap;

use crate::cluster::record::SupportedFeature;

/// `metadata.version` of Apache Kafka 4.3 (4.3-IV0): which versions of metadata records are written.
const METADATA_VERSION: (i16, i16) = (7, 30);

/// What this node tells of itself.
pub fn supported() -> Vec<SupportedFeature> {
    vec![SupportedFeature {
        name: "metadata.version".to_owned(),
        level_first: METADATA_VERSION.0,
        level_last: METADATA_VERSION.1,
    }]
}

/// The levels of a cluster that has just been made.
pub fn bootstrap_levels() -> BTreeMap<String, i16> {
    BTreeMap::from([("metadata.version".to_owned(), METADATA_VERSION.1)])
}
