//! Produce, versions 3 to 13 (0 to 2 are advertised and refused, KAFKA-18659).
//!
//! Behaviour: each partition's batch is validated and appended on its own; one that fails does not hold back the
//! others. acks=0 gets no answer, and a failure then closes the connection; acks=1 is answered when the batch is
//! written, acks=all when it is committed. A batch that cannot be looked at, and transactional records without a
//! transactional id, fail the request as a whole.
//!
//! Version notes: 3 to 6 refuse zstd (KIP-110); 8 adds record errors (KIP-467); 13 names topics by id (KIP-516).
//!
//! Not yet: transactional records, which are answered with INVALID_PRODUCER_ID_MAPPING, as for a transactional id that
//! nobody knows.

use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::ProduceResponse;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::protocol::StrBytes;
use klamm_codec::{ProduceRequest, Segment, TopicRef};
use klamm_log_store::batch::{self, BatchError, BatchHeader};
use klamm_log_store::partition::{AppendOptions, Appended, Durability, Partition};

use crate::api::{CloseReason, Ctx, Frame, Handled};
use crate::broker::Broker;
use crate::errors::{self, ErrorCode};
use crate::partitions::Hosted;

const ACKS_ALL: i16 = -1;
const FIRST_ZSTD_VERSION: i16 = 7;
const FIRST_RECORD_ERRORS_VERSION: i16 = 8;
const FIRST_TOPIC_ID_VERSION: i16 = 13;
const UNKNOWN_OFFSET: i64 = -1;
const NO_TIMESTAMP_MS: i64 = -1;
/// The client id that Kafka's own tools use to write to internal topics.
const INTERNAL_TOPICS_CLIENT_ID: &str = "__admin_client";

/// Answers Produce.
pub fn run(ctx: &Ctx<'_>, body: Bytes) -> Handled {
    let request = match klamm_codec::decode_request::<ProduceRequest>(ctx.version(), body) {
        Ok(request) => request,
        Err(error) => return Handled::Close(error.to_string()),
    };
    let acks = request.acks;
    let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    let has_transactional_id = request.transactional_id.is_some();
    let entries = once_each(request);
    let prepared =
        refuse_transactional(&entries, has_transactional_id).and_then(|()| prepare(ctx, &entries));
    let mut answers: Vec<Answer> = match prepared {
        Ok(prepared) => entries
            .into_iter()
            .zip(prepared)
            .map(|(entry, prepared)| append(ctx, acks, entry, prepared))
            .collect(),
        Err(error) => entries
            .into_iter()
            .map(|entry| Answer::refused_as_a_whole(entry, error))
            .collect(),
    };
    if acks == 0 {
        return match answers.iter().find_map(|answer| answer.error) {
            Some(error) => Handled::Close(format!("produce with acks=0 failed: {error}")),
            None => Handled::Silent,
        };
    }
    let (version, correlation_id) = (ctx.version(), ctx.header.correlation_id);
    if acks != ACKS_ALL || answers.iter().all(Answer::is_committed) {
        return match encode(answers, version, correlation_id) {
            Ok(frame) => Handled::Now(frame),
            Err(reason) => Handled::Close(reason),
        };
    }
    Handled::Later(Box::pin(async move {
        let all_committed = async {
            for answer in &mut answers {
                answer.await_commit().await;
            }
        };
        if tokio::time::timeout(timeout, all_committed).await.is_err() {
            for answer in answers.iter_mut().filter(|answer| !answer.is_committed()) {
                answer.fail(ErrorCode::RequestTimedOut);
            }
        }
        encode(answers, version, correlation_id)
    }))
}

/// The answer for one partition.
struct Answer {
    topic: TopicRef,
    index: i32,
    error: Option<ErrorCode>,
    message: Option<String>,
    record_errors: Vec<batch::RecordError>,
    base_offset: i64,
    log_append_time_ms: i64,
    log_start_offset: i64,
    /// The log and the offset whose commit the answer waits for.
    commit: Option<(Arc<Partition>, klamm_log_store::Offset)>,
}

impl Answer {
    fn failed(topic: TopicRef, index: i32, error: ErrorCode) -> Self {
        Self {
            topic,
            index,
            error: Some(error),
            message: None,
            record_errors: Vec::new(),
            base_offset: UNKNOWN_OFFSET,
            log_append_time_ms: NO_TIMESTAMP_MS,
            log_start_offset: UNKNOWN_OFFSET,
            commit: None,
        }
    }

    fn refused_as_a_whole(entry: Entry, error: ErrorCode) -> Self {
        Self {
            message: errors::message_of_whole_request(error),
            ..Self::failed(entry.topic, entry.index, error)
        }
    }

    fn appended(topic: TopicRef, index: i32, log: Arc<Partition>, appended: &Appended) -> Self {
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

    fn is_committed(&self) -> bool {
        self.commit
            .as_ref()
            .is_none_or(|(log, end)| log.high_watermark() >= *end)
    }

    async fn await_commit(&mut self) {
        if let Some((log, end)) = &self.commit
            && let Err(offline) = log.committed(*end).await
        {
            tracing::error!(%offline, "an acknowledged append was not committed");
            self.fail(ErrorCode::KafkaStorageError);
        }
    }

    fn fail(&mut self, error: ErrorCode) {
        self.error = Some(error);
        self.commit = None;
    }
}

/// One partition's part of a request.
struct Entry {
    topic: TopicRef,
    index: i32,
    records: Bytes,
}

/// A partition and its only batch, or why there is none.
type Prepared = Result<(Hosted, Bytes), ErrorCode>;

/// The partitions of a request, each once: of two entries for one partition Kafka keeps the later.
fn once_each(request: ProduceRequest) -> Vec<Entry> {
    let is_single = request.topics.len() == 1 && request.topics[0].partitions.len() == 1;
    let mut entries: Vec<Entry> = Vec::new();
    let mut places: HashMap<(TopicRef, i32), usize> = HashMap::new();
    for topic in request.topics {
        for partition in topic.partitions {
            let entry = Entry {
                topic: topic.topic.clone(),
                index: partition.index,
                records: partition.records.unwrap_or_default(),
            };
            if is_single {
                entries.push(entry);
                continue;
            }
            match places.entry((topic.topic.clone(), partition.index)) {
                Occupied(place) => entries[*place.get()] = entry,
                Vacant(place) => {
                    place.insert(entries.len());
                    entries.push(entry);
                }
            }
        }
    }
    entries
}

/// Transactional records need a transactional id. Kafka looks at all partitions for this, until it finds the first
/// transactional batch, before it looks at any partition by itself.
fn refuse_transactional(entries: &[Entry], has_transactional_id: bool) -> Result<(), ErrorCode> {
    for entry in entries {
        if batch::is_first_transactional(&entry.records)
            .map_err(|error| errors::of_request_error(&error))?
        {
            return if has_transactional_id {
                Ok(())
            } else {
                Err(ErrorCode::TransactionalIdAuthorizationFailed)
            };
        }
    }
    Ok(())
}

/// Finds every partition and its only batch, before any partition is written to.
///
/// # Errors
/// What fails the request as a whole.
fn prepare(ctx: &Ctx<'_>, entries: &[Entry]) -> Result<Vec<Prepared>, ErrorCode> {
    let allows_zstd = ctx.version() >= FIRST_ZSTD_VERSION;
    let mut prepared = Vec::with_capacity(entries.len());
    for entry in entries {
        let hosted = match find(ctx, &entry.topic, entry.index) {
            Ok(hosted) => hosted,
            Err(error) => {
                prepared.push(Err(error));
                continue;
            }
        };
        match batch::only_batch(entry.records.clone(), allows_zstd) {
            Ok(batch) => prepared.push(Ok((hosted, batch))),
            Err(error) if error.fails_request() => return Err(errors::of_request_error(&error)),
            Err(error) => prepared.push(Err(errors::of_request_error(&error))),
        }
    }
    Ok(prepared)
}

fn append(ctx: &Ctx<'_>, acks: i16, entry: Entry, prepared: Prepared) -> Answer {
    let Entry {
        topic,
        index,
        records,
    } = entry;
    // The frame is kept in memory by the batch alone.
    drop(records);
    let appended = prepared
        .map_err(Refusal::from)
        .and_then(|(hosted, batch)| append_batch(ctx, acks, hosted, batch));
    match appended {
        Ok((log, appended)) => Answer::appended(topic, index, log, &appended),
        Err(refusal) => Answer {
            message: refusal.message,
            record_errors: refusal.record_errors,
            log_start_offset: refusal.log_start_offset,
            ..Answer::failed(topic, index, refusal.error)
        },
    }
}

/// Why one partition's batch was not appended.
struct Refusal {
    error: ErrorCode,
    message: Option<String>,
    record_errors: Vec<batch::RecordError>,
    log_start_offset: i64,
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

fn append_batch(
    ctx: &Ctx<'_>,
    acks: i16,
    hosted: Hosted,
    batch: Bytes,
) -> Result<(Arc<Partition>, Appended), Refusal> {
    if !(ACKS_ALL..=1).contains(&acks) {
        return Err(ErrorCode::InvalidRequiredAcks.into());
    }
    if hosted.topic.is_internal && ctx.client_id() != INTERNAL_TOPICS_CLIENT_ID {
        return Err(ErrorCode::InvalidTopicException.into());
    }
    if BatchHeader::parse(&batch).is_ok_and(|header| is_of_transaction(&header)) {
        return Err(ErrorCode::InvalidProducerIdMapping.into());
    }
    let log = hosted.log?;
    let rules = hosted.topic.rules(
        ctx.now_ms,
        ctx.version() >= FIRST_ZSTD_VERSION,
        ctx.broker.config().net.decompressed_bytes_max,
    );
    let batch = batch::validate(batch, &rules).map_err(|error| invalid(error, &log))?;
    let durability = if acks == ACKS_ALL {
        Durability::Durable
    } else {
        Durability::Unsynced
    };
    match log.append(&batch, AppendOptions::client(durability, ctx.now_ms)) {
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

/// Whether the batch belongs to somebody's transaction: without a producer id its flag means nothing, as in Kafka.
fn is_of_transaction(header: &BatchHeader) -> bool {
    header.attributes.is_transactional() && header.producer_id.is_some()
}

fn find(ctx: &Ctx<'_>, topic: &TopicRef, index: i32) -> Result<Hosted, ErrorCode> {
    let broker: &Broker = ctx.broker;
    let image = broker.metadata.image();
    let topic = match topic {
        TopicRef::Name(name) => image
            .topic(name)
            .ok_or(ErrorCode::UnknownTopicOrPartition)?,
        TopicRef::Id(id) => image.topic_by_id(*id).ok_or(ErrorCode::UnknownTopicId)?,
    };
    broker.hosted(topic, index)
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

fn encode(answers: Vec<Answer>, version: i16, correlation_id: i32) -> Result<Frame, CloseReason> {
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
