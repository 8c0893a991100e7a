//! Produce, versions 3 to 13 (0 to 2 are advertised and refused, KAFKA-18659).
//!
//! Behaviour: each partition's batch is validated and appended on its own; one that fails does not hold back the
//! others. acks=0 gets no answer, and a failure then closes the connection; acks=1 is answered when the batch is
//! written, acks=all when it is committed. A batch that cannot be looked at, and transactional records without a
//! transactional id, fail the request as a whole. The first batch of a transaction in a partition waits until the
//! transaction's coordinator has vouched for it ([`verify`]).
//!
//! Version notes: 3 to 6 refuse zstd (KIP-110); 8 adds record errors (KIP-467); from 12 on the broker adds partitions to
//! transactions by itself (KIP-890); 13 names topics by id (KIP-516).

mod answer;
mod append;
mod prepare;
mod verify;

use std::sync::Arc;
use std::time::Duration;

use answer::Answers;
use append::Refusal;
use bytes::Bytes;
use klamm_codec::ProduceRequest;
use prepare::Entries;
use tokio::time::Instant;

use crate::api::{Ctx, Frame, Handled};
use crate::broker::Broker;
use crate::errors::{self, ErrorCode};

const ACKS_ALL: i16 = -1;
const FIRST_ZSTD_VERSION: i16 = 7;
/// The client id that Kafka's own tools use to write to internal topics.
const INTERNAL_TOPICS_CLIENT_ID: &str = "__admin_client";

/// What holds for a whole request.
struct Terms {
    broker: Arc<Broker>,
    version: i16,
    correlation_id: i32,
    acks: i16,
    timeout: Duration,
    may_write_internal_topics: bool,
    decompressed_bytes_max: usize,
    /// When the request was read, in milliseconds since the Unix epoch.
    now_ms: i64,
}

/// Answers Produce.
pub fn run(ctx: &Ctx<'_>, body: Bytes) -> Handled {
    let request = match klamm_codec::decode_request::<ProduceRequest>(ctx.version(), body) {
        Ok(request) => request,
        Err(error) => return Handled::Close(error.to_string()),
    };
    let terms = Terms {
        broker: Arc::clone(ctx.broker),
        version: ctx.version(),
        correlation_id: ctx.header.correlation_id,
        acks: request.acks,
        timeout: Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0)),
        may_write_internal_topics: ctx.client_id() == INTERNAL_TOPICS_CLIENT_ID,
        decompressed_bytes_max: ctx.broker.config().net.decompressed_bytes_max,
        now_ms: ctx.now_ms,
    };
    let transactional_id = request.transactional_id.as_ref().map(|id| id.as_str());
    let mut entries = prepare::once_each(request.topics);
    let prepared = prepare::refuse_transactional(&entries.entries, transactional_id.is_some())
        .and_then(|()| prepare::prepare(&terms, &mut entries));
    let mut parts = match prepared {
        Ok(parts) => parts,
        Err(error) => return refuse_as_a_whole(terms, entries, error),
    };
    let writer = match verify::writer(&terms, transactional_id, &parts) {
        Ok(writer) => writer,
        Err(error) => return refuse_as_a_whole(terms, entries, error),
    };
    let mut answers = Answers::new(entries.topics);
    if let Some(writer) = writer {
        let unvouched = verify::demands(&terms, &writer, &mut parts);
        if !unvouched.is_empty() {
            return Handled::Alone(Box::pin(async move {
                verify::vouch(&terms, &writer, &mut parts, unvouched).await;
                append::append_all(&terms, parts, &mut answers);
                match answer(terms, answers) {
                    Handled::Now(frame) => Ok(frame),
                    Handled::Later(later) | Handled::Alone(later) => later.await,
                    Handled::Silent => Ok(Frame::new()),
                    Handled::Close(reason) => Err(reason),
                }
            }));
        }
    }
    append::append_all(&terms, parts, &mut answers);
    answer(terms, answers)
}

fn refuse_as_a_whole(terms: Terms, request: Entries, error: ErrorCode) -> Handled {
    let mut answers = Answers::new(request.topics);
    for entry in request.entries {
        let refusal = Refusal {
            message: errors::message_of_whole_request(error),
            ..error.into()
        };
        answers.refuse(entry.place, refusal);
    }
    answer(terms, answers)
}

/// Answers when the acks that were asked for are there.
fn answer(terms: Terms, mut answers: Answers) -> Handled {
    if terms.acks == 0 {
        return match answers.first_error() {
            Some(error) => Handled::Close(format!("produce with acks=0 failed: {error}")),
            None => Handled::Silent,
        };
    }
    let (version, correlation_id, timeout) = (terms.version, terms.correlation_id, terms.timeout);
    if answers.are_committed() {
        return match answers.encode(version, correlation_id) {
            Ok(frame) => Handled::Now(frame),
            Err(reason) => Handled::Close(reason),
        };
    }
    let deadlines = terms.broker.deadlines.clone();
    let deadline = Instant::now() + timeout;
    Handled::Later(Box::pin(async move {
        let in_time = deadlines.before(deadline, answers.await_commits()).await;
        if in_time.is_err() {
            answers.time_out();
        }
        answers.encode(version, correlation_id)
    }))
}
