//! The 61 bytes in front of every record batch (magic 2, KIP-98).
//!
//! ```text
//!  0            8        12       16 17    21   23      27     35      43     51  53   57    61
//!  | baseOffset | length | epoch  |m | crc |attr| delta | base | max   | pid  |ep |seq |count|
//!  '--- not covered by the crc ----------' '--- covered, together with the records ----------'
//! ```
//!
//! All numbers are big-endian. `length` counts the bytes after itself, so a whole batch is
//! `length + 12` bytes long.

use std::fmt;

use super::attributes::{Attributes, TimestampType};
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

/// Bytes of a batch header.
pub const BATCH_HEADER_BYTES: usize = 61;
/// Bytes in front of what the length field counts: base offset and the length itself.
pub const LOG_OVERHEAD_BYTES: usize = 12;
/// The only format version that is stored and served.
pub const MAGIC_V2: i8 = 2;
/// What stands in the base sequence of a batch whose producer is not idempotent.
pub const NO_SEQUENCE: i32 = -1;
/// What stands in a timestamp field where there is none.
pub const NO_TIMESTAMP_MS: i64 = -1;

pub const BASE_OFFSET_AT: usize = 0;
pub const BATCH_LENGTH_AT: usize = 8;
pub const LEADER_EPOCH_AT: usize = 12;
pub const MAGIC_AT: usize = 16;
pub const CRC_AT: usize = 17;
pub const ATTRIBUTES_AT: usize = 21;
pub const LAST_OFFSET_DELTA_AT: usize = 23;
pub const BASE_TIMESTAMP_AT: usize = 27;
pub const MAX_TIMESTAMP_AT: usize = 35;
pub const PRODUCER_ID_AT: usize = 43;
pub const PRODUCER_EPOCH_AT: usize = 51;
pub const BASE_SEQUENCE_AT: usize = 53;
pub const RECORD_COUNT_AT: usize = 57;

const _: () = assert!(RECORD_COUNT_AT + 4 == BATCH_HEADER_BYTES);

/// The fields of a batch header, as they stand in the bytes.
///
/// Parsing checks only what is needed to find the fields and the end of the batch. Whether the
/// numbers make sense together is the business of [`validate`](super::validate::validate).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    pub base_offset: Offset,
    /// Bytes that follow the length field; at least `BATCH_HEADER_BYTES - LOG_OVERHEAD_BYTES`.
    pub batch_length: i32,
    pub partition_leader_epoch: LeaderEpoch,
    /// CRC-32C of everything from the attributes to the end of the batch.
    pub crc: u32,
    pub attributes: Attributes,
    pub last_offset_delta: i32,
    /// The timestamp that the records' deltas count from; the delete horizon when
    /// [`Attributes::has_delete_horizon`].
    pub base_timestamp_ms: i64,
    pub max_timestamp_ms: i64,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: i32,
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`. The records need not be there.
    ///
    /// # Errors
    /// When `bytes` ends before the header does, when the length is smaller than a header or so
    /// large that the batch could not be addressed with an `i32`, or when the magic is not 2.
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader, HeaderError> {
        let Some(header) = bytes.first_chunk::<BATCH_HEADER_BYTES>() else {
            return Err(HeaderError::TooShort {
                available_bytes: bytes.len(),
            });
        };
        let magic = i8::from_be_bytes(field(header, MAGIC_AT));
        if magic != MAGIC_V2 {
            return Err(HeaderError::UnsupportedMagic { magic });
        }
        let batch_length = i32::from_be_bytes(field(header, BATCH_LENGTH_AT));
        if !(BATCH_LENGTH_MIN..=BATCH_LENGTH_MAX).contains(&batch_length) {
            return Err(HeaderError::InvalidLength { batch_length });
        }
        Ok(BatchHeader {
            base_offset: Offset(i64::from_be_bytes(field(header, BASE_OFFSET_AT))),
            batch_length,
            partition_leader_epoch: LeaderEpoch(i32::from_be_bytes(field(header, LEADER_EPOCH_AT))),
            crc: u32::from_be_bytes(field(header, CRC_AT)),
            attributes: Attributes(u16::from_be_bytes(field(header, ATTRIBUTES_AT))),
            last_offset_delta: i32::from_be_bytes(field(header, LAST_OFFSET_DELTA_AT)),
            base_timestamp_ms: i64::from_be_bytes(field(header, BASE_TIMESTAMP_AT)),
            max_timestamp_ms: i64::from_be_bytes(field(header, MAX_TIMESTAMP_AT)),
            producer_id: ProducerId(i64::from_be_bytes(field(header, PRODUCER_ID_AT))),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(field(header, PRODUCER_EPOCH_AT))),
            base_sequence: i32::from_be_bytes(field(header, BASE_SEQUENCE_AT)),
            record_count: i32::from_be_bytes(field(header, RECORD_COUNT_AT)),
        })
    }

    /// The header as it stands in front of the records.
    pub fn to_bytes(&self) -> [u8; BATCH_HEADER_BYTES] {
        let mut bytes = [0; BATCH_HEADER_BYTES];
        put(
            &mut bytes,
            BASE_OFFSET_AT,
            &self.base_offset.0.to_be_bytes(),
        );
        put(
            &mut bytes,
            BATCH_LENGTH_AT,
            &self.batch_length.to_be_bytes(),
        );
        put(
            &mut bytes,
            LEADER_EPOCH_AT,
            &self.partition_leader_epoch.0.to_be_bytes(),
        );
        put(&mut bytes, MAGIC_AT, &MAGIC_V2.to_be_bytes());
        put(&mut bytes, CRC_AT, &self.crc.to_be_bytes());
        put(&mut bytes, ATTRIBUTES_AT, &self.attributes.0.to_be_bytes());
        put(
            &mut bytes,
            LAST_OFFSET_DELTA_AT,
            &self.last_offset_delta.to_be_bytes(),
        );
        put(
            &mut bytes,
            BASE_TIMESTAMP_AT,
            &self.base_timestamp_ms.to_be_bytes(),
        );
        put(
            &mut bytes,
            MAX_TIMESTAMP_AT,
            &self.max_timestamp_ms.to_be_bytes(),
        );
        put(
            &mut bytes,
            PRODUCER_ID_AT,
            &self.producer_id.0.to_be_bytes(),
        );
        put(
            &mut bytes,
            PRODUCER_EPOCH_AT,
            &self.producer_epoch.0.to_be_bytes(),
        );
        put(
            &mut bytes,
            BASE_SEQUENCE_AT,
            &self.base_sequence.to_be_bytes(),
        );
        put(
            &mut bytes,
            RECORD_COUNT_AT,
            &self.record_count.to_be_bytes(),
        );
        bytes
    }

    /// Bytes of the whole batch, header included.
    pub fn total_bytes(&self) -> usize {
        // parse() keeps the length positive, so neither the cast nor the sum can go wrong.
        self.batch_length.max(0) as usize + LOG_OVERHEAD_BYTES
    }

    /// The offset of the last record (inclusive), which compaction may have removed.
    pub fn last_offset(&self) -> Offset {
        self.record_offset(self.last_offset_delta)
    }

    /// The offset after the last record.
    pub fn end_offset(&self) -> Offset {
        Offset(self.last_offset().0.wrapping_add(1))
    }

    /// The sequence number of the last record; [`NO_SEQUENCE`] when the batch has none.
    ///
    /// Sequences wrap from `i32::MAX` to 0 (KIP-98).
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence == NO_SEQUENCE {
            return NO_SEQUENCE;
        }
        add_to_sequence(self.base_sequence, self.last_offset_delta)
    }

    /// The offset of a record of this batch.
    pub fn record_offset(&self, offset_delta: i32) -> Offset {
        Offset(self.base_offset.0.wrapping_add(i64::from(offset_delta)))
    }

    /// The timestamp of a record of this batch: with log append time, all have the same.
    pub fn record_timestamp_ms(&self, timestamp_delta: i64) -> i64 {
        match self.attributes.timestamp_type() {
            TimestampType::CreateTime => self.base_timestamp_ms.wrapping_add(timestamp_delta),
            TimestampType::LogAppendTime => self.max_timestamp_ms,
        }
    }

    /// The moment from which on the cleaner may drop the tombstones and markers of this batch
    /// (KIP-534), when the cleaner has set one.
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        self.attributes
            .has_delete_horizon()
            .then_some(self.base_timestamp_ms)
    }
}

/// `sequence + increment` on the circle `0..=i32::MAX`, as in Kafka's
/// `DefaultRecordBatch.incrementSequence`.
pub fn add_to_sequence(sequence: i32, increment: i32) -> i32 {
    if sequence > i32::MAX.wrapping_sub(increment) {
        return increment
            .wrapping_sub(i32::MAX.wrapping_sub(sequence))
            .wrapping_sub(1);
    }
    sequence.wrapping_add(increment)
}

/// Why bytes are no batch header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// The bytes end before the header, or before the batch that the header announces.
    TooShort { available_bytes: usize },
    /// The length field is smaller than a header or larger than any batch can be.
    InvalidLength { batch_length: i32 },
    /// The batch has a format that is not stored any more (0, 1) or does not exist.
    UnsupportedMagic { magic: i8 },
    /// The checksum does not match; only from where the records are read as well.
    CrcMismatch { stored: u32, computed: u32 },
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderError::TooShort { available_bytes } => {
                write!(f, "a record batch does not fit in {available_bytes} bytes")
            }
            HeaderError::InvalidLength { batch_length } => {
                write!(f, "invalid record batch length {batch_length}")
            }
            HeaderError::UnsupportedMagic { magic } => {
                write!(f, "unsupported record batch magic {magic}")
            }
            HeaderError::CrcMismatch { stored, computed } => write!(
                f,
                "record batch has crc {stored:#010x} but its bytes give {computed:#010x}"
            ),
        }
    }
}

impl std::error::Error for HeaderError {}

/// The shortest and the longest value of the length field. The longest keeps the whole batch,
/// length field included, within an `i32`, as Kafka's segment positions require.
const BATCH_LENGTH_MIN: i32 = (BATCH_HEADER_BYTES - LOG_OVERHEAD_BYTES) as i32;
const BATCH_LENGTH_MAX: i32 = i32::MAX - LOG_OVERHEAD_BYTES as i32;

/// CRC-32C over what the checksum of a batch covers. `batch` must be one whole batch.
pub(super) fn crc_of(batch: &[u8]) -> u32 {
    crc32c::crc32c(batch.get(ATTRIBUTES_AT..).unwrap_or_default())
}

/// The `N` bytes at `at`, which every caller gives as one of the constants above.
fn field<const N: usize>(header: &[u8; BATCH_HEADER_BYTES], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&header[at..at + N]);
    field
}

fn put(header: &mut [u8; BATCH_HEADER_BYTES], at: usize, field: &[u8]) {
    header[at..at + field.len()].copy_from_slice(field);
}
