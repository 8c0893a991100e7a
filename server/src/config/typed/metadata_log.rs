//! The size of the metadata log.

use std::time::Duration;

use super::units::{bounded, bounded_bytes};
use crate::config::values::BrokerValues;

/// How far the metadata log may grow before a part of it goes (`metadata.*`, read at the start).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetadataLogConfig {
    /// `metadata.log.segment.bytes`, or its internal sibling without a lower bound.
    pub segment_bytes: u64,
    /// `metadata.log.segment.ms`.
    pub segment_ms: i64,
    /// `metadata.log.max.record.bytes.between.snapshots`.
    pub snapshot_bytes: u64,
    /// `metadata.log.max.snapshot.interval.ms`; `None`: no snapshot is written for its age.
    pub snapshot_interval: Option<Duration>,
    /// `metadata.max.retention.bytes`, segments and snapshots together; `None`: no bound.
    pub retention_bytes: Option<u64>,
    /// `metadata.max.retention.ms`; `None`: no bound.
    pub retention_ms: Option<i64>,
}

impl MetadataLogConfig {
    pub(super) fn new(values: &BrokerValues) -> Self {
        let bytes = |name| u64::try_from(values.integer(name)).unwrap_or(u64::MAX);
        let internal_segment_bytes = values
            .optional_integer("internal.metadata.log.segment.bytes")
            .and_then(|bytes| u64::try_from(bytes).ok());
        Self {
            segment_bytes: internal_segment_bytes
                .unwrap_or_else(|| bytes("metadata.log.segment.bytes")),
            segment_ms: values.integer("metadata.log.segment.ms"),
            snapshot_bytes: bytes("metadata.log.max.record.bytes.between.snapshots"),
            snapshot_interval: bounded(values.integer("metadata.log.max.snapshot.interval.ms"))
                .filter(|interval| !interval.is_zero()),
            retention_bytes: bounded_bytes(values.integer("metadata.max.retention.bytes")),
            retention_ms: Some(values.integer("metadata.max.retention.ms")).filter(|ms| *ms >= 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(texts: &[(&str, &str)]) -> MetadataLogConfig {
        let texts = texts.iter().copied();
        let texts = texts.map(|(name, text)| (name.to_owned(), text.to_owned()));
        MetadataLogConfig::new(&BrokerValues::from_texts(texts))
    }

    #[test]
    fn bounds_are_kafkas_unless_they_are_set() {
        let defaults = config(&[]);
        assert_eq!(defaults.segment_bytes, 1024 * 1024 * 1024);
        assert_eq!(defaults.snapshot_bytes, 20 * 1024 * 1024);
        assert_eq!(defaults.snapshot_interval, Some(Duration::from_secs(3600)));
        assert_eq!(defaults.retention_bytes, Some(100 * 1024 * 1024));
        assert_eq!(defaults.retention_ms, Some(7 * 24 * 3600 * 1000));
        let set = config(&[
            ("internal.metadata.log.segment.bytes", "10000"),
            ("metadata.log.segment.bytes", "9000000"),
            ("metadata.log.max.snapshot.interval.ms", "0"),
            ("metadata.max.retention.bytes", "-1"),
            ("metadata.max.retention.ms", "-1"),
        ]);
        assert_eq!(set.segment_bytes, 10_000);
        assert_eq!(set.snapshot_interval, None);
        assert_eq!((set.retention_bytes, set.retention_ms), (None, None));
    }
}
