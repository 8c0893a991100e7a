//! A sequence while it is being drawn up: its random numbers, its names, and the pools that fields are drawn from.

use std::ops::RangeInclusive;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::differential::plan::{Capture, Ranges, Reply, Request, Sequence, Step, Until};
use crate::differential::template::{Template, topic_id_variable, variable};
use crate::schema::Versions;

/// An id that no broker makes.
pub const UNKNOWN_ID: [u8; 16] = *b"no topic has it!";
pub const ZERO_ID: [u8; 16] = [0; 16];

const MINUTE_MS: i64 = 60 * 1_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// A topic as far as the generator knows.
#[derive(Debug, Clone)]
pub struct Topic {
    pub name: String,
    pub partitions: i32,
    /// Roughly the next offset of each partition.
    pub next_offsets: Vec<i64>,
}

/// A topic in a request: its name, its id, and how many partitions to draw from.
#[derive(Debug, Clone)]
pub struct TopicRef {
    pub name: String,
    pub id: Template,
    pub partitions: i32,
}

pub struct Draft<'a> {
    random: StdRng,
    ranges: &'a Ranges,
    now_ms: i64,
    pub prefix: String,
    pub topics: Vec<Topic>,
    /// Every topic name that may come to exist.
    names: Vec<String>,
    steps: Vec<Step>,
    is_alone: bool,
    counter: usize,
}

impl<'a> Draft<'a> {
    pub fn new(seed: u64, index: u64, ranges: &'a Ranges, now_ms: i64) -> Self {
        // Any odd multiplier keeps the sequences of neighbouring seeds apart.
        let mixed = seed
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_add(index.wrapping_mul(0xd1b5_4a32_d192_ed03));
        Self {
            random: StdRng::seed_from_u64(mixed),
            ranges,
            now_ms,
            prefix: format!("s{seed}-{index}-"),
            topics: Vec::new(),
            names: Vec::new(),
            steps: Vec::new(),
            is_alone: false,
            counter: 0,
        }
    }

    pub fn finish(self, seed: u64, index: u64) -> Sequence {
        Sequence {
            seed,
            index,
            prefix: self.prefix,
            topics: self.names,
            is_alone: self.is_alone,
            steps: self.steps,
        }
    }

    // Choices.

    pub fn chance(&mut self, probability: f64) -> bool {
        self.random.random_bool(probability)
    }

    pub fn between(&mut self, range: RangeInclusive<i64>) -> i64 {
        self.random.random_range(range)
    }

    pub fn pick<T: Clone>(&mut self, pool: &[T]) -> T {
        pool.choose(&mut self.random)
            .expect("pools are not empty")
            .clone()
    }

    /// The first value most of the time, else any of the pool.
    pub fn mostly<T: Clone>(&mut self, usual: T, pool: &[T]) -> T {
        if self.chance(0.8) {
            usual
        } else {
            self.pick(pool)
        }
    }

    /// Like [`Self::mostly`], for what stops a conversation.
    pub fn nearly_always<T: Clone>(&mut self, usual: T, pool: &[T]) -> T {
        if self.chance(0.95) {
            usual
        } else {
            self.pick(pool)
        }
    }

    pub fn weighted(&mut self, weights: &[u32]) -> usize {
        let total: u32 = weights.iter().sum();
        let mut point = self.random.random_range(0..total);
        weights
            .iter()
            .position(|weight| {
                let hit = point < *weight;
                point = point.saturating_sub(*weight);
                hit
            })
            .expect("the point lies below the sum")
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.random.random()).collect()
    }

    /// A number that no other call gives in this sequence.
    pub fn fresh_number(&mut self) -> usize {
        self.counter += 1;
        self.counter
    }

    // Versions.

    pub fn serves(&self, api_key: i16) -> bool {
        self.ranges.contains_key(&api_key)
    }

    /// Any common version, the newest a little more often.
    pub fn version(&mut self, api_key: i16) -> i16 {
        self.version_in(api_key, Versions::ALL)
    }

    /// A common version within a range, if there is one, or else any common one.
    pub fn version_in(&mut self, api_key: i16, wanted: Versions) -> i16 {
        let range = self.ranges[&api_key];
        let wanted = range.intersection(wanted);
        let range = if wanted.is_empty() { range } else { wanted };
        if self.chance(0.2) {
            range.last
        } else {
            self.random.random_range(range.first..=range.last)
        }
    }

    // Names.

    /// A topic that exists, unless the sequence has none.
    pub fn own_topic(&mut self) -> Option<TopicRef> {
        let topic = self.topics.choose(&mut self.random)?.clone();
        Some(topic_ref(&topic))
    }

    /// Mostly a topic that exists, sometimes one that does not.
    pub fn any_topic(&mut self) -> TopicRef {
        if self.chance(0.92)
            && let Some(topic) = self.own_topic()
        {
            return topic;
        }
        TopicRef {
            name: self.unknown_topic(),
            id: self.pick(&[UNKNOWN_ID, UNKNOWN_ID, ZERO_ID]).into(),
            partitions: 1,
        }
    }

    /// Existing topics, each at most once, sometimes with an unknown one.
    pub fn some_topics(&mut self, at_most: usize) -> Vec<TopicRef> {
        let mut chosen: Vec<TopicRef> = Vec::new();
        for _ in 0..self.between(1..=at_most as i64) {
            let topic = self.any_topic();
            if chosen.iter().all(|other| other.name != topic.name) {
                chosen.push(topic);
            }
        }
        chosen
    }

    pub fn unknown_topic(&self) -> String {
        format!("{}unknown", self.prefix)
    }

    /// A name that can't be a topic's.
    pub fn illegal_topic(&mut self) -> String {
        let long = "x".repeat(250);
        self.pick(&["", ".", "..", "a b", "a/b", "ä", "a:b", &long])
            .to_owned()
    }

    /// A fresh legal name, followed and deleted at the end.
    pub fn fresh_topic_name(&mut self, stem: &str) -> String {
        let number = self.fresh_number();
        let name = format!("{}{stem}{number}", self.prefix);
        self.follow(&name);
        name
    }

    pub fn follow(&mut self, name: &str) {
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
    }

    pub fn group_name(&mut self) -> String {
        let number = self.between(0..=1);
        format!("{}group{number}", self.prefix)
    }

    // Pools.

    /// Mostly a partition that exists.
    pub fn partition(&mut self, topic: &TopicRef) -> i32 {
        let count = topic.partitions;
        if self.chance(0.93) {
            self.random.random_range(0..count)
        } else {
            self.pick(&[count, -1, 1_000, i32::MAX, i32::MIN])
        }
    }

    /// Distinct partitions of a topic.
    pub fn some_partitions(&mut self, topic: &TopicRef, at_most: usize) -> Vec<i32> {
        let mut chosen = Vec::new();
        for _ in 0..self.between(1..=at_most as i64) {
            let partition = self.partition(topic);
            if !chosen.contains(&partition) {
                chosen.push(partition);
            }
        }
        chosen
    }

    /// The next offset of a partition as far as the generator knows, 0 for an unknown one.
    pub fn next_offset(&self, topic: &str, partition: i32) -> i64 {
        self.topics
            .iter()
            .find(|known| known.name == topic)
            .and_then(|known| {
                let partition = usize::try_from(partition).ok()?;
                known.next_offsets.get(partition).copied()
            })
            .unwrap_or(0)
    }

    pub fn advance(&mut self, topic: &str, partition: i32, records: i64) {
        let slot = self
            .topics
            .iter_mut()
            .find(|known| known.name == topic)
            .and_then(|known| {
                let partition = usize::try_from(partition).ok()?;
                known.next_offsets.get_mut(partition)
            });
        if let Some(next_offset) = slot {
            *next_offset += records;
        }
    }

    /// An offset in, at the end of, or out of a partition.
    pub fn offset(&mut self, topic: &str, partition: i32) -> i64 {
        let next = self.next_offset(topic, partition);
        match self.weighted(&[5, 3, 3, 1]) {
            0 => self.between(0..=next),
            1 => 0,
            2 => next,
            _ => self.pick(&[next + 1, -1, -2, 1_000_000, i64::MAX, i64::MIN]),
        }
    }

    /// The leader epoch a client may believe in; topics of a sequence are at epoch 0.
    pub fn current_leader_epoch(&mut self) -> i32 {
        self.mostly(-1, &[0, 0, 0, 1, 5, -2, i32::MAX])
    }

    /// A time for records: never near now, where only the broker's times are.
    pub fn timestamp(&mut self) -> i64 {
        let now = self.now_ms;
        if self.chance(0.8) {
            self.usual_timestamp()
        } else {
            self.pick(&[
                now + 30 * MINUTE_MS,
                now + 2 * HOUR_MS,
                now - 30 * 24 * HOUR_MS,
                0,
                1,
                -1,
                -2,
                i64::MAX,
                i64::MIN,
            ])
        }
    }

    /// A time that every topic takes.
    pub fn usual_timestamp(&mut self) -> i64 {
        self.now_ms - self.between(10..=600) * MINUTE_MS
    }

    pub fn client_id(&mut self) -> Option<String> {
        if self.chance(0.9) {
            Some("fuzz".to_owned())
        } else {
            self.pick(&[None, Some(String::new()), Some("ü-1 %s".to_owned())])
        }
    }

    // Steps.

    pub fn request(&mut self, api_key: i16, body: Template) -> Request {
        let version = self.version(api_key);
        self.request_at(api_key, version, body)
    }

    pub fn request_at(&mut self, api_key: i16, version: i16, body: Template) -> Request {
        Request {
            connection: 0,
            api_key,
            version,
            client_id: self.client_id(),
            body,
            captures: Vec::new(),
            reply: Reply::Expected,
            damage: None,
        }
    }

    /// Adds a request to the plan whose answer is awaited.
    pub fn ask(&mut self, request: Request) {
        self.steps.push(Step::Ask(request));
    }

    /// Adds a request with a body of its own at any version.
    pub fn ask_with(&mut self, api_key: i16, body: Template) {
        let request = self.request(api_key, body);
        self.ask(request);
    }

    pub fn begin(&mut self, request: Request, until: Until) {
        self.steps.push(Step::Begin(request, until));
    }

    pub fn collect(&mut self, connection: usize) {
        self.steps.push(Step::Collect(connection));
    }

    pub fn repeat(&mut self, request: Request, times: usize) {
        self.steps.push(Step::Repeat(request, times));
    }

    /// From now on no other sequence may run beside this one.
    pub fn stay_alone(&mut self) {
        self.is_alone = true;
    }

    pub fn step_count(&self) -> usize {
        self.steps.len()
    }
}

fn topic_ref(topic: &Topic) -> TopicRef {
    TopicRef {
        name: topic.name.clone(),
        id: variable(topic_id_variable(&topic.name), ZERO_ID),
        partitions: topic.partitions,
    }
}

impl Request {
    pub fn capture(mut self, variable: &str, path: &str) -> Self {
        self.captures.push(Capture {
            variable: variable.into(),
            path: path.to_owned(),
            keeps_known: false,
        });
        self
    }

    /// Binds a variable to an id or an epoch, unless the answer has none.
    pub fn capture_known(mut self, variable: &str, path: &str) -> Self {
        self.captures.push(Capture {
            variable: variable.into(),
            path: path.to_owned(),
            keeps_known: true,
        });
        self
    }

    pub fn on(mut self, connection: usize) -> Self {
        self.connection = connection;
        self
    }

    pub fn with_client_id(mut self, client_id: &str) -> Self {
        self.client_id = Some(client_id.to_owned());
        self
    }
}
