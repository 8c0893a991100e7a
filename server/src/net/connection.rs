//! One client connection: requests in, answers out in the same order.
//!
//! Stage one of a request runs as soon as its frame is complete, stage two is a future in a queue. Produce requests
//! that follow each other overlap: the next one is appended while the one before waits for its commit. Everything
//! else waits until all earlier answers have left, as on Apache Kafka, where a connection is muted between a
//! request and its answer; so a client never sees effects out of order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use klamm_codec::{RequestPrefix, Segment, peek_request};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::task::coop::consume_budget;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::frame_reader::{FrameReader, ReadError, RequestFrame};
use super::parked::{Made, Making, Parked, Woken};
use super::poll_once;
use super::send::send;
use crate::api::{self, CloseReason, ConnectionFacts, Ctx, Frame, Handled};
use crate::broker::Broker;
use crate::handlers::api_versions;
use crate::limits::RequestPermit;

/// Requests that have arrived together are started before the first of them is answered, up to so many bytes: their
/// answers then share a system call, and the client's wake. Who sends more at once gets answers in between.
const TAKEN_IN_BYTES_MAX: usize = 64 * 1024;
/// Answers that leave together are copied into one buffer of this size.
const JOINED_BYTES_MAX: usize = 4 * 1024;

/// How many waiting answers of other connections a connection finishes after its own have left; the others are left to
/// their own threads.
const FINISHED_FOR_OTHERS_MAX: usize = 8;

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
    Waiting(Making),
    Parked(Arc<Parked>),
    /// The connection must end when the answers before it have left.
    Refused(CloseReason),
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
    let reader = FrameReader::new(read_half, &broker.request_memory, limits.frame_bytes_max);
    let connection = Connection {
        broker,
        facts: Arc::new(facts),
        writer: Arc::new(write_half),
        due: VecDeque::new(),
        woken: Woken::default(),
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
    writer: Arc<OwnedWriteHalf>,
    due: VecDeque<Due>,
    /// Other connections' answers that the requests of this one have woken.
    woken: Woken,
    limits: ConnectionLimits,
}

impl Connection {
    async fn run(mut self, mut reader: FrameReader, shutdown: CancellationToken) -> End {
        let mut held: Option<RequestFrame> = None;
        // Whether something has arrived behind the answer that is parked.
        let mut has_arrived = false;
        let mut idle_deadline = Instant::now() + self.limits.idle_max;
        let idle = tokio::time::sleep_until(idle_deadline);
        let stopped = shutdown.cancelled();
        tokio::pin!(idle, stopped);
        loop {
            let (has_started, taken_in) = self.take_in(&mut reader, &mut held).await;
            if has_started {
                has_arrived = false;
                idle_deadline = Instant::now() + self.limits.idle_max;
            }
            if let Err(end) = self.write_ready().await {
                return end;
            }
            self.woken.finish(FINISHED_FOR_OTHERS_MAX);
            match taken_in {
                Ok(()) => {}
                Err(End::PeerClosed) => return self.drain(&shutdown).await,
                Err(end) => return end,
            }
            if held.as_ref().is_some_and(|frame| self.may_start(frame)) {
                continue;
            }
            // A request that comes while an answer is parked shows that the answer has been sent, unless its client does
            // not wait for answers. It stays unread until then, and takes no memory.
            let is_parked = self.park();
            let may_read = held.is_none() && self.may_read() || is_parked && !has_arrived;
            tokio::select! {
                biased;
                made = next_made(&mut self.due, has_arrived || held.is_some()) => {
                    if let Err(end) = self.made(made) {
                        return end;
                    }
                }
                next = next_or_arrival(&mut reader, is_parked), if may_read => match next {
                    Ok(Some(frame)) => held = Some(frame),
                    Ok(None) => has_arrived = true,
                    Err(ReadError::Closed) => return self.drain(&shutdown).await,
                    Err(error) => return End::Read(error),
                },
                () = idle.as_mut() => {
                    // Another connection may have sent the answer a moment ago.
                    let was_due = !self.due.is_empty();
                    if let Err(end) = self.look_at_parked() {
                        return end;
                    }
                    if was_due {
                        idle_deadline = Instant::now() + self.limits.idle_max;
                    } else if Instant::now() >= idle_deadline {
                        return End::Idle;
                    }
                    idle.as_mut().reset(idle_deadline);
                }
                () = stopped.as_mut() => return End::Shutdown,
            }
        }
    }

    /// Starts the requests that have arrived already, so that their answers can leave together, and tells whether there
    /// were any. Why the connection must end comes after them: what was asked before is still answered.
    async fn take_in(
        &mut self,
        reader: &mut FrameReader,
        held: &mut Option<RequestFrame>,
    ) -> (bool, Result<(), End>) {
        let mut taken_bytes = 0;
        if let Err(end) = self.look_at_parked() {
            return (false, Err(end));
        }
        loop {
            if held.is_none() && self.may_read() && taken_bytes < TAKEN_IN_BYTES_MAX {
                match poll_once(reader.next()).await {
                    Some(Ok(frame)) => *held = Some(frame),
                    Some(Err(ReadError::Closed)) => return (taken_bytes > 0, Err(End::PeerClosed)),
                    Some(Err(error)) => return (taken_bytes > 0, Err(End::Read(error))),
                    None => {}
                }
            }
            let Some(frame) = held.take_if(|frame| self.may_start(frame)) else {
                return (taken_bytes > 0, Ok(()));
            };
            taken_bytes += frame.bytes.len();
            if let Err(end) = self.start(frame) {
                return (true, Err(end));
            }
            // Frames that are in the buffer already cost no call of the socket that would end the task's turn.
            if poll_once(consume_budget()).await.is_none() {
                return (true, Ok(()));
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

    /// Parks the answer at the front if it waits, and nothing else is due or may become due before it. Returns whether
    /// an answer is parked.
    fn park(&mut self) -> bool {
        let [due] = self.due.make_contiguous() else {
            return false;
        };
        match std::mem::replace(&mut due.answer, Answer::Ready(Frame::new())) {
            Answer::Waiting(making) if !due.overlaps => {
                due.answer = Answer::Parked(Parked::new(making, Arc::clone(&self.writer)));
                true
            }
            answer => {
                due.answer = answer;
                matches!(due.answer, Answer::Parked(_))
            }
        }
    }

    /// Somebody else may have finished a parked answer.
    fn look_at_parked(&mut self) -> Result<(), End> {
        match self.due.front().map(|due| &due.answer) {
            Some(Answer::Parked(parked)) => match parked.made() {
                Some(made) => self.made(made),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Notes what the answer at the front has come to.
    fn made(&mut self, made: Made) -> Result<(), End> {
        match made {
            Made::Sent => {
                self.due.pop_front();
            }
            Made::Unsent(frame) => {
                if let Some(due) = self.due.front_mut() {
                    due.answer = Answer::Ready(frame);
                }
            }
            Made::Failed(reason) => return Err(End::Refused(reason)),
        }
        Ok(())
    }

    /// Runs stage one of a request.
    fn start(&mut self, frame: RequestFrame) -> Result<(), End> {
        let peek = peek_request(&frame.bytes).map_err(|error| End::Refused(error.to_string()))?;
        let frame = if overlaps(peek.api_key) {
            frame
        } else {
            frame.on_its_own(&self.broker.request_memory)
        };
        let mut is_alone = false;
        let mut woken = std::mem::take(&mut self.woken);
        let handled = woken.collect(|| self.dispatch(&peek, frame.bytes));
        self.woken = woken;
        let answer = match handled {
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

    /// Writes the answers at the front that are ready; small ones leave together.
    async fn write_ready(&mut self) -> Result<(), End> {
        while let Some(mut frame) = self.pop_ready() {
            // Whatever made this one ready may have made the next one ready as well.
            self.poll_front().await;
            if let [Segment::Bytes(first)] = frame.as_slice()
                && let Some(next) = self.pop_small(first.len())
            {
                let mut joined = BytesMut::with_capacity(JOINED_BYTES_MAX);
                joined.extend_from_slice(first);
                joined.extend_from_slice(&next);
                self.poll_front().await;
                while let Some(next) = self.pop_small(joined.len()) {
                    joined.extend_from_slice(&next);
                    self.poll_front().await;
                }
                frame = vec![Segment::Bytes(joined.freeze())];
            }
            self.write(frame).await?;
        }
        Ok(())
    }

    async fn write(&mut self, frame: Frame) -> Result<(), End> {
        let mut sending = std::pin::pin!(send((*self.writer).as_ref(), frame));
        // Nearly always the socket takes it at once, and no timer is needed.
        let sent = match poll_once(sending.as_mut()).await {
            Some(sent) => sent,
            None => {
                // Others are not to wait until this client reads.
                self.woken.wake_owners();
                match tokio::time::timeout(self.limits.idle_max, sending).await {
                    Ok(sent) => sent,
                    Err(_) => return Err(End::Idle),
                }
            }
        };
        sent.map_err(End::Write)
    }

    /// The answer at the front, if it is ready.
    fn pop_ready(&mut self) -> Option<Frame> {
        let Answer::Ready(frame) = &mut self.due.front_mut()?.answer else {
            return None;
        };
        let frame = std::mem::take(frame);
        self.due.pop_front();
        Some(frame)
    }

    /// The answer at the front, if it is ready and fits behind `bytes` that will leave before it.
    fn pop_small(&mut self, bytes: usize) -> Option<Bytes> {
        let Answer::Ready(frame) = &self.due.front()?.answer else {
            return None;
        };
        let [Segment::Bytes(next)] = frame.as_slice() else {
            return None;
        };
        if bytes + next.len() > JOINED_BYTES_MAX {
            return None;
        }
        let next = next.clone();
        self.due.pop_front();
        Some(next)
    }

    /// Looks whether the answer at the front has become ready.
    async fn poll_front(&mut self) {
        if let Some(due) = self.due.front_mut()
            && let Answer::Waiting(waiting) = &mut due.answer
            && let Some(answer) = poll_once(waiting.as_mut()).await
        {
            due.answer = match answer {
                Ok(frame) => Answer::Ready(frame),
                Err(reason) => Answer::Refused(reason),
            };
        }
    }

    /// Answers what is still due after the peer has closed its side.
    async fn drain(mut self, shutdown: &CancellationToken) -> End {
        loop {
            if let Err(end) = self.write_ready().await {
                return end;
            }
            if self.due.is_empty() {
                return End::PeerClosed;
            }
            tokio::select! {
                made = next_made(&mut self.due, true) => {
                    if let Err(end) = self.made(made) {
                        return end;
                    }
                }
                () = shutdown.cancelled() => return End::Shutdown,
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(Answer::Parked(parked)) = self.due.front().map(|due| &due.answer) {
            parked.abandon();
        }
    }
}

/// What the answer at the front comes to; never resolves while nothing is due. When somebody else has sent a parked one,
/// it resolves only for whom `awaits_sending`.
async fn next_made(due: &mut VecDeque<Due>, awaits_sending: bool) -> Made {
    match due.front_mut().map(|due| &mut due.answer) {
        Some(Answer::Waiting(making)) => match making.await {
            Ok(frame) => Made::Unsent(frame),
            Err(reason) => Made::Failed(reason),
        },
        Some(Answer::Parked(parked)) => {
            std::future::poll_fn(|context| parked.poll(context, awaits_sending)).await
        }
        Some(Answer::Ready(frame)) => Made::Unsent(std::mem::take(frame)),
        Some(Answer::Refused(reason)) => Made::Failed(std::mem::take(reason)),
        None => std::future::pending().await,
    }
}

/// The next request, or `None` when there is something to read but an answer `is_parked`.
async fn next_or_arrival(
    reader: &mut FrameReader,
    is_parked: bool,
) -> Result<Option<RequestFrame>, ReadError> {
    if is_parked {
        reader.arrived().await?;
        return Ok(None);
    }
    reader.next().await.map(Some)
}

/// Whether a request may start before earlier ones of its connection are answered.
fn overlaps(api_key: i16) -> bool {
    api_key == ApiKey::Produce as i16
}
