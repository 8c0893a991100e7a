//! Giving a batch its place in the log without touching its records.
//!
//! The base offset and the leader epoch lie in front of what the checksum covers, so a leader can
//! set both and keep the client's bytes as they are. A stamped batch is written as two pieces.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Batch, BatchHeader, header};
use crate::ids::{LeaderEpoch, Offset};

/// Bytes in front of the magic: base offset, length and leader epoch.
pub const STAMP_BYTES: usize = header::MAGIC_AT;

/// A batch with its final base offset and leader epoch, in two pieces: the batch is `prefix`
/// followed by `rest`.
#[derive(Clone, Debug)]
pub struct StampedBatch {
    prefix: [u8; STAMP_BYTES],
    rest: Bytes,
    header: BatchHeader,
}

impl StampedBatch {
    /// Base offset, length and leader epoch, as they stand in the log.
    pub fn prefix(&self) -> &[u8; STAMP_BYTES] {
        &self.prefix
    }

    /// Everything from the magic on, shared with the batch that was stamped.
    pub fn rest(&self) -> &Bytes {
        &self.rest
    }

    /// The header with the new base offset and leader epoch.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// Bytes of both pieces.
    pub fn total_bytes(&self) -> usize {
        STAMP_BYTES + self.rest.len()
    }

    /// The batch in one piece. Copies the records.
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(self.total_bytes());
        bytes.put_slice(&self.prefix);
        bytes.put_slice(&self.rest);
        bytes.freeze()
    }
}

/// Gives `batch` its first offset and the epoch of the leader that takes it.
pub fn stamp(batch: &Batch, base_offset: Offset, leader_epoch: LeaderEpoch) -> StampedBatch {
    let header = BatchHeader {
        base_offset,
        partition_leader_epoch: leader_epoch,
        ..*batch.header()
    };
    let mut prefix = [0; STAMP_BYTES];
    prefix[header::BASE_OFFSET_AT..][..8].copy_from_slice(&base_offset.0.to_be_bytes());
    prefix[header::BATCH_LENGTH_AT..][..4].copy_from_slice(&header.batch_length.to_be_bytes());
    prefix[header::LEADER_EPOCH_AT..].copy_from_slice(&leader_epoch.0.to_be_bytes());
    StampedBatch {
        prefix,
        rest: batch.bytes().slice(STAMP_BYTES..),
        header,
    }
}
