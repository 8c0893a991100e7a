//! Sequences from a seed, run by several workers on both servers, and judged.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError, RwLock};
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

/// Sequences run beside each other, except those that have to be alone.
#[derive(Default)]
struct Company(RwLock<()>);

impl Company {
    fn keep<T>(&self, is_alone: bool, run: impl FnOnce() -> T) -> T {
        if is_alone {
            let _alone = self.0.write().unwrap_or_else(PoisonError::into_inner);
            run()
        } else {
            let _together = self.0.read().unwrap_or_else(PoisonError::into_inner);
            run()
        }
    }
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
    let company = Company::default();
    thread::scope(|scope| {
        for worker in 0..settings.workers {
            let (feed, judged, company) = (&feed, &judged, &company);
            scope.spawn(move || {
                while let Some(sequence) = feed.next() {
                    let pair = company.keep(sequence.is_alone, || {
                        observe(left, right, &sequence, worker, settings.compare_texts)
                    });
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

/// AddPartitionsToTxn has a name of its own for it.
const ERROR_FIELDS: &[&str] = &["errorCode", "partitionErrorCode"];

/// Every error code anywhere in an answer.
fn error_codes(answer: &Value) -> BTreeSet<i64> {
    match answer {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| match value {
                Value::Integer(code) if ERROR_FIELDS.contains(&&**name) => BTreeSet::from([*code]),
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Runs sequences on several threads, some of them alone, and counts who is there meanwhile.
    #[test]
    fn a_sequence_that_has_to_be_alone_is() {
        let company = Company::default();
        let present = AtomicUsize::new(0);
        thread::scope(|scope| {
            for worker in 0..4 {
                let (company, present) = (&company, &present);
                scope.spawn(move || {
                    for round in 0..200 {
                        let is_alone = (worker + round) % 5 == 0;
                        let others = company.keep(is_alone, || {
                            let others = present.fetch_add(1, Ordering::SeqCst);
                            thread::yield_now();
                            let left_behind = present.fetch_sub(1, Ordering::SeqCst) - 1;
                            others.max(left_behind)
                        });
                        assert!(!is_alone || others == 0);
                    }
                });
            }
        });
    }

    #[test]
    fn error_codes_are_found_under_both_of_their_names() {
        let answer = crate::schema::object([
            ("errorCode", 0.into()),
            (
                "results",
                crate::schema::array([crate::schema::object([("partitionErrorCode", 55.into())])]),
            ),
        ]);
        assert_eq!(error_codes(&answer), BTreeSet::from([0, 55]));
    }
}
