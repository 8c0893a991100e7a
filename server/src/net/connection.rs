//! One client connection: requests in, answers out in the same order.
//!
//! Stage one of a request runs as soon as its frame is complete, stage two is a future in a queue. Produce requests
//! that follow each other overlap: the next one is appended while the one before waits for its commit. Everything
//! else waits until all earlier answers have left, as on Apache Kafka, where a connection is muted between a
//! request and its answer; so a client never sees effects out of order.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use klamm_codec::{RequestPrefix, peek_request};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::frame_reader::{FrameReader, ReadError, RequestFrame};
use super::send::send;
use crate::api::{self, CloseReason, ConnectionFacts, Ctx, Frame, Handled};
use crate::broker::Broker;
use crate::handlers::api_versions;
use crate::limits::RequestPermit;

/// Limits of one connection.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// `socket.request.max.bytes`.
    pub frame_bytes_max: usize,
    /// `klamm.connection.requests.max`: Produce requests that may wait for their commit at the same time. Kafka's clients
    /// keep at most five in flight by default; what is beyond stays unread in the socket.
    pub requests_in_flight_max: usize,
    /// `connections.max.idle.ms`: no request, or no progress of an answer, for so long ends the connection.
    pub idle_max: Duration,
}

/// An answer that is due, in request order.
struct Due {
    answer: Answer,
    overlaps: bool,
    _permit: RequestPermit,
}

enum Answer {
    Ready(Frame),
    Waiting(Pin<Box<dyn Future<Output = Result<Frame, CloseReason>> + Send>>),
}

/// Why a connection ended, for the log.
#[derive(Debug)]
enum End {
    PeerClosed,
    Idle,
    Shutdown,
    Read(ReadError),
    Write(std::io::Error),
    Refused(CloseReason),
}

/// Serves one connection until it ends.
pub async fn serve(
    stream: TcpStream,
    facts: ConnectionFacts,
    broker: Arc<Broker>,
    limits: ConnectionLimits,
    shutdown: CancellationToken,
) {
    let peer = facts.peer;
    let (read_half, write_half) = stream.into_split();
    let reader = FrameReader::new(
        read_half,
        Arc::clone(&broker.request_memory),
        limits.frame_bytes_max,
    );
    let connection = Connection {
        broker,
        facts: Arc::new(facts),
        writer: write_half,
        due: VecDeque::new(),
        limits,
    };
    match connection.run(reader, shutdown).await {
        End::PeerClosed | End::Shutdown => debug!(%peer, "connection closed"),
        End::Idle => {
            debug!(%peer, idle_ms = limits.idle_max.as_millis(), "connection closed: idle")
        }
        End::Read(ReadError::Length(error)) => {
            info!(%peer, %error, "connection closed: not a Kafka request")
        }
        End::Read(ReadError::Evicted) => {
            info!(%peer, "connection closed: its unfinished request held memory that others needed")
        }
        End::Read(ReadError::Truncated) => {
            debug!(%peer, "connection closed by the peer inside a request")
        }
        End::Read(ReadError::Io(error)) => debug!(%peer, %error, "connection closed: read failed"),
        End::Read(ReadError::Closed) => debug!(%peer, "connection closed by the peer"),
        End::Write(error) => debug!(%peer, %error, "connection closed: write failed"),
        End::Refused(reason) => info!(%peer, reason, "connection closed: request refused"),
    }
}

struct Connection {
    broker: Arc<Broker>,
    facts: Arc<ConnectionFacts>,
    writer: OwnedWriteHalf,
    due: VecDeque<Due>,
    limits: ConnectionLimits,
}

impl Connection {
    async fn run(mut self, mut reader: FrameReader, shutdown: CancellationToken) -> End {
        let mut held: Option<RequestFrame> = None;
        let mut idle_deadline = Instant::now() + self.limits.idle_max;
        let idle = tokio::time::sleep_until(idle_deadline);
        tokio::pin!(idle);
        loop {
            if let Err(end) = self.write_ready().await {
                return end;
            }
            if let Some(frame) = held.take_if(|frame| self.may_start(frame)) {
                if let Err(end) = self.start(frame) {
                    return end;
                }
                continue;
            }
            let may_read = held.is_none() && self.may_read();
            tokio::select! {
                biased;
                answer = next_answer(&mut self.due) => match answer {
                    Ok(frame) => self.due.front_mut().expect("an answer comes from the front").answer = Answer::Ready(frame),
                    Err(reason) => return End::Refused(reason),
                },
                frame = reader.next(), if may_read => match frame {
                    Ok(frame) => {
                        idle_deadline = Instant::now() + self.limits.idle_max;
                        held = Some(frame);
                    }
                    Err(ReadError::Closed) if self.due.is_empty() => return End::PeerClosed,
                    // The peer has sent all it wanted to send; what it asked for is still answered.
                    Err(ReadError::Closed) => return self.drain().await,
                    Err(error) => return End::Read(error),
                },
                () = idle.as_mut() => {
                    if !self.due.is_empty() {
                        idle_deadline = Instant::now() + self.limits.idle_max;
                    } else if Instant::now() >= idle_deadline {
                        return End::Idle;
                    }
                    idle.as_mut().reset(idle_deadline);
                }
                () = shutdown.cancelled() => return End::Shutdown,
            }
        }
    }

    fn may_read(&self) -> bool {
        self.due.len() < self.limits.requests_in_flight_max
            && self.due.iter().all(|due| due.overlaps)
    }

    fn may_start(&self, frame: &RequestFrame) -> bool {
        self.due.is_empty()
            || self.due.iter().all(|due| due.overlaps)
                && peek_request(&frame.bytes).is_ok_and(|peek| overlaps(peek.api_key))
    }

    /// Runs stage one of a request.
    fn start(&mut self, frame: RequestFrame) -> Result<(), End> {
        let peek = peek_request(&frame.bytes).map_err(|error| End::Refused(error.to_string()))?;
        let mut is_alone = false;
        let answer = match self.dispatch(&peek, frame.bytes) {
            Handled::Now(answer) => Answer::Ready(answer),
            Handled::Later(answer) => Answer::Waiting(answer),
            Handled::Alone(answer) => {
                is_alone = true;
                Answer::Waiting(answer)
            }
            Handled::Silent => return Ok(()),
            Handled::Close(reason) => {
                return Err(End::Refused(format!(
                    "{reason} (api key {}, version {})",
                    peek.api_key, peek.api_version
                )));
            }
        };
        self.due.push_back(Due {
            answer,
            overlaps: !is_alone && overlaps(peek.api_key),
            _permit: frame.permit,
        });
        Ok(())
    }

    fn dispatch(&self, peek: &RequestPrefix, frame: Bytes) -> Handled {
        let Some(api) = api::find(peek.api_key) else {
            return Handled::Close("this API is not served".to_owned());
        };
        if !api.serves(peek.api_version) {
            if api.key == ApiKey::ApiVersions {
                return api_versions::unsupported_version(peek.correlation_id);
            }
            return Handled::Close(format!(
                "this version is not served (served: {} to {})",
                api.min, api.max
            ));
        }
        self.broker.metrics.request(api);
        let (header, body) = match klamm_codec::decode_request_header(frame) {
            Ok(parts) => parts,
            Err(error) => return Handled::Close(error.to_string()),
        };
        let ctx = Ctx {
            broker: &self.broker,
            connection: &self.facts,
            header: &header,
            now_ms: self.broker.clock.now_ms(),
        };
        api.run(&ctx, body)
    }

    /// Writes the answers at the front that are ready.
    async fn write_ready(&mut self) -> Result<(), End> {
        while let Some(Due {
            answer: Answer::Ready(frame),
            ..
        }) = self.due.front_mut()
        {
            let frame = std::mem::take(frame);
            match tokio::time::timeout(self.limits.idle_max, send(&mut self.writer, frame)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(End::Write(error)),
                Err(_) => return Err(End::Idle),
            }
            self.due.pop_front();
        }
        Ok(())
    }

    /// Answers what is still due after the peer has closed its side.
    async fn drain(mut self) -> End {
        loop {
            if let Err(end) = self.write_ready().await {
                return end;
            }
            if self.due.is_empty() {
                return End::PeerClosed;
            }
            match next_answer(&mut self.due).await {
                Ok(frame) => {
                    self.due
                        .front_mut()
                        .expect("an answer comes from the front")
                        .answer = Answer::Ready(frame)
                }
                Err(reason) => return End::Refused(reason),
            }
        }
    }
}

/// The answer at the front, when it comes; never resolves while nothing is due.
async fn next_answer(due: &mut VecDeque<Due>) -> Result<Frame, CloseReason> {
    match due.front_mut().map(|due| &mut due.answer) {
        Some(Answer::Waiting(future)) => future.await,
        Some(Answer::Ready(frame)) => Ok(std::mem::take(frame)),
        None => std::future::pending().await,
    }
}

/// Whether a request may start before earlier ones of its connection are answered.
fn overlaps(api_key: i16) -> bool {
    api_key == ApiKey::Produce as i16
}
