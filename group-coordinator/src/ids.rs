//! Small values that must not be mixed up with one another.

use std::fmt;

/// Milliseconds since 1970, as the driver's clock tells them. Both timers and the times written into records use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub i64);

impl Millis {
    /// This moment `delay_ms` later; stops at the end of time instead of overflowing.
    pub fn plus(self, delay_ms: i64) -> Self {
        Self(self.0.saturating_add(delay_ms))
    }
}

/// Names one call of [`crate::Shard::handle`], so that the reply can come out of a later step.
/// The driver gives every call a ticket of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// The id of the producer whose transaction a record belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerId(pub i64);

/// A topic's id. All zeroes means "not known", as in Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TopicId(pub [u8; 16]);

impl TopicId {
    /// The id of a topic whose id is not known.
    pub const ZERO: Self = Self([0; 16]);

    /// Whether the id is known.
    pub fn is_known(self) -> bool {
        self != Self::ZERO
    }

    /// Whether both ids are known and differ. An unknown id agrees with every other.
    pub fn contradicts(self, other: Self) -> bool {
        self.is_known() && other.is_known() && self != other
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
