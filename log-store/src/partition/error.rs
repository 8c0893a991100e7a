//! Why a partition refuses.

use std::fmt;
use std::sync::Arc;

use crate::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

/// The partition cannot be used until it is opened again: a write or a sync failed, a bug was hit,
/// or it was closed or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offline {
    reason: Arc<str>,
}

impl Offline {
    pub(crate) fn new(reason: impl Into<Arc<str>>) -> Offline {
        Offline {
            reason: reason.into(),
        }
    }

    /// What happened, for the log; not for clients.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for Offline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "partition is offline: {}", self.reason)
    }
}

impl std::error::Error for Offline {}

/// Why a batch was not appended. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendError {
    Offline(Offline),
    /// The batch does not continue where its producer left off (`OUT_OF_ORDER_SEQUENCE_NUMBER`).
    OutOfOrderSequence {
        producer_id: ProducerId,
        sequence: i32,
        /// The last sequence that was taken; -1 when there is none.
        last_sequence: i32,
    },
    /// A newer incarnation of the producer has written here (`INVALID_PRODUCER_EPOCH`).
    InvalidProducerEpoch {
        producer_id: ProducerId,
        epoch: ProducerEpoch,
        current: ProducerEpoch,
    },
    /// A batch outside of the transaction that its producer has open (`INVALID_TXN_STATE`).
    InvalidTxnState {
        producer_id: ProducerId,
    },
    /// A batch of a transaction that is not open here and for which nobody has vouched: its
    /// verification was never begun, or a marker came in between (`INVALID_TXN_STATE`).
    UnverifiedTxn {
        producer_id: ProducerId,
    },
    /// A marker from a coordinator that has been replaced (`TRANSACTION_COORDINATOR_FENCED`).
    CoordinatorFenced {
        producer_id: ProducerId,
        coordinator_epoch: i32,
        current: i32,
    },
    /// The batch does not fit in a segment (`RECORD_LIST_TOO_LARGE`).
    TooLargeForSegment {
        batch_bytes: usize,
        bytes_max: u32,
    },
    /// The only record of a control batch is no end-transaction marker (`INVALID_RECORD`).
    InvalidControlBatch,
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AppendError::Offline(offline) => offline.fmt(f),
            AppendError::OutOfOrderSequence {
                producer_id,
                sequence,
                last_sequence,
            } => write!(
                f,
                "sequence {sequence} of producer {producer_id} does not follow {last_sequence}"
            ),
            AppendError::InvalidProducerEpoch {
                producer_id,
                epoch,
                current,
            } => write!(
                f,
                "epoch {epoch} of producer {producer_id} is older than {current}"
            ),
            AppendError::InvalidTxnState { producer_id } => write!(
                f,
                "producer {producer_id} has an open transaction that the batch is not part of"
            ),
            AppendError::UnverifiedTxn { producer_id } => write!(
                f,
                "the batch of producer {producer_id} is not part of an open transaction"
            ),
            AppendError::CoordinatorFenced {
                producer_id,
                coordinator_epoch,
                current,
            } => write!(
                f,
                "coordinator epoch {coordinator_epoch} for producer {producer_id} is older than {current}"
            ),
            AppendError::TooLargeForSegment {
                batch_bytes,
                bytes_max,
            } => write!(
                f,
                "batch of {batch_bytes} bytes exceeds the segment size of {bytes_max} bytes"
            ),
            AppendError::InvalidControlBatch => {
                f.write_str("control batch is no end-transaction marker")
            }
        }
    }
}

impl std::error::Error for AppendError {}

impl From<Offline> for AppendError {
    fn from(offline: Offline) -> AppendError {
        AppendError::Offline(offline)
    }
}

/// Why nothing could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    Offline(Offline),
    /// The offset is before the log start or after its end. `end` is exclusive: reading from it is
    /// allowed and gives nothing.
    OffsetOutOfRange {
        offset: Offset,
        start: Offset,
        end: Offset,
    },
    /// What is stored there is no valid batch, or the disk failed (`KAFKA_STORAGE_ERROR`).
    Storage {
        reason: String,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Offline(offline) => offline.fmt(f),
            ReadError::OffsetOutOfRange { offset, start, end } => {
                write!(f, "offset {offset} is outside of {start}..={end}")
            }
            ReadError::Storage { reason } => write!(f, "reading failed: {reason}"),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<Offline> for ReadError {
    fn from(offline: Offline) -> ReadError {
        ReadError::Offline(offline)
    }
}

impl From<std::io::Error> for ReadError {
    fn from(error: std::io::Error) -> ReadError {
        ReadError::Storage {
            reason: error.to_string(),
        }
    }
}

/// Why records were not deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeleteRecordsError {
    Offline(Offline),
    /// The offset is negative or above the high watermark (`OFFSET_OUT_OF_RANGE`).
    OffsetOutOfRange {
        offset: Offset,
        high_watermark: Offset,
    },
}

impl fmt::Display for DeleteRecordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeleteRecordsError::Offline(offline) => offline.fmt(f),
            DeleteRecordsError::OffsetOutOfRange {
                offset,
                high_watermark,
            } => write!(
                f,
                "offset {offset} is outside of the log, whose high watermark is {high_watermark}"
            ),
        }
    }
}

impl std::error::Error for DeleteRecordsError {}

impl From<Offline> for DeleteRecordsError {
    fn from(offline: Offline) -> DeleteRecordsError {
        DeleteRecordsError::Offline(offline)
    }
}

/// Why a log could not be opened. Other logs are not affected.
#[derive(Debug)]
pub enum OpenError {
    /// Somebody has opened the log at a newer epoch; the opener is out of date.
    EpochFenced {
        epoch: LeaderEpoch,
        current: LeaderEpoch,
    },
    /// A batch that was complete once is damaged, and valid batches follow it. Nothing has been
    /// changed.
    Corrupt {
        reason: String,
    },
    /// It is open in this process, and online, or is just being opened.
    AlreadyOpen,
    Io(std::io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::EpochFenced { epoch, current } => {
                write!(f, "leader epoch {epoch} is older than {current}")
            }
            OpenError::Corrupt { reason } => write!(f, "log is corrupt: {reason}"),
            OpenError::AlreadyOpen => f.write_str("log is open already"),
            OpenError::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OpenError::Io(error) => Some(error),
            OpenError::EpochFenced { .. } | OpenError::Corrupt { .. } | OpenError::AlreadyOpen => {
                None
            }
        }
    }
}

impl From<std::io::Error> for OpenError {
    fn from(error: std::io::Error) -> OpenError {
        OpenError::Io(error)
    }
}
