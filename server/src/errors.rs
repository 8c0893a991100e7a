//! Kafka's error codes: the only place where a cause of ours becomes a code of theirs.

use klamm_group_coordinator::GroupError;
use klamm_group_coordinator::txn::TxnError;
use klamm_log_store::batch::{RecordErrorKind, RequestError};
use klamm_log_store::partition::{AppendError, DeleteRecordsError, ReadError};

pub use kafka_protocol::ResponseError as ErrorCode;

/// The code of "no error".
pub const NONE: i16 = 0;

/// A batch that Kafka refuses before it asks the log.
pub fn of_request_error(error: &RequestError) -> ErrorCode {
    match error {
        RequestError::CorruptRequest { .. } | RequestError::Corrupt { .. } => {
            ErrorCode::CorruptMessage
        }
        RequestError::Invalid { .. } => ErrorCode::InvalidRecord,
        RequestError::UnsupportedCompression => ErrorCode::UnsupportedCompressionType,
        RequestError::UnreadableRequest { .. } => ErrorCode::UnknownServerError,
    }
}

/// Records that break the rules of their topic.
pub fn of_record_errors(kind: RecordErrorKind) -> ErrorCode {
    match kind {
        RecordErrorKind::InvalidRecord => ErrorCode::InvalidRecord,
        RecordErrorKind::InvalidTimestamp => ErrorCode::InvalidTimestamp,
    }
}

/// A batch that the log refuses, and whether the answer tells the log start offset
/// (`ReplicaManager.appendToLocalLog` keeps it back for some errors).
pub fn of_append_error(error: &AppendError) -> (ErrorCode, bool) {
    match error {
        AppendError::Offline(_) => (ErrorCode::KafkaStorageError, false),
        AppendError::OutOfOrderSequence { .. } => (ErrorCode::OutOfOrderSequenceNumber, true),
        AppendError::InvalidProducerEpoch { .. } => (ErrorCode::InvalidProducerEpoch, true),
        AppendError::InvalidTxnState { .. } | AppendError::UnverifiedTxn { .. } => {
            (ErrorCode::InvalidTxnState, true)
        }
        AppendError::CoordinatorFenced { .. } => (ErrorCode::TransactionCoordinatorFenced, true),
        AppendError::TooLargeForSegment { .. } => (ErrorCode::RecordListTooLarge, false),
        AppendError::InvalidControlBatch => (ErrorCode::InvalidRecord, true),
    }
}

/// A read that found nothing.
pub fn of_read_error(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        ReadError::Offline(_) | ReadError::Storage { .. } => ErrorCode::KafkaStorageError,
    }
}

/// Records that were not deleted.
pub fn of_delete_records_error(error: &DeleteRecordsError) -> ErrorCode {
    match error {
        DeleteRecordsError::Offline(_) => ErrorCode::KafkaStorageError,
        DeleteRecordsError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
    }
}

/// A command that the group coordinator refuses.
pub fn of_group_error(error: GroupError) -> ErrorCode {
    match error {
        GroupError::EmptyGroupId => ErrorCode::InvalidGroupId,
        GroupError::SessionTimeoutOutOfRange => ErrorCode::InvalidSessionTimeout,
        GroupError::GroupNotFound => ErrorCode::GroupIdNotFound,
        GroupError::UnknownMember => ErrorCode::UnknownMemberId,
        GroupError::MemberIdRequired => ErrorCode::MemberIdRequired,
        GroupError::FencedInstance => ErrorCode::FencedInstanceId,
        GroupError::InstanceIdOfPendingMember
        | GroupError::NameTooLong
        | GroupError::RecordsTooLarge => ErrorCode::UnknownServerError,
        GroupError::InconsistentProtocol => ErrorCode::InconsistentGroupProtocol,
        GroupError::GroupFull => ErrorCode::GroupMaxSizeReached,
        GroupError::IllegalGeneration => ErrorCode::IllegalGeneration,
        GroupError::RebalanceInProgress => ErrorCode::RebalanceInProgress,
        GroupError::NonEmptyGroup => ErrorCode::NonEmptyGroup,
        GroupError::SubscribedToTopic => ErrorCode::GroupSubscribedToTopic,
        GroupError::OffsetMetadataTooLarge => ErrorCode::OffsetMetadataTooLarge,
        GroupError::UnstableOffset => ErrorCode::UnstableOffsetCommit,
    }
}

/// A command that the transaction coordinator refuses.
pub fn of_txn_error(error: TxnError) -> ErrorCode {
    match error {
        TxnError::EmptyTransactionalId => ErrorCode::InvalidRequest,
        TxnError::InvalidTimeout => ErrorCode::InvalidTransactionTimeout,
        TxnError::TwoPhaseCommitDisabled => ErrorCode::TransactionalIdAuthorizationFailed,
        TxnError::KeepPreparedUnsupported => ErrorCode::UnsupportedVersion,
        TxnError::TransactionalIdNotFound => ErrorCode::TransactionalIdNotFound,
        TxnError::InvalidProducerIdMapping => ErrorCode::InvalidProducerIdMapping,
        TxnError::ProducerFenced => ErrorCode::ProducerFenced,
        TxnError::ConcurrentTransactions => ErrorCode::ConcurrentTransactions,
        TxnError::InvalidTxnState => ErrorCode::InvalidTxnState,
        TxnError::TransactionAbortable => ErrorCode::TransactionAbortable,
        TxnError::RecordTooLarge => ErrorCode::UnknownServerError,
    }
}

/// The message of an error that fails a whole produce request: none where Kafka's own is the generic one.
pub fn message_of_whole_request(error: ErrorCode) -> Option<String> {
    (error == ErrorCode::CorruptMessage).then(|| "record batch cannot be read".to_owned())
}
