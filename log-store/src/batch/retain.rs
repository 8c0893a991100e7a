//! Taking records out of a stored batch. Kafka's `MemoryRecords.filterTo`.
//!
//! What stays keeps its offset, its timestamp, its headers byte for byte, and its codec. The batch
//! keeps its base offset, the offset and the sequence that it ended with, and its producer.

use super::compression::Compression;
use super::{
    Batch, BatchBuilder, BatchSettings, RecordRef, RecordSection, RecordsError, TimestampType,
};

/// What is left of a batch.
#[derive(Clone, Debug)]
pub enum Kept {
    /// The batch as it is.
    Whole,
    Some(Batch),
    Nothing,
}

/// From when on the tombstones of a batch, or the marker in it, may be dropped (KIP-534).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// What is set when the batch has none yet and needs one.
    pub ms: i64,
    /// A batch with tombstones needs one; this says that this one does in any case.
    pub is_needed: bool,
}

impl Batch {
    /// The records that `keep` wants, and how many there were. A batch that must be written anew
    /// and cannot be, because the offsets of its records are out of order, stays whole.
    ///
    /// # Errors
    /// When the records cannot be read, or take more than `bytes_max` bytes.
    pub fn retain(
        &self,
        bytes_max: usize,
        horizon: Horizon,
        mut keep: impl FnMut(&RecordRef<'_>) -> bool,
    ) -> Result<Kept, RecordsError> {
        let section = self.records(bytes_max)?;
        let mut kept = Vec::new();
        let mut has_tombstone = false;
        for record in section.iter() {
            let record = record?;
            let is_kept = keep(&record);
            has_tombstone |= is_kept && record.value.is_none();
            kept.push(is_kept);
        }
        if !kept.contains(&true) {
            return Ok(Kept::Nothing);
        }
        let needs_horizon = has_tombstone || horizon.is_needed;
        let old_horizon = self.header.delete_horizon_ms();
        if !kept.contains(&false) && (!needs_horizon || old_horizon.is_some()) {
            return Ok(Kept::Whole);
        }
        let delete_horizon_ms = old_horizon.or(needs_horizon.then_some(horizon.ms));
        self.with_records(&section, &kept, delete_horizon_ms)
    }

    fn with_records(
        &self,
        section: &RecordSection,
        kept: &[bool],
        delete_horizon_ms: Option<i64>,
    ) -> Result<Kept, RecordsError> {
        let header = &self.header;
        let mut builder = BatchBuilder::new(BatchSettings {
            base_offset: header.base_offset,
            leader_epoch: header.partition_leader_epoch,
            compression: Compression::default_of(self.codec()?),
            log_append_time_ms: match header.attributes.timestamp_type() {
                TimestampType::CreateTime => None,
                TimestampType::LogAppendTime => Some(header.max_timestamp_ms),
            },
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            is_transactional: header.attributes.is_transactional(),
            is_control: header.attributes.is_control(),
            delete_horizon_ms,
        });
        for (record, is_kept) in section.iter().zip(kept) {
            let record = record?;
            let timestamp_ms = header.record_timestamp_ms(record.timestamp_delta);
            let is_pushed = !is_kept
                || builder
                    .push_record(record.offset_delta, timestamp_ms, &record)
                    .is_ok();
            if !is_pushed {
                return Ok(Kept::Whole);
            }
        }
        builder.extend_to(header.last_offset_delta);
        Ok(builder.build().map_or(Kept::Whole, Kept::Some))
    }
}
