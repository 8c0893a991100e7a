//! One call of the shard.

use crate::ids::Millis;
use crate::step::{BATCH_HEADER_BYTES, Record, record_bytes};
use crate::txn::{TxnError, TxnStep};

/// The time of a call, and the step that it makes.
#[derive(Debug)]
pub struct Turn {
    pub now: Millis,
    pub step: TxnStep,
    /// The bytes of a batch of the step's records.
    batch_bytes: usize,
}

impl Turn {
    pub fn new(now: Millis) -> Self {
        Self {
            now,
            step: TxnStep::default(),
            batch_bytes: BATCH_HEADER_BYTES,
        }
    }

    /// Emits records, all or none. The caller applies them to the state in the same breath.
    ///
    /// # Errors
    /// The batch would be larger than `bytes_max`.
    pub fn write(&mut self, records: Vec<Record>, bytes_max: usize) -> Result<(), TxnError> {
        let first_delta = self.step.records.len();
        let added_bytes = records
            .iter()
            .enumerate()
            .map(|(index, record)| record_bytes(first_delta + index, record));
        let batch_bytes = added_bytes.fold(self.batch_bytes, usize::saturating_add);
        if batch_bytes > bytes_max {
            return Err(TxnError::RecordTooLarge);
        }
        self.batch_bytes = batch_bytes;
        self.step.records.extend(records);
        Ok(())
    }
}
