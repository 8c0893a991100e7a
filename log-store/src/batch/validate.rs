//! The way of a batch into the log: every check that Kafka makes, in Kafka's order.
//!
//! ```text
//! only_batch       one batch of magic 2, lengths only        ProduceRequest.validateRecords
//! check_whole      base offset, size, checksum               UnifiedLog.analyzeAndValidateRecords
//! check_header     counts, control bit, sequence             LogValidator.validateBatch
//! keep or rebuild  every record                              LogValidator.validateRecord
//! check_segment    the size again, now as stored             UnifiedLog.append
//! ```
//!
//! A batch that keeps its codec keeps its bytes: one pass for the checksum and one allocation-free
//! walk over the records, or one streaming decompression. Only the header may change, when the log
//! sets the time or the producer got the max timestamp wrong (kafkajs does).

use std::cmp::Ordering;

use bytes::{Bytes, BytesMut};

use super::attributes::{Codec, TimestampType};
use super::compression::DecompressError;
use super::error::BatchError;
use super::framing::{OnlyBatch, only_batch};
use super::header::{ATTRIBUTES_AT, BatchHeader, CRC_AT, HeaderError, MAX_TIMESTAMP_AT, crc_of};
use super::inspect::Inspection;
use super::rebuild::rebuild;
use super::records::RecordsError;
use super::rules::{Origin, Rules};
use super::skim::{RecordOutline, Skim};
use super::{Batch, RawBatch};

/// Checks `records`, which should be one batch, and returns it as it is to be stored.
///
/// The base offset and the leader epoch are left for [`stamp`](super::stamp()).
///
/// # Errors
/// Those of Kafka's produce path up to where it looks at the producer's state, in Kafka's order.
/// Nothing has been changed then.
pub fn validate(records: Bytes, rules: &Rules) -> Result<Batch, BatchError> {
    match rules.origin {
        Origin::Client => {
            let only = only_batch(records, rules.allows_zstd).map_err(BatchError::Request)?;
            validate_only(only, rules)
        }
        Origin::Coordinator => validate_bytes(records, rules),
    }
}

/// As [`validate`], for who has already found the only batch of its request.
///
/// # Errors
/// Those of [`validate`], but none of the request as a whole.
pub fn validate_only(batch: OnlyBatch, rules: &Rules) -> Result<Batch, BatchError> {
    validate_bytes(batch.into_bytes(), rules)
}

fn validate_bytes(bytes: Bytes, rules: &Rules) -> Result<Batch, BatchError> {
    let batch = check_whole(bytes, rules)?;
    let codec = batch
        .header()
        .attributes
        .compression()
        .map_err(|id| unreadable(format!("unknown codec {id}")))?;
    if rules.origin == Origin::Client {
        check_header(batch.header())?;
    }
    let compression = rules.compression.compression_for(codec);
    // Control records stay uncompressed when they come so.
    let keeps_bytes = codec == compression.codec()
        || (codec == Codec::None && batch.header().attributes.is_control());
    let batch = if keeps_bytes {
        keep(batch, codec, rules)?
    } else {
        rebuild(&batch, codec, compression, rules)?
    };
    check_segment(batch, rules)
}

/// Everything that is checked before a byte of the records is looked at.
fn check_whole(bytes: Bytes, rules: &Rules) -> Result<Batch, BatchError> {
    let batch_bytes = bytes.len();
    let base_offset = bytes.first_chunk::<8>();
    if rules.origin == Origin::Client && base_offset.is_some_and(|bytes| bytes != &[0; 8]) {
        return Err(invalid("base offset is not 0"));
    }
    check_size(batch_bytes, rules)?;
    let header = BatchHeader::parse(&bytes).map_err(BatchError::Corrupt)?;
    match header.total_bytes().cmp(&batch_bytes) {
        Ordering::Equal => RawBatch { bytes, header }
            .check()
            .map_err(BatchError::Corrupt),
        Ordering::Greater => Err(BatchError::Corrupt(HeaderError::TooShort {
            available_bytes: batch_bytes,
        })),
        Ordering::Less => Err(BatchError::Corrupt(HeaderError::InvalidLength {
            batch_length: header.batch_length,
        })),
    }
}

fn check_header(header: &BatchHeader) -> Result<(), BatchError> {
    let BatchHeader {
        last_offset_delta,
        record_count,
        ..
    } = *header;
    if last_offset_delta < 0 {
        return Err(invalid(format!(
            "last offset delta {last_offset_delta} is negative"
        )));
    }
    if record_count <= 0 {
        return Err(invalid(format!(
            "record count {record_count} is not positive"
        )));
    }
    if i64::from(last_offset_delta) + 1 != i64::from(record_count) {
        return Err(invalid(format!(
            "{record_count} records do not make a last offset delta of {last_offset_delta}"
        )));
    }
    if header.attributes.is_control() {
        return Err(invalid("a client may not write control records"));
    }
    if header.producer_id.is_some() && header.base_sequence < 0 {
        return Err(invalid(format!(
            "producer {} sends sequence {}",
            header.producer_id, header.base_sequence
        )));
    }
    Ok(())
}

/// Checks the records of a batch whose bytes are stored as they came.
fn keep(batch: Batch, codec: Codec, rules: &Rules) -> Result<Batch, BatchError> {
    let header = *batch.header();
    let mut inspection = Inspection::new(rules, header);
    let section = batch.records_bytes();
    let skimmed = match Skim::new(&header, codec, section, rules.decompressed_bytes_max) {
        // A loop of its own, which costs a third of what it would cost to ask for the kind at every record.
        Skim::Plain(records) => {
            inspection.all(records.map(|record| record.map(|record| RecordOutline::of(&record))))
        }
        skim => inspection.all(skim),
    };
    skimmed.map_err(|error| records_error(error, codec, rules))?;
    let inspected = inspection.finish()?;
    // Kafka leaves the deltas of uncompressed batches alone. It would write a compressed batch
    // anew, but by then it has skipped the keys and values that it needs for that.
    if codec != Codec::None && !inspected.has_consecutive_offsets {
        return Err(unreadable("offset deltas in a compressed batch have gaps"));
    }
    let max_timestamp_ms = match rules.timestamp_type {
        TimestampType::CreateTime => inspected.max_timestamp_ms,
        TimestampType::LogAppendTime => rules.now_ms,
    };
    Ok(with_timestamps(
        batch,
        rules.timestamp_type,
        max_timestamp_ms,
    ))
}

/// The same batch with another timestamp type and max timestamp. Copies the batch when it must
/// change and somebody else holds its bytes too, as the rest of a request does.
fn with_timestamps(batch: Batch, timestamp_type: TimestampType, max_timestamp_ms: i64) -> Batch {
    let mut header = *batch.header();
    if header.attributes.timestamp_type() == timestamp_type
        && header.max_timestamp_ms == max_timestamp_ms
    {
        return batch;
    }
    header.attributes = header
        .attributes
        .with_timestamp_type(timestamp_type)
        .without_unused_bits();
    header.max_timestamp_ms = max_timestamp_ms;
    let mut bytes = match batch.into_bytes().try_into_mut() {
        Ok(unshared) => unshared,
        Err(shared) => BytesMut::from(&shared[..]),
    };
    bytes[ATTRIBUTES_AT..][..2].copy_from_slice(&header.attributes.0.to_be_bytes());
    bytes[MAX_TIMESTAMP_AT..][..8].copy_from_slice(&max_timestamp_ms.to_be_bytes());
    header.crc = crc_of(&bytes);
    bytes[CRC_AT..][..4].copy_from_slice(&header.crc.to_be_bytes());
    Batch::new(bytes.freeze(), header)
}

fn check_segment(batch: Batch, rules: &Rules) -> Result<Batch, BatchError> {
    let batch_bytes = batch.bytes().len();
    if batch_bytes as u64 > rules.segment_bytes_max.max(0) as u64 {
        return Err(BatchError::TooLargeForSegment {
            batch_bytes,
            max_bytes: rules.segment_bytes_max,
        });
    }
    Ok(batch)
}

/// What Kafka answers when records cannot be read. It tells its own complaints from those of the
/// codec libraries, which it does not expect; and it does not expect a length that does not end
/// in an uncompressed batch.
pub(super) fn records_error(error: RecordsError, codec: Codec, rules: &Rules) -> BatchError {
    let reason = error.to_string();
    match error {
        RecordsError::Truncated | RecordsError::Malformed(_) | RecordsError::Trailing => {
            BatchError::Invalid { reason }
        }
        RecordsError::OverlongLength if codec == Codec::None => BatchError::Unreadable { reason },
        RecordsError::OverlongLength => BatchError::Invalid { reason },
        RecordsError::Decompress(DecompressError::Corrupt { .. }) => {
            BatchError::Unreadable { reason }
        }
        RecordsError::Decompress(DecompressError::TooLarge) => BatchError::TooLargeDecompressed {
            max_bytes: rules.decompressed_bytes_max,
        },
    }
}

pub(super) fn check_size(batch_bytes: usize, rules: &Rules) -> Result<(), BatchError> {
    if batch_bytes as u64 > rules.max_batch_bytes.max(0) as u64 {
        return Err(BatchError::TooLarge {
            batch_bytes,
            max_bytes: rules.max_batch_bytes,
        });
    }
    Ok(())
}

fn invalid(reason: impl Into<String>) -> BatchError {
    BatchError::Invalid {
        reason: reason.into(),
    }
}

pub(super) fn unreadable(reason: impl Into<String>) -> BatchError {
    BatchError::Unreadable {
        reason: reason.into(),
    }
}
