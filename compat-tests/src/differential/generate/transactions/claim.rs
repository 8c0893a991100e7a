//! What tells one request of a transactional producer from another: the protocol, who it claims to come from, and what
//! is wrong with it.

use super::super::draft::Draft;
use super::UNKNOWN_PRODUCER;
use crate::schema::Versions;

/// How a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Like [`Self::Explicit`], and never anything else: with transaction.version 0 a broker can't store what the new
    /// protocol asks for, and Apache Kafka then fails inside.
    Oldest,
    /// Partitions and groups are added before anything is written, and an epoch outlives its transactions
    /// (transaction.version 0 and 1).
    Explicit,
    /// What is written is added on the way, and every end gives a new epoch (transaction.version 2, KIP-890).
    Implicit,
}

impl Protocol {
    /// This protocol's versions of an API, of which the new protocol has some of its own.
    pub fn versions(self, first_of_new: i16) -> Versions {
        match self {
            Self::Oldest | Self::Explicit => Versions {
                first: 0,
                last: first_of_new - 1,
            },
            Self::Implicit => Versions {
                first: first_of_new,
                last: i16::MAX,
            },
        }
    }
}

/// The id and epoch that a request claims to come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    Own,
    Id(i64),
    /// The own epoch and so much more.
    Shifted(i16),
    Epoch(i16),
}

impl Claim {
    /// The own one nearly always.
    pub fn draw(draft: &mut Draft<'_>) -> Self {
        if draft.chance(0.92) {
            return Self::Own;
        }
        draft.pick(&[
            Self::Shifted(-1),
            Self::Shifted(-1),
            Self::Shifted(1),
            Self::Id(UNKNOWN_PRODUCER),
            Self::Id(-1),
            Self::Epoch(-1),
            Self::Epoch(i16::MAX - 1),
            Self::Epoch(i16::MAX),
        ])
    }
}

/// What an InitProducerId says about the producer's past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    Nothing,
    /// It goes on from this id and epoch (KIP-360).
    Claimed(Claim),
}

/// What is wrong with a transactional batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    None,
    Repeated,
    Skipping,
    NoSequence,
    NotTransactional,
    Control,
    /// The request has no transactional id.
    NoName,
}

impl Flaw {
    /// None nearly always.
    pub fn draw(draft: &mut Draft<'_>) -> Self {
        if draft.chance(0.87) {
            return Self::None;
        }
        draft.pick(&[
            Self::Repeated,
            Self::Repeated,
            Self::Skipping,
            Self::NoSequence,
            Self::NotTransactional,
            Self::NotTransactional,
            Self::Control,
            Self::NoName,
        ])
    }
}
