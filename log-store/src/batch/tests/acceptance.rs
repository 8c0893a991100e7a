//! What must be taken, and what becomes of it.

use bytes::Bytes;

use super::support::{
    NOW_MS, Sample, assembled, build, changed, compressed, read, rules, samples, with_field,
};
use crate::batch::header::{ATTRIBUTES_AT, BASE_SEQUENCE_AT, MAX_TIMESTAMP_AT, PRODUCER_EPOCH_AT};
use crate::batch::{
    BATCH_HEADER_BYTES, Batch, BatchSettings, Codec, CompressionTarget, Origin, Rules, STAMP_BYTES,
    TimestampType, stamp, validate,
};
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

#[test]
fn a_valid_batch_keeps_its_bytes_and_its_memory() {
    // The same address before and after: nothing was copied.
    for codec in Codec::ALL {
        let sent = compressed(codec);
        let accepted = validate(sent.clone(), &rules()).unwrap();
        assert_eq!(accepted.bytes(), &sent, "{codec}");
        assert_eq!(accepted.bytes().as_ptr(), sent.as_ptr(), "{codec}");
    }
}

#[test]
fn bytes_after_the_batch_that_are_no_batch_are_dropped() {
    // Up to twelve bytes cannot even hold a length; a longer tail may announce more than there is.
    let sent = compressed(Codec::None);
    for tail in [&[7u8; 11][..], &[0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0, 0, 0, 1]] {
        let accepted = validate([&sent, tail].concat().into(), &rules()).unwrap();
        assert_eq!(accepted.bytes(), &sent);
    }
}

#[test]
fn a_wrong_max_timestamp_is_corrected() {
    // kafkajs sends a max timestamp that is not that of any record.
    for codec in Codec::ALL {
        let sent = with_field(&compressed(codec), MAX_TIMESTAMP_AT, &0i64.to_be_bytes());
        let accepted = validate(sent.clone(), &rules()).unwrap();
        assert_eq!(accepted.header().max_timestamp_ms, NOW_MS + 250);
        assert_eq!(read(&accepted), samples(), "{codec}");
        assert_is_sound(&accepted);
        // Somebody else still held the bytes, and sees them unchanged.
        assert_eq!(sent[MAX_TIMESTAMP_AT..][..8], [0; 8]);
    }
}

#[test]
fn a_producer_without_id_may_have_epoch_and_sequence_zero() {
    // kafkajs again.
    let sent = with_field(&compressed(Codec::None), PRODUCER_EPOCH_AT, &[0, 0]);
    let sent = with_field(&sent, BASE_SEQUENCE_AT, &[0; 4]);
    let accepted = validate(sent.clone(), &rules()).unwrap();
    assert_eq!(accepted.bytes(), &sent);
    assert_eq!(accepted.header().producer_id, ProducerId::NONE);
}

#[test]
fn log_append_time_is_written_into_the_header() {
    // Timestamps far outside the window do not matter then; the records keep their deltas.
    let rules = Rules {
        timestamp_type: TimestampType::LogAppendTime,
        timestamp_before_max_ms: 0,
        timestamp_after_max_ms: 0,
        now_ms: NOW_MS + 77,
        ..rules()
    };
    for codec in Codec::ALL {
        let sent = compressed(codec);
        let accepted = validate(sent.clone(), &rules).unwrap();
        let header = accepted.header();
        assert_eq!(
            header.attributes.timestamp_type(),
            TimestampType::LogAppendTime
        );
        assert_eq!(header.max_timestamp_ms, NOW_MS + 77);
        assert_eq!(header.base_timestamp_ms, NOW_MS);
        assert_eq!(accepted.records_bytes(), &sent[BATCH_HEADER_BYTES..]);
        assert_is_sound(&accepted);
    }
}

#[test]
fn a_header_that_must_change_is_changed_in_place_when_nobody_else_looks() {
    let rules = Rules {
        timestamp_type: TimestampType::LogAppendTime,
        ..rules()
    };
    let sent = Bytes::from(compressed(Codec::None).to_vec());
    let address = sent.as_ptr();
    let accepted = validate(sent, &rules).unwrap();
    assert_eq!(accepted.bytes().as_ptr(), address);
}

#[test]
fn a_claim_of_log_append_time_is_dropped_when_the_time_is_in_the_window() {
    // Kafka only refuses the claim where it does not look at the timestamps themselves.
    let sent = with_field(&compressed(Codec::None), ATTRIBUTES_AT, &[0x00, 0x08]);
    let accepted = validate(sent, &rules()).unwrap();
    let attributes = accepted.header().attributes;
    assert_eq!(attributes.timestamp_type(), TimestampType::CreateTime);
    assert_is_sound(&accepted);
}

#[test]
fn unused_attribute_bits_stay_until_the_header_must_change() {
    let sent = with_field(&compressed(Codec::None), ATTRIBUTES_AT, &[0xff, 0x80]);
    let accepted = validate(sent.clone(), &rules()).unwrap();
    assert_eq!(accepted.bytes(), &sent);
    let sent = with_field(&sent, MAX_TIMESTAMP_AT, &[0; 8]);
    let accepted = validate(sent, &rules()).unwrap();
    assert_eq!(accepted.header().attributes.0, 0);
}

#[test]
fn the_delete_horizon_bit_of_a_client_is_stored_as_it_comes() {
    let sent = with_field(&compressed(Codec::None), ATTRIBUTES_AT, &[0x00, 0x40]);
    let accepted = validate(sent.clone(), &rules()).unwrap();
    assert_eq!(accepted.bytes(), &sent);
    assert_eq!(accepted.header().delete_horizon_ms(), Some(NOW_MS));
}

#[test]
fn records_without_a_timestamp_are_in_every_window() {
    let rules = Rules {
        timestamp_before_max_ms: 0,
        timestamp_after_max_ms: 0,
        ..rules()
    };
    let record = Sample {
        timestamp_ms: -1,
        ..samples().remove(0)
    };
    let sent = build(BatchSettings::default(), &[record]).into_bytes();
    let accepted = validate(sent, &rules).unwrap();
    assert_eq!(accepted.header().max_timestamp_ms, -1);
}

#[test]
fn offset_deltas_of_uncompressed_batches_are_not_looked_at() {
    // The record at delta 1 says that it is at 5. Kafka stores it as it is.
    let sent = compressed(Codec::None);
    let at = sent
        .windows(4)
        .position(|window| window == [0xf4, 0x03, 0x02, 0x00])
        .unwrap();
    let sent = changed(&sent, |bytes| bytes[at + 2] = 10);
    assert_eq!(validate(sent.clone(), &rules()).unwrap().bytes(), &sent);
}

#[test]
fn every_codec_is_recompressed_to_every_other_with_nothing_lost() {
    // All pairs, the producer's state and both timestamp types included.
    let targets = [
        (CompressionTarget::Uncompressed, Codec::None),
        (CompressionTarget::Gzip(9), Codec::Gzip),
        (CompressionTarget::Snappy, Codec::Snappy),
        (CompressionTarget::Lz4(9), Codec::Lz4),
        (CompressionTarget::Zstd(-5), Codec::Zstd),
    ];
    for source in Codec::ALL {
        for (target, codec) in targets {
            let settings = BatchSettings {
                compression: crate::batch::Compression::default_of(source),
                producer_id: ProducerId(9),
                producer_epoch: ProducerEpoch(2),
                base_sequence: 5,
                is_transactional: true,
                ..BatchSettings::default()
            };
            let sent = build(settings, &samples());
            let mut rules = Rules {
                compression: target,
                ..rules()
            };
            let accepted = validate(sent.bytes().clone(), &rules).unwrap();
            let header = *accepted.header();
            assert_eq!(header.attributes.compression(), Ok(codec));
            assert!(header.attributes.is_transactional());
            assert_eq!(header.producer_id, ProducerId(9));
            assert_eq!(header.producer_epoch, ProducerEpoch(2));
            assert_eq!((header.base_sequence, header.last_sequence()), (5, 7));
            assert_eq!(header.max_timestamp_ms, NOW_MS + 250);
            assert_eq!(read(&accepted), samples(), "{source} to {codec}");
            assert_is_sound(&accepted);

            rules.timestamp_type = TimestampType::LogAppendTime;
            rules.now_ms = NOW_MS + 5;
            let accepted = validate(sent.into_bytes(), &rules).unwrap();
            assert_eq!(accepted.header().max_timestamp_ms, NOW_MS + 5);
            assert_eq!(accepted.header().base_timestamp_ms, NOW_MS);
            assert_is_sound(&accepted);
        }
    }
}

#[test]
fn offset_deltas_with_gaps_are_closed_when_the_batch_is_recompressed() {
    // Records at deltas 0 and 5 in a snappy batch that says it holds offsets 0 to 1.
    let mut builder = crate::batch::BatchBuilder::new(BatchSettings::default());
    builder.push(NOW_MS, Some(b"a"), None, &[]);
    builder.extend_to(4);
    builder.push(NOW_MS, Some(b"b"), None, &[]);
    let gapped = builder.build().unwrap();
    let mut header = *gapped.header();
    header.last_offset_delta = 1;
    let sent = assembled(header, gapped.records_bytes());
    let rules = Rules {
        compression: CompressionTarget::Zstd(3),
        ..rules()
    };
    let accepted = validate(sent, &rules).unwrap();
    assert_eq!(accepted.header().last_offset(), Offset(1));
    let keys: Vec<_> = read(&accepted)
        .into_iter()
        .map(|record| record.key)
        .collect();
    assert_eq!(keys, [Some(b"a".to_vec()), Some(b"b".to_vec())]);
}

#[test]
fn coordinators_may_write_control_batches_and_those_stay_uncompressed() {
    let rules = Rules {
        origin: Origin::Coordinator,
        compression: CompressionTarget::Zstd(3),
        requires_keys: true,
        ..rules()
    };
    let marker = crate::batch::EndMarker::Commit.batch(ProducerId(1), ProducerEpoch(0), 0, NOW_MS);
    let accepted = validate(marker.bytes().clone(), &rules).unwrap();
    assert_eq!(accepted.bytes(), marker.bytes());
    // Their other batches follow the topic.
    let accepted = validate(compressed(Codec::None), &rules).unwrap();
    assert_eq!(accepted.header().attributes.compression(), Ok(Codec::Zstd));
}

#[test]
fn a_stamp_changes_offset_and_epoch_and_nothing_else() {
    // The stamped batch in one piece reads back with the new place, and its checksum still holds.
    let batch = build(BatchSettings::default(), &samples());
    let stamped = stamp(&batch, Offset(1 << 40), LeaderEpoch(7));
    assert_eq!(stamped.total_bytes(), batch.bytes().len());
    assert_eq!(
        stamped.rest().as_ptr(),
        batch.bytes()[STAMP_BYTES..].as_ptr()
    );
    let mut bytes = stamped.to_bytes();
    assert_eq!(bytes[..STAMP_BYTES], stamped.prefix()[..]);
    let stored = crate::batch::RawBatch::split_from(&mut bytes)
        .unwrap()
        .check()
        .unwrap();
    assert_eq!(stored.header(), stamped.header());
    assert_eq!(stored.header().base_offset, Offset(1 << 40));
    assert_eq!(stored.header().last_offset(), Offset((1 << 40) + 2));
    assert_eq!(stored.header().partition_leader_epoch, LeaderEpoch(7));
    assert_eq!(read(&stored), samples());
}

/// The bytes are what the header says, and would be taken again.
fn assert_is_sound(batch: &Batch) {
    let mut bytes = batch.bytes().clone();
    let stored = crate::batch::RawBatch::split_from(&mut bytes)
        .unwrap()
        .check()
        .unwrap();
    assert!(bytes.is_empty());
    assert_eq!(stored.header(), batch.header());
}
