//! All journeys, some at a time.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::kafka::KafkaJars;
use crate::suites::{Failure, Outcome};
use crate::swap::home::Home;
use crate::swap::journey::{JOURNEYS, Journey};
use crate::swap::program::{Classes, Program};

#[derive(Debug)]
pub struct Options {
    /// Instead of the release build.
    pub binary: Option<PathBuf>,
    /// Parts of the names of journeys; empty means all.
    pub only: Vec<String>,
    /// How many journeys are under way at the same time.
    pub jobs: usize,
    /// Keep the directory of a journey that failed.
    pub keep: bool,
}

/// Makes every journey and prints each step; an error when one failed.
pub fn run(options: &Options) -> Outcome<()> {
    let journeys: Vec<&Journey> = JOURNEYS
        .iter()
        .filter(|journey| {
            let is_meant = |part: &String| journey.name.contains(part.as_str());
            options.only.is_empty() || options.only.iter().any(is_meant)
        })
        .collect();
    if journeys.is_empty() {
        return Err(Failure::new("no journey has such a name"));
    }
    let jars = KafkaJars::locate()?;
    let classes = Classes::compile(&jars)?;
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, journeys.len()) {
            scope.spawn(|| {
                while let Some(journey) = journeys.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(failure) = travel(journey, &jars, &classes, options) {
                        println!("{:<24} FAIL", journey.name);
                        let failure = failure.during(journey.name);
                        failures
                            .lock()
                            .expect("nobody panics with it")
                            .push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("nobody panics with it");
    for failure in &failures {
        println!("\n{failure}");
    }
    let failed = failures.len();
    println!("{} journeys, {failed} failed", journeys.len());
    if failed > 0 {
        return Err(Failure::new(
            "the directory does not always change hands unharmed",
        ));
    }
    Ok(())
}

fn travel(
    journey: &Journey,
    jars: &KafkaJars,
    classes: &Classes,
    options: &Options,
) -> Outcome<()> {
    let mut home = Home::new(jars, options.binary.as_deref(), journey.quorum)?;
    let mut program = Program::start(classes)?;
    let started = Instant::now();
    let outcome = journey.travel(&home, &mut program, |step| {
        let seconds = started.elapsed().as_secs_f64();
        println!("{:<24} {seconds:6.1} s  {step}", journey.name);
    });
    if outcome.is_err() && options.keep {
        println!("{:<24} kept in {}", journey.name, home.keep().display());
    }
    outcome
}
