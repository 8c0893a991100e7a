//! Taking records out of batches, as compaction does. The cases are those of Kafka's
//! `MemoryRecordsTest.testFilterTo*`.

use bytes::Bytes;

use crate::batch::header::{CRC_AT, crc_of};
use crate::batch::{
    BATCH_HEADER_BYTES, Batch, BatchBuilder, BatchSettings, Codec, Compression, HeaderRef, Horizon,
    Kept, RawBatch, RecordRef,
};
use crate::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

const CAP: usize = 1 << 20;
const BASE_MS: i64 = 1_700_000_000_000;
const HORIZON: Horizon = Horizon {
    ms: BASE_MS + 5000,
    is_needed: false,
};

/// Five records with keys 0 to 4, the third of them a tombstone, of a producer.
fn five(compression: Compression) -> Batch {
    let mut builder = BatchBuilder::new(BatchSettings {
        base_offset: Offset(100),
        leader_epoch: LeaderEpoch(3),
        compression,
        producer_id: ProducerId(7),
        producer_epoch: ProducerEpoch(1),
        base_sequence: 20,
        is_transactional: true,
        ..BatchSettings::default()
    });
    let headers = [
        HeaderRef {
            key: b"\xff",
            value: None,
        },
        HeaderRef {
            key: b"\xff",
            value: Some(b"2"),
        },
    ];
    for index in 0..5_u8 {
        let value = (index != 2).then_some(b"value".as_slice());
        builder.push(BASE_MS + i64::from(index), Some(&[index]), value, &headers);
    }
    builder.build().expect("a small batch")
}

fn keys(kept: &[u8]) -> impl Fn(&RecordRef<'_>) -> bool {
    move |record| record.key.is_some_and(|key| kept.contains(&key[0]))
}

/// Offset, timestamp, key, value and headers of every record.
type Row = (
    i64,
    i64,
    Vec<u8>,
    Option<Vec<u8>>,
    Vec<(Vec<u8>, Option<Vec<u8>>)>,
);

fn rows(batch: &Batch) -> Vec<Row> {
    let header = batch.header();
    let section = batch.records(CAP).expect("it decompresses");
    section
        .iter()
        .map(|record| {
            let record = record.expect("it can be read");
            (
                header.record_offset(record.offset_delta).0,
                header.record_timestamp_ms(record.timestamp_delta),
                record.key.unwrap_or_default().to_vec(),
                record.value.map(<[u8]>::to_vec),
                record
                    .headers()
                    .map(|header| (header.key.to_vec(), header.value.map(<[u8]>::to_vec)))
                    .collect(),
            )
        })
        .collect()
}

fn some(kept: Kept) -> Batch {
    let Kept::Some(batch) = kept else {
        panic!("{kept:?}");
    };
    let mut bytes = batch.bytes().clone();
    let raw = RawBatch::split_from(&mut bytes).expect("one batch");
    raw.check().expect("a valid one")
}

#[test]
fn what_stays_is_as_it_was() {
    // Records, and everything in the header that says where the batch was and who wrote it.
    for codec in Codec::ALL {
        let batch = five(Compression::default_of(codec));
        let kept = batch.retain(CAP, HORIZON, keys(&[1, 3])).expect("readable");
        let rest = some(kept);
        let all = rows(&batch);
        assert_eq!(rows(&rest), [all[1].clone(), all[3].clone()]);
        let (before, after) = (*batch.header(), *rest.header());
        assert_eq!(after.base_offset, before.base_offset);
        assert_eq!(after.last_offset(), before.last_offset());
        assert_eq!(after.last_sequence(), before.last_sequence());
        assert_eq!(after.partition_leader_epoch, before.partition_leader_epoch);
        assert_eq!(after.producer_id, before.producer_id);
        assert_eq!(after.producer_epoch, before.producer_epoch);
        assert_eq!(after.attributes, before.attributes);
        assert_eq!(after.max_timestamp_ms, BASE_MS + 3);
        assert_eq!(after.record_count, 2);
    }
}

#[test]
fn a_batch_is_only_written_anew_when_something_changes() {
    // Nothing to take out and no tombstone to be dated; nothing that stays.
    let batch = five(Compression::None);
    let kept = batch.retain(CAP, HORIZON, |_| false).expect("readable");
    assert!(matches!(kept, Kept::Nothing));
    let first = some(batch.retain(CAP, HORIZON, keys(&[0, 1])).expect("readable"));
    let again = first.retain(CAP, HORIZON, |_| true).expect("readable");
    assert!(matches!(again, Kept::Whole));
}

#[test]
fn a_tombstone_is_dated_once() {
    // The horizon takes the place of the base timestamp; what the records say does not change, and
    // neither does the horizon when the batch is written once more.
    let batch = five(Compression::None);
    let dated = some(batch.retain(CAP, HORIZON, |_| true).expect("readable"));
    assert_eq!(dated.header().delete_horizon_ms(), Some(HORIZON.ms));
    assert_eq!(dated.header().base_timestamp_ms, HORIZON.ms);
    assert_eq!(rows(&dated), rows(&batch));
    let later = Horizon {
        ms: HORIZON.ms + 1000,
        is_needed: true,
    };
    let kept = dated.retain(CAP, later, |_| true).expect("readable");
    assert!(matches!(kept, Kept::Whole));
    let rest = some(dated.retain(CAP, later, keys(&[2, 4])).expect("readable"));
    assert_eq!(rest.header().delete_horizon_ms(), Some(HORIZON.ms));
    assert_eq!(
        rows(&rest),
        [rows(&batch)[2].clone(), rows(&batch)[4].clone()]
    );
    // A horizon that was set stays, even when the tombstone is gone.
    let rest = some(rest.retain(CAP, later, keys(&[4])).expect("readable"));
    assert_eq!(rest.header().delete_horizon_ms(), Some(HORIZON.ms));
    // A marker is dated because it is said to need it.
    let needed = Horizon {
        is_needed: true,
        ..HORIZON
    };
    let plain = some(batch.retain(CAP, HORIZON, keys(&[0])).expect("readable"));
    let dated = some(plain.retain(CAP, needed, |_| true).expect("readable"));
    assert_eq!(dated.header().delete_horizon_ms(), Some(HORIZON.ms));
}

#[test]
fn records_out_of_order_stay_together() {
    // Clients may send them uncompressed; no batch can be written with them.
    let batch = five(Compression::None);
    let mut bytes = batch.bytes().to_vec();
    // Length, attributes and timestamp delta of the first record take a byte each.
    let offset_delta_at = BATCH_HEADER_BYTES + 3;
    assert_eq!(bytes[offset_delta_at], 0);
    bytes[offset_delta_at] = 6;
    let crc = crc_of(&bytes);
    bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
    let mut bytes = Bytes::from(bytes);
    let raw = RawBatch::split_from(&mut bytes).expect("one batch");
    let batch = raw.check().expect("a valid one");
    assert_eq!(rows(&batch)[0].0, 103);
    let kept = batch.retain(CAP, HORIZON, keys(&[0, 1])).expect("readable");
    assert!(matches!(kept, Kept::Whole));
    let kept = batch.retain(CAP, HORIZON, |_| false).expect("readable");
    assert!(matches!(kept, Kept::Nothing));
}

#[test]
fn what_cannot_be_read_is_an_error() {
    // Compressed bytes that are none, and more than may be.
    let batch = five(Compression::default_of(Codec::Zstd));
    assert!(batch.retain(10, HORIZON, |_| true).is_err());
    let mut bytes = batch.bytes().to_vec();
    bytes[BATCH_HEADER_BYTES] ^= 0xff;
    let crc = crc_of(&bytes);
    bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
    let raw = RawBatch::split_from(&mut Bytes::from(bytes)).expect("one batch");
    let batch = raw.check().expect("its checksum is right");
    assert!(batch.retain(CAP, HORIZON, |_| true).is_err());
}
