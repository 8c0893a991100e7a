//! The batches that the metadata log and its snapshots are written with.

use klamm_log_store::batch::{Batch, BatchBuilder, BatchSettings};
use klamm_log_store::{LeaderEpoch, Offset};

use crate::cluster::record::ControlRecord;

/// More than the fields around the value of a record take: length, attributes, deltas, null key, value length, headers.
pub(super) const RECORD_OVERHEAD_BYTES_MAX: usize = 32;

/// Where a batch stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) base_offset: i64,
    pub(super) epoch: i32,
    /// Milliseconds since the Unix epoch.
    pub(super) now_ms: i64,
}

/// Metadata records as one batch. The caller bounds their bytes.
pub(super) fn records(at: Place, values: &[Vec<u8>]) -> Batch {
    let mut builder = builder(at, false);
    for value in values {
        builder.push(at.now_ms, None, Some(value), &[]);
    }
    builder
        .build()
        .expect("a proposal is far smaller than 2 GiB")
}

/// What the log says about itself as one batch.
pub(super) fn control(at: Place, records: &[ControlRecord]) -> Batch {
    let mut builder = builder(at, true);
    for (key, value) in records.iter().filter_map(ControlRecord::encode) {
        builder.push(at.now_ms, Some(&key), Some(&value), &[]);
    }
    builder
        .build()
        .expect("control records were written here or read from one batch")
}

fn builder(at: Place, is_control: bool) -> BatchBuilder {
    BatchBuilder::new(BatchSettings {
        base_offset: Offset(at.base_offset),
        leader_epoch: LeaderEpoch(at.epoch),
        is_control,
        ..BatchSettings::default()
    })
}
