//! One sequence against one server.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::client::Client;
use super::connection::{Connection, Received};
use super::exchange::{Answer, Head, decode_response, encode_request};
use super::normalise::Normaliser;
use super::plan::{FrameDamage, Reply, Request, Sequence, Step, Until};
use super::server::{Server, barrier_topic};
use super::settle::Settler;
use super::template::{Variables, topic_id_variable};
use crate::schema::Value;

/// Longer than any wait that a sequence asks for.
const PATIENCE: Duration = Duration::from_secs(10);
const PEEK: Duration = Duration::from_millis(1);

/// How many of the same request are sent before the first answer is awaited.
const REPEAT_WINDOW: usize = 32;

/// An ApiVersions v0 request behind an unacknowledged one: its answer, or the end of the connection, tells how that went.
const PROBE_API: i16 = 18;

/// One compared answer.
#[derive(Debug)]
pub struct Observation {
    /// The position in the sequence.
    pub step: usize,
    pub api_key: i16,
    pub version: i16,
    /// The request as this server got it.
    pub request: Value,
    /// What was done to its bytes.
    pub damage: Option<FrameDamage>,
    /// The answer without what cannot be equal.
    pub answer: Value,
}

/// Runs sequences one after the other on behalf of one worker.
#[derive(Debug)]
pub struct Session<'a> {
    server: &'a Server,
    sequence: &'a Sequence,
    connections: HashMap<usize, Connection>,
    pending: HashMap<usize, Pending<'a>>,
    variables: Variables,
    normaliser: Normaliser<'a>,
    settler: Settler,
    correlation: i32,
    observations: Vec<Observation>,
}

/// A request without its answer.
#[derive(Debug)]
struct Pending<'a> {
    step: usize,
    request: &'a Request,
    body: Value,
    correlation: i32,
    /// False when the request could not even be sent.
    sent: bool,
}

/// How often a worker has used its barrier topic is unknown to a new session, so sequences keep apart.
const MARKERS_PER_SEQUENCE: i64 = 1_000;

impl<'a> Session<'a> {
    /// Runs a whole sequence and deletes its topics. The worker's number keeps its barrier apart from others'.
    pub fn run(
        server: &'a Server,
        sequence: &'a Sequence,
        worker: usize,
        compare_texts: bool,
    ) -> Vec<Observation> {
        let client = Client::new(server.address, Arc::clone(&server.schemas));
        let first_marker = 1_000_000 + sequence.index as i64 * MARKERS_PER_SEQUENCE;
        let mut session = Self {
            server,
            sequence,
            connections: HashMap::new(),
            pending: HashMap::new(),
            variables: Variables::default(),
            normaliser: Normaliser::new(&server.identity, &sequence.prefix, compare_texts),
            settler: Settler::new(client, barrier_topic(worker), first_marker),
            correlation: 0,
            observations: Vec::new(),
        };
        for (index, step) in sequence.steps.iter().enumerate() {
            session.step(index, step);
        }
        session.settler.delete_topics(&sequence.topics);
        session.observations
    }

    fn step(&mut self, index: usize, step: &'a Step) {
        match step {
            Step::Ask(request) => {
                let pending = self.send(index, request);
                self.receive(pending);
            }
            Step::Begin(request, until) => {
                let pending = self.send(index, request);
                self.pending.insert(request.connection, pending);
                if let Until::GroupRebalances(group) = until {
                    let connection = self.connections.get(&request.connection);
                    self.settler.wait_for_rebalance(group, || {
                        connection.is_none_or(|connection| connection.is_readable(PEEK))
                    });
                }
            }
            Step::Collect(connection) => {
                if let Some(pending) = self.pending.remove(connection) {
                    self.receive(pending);
                }
            }
            Step::Repeat(request, times) => self.repeat(index, request, *times),
        }
    }

    /// Keeps a window of the same request under way, and forgets the answers.
    fn repeat(&mut self, step: usize, request: &'a Request, times: usize) {
        let mut under_way = VecDeque::with_capacity(REPEAT_WINDOW);
        for _ in 0..times {
            if under_way.len() == REPEAT_WINDOW {
                self.forget_answer(under_way.pop_front());
            }
            under_way.push_back(self.send(step, request));
        }
        for pending in under_way {
            self.forget_answer(Some(pending));
        }
    }

    fn forget_answer(&mut self, pending: Option<Pending<'a>>) {
        if let Some(pending) = pending.filter(|pending| pending.sent) {
            self.receive_answer(pending.request.connection, head(&pending));
        }
    }

    fn send(&mut self, step: usize, request: &'a Request) -> Pending<'a> {
        let body = request.body.resolve(&self.variables);
        self.normaliser.remember_sent(&body);
        self.correlation += 1;
        let pending = Pending {
            step,
            request,
            body,
            correlation: self.correlation,
            sent: false,
        };
        let frame = encode_request(&self.server.schemas, head(&pending), &pending.body)
            .unwrap_or_else(|error| panic!("{}: step {step}: {error}", self.sequence.prefix));
        let sent = self
            .connection(request.connection)
            .is_some_and(|connection| connection.send(&frame).is_ok());
        Pending { sent, ..pending }
    }

    fn connection(&mut self, number: usize) -> Option<&mut Connection> {
        if !self.connections.contains_key(&number) {
            let connection = Connection::open(self.server.address).ok()?;
            self.connections.insert(number, connection);
        }
        self.connections.get_mut(&number)
    }

    fn receive(&mut self, pending: Pending<'a>) {
        let request = pending.request;
        let answer = match (pending.sent, request.reply) {
            (false, _) => Answer::Closed,
            (true, Reply::Expected) => self.receive_answer(request.connection, head(&pending)),
            (true, Reply::Silence) => self.receive_silence(request.connection),
        };
        if !matches!(answer, Answer::Message(_) | Answer::Silent) {
            self.connections.remove(&request.connection);
        }
        let step = pending.step;
        let normalised = self
            .normaliser
            .normalise(request.api_key, step, answer.clone());
        if let Answer::Message(value) = &answer {
            for capture in &request.captures {
                let is_none = |value: &Value| value.integer().is_some_and(|number| number < 0);
                if let Some(value) = value.at(&capture.path)
                    && !(capture.keeps_known && is_none(value))
                {
                    self.variables.bind(&capture.variable, value.clone());
                }
            }
            self.settler.settle(
                (request.api_key, request.version),
                &pending.body,
                value,
                &self.sequence.topics,
                &mut self.variables,
            );
            for topic in &self.sequence.topics {
                if let Some(id) = self.variables.value(&topic_id_variable(topic)) {
                    self.normaliser.learn_topic_id(topic, id);
                }
            }
        }
        self.observations.push(Observation {
            step,
            api_key: request.api_key,
            version: request.version,
            request: pending.body,
            damage: request.damage.clone(),
            answer: normalised,
        });
    }

    fn receive_answer(&mut self, connection: usize, head: Head<'_>) -> Answer {
        let Some(connection) = self.connections.get_mut(&connection) else {
            return Answer::Closed;
        };
        match connection.receive(PATIENCE) {
            Received::Frame(frame) => decode_response(&self.server.schemas, head, &frame),
            Received::Closed => Answer::Closed,
            Received::Nothing => Answer::Nothing,
        }
    }

    fn receive_silence(&mut self, connection: usize) -> Answer {
        self.correlation += 1;
        let probe = Head {
            api_key: PROBE_API,
            version: 0,
            correlation: self.correlation,
            client_id: None,
            damage: None,
        };
        let frame = encode_request(&self.server.schemas, probe, &Value::Object(Vec::new()))
            .expect("the probe fits its schema");
        let sent = self
            .connections
            .get_mut(&connection)
            .is_some_and(|connection| connection.send(&frame).is_ok());
        if !sent {
            return Answer::Closed;
        }
        match self.receive_answer(connection, probe) {
            Answer::Message(_) => Answer::Silent,
            other => other,
        }
    }
}

fn head<'a>(pending: &Pending<'a>) -> Head<'a> {
    Head {
        api_key: pending.request.api_key,
        version: pending.request.version,
        correlation: pending.correlation,
        client_id: pending.request.client_id.as_deref(),
        damage: pending.request.damage.as_ref(),
    }
}
