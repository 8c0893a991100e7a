//! The lines and the table that a run prints.

use std::time::Duration;

use crate::suites::compare::Standing;
use crate::suites::schedule::Finished;

/// What became of the tests of one suite.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    pub passed: usize,
    pub missing: usize,
    pub failed: usize,
    /// Not run: Apache Kafka does not pass them either, or they are races.
    pub not_comparable: usize,
    /// Not run: marked slow.
    pub slow: usize,
    /// Passed at the second attempt only.
    pub second_attempts: usize,
    /// Time spent in tests, which run side by side.
    pub busy: Duration,
}

impl Tally {
    pub fn count(&mut self, standing: Standing) {
        match standing {
            Standing::Passed => self.passed += 1,
            Standing::Missing => self.missing += 1,
            Standing::Failed
            | Standing::NoLongerMissing
            | Standing::Unknown
            | Standing::Changed => self.failed += 1,
        }
    }
}

pub fn print_result(finished: &Finished, standing: Standing) {
    let Finished {
        suite,
        test,
        took,
        log,
        ..
    } = finished;
    let seconds = took.as_secs_f64();
    print!("{suite:<11} {test:<52} {seconds:6.1} s  {standing}");
    if standing.is_good() {
        println!();
    } else {
        println!(" ({}, log: {})", finished.verdict, log.display());
    }
}

pub fn print_table(rows: &[(&str, Tally)]) {
    println!(
        "\n{:<12} {:>6} {:>8} {:>7} {:>15} {:>5} {:>15} {:>9}",
        "suite",
        "passed",
        "missing",
        "failed",
        "not comparable",
        "slow",
        "second attempt",
        "test time"
    );
    for (suite, tally) in rows {
        println!(
            "{suite:<12} {:>6} {:>8} {:>7} {:>15} {:>5} {:>15} {:>7} s",
            tally.passed,
            tally.missing,
            tally.failed,
            tally.not_comparable,
            tally.slow,
            tally.second_attempts,
            tally.busy.as_secs()
        );
    }
}
