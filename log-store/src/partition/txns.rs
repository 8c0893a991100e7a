//! Which transactions keep the last stable offset back.
//!
//! Kafka's `ProducerStateManager` does the same with `ongoingTxns` and `unreplicatedTxns`.

use std::collections::BTreeMap;

use super::ends::Mark;
use crate::{Offset, ProducerId};

/// A transaction whose records are void, as readers of committed records must be told, and as it
/// stands in a `.txnindex` file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTxn {
    pub producer_id: ProducerId,
    /// Of its first record.
    pub first_offset: Offset,
    /// Of its marker.
    pub last_offset: Offset,
    /// Where the last stable offset was going to be once the marker is committed.
    pub last_stable_offset: Offset,
}

/// Transactions that are open, and those that are decided by a marker which is not committed yet.
#[derive(Debug, Default)]
pub(super) struct OpenTxns {
    /// By first offset.
    open: BTreeMap<Offset, OpenTxn>,
    /// By first offset.
    decided: BTreeMap<Offset, DecidedTxn>,
}

#[derive(Debug)]
struct OpenTxn {
    producer_id: ProducerId,
    first: Mark,
}

#[derive(Debug)]
struct DecidedTxn {
    first: Mark,
    marker: Offset,
}

impl OpenTxns {
    pub(super) fn begin(&mut self, producer_id: ProducerId, first: Mark) {
        let before = self
            .open
            .insert(first.offset, OpenTxn { producer_id, first });
        assert!(
            before.is_none_or(|open| open.producer_id == producer_id),
            "two producers began a transaction at one offset"
        );
    }

    /// As [`OpenTxns::begin`], where nobody counts bytes.
    pub(super) fn begin_at(&mut self, producer_id: ProducerId, offset: Offset) {
        self.begin(producer_id, Mark { offset, bytes: 0 });
    }

    /// The transaction that began at `first` got its marker.
    pub(super) fn end(&mut self, first: Offset, marker: Offset) {
        let open = self.open.remove(&first);
        let open = open.expect("only a transaction that began can end: the producer state says so");
        self.decided.insert(
            first,
            DecidedTxn {
                first: open.first,
                marker,
            },
        );
    }

    /// Markers below `high_watermark` are committed: their transactions hold nobody back.
    pub(super) fn committed(&mut self, high_watermark: Offset) {
        self.decided.retain(|_, txn| txn.marker >= high_watermark);
    }

    /// Where the earliest transaction begins that a reader of committed ones must not pass.
    pub(super) fn first_unstable(&self) -> Option<Mark> {
        let open = self.open.values().next().map(|txn| txn.first);
        let decided = self.decided.values().next().map(|txn| txn.first);
        open.into_iter()
            .chain(decided)
            .min_by_key(|mark| mark.offset)
    }

    /// Where the earliest transaction begins that has no marker.
    pub(super) fn first_open(&self) -> Option<Offset> {
        self.open.keys().next().copied()
    }
}
