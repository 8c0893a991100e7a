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
    open: BTreeMap<Offset, Mark>,
    /// By first offset.
    decided: BTreeMap<Offset, DecidedTxn>,
}

#[derive(Debug)]
struct DecidedTxn {
    first: Mark,
    marker: Offset,
}

impl OpenTxns {
    pub(super) fn begin(&mut self, first: Mark) {
        self.open.insert(first.offset, first);
    }

    /// As [`OpenTxns::begin`], where nobody counts bytes.
    pub(super) fn begin_at(&mut self, offset: Offset) {
        self.begin(Mark { offset, bytes: 0 });
    }

    /// The transaction that began at `first` got its marker. One that is not open is left alone:
    /// a log that is damaged may say so.
    pub(super) fn end(&mut self, first: Offset, marker: Offset) {
        if let Some(first) = self.open.remove(&first) {
            self.decided
                .insert(first.offset, DecidedTxn { first, marker });
        }
    }

    /// Markers below `high_watermark` are committed: their transactions hold nobody back.
    pub(super) fn committed(&mut self, high_watermark: Offset) {
        self.decided.retain(|_, txn| txn.marker >= high_watermark);
    }

    /// Where the earliest transaction begins that a reader of committed ones must not pass.
    pub(super) fn first_unstable(&self) -> Option<Mark> {
        let open = self.open.values().next().copied();
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
