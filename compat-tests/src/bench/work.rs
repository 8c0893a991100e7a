//! The table of works: what is asked of every server, and what Klamm wants to be measured by.

use std::sync::Arc;

use super::bare::Durability;
use super::connection::Connection;
use super::measure::Metric;
use super::pump::{Observed, Window, lane, pump};
use super::server::Server;
use super::{Outcome, batch, handover, messages, topics};

/// "4 requests in flight" on each connection.
const IN_FLIGHT: usize = 4;
const PRODUCE_INPUT_BYTES: usize = 16 << 10;
const FETCH_INPUT_BYTES: usize = 256 << 10;
const FETCH_PARTITION_BYTES_MAX: usize = 1 << 20;
/// What a partition holds that is read over and over.
const FETCH_LOG_BYTES: usize = 64 << 20;
/// A batch of the Java producer's default size (`batch.size`).
const FETCH_BATCH_RECORDS: usize = 16;
const FETCH_RECORD_BYTES: usize = 1024;

/// What CPU time and throughput are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Request,
    Record,
    /// 10^9 bytes of record batches.
    Gigabyte,
}

/// What the clients do.
#[derive(Debug, Clone, Copy)]
pub enum Load {
    Produce(Produce),
    /// Reads 1 MB from each of two partitions a request, over and over.
    Fetch,
    HandOver {
        value_bytes: usize,
    },
}

#[derive(Debug, Clone, Copy)]
pub struct Produce {
    pub partitions: usize,
    pub spread: Spread,
    pub records: usize,
    pub value_bytes: usize,
    pub connections: usize,
    pub in_flight: usize,
}

/// Which partitions the requests of a producer name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// One after the other, a batch a request.
    InTurn,
    /// Every request has a batch for all of them.
    All,
    /// Each connection keeps to one.
    OneEach,
}

/// What a row of the table must reach.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    pub metric: Metric,
    /// How many times more Apache Kafka may need, at least.
    pub kafka_per_klamm_min: Option<f64>,
    /// How many times more than the bare server Klamm may need, at most.
    pub klamm_per_bare_max: Option<f64>,
}

#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// For `--only` and topic names.
    pub key: &'static str,
    pub title: &'static str,
    pub unit: Unit,
    pub load: Load,
    pub durability: Durability,
    pub goals: &'static [Goal],
}

const fn goal(metric: Metric, kafka_per_klamm_min: f64, klamm_per_bare_max: f64) -> Goal {
    Goal {
        metric,
        kafka_per_klamm_min: Some(kafka_per_klamm_min),
        klamm_per_bare_max: Some(klamm_per_bare_max),
    }
}

const fn in_turn(records: usize, value_bytes: usize) -> Load {
    Load::Produce(Produce {
        partitions: 4,
        spread: Spread::InTurn,
        records,
        value_bytes,
        connections: 2,
        in_flight: IN_FLIGHT,
    })
}

const ONE_AT_A_TIME: Load = Load::Produce(Produce {
    partitions: 1,
    spread: Spread::InTurn,
    records: 1,
    value_bytes: 1024,
    connections: 1,
    in_flight: 1,
});

pub const WORKS: [Work; 9] = [
    Work {
        key: "produce-100x100",
        title: "produce, 100 x 100 B a request",
        unit: Unit::Request,
        load: in_turn(100, 100),
        durability: Durability::PageCache,
        goals: &[goal(Metric::Cpu, 5.0, 1.6)],
    },
    Work {
        key: "produce-1x1k",
        title: "produce, one record of 1 KB a request",
        unit: Unit::Request,
        load: in_turn(1, 1024),
        durability: Durability::PageCache,
        goals: &[goal(Metric::Cpu, 5.0, 1.5)],
    },
    Work {
        key: "produce-500x1k",
        title: "produce, 500 x 1 KB a request",
        unit: Unit::Gigabyte,
        load: in_turn(500, 1024),
        durability: Durability::PageCache,
        goals: &[goal(Metric::Cpu, 6.0, 1.3)],
    },
    Work {
        key: "produce-100p",
        title: "produce, 100 partitions x 10 x 100 B a request",
        unit: Unit::Request,
        load: Load::Produce(Produce {
            partitions: 100,
            spread: Spread::All,
            records: 10,
            value_bytes: 100,
            connections: 2,
            in_flight: IN_FLIGHT,
        }),
        durability: Durability::PageCache,
        goals: &[goal(Metric::Cpu, 8.0, 1.6)],
    },
    Work {
        key: "fetch",
        title: "fetch from page cache, 1 MB a partition",
        unit: Unit::Gigabyte,
        load: Load::Fetch,
        durability: Durability::PageCache,
        goals: &[goal(Metric::Cpu, 1.2, 1.2)],
    },
    Work {
        key: "one-at-a-time",
        title: "one 1 KB record at a time, acks=all",
        unit: Unit::Record,
        load: ONE_AT_A_TIME,
        durability: Durability::PageCache,
        goals: &[goal(Metric::P50, 2.0, 1.2)],
    },
    Work {
        key: "hand-over",
        title: "producer to waiting consumer, 1 KB",
        unit: Unit::Record,
        load: Load::HandOver { value_bytes: 1024 },
        durability: Durability::PageCache,
        goals: &[goal(Metric::P50, 3.0, 1.5), goal(Metric::Cpu, 6.0, 1.5)],
    },
    Work {
        key: "fsync-one",
        title: "fsync: one 1 KB record at a time",
        unit: Unit::Record,
        load: ONE_AT_A_TIME,
        durability: Durability::Disk,
        goals: &[Goal {
            metric: Metric::P50,
            kafka_per_klamm_min: None,
            klamm_per_bare_max: Some(1.2),
        }],
    },
    Work {
        key: "fsync-64",
        title: "fsync: 64 producers, 8 partitions, 1 KB records",
        unit: Unit::Record,
        load: Load::Produce(Produce {
            partitions: 8,
            spread: Spread::OneEach,
            records: 1,
            value_bytes: 1024,
            connections: 64,
            in_flight: 1,
        }),
        durability: Durability::Disk,
        goals: &[goal(Metric::Throughput, 8.0, 0.5)],
    },
];

/// How long a run takes and how much it may write.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub window: Window,
    pub produced_bytes_max: u64,
}

impl Work {
    /// Does the work on a fresh topic.
    pub fn run(&self, server: &Server, topic: &str, pace: Pace) -> Outcome<Observed> {
        match self.load {
            Load::Produce(load) => self.produce(server, topic, load, pace),
            Load::Fetch => self.fetch(server, topic, pace),
            Load::HandOver { value_bytes } => {
                topics::create(server, topic, 1, self.durability)?;
                let observed = handover::hand_over(server, topic, value_bytes, pace.window)?;
                topics::delete(server, topic)?;
                Ok(observed)
            }
        }
    }

    /// How much of the unit was done.
    pub fn units(&self, observed: &Observed) -> f64 {
        match self.unit {
            Unit::Request | Unit::Record => observed.requests as f64,
            Unit::Gigabyte => match self.load {
                Load::Produce(load) => observed.requests as f64 * load.request_bytes() as f64 / 1e9,
                Load::Fetch | Load::HandOver { .. } => observed.answered_bytes as f64 / 1e9,
            },
        }
    }

    fn produce(
        &self,
        server: &Server,
        topic: &str,
        load: Produce,
        pace: Pace,
    ) -> Outcome<Observed> {
        topics::create(server, topic, load.partitions, self.durability)?;
        let frames = load.frames(topic);
        let lanes = (0..load.connections)
            .map(|index| {
                let (frames, first) = match load.spread {
                    Spread::OneEach => {
                        let own = frames[index % frames.len()].clone();
                        (Arc::from([own]), 0)
                    }
                    Spread::InTurn | Spread::All => {
                        (Arc::clone(&frames), index * frames.len() / load.connections)
                    }
                };
                lane(server, 1, PRODUCE_INPUT_BYTES, frames, first)
            })
            .collect::<Outcome<_>>()?;
        let mut window = pace.window;
        window.requests_max = pace.produced_bytes_max / load.request_bytes();
        touch_memory(pace.produced_bytes_max);
        let (observed, _) = pump(server, lanes, load.in_flight, produced, window)?;
        topics::delete(server, topic)?;
        Ok(observed)
    }

    fn fetch(&self, server: &Server, topic: &str, pace: Pace) -> Outcome<Observed> {
        const PARTITIONS: usize = 4;
        const CONNECTIONS: usize = 2;
        topics::create(server, topic, PARTITIONS, self.durability)?;
        let records = batch::batch(FETCH_BATCH_RECORDS, FETCH_RECORD_BYTES);
        let batches = FETCH_LOG_BYTES / records.len();
        fill(server, topic, PARTITIONS, &records, batches)?;
        let batches_a_fetch = FETCH_PARTITION_BYTES_MAX / records.len();
        let lanes = (0..CONNECTIONS)
            .map(|index| {
                let frames = (0..batches / batches_a_fetch)
                    .map(|step| {
                        let offset = (step * batches_a_fetch * FETCH_BATCH_RECORDS) as i64;
                        let partitions = [(index * 2, offset), (index * 2 + 1, offset)];
                        messages::fetch(topic, &partitions, FETCH_PARTITION_BYTES_MAX as i32)
                    })
                    .collect();
                lane(server, 1, FETCH_INPUT_BYTES, frames, 0)
            })
            .collect::<Outcome<_>>()?;
        let (observed, _) = pump(server, lanes, IN_FLIGHT, fetched, pace.window)?;
        topics::delete(server, topic)?;
        Ok(observed)
    }
}

impl Produce {
    /// Bytes of record batches in a request.
    fn request_bytes(&self) -> u64 {
        let batches = match self.spread {
            Spread::All => self.partitions,
            Spread::InTurn | Spread::OneEach => 1,
        };
        (batch::batch(self.records, self.value_bytes).len() * batches) as u64
    }

    fn frames(&self, topic: &str) -> Arc<[Vec<u8>]> {
        let records = batch::batch(self.records, self.value_bytes);
        let batches: Vec<_> = (0..self.partitions)
            .map(|partition| (partition, records.as_slice()))
            .collect();
        match self.spread {
            Spread::All => Arc::from([messages::produce(topic, &batches)]),
            Spread::InTurn | Spread::OneEach => batches
                .iter()
                .map(|batch| messages::produce(topic, std::slice::from_ref(batch)))
                .collect(),
        }
    }
}

/// Uses memory and gives it back at once. A virtual machine may have returned its free memory to the host; then the first
/// use of each page costs several times what the write into it costs, and is counted as the server's time. What was
/// freed last is used next, so the page cache of the run gets pages that are there.
fn touch_memory(bytes: u64) {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    std::hint::black_box(vec![1_u8; bytes]);
}

/// The check of answers to Produce.
pub fn produced(answer: &[u8]) -> Outcome<usize> {
    messages::check_produced(answer).map(|()| 0)
}

fn fetched(answer: &[u8]) -> Outcome<usize> {
    messages::check_fetched(answer).map(|fetched| fetched.record_bytes)
}

/// Appends the same batch so often to each partition.
fn fill(
    server: &Server,
    topic: &str,
    partitions: usize,
    records: &[u8],
    batches: usize,
) -> Outcome<()> {
    let mut connection = Connection::open(server.address, PRODUCE_INPUT_BYTES)?;
    let all: Vec<_> = (0..partitions).map(|index| (index, records)).collect();
    let request = messages::produce(topic, &all);
    for _ in 0..batches {
        messages::check_produced(connection.ask(&request)?)?;
    }
    Ok(())
}
