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
            .text("internal.metadata.log.segment.bytes")
            .and_then(|bytes| bytes.parse().ok());
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
