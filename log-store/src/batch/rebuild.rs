//! Writing a client's batch anew, because the topic wants another codec.

use std::borrow::Cow;

use super::Batch;
use super::attributes::{Codec, TimestampType};
use super::build::{BatchBuilder, BatchSettings, BuildError};
use super::compression::{self, Compression, DecompressError};
use super::error::BatchError;
use super::header::{BatchHeader, NO_TIMESTAMP_MS};
use super::inspect::Inspection;
use super::records::{Records, RecordsError};
use super::rules::Rules;
use super::skim::RecordOutline;
use super::validate::{check_size, records_error, unreadable};
use crate::ids::{ProducerEpoch, ProducerId};

/// Checks the records of `batch`, compressed with `codec`, and returns them in a new one. Offset
/// deltas become 0, 1, 2 and so on. Keys, values and headers keep their bytes.
pub fn rebuild(
    batch: &Batch,
    codec: Codec,
    compression: Compression,
    rules: &Rules,
) -> Result<Batch, BatchError> {
    let header = batch.header();
    let section = decompress_and_inspect(batch, codec, rules)?;
    check_producer(header)?;
    let mut builder = BatchBuilder::new(BatchSettings {
        compression,
        log_append_time_ms: match rules.timestamp_type {
            TimestampType::CreateTime => None,
            TimestampType::LogAppendTime => Some(rules.now_ms),
        },
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
        is_transactional: header.attributes.is_transactional(),
        ..BatchSettings::default()
    });
    for record in Records::new(&section, header.record_count) {
        let record = record.map_err(|error| records_error(error, codec, rules))?;
        let timestamp_ms = header.record_timestamp_ms(record.timestamp_delta);
        if timestamp_ms < 0 && timestamp_ms != NO_TIMESTAMP_MS {
            return Err(unreadable(format!("timestamp {timestamp_ms} is negative")));
        }
        let offset_delta = builder.record_count();
        builder
            .push_record(offset_delta, timestamp_ms, &record)
            .map_err(unbuildable)?;
    }
    let batch = builder.build().map_err(unbuildable)?;
    check_size(batch.bytes().len(), rules)?;
    Ok(batch)
}

/// The plain records section, whose records have all been looked at.
fn decompress_and_inspect<'a>(
    batch: &'a Batch,
    codec: Codec,
    rules: &Rules,
) -> Result<Cow<'a, [u8]>, BatchError> {
    let header = batch.header();
    let (section, end) = match codec {
        Codec::None => (Cow::Borrowed(batch.records_bytes()), Ok(())),
        Codec::Gzip | Codec::Snappy | Codec::Lz4 | Codec::Zstd => {
            let mut plain = Vec::new();
            let bytes_max = rules.decompressed_bytes_max;
            let end = compression::decompress(codec, batch.records_bytes(), bytes_max, &mut plain);
            (Cow::Owned(plain), end)
        }
    };
    let answer = |error| records_error(error, codec, rules);
    if end == Err(DecompressError::TooLarge) {
        return Err(answer(DecompressError::TooLarge.into()));
    }
    let mut inspection = Inspection::new(rules, *header);
    for record in Records::new(&section, header.record_count) {
        match (record, &end) {
            (Ok(record), _) => inspection.record(&RecordOutline::of(&record)),
            // The section ends where it stops to decompress. Kafka, which reads as it
            // decompresses, sees the latter.
            (Err(RecordsError::Truncated), Err(error)) => return Err(answer(error.clone().into())),
            (Err(error), _) => return Err(answer(error)),
        }
    }
    end.map_err(|error| answer(error.into()))?;
    inspection.finish()?;
    Ok(section)
}

fn unbuildable(error: BuildError) -> BatchError {
    unreadable(error.to_string())
}

/// Kafka refuses to write what it would take as it is (`MemoryRecordsBuilder.validateProducerState`).
fn check_producer(header: &BatchHeader) -> Result<(), BatchError> {
    let is_transactional = header.attributes.is_transactional();
    let has_producer = header.producer_id != ProducerId::NONE;
    if is_transactional && !has_producer {
        return Err(unreadable("transactional records without a producer"));
    }
    if has_producer && header.producer_epoch == ProducerEpoch::NONE {
        return Err(unreadable("a producer without an epoch"));
    }
    if has_producer && header.base_sequence < 0 {
        return Err(unreadable("a producer without a sequence"));
    }
    Ok(())
}
