//! What each record of a batch must fulfil (Kafka's `LogValidator.validateRecord`).

use super::attributes::TimestampType;
use super::error::{BatchError, RECORD_ERRORS_MAX, RecordError, RecordErrorKind};
use super::header::{BatchHeader, NO_TIMESTAMP_MS};
use super::records::RecordsError;
use super::rules::Rules;
use super::skim::RecordOutline;

/// Looks at one record after the other, and remembers what the whole batch needs to know.
pub struct Inspection<'r> {
    rules: &'r Rules,
    header: BatchHeader,
    next_index: i32,
    max_timestamp_ms: i64,
    has_consecutive_offsets: bool,
    errors_total: usize,
    has_timestamp_error: bool,
    record_errors: Vec<RecordError>,
}

/// What a batch without record errors has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// The largest timestamp of a record; [`NO_TIMESTAMP_MS`] when no record has one.
    pub max_timestamp_ms: i64,
    /// Whether the offset deltas are 0, 1, 2 and so on.
    pub has_consecutive_offsets: bool,
}

impl<'r> Inspection<'r> {
    pub fn new(rules: &'r Rules, header: BatchHeader) -> Inspection<'r> {
        Inspection {
            rules,
            header,
            next_index: 0,
            max_timestamp_ms: NO_TIMESTAMP_MS,
            has_consecutive_offsets: true,
            errors_total: 0,
            has_timestamp_error: false,
            record_errors: Vec::new(),
        }
    }

    /// Looks at all records, up to the first that cannot be read.
    #[inline]
    pub fn all(
        &mut self,
        records: impl Iterator<Item = Result<RecordOutline, RecordsError>>,
    ) -> Result<(), RecordsError> {
        for record in records {
            self.record(&record?);
        }
        Ok(())
    }

    #[inline(always)]
    pub fn record(&mut self, record: &RecordOutline) {
        let timestamp_ms = self.header.record_timestamp_ms(record.timestamp_delta);
        if self.rules.requires_keys && !record.has_key {
            self.blame(RecordErrorKind::InvalidRecord, || {
                "a record in a compacted topic needs a key".to_owned()
            });
        } else {
            self.check_timestamp(timestamp_ms);
        }
        self.max_timestamp_ms = self.max_timestamp_ms.max(timestamp_ms);
        self.has_consecutive_offsets &= record.offset_delta == self.next_index;
        self.next_index += 1;
    }

    /// What has been seen, or the error that the records amount to.
    pub fn finish(self) -> Result<Inspected, BatchError> {
        if self.errors_total == 0 {
            return Ok(Inspected {
                max_timestamp_ms: self.max_timestamp_ms,
                has_consecutive_offsets: self.has_consecutive_offsets,
            });
        }
        let (kind, message) = if self.has_timestamp_error {
            let message = "records have timestamps that the topic does not allow".to_owned();
            (RecordErrorKind::InvalidTimestamp, message)
        } else {
            let message = format!("{} records are invalid", self.errors_total);
            (RecordErrorKind::InvalidRecord, message)
        };
        Err(BatchError::Records {
            kind,
            message,
            record_errors: self.record_errors,
        })
    }

    /// A topic with create time takes any timestamp in its window, and a record without one. Only
    /// the log may say that a timestamp is its own; but Kafka does not look for that on a record
    /// whose timestamp it has just found to be in the window.
    #[inline]
    fn check_timestamp(&mut self, timestamp_ms: i64) {
        let Rules {
            now_ms,
            timestamp_before_max_ms,
            timestamp_after_max_ms,
            ..
        } = *self.rules;
        let topic_type = self.rules.timestamp_type;
        if topic_type == TimestampType::CreateTime && timestamp_ms != NO_TIMESTAMP_MS {
            // Wraps as Java does, so that the two agree on the far ends of the range as well.
            let age_ms = now_ms.wrapping_sub(timestamp_ms);
            if age_ms > timestamp_before_max_ms || age_ms.wrapping_neg() > timestamp_after_max_ms {
                self.blame(RecordErrorKind::InvalidTimestamp, || {
                    let earliest_ms = now_ms.saturating_sub(timestamp_before_max_ms);
                    let latest_ms = now_ms.saturating_add(timestamp_after_max_ms);
                    format!("timestamp {timestamp_ms} is not within {earliest_ms} to {latest_ms}")
                });
            }
        } else if self.header.attributes.timestamp_type() == TimestampType::LogAppendTime {
            self.blame(RecordErrorKind::InvalidTimestamp, || {
                "a producer may not claim log append time".to_owned()
            });
        }
    }

    #[cold]
    fn blame(&mut self, kind: RecordErrorKind, message: impl FnOnce() -> String) {
        self.errors_total += 1;
        self.has_timestamp_error |= kind == RecordErrorKind::InvalidTimestamp;
        if self.record_errors.len() < RECORD_ERRORS_MAX {
            self.record_errors.push(RecordError {
                batch_index: self.next_index,
                message: message(),
            });
        }
    }
}
