//! Which batches and records a cleaning keeps. Kafka's `Cleaner.cleanInto`.

use std::collections::HashMap;

use super::offset_map::OffsetMap;
use super::txns::CleanedTxns;
use super::{BATCH_BYTES_MAX, CleanError, Cleanable, Uncleanable};
use crate::batch::{Batch, BatchHeader, Horizon, Kept, RecordRef, emptied};
use crate::partition::Partition;
use crate::{Offset, ProducerEpoch, ProducerId};

pub(super) struct Retention<'a> {
    map: &'a OffsetMap,
    now_ms: i64,
    /// What is set on batches that have none yet.
    horizon_ms: i64,
    /// The last batch below it stays, empty if need be: it says where the log had come to.
    first_uncleanable: Offset,
    last_of: HashMap<ProducerId, LastBatch>,
}

/// What must stay of a producer, so that its state can be read from the log.
#[derive(Clone, Copy, Debug)]
enum LastBatch {
    /// The batch with this last offset: it tells the last sequence.
    Ends(Offset),
    /// There is none but markers: that with this epoch, for fencing.
    Marker(ProducerEpoch),
}

/// What becomes of the records of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// All go: their transaction was aborted, or the marker says nothing any more.
    Go,
    /// A control batch, which stays.
    Stay,
    /// Those stay that are the last of their key.
    ByKey,
}

impl<'a> Retention<'a> {
    pub(super) fn new(
        partition: &Partition,
        map: &'a OffsetMap,
        cleanable: &Cleanable,
        now_ms: i64,
    ) -> Retention<'a> {
        let state = partition.lock_any();
        let last_of = state
            .producers
            .iter()
            .map(|(producer_id, producer)| {
                let last = producer.batches.back().map(|batch| batch.last_offset);
                let last = last.map_or(LastBatch::Marker(producer.epoch), LastBatch::Ends);
                (producer_id, last)
            })
            .collect();
        let delete_retention_ms = state.options.compaction.delete_retention_ms;
        Retention {
            map,
            now_ms,
            horizon_ms: now_ms.saturating_add(delete_retention_ms),
            first_uncleanable: cleanable.first_uncleanable,
            last_of,
        }
    }

    /// What is written of `batch`, which follows the one before; `None` when nothing is.
    ///
    /// # Errors
    /// [`CleanError::Uncleanable`] when its records cannot be read.
    pub(super) fn kept(
        &self,
        batch: Batch,
        txns: &mut CleanedTxns,
    ) -> Result<Option<Batch>, CleanError> {
        let header = *batch.header();
        let is_spent_marker = header.attributes.is_control() && txns.is_marker_spent(&batch);
        let fate = if header.attributes.is_control() {
            let may_go = header
                .delete_horizon_ms()
                .is_some_and(|horizon_ms| horizon_ms <= self.now_ms);
            if is_spent_marker && may_go {
                Fate::Go
            } else {
                Fate::Stay
            }
        } else if txns.is_aborted(&header) {
            Fate::Go
        } else {
            Fate::ByKey
        };
        let kept = match fate {
            Fate::Go => Kept::Nothing,
            Fate::Stay | Fate::ByKey => {
                let horizon = Horizon {
                    ms: self.horizon_ms,
                    is_needed: is_spent_marker,
                };
                let keep = |record: &RecordRef<'_>| {
                    fate == Fate::Stay || self.is_record_kept(&header, record)
                };
                batch
                    .retain(BATCH_BYTES_MAX, horizon, keep)
                    .map_err(|error| Uncleanable::batch(header.base_offset, &error))?
            }
        };
        Ok(match kept {
            Kept::Whole => Some(batch),
            Kept::Some(rest) => Some(rest),
            Kept::Nothing if self.is_header_kept(&header) => Some(emptied(&header)),
            Kept::Nothing => None,
        })
    }

    /// A tombstone goes when its horizon has come, any other record only for a later one.
    fn is_record_kept(&self, header: &BatchHeader, record: &RecordRef<'_>) -> bool {
        let offset = header.record_offset(record.offset_delta);
        if offset > self.map.latest() {
            return true;
        }
        // What has no key should not be here; it stands for nothing.
        let Some(key) = record.key else {
            return false;
        };
        let is_last = self.map.get(key).is_none_or(|last| offset >= last);
        let is_due = header
            .delete_horizon_ms()
            .is_some_and(|horizon_ms| horizon_ms <= self.now_ms);
        is_last && (record.value.is_some() || !is_due)
    }

    fn is_header_kept(&self, header: &BatchHeader) -> bool {
        let is_last_of_producer = match self.last_of.get(&header.producer_id) {
            Some(LastBatch::Ends(offset)) => header.last_offset() == *offset,
            Some(LastBatch::Marker(epoch)) => {
                header.attributes.is_control() && header.producer_epoch == *epoch
            }
            None => false,
        };
        is_last_of_producer || header.end_offset() == self.first_uncleanable
    }
}
