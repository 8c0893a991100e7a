//! Fetch, versions 4 to 18.
//!
//! Behaviour: reads every partition of the request, or of its session, within the limits; answers at once when there
//! is enough, when something went wrong, or when the client does not want to wait; otherwise waits to be woken by
//! appends until `max_wait_ms` has passed. Record bytes go from the log file to the socket.
//!
//! Version notes: 7 adds sessions (KIP-227); 9 the client's leader epoch (KIP-320); 12 the last fetched epoch
//! (KIP-595); 13 names topics by id (KIP-516); 15 moves the replica id into a tagged field.
//!
//! Unlike Apache Kafka, an answer never ends in the middle of a batch.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use klamm_codec::{
    AbortedTransaction, EpochEndOffset, FetchRequest, FetchResponse, FetchTopic, FetchedPartition,
    FetchedTopic, ForgottenTopic, Segment, TopicRef, encode_fetch_response,
};
use klamm_log_store::Slice;
use klamm_log_store::partition::ReadLimit;
use tokio::time::Instant;

use crate::api::{CloseReason, Ctx, Frame, Handled};
use crate::broker::Broker;
use crate::deadlines::Deadlines;
use crate::errors::{self, ErrorCode};
use crate::fetch::plan::{self, Limits, PartitionAnswer, Round, Target};
use crate::fetch::session::{FetchContext, NO_SESSION, PartitionKey, Wanted};
use crate::log_range::LogRange;

const FIRST_TOPIC_ID_VERSION: i16 = 13;
const READ_COMMITTED: i8 = 1;
const NO_PREFERRED_REPLICA: i32 = -1;
/// KAFKA_STORAGE_ERROR is not known to clients below this version, which get NOT_LEADER_OR_FOLLOWER instead.
const FIRST_STORAGE_ERROR_VERSION: i16 = 6;

/// Answers Fetch.
pub fn run(ctx: &Ctx<'_>, body: Bytes) -> Handled {
    let request = match klamm_codec::decode_request::<FetchRequest>(ctx.version(), body) {
        Ok(request) => request,
        Err(error) => return Handled::Close(error.to_string()),
    };
    let version = ctx.version();
    let broker = Arc::clone(ctx.broker);
    let limits = limits(&request, broker.config().fetch_bytes_max);
    let context = broker.fetch_sessions.context(
        request.session_id,
        request.session_epoch,
        wanted(request.topics),
        &forgotten(request.forgotten),
        version >= FIRST_TOPIC_ID_VERSION,
        ctx.now_ms,
    );
    let answering = Answering {
        broker,
        context,
        version,
        correlation_id: ctx.header.correlation_id,
        now_ms: ctx.now_ms,
    };
    let (targets, failed) = answering.targets();
    if targets.is_empty() {
        return answering.handled(failed);
    }
    let round = plan::read(&targets, limits);
    let bytes_min = u64::try_from(request.min_bytes.min(limits.bytes_max)).unwrap_or(0);
    if request.max_wait_ms <= 0 || round.is_urgent || round.readable_bytes >= bytes_min {
        return answering.handled(round.answers.into_iter().chain(failed).collect());
    }
    let wait_max = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    Handled::Later(Box::pin(async move {
        let deadline = Instant::now() + wait_max;
        let deadlines = &answering.broker.deadlines;
        let round = long_poll(&targets, limits, round, bytes_min, deadlines, deadline).await;
        answering.encode(round.answers.into_iter().chain(failed).collect())
    }))
}

/// Waits until enough can be read, something needs telling, or the time is up, and reads once more.
async fn long_poll(
    targets: &[Target],
    limits: Limits,
    mut round: Round,
    bytes_min: u64,
    deadlines: &Deadlines,
    deadline: Instant,
) -> Round {
    loop {
        let wait = plan::wait(targets, limits, &round, bytes_min);
        let timed_out = deadlines.before(deadline, wait).await.is_err();
        round = plan::read(targets, limits);
        if timed_out || round.is_urgent || round.readable_bytes >= bytes_min {
            return round;
        }
    }
}

fn limits(request: &FetchRequest, broker_bytes_max: i32) -> Limits {
    // Every negative replica id is a consumer's, the debugging ones included (FetchRequest.isConsumer).
    let is_from_follower = request.replica_id >= 0;
    let read = if is_from_follower {
        ReadLimit::LogEnd
    } else if request.isolation_level == READ_COMMITTED {
        ReadLimit::LastStable
    } else {
        ReadLimit::HighWatermark
    };
    Limits {
        bytes_max: request.max_bytes.min(broker_bytes_max),
        read,
        is_from_follower,
    }
}

/// The partitions that a request names, each once: of two entries the later counts, at the place of the earlier.
fn wanted(topics: Vec<FetchTopic>) -> Vec<(PartitionKey, Wanted)> {
    let is_single = topics.len() == 1 && topics[0].partitions.len() == 1;
    let mut wanted: Vec<(PartitionKey, Wanted)> = Vec::new();
    let mut places: HashMap<PartitionKey, usize> = HashMap::new();
    for FetchTopic { topic, partitions } in topics {
        for partition in partitions {
            let key = (topic.clone(), partition.index);
            let of_client = |epoch: i32| (epoch >= 0).then_some(epoch);
            let value = Wanted {
                fetch_offset: partition.fetch_offset,
                bytes_max: partition.bytes_max,
                current_leader_epoch: of_client(partition.current_leader_epoch),
                last_fetched_epoch: of_client(partition.last_fetched_epoch),
            };
            if is_single {
                wanted.push((key, value));
                continue;
            }
            match places.get(&key) {
                Some(place) => wanted[*place].1 = value,
                None => {
                    places.insert(key.clone(), wanted.len());
                    wanted.push((key, value));
                }
            }
        }
    }
    wanted
}

fn forgotten(topics: Vec<ForgottenTopic>) -> Vec<PartitionKey> {
    topics
        .into_iter()
        .flat_map(|ForgottenTopic { topic, partitions }| {
            partitions
                .into_iter()
                .map(move |index| (topic.clone(), index))
        })
        .collect()
}

/// One request on its way to an answer.
struct Answering {
    broker: Arc<Broker>,
    context: FetchContext,
    version: i16,
    correlation_id: i32,
    now_ms: i64,
}

impl Answering {
    /// What is to be read, and what cannot be read because nobody knows it.
    fn targets(&self) -> (Vec<Target>, Vec<PartitionAnswer>) {
        let wanted = match &self.context {
            FetchContext::Refused(_) => return (Vec::new(), Vec::new()),
            FetchContext::Sessionless(wanted)
            | FetchContext::Full { wanted, .. }
            | FetchContext::Incremental { wanted, .. } => wanted,
        };
        let image = self.broker.metadata.image();
        let mut targets = Vec::with_capacity(wanted.len());
        // Kafka answers for topic ids that it does not know before it looks at partitions.
        let (mut unknown_ids, mut failed) = (Vec::new(), Vec::new());
        for (key, wanted) in wanted {
            let topic = match &key.0 {
                TopicRef::Name(name) => image.topic(name).ok_or(ErrorCode::UnknownTopicOrPartition),
                TopicRef::Id(id) => image.topic_by_id(*id).ok_or(ErrorCode::UnknownTopicId),
            };
            match topic.and_then(|topic| self.broker.hosted(topic, key.1)) {
                Ok(hosted) => targets.push(Target {
                    key: key.clone(),
                    wanted: *wanted,
                    log: hosted.log,
                }),
                // Unlike an answer that was read, Kafka's answer for these has an empty list of transactions.
                Err(error) => {
                    let answer = PartitionAnswer {
                        aborted: Some(Vec::new()),
                        ..PartitionAnswer::failed(key.clone(), error)
                    };
                    if error == ErrorCode::UnknownTopicId {
                        unknown_ids.push(answer)
                    } else {
                        failed.push(answer)
                    }
                }
            }
        }
        unknown_ids.append(&mut failed);
        (targets, unknown_ids)
    }

    fn handled(self, answers: Vec<PartitionAnswer>) -> Handled {
        match self.encode(answers) {
            Ok(frame) => Handled::Now(frame),
            Err(reason) => Handled::Close(reason),
        }
    }

    /// Brings the session up to date and encodes what the client must be told.
    fn encode(self, mut answers: Vec<PartitionAnswer>) -> Result<Frame, CloseReason> {
        let (mut error_code, mut session_id) = (errors::NONE, NO_SESSION);
        match &self.context {
            FetchContext::Refused(error) => error_code = error.code(),
            FetchContext::Sessionless(_) => {}
            FetchContext::Full {
                wanted,
                uses_topic_ids,
            } => session_id = self.new_session(wanted, &answers, *uses_topic_ids),
            FetchContext::Incremental { session, epoch, .. } => {
                session_id = session.id();
                let outcomes: Vec<_> = answers
                    .iter()
                    .map(|answer| (answer.key.clone(), answer.outcome()))
                    .collect();
                match session.select(*epoch, &outcomes) {
                    Ok(selected) => {
                        let mut selected = selected.into_iter();
                        answers.retain(|_| selected.next().unwrap_or(false));
                    }
                    Err(error) => {
                        error_code = error.code();
                        answers.clear();
                    }
                }
            }
        }
        let response = FetchResponse {
            throttle_time_ms: 0,
            error_code,
            session_id,
            topics: by_topic(answers, self.version),
            node_endpoints: Vec::new(),
        };
        encode_fetch_response(self.correlation_id, self.version, response)
            .map_err(|error| error.to_string())
    }

    fn new_session(
        &self,
        wanted: &[(PartitionKey, Wanted)],
        answers: &[PartitionAnswer],
        uses_topic_ids: bool,
    ) -> i32 {
        let wanted: HashMap<&PartitionKey, &Wanted> =
            wanted.iter().map(|(key, wanted)| (key, wanted)).collect();
        let partitions: Vec<_> = answers
            .iter()
            .filter_map(|answer| {
                wanted
                    .get(&answer.key)
                    .map(|wanted| (answer.key.clone(), **wanted, answer.outcome()))
            })
            .collect();
        self.broker.fetch_sessions.create(
            partitions.into_iter(),
            uses_topic_ids,
            self.now_ms,
            || rand::random_range(1..=i32::MAX),
        )
    }
}

/// Puts neighbours of one topic together, in the order of the answers.
fn by_topic(answers: Vec<PartitionAnswer>, version: i16) -> Vec<FetchedTopic<LogRange>> {
    let mut topics: Vec<FetchedTopic<LogRange>> = Vec::new();
    for answer in answers {
        let topic = answer.key.0.clone();
        let partition = fetched_partition(answer, version);
        match topics.last_mut().filter(|last| last.topic == topic) {
            Some(last) => last.partitions.push(partition),
            None => topics.push(FetchedTopic {
                topic,
                partitions: vec![partition],
            }),
        }
    }
    topics
}

fn fetched_partition(answer: PartitionAnswer, version: i16) -> FetchedPartition<LogRange> {
    let error = answer.error.map(|error| match error {
        ErrorCode::KafkaStorageError if version < FIRST_STORAGE_ERROR_VERSION => {
            ErrorCode::NotLeaderOrFollower
        }
        error => error,
    });
    let records = answer
        .records
        .into_iter()
        .map(|slice| match slice {
            Slice::Bytes(bytes) => Segment::Bytes(bytes),
            Slice::File(slice) => Segment::File(LogRange(slice)),
        })
        .collect();
    FetchedPartition {
        index: answer.key.1,
        error_code: error.map_or(errors::NONE, |error| error.code()),
        high_watermark: answer.high_watermark,
        last_stable_offset: answer.last_stable,
        log_start_offset: answer.log_start,
        diverging_epoch: answer.diverging.map(|end| EpochEndOffset {
            epoch: end.epoch.0,
            end_offset: end.end.0,
        }),
        current_leader: None,
        snapshot_id: None,
        aborted_transactions: answer.aborted.map(|aborted| {
            aborted
                .into_iter()
                .map(|txn| AbortedTransaction {
                    producer_id: txn.producer_id.0,
                    first_offset: txn.first_offset.0,
                })
                .collect()
        }),
        preferred_read_replica: Some(NO_PREFERRED_REPLICA),
        records: Some(records),
    }
}
