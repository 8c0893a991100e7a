//! Finding a record of a batch by its timestamp, compressed or not.

use super::records::RecordsError;
use super::skim::Skim;
use super::{Batch, NO_DECOMPRESSION_CAP, RecordOutline};
use crate::ids::Offset;

/// A record that a lookup has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampedOffset {
    pub offset: Offset,
    pub timestamp_ms: i64,
}

impl Batch {
    /// The first record at `from` or later whose timestamp is `timestamp_ms` or later (Kafka's
    /// `FileRecords.searchForTimestamp`).
    ///
    /// # Errors
    /// When the records cannot be read up to there.
    pub fn first_record_at_or_after(
        &self,
        timestamp_ms: i64,
        from: Offset,
    ) -> Result<Option<TimestampedOffset>, RecordsError> {
        if self.header().max_timestamp_ms < timestamp_ms {
            return Ok(None);
        }
        self.find(|record| record.timestamp_ms >= timestamp_ms && record.offset >= from)
    }

    /// The first record that has the max timestamp of the batch (Kafka's
    /// `RecordBatch.offsetOfMaxTimestamp`); none when the header's max timestamp is that of no
    /// record.
    ///
    /// # Errors
    /// When the records cannot be read up to there.
    pub fn record_of_max_timestamp(&self) -> Result<Option<TimestampedOffset>, RecordsError> {
        let max_timestamp_ms = self.header().max_timestamp_ms;
        self.find(|record| record.timestamp_ms == max_timestamp_ms)
    }

    /// The outlines of the records: without keys and values, and without decompressing all of
    /// them at once.
    ///
    /// # Errors
    /// When the attributes name no codec. The iterator ends with the first record that cannot be
    /// read.
    pub fn outlines(
        &self,
    ) -> Result<impl Iterator<Item = Result<RecordOutline, RecordsError>>, RecordsError> {
        let codec = self.codec()?;
        let section = self.records_bytes();
        Ok(Skim::new(
            self.header(),
            codec,
            section,
            NO_DECOMPRESSION_CAP,
        ))
    }

    fn find(
        &self,
        is_wanted: impl Fn(&TimestampedOffset) -> bool,
    ) -> Result<Option<TimestampedOffset>, RecordsError> {
        for outline in self.outlines()? {
            let outline = outline?;
            let record = TimestampedOffset {
                offset: self.header().record_offset(outline.offset_delta),
                timestamp_ms: self.header().record_timestamp_ms(outline.timestamp_delta),
            };
            if is_wanted(&record) {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }
}
