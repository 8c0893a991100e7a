//! The answer to a produce request, partition by partition.

use std::sync::Arc;

use kafka_protocol::messages::ProduceResponse;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::protocol::StrBytes;
use klamm_codec::{Segment, TopicRef};
use klamm_log_store::batch;
use klamm_log_store::partition::{Appended, Partition};

use super::append::Refusal;
use crate::api::{CloseReason, Frame};
use crate::errors::{self, ErrorCode};

const FIRST_RECORD_ERRORS_VERSION: i16 = 8;
const FIRST_TOPIC_ID_VERSION: i16 = 13;
pub(super) const UNKNOWN_OFFSET: i64 = -1;
const NO_TIMESTAMP_MS: i64 = -1;

/// The answer for one partition.
pub(super) struct Answer {
    topic: TopicRef,
    index: i32,
    pub error: Option<ErrorCode>,
    message: Option<String>,
    record_errors: Vec<batch::RecordError>,
    base_offset: i64,
    log_append_time_ms: i64,
    log_start_offset: i64,
    /// The log and the offset whose commit the answer waits for.
    commit: Option<(Arc<Partition>, klamm_log_store::Offset)>,
}

impl Answer {
    pub fn refused(topic: TopicRef, index: i32, refusal: Refusal) -> Self {
        Self {
            topic,
            index,
            error: Some(refusal.error),
            message: refusal.message,
            record_errors: refusal.record_errors,
            base_offset: UNKNOWN_OFFSET,
            log_append_time_ms: NO_TIMESTAMP_MS,
            log_start_offset: refusal.log_start_offset,
            commit: None,
        }
    }

    pub fn refused_as_a_whole(topic: TopicRef, index: i32, error: ErrorCode) -> Self {
        Self {
            message: errors::message_of_whole_request(error),
            ..Self::refused(topic, index, error.into())
        }
    }

    pub fn appended(topic: TopicRef, index: i32, log: Arc<Partition>, appended: &Appended) -> Self {
        Self {
            topic,
            index,
            error: None,
            message: None,
            record_errors: Vec::new(),
            base_offset: appended.base_offset.0,
            log_append_time_ms: appended.log_append_time_ms,
            log_start_offset: appended.log_start_offset.0,
            commit: Some((log, appended.end_offset())),
        }
    }

    pub fn is_committed(&self) -> bool {
        self.commit
            .as_ref()
            .is_none_or(|(log, end)| log.high_watermark() >= *end)
    }

    pub async fn await_commit(&mut self) {
        if let Some((log, end)) = &self.commit
            && let Err(offline) = log.committed(*end).await
        {
            tracing::error!(%offline, "an append was not committed");
            self.fail(ErrorCode::KafkaStorageError);
        }
    }

    pub fn fail(&mut self, error: ErrorCode) {
        self.error = Some(error);
        self.commit = None;
    }
}

/// The whole answer as a frame.
pub(super) fn encode(
    answers: Vec<Answer>,
    version: i16,
    correlation_id: i32,
) -> Result<Frame, CloseReason> {
    let mut topics: Vec<(TopicRef, TopicProduceResponse)> = Vec::new();
    for answer in answers {
        let partition = partition_response(&answer, version);
        match topics
            .iter_mut()
            .rev()
            .find(|(topic, _)| *topic == answer.topic)
        {
            Some((_, response)) => response.partition_responses.push(partition),
            None => {
                let response = topic_response(&answer.topic, version)
                    .with_partition_responses(vec![partition]);
                topics.push((answer.topic, response));
            }
        }
    }
    let response = ProduceResponse::default()
        .with_responses(topics.into_iter().map(|(_, response)| response).collect());
    klamm_codec::encode_response(correlation_id, version, &response)
        .map(|frame| vec![Segment::Bytes(frame)])
        .map_err(|error| error.to_string())
}

fn topic_response(topic: &TopicRef, version: i16) -> TopicProduceResponse {
    match topic {
        TopicRef::Name(name) if version < FIRST_TOPIC_ID_VERSION => {
            TopicProduceResponse::default().with_name(name.clone())
        }
        TopicRef::Name(_) => TopicProduceResponse::default(),
        TopicRef::Id(id) => TopicProduceResponse::default().with_topic_id(*id),
    }
}

fn partition_response(answer: &Answer, version: i16) -> PartitionProduceResponse {
    let mut response = PartitionProduceResponse::default()
        .with_index(answer.index)
        .with_error_code(answer.error.map_or(errors::NONE, |error| error.code()))
        .with_base_offset(answer.base_offset)
        .with_log_append_time_ms(answer.log_append_time_ms);
    if version >= 5 {
        response = response.with_log_start_offset(answer.log_start_offset);
    }
    if version < FIRST_RECORD_ERRORS_VERSION {
        return response;
    }
    let record_errors = answer
        .record_errors
        .iter()
        .map(|error| {
            BatchIndexAndErrorMessage::default()
                .with_batch_index(error.batch_index)
                .with_batch_index_error_message(Some(StrBytes::from_string(error.message.clone())))
        })
        .collect();
    response
        .with_record_errors(record_errors)
        .with_error_message(answer.message.clone().map(StrBytes::from_string))
}
