//! What can be wrong with a server that has run for a long time.

use std::collections::BTreeMap;
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An acknowledged record is not there, or one that was seen is gone although nothing allows it.
    Lost,
    /// A record stands at two offsets.
    Duplicated,
    /// The records of one writer, or the offsets of an answer, are not in order.
    Reordered,
    /// Offsets of a log that is never compacted are missing.
    Gap,
    /// An offset that held one record holds another.
    OffsetReused,
    /// A record that nobody wrote there.
    Phantom,
    /// A record with the right number and other bytes, or bytes that are no records.
    Corrupt,
    /// The log start went back.
    LogStartWentBack,
    /// An older value of a key is the last one again, or a deleted key is back.
    Resurrected,
    /// A reader of committed records saw one that nobody had asked to commit.
    AbortedRead,
    /// A committed offset is older than the last acknowledged one, or one that nobody asked for.
    WrongCommit,
    /// Two members of a group own a partition in one generation.
    AssignedTwice,
    /// A topic, partition or config is not as it was acknowledged.
    WrongMetadata,
    /// The server answered with an error that nothing explains.
    Refused,
    /// Something that must come to an end did not.
    Stuck,
    /// The cleaner or retention did not do its work.
    NotCleaned,
    /// Files that should have gone long ago.
    LeftoverFiles,
    /// Memory or file handles beyond their bounds.
    Leak,
    /// The server panicked, ended by itself, or did not stop cleanly.
    Crashed,
}

impl Kind {
    pub const ALL: [Self; 19] = [
        Self::Lost,
        Self::Duplicated,
        Self::Reordered,
        Self::Gap,
        Self::OffsetReused,
        Self::Phantom,
        Self::Corrupt,
        Self::LogStartWentBack,
        Self::Resurrected,
        Self::AbortedRead,
        Self::WrongCommit,
        Self::AssignedTwice,
        Self::WrongMetadata,
        Self::Refused,
        Self::Stuck,
        Self::NotCleaned,
        Self::LeftoverFiles,
        Self::Leak,
        Self::Crashed,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Duplicated => "duplicated",
            Self::Reordered => "reordered",
            Self::Gap => "gap",
            Self::OffsetReused => "offset reused",
            Self::Phantom => "phantom",
            Self::Corrupt => "corrupt",
            Self::LogStartWentBack => "log start went back",
            Self::Resurrected => "resurrected",
            Self::AbortedRead => "aborted read",
            Self::WrongCommit => "wrong commit",
            Self::AssignedTwice => "assigned twice",
            Self::WrongMetadata => "wrong metadata",
            Self::Refused => "refused",
            Self::Stuck => "stuck",
            Self::NotCleaned => "not cleaned",
            Self::LeftoverFiles => "leftover files",
            Self::Leak => "leak",
            Self::Crashed => "crashed",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anomaly {
    pub kind: Kind,
    pub story: String,
}

impl Anomaly {
    pub fn new(kind: Kind, story: impl fmt::Display) -> Self {
        Self {
            kind,
            story: story.to_string(),
        }
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.story)
    }
}

/// How many stories of one kind are kept; the rest is counted.
const STORIES_PER_KIND_MAX: usize = 20;

/// All anomalies of a run, counted, with the first stories of each kind.
#[derive(Debug, Default)]
pub struct Anomalies {
    counts: BTreeMap<Kind, usize>,
    stories: Vec<Anomaly>,
}

impl Anomalies {
    /// True when the story is one of the first of its kind and is kept.
    pub fn add(&mut self, anomaly: Anomaly) -> bool {
        let count = self.counts.entry(anomaly.kind).or_default();
        *count += 1;
        let is_kept = *count <= STORIES_PER_KIND_MAX;
        if is_kept {
            self.stories.push(anomaly);
        }
        is_kept
    }

    pub fn count(&self) -> usize {
        self.counts.values().sum()
    }

    /// How many there are of every kind, zeros included.
    pub fn by_kind(&self) -> impl Iterator<Item = (Kind, usize)> + '_ {
        Kind::ALL
            .iter()
            .map(|kind| (*kind, self.counts.get(kind).copied().unwrap_or(0)))
    }

    pub fn stories(&self) -> &[Anomaly] {
        &self.stories
    }
}
