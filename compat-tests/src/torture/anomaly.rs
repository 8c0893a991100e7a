//! What can be wrong with a history.

use std::collections::BTreeMap;
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A record of an acknowledged commit is not there in the end, or one that was seen is gone later.
    Lost,
    /// A value stands at two offsets of a log.
    Duplicated,
    /// The records of one producer, or the copies of one partition, stand in another order than they were made in.
    Reordered,
    /// A reader of committed records saw one of a transaction that was aborted, or that nobody had asked to commit.
    AbortedRead,
    /// Of one transaction some records are visible and some are not.
    HalfVisible,
    /// A running reader passed over a record that is committed and there.
    Unseen,
    /// A reader's offsets went back, stood still or skipped, or the server no longer knew its position.
    NonMonotonicPoll,
    /// A reader of committed records got past a transaction that was still open.
    ReadPastStableOffset,
    /// Two readers, or a reader and a producer, were told different things about one offset.
    TwoValuesAtOneOffset,
    /// The copies and the committed offsets do not belong together.
    NotExactlyOnce,
    /// A record that nobody wrote there.
    Phantom,
    /// Something that must come to an end did not.
    Stuck,
}

impl Kind {
    pub const ALL: [Self; 12] = [
        Self::Lost,
        Self::Duplicated,
        Self::Reordered,
        Self::AbortedRead,
        Self::HalfVisible,
        Self::Unseen,
        Self::NonMonotonicPoll,
        Self::ReadPastStableOffset,
        Self::TwoValuesAtOneOffset,
        Self::NotExactlyOnce,
        Self::Phantom,
        Self::Stuck,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Duplicated => "duplicated",
            Self::Reordered => "reordered",
            Self::AbortedRead => "aborted read",
            Self::HalfVisible => "half visible",
            Self::Unseen => "unseen",
            Self::NonMonotonicPoll => "non-monotonic poll",
            Self::ReadPastStableOffset => "read past open transaction",
            Self::TwoValuesAtOneOffset => "two values at one offset",
            Self::NotExactlyOnce => "not exactly once",
            Self::Phantom => "phantom",
            Self::Stuck => "stuck",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anomaly {
    pub kind: Kind,
    pub story: String,
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.story)
    }
}

/// The anomalies of a history, all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Anomalies(Vec<Anomaly>);

impl Anomalies {
    pub fn add(&mut self, kind: Kind, story: String) {
        self.0.push(Anomaly { kind, story });
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Anomaly> {
        self.0.iter()
    }

    /// How many there are of every kind, zeros included.
    pub fn by_kind(&self) -> BTreeMap<Kind, usize> {
        let mut counts: BTreeMap<Kind, usize> = Kind::ALL.map(|kind| (kind, 0)).into();
        for anomaly in &self.0 {
            *counts.entry(anomaly.kind).or_default() += 1;
        }
        counts
    }
}
