//! What all actors of a run share.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::soak::anomaly::{Anomalies, Anomaly, Kind};
use crate::soak::check::Commits;
use crate::soak::ledger::Ledger;
use crate::soak::link::{CallError, Link};
use crate::soak::plan::{TOPICS, TopicPlan};

/// Longer than any restart: what is not done by then is stuck.
const PATIENCE: Duration = Duration::from_secs(90);

/// Between two attempts.
const BACKOFF: Duration = Duration::from_millis(40);

/// One partition of a topic of the plan.
#[derive(Debug)]
pub struct Log {
    pub topic: &'static TopicPlan,
    pub partition: i32,
    ledger: Mutex<Ledger>,
    commits: Mutex<Commits>,
}

impl Log {
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("no judge panics")
    }

    pub fn commits(&self) -> MutexGuard<'_, Commits> {
        self.commits.lock().expect("no judge panics")
    }

    pub fn name(&self) -> String {
        format!("{}-{}", self.topic.name, self.partition)
    }
}

/// What is counted for the verdict.
#[derive(Debug, Default)]
pub struct Counters {
    pub read: AtomicU64,
    pub scans: AtomicU64,
    pub full_reads: AtomicU64,
    pub commits: AtomicU64,
    /// Of the group whose members share partitions.
    pub generations: AtomicU64,
    pub transactions_committed: AtomicU64,
    pub transactions_aborted: AtomicU64,
    pub topics_created: AtomicU64,
    pub topics_deleted: AtomicU64,
    pub partitions_added: AtomicU64,
    pub records_deleted: AtomicU64,
    pub configs_altered: AtomicU64,
}

pub fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

#[derive(Debug)]
pub struct World {
    pub address: SocketAddr,
    pub seed: u64,
    pub counters: Counters,
    pub logs: Vec<Log>,
    started: Instant,
    is_over: AtomicBool,
    is_abandoned: AtomicBool,
    life: AtomicUsize,
    anomalies: Mutex<Anomalies>,
}

/// How one attempt at something went.
#[derive(Debug)]
pub enum Attempt<T> {
    Done(T),
    /// The server is away, or asks for patience.
    Again(String),
    /// An error that nothing explains.
    Refused(String),
}

impl World {
    pub fn new(address: SocketAddr, seed: u64) -> Self {
        let mut logs = Vec::new();
        for topic in TOPICS {
            for partition in 0..topic.partitions {
                let name = format!("{}-{partition}", topic.name);
                let ledger = Ledger::new(name, logs.len() + 1, seed, topic.style);
                logs.push(Log {
                    topic,
                    partition,
                    ledger: Mutex::new(ledger),
                    commits: Mutex::default(),
                });
            }
        }
        Self {
            address,
            seed,
            counters: Counters::default(),
            logs,
            started: Instant::now(),
            is_over: AtomicBool::new(false),
            is_abandoned: AtomicBool::new(false),
            life: AtomicUsize::new(1),
            anomalies: Mutex::default(),
        }
    }

    pub fn link(&self, client_id: &str) -> Link {
        Link::new(self.address, client_id)
    }

    pub fn logs_of(&self, topic: &TopicPlan) -> Vec<&Log> {
        let logs = self.logs.iter();
        logs.filter(|log| log.topic.name == topic.name).collect()
    }

    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Which life of the server it is, from 1; grows with every restart.
    pub fn life(&self) -> usize {
        self.life.load(Ordering::Relaxed)
    }

    pub fn begin_life(&self) {
        self.life.fetch_add(1, Ordering::Relaxed);
    }

    /// True when actors finish what they are at and end.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// The server is gone for good: nothing is insisted on any more, and that it does not answer is no anomaly.
    pub fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Relaxed);
    }

    /// Sleeps in slices, so that the end of the run is noticed.
    pub fn sleep(&self, time: Duration) {
        const SLICE: Duration = Duration::from_millis(200);
        let deadline = Instant::now() + time;
        while !self.is_over() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(SLICE));
        }
    }

    pub fn anomalies(&self) -> MutexGuard<'_, Anomalies> {
        self.anomalies.lock().expect("nothing panics while it adds")
    }

    pub fn report(&self, found: impl IntoIterator<Item = Anomaly>) {
        for anomaly in found {
            let line = format!(
                "! {:>6.1} s, life {}: {anomaly}",
                self.elapsed().as_secs_f64(),
                self.life()
            );
            if self.anomalies().add(anomaly) {
                eprintln!("{line}");
            }
        }
    }

    /// Tries until it is done. `None`, and an anomaly, when it is refused or takes too long.
    pub fn insist<T>(&self, what: &str, mut attempt: impl FnMut() -> Attempt<T>) -> Option<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match attempt() {
                Attempt::Done(value) => return Some(value),
                Attempt::Refused(why) => {
                    self.report([Anomaly::new(Kind::Refused, format!("{what}: {why}"))]);
                    return None;
                }
                Attempt::Again(_) if self.is_abandoned.load(Ordering::Relaxed) => return None,
                Attempt::Again(why) if Instant::now() >= deadline => {
                    self.report([Anomaly::new(Kind::Stuck, format!("{what}: {why}"))]);
                    return None;
                }
                Attempt::Again(_) => std::thread::sleep(BACKOFF),
            }
        }
    }

    /// An answer as an attempt: `code` picks the error code that decides.
    pub fn judge<T>(
        &self,
        what: &str,
        answer: Result<T, CallError>,
        code: impl FnOnce(&T) -> Option<i16>,
    ) -> Attempt<T> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(CallError::Gone) => return Attempt::Again(CallError::Gone.to_string()),
            Err(error @ CallError::Silent) => {
                self.report([Anomaly::new(Kind::Stuck, format!("{what}: {error}"))]);
                return Attempt::Again(error.to_string());
            }
            Err(error @ CallError::Undecodable(_)) => {
                self.report([Anomaly::new(Kind::Corrupt, format!("{what}: {error}"))]);
                return Attempt::Again(error.to_string());
            }
        };
        match code(&answer) {
            Some(NONE) => Attempt::Done(answer),
            Some(code) if RETRIABLE.contains(&code) => Attempt::Again(format!("error {code}")),
            Some(code) => Attempt::Refused(format!("error {code}")),
            None => Attempt::Refused("an answer without what was asked for".to_owned()),
        }
    }
}

const NONE: i16 = 0;

/// Errors that clients retry and that a server may answer with while it starts: leader not available, not the leader,
/// timed out, coordinator loading, not available, not the coordinator, concurrent transactions.
const RETRIABLE: [i16; 7] = [5, 6, 7, 14, 15, 16, 51];
