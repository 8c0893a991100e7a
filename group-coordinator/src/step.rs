//! What a call of the shard produces.

use bytes::Bytes;

use crate::ids::Ticket;
use crate::reply::Reply;

/// A record for `__consumer_offsets`, in Kafka's own encoding. `value: None` is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub key: Bytes,
    pub value: Option<Bytes>,
}

/// The outcome of one call: what must be written, and who may be answered once it is.
///
/// Replies leave only when the records of this step and of all earlier steps are durable, refusals included: a
/// refusal may rest on state that is not yet durable. A step without records waits for the earlier ones alone.
/// Every ticket handed to [`crate::Shard::handle`] appears in exactly one reply of exactly one step, this one or a later one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    pub records: Vec<Record>,
    pub replies: Vec<(Ticket, Reply)>,
}

impl Step {
    /// Whether there is nothing to write and no one to answer.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.replies.is_empty()
    }
}

/// What became of a replayed record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    /// The shard now holds what the record says.
    Applied,
    /// The record is of a type that the shard does not keep (groups of the newer protocols). Worth one line in
    /// the log per load; the record itself stays in the partition.
    Skipped { record_type: i16 },
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionOutcome {
    Committed,
    Aborted,
}
