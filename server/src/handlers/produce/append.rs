//! Validates and appends one partition's batch.

use std::sync::Arc;

use klamm_log_store::batch::{self, BatchError, Rules};
use klamm_log_store::partition::{AppendOptions, Appended, Durability, Partition};

use super::answer::{Answers, UNKNOWN_OFFSET};
use super::prepare::{Part, Ready};
use super::{ACKS_ALL, FIRST_ZSTD_VERSION, Terms};
use crate::errors::{self, ErrorCode};
use crate::partitions::HostedTopic;

/// Why one partition's batch was not appended.
#[derive(Debug)]
pub(super) struct Refusal {
    pub error: ErrorCode,
    pub message: Option<String>,
    pub record_errors: Vec<batch::RecordError>,
    pub log_start_offset: i64,
}

impl From<ErrorCode> for Refusal {
    fn from(error: ErrorCode) -> Self {
        Self {
            error,
            message: None,
            record_errors: Vec::new(),
            log_start_offset: UNKNOWN_OFFSET,
        }
    }
}

/// Appends what is ready and answers what is not.
pub(super) fn append_all(terms: &Terms, parts: Vec<Part>, answers: &mut Answers) {
    // Those of the topic that the last part was of, as its settings were then.
    let mut last_rules: Option<(usize, Rules)> = None;
    for Part { place, prepared } in parts {
        let rules_of = |topic: &HostedTopic| match last_rules {
            Some((last, rules)) if last == place.topic => rules,
            _ => last_rules.insert((place.topic, rules(terms, topic))).1,
        };
        match prepared.and_then(|ready| append_batch(terms, ready, rules_of)) {
            Ok((log, appended)) => answers.appended(terms, place, log, &appended),
            Err(refusal) => answers.refuse(place, refusal),
        }
    }
}

fn rules(terms: &Terms, topic: &HostedTopic) -> Rules {
    topic.rules(
        terms.now_ms,
        terms.version >= FIRST_ZSTD_VERSION,
        terms.decompressed_bytes_max,
    )
}

fn append_batch(
    terms: &Terms,
    ready: Ready,
    rules_of: impl FnOnce(&HostedTopic) -> Rules,
) -> Result<(Arc<Partition>, Appended), Refusal> {
    let Ready {
        hosted,
        batch,
        verification,
    } = ready;
    if !(ACKS_ALL..=1).contains(&terms.acks) {
        return Err(ErrorCode::InvalidRequiredAcks.into());
    }
    if hosted.topic.is_internal && !terms.may_write_internal_topics {
        return Err(ErrorCode::InvalidTopicException.into());
    }
    let log = hosted.log?;
    let rules = rules_of(&hosted.topic);
    let batch = batch::validate_only(batch, &rules).map_err(|error| invalid(error, &log))?;
    let durability = if terms.acks == ACKS_ALL {
        Durability::Durable
    } else {
        Durability::Unsynced
    };
    let options = AppendOptions::client(durability, terms.now_ms).with_verification(verification);
    match log.append(&batch, options) {
        Ok(appended) => Ok((log, appended)),
        Err(error) => {
            let (error, tells_log_start) = errors::of_append_error(&error);
            let log_start_offset = if tells_log_start {
                log.log_start().0
            } else {
                UNKNOWN_OFFSET
            };
            Err(Refusal {
                log_start_offset,
                ..error.into()
            })
        }
    }
}

fn invalid(error: BatchError, log: &Partition) -> Refusal {
    let log_start_offset = log.log_start().0;
    match error {
        BatchError::Request(error) => errors::of_request_error(&error).into(),
        BatchError::Corrupt(_) => ErrorCode::CorruptMessage.into(),
        BatchError::TooLarge { .. } | BatchError::TooLargeDecompressed { .. } => {
            ErrorCode::MessageTooLarge.into()
        }
        BatchError::TooLargeForSegment { .. } => ErrorCode::RecordListTooLarge.into(),
        BatchError::Invalid { .. } => Refusal {
            log_start_offset,
            ..ErrorCode::InvalidRecord.into()
        },
        BatchError::Unreadable { .. } => Refusal {
            log_start_offset,
            ..ErrorCode::UnknownServerError.into()
        },
        BatchError::Records {
            kind,
            message,
            record_errors,
        } => Refusal {
            error: errors::of_record_errors(kind),
            message: Some(message),
            record_errors,
            log_start_offset,
        },
    }
}
