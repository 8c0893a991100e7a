//! From batches to an image.

use klamm_log_store::batch::{Batch, Codec, Records};

use super::directory::SnapshotId;
use crate::cluster::apply::apply;
use crate::cluster::record::{ControlRecord, MetadataRecord, Voters, decode};
use crate::cluster::view::ClusterImage;

/// Folds batches into an image, in the order of their offsets.
#[derive(Debug)]
pub(super) struct Replay<'a> {
    image: &'a mut ClusterImage,
    /// The image as it was before the transaction that is open now.
    before_transaction: Option<Box<ClusterImage>>,
    has_metadata: bool,
    epoch_last: i32,
    timestamp_last_ms: i64,
    bytes_since_snapshot: u64,
    quorum: Quorum,
}

/// What the log says about the quorum that writes it.
#[derive(Debug, Clone, Default)]
pub(super) struct Quorum {
    /// The level of `kraft.version`.
    pub(super) kraft_version: i16,
    pub(super) voters: Option<Voters>,
    /// Those who voted in the last election that the log tells of.
    pub(super) electorate: Option<Vec<i32>>,
    /// Whether the log or a snapshot of it says so, and not only the snapshot that the directory was formatted with.
    pub(super) is_in_log: bool,
}

/// What the end of a log says about its writer.
#[derive(Debug)]
pub(super) struct Replayed {
    /// Whether there is any metadata at all.
    pub(super) has_metadata: bool,
    /// The epoch of the last batch; 0 when there is none.
    pub(super) epoch_last: i32,
    /// The time of the last batch; 0 when there is none.
    pub(super) timestamp_last_ms: i64,
    /// Bytes of the log that no snapshot holds.
    pub(super) bytes_since_snapshot: u64,
    /// Whether the log ends inside a transaction. The image is the one before it.
    pub(super) is_inside_transaction: bool,
    pub(super) quorum: Quorum,
}

/// A record that cannot be part of the image.
#[derive(Debug)]
pub(super) struct BadRecord {
    pub(super) offset: i64,
    pub(super) reason: String,
}

impl<'a> Replay<'a> {
    pub(super) fn new(image: &'a mut ClusterImage) -> Self {
        Self {
            image,
            before_transaction: None,
            has_metadata: false,
            epoch_last: 0,
            timestamp_last_ms: 0,
            bytes_since_snapshot: 0,
            quorum: Quorum::default(),
        }
    }

    /// The offset of the record that comes next.
    pub(super) fn next_offset(&self) -> i64 {
        self.image.offset + 1
    }

    /// Reads one batch of the log. A batch that lies before the image, which a snapshot may have skipped, is left alone.
    pub(super) fn log_batch(&mut self, batch: &Batch) -> Result<(), BadRecord> {
        let header = batch.header();
        self.epoch_last = self.epoch_last.max(header.partition_leader_epoch.0);
        if header.last_offset().0 <= self.image.offset {
            return Ok(());
        }
        self.timestamp_last_ms = header.max_timestamp_ms;
        self.bytes_since_snapshot += header.total_bytes() as u64;
        self.records(batch, true)?;
        self.image.offset = header.last_offset().0;
        Ok(())
    }

    /// Reads one batch of a snapshot, whose offsets count from 0 and mean nothing.
    pub(super) fn snapshot_batch(
        &mut self,
        id: SnapshotId,
        batch: &Batch,
    ) -> Result<(), BadRecord> {
        self.records(batch, !id.is_bootstrap())
    }

    /// Ends a snapshot: the image now holds the log up to its end, whose last record was written at `timestamp_ms`.
    pub(super) fn end_snapshot(&mut self, id: SnapshotId, timestamp_ms: i64) {
        self.image.offset = id.offset_end - 1;
        self.epoch_last = id.epoch;
        self.timestamp_last_ms = timestamp_ms;
    }

    pub(super) fn finish(self) -> Replayed {
        let is_inside_transaction = self.before_transaction.is_some();
        if let Some(before) = self.before_transaction {
            let offset = self.image.offset;
            *self.image = ClusterImage { offset, ..*before };
        }
        Replayed {
            has_metadata: self.has_metadata,
            epoch_last: self.epoch_last,
            timestamp_last_ms: self.timestamp_last_ms,
            bytes_since_snapshot: self.bytes_since_snapshot,
            is_inside_transaction,
            quorum: self.quorum,
        }
    }

    fn records(&mut self, batch: &Batch, is_log: bool) -> Result<(), BadRecord> {
        for_each_record(batch, |key, value| {
            if batch.header().attributes.is_control() {
                let control = ControlRecord::decode(key.unwrap_or_default(), value);
                self.control(control.map_err(|error| error.to_string())?, is_log);
                Ok(())
            } else {
                self.record(decode(value).map_err(|error| error.to_string())?)
            }
        })
    }

    fn control(&mut self, record: ControlRecord, is_log: bool) {
        match record {
            ControlRecord::KraftVersion(level) => self.quorum.kraft_version = level,
            ControlRecord::Voters(voters) => {
                self.quorum.voters = Some(voters);
                self.quorum.is_in_log |= is_log;
            }
            ControlRecord::LeaderChange { voters, .. } => self.quorum.electorate = Some(voters),
            ControlRecord::SnapshotHeader { .. }
            | ControlRecord::SnapshotFooter
            | ControlRecord::Other => {}
        }
    }

    fn record(&mut self, record: MetadataRecord) -> Result<(), String> {
        self.has_metadata = true;
        match record {
            MetadataRecord::BeginTransaction { .. } if self.before_transaction.is_some() => {
                Err("transaction begins inside another one".to_owned())
            }
            MetadataRecord::BeginTransaction { .. } => {
                self.before_transaction = Some(Box::new(self.image.clone()));
                Ok(())
            }
            MetadataRecord::EndTransaction | MetadataRecord::AbortTransaction { .. } => {
                let before = self
                    .before_transaction
                    .take()
                    .ok_or("transaction ends that has not begun")?;
                if matches!(record, MetadataRecord::AbortTransaction { .. }) {
                    *self.image = *before;
                }
                Ok(())
            }
            record => apply(self.image, &record).map_err(|error| error.to_string()),
        }
    }
}

/// Hands the key and the value of every record of a batch to `take`.
pub(super) fn for_each_record(
    batch: &Batch,
    mut take: impl FnMut(Option<&[u8]>, &[u8]) -> Result<(), String>,
) -> Result<(), BadRecord> {
    let header = batch.header();
    let bad = |offset: i64, reason: String| BadRecord { offset, reason };
    if header.attributes.compression() != Ok(Codec::None) {
        return Err(bad(header.base_offset.0, "batch is compressed".to_owned()));
    }
    for (record, delta) in Records::new(batch.records_bytes(), header.record_count).zip(0..) {
        let offset = header.base_offset.0.saturating_add(delta);
        let record = record.map_err(|error| bad(offset, error.to_string()))?;
        let value = record
            .value
            .ok_or_else(|| bad(offset, "record has no value".to_owned()))?;
        take(record.key, value).map_err(|reason| bad(offset, reason))?;
    }
    Ok(())
}
