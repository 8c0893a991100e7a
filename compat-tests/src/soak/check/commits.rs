//! Committed offsets of consumer groups.

use crate::soak::anomaly::{Anomaly, Kind};

/// What was asked and acknowledged for one group and partition. Commits only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Commits {
    pub acked: Option<i64>,
    pub asked: Option<i64>,
}

/// Judges the committed offset that a server tells; `None` for none.
pub fn check_commit(name: &str, commits: Commits, committed: Option<i64>) -> Option<Anomaly> {
    let is_old = committed < commits.acked;
    let is_strange = committed > commits.asked;
    (is_old || is_strange).then(|| {
        let story = format!("{name}: {committed:?}, known are {commits:?}");
        Anomaly::new(Kind::WrongCommit, story)
    })
}
