//! What a control batch says about a transaction.

use crate::batch::{Batch, EndMarker, Records};

/// The end of a transaction on this partition, as its coordinator wrote it (KIP-98).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EndTxnMarker {
    pub(super) outcome: EndMarker,
    pub(super) coordinator_epoch: i32,
}

/// What the first record of a control batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    EndTxn(EndTxnMarker),
    /// A control record of another kind, as in the metadata log; or none at all, which compaction
    /// may leave behind.
    Other,
    /// The bytes are no record.
    Malformed,
}

impl Control {
    /// Reads the control record of `batch`, which is never compressed.
    pub(super) fn of(batch: &Batch) -> Control {
        let record_count = batch.header().record_count;
        if record_count == 0 {
            return Control::Other;
        }
        let Some(Ok(record)) = Records::new(batch.records_bytes(), record_count).next() else {
            return Control::Malformed;
        };
        match EndMarker::parse(&record) {
            Some((outcome, coordinator_epoch)) => Control::EndTxn(EndTxnMarker {
                outcome,
                coordinator_epoch,
            }),
            None => Control::Other,
        }
    }
}
