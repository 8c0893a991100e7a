//! Runs tests of all suites side by side on a bounded number of lanes, the long ones first.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::suites::case::{Case, Seat, Suite, Verdict};
use crate::suites::failure::Outcome;
use crate::suites::process::run_logged;
use crate::suites::workshop::Workshop;

/// One test to run.
pub struct Job<'a> {
    pub suite: &'a dyn Suite,
    pub case: Case,
    pub server: SocketAddr,
    /// How long it is expected to take, for the order.
    pub seconds: u64,
    /// When it is over, the test is killed and has failed.
    pub patience: Duration,
}

/// How it went.
#[derive(Debug, Clone)]
pub struct Finished {
    pub suite: &'static str,
    pub test: String,
    pub verdict: Verdict,
    pub took: Duration,
    pub log: PathBuf,
}

/// Where the logs of a run go.
#[derive(Debug)]
pub struct Logs {
    pub folder: PathBuf,
}

impl Logs {
    fn of(&self, suite: &str, test: &str, attempt: &str) -> PathBuf {
        let file = format!("{}{attempt}.log", test.replace(['/', ':'], "_"));
        self.folder.join(suite).join(file)
    }
}

/// Runs all jobs, at most `lanes` at a time, and tells `report` of each as it ends.
pub fn run_all(
    workshop: &Workshop,
    logs: &Logs,
    lanes: usize,
    mut jobs: Vec<Job<'_>>,
    report: &(dyn Fn(&Finished) + Sync),
) -> Outcome<Vec<Finished>> {
    // The last comes off first.
    jobs.sort_by_key(|job| job.seconds);
    let waiting = Mutex::new(jobs);
    let finished = Mutex::new(Ok(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..lanes.max(1) {
            scope.spawn(|| {
                loop {
                    let Some(job) = waiting.lock().expect("popping does not panic").pop() else {
                        return;
                    };
                    let outcome = run_one(workshop, logs, &job, "");
                    if let Ok(outcome) = &outcome {
                        report(outcome);
                    }
                    let mut finished = finished.lock().expect("pushing does not panic");
                    match (finished.as_mut(), outcome) {
                        (Ok(list), Ok(outcome)) => list.push(outcome),
                        (Ok(_), Err(failure)) => *finished = Err(failure),
                        (Err(_), _) => return,
                    }
                }
            });
        }
    });
    finished.into_inner().expect("pushing does not panic")
}

/// Runs one job; `attempt` tells its log from that of another try.
pub fn run_one(
    workshop: &Workshop,
    logs: &Logs,
    job: &Job<'_>,
    attempt: &str,
) -> Outcome<Finished> {
    let scratch = tempfile::Builder::new().prefix("klamm-suite-").tempdir()?;
    let seat = Seat {
        server: job.server,
        scratch: scratch.path().to_owned(),
    };
    fs::create_dir_all(&seat.scratch)?;
    let log = logs.of(job.suite.name(), &job.case.name, attempt);
    let mut command = job.suite.command(workshop, &job.case, &seat)?;
    let started = Instant::now();
    let ended = run_logged(&mut command, &log, job.patience)?;
    Ok(Finished {
        suite: job.suite.name(),
        test: job.case.name.clone(),
        verdict: job.suite.judge(&job.case, &ended),
        took: started.elapsed(),
        log,
    })
}
