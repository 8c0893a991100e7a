//! Counts: how far the servers agree, per API, and which differences come up most.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::compare::Difference;
use super::coverage::Coverage;
use super::expected::{Class, Expectation};
use crate::schema::{Schemas, Versions};

/// How one request ended.
#[derive(Debug)]
pub enum Outcome {
    Same,
    /// Every difference is on the list; the row of the first.
    Expected(usize),
    /// The first difference that is not on the list.
    Different(Difference),
}

/// One compared request.
#[derive(Debug)]
pub struct Verdict {
    pub api_key: i16,
    pub version: i16,
    pub step: usize,
    pub outcome: Outcome,
    /// The error codes in the left answer.
    pub error_codes: BTreeSet<i64>,
}

/// The verdicts of one sequence.
#[derive(Debug)]
pub struct SequenceVerdict {
    pub index: u64,
    pub verdicts: Vec<Verdict>,
}

#[derive(Debug, Default)]
struct Tally {
    requests: usize,
    same: usize,
    not_served_yet: usize,
    accepted: usize,
    different: usize,
}

impl Tally {
    /// In percent: what the required agreement is measured against.
    fn agreement(&self) -> f64 {
        if self.requests == 0 {
            return 100.0;
        }
        100.0 * (self.same + self.not_served_yet) as f64 / self.requests as f64
    }
}

/// A difference as it is grouped.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct GroupKey {
    api_key: i16,
    path: String,
    left: String,
    right: String,
}

#[derive(Debug)]
struct Group {
    count: usize,
    /// How often it was the first difference of its sequence, and so no consequence of another.
    first: usize,
    versions: Versions,
    example: String,
}

/// Everything that a run has found.
#[derive(Debug, Default)]
pub struct Report {
    seed: u64,
    sequences: usize,
    agreeing_sequences: usize,
    total: Tally,
    apis: BTreeMap<i16, Tally>,
    groups: BTreeMap<GroupKey, Group>,
    expected: BTreeMap<usize, usize>,
    coverage: Coverage,
}

impl Report {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    pub fn add(&mut self, sequence: &SequenceVerdict, expectations: &[Expectation]) {
        self.sequences += 1;
        let mut is_first = true;
        for verdict in &sequence.verdicts {
            self.coverage
                .add(verdict.api_key, verdict.version, &verdict.error_codes);
            let api = self.apis.entry(verdict.api_key).or_default();
            for tally in [&mut self.total, api] {
                tally.requests += 1;
                match &verdict.outcome {
                    Outcome::Same => tally.same += 1,
                    Outcome::Different(_) => tally.different += 1,
                    Outcome::Expected(row) => match expectations[*row].class {
                        Class::NotServedYet => tally.not_served_yet += 1,
                        Class::Accepted => tally.accepted += 1,
                    },
                }
            }
            match &verdict.outcome {
                Outcome::Same => {}
                Outcome::Expected(row) => *self.expected.entry(*row).or_default() += 1,
                Outcome::Different(difference) => {
                    self.group(sequence.index, verdict, difference, is_first);
                    is_first = false;
                }
            }
        }
        self.agreeing_sequences += usize::from(is_first);
    }

    fn group(&mut self, index: u64, verdict: &Verdict, difference: &Difference, is_first: bool) {
        let key = GroupKey {
            api_key: verdict.api_key,
            path: difference.path.clone(),
            left: difference.left.clone(),
            right: difference.right.clone(),
        };
        let example = format!("{}:{index} step {}", self.seed, verdict.step);
        let group = self.groups.entry(key).or_insert_with(|| Group {
            count: 0,
            first: 0,
            versions: Versions {
                first: verdict.version,
                last: verdict.version,
            },
            example: example.clone(),
        });
        if is_first && group.first == 0 {
            group.example = example;
        }
        group.count += 1;
        group.first += usize::from(is_first);
        group.versions.first = group.versions.first.min(verdict.version);
        group.versions.last = group.versions.last.max(verdict.version);
    }

    /// In percent, over all requests. What is expected counts as agreement only if it is not served yet.
    pub fn agreement(&self) -> f64 {
        self.total.agreement()
    }

    pub fn different(&self) -> usize {
        self.total.different
    }

    /// Sequences without an unexpected difference, and those with one.
    pub fn sequences(&self) -> (usize, usize) {
        (
            self.agreeing_sequences,
            self.sequences - self.agreeing_sequences,
        )
    }

    /// The whole report as text.
    pub fn render(&self, schemas: &Schemas, expectations: &[Expectation]) -> String {
        let mut out = String::new();
        self.write(&mut out, schemas, expectations)
            .expect("writing to a string does not fail");
        out
    }

    /// How far the requests have gone, on the left.
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    fn write(
        &self,
        out: &mut String,
        schemas: &Schemas,
        expectations: &[Expectation],
    ) -> std::fmt::Result {
        writeln!(
            out,
            "{:<28} {:>8} {:>8} {:>9} {:>9} {:>9} {:>9}",
            "API", "requests", "same", "not yet", "accepted", "different", "agree %"
        )?;
        for (api_key, tally) in &self.apis {
            write_tally(
                out,
                &format!("{} ({api_key})", schemas.api_name(*api_key)),
                tally,
            )?;
        }
        write_tally(out, "all", &self.total)?;

        if !self.groups.is_empty() {
            writeln!(
                out,
                "\nDifferences by first field, most frequent first (count; of these first in their sequence):"
            )?;
        }
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|(_, group)| std::cmp::Reverse((group.first, group.count)));
        for (key, group) in groups {
            writeln!(
                out,
                "{:>6} {:>5}  {} v{}  {}\n                 left  {}\n                 right {}\n                 replay {}",
                group.count,
                group.first,
                schemas.api_name(key.api_key),
                group.versions,
                key.path,
                key.left,
                key.right,
                group.example
            )?;
        }

        if !self.expected.is_empty() {
            writeln!(out, "\nExpected differences:")?;
        }
        for (row, count) in &self.expected {
            let row = &expectations[*row];
            writeln!(
                out,
                "{count:>6}  {} {} ({}): {}",
                row.api, row.path, row.class, row.reason
            )?;
        }
        Ok(())
    }
}

fn write_tally(out: &mut String, name: &str, tally: &Tally) -> std::fmt::Result {
    writeln!(
        out,
        "{name:<28} {:>8} {:>8} {:>9} {:>9} {:>9} {:>9.2}",
        tally.requests,
        tally.same,
        tally.not_served_yet,
        tally.accepted,
        tally.different,
        tally.agreement()
    )
}
