//! What a record, a fetch from anywhere and a look-up by timestamp cost while a log grows.
//!
//! Every request that fills the log has a timestamp of its own, and it is kept where each stretch of them begins. So the
//! answers to look-ups are known.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::bare::Durability;
use super::connection::Connection;
use super::pump::{Check, Observed, Window, lane, pump};
use super::server::{Kind, Server};
use super::work::produced;
use super::{Failure, Outcome, batch, disk, messages, topics};

const TOPIC: &str = "long";
const PARTITIONS: usize = 4;
const LANES: usize = 2;
const IN_FLIGHT: usize = 4;
const RECORD_BYTES: usize = 1024;
/// What the log is filled with.
const BATCH_RECORDS: usize = 64;
/// All partitions get a batch with each request that fills.
const REQUEST_BYTES: u64 = (PARTITIONS * BATCH_RECORDS * RECORD_BYTES) as u64;
/// From one request to the next.
const REQUEST_MS: i64 = 100;
/// The first record's age: 200 GB fit, and nothing expires.
const AGE_MS: i64 = 24 * 60 * 60 * 1000;
/// What measuring the cost of a record adds to the log at most: 40 MB.
const RECORDS_MEASURED_MAX: u64 = 40_000;
const FETCH_BYTES_MAX: i32 = 128 << 10;
const FETCH_INPUT_BYTES: usize = 256 << 10;
const INPUT_BYTES: usize = 4 << 10;
/// Positions and timestamps a lane, so many that a long log is read everywhere.
const POSITIONS: usize = 16_384;
const TIMESTAMPS: usize = 4_096;
/// How many look-ups are compared with what is known, at each size.
const LOOK_UPS_CHECKED: usize = 64;
const WARM_UP: Duration = Duration::from_millis(300);
const MEASURED_MAX: Duration = Duration::from_millis(1_500);
/// For the first fetches and look-ups of a JVM.
const JVM_WARM_UP: Duration = Duration::from_secs(6);
/// Until what fills the log is on the disk.
const SETTLING_PATIENCE: Duration = Duration::from_secs(60);
const SEED: u64 = 50;
/// Where the cost is measured, in bytes of values, and at the longest that is wanted.
const SIZES: [u64; 4] = [1_000_000, 100_000_000, 1_000_000_000, 10_000_000_000];
const SIZE_STEP: u64 = 100_000_000;

/// What was measured at one size of the log.
#[derive(Debug)]
pub struct Costs {
    /// Bytes of values that it was to have.
    pub size: u64,
    /// Up to [`FETCH_BYTES_MAX`] a request, from any offset of any partition.
    pub fetches: Observed,
    /// `None` for the bare server, which knows no timestamps.
    pub look_ups: Option<Observed>,
    /// One a request, while the log grows from `size` on.
    pub records: Observed,
}

/// The sizes to measure at, ascending. The longest is `wanted`, but at most half of what the disk has left, in whole
/// [`SIZE_STEP`]s.
pub fn sizes(wanted: u64) -> Outcome<Vec<u64>> {
    sizes_within(wanted, disk::free_bytes()? / 2)
}

fn sizes_within(wanted: u64, allowed: u64) -> Outcome<Vec<u64>> {
    let longest = wanted.min(allowed - allowed % SIZE_STEP);
    if longest < SIZES[0] {
        return Err(Failure::new("the disk has no room for a log"));
    }
    let below = SIZES.into_iter().filter(|size| *size < longest);
    Ok(below.chain([longest]).collect())
}

/// Fills one topic and measures at each of the sizes. The caller has warmed a JVM's produce path.
pub fn run(server: &Server, sizes: &[u64], measured: Duration) -> Outcome<Vec<Costs>> {
    topics::create(server, TOPIC, PARTITIONS, Durability::PageCache)?;
    let mut log = LongLog {
        server,
        connection: Connection::open(server.address, INPUT_BYTES)?,
        stretches: Vec::new(),
        next_ms: batch::now_ms() - AGE_MS,
        random: StdRng::seed_from_u64(SEED),
    };
    let window = Window {
        warm_up: WARM_UP,
        measured: measured.min(MEASURED_MAX),
        requests_max: u64::MAX,
    };
    let mut costs = Vec::new();
    for size in sizes.iter().copied() {
        eprintln!("growth: {}, {} MB of log", server.kind, size / 1_000_000);
        log.fill(size)?;
        disk::settle(SETTLING_PATIENCE)?;
        if server.kind == Kind::Kafka && costs.is_empty() {
            let long = Window {
                warm_up: JVM_WARM_UP,
                measured: Duration::ZERO,
                ..window
            };
            log.fetch(long)?;
            log.look_up(long)?;
        }
        let fetches = log.fetch(window)?;
        let look_ups = match server.kind {
            Kind::Kafka | Kind::Klamm => {
                log.check_look_ups()?;
                Some(log.look_up(window)?)
            }
            Kind::Bare => None,
        };
        let records = log.append(window)?;
        costs.push(Costs {
            size,
            fetches,
            look_ups,
            records,
        });
    }
    Ok(costs)
}

/// Requests that filled the log without a gap.
struct Stretch {
    /// The timestamp of the first.
    first_ms: i64,
    requests: u64,
    /// Where the first begins in each of the partitions.
    offsets: Vec<i64>,
}

struct LongLog<'a> {
    server: &'a Server,
    connection: Connection,
    stretches: Vec<Stretch>,
    /// The timestamp of the next request.
    next_ms: i64,
    random: StdRng,
}

impl LongLog<'_> {
    /// Appends until there are as many bytes of values.
    fn fill(&mut self, bytes: u64) -> Outcome<()> {
        let offsets = self.ends()?;
        let records: i64 = offsets.iter().sum();
        let missing = bytes.saturating_sub(records as u64 * RECORD_BYTES as u64);
        let requests = missing.div_ceil(REQUEST_BYTES);
        if requests < 2 {
            return Err(Failure::new("the log is longer than it should become"));
        }
        self.stretches.push(Stretch {
            first_ms: self.next_ms,
            requests,
            offsets,
        });
        let mut records = batch::batch(BATCH_RECORDS, RECORD_BYTES);
        for sent in 0..requests {
            batch::set_timestamp(&mut records, self.next_timestamp());
            let batches: Vec<_> = (0..PARTITIONS)
                .map(|partition| (partition, records.as_slice()))
                .collect();
            self.connection.send(&messages::produce(TOPIC, &batches))?;
            if sent >= IN_FLIGHT as u64 {
                messages::check_produced(self.connection.receive()?)?;
            }
        }
        for _ in 0..requests.min(IN_FLIGHT as u64) {
            messages::check_produced(self.connection.receive()?)?;
        }
        Ok(())
    }

    fn next_timestamp(&mut self) -> i64 {
        let timestamp_ms = self.next_ms;
        self.next_ms += REQUEST_MS;
        timestamp_ms
    }

    fn ends(&mut self) -> Outcome<Vec<i64>> {
        let question = messages::list_offsets(TOPIC, PARTITIONS);
        messages::check_listed(self.connection.ask(&question)?)
    }

    fn append(&mut self, window: Window) -> Outcome<Observed> {
        let records = batch::batch_at(self.next_timestamp(), 1, RECORD_BYTES);
        let frames: Arc<[_]> = (0..PARTITIONS)
            .map(|partition| messages::produce(TOPIC, &[(partition, records.as_slice())]))
            .collect();
        let window = Window {
            requests_max: RECORDS_MEASURED_MAX,
            ..window
        };
        self.pump(INPUT_BYTES, produced, window, |_| Arc::clone(&frames))
    }

    fn fetch(&mut self, window: Window) -> Outcome<Observed> {
        let ends = self.ends()?;
        self.pump(FETCH_INPUT_BYTES, fetched, window, |random| {
            (0..POSITIONS)
                .map(|_| {
                    let partition = random.random_range(0..PARTITIONS);
                    let offset = random.random_range(0..ends[partition]);
                    messages::fetch(TOPIC, &[(partition, offset)], FETCH_BYTES_MAX)
                })
                .collect()
        })
    }

    fn look_up(&mut self, window: Window) -> Outcome<Observed> {
        let stretches = std::mem::take(&mut self.stretches);
        let observed = self.pump(INPUT_BYTES, looked_up, window, |random| {
            (0..TIMESTAMPS)
                .map(|_| {
                    let (question, _) = look_up(&stretches, random);
                    messages::list_offsets_at(TOPIC, &[question])
                })
                .collect()
        });
        self.stretches = stretches;
        observed
    }

    /// A fast answer that is wrong would be worth nothing.
    fn check_look_ups(&mut self) -> Outcome<()> {
        for _ in 0..LOOK_UPS_CHECKED {
            let (question, expected) = look_up(&self.stretches, &mut self.random);
            let request = messages::list_offsets_at(TOPIC, &[question]);
            let found = messages::check_listed(self.connection.ask(&request)?)?;
            if found != [expected] {
                return Err(Failure::new(format!(
                    "{question:?} is looked up at {found:?}, not at {expected}"
                )));
            }
        }
        Ok(())
    }

    fn pump(
        &mut self,
        input_bytes: usize,
        check: Check,
        window: Window,
        mut frames: impl FnMut(&mut StdRng) -> Arc<[Vec<u8>]>,
    ) -> Outcome<Observed> {
        let lanes = (0..LANES)
            .map(|index| {
                let frames = frames(&mut self.random);
                let first = index * frames.len() / LANES;
                lane(self.server, 1, input_bytes, frames, first)
            })
            .collect::<Outcome<_>>()?;
        pump(self.server, lanes, IN_FLIGHT, check, window).map(|(observed, _)| observed)
    }
}

/// A partition and a timestamp, and the offset that is the answer: where the first request begins that is not older.
///
/// The first request of a stretch is left out: what lies before it has the same timestamp for too long, and the way through
/// that would be all the look-up costs.
fn look_up(stretches: &[Stretch], random: &mut StdRng) -> ((usize, i64), i64) {
    let partition = random.random_range(0..PARTITIONS);
    // Long stretches as often as their length asks for.
    let all: u64 = stretches.iter().map(|stretch| stretch.requests - 1).sum();
    let mut index = random.random_range(0..all);
    let mut stretches = stretches.iter();
    let stretch = loop {
        let stretch = stretches.next().expect("the index is below the sum");
        if index < stretch.requests - 1 {
            break stretch;
        }
        index -= stretch.requests - 1;
    };
    let request = index as i64 + 1;
    // Anything behind the request before.
    let before_ms = random.random_range(0..REQUEST_MS);
    let timestamp_ms = stretch.first_ms + request * REQUEST_MS - before_ms;
    let offset = stretch.offsets[partition] + request * BATCH_RECORDS as i64;
    ((partition, timestamp_ms), offset)
}

fn fetched(answer: &[u8]) -> Outcome<usize> {
    match messages::check_fetched(answer)?.record_bytes {
        0 => Err(Failure::new("a fetch from within the log has no records")),
        bytes => Ok(bytes),
    }
}

fn looked_up(answer: &[u8]) -> Outcome<usize> {
    match messages::check_listed(answer)?.as_slice() {
        [offset] if *offset >= 0 => Ok(0),
        offsets => Err(Failure::new(format!("a look-up finds {offsets:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_log_leaves_half_of_the_disk() {
        let sizes = |wanted, allowed| sizes_within(wanted, allowed).expect("there is room");
        assert_eq!(
            sizes(2_000_000_000, 90_000_000_000),
            [1_000_000, 100_000_000, 1_000_000_000, 2_000_000_000]
        );
        assert_eq!(
            sizes(50_000_000_000, 777_000_000),
            [1_000_000, 100_000_000, 700_000_000]
        );
        assert!(sizes_within(50_000_000_000, 90_000_000).is_err());
    }

    /// Two stretches with a gap in time and offsets between them; every answer is looked for among all requests.
    #[test]
    fn a_look_up_expects_the_first_request_that_is_not_older() {
        let stretch = |first_ms, requests, offset| Stretch {
            first_ms,
            requests,
            offsets: vec![offset; PARTITIONS],
        };
        let stretches = [stretch(1_000, 3, 0), stretch(5_000, 8, 500)];
        let requests: Vec<(i64, i64)> = stretches
            .iter()
            .flat_map(|stretch| {
                (0..stretch.requests as i64).map(|index| {
                    let offset = stretch.offsets[0] + index * BATCH_RECORDS as i64;
                    (stretch.first_ms + index * REQUEST_MS, offset)
                })
            })
            .collect();
        let mut random = StdRng::seed_from_u64(SEED);
        for _ in 0..1_000 {
            let ((_, timestamp_ms), expected) = look_up(&stretches, &mut random);
            let first = requests
                .iter()
                .find(|(of_request, _)| *of_request >= timestamp_ms);
            assert_eq!(
                first.map(|(_, offset)| *offset),
                Some(expected),
                "{timestamp_ms}"
            );
        }
    }
}
