//! Batches with keys, values and headers of one's choice, and logs read record by record.

use std::collections::HashSet;

use crate::batch::{
    Batch, BatchBuilder, BatchHeader, BatchSettings, Compression, EndMarker, HeaderRef,
    NO_SEQUENCE, TimestampType,
};
use crate::engine::FirstBatch;
use crate::partition::{Partition, ReadLimit};
use crate::testing::{NOW_MS, batches_of};
use crate::{Offset, ProducerEpoch, ProducerId};

/// One batch, all of whose records have the same headers.
#[derive(Clone, Copy)]
pub(crate) struct Write<'a> {
    pub(crate) producer: Option<(i64, i16, i32)>,
    pub(crate) is_transactional: bool,
    pub(crate) compression: Compression,
    pub(crate) timestamp_type: TimestampType,
    pub(crate) records: &'a [(&'a str, Option<&'a str>)],
    pub(crate) headers: &'a [(&'a [u8], Option<&'a [u8]>)],
}

impl<'a> Write<'a> {
    pub(crate) fn plain(records: &'a [(&'a str, Option<&'a str>)]) -> Write<'a> {
        Write {
            producer: None,
            is_transactional: false,
            compression: Compression::None,
            timestamp_type: TimestampType::CreateTime,
            records,
            headers: &[],
        }
    }

    pub(crate) fn idempotent(
        producer_id: i64,
        epoch: i16,
        sequence: i32,
        records: &'a [(&'a str, Option<&'a str>)],
    ) -> Write<'a> {
        Write {
            producer: Some((producer_id, epoch, sequence)),
            ..Write::plain(records)
        }
    }

    pub(crate) fn of_txn(
        producer_id: i64,
        epoch: i16,
        sequence: i32,
        records: &'a [(&'a str, Option<&'a str>)],
    ) -> Write<'a> {
        Write {
            is_transactional: true,
            ..Write::idempotent(producer_id, epoch, sequence, records)
        }
    }

    pub(crate) fn batch(&self) -> Batch {
        let (producer_id, producer_epoch, base_sequence) =
            self.producer.unwrap_or((-1, -1, NO_SEQUENCE));
        let mut builder = BatchBuilder::new(BatchSettings {
            compression: self.compression,
            log_append_time_ms: match self.timestamp_type {
                TimestampType::CreateTime => None,
                TimestampType::LogAppendTime => Some(NOW_MS),
            },
            producer_id: ProducerId(producer_id),
            producer_epoch: ProducerEpoch(producer_epoch),
            base_sequence,
            is_transactional: self.is_transactional,
            ..BatchSettings::default()
        });
        let headers: Vec<HeaderRef<'_>> = self
            .headers
            .iter()
            .map(|(key, value)| HeaderRef { key, value: *value })
            .collect();
        for (key, value) in self.records {
            let value = value.map(str::as_bytes);
            builder.push(NOW_MS, Some(key.as_bytes()), value, &headers);
        }
        builder.build().expect("a small batch")
    }
}

/// A record as a reader gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) offset: Offset,
    pub(crate) timestamp_ms: i64,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Seen {
    pub(crate) fn into_text(self) -> (i64, String, Option<String>) {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (self.offset.0, text(self.key), self.value.map(text))
    }
}

/// The data records from `from` on, as a reader gets them that does not ask about transactions.
pub(crate) fn read(log: &Partition, from: Offset, limit: ReadLimit) -> Vec<Seen> {
    let mut seen = Vec::new();
    for batch in batches(log, from, limit) {
        if !batch.header().attributes.is_control() {
            records_of(&batch, from, &mut seen);
        }
    }
    seen
}

/// The records of committed transactions and of none, as a consumer finds them: by the list of
/// aborted transactions and by the markers.
pub(crate) fn read_committed(log: &Partition, from: Offset) -> Vec<Seen> {
    let batches = batches(log, from, ReadLimit::LastStable);
    let end = batches
        .last()
        .map_or(from, |batch| batch.header().end_offset());
    let mut aborted = log.aborted_txns(from, end);
    aborted.sort_by_key(|txn| txn.first_offset);
    let mut aborted = aborted.into_iter().peekable();
    let mut void = HashSet::new();
    let mut seen = Vec::new();
    for batch in batches {
        let header = *batch.header();
        while let Some(txn) = aborted.next_if(|txn| txn.first_offset <= header.last_offset()) {
            void.insert(txn.producer_id);
        }
        if header.attributes.is_control() {
            if is_abort(&batch) {
                void.remove(&header.producer_id);
            }
        } else if !header.attributes.is_transactional() || !void.contains(&header.producer_id) {
            records_of(&batch, from, &mut seen);
        }
    }
    seen
}

pub(crate) fn headers(log: &Partition) -> Vec<BatchHeader> {
    batches(log, log.log_start(), ReadLimit::LogEnd)
        .iter()
        .map(|batch| *batch.header())
        .collect()
}

/// Where the markers are that still say something.
pub(crate) fn control_offsets(log: &Partition) -> Vec<i64> {
    headers(log)
        .iter()
        .filter(|header| header.attributes.is_control() && header.record_count > 0)
        .map(|header| header.base_offset.0)
        .collect()
}

fn batches(log: &Partition, from: Offset, limit: ReadLimit) -> Vec<Batch> {
    let read = log
        .read(from, usize::MAX >> 1, FirstBatch::Always, limit)
        .expect("it can be read");
    batches_of(&read.slices)
}

fn is_abort(batch: &Batch) -> bool {
    let section = batch.records(1 << 20).expect("markers are not compressed");
    let marker = section.iter().next().and_then(|record| {
        let record = record.expect("it can be read");
        EndMarker::parse(&record)
    });
    marker.is_some_and(|(marker, _)| marker == EndMarker::Abort)
}

pub(crate) fn records_of(batch: &Batch, from: Offset, seen: &mut Vec<Seen>) {
    let header = batch.header();
    let section = batch.records(1 << 20).expect("it decompresses");
    for record in section.iter() {
        let record = record.expect("it can be read");
        let offset = header.record_offset(record.offset_delta);
        if offset < from {
            continue;
        }
        seen.push(Seen {
            offset,
            timestamp_ms: header.record_timestamp_ms(record.timestamp_delta),
            key: record.key.unwrap_or_default().to_vec(),
            value: record.value.map(<[u8]>::to_vec),
            headers: record
                .headers()
                .map(|header| (header.key.to_vec(), header.value.map(<[u8]>::to_vec)))
                .collect(),
        });
    }
}
