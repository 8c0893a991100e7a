//! Why a batch is refused.

use std::fmt;

use super::header::HeaderError;

/// Why a batch is refused. Each variant stands for one answer that Kafka gives, named here by its
/// error code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchError {
    /// Refused before the log is asked (Kafka's `ProduceRequest.validateRecords`).
    Request(RequestError),
    /// `CORRUPT_MESSAGE`: the checksum or the length is wrong.
    Corrupt(HeaderError),
    /// `MESSAGE_TOO_LARGE`: larger than [`Rules::max_batch_bytes`](super::Rules::max_batch_bytes),
    /// as sent or as recompressed.
    TooLarge { batch_bytes: usize, max_bytes: i32 },
    /// `MESSAGE_TOO_LARGE`, which makes clients split the batch: larger than
    /// [`Rules::decompressed_bytes_max`](super::Rules::decompressed_bytes_max) when decompressed.
    TooLargeDecompressed { max_bytes: usize },
    /// `RECORD_LIST_TOO_LARGE`: larger than
    /// [`Rules::segment_bytes_max`](super::Rules::segment_bytes_max).
    TooLargeForSegment { batch_bytes: usize, max_bytes: i32 },
    /// `INVALID_RECORD` without record errors: the batch as a whole makes no sense. Kafka gives no
    /// error message with it.
    Invalid { reason: String },
    /// `INVALID_RECORD` or `INVALID_TIMESTAMP` with the records to blame (KIP-467). `message` is
    /// for the answer.
    Records {
        kind: RecordErrorKind,
        message: String,
        /// The first [`RECORD_ERRORS_MAX`], in order.
        record_errors: Vec<RecordError>,
    },
    /// `UNKNOWN_SERVER_ERROR`: Kafka has no better answer for these bytes, for instance when they
    /// do not decompress.
    Unreadable { reason: String },
}

/// Why a batch is refused before the log is asked. None of these answers carries a log start
/// offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// `CORRUPT_MESSAGE` for every partition of the request, with the reason as error message: the
    /// first batch has a length or a magic that cannot be.
    CorruptRequest { reason: String },
    /// `UNKNOWN_SERVER_ERROR` for every partition of the request: Kafka's handler stumbles over
    /// the batch.
    UnreadableRequest { reason: String },
    /// `CORRUPT_MESSAGE`: what follows the first batch has a length or a magic that cannot be.
    Corrupt { reason: String },
    /// `INVALID_RECORD`: not exactly one batch of magic 2.
    Invalid { reason: String },
    /// `UNSUPPORTED_COMPRESSION_TYPE`: zstd where
    /// [`Rules::allows_zstd`](super::Rules::allows_zstd) is false.
    UnsupportedCompression,
}

impl RequestError {
    /// Whether no partition of the request gets anything but this error.
    pub fn fails_request(&self) -> bool {
        match self {
            RequestError::CorruptRequest { .. } | RequestError::UnreadableRequest { .. } => true,
            RequestError::Corrupt { .. }
            | RequestError::Invalid { .. }
            | RequestError::UnsupportedCompression => false,
        }
    }
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

/// How many records a refusal names, at most. A batch of a million keyless records must not make
/// an answer that is larger than the request.
pub const RECORD_ERRORS_MAX: usize = 4096;

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
            BatchError::TooLargeDecompressed { max_bytes } => write!(
                f,
                "record batch is larger than the {max_bytes} bytes allowed when decompressed"
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
            RequestError::CorruptRequest { reason }
            | RequestError::UnreadableRequest { reason }
            | RequestError::Corrupt { reason }
            | RequestError::Invalid { reason } => f.write_str(reason),
            RequestError::UnsupportedCompression => {
                f.write_str("zstd needs a later version of the produce request")
            }
        }
    }
}

impl std::error::Error for RequestError {}
