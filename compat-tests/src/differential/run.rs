//! Sequences from a seed, run by several workers on both servers, and judged.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::compare::differences;
use super::expected::Expectation;
use super::generate::{Filter, generate};
use super::normalise::now_ms;
use super::plan::{Ranges, Sequence, Step};
use super::report::{Outcome, Report, SequenceVerdict, Verdict};
use super::server::Server;
use super::session::{Observation, Session};
use crate::schema::Value;

/// What to run.
#[derive(Debug)]
pub struct Settings {
    pub seed: u64,
    /// Sequences are made until they have at least this many requests.
    pub requests: usize,
    pub workers: usize,
    pub filter: Filter,
    /// Compare the texts of error messages, too.
    pub compare_texts: bool,
}

/// Hands out sequences in the order of their index, so that a run depends on its seed alone.
struct Feed<'a> {
    settings: &'a Settings,
    ranges: &'a Ranges,
    next: Mutex<(u64, usize)>,
}

impl Feed<'_> {
    fn next(&self) -> Option<Sequence> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let (index, planned) = *next;
        if planned >= self.settings.requests {
            return None;
        }
        let sequence = generate(
            self.settings.seed,
            index,
            self.ranges,
            now_ms(),
            &self.settings.filter,
        );
        *next = (index + 1, planned + request_count(&sequence));
        Some(sequence)
    }
}

fn request_count(sequence: &Sequence) -> usize {
    sequence
        .steps
        .iter()
        .filter(|step| matches!(step, Step::Ask(_) | Step::Collect(_)))
        .count()
}

/// Runs all sequences and reports.
pub fn run(
    left: &Server,
    right: &Server,
    ranges: &Ranges,
    settings: &Settings,
    expectations: &[Expectation],
) -> Report {
    let feed = Feed {
        settings,
        ranges,
        next: Mutex::new((0, 0)),
    };
    let judged = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for worker in 0..settings.workers {
            let (feed, judged) = (&feed, &judged);
            scope.spawn(move || {
                while let Some(sequence) = feed.next() {
                    let pair = observe(left, right, &sequence, worker, settings.compare_texts);
                    let verdicts = judge(&pair, expectations, left);
                    let verdict = SequenceVerdict {
                        index: sequence.index,
                        verdicts,
                    };
                    judged
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(verdict);
                }
            });
        }
    });
    let mut judged = judged.into_inner().unwrap_or_else(PoisonError::into_inner);
    judged.sort_by_key(|verdict| verdict.index);
    let mut report = Report::new(settings.seed);
    for verdict in &judged {
        report.add(verdict, expectations);
    }
    report
}

/// The answers of both servers, step by step.
pub type Pair = (Vec<Observation>, Vec<Observation>);

/// Runs one sequence on both servers at the same time.
pub fn observe(
    left: &Server,
    right: &Server,
    sequence: &Sequence,
    worker: usize,
    compare_texts: bool,
) -> Pair {
    thread::scope(|scope| {
        let other = scope.spawn(|| Session::run(right, sequence, worker, compare_texts));
        let left = Session::run(left, sequence, worker, compare_texts);
        match other.join() {
            Ok(right) => (left, right),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Every error code anywhere in an answer.
fn error_codes(answer: &Value) -> BTreeSet<i64> {
    match answer {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| match value {
                Value::Integer(code) if &**name == "errorCode" => BTreeSet::from([*code]),
                other => error_codes(other),
            })
            .collect(),
        Value::Array(elements) => elements.iter().flat_map(error_codes).collect(),
        _ => BTreeSet::new(),
    }
}

fn judge(pair: &Pair, expectations: &[Expectation], server: &Server) -> Vec<Verdict> {
    let (left, right) = pair;
    assert_eq!(
        left.len(),
        right.len(),
        "both sides observe every step of the plan"
    );
    left.iter()
        .zip(right)
        .map(|(left, right)| {
            let api = server.schemas.api_name(left.api_key);
            let mut expected = None;
            let mut unexpected = None;
            for difference in differences(&left.answer, &right.answer) {
                let row = expectations
                    .iter()
                    .position(|expectation| expectation.covers(&api, &difference));
                match row {
                    Some(row) => expected = expected.or(Some(row)),
                    None => unexpected = unexpected.or(Some(difference)),
                }
            }
            Verdict {
                api_key: left.api_key,
                version: left.version,
                step: left.step,
                error_codes: error_codes(&left.answer),
                outcome: match (unexpected, expected) {
                    (Some(difference), _) => Outcome::Different(difference),
                    (None, Some(row)) => Outcome::Expected(row),
                    (None, None) => Outcome::Same,
                },
            }
        })
        .collect()
}
