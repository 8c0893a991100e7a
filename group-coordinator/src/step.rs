//! What a call of the shard produces.

use bytes::Bytes;

use crate::ids::{ProducerId, Ticket};
use crate::reply::Reply;

/// A record for `__consumer_offsets` or `__transaction_state`, in Kafka's own encoding. `value: None` is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub key: Bytes,
    pub value: Option<Bytes>,
}

impl Record {
    /// The bytes of a batch with this record alone.
    pub(crate) fn batch_bytes(&self) -> usize {
        batch_bytes(std::iter::once(self))
    }
}

/// The bytes of a batch without records.
pub(crate) const BATCH_HEADER_BYTES: usize = 61;

/// The bytes of a batch of these records, uncompressed and all at one time, as Kafka computes them before it appends.
pub(crate) fn batch_bytes<'a>(records: impl Iterator<Item = &'a Record>) -> usize {
    records
        .enumerate()
        .map(|(offset_delta, record)| record_bytes(offset_delta, record))
        .fold(BATCH_HEADER_BYTES, usize::saturating_add)
}

/// The bytes that a record adds to a batch, as its `offset_delta`th.
pub(crate) fn record_bytes(offset_delta: usize, record: &Record) -> usize {
    let value_bytes = record.value.as_ref().map_or(0, Bytes::len);
    // Attributes, time delta, number of headers, and the length -1 of a value that is null: a byte each.
    let body_bytes = 3
        + varint_bytes(offset_delta)
        + varint_bytes(record.key.len())
        + record.key.len()
        + record
            .value
            .as_ref()
            .map_or(1, |_| varint_bytes(value_bytes))
        + value_bytes;
    varint_bytes(body_bytes) + body_bytes
}

/// The bytes of a zigzag varint of a number that is not negative.
fn varint_bytes(number: usize) -> usize {
    let bits = usize::BITS - number.saturating_mul(2).leading_zeros();
    bits.div_ceil(7).max(1) as usize
}

/// The outcome of one call: what must be written, and who may be answered once it is.
///
/// Replies leave only when the records of this step and of all earlier steps are durable, refusals included: a
/// refusal may rest on state that is not yet durable. A step without records waits for the earlier ones alone.
/// The records of an answered commit, join or sync fit into one batch of `batch_bytes_max`; those of deletions and
/// of [`crate::Shard::tick`] may be more and may be spread over several batches.
/// Every ticket handed to [`crate::Shard::handle`] appears in exactly one reply of exactly one step, this one or a
/// later one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    pub records: Vec<Record>,
    /// The producer and its epoch if the records belong to a transaction: then they are a batch of their own, which
    /// is transactional. No step has records of both kinds.
    pub producer: Option<(ProducerId, i16)>,
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
