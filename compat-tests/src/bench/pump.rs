//! Keeps a number of requests in flight on each lane, for a time of which only the second part counts.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::server::Server;
use super::{Failure, Outcome};

/// How often the clock of a run looks whether it is over early.
const TICK: Duration = Duration::from_millis(2);

/// When a run counts, and when it is over.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    pub warm_up: Duration,
    pub measured: Duration,
    /// The measured part is cut off when so many requests have been answered in all.
    pub requests_max: u64,
}

/// What happened in the measured part.
#[derive(Debug, Default)]
pub struct Observed {
    pub requests: u64,
    /// As the check of the answers has counted them.
    pub answered_bytes: u64,
    pub elapsed: Duration,
    /// Of the server.
    pub cpu: Duration,
    /// From the sending of a request until its answer was read; ascending.
    pub latencies: Vec<Duration>,
}

/// A thread with its connections and requests: request k goes over connection k, modulo their numbers.
#[derive(Debug)]
pub struct Lane {
    pub connections: Vec<Connection>,
    pub frames: Arc<[Vec<u8>]>,
    /// The first request that this lane sends.
    pub first_frame: usize,
}

/// Looks at an answer and returns how many bytes of records it brought.
pub type Check = fn(&[u8]) -> Outcome<usize>;

/// The clock of a run, seen by all of its threads.
#[derive(Debug, Default)]
pub struct Clock {
    phase: AtomicU8,
    requests: AtomicU64,
    answered_bytes: AtomicU64,
}

const WARMING_UP: u8 = 0;
const MEASURED: u8 = 1;
const OVER: u8 = 2;

impl Clock {
    pub fn is_over(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == OVER
    }

    pub fn is_measured(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == MEASURED
    }

    pub fn answered(&self, bytes: usize) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if bytes > 0 {
            self.answered_bytes
                .fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    /// Ends the run, also when a thread has failed.
    pub fn stop(&self) {
        self.phase.store(OVER, Ordering::Relaxed);
    }

    fn so_far(&self, server: &Server) -> Outcome<(Instant, u64, u64, Duration)> {
        Ok((
            Instant::now(),
            self.requests.load(Ordering::Relaxed),
            self.answered_bytes.load(Ordering::Relaxed),
            server.process.cpu()?,
        ))
    }

    /// Runs the phases. The latencies are for the caller to collect.
    pub fn run(&self, server: &Server, window: Window) -> Outcome<Observed> {
        let observed = self.observe(server, window);
        self.stop();
        observed
    }

    fn observe(&self, server: &Server, window: Window) -> Outcome<Observed> {
        // A fast server must not use the allowance up before it is measured.
        self.sleep_until(Instant::now() + window.warm_up, window.requests_max / 4);
        let (began, requests, answered_bytes, cpu) = self.so_far(server)?;
        let started =
            self.phase
                .compare_exchange(WARMING_UP, MEASURED, Ordering::Relaxed, Ordering::Relaxed);
        if started.is_err() {
            return Err(Failure::new("the load has stopped"));
        }
        self.sleep_until(began + window.measured, window.requests_max);
        let (ended, requests_end, bytes_end, cpu_end) = self.so_far(server)?;
        Ok(Observed {
            requests: requests_end - requests,
            answered_bytes: bytes_end - answered_bytes,
            elapsed: ended - began,
            cpu: cpu_end.saturating_sub(cpu),
            latencies: Vec::new(),
        })
    }

    fn sleep_until(&self, deadline: Instant, requests_max: u64) {
        while Instant::now() < deadline
            && !self.is_over()
            && self.requests.load(Ordering::Relaxed) < requests_max
        {
            thread::sleep(TICK);
        }
    }
}

/// Opens the connections of one lane.
pub fn lane(
    server: &Server,
    connections: usize,
    input_bytes: usize,
    frames: Arc<[Vec<u8>]>,
    first_frame: usize,
) -> Outcome<Lane> {
    let connections = (0..connections)
        .map(|_| Connection::open(server.address, input_bytes))
        .collect::<Outcome<_>>()?;
    Ok(Lane {
        connections,
        frames,
        first_frame,
    })
}

/// Runs all lanes, each with `in_flight` requests on their way.
pub fn pump(
    server: &Server,
    lanes: Vec<Lane>,
    in_flight: usize,
    check: Check,
    window: Window,
) -> Outcome<(Observed, Vec<Lane>)> {
    let clock = Clock::default();
    thread::scope(|scope| {
        let threads: Vec<_> = lanes
            .into_iter()
            .map(|lane| {
                let clock = &clock;
                scope.spawn(move || {
                    let ended = run_lane(lane, in_flight, check, clock);
                    if ended.is_err() {
                        clock.stop();
                    }
                    ended
                })
            })
            .collect();
        let observed = clock.run(server, window);
        let mut latencies = Vec::new();
        let mut lanes = Vec::new();
        for thread in threads {
            let joined = thread.join().map_err(|_| Failure::new("a lane panicked"))?;
            let (lane, of_lane) = joined?;
            lanes.push(lane);
            latencies.extend(of_lane);
        }
        latencies.sort_unstable();
        let mut observed = observed?;
        observed.latencies = latencies;
        Ok((observed, lanes))
    })
}

fn run_lane(
    mut lane: Lane,
    in_flight: usize,
    check: Check,
    clock: &Clock,
) -> Outcome<(Lane, Vec<Duration>)> {
    let mut latencies = Vec::new();
    let mut sent: VecDeque<Instant> = VecDeque::with_capacity(in_flight);
    let (mut next_sent, mut next_received) = (0, 0);
    let connections = lane.connections.len();
    loop {
        while sent.len() < in_flight && !clock.is_over() {
            let frame = (lane.first_frame + next_sent) % lane.frames.len();
            sent.push_back(Instant::now());
            lane.connections[next_sent % connections].send(&lane.frames[frame])?;
            next_sent += 1;
        }
        let Some(sent_at) = sent.pop_front() else {
            return Ok((lane, latencies));
        };
        let answer = lane.connections[next_received % connections].receive()?;
        let latency = sent_at.elapsed();
        let bytes = check(answer)?;
        next_received += 1;
        clock.answered(bytes);
        if clock.is_measured() {
            latencies.push(latency);
        }
    }
}
