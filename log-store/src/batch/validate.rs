//! What a batch must fulfil before it may enter a log.

use std::fmt;

use bytes::Bytes;

use super::{Batch, HeaderError, RawBatch, TimestampType};

/// What a partition asks of the batches that it takes.
#[derive(Clone, Debug)]
pub struct Rules {
    /// `max.message.bytes`: the largest batch, header included.
    pub max_batch_bytes: i32,
    /// `segment.bytes`: a batch must fit in one segment.
    pub segment_bytes_max: i32,
    /// What a batch may grow to when it is decompressed; Klamm's own guard against bombs.
    pub decompressed_bytes_max: usize,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `compression.type`.
    pub compression: CompressionTarget,
    /// Whether the log is compacted, so that every record needs a key.
    pub requires_keys: bool,
    /// Whether the sender's protocol version may carry zstd (Produce 7 and later, KIP-110).
    pub allows_zstd: bool,
    pub origin: Origin,
    /// The broker's clock.
    pub now_ms: i64,
}

/// How batches are to be compressed in the log. Levels are those of the codec's own scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionTarget {
    /// As the producer sent them.
    Producer,
    Uncompressed,
    Gzip(i32),
    Snappy,
    Lz4(i32),
    Zstd(i32),
}

/// Who sends a batch. What Kafka calls the append origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Anybody on the network.
    Client,
    /// A coordinator in this process, which may write control batches.
    Coordinator,
}

/// Why a batch is refused. Each variant stands for one answer that Kafka gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchError {
    /// Refused before the log is asked (Kafka's `ProduceRequest.validateRecords`): the answer
    /// carries no log start offset.
    Request(RequestError),
    /// `CORRUPT_MESSAGE`.
    Corrupt(HeaderError),
    /// `MESSAGE_TOO_LARGE`: larger than [`Rules::max_batch_bytes`].
    TooLarge { batch_bytes: usize, max_bytes: i32 },
    /// `RECORD_LIST_TOO_LARGE`: larger than [`Rules::segment_bytes_max`].
    TooLargeForSegment { batch_bytes: usize, max_bytes: i32 },
    /// `INVALID_RECORD` without record errors: the batch as a whole makes no sense.
    Invalid { reason: String },
    /// `INVALID_RECORD` or `INVALID_TIMESTAMP` with the records to blame (KIP-467). `message` is
    /// for the answer.
    Records {
        kind: RecordErrorKind,
        message: String,
        record_errors: Vec<RecordError>,
    },
    /// `UNKNOWN_SERVER_ERROR`: Kafka has no better answer for these bytes, for instance when they
    /// do not decompress.
    Unreadable { reason: String },
}

/// Why a batch is refused before the log is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// `CORRUPT_MESSAGE`.
    Corrupt { reason: String },
    /// `INVALID_RECORD`: not exactly one batch of magic 2.
    Invalid { reason: String },
    /// `UNSUPPORTED_COMPRESSION_TYPE`: zstd where [`Rules::allows_zstd`] is false.
    UnsupportedCompression,
    /// `UNKNOWN_SERVER_ERROR` for the whole request, whatever else it carries.
    Unreadable { reason: String },
}

/// Which of the two codes the record errors amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordErrorKind {
    /// `INVALID_RECORD`.
    InvalidRecord,
    /// `INVALID_TIMESTAMP`; wins when both occur.
    InvalidTimestamp,
}

/// One record to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordError {
    /// The place of the record in its batch, from 0.
    pub batch_index: i32,
    pub message: String,
}

/// Checks `records`, which should be one batch, and returns it as it is to be stored.
///
/// # Errors
/// Those of Kafka's produce path, in Kafka's order.
pub fn validate(records: Bytes, rules: &Rules) -> Result<Batch, BatchError> {
    let mut rest = records;
    let raw = RawBatch::split_from(&mut rest).map_err(BatchError::Corrupt)?;
    let batch_bytes = raw.bytes().len();
    if batch_bytes as i64 > i64::from(rules.max_batch_bytes) {
        return Err(BatchError::TooLarge {
            batch_bytes,
            max_bytes: rules.max_batch_bytes,
        });
    }
    let batch = raw.check().map_err(BatchError::Corrupt)?;
    if batch_bytes as i64 > i64::from(rules.segment_bytes_max) {
        return Err(BatchError::TooLargeForSegment {
            batch_bytes,
            max_bytes: rules.segment_bytes_max,
        });
    }
    Ok(batch)
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BatchError::Request(error) => error.fmt(f),
            BatchError::Corrupt(error) => error.fmt(f),
            BatchError::TooLarge {
                batch_bytes,
                max_bytes,
            } => write!(
                f,
                "record batch of {batch_bytes} bytes is larger than the {max_bytes} allowed"
            ),
            BatchError::TooLargeForSegment {
                batch_bytes,
                max_bytes,
            } => write!(
                f,
                "record batch of {batch_bytes} bytes does not fit in a segment of {max_bytes}"
            ),
            BatchError::Invalid { reason } | BatchError::Unreadable { reason } => {
                f.write_str(reason)
            }
            BatchError::Records { message, .. } => f.write_str(message),
        }
    }
}

impl std::error::Error for BatchError {}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestError::Corrupt { reason }
            | RequestError::Invalid { reason }
            | RequestError::Unreadable { reason } => f.write_str(reason),
            RequestError::UnsupportedCompression => {
                f.write_str("zstd needs a later version of the produce request")
            }
        }
    }
}
