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

use answer::Answer;
use bytes::Bytes;
use klamm_codec::ProduceRequest;
use prepare::Part;

use crate::api::{Ctx, Frame, Handled};
use crate::broker::Broker;
use crate::errors::ErrorCode;

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
    let transactional_id = request
        .transactional_id
        .as_ref()
        .map(|id| id.as_str().to_owned());
    let entries = prepare::once_each(request);
    let prepared = match prepare::refuse_transactional(&entries, transactional_id.is_some()) {
        Ok(()) => prepare::prepare(&terms, entries),
        Err(error) => Err((entries, error)),
    };
    let mut parts = match prepared {
        Ok(parts) => parts,
        Err((entries, error)) => {
            let places = entries.into_iter().map(|entry| (entry.topic, entry.index));
            return refuse_as_a_whole(&terms, places, error);
        }
    };
    let writer = match verify::writer(&terms, transactional_id.as_deref(), &parts) {
        Ok(writer) => writer,
        Err(error) => {
            let places = parts.into_iter().map(|part| (part.topic, part.index));
            return refuse_as_a_whole(&terms, places, error);
        }
    };
    if let Some(writer) = writer {
        let unvouched = verify::demands(&terms, &writer, &mut parts);
        if !unvouched.is_empty() {
            return Handled::Alone(Box::pin(async move {
                verify::vouch(&terms, &writer, &mut parts, unvouched).await;
                match answer(&terms, append_all(&terms, parts)) {
                    Handled::Now(frame) => Ok(frame),
                    Handled::Later(later) | Handled::Alone(later) => later.await,
                    Handled::Silent => Ok(Frame::new()),
                    Handled::Close(reason) => Err(reason),
                }
            }));
        }
    }
    answer(&terms, append_all(&terms, parts))
}

fn append_all(terms: &Terms, parts: Vec<Part>) -> Vec<Answer> {
    parts
        .into_iter()
        .map(|part| append::append(terms, part))
        .collect()
}

fn refuse_as_a_whole(
    terms: &Terms,
    places: impl Iterator<Item = (klamm_codec::TopicRef, i32)>,
    error: ErrorCode,
) -> Handled {
    let refused = places.map(|(topic, index)| Answer::refused_as_a_whole(topic, index, error));
    answer(terms, refused.collect())
}

/// Answers when the acks that were asked for are there.
fn answer(terms: &Terms, mut answers: Vec<Answer>) -> Handled {
    if terms.acks == 0 {
        return match answers.iter().find_map(|answer| answer.error) {
            Some(error) => Handled::Close(format!("produce with acks=0 failed: {error}")),
            None => Handled::Silent,
        };
    }
    let (version, correlation_id, timeout) = (terms.version, terms.correlation_id, terms.timeout);
    if terms.acks != ACKS_ALL || answers.iter().all(Answer::is_committed) {
        return match answer::encode(answers, version, correlation_id) {
            Ok(frame) => Handled::Now(frame),
            Err(reason) => Handled::Close(reason),
        };
    }
    Handled::Later(Box::pin(async move {
        wait_for_commits(&mut answers, timeout).await;
        answer::encode(answers, version, correlation_id)
    }))
}

/// Waits until all batches are committed; what is not by then timed out.
async fn wait_for_commits(answers: &mut [Answer], timeout: Duration) {
    let all_committed = async {
        for answer in &mut *answers {
            answer.await_commit().await;
        }
    };
    if tokio::time::timeout(timeout, all_committed).await.is_err() {
        for answer in answers.iter_mut().filter(|answer| !answer.is_committed()) {
            answer.fail(ErrorCode::RequestTimedOut);
        }
    }
}
