//! The answer to a produce request, partition by partition.

use std::sync::Arc;

use klamm_codec::{
    ProduceResponse, ProducedPartition, ProducedRecordError, ProducedTopic, Segment, TopicRef,
};
use klamm_log_store::Offset;
use klamm_log_store::partition::{Appended, Partition};

use super::append::Refusal;
use super::prepare::Place;
use super::{ACKS_ALL, Terms};
use crate::api::{CloseReason, Frame};
use crate::errors::{self, ErrorCode};

pub(super) const UNKNOWN_OFFSET: i64 = -1;
const NO_TIMESTAMP_MS: i64 = -1;

/// The answers for the partitions of a request, in the order in which they were given.
pub(super) struct Answers {
    response: ProduceResponse,
    first_error: Option<ErrorCode>,
    uncommitted: Vec<Uncommitted>,
}

/// A batch that was appended with acks=all, and whose commit the answer waits for.
struct Uncommitted {
    log: Arc<Partition>,
    end: Offset,
    /// Where its answer is: the topic among the topics, the partition among the topic's.
    topic: usize,
    partition: usize,
}

impl Answers {
    /// Answers for partitions of these topics, none given yet.
    pub fn new(topics: Vec<TopicRef>) -> Self {
        let topics = topics.into_iter().map(|topic| ProducedTopic {
            topic,
            partitions: Vec::new(),
        });
        Self {
            response: ProduceResponse {
                topics: topics.collect(),
            },
            first_error: None,
            uncommitted: Vec::new(),
        }
    }

    pub fn refuse(&mut self, place: Place, refusal: Refusal) {
        self.first_error.get_or_insert(refusal.error);
        let record_errors = refusal.record_errors.into_iter();
        self.push(
            place,
            ProducedPartition {
                index: place.index,
                error_code: refusal.error.code(),
                base_offset: UNKNOWN_OFFSET,
                log_append_time_ms: NO_TIMESTAMP_MS,
                log_start_offset: refusal.log_start_offset,
                record_errors: record_errors
                    .map(|error| ProducedRecordError {
                        batch_index: error.batch_index,
                        message: Some(error.message),
                    })
                    .collect(),
                error_message: refusal.message,
            },
        );
    }

    pub fn appended(&mut self, terms: &Terms, place: Place, log: Arc<Partition>, batch: &Appended) {
        let end = batch.end_offset();
        if terms.acks == ACKS_ALL && log.high_watermark() < end {
            self.uncommitted.push(Uncommitted {
                log,
                end,
                topic: place.topic,
                partition: self.response.topics[place.topic].partitions.len(),
            });
        }
        self.push(
            place,
            ProducedPartition {
                index: place.index,
                error_code: errors::NONE,
                base_offset: batch.base_offset.0,
                log_append_time_ms: batch.log_append_time_ms,
                log_start_offset: batch.log_start_offset.0,
                record_errors: Vec::new(),
                error_message: None,
            },
        );
    }

    /// The error of the first partition that has one.
    pub fn first_error(&self) -> Option<ErrorCode> {
        self.first_error
    }

    /// Whether everything is there that the answers claim.
    pub fn are_committed(&self) -> bool {
        self.uncommitted.iter().all(Uncommitted::is_committed)
    }

    /// Waits until all batches are committed. Those of a partition that goes offline have failed.
    pub async fn await_commits(&mut self) {
        while let Some(batch) = self.uncommitted.last() {
            let committed = batch.log.committed(batch.end).await;
            let batch = self.uncommitted.pop().expect("it has just been waited for");
            if let Err(offline) = committed {
                tracing::error!(%offline, "an append was not committed");
                self.fail(&batch, ErrorCode::KafkaStorageError);
            }
        }
    }

    /// What is not committed has timed out.
    pub fn time_out(&mut self) {
        for batch in std::mem::take(&mut self.uncommitted) {
            if !batch.is_committed() {
                self.fail(&batch, ErrorCode::RequestTimedOut);
            }
        }
    }

    /// The whole answer as a frame.
    pub fn encode(self, version: i16, correlation_id: i32) -> Result<Frame, CloseReason> {
        klamm_codec::encode_response(correlation_id, version, &self.response)
            .map(|frame| vec![Segment::Bytes(frame)])
            .map_err(|error| error.to_string())
    }

    fn push(&mut self, place: Place, partition: ProducedPartition) {
        self.response.topics[place.topic].partitions.push(partition);
    }

    fn fail(&mut self, batch: &Uncommitted, error: ErrorCode) {
        self.response.topics[batch.topic].partitions[batch.partition].error_code = error.code();
    }
}

impl Uncommitted {
    fn is_committed(&self) -> bool {
        self.log.high_watermark() >= self.end
    }
}
