//! The bytes of a `.snapshot` file: Kafka's `ProducerSnapshot`, version 1.
//!
//! ```text
//! int16 version | uint32 crc | int32 count | count x 46 bytes
//! entry: int64 producer id | int16 epoch | int32 last sequence | int64 last offset
//!        | int32 offset delta | int64 timestamp | int32 coordinator epoch | int64 txn first offset
//! ```
//! The CRC-32C covers everything after itself. Only the newest batch of each producer is kept.

use std::collections::HashSet;
use std::fmt;

use bytes::{Buf, BufMut};

use super::producers::{Producer, Producers, RememberedBatch};
use crate::batch::NO_SEQUENCE;
use crate::{Offset, ProducerEpoch, ProducerId};

const VERSION: i16 = 1;
const CRC_AT: usize = 2;
const COUNT_AT: usize = 6;
const ENTRY_BYTES: usize = 46;

/// Why bytes are no snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SnapshotError {
    TooShort,
    UnknownVersion(i16),
    CrcMismatch,
    /// Two producers began a transaction at the same offset.
    Contradiction,
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotError::TooShort => f.write_str("producer snapshot is too short"),
            SnapshotError::UnknownVersion(version) => {
                write!(f, "producer snapshot has unknown version {version}")
            }
            SnapshotError::Contradiction => f.write_str("producer snapshot contradicts itself"),
            SnapshotError::CrcMismatch => f.write_str("producer snapshot fails its checksum"),
        }
    }
}

pub(super) fn encode(producers: &Producers) -> Vec<u8> {
    let mut entries: Vec<(ProducerId, &Producer)> = producers.iter().collect();
    entries.sort_unstable_by_key(|(producer_id, _)| *producer_id);
    let mut bytes = Vec::with_capacity(COUNT_AT + 4 + entries.len() * ENTRY_BYTES);
    bytes.put_i16(VERSION);
    bytes.put_u32(0);
    bytes.put_i32(i32::try_from(entries.len()).expect("PRODUCERS_MAX is far below i32::MAX"));
    for (producer_id, producer) in entries {
        let last = producer.batches.back();
        bytes.put_i64(producer_id.0);
        bytes.put_i16(producer.epoch.0);
        bytes.put_i32(last.map_or(NO_SEQUENCE, |batch| batch.last_sequence));
        bytes.put_i64(last.map_or(Offset::NONE, |batch| batch.last_offset).0);
        bytes.put_i32(last.map_or(0, |batch| batch.offset_delta));
        bytes.put_i64(producer.last_timestamp_ms);
        bytes.put_i32(producer.coordinator_epoch);
        bytes.put_i64(producer.txn_first_offset.unwrap_or(Offset::NONE).0);
    }
    let crc = crc32c::crc32c(&bytes[COUNT_AT..]);
    bytes[CRC_AT..COUNT_AT].copy_from_slice(&crc.to_be_bytes());
    bytes
}

pub(super) fn decode(bytes: &[u8]) -> Result<Producers, SnapshotError> {
    if bytes.len() < COUNT_AT + 4 {
        return Err(SnapshotError::TooShort);
    }
    let mut rest = bytes;
    let version = rest.get_i16();
    if version != VERSION {
        return Err(SnapshotError::UnknownVersion(version));
    }
    let crc = rest.get_u32();
    if crc != crc32c::crc32c(rest) {
        return Err(SnapshotError::CrcMismatch);
    }
    let count = usize::try_from(rest.get_i32()).unwrap_or(0);
    if rest.len() / ENTRY_BYTES < count {
        return Err(SnapshotError::TooShort);
    }
    let mut producers = Producers::default();
    let mut txn_offsets = HashSet::new();
    for _ in 0..count {
        let producer_id = ProducerId(rest.get_i64());
        let mut producer = Producer::empty();
        producer.epoch = ProducerEpoch(rest.get_i16());
        let last_sequence = rest.get_i32();
        let last_offset = Offset(rest.get_i64());
        let offset_delta = rest.get_i32();
        producer.last_timestamp_ms = rest.get_i64();
        producer.coordinator_epoch = rest.get_i32();
        let txn_first_offset = Offset(rest.get_i64());
        producer.txn_first_offset = (txn_first_offset >= Offset::ZERO).then_some(txn_first_offset);
        if last_offset >= Offset::ZERO {
            producer.batches.push_back(RememberedBatch {
                last_sequence,
                last_offset,
                offset_delta,
                timestamp_ms: producer.last_timestamp_ms,
            });
        }
        if let Some(first) = producer.txn_first_offset
            && !txn_offsets.insert(first)
        {
            return Err(SnapshotError::Contradiction);
        }
        producers.insert(producer_id, producer);
    }
    Ok(producers)
}
