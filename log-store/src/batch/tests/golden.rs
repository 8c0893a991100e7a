//! Batches that Kafka's own client library has written, byte for byte.
//!
//! Most hold the same three records, sent by producer 4711 in epoch 3 from sequence 42 on. They
//! were made with `MemoryRecordsBuilder` of kafka-clients 4.3.1.

use bytes::Bytes;

use super::support::{NOW_MS, Sample, build, read, rules};
use crate::batch::{
    Batch, BatchSettings, Codec, EndMarker, RawBatch, TimestampType, emptied, validate,
};
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

const PLAIN: &str = "\
    000000000000000000000067ffffffff0266d3a49c0000000000020000018bcfe568000000018bcfe568fa0000\
    00000000126700030000002a000000031c000000066b65790a76616c7565003400f403020100060a7472616365\
    02610a7472616365010004fffe1600c7010408676f6e650100";
const APPEND_TIME: &str = "\
    000000000000000000000067ffffffff029cf9b0f50008000000020000018bcfe568000000018bcfe58f0f0000\
    00000000126700030000002a000000031c000000066b65790a76616c7565003400f403020100060a7472616365\
    02610a7472616365010004fffe1600c7010408676f6e650100";
const GZIP: &str = "\
    000000000000000000000076ffffffff025bf4b0fc0001000000020000018bcfe568000000018bcfe568fa0000\
    00000000126700030000002a000000031f8b08000000000000ff9361606060cb4eade42a4bcc294d653061f8c2\
    ccc4c8c0c6555294989cca9408a1191958feff136338cec8c2919e9f07e402002e28e70936000000";
const SNAPPY: &str = "\
    00000000000000000000007affffffff027573a6060002000000020000018bcfe568000000018bcfe568fa0000\
    00000000126700030000002a0000000382534e415050590000000001000000010000003536781c000000066b65\
    790a76616c7565003400f403020100060a74726163650261090840010004fffe1600c7010408676f6e650100";
const LZ4: &str = "\
    000000000000000000000076ffffffff025f1c36870003000000020000018bcfe568000000018bcfe568fa0000\
    00000000126700030000002a0000000304224d18604082360000801c000000066b65790a76616c7565003400f4\
    03020100060a747261636502610a7472616365010004fffe1600c7010408676f6e65010000000000";
const ZSTD: &str = "\
    000000000000000000000073ffffffff0232330f230004000000020000018bcfe568000000018bcfe568fa0000\
    00000000126700030000002a0000000328b52ffd0058b001001c000000066b65790a76616c7565003400f40302\
    0100060a747261636502610a7472616365010004fffe1600c7010408676f6e650100010000";
const COMMIT: &str = "\
    000000000000000000000042ffffffff025c0115bb0030000000000000018bcfe568000000018bcfe568000000\
    0000000012670003ffffffff000000012000000008000000010c00000000000700";
const ABORT: &str = "\
    000000000000000000000042ffffffff02a83fc3f30030000000000000018bcfe568000000018bcfe568000000\
    0000000012670003ffffffff000000012000000008000000000c00000000000700";
const EMPTIED: &str = "\
    0000000000000064000000310000000502063bcf3d000000000002ffffffffffffffff0000018bcfe568fa0000\
    00000000126700030000002a00000000";

/// The moment that stands in [`APPEND_TIME`].
const APPENDED_MS: i64 = NOW_MS + 9_999;

fn records() -> Vec<Sample> {
    let record = |timestamp_ms, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[_]| Sample {
        timestamp_ms,
        key: key.map(<[u8]>::to_vec),
        value: value.map(<[u8]>::to_vec),
        headers: headers.to_vec(),
    };
    let headers = [
        (b"trace".to_vec(), Some(b"a".to_vec())),
        (b"trace".to_vec(), None),
        (b"".to_vec(), Some(vec![0xff, 0xfe])),
    ];
    vec![
        record(NOW_MS, Some(b"key"), Some(b"value"), &[]),
        record(NOW_MS + 250, None, Some(b""), &headers),
        record(NOW_MS - 100, Some(b"gone"), None, &[]),
    ]
}

fn settings() -> BatchSettings {
    BatchSettings {
        producer_id: ProducerId(4711),
        producer_epoch: ProducerEpoch(3),
        base_sequence: 42,
        ..BatchSettings::default()
    }
}

#[test]
fn an_uncompressed_batch_has_the_bytes_that_kafka_writes() {
    // Build the same records, and compare header and records at once.
    assert_eq!(build(settings(), &records()).bytes(), &bytes(PLAIN));
    let appended = BatchSettings {
        log_append_time_ms: Some(APPENDED_MS),
        ..settings()
    };
    assert_eq!(build(appended, &records()).bytes(), &bytes(APPEND_TIME));
}

#[test]
fn the_header_reads_as_it_was_written() {
    // Every field of a header that Kafka wrote, one by one.
    let header = *batch(PLAIN).header();
    assert_eq!(header.base_offset, Offset(0));
    assert_eq!(header.batch_length, 103);
    assert_eq!(header.total_bytes(), 115);
    assert_eq!(header.partition_leader_epoch, LeaderEpoch::NONE);
    assert_eq!(header.crc, 0x66d3_a49c);
    assert_eq!(header.attributes.compression(), Ok(Codec::None));
    assert_eq!(
        header.attributes.timestamp_type(),
        TimestampType::CreateTime
    );
    assert!(!header.attributes.is_transactional());
    assert!(!header.attributes.is_control());
    assert!(!header.attributes.has_delete_horizon());
    assert_eq!(header.delete_horizon_ms(), None);
    assert_eq!(header.last_offset_delta, 2);
    assert_eq!(header.last_offset(), Offset(2));
    assert_eq!(header.end_offset(), Offset(3));
    assert_eq!(header.base_timestamp_ms, NOW_MS);
    assert_eq!(header.max_timestamp_ms, NOW_MS + 250);
    assert_eq!(header.producer_id, ProducerId(4711));
    assert_eq!(header.producer_epoch, ProducerEpoch(3));
    assert_eq!(header.base_sequence, 42);
    assert_eq!(header.last_sequence(), 44);
    assert_eq!(header.record_count, 3);
    assert_eq!(header.to_bytes()[..], bytes(PLAIN)[..61]);
}

#[test]
fn every_codec_of_kafka_is_read_and_accepted_as_it_is() {
    // The records are the same behind each codec, and validation changes no byte.
    let goldens = [
        (PLAIN, Codec::None),
        (GZIP, Codec::Gzip),
        (SNAPPY, Codec::Snappy),
        (LZ4, Codec::Lz4),
        (ZSTD, Codec::Zstd),
    ];
    for (golden, codec) in goldens {
        let accepted = validate(bytes(golden), &rules()).unwrap();
        assert_eq!(accepted.header().attributes.compression(), Ok(codec));
        assert_eq!(accepted.bytes(), &bytes(golden), "{codec}");
        assert_eq!(read(&accepted), records(), "{codec}");
    }
}

#[test]
fn with_log_append_time_all_records_have_the_time_of_the_batch() {
    let times: Vec<i64> = read(&batch(APPEND_TIME))
        .iter()
        .map(|record| record.timestamp_ms)
        .collect();
    assert_eq!(times, [APPENDED_MS; 3]);
}

#[test]
fn the_markers_of_a_transaction_have_the_bytes_that_kafka_writes() {
    // Both ways: written byte for byte, and read back with the coordinator epoch.
    for (marker, golden) in [(EndMarker::Commit, COMMIT), (EndMarker::Abort, ABORT)] {
        let written = marker.batch(ProducerId(4711), ProducerEpoch(3), 7, NOW_MS);
        assert_eq!(written.bytes(), &bytes(golden));
        let batch = batch(golden);
        assert!(batch.header().attributes.is_control());
        let section = batch.records(usize::MAX).unwrap();
        let record = section.iter().next().unwrap().unwrap();
        assert_eq!(EndMarker::parse(&record), Some((marker, 7)));
    }
}

#[test]
fn a_batch_without_records_keeps_what_the_producer_state_needs() {
    // The batch at offsets 100 to 102, as the cleaner leaves it when no record stays.
    let full = BatchSettings {
        base_offset: Offset(100),
        leader_epoch: LeaderEpoch(5),
        ..settings()
    };
    let left = emptied(build(full, &records()).header());
    assert_eq!(left.bytes(), &bytes(EMPTIED));
    assert_eq!(left.header().last_offset(), Offset(102));
    assert_eq!(left.header().last_sequence(), 44);
    assert_eq!(read(&left), []);
}

fn batch(golden: &str) -> Batch {
    let mut bytes = bytes(golden);
    let batch = RawBatch::split_from(&mut bytes).unwrap().check().unwrap();
    assert!(bytes.is_empty());
    batch
}

fn bytes(golden: &str) -> Bytes {
    let digit = |at: usize| u8::from_str_radix(&golden[at..at + 2], 16).unwrap();
    (0..golden.len()).step_by(2).map(digit).collect()
}
