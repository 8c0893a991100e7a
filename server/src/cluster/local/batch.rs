//! The two kinds of batches that the metadata log is written with.

use klamm_log_store::batch::{Batch, BatchBuilder, BatchSettings};
use klamm_log_store::{LeaderEpoch, Offset};

/// More than the fields around the value of a record take: length, attributes, deltas, null key, value length, headers.
pub(super) const RECORD_OVERHEAD_BYTES_MAX: usize = 32;

/// The control record type of a LeaderChange (Kafka's `ControlRecordType`).
const LEADER_CHANGE_TYPE: [u8; 2] = 2i16.to_be_bytes();
const LEADER_CHANGE_VERSION: [u8; 2] = 0i16.to_be_bytes();
const NO_TAGS: u8 = 0;
/// A compact array of one element announces its length plus one.
const ONE_ELEMENT: u8 = 2;

/// Metadata records as one batch. The caller bounds their bytes.
pub(super) fn records(base_offset: i64, epoch: i32, now_ms: i64, values: &[Vec<u8>]) -> Batch {
    let mut builder = builder(base_offset, epoch, false);
    for value in values {
        builder.push(now_ms, None, Some(value), &[]);
    }
    builder
        .build()
        .expect("a proposal is far smaller than 2 GiB")
}

/// The control batch with which the only voter of a quorum begins an epoch (`LeaderChangeMessage` version 0).
pub(super) fn leader_change(base_offset: i64, epoch: i32, now_ms: i64, node_id: i32) -> Batch {
    let mut value = Vec::new();
    value.extend(LEADER_CHANGE_VERSION);
    value.extend(node_id.to_be_bytes());
    // The voters and those who granted their vote: this node, both times.
    for _ in 0..2 {
        value.push(ONE_ELEMENT);
        value.extend(node_id.to_be_bytes());
        value.push(NO_TAGS);
    }
    value.push(NO_TAGS);
    let mut builder = builder(base_offset, epoch, true);
    let key = [LEADER_CHANGE_VERSION, LEADER_CHANGE_TYPE].concat();
    builder.push(now_ms, Some(&key), Some(&value), &[]);
    builder
        .build()
        .expect("a leader change is a few bytes long")
}

fn builder(base_offset: i64, epoch: i32, is_control: bool) -> BatchBuilder {
    BatchBuilder::new(BatchSettings {
        base_offset: Offset(base_offset),
        leader_epoch: LeaderEpoch(epoch),
        is_control,
        ..BatchSettings::default()
    })
}
