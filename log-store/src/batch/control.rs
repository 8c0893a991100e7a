//! The control batches that end a transaction in a partition (KIP-98).
//!
//! ```text
//! key:   version i16 | type i16 (0 abort, 1 commit, more in KRaft logs)
//! value: version i16 | coordinator epoch i32
//! ```

use super::build::{BatchBuilder, BatchSettings};
use super::records::RecordRef;
use super::{Batch, NO_SEQUENCE};
use crate::ids::{ProducerEpoch, ProducerId};

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndMarker {
    Abort,
    Commit,
}

impl EndMarker {
    const VERSION: [u8; 2] = [0, 0];

    /// A batch with this marker, ready to be stamped. `coordinator_epoch` fences the markers of
    /// earlier transaction coordinators.
    pub fn batch(
        self,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        coordinator_epoch: i32,
        now_ms: i64,
    ) -> Batch {
        self.build(producer_id, producer_epoch, coordinator_epoch, now_ms, None)
    }

    /// Like [`EndMarker::batch`], for a log that keeps log append time.
    pub fn batch_at_append_time(
        self,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        coordinator_epoch: i32,
        now_ms: i64,
    ) -> Batch {
        let log_append_time_ms = Some(now_ms);
        self.build(
            producer_id,
            producer_epoch,
            coordinator_epoch,
            now_ms,
            log_append_time_ms,
        )
    }

    fn build(
        self,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        coordinator_epoch: i32,
        now_ms: i64,
        log_append_time_ms: Option<i64>,
    ) -> Batch {
        let mut builder = BatchBuilder::new(BatchSettings {
            log_append_time_ms,
            producer_id,
            producer_epoch,
            base_sequence: NO_SEQUENCE,
            is_transactional: true,
            is_control: true,
            ..BatchSettings::default()
        });
        let key = [EndMarker::VERSION, self.type_id().to_be_bytes()].concat();
        let value = [
            &EndMarker::VERSION[..],
            &coordinator_epoch.to_be_bytes()[..],
        ]
        .concat();
        builder.push(now_ms, Some(&key), Some(&value), &[]);
        builder.build().expect("a marker is a few bytes long")
    }

    /// The marker in a control record and the epoch of the coordinator that wrote it; `None` for
    /// other control records, among them those of later versions of Kafka.
    pub fn parse(record: &RecordRef<'_>) -> Option<(EndMarker, i32)> {
        let key = record.key?.first_chunk::<4>()?;
        let value = record.value?.first_chunk::<6>()?;
        // The versions are not compared: a later one may only add fields at the end.
        let marker = match i16::from_be_bytes([key[2], key[3]]) {
            0 => EndMarker::Abort,
            1 => EndMarker::Commit,
            _ => return None,
        };
        let coordinator_epoch = i32::from_be_bytes([value[2], value[3], value[4], value[5]]);
        Some((marker, coordinator_epoch))
    }

    fn type_id(self) -> i16 {
        match self {
            EndMarker::Abort => 0,
            EndMarker::Commit => 1,
        }
    }
}
