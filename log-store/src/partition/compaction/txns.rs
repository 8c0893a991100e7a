//! Which transactions a cleaning passes through, and what may be dropped of them. Kafka's
//! `CleanedTransactionMetadata`.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::batch::{Batch, BatchHeader, EndMarker};
use crate::partition::AbortedTxn;
use crate::partition::marker::Control;
use crate::{Offset, ProducerId};

/// The transactions that are open at one place of the log, as it is read from its start.
#[derive(Debug)]
pub(super) struct CleanedTxns {
    /// Those that were not come to yet, by first offset.
    ahead: VecDeque<AbortedTxn>,
    aborted: HashMap<ProducerId, OpenAborted>,
    /// Producers of transactions that are going to be committed and of which there are batches.
    committed: HashSet<ProducerId>,
    /// Aborted transactions of which batches were seen, since they were taken last.
    kept: Vec<AbortedTxn>,
}

#[derive(Debug)]
struct OpenAborted {
    txn: AbortedTxn,
    has_batches: bool,
}

impl CleanedTxns {
    /// `aborted` are all aborted transactions that reach into what is going to be read.
    pub(super) fn new(mut aborted: Vec<AbortedTxn>) -> CleanedTxns {
        aborted.sort_by_key(|txn| txn.first_offset);
        CleanedTxns {
            ahead: aborted.into(),
            aborted: HashMap::new(),
            committed: HashSet::new(),
            kept: Vec::new(),
        }
    }

    /// Whether the batch, which is no control batch, belongs to an aborted transaction.
    pub(super) fn is_aborted(&mut self, header: &BatchHeader) -> bool {
        self.come_to(header.last_offset());
        if !header.attributes.is_transactional() {
            return false;
        }
        if let Some(open) = self.aborted.get_mut(&header.producer_id) {
            open.has_batches = true;
            return true;
        }
        self.committed.insert(header.producer_id);
        false
    }

    /// Whether there are no batches of the transaction any more that the control batch ends, so
    /// that it says nothing to anybody.
    pub(super) fn is_marker_spent(&mut self, batch: &Batch) -> bool {
        let header = batch.header();
        self.come_to(header.last_offset());
        if header.record_count == 0 {
            return true;
        }
        let Control::EndTxn(marker) = Control::of(batch) else {
            return false;
        };
        match marker.outcome {
            EndMarker::Commit => !self.committed.remove(&header.producer_id),
            EndMarker::Abort => match self.aborted.remove(&header.producer_id) {
                Some(open) if open.has_batches => {
                    self.kept.push(open.txn);
                    false
                }
                Some(_) | None => true,
            },
        }
    }

    /// The aborted transactions whose markers were passed since the last call and that readers must
    /// still be told of, by marker.
    pub(super) fn take_kept(&mut self) -> Vec<AbortedTxn> {
        std::mem::take(&mut self.kept)
    }

    fn come_to(&mut self, offset: Offset) {
        while let Some(next) = self.ahead.front()
            && next.first_offset <= offset
        {
            let open = OpenAborted {
                txn: *next,
                has_batches: false,
            };
            self.aborted.entry(next.producer_id).or_insert(open);
            self.ahead.pop_front();
        }
    }
}
