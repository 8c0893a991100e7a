//! Making batches: for coordinators, for the markers that end transactions, for compaction, and
//! where a client's batch must be written anew.

use std::fmt;

use bytes::Bytes;

use super::attributes::{Attributes, Codec, TimestampType};
use super::compression::Compression;
use super::header::{
    BATCH_HEADER_BYTES, BatchHeader, LOG_OVERHEAD_BYTES, NO_SEQUENCE, NO_TIMESTAMP_MS, crc_of,
};
use super::records::{HeaderRef, RecordRef};
use super::varint::{put_varint, put_varlong, varint_bytes, varlong_bytes};
use super::{Batch, header};
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

/// What stands in the header of a new batch, apart from what follows from its records.
#[derive(Clone, Copy, Debug)]
pub struct BatchSettings {
    pub base_offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub compression: Compression,
    /// `Some` makes it a batch with log append time: the moment holds for all records.
    pub log_append_time_ms: Option<i64>,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    /// The sequence number of the first record; [`NO_SEQUENCE`] for none.
    pub base_sequence: i32,
    pub is_transactional: bool,
    pub is_control: bool,
    /// `Some` marks the batch as seen by the cleaner (KIP-534), and is its base timestamp.
    pub delete_horizon_ms: Option<i64>,
}

impl Default for BatchSettings {
    /// A plain, uncompressed batch that no leader has stamped and no producer claims.
    fn default() -> BatchSettings {
        BatchSettings {
            base_offset: Offset::ZERO,
            leader_epoch: LeaderEpoch::NONE,
            compression: Compression::None,
            log_append_time_ms: None,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            base_sequence: NO_SEQUENCE,
            is_transactional: false,
            is_control: false,
            delete_horizon_ms: None,
        }
    }
}

/// Why no batch could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildError {
    /// The batch would be longer than its length field can say.
    TooLong,
    /// The offset of a record is not larger than that of the one before. Clients may store such
    /// records, in uncompressed batches; they stay in the batch that they came in.
    OffsetsOutOfOrder { last_delta: i32, delta: i32 },
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::TooLong => f.write_str("record batch is longer than 2 GiB"),
            BuildError::OffsetsOutOfOrder { last_delta, delta } => write!(
                f,
                "offset delta {delta} does not follow offset delta {last_delta}"
            ),
        }
    }
}

impl std::error::Error for BuildError {}

/// Puts records together to a batch.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    settings: BatchSettings,
    /// The records, not yet compressed.
    section: Vec<u8>,
    base_timestamp_ms: Option<i64>,
    max_timestamp_ms: i64,
    last_offset_delta: i32,
    record_count: i32,
}

impl BatchBuilder {
    pub fn new(settings: BatchSettings) -> BatchBuilder {
        BatchBuilder {
            settings,
            section: Vec::new(),
            base_timestamp_ms: settings.delete_horizon_ms,
            max_timestamp_ms: NO_TIMESTAMP_MS,
            last_offset_delta: -1,
            record_count: 0,
        }
    }

    /// Appends a record at the next offset.
    pub fn push(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[HeaderRef<'_>],
    ) {
        let headers_bytes: usize = headers
            .iter()
            .map(|header| nullable_bytes(Some(header.key)) + nullable_bytes(header.value))
            .sum();
        let offset_delta = self.last_offset_delta.saturating_add(1);
        let count = saturated(headers.len());
        self.begin_record(offset_delta, timestamp_ms, key, value, count, headers_bytes);
        for header in headers {
            put_nullable(&mut self.section, Some(header.key));
            put_nullable(&mut self.section, header.value);
        }
    }

    /// Appends a record that was read from another batch, with its headers byte for byte.
    ///
    /// `offset_delta` counts from the base offset of this batch.
    ///
    /// # Errors
    /// [`BuildError::OffsetsOutOfOrder`]; the batch is as it was then.
    pub fn push_record(
        &mut self,
        offset_delta: i32,
        timestamp_ms: i64,
        record: &RecordRef<'_>,
    ) -> Result<(), BuildError> {
        if offset_delta <= self.last_offset_delta {
            return Err(BuildError::OffsetsOutOfOrder {
                last_delta: self.last_offset_delta,
                delta: offset_delta,
            });
        }
        let headers = record.headers();
        self.begin_record(
            offset_delta,
            timestamp_ms,
            record.key,
            record.value,
            headers.header_count(),
            headers.bytes().len(),
        );
        self.section.extend_from_slice(headers.bytes());
        Ok(())
    }

    /// Writes all of a record but its headers.
    fn begin_record(
        &mut self,
        offset_delta: i32,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        header_count: i32,
        headers_bytes: usize,
    ) {
        let base_timestamp_ms = *self.base_timestamp_ms.get_or_insert(timestamp_ms);
        let timestamp_delta = timestamp_ms.wrapping_sub(base_timestamp_ms);
        let record_bytes = ATTRIBUTES_BYTES
            + varlong_bytes(timestamp_delta)
            + varint_bytes(offset_delta)
            + nullable_bytes(key)
            + nullable_bytes(value)
            + varint_bytes(header_count)
            + headers_bytes;
        let out = &mut self.section;
        put_varint(out, saturated(record_bytes));
        out.push(NO_RECORD_ATTRIBUTES);
        put_varlong(out, timestamp_delta);
        put_varint(out, offset_delta);
        put_nullable(out, key);
        put_nullable(out, value);
        put_varint(out, header_count);
        self.max_timestamp_ms = self.max_timestamp_ms.max(timestamp_ms);
        self.last_offset_delta = offset_delta;
        self.record_count += 1;
    }

    pub fn record_count(&self) -> i32 {
        self.record_count
    }

    /// Bytes that the batch has up to now, before compression.
    pub fn uncompressed_bytes(&self) -> usize {
        BATCH_HEADER_BYTES + self.section.len()
    }

    /// Makes the batch end at `last_offset_delta` if it ends before: compaction keeps the offsets
    /// that a batch once covered.
    pub fn extend_to(&mut self, last_offset_delta: i32) {
        self.last_offset_delta = self.last_offset_delta.max(last_offset_delta);
    }

    /// The finished batch.
    ///
    /// # Errors
    /// [`BuildError::TooLong`].
    pub fn build(self) -> Result<Batch, BuildError> {
        let settings = self.settings;
        let timestamp_type = match settings.log_append_time_ms {
            Some(_) => TimestampType::LogAppendTime,
            None => TimestampType::CreateTime,
        };
        let mut attributes = Attributes::new(settings.compression.codec(), timestamp_type);
        if settings.is_transactional {
            attributes = attributes.with_transactional();
        }
        if settings.is_control {
            attributes = attributes.with_control();
        }
        if settings.delete_horizon_ms.is_some() {
            attributes = attributes.with_delete_horizon();
        }
        if self.section.len() > SECTION_BYTES_MAX {
            return Err(BuildError::TooLong);
        }
        let header = BatchHeader {
            base_offset: settings.base_offset,
            batch_length: 0,
            partition_leader_epoch: settings.leader_epoch,
            crc: 0,
            attributes,
            last_offset_delta: self.last_offset_delta.max(0),
            base_timestamp_ms: self.base_timestamp_ms.unwrap_or(NO_TIMESTAMP_MS),
            max_timestamp_ms: settings.log_append_time_ms.unwrap_or(self.max_timestamp_ms),
            producer_id: settings.producer_id,
            producer_epoch: settings.producer_epoch,
            base_sequence: settings.base_sequence,
            record_count: self.record_count,
        };
        let section = settings.compression.compress(self.section);
        assemble(header, &section)
    }
}

/// What compaction leaves of a producer's last batch when none of its records stays: the header
/// alone, so that the producer's state can still be read from the log.
pub fn emptied(batch: &BatchHeader) -> Batch {
    let mut attributes = Attributes::new(Codec::None, batch.attributes.timestamp_type());
    if batch.attributes.is_transactional() {
        attributes = attributes.with_transactional();
    }
    if batch.attributes.is_control() {
        attributes = attributes.with_control();
    }
    let header = BatchHeader {
        attributes,
        base_timestamp_ms: NO_TIMESTAMP_MS,
        record_count: 0,
        ..*batch
    };
    assemble(header, &[]).expect("a header alone is not too long")
}

/// A batch of `header` and `section`, with the length and the checksum that they need.
fn assemble(mut header: BatchHeader, section: &[u8]) -> Result<Batch, BuildError> {
    if section.len() > SECTION_BYTES_MAX {
        return Err(BuildError::TooLong);
    }
    header.batch_length = (BATCH_HEADER_BYTES - LOG_OVERHEAD_BYTES + section.len()) as i32;
    let mut bytes = Vec::with_capacity(header.total_bytes());
    bytes.extend_from_slice(&header.to_bytes());
    bytes.extend_from_slice(section);
    header.crc = crc_of(&bytes);
    bytes[header::CRC_AT..header::ATTRIBUTES_AT].copy_from_slice(&header.crc.to_be_bytes());
    Ok(Batch::new(Bytes::from(bytes), header))
}

/// Keeps a whole batch within an `i32`.
const SECTION_BYTES_MAX: usize = i32::MAX as usize - BATCH_HEADER_BYTES;
const ATTRIBUTES_BYTES: usize = 1;
/// No attribute of a record has a meaning yet.
const NO_RECORD_ATTRIBUTES: u8 = 0;

fn nullable_bytes(field: Option<&[u8]>) -> usize {
    match field {
        Some(field) => varint_bytes(saturated(field.len())) + field.len(),
        None => varint_bytes(NULL),
    }
}

fn put_nullable(out: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        Some(field) => {
            put_varint(out, saturated(field.len()));
            out.extend_from_slice(field);
        }
        None => put_varint(out, NULL),
    }
}

const NULL: i32 = -1;

/// A length that does not fit belongs to a section that [`BatchBuilder::build`] refuses.
fn saturated(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}
