//! From batches to an image.

use klamm_log_store::batch::{Batch, Codec, Records};

use crate::cluster::apply::apply;
use crate::cluster::record::{MetadataRecord, decode};
use crate::cluster::view::ClusterImage;

/// Folds batches into an image, in the order of their offsets.
#[derive(Debug)]
pub(super) struct Replay<'a> {
    image: &'a mut ClusterImage,
    /// The image as it was before the transaction that is open now.
    before_transaction: Option<Box<ClusterImage>>,
    epoch_last: i32,
}

/// What the end of a log says about its writer.
#[derive(Debug)]
pub(super) struct Replayed {
    /// The epoch of the last batch; 0 when there is none.
    pub(super) epoch_last: i32,
    /// Whether the log ends inside a transaction. The image is the one before it.
    pub(super) is_inside_transaction: bool,
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
            epoch_last: 0,
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
        self.records(batch)?;
        self.image.offset = header.last_offset().0;
        Ok(())
    }

    /// Reads one batch of a snapshot, whose offsets count from 0 and mean nothing.
    pub(super) fn snapshot_batch(&mut self, batch: &Batch) -> Result<(), BadRecord> {
        self.records(batch)
    }

    /// Ends a snapshot: the image now holds the log up to `offset_end` (exclusive), written at `epoch`.
    pub(super) fn end_snapshot(&mut self, offset_end: i64, epoch: i32) {
        self.image.offset = offset_end - 1;
        self.epoch_last = epoch;
    }

    pub(super) fn finish(self) -> Replayed {
        let is_inside_transaction = self.before_transaction.is_some();
        if let Some(before) = self.before_transaction {
            let offset = self.image.offset;
            *self.image = ClusterImage { offset, ..*before };
        }
        Replayed {
            epoch_last: self.epoch_last,
            is_inside_transaction,
        }
    }

    fn records(&mut self, batch: &Batch) -> Result<(), BadRecord> {
        let header = batch.header();
        // Control batches tell of elections, voters and snapshots, not of the cluster's metadata.
        if header.attributes.is_control() {
            return Ok(());
        }
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
            let record = decode(value).map_err(|error| bad(offset, error.to_string()))?;
            self.record(record).map_err(|reason| bad(offset, reason))?;
        }
        Ok(())
    }

    fn record(&mut self, record: MetadataRecord) -> Result<(), String> {
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
