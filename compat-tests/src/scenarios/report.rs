//! The lines that a run prints, and the log with the details of failures.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use crate::scenarios::failure::{Failure, Outcome};

#[derive(Debug)]
pub struct Report {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    log: File,
    passed: usize,
    failed: usize,
}

impl Report {
    /// Starts an empty log in `folder`.
    pub fn new(folder: &Path) -> Outcome<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join("failures.log");
        let log = File::create(&path)?;
        Ok(Self {
            path,
            state: Mutex::new(State {
                log,
                passed: 0,
                failed: 0,
            }),
        })
    }

    /// Runs one check, prints its line, and returns what it made if it passed.
    pub fn check<T>(
        &self,
        client: &str,
        scenario: &str,
        check: impl FnOnce() -> Outcome<T>,
    ) -> Option<T> {
        let started = Instant::now();
        let outcome = check();
        self.record(client, scenario, started, outcome)
    }

    /// As [`Self::check`], for work whose time began earlier.
    pub fn record<T>(
        &self,
        client: &str,
        scenario: &str,
        started: Instant,
        outcome: Outcome<T>,
    ) -> Option<T> {
        let seconds = started.elapsed().as_secs_f64();
        let mut state = self.state.lock().expect("printing does not panic");
        match outcome {
            Ok(made) => {
                state.passed += 1;
                println!("{client:<16} {scenario:<40} ok   {seconds:6.1} s");
                Some(made)
            }
            Err(failure) => {
                state.failed += 1;
                println!(
                    "{client:<16} {scenario:<40} FAIL {seconds:6.1} s  {}",
                    shortened(failure.headline())
                );
                // The line above has told of the failure; a full disk must not hide the rest of the run.
                let _ = writeln!(state.log, "== {client}: {scenario}\n{failure}\n");
                None
            }
        }
    }

    /// Adds something to the log that belongs to no single check.
    pub fn note(&self, text: &str) {
        let mut state = self.state.lock().expect("printing does not panic");
        let _ = writeln!(state.log, "{text}\n");
    }

    /// Prints the last lines; an error when anything failed or nothing ran.
    pub fn close(self) -> Outcome<()> {
        let state = self.state.into_inner().expect("printing does not panic");
        if state.failed > 0 {
            println!("details: {}", self.path.display());
        }
        println!("{} passed, {} failed", state.passed, state.failed);
        if state.failed > 0 || state.passed == 0 {
            return Err(Failure::new("not every scenario passed"));
        }
        Ok(())
    }
}

const HEADLINE_CHARACTERS: usize = 160;

fn shortened(line: &str) -> String {
    match line.char_indices().nth(HEADLINE_CHARACTERS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}
