//! What must hold for any bytes at all that are given to `validate`.
//!
//! Shared by the libFuzzer target and by the bounded run among the ordinary tests.

use bytes::Bytes;
use klamm_log_store::batch::{
    Attributes, BATCH_HEADER_BYTES, Batch, BatchHeader, Codec, Compression, CompressionTarget,
    Origin, RawBatch, Rules, TimestampType, validate,
};
use klamm_log_store::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

const NOW_MS: i64 = 1_700_000_000_000;
const DECOMPRESSED_BYTES_MAX: usize = 1 << 20;
/// Bytes of an input that choose how the rest is used.
const CHOICE_BYTES: usize = 3;

/// Validates what `input` stands for, and looks closely at it when it is accepted. Returns whether
/// it is.
pub fn check(input: &[u8]) -> bool {
    let Some((choices, rest)) = input.split_first_chunk::<CHOICE_BYTES>() else {
        return false;
    };
    let [shape, topic, count] = *choices;
    let rules = rules(topic);
    let records = match shape % 4 {
        0 => rest.to_vec(),
        1 => sealed(rest.to_vec()),
        2 => behind_header(shape, count, rest),
        _ => behind_header(shape, count, &compress(shape, rest)),
    };
    let Ok(batch) = validate(Bytes::from(records), &rules) else {
        return false;
    };
    check_accepted(&batch, &rules);
    true
}

fn rules(topic: u8) -> Rules {
    Rules {
        max_batch_bytes: 1 << 20,
        segment_bytes_max: 1 << 20,
        decompressed_bytes_max: DECOMPRESSED_BYTES_MAX,
        timestamp_type: if topic & 1 == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        },
        timestamp_before_max_ms: if topic & 2 == 0 { i64::MAX } else { 1000 },
        timestamp_after_max_ms: 3_600_000,
        requires_keys: topic & 4 != 0,
        allows_zstd: topic & 8 == 0,
        origin: if topic & 16 == 0 {
            Origin::Client
        } else {
            Origin::Coordinator
        },
        compression: match topic >> 5 {
            0..=2 => CompressionTarget::Producer,
            3 => CompressionTarget::Uncompressed,
            4 => CompressionTarget::Gzip(1),
            5 => CompressionTarget::Snappy,
            6 => CompressionTarget::Lz4(1),
            _ => CompressionTarget::Zstd(1),
        },
        now_ms: NOW_MS,
    }
}

/// `records` with a base offset, a length and a checksum that let it in.
fn sealed(mut records: Vec<u8>) -> Vec<u8> {
    if records.len() >= BATCH_HEADER_BYTES {
        let length = records.len() as i32 - 12;
        records[..8].fill(0);
        records[8..12].copy_from_slice(&length.to_be_bytes());
        let crc = crc32c::crc32c(&records[21..]);
        records[17..21].copy_from_slice(&crc.to_be_bytes());
    }
    records
}

/// A batch with `section` behind a header that makes sense.
fn behind_header(shape: u8, count: u8, section: &[u8]) -> Vec<u8> {
    let record_count = i32::from(count % 16) + 1;
    let header = BatchHeader {
        base_offset: Offset(0),
        batch_length: 0,
        partition_leader_epoch: LeaderEpoch::NONE,
        crc: 0,
        attributes: Attributes::new(codec(shape), TimestampType::CreateTime),
        last_offset_delta: record_count - 1,
        base_timestamp_ms: NOW_MS,
        max_timestamp_ms: NOW_MS,
        producer_id: ProducerId::NONE,
        producer_epoch: ProducerEpoch::NONE,
        base_sequence: -1,
        record_count,
    };
    sealed([&header.to_bytes(), section].concat())
}

fn compress(shape: u8, section: &[u8]) -> Vec<u8> {
    Compression::default_of(codec(shape)).compress(section.to_vec())
}

fn codec(shape: u8) -> Codec {
    Codec::ALL[usize::from(shape / 4) % Codec::ALL.len()]
}

fn check_accepted(batch: &Batch, rules: &Rules) {
    let header = *batch.header();
    let mut bytes = batch.bytes().clone();
    let stored = RawBatch::split_from(&mut bytes).and_then(RawBatch::check);
    assert_eq!(stored.map(|stored| *stored.header()), Ok(header));
    assert!(bytes.is_empty());
    assert!(batch.bytes().len() <= rules.max_batch_bytes as usize);

    // Whoever looks for a record later can walk over all of them.
    let outlines: Result<Vec<_>, _> = batch.outlines().expect("the codec is known").collect();
    let records_total = outlines.expect("the records have been walked over").len();
    assert_eq!(records_total as i32, header.record_count.max(0));
    let found = batch.first_record_at_or_after(NOW_MS, Offset(0));
    assert!(found.is_ok());
    assert!(batch.record_of_max_timestamp().is_ok());

    // Reading whole records may fail: Kafka does not hold the lengths in a compressed batch
    // against the fields. It must end, though.
    if let Ok(section) = batch.records(DECOMPRESSED_BYTES_MAX) {
        let records = section.iter().count();
        assert!(records <= records_total);
    }

    // What has been stored could be sent again. Only a time that the log has set could not: a
    // client may not claim it.
    if rules.timestamp_type == TimestampType::CreateTime {
        let rules = Rules {
            allows_zstd: true,
            ..*rules
        };
        let again = validate(batch.bytes().clone(), &rules);
        assert_eq!(again.map(Batch::into_bytes), Ok(batch.bytes().clone()));
    }
}
