//! What must be refused, with the answer that Kafka gives, and what is noticed first.

use bytes::Bytes;

use super::support::{
    NOW_MS, Sample, assembled, blamed, build, changed, compressed, refusal, rules, samples, seal,
    with_field,
};
use crate::batch::header::{
    ATTRIBUTES_AT, BASE_OFFSET_AT, BASE_SEQUENCE_AT, BATCH_LENGTH_AT, CRC_AT, LAST_OFFSET_DELTA_AT,
    MAGIC_AT, PRODUCER_EPOCH_AT, PRODUCER_ID_AT, RECORD_COUNT_AT,
};
use crate::batch::{
    BATCH_HEADER_BYTES, BatchBuilder, BatchError, BatchSettings, Codec, Compression,
    CompressionTarget, HeaderError, Origin, RECORD_ERRORS_MAX, RecordErrorKind, RequestError,
    Rules, TimestampType, is_first_transactional,
};

#[test]
fn a_produce_request_carries_exactly_one_whole_batch_of_magic_2() {
    // Kafka's ProduceRequest.validateRecords, case by case.
    let batch = compressed(Codec::None);
    let none: [&[u8]; 3] = [&[], &batch[..11], &batch[..batch.len() - 1]];
    for records in none {
        assert_invalid_request(records);
    }
    assert_invalid_request(&[&batch[..], &batch[..]].concat());
    for magic in [0, 1] {
        assert_invalid_request(&with_field(&batch, MAGIC_AT, &[magic]));
    }
}

#[test]
fn lengths_and_magics_that_cannot_be_fail_the_whole_request() {
    let batch = compressed(Codec::None);
    for length in [i32::MIN, -1, 0, 13] {
        let records = patched(&batch, BATCH_LENGTH_AT, &length.to_be_bytes());
        assert_corrupt_request(&records);
        assert!(is_first_transactional(&records).is_err());
    }
    for magic in [-1i8, 3, 127] {
        assert_corrupt_request(&patched(&batch, MAGIC_AT, &magic.to_be_bytes()));
    }
    // Kafka trips over the sum of this length and its own twelve bytes.
    let length = i32::MAX - 11;
    assert_unreadable_request(&patched(&batch, BATCH_LENGTH_AT, &length.to_be_bytes()));
}

#[test]
fn what_cannot_be_after_the_first_batch_fails_its_partition_alone() {
    let batch = compressed(Codec::None);
    let second = patched(&batch, BATCH_LENGTH_AT, &3i32.to_be_bytes());
    let error = refusal([&batch[..], &second].concat(), &rules());
    let BatchError::Request(error) = error else {
        panic!("{error:?}");
    };
    assert!(matches!(error, RequestError::Corrupt { .. }));
    assert!(!error.fails_request());
}

#[test]
fn a_batch_that_ends_before_its_producer_fails_the_whole_request() {
    // Kafka reads the producer of every batch before it appends any; up to there, nothing is
    // found wrong. From there on, the missing header is.
    let batch = compressed(Codec::None);
    for total_bytes in [26, 50] {
        let short = changed(&batch, |bytes| bytes.truncate(total_bytes));
        assert_unreadable_request(&short);
    }
    for total_bytes in [51, BATCH_HEADER_BYTES - 1] {
        let short = changed(&batch, |bytes| bytes.truncate(total_bytes));
        assert!(matches!(
            refusal(short, &rules()),
            BatchError::Corrupt(HeaderError::TooShort { .. })
        ));
    }
}

#[test]
fn zstd_needs_a_sender_that_knows_it() {
    let old = Rules {
        allows_zstd: false,
        ..rules()
    };
    assert_eq!(
        refusal(compressed(Codec::Zstd), &old),
        BatchError::Request(RequestError::UnsupportedCompression)
    );
    // To find that out, Kafka looks at the codec, and stumbles over one that does not exist.
    let unknown = with_field(&compressed(Codec::None), ATTRIBUTES_AT, &[0, 5]);
    assert!(matches!(
        refusal(unknown, &old),
        BatchError::Request(RequestError::UnreadableRequest { .. })
    ));
}

#[test]
fn codecs_that_do_not_exist_are_unreadable() {
    for id in [5, 6, 7] {
        let batch = with_field(&compressed(Codec::None), ATTRIBUTES_AT, &[0, id]);
        assert_unreadable(refusal(batch, &rules()));
    }
}

#[test]
fn a_client_batch_starts_at_offset_zero() {
    let batch = with_field(
        &compressed(Codec::None),
        BASE_OFFSET_AT,
        &1i64.to_be_bytes(),
    );
    assert_invalid(refusal(batch, &rules()));
}

#[test]
fn a_checksum_that_does_not_fit_is_corrupt() {
    // Every byte that the checksum covers counts.
    let batch = compressed(Codec::None);
    for at in CRC_AT..batch.len() {
        let mut spoilt = batch.to_vec();
        spoilt[at] ^= 0x10;
        assert!(
            matches!(
                refusal(spoilt, &rules()),
                BatchError::Corrupt(HeaderError::CrcMismatch { .. })
            ),
            "byte {at}"
        );
    }
}

#[test]
fn the_size_is_looked_at_after_the_offset_and_before_the_checksum() {
    // A batch that is wrong in all three ways, mended one by one.
    let small = Rules {
        max_batch_bytes: 100,
        ..rules()
    };
    let mut batch = compressed(Codec::None).to_vec();
    batch[BASE_OFFSET_AT] = 1;
    batch[CRC_AT] ^= 1;
    assert_invalid(refusal(batch.clone(), &small));
    batch[BASE_OFFSET_AT] = 0;
    assert_eq!(
        refusal(batch.clone(), &small),
        BatchError::TooLarge {
            batch_bytes: batch.len(),
            max_bytes: 100
        }
    );
    assert!(matches!(refusal(batch, &rules()), BatchError::Corrupt(_)));
}

#[test]
fn a_batch_that_grows_too_large_when_recompressed_is_too_large() {
    let value = vec![b'a'; 5000];
    let mut builder = BatchBuilder::new(BatchSettings {
        compression: Compression::Zstd(3),
        ..BatchSettings::default()
    });
    builder.push(NOW_MS, None, Some(&value), &[]);
    let batch = builder.build().unwrap();
    let rules = Rules {
        max_batch_bytes: 1000,
        compression: CompressionTarget::Uncompressed,
        ..rules()
    };
    assert!(batch.bytes().len() < 1000);
    assert!(matches!(
        refusal(batch.into_bytes(), &rules),
        BatchError::TooLarge {
            max_bytes: 1000,
            ..
        }
    ));
}

#[test]
fn a_batch_that_fits_in_no_segment_is_refused_last() {
    let rules = Rules {
        segment_bytes_max: 100,
        requires_keys: true,
        ..rules()
    };
    let batch = compressed(Codec::None);
    assert_eq!(
        refusal(batch.clone(), &rules),
        BatchError::TooLargeForSegment {
            batch_bytes: batch.len(),
            max_bytes: 100
        }
    );
    let keyless = build(BatchSettings::default(), &keyless(&[2])).into_bytes();
    blamed(refusal(keyless, &rules));
}

#[test]
fn count_and_offsets_must_agree() {
    // (last offset delta, record count) around the true (2, 3).
    let batch = compressed(Codec::None);
    let pairs = [
        (-1, 0),
        (-1, 3),
        (2, 0),
        (2, -1),
        (2, 2),
        (2, 4),
        (1, 3),
        (3, 3),
        (i32::MAX, i32::MIN),
    ];
    for (delta, count) in pairs {
        let batch = with_field(&batch, LAST_OFFSET_DELTA_AT, &i32::to_be_bytes(delta));
        let batch = with_field(&batch, RECORD_COUNT_AT, &i32::to_be_bytes(count));
        assert_invalid(refusal(batch, &rules()));
    }
}

#[test]
fn a_count_that_is_not_that_of_the_records_is_invalid() {
    // Header fields that agree with each other and not with the section, behind every codec.
    for codec in Codec::ALL {
        for count in [1, 2, 4, 1_000_000, i32::MAX] {
            let batch = compressed(codec);
            let batch = with_field(&batch, LAST_OFFSET_DELTA_AT, &i32::to_be_bytes(count - 1));
            let batch = with_field(&batch, RECORD_COUNT_AT, &i32::to_be_bytes(count));
            assert_invalid(refusal(batch.clone(), &rules()));
            assert_invalid(refusal(batch, &recompressing(codec)));
        }
    }
}

#[test]
fn clients_may_not_write_control_batches() {
    let batch = with_field(&compressed(Codec::None), ATTRIBUTES_AT, &[0, 0x20]);
    assert_invalid(refusal(batch, &rules()));
}

#[test]
fn a_producer_with_an_id_needs_a_sequence() {
    let batch = with_field(
        &compressed(Codec::None),
        PRODUCER_ID_AT,
        &7i64.to_be_bytes(),
    );
    assert_invalid(refusal(batch, &rules()));
}

#[test]
fn what_kafka_would_not_write_anew_is_unreadable_when_recompressed() {
    // It takes all of these as they are when the codec stays.
    let plain = compressed(Codec::None);
    let other_id = with_field(&plain, PRODUCER_ID_AT, &(-2i64).to_be_bytes());
    let no_epoch = with_field(&plain, PRODUCER_ID_AT, &7i64.to_be_bytes());
    let no_epoch = with_field(&no_epoch, BASE_SEQUENCE_AT, &[0; 4]);
    let no_sequence = with_field(&other_id, PRODUCER_EPOCH_AT, &[0; 2]);
    let transactional = with_field(&plain, ATTRIBUTES_AT, &[0, 0x10]);
    let before_1970 = Sample {
        timestamp_ms: -2,
        ..samples().remove(0)
    };
    let before_1970 = build(BatchSettings::default(), &[before_1970]).into_bytes();
    for batch in [other_id, no_epoch, no_sequence, transactional, before_1970] {
        assert!(crate::batch::validate(batch.clone(), &rules()).is_ok());
        assert_unreadable(refusal(batch, &recompressing(Codec::None)));
    }
}

#[test]
fn compacted_topics_blame_every_record_without_a_key() {
    let rules = Rules {
        requires_keys: true,
        ..rules()
    };
    for codec in Codec::ALL {
        let settings = BatchSettings {
            compression: Compression::default_of(codec),
            ..BatchSettings::default()
        };
        let batch = build(settings, &keyless(&[0, 2])).into_bytes();
        let expected = (RecordErrorKind::InvalidRecord, vec![0, 2]);
        assert_eq!(blamed(refusal(batch, &rules)), expected, "{codec}");
    }
}

#[test]
fn timestamps_outside_the_window_are_blamed_and_decide_the_code() {
    // Keyless at 0, late at 1, early at 2, and exactly on both borders at 3 and 4.
    let rules = Rules {
        requires_keys: true,
        timestamp_before_max_ms: 1000,
        timestamp_after_max_ms: 500,
        ..rules()
    };
    let times = [0, 501, -1001, 500, -1000].map(|delta| NOW_MS + delta);
    let mut records: Vec<Sample> = times
        .map(|timestamp_ms| Sample {
            timestamp_ms,
            ..samples().remove(0)
        })
        .to_vec();
    records[0].key = None;
    for codec in Codec::ALL {
        let settings = BatchSettings {
            compression: Compression::default_of(codec),
            ..BatchSettings::default()
        };
        let batch = build(settings, &records).into_bytes();
        let expected = (RecordErrorKind::InvalidTimestamp, vec![0, 1, 2]);
        assert_eq!(blamed(refusal(batch.clone(), &rules)), expected);
        let recompressing = Rules {
            compression: recompressing(codec).compression,
            ..rules
        };
        assert_eq!(blamed(refusal(batch, &recompressing)), expected);
    }
}

#[test]
fn the_ends_of_the_timestamp_range_wrap_as_they_do_in_kafka() {
    // now - i64::MIN overflows to a time in the past of the year 292 million.
    for (timestamp_ms, is_taken) in [
        (i64::MAX, false),
        (i64::MIN, false),
        (i64::MIN + 5, false),
        (0, true),
    ] {
        let record = Sample {
            timestamp_ms,
            ..samples().remove(0)
        };
        let batch = build(BatchSettings::default(), &[record]).into_bytes();
        let taken = crate::batch::validate(batch, &rules());
        assert_eq!(taken.is_ok(), is_taken, "{timestamp_ms}");
    }
}

#[test]
fn only_the_log_may_say_that_a_timestamp_is_its_own() {
    // Refused by a topic with log append time, and where there is no timestamp to look at.
    let claimed = with_field(&compressed(Codec::None), ATTRIBUTES_AT, &[0, 0x08]);
    let append_time = Rules {
        timestamp_type: TimestampType::LogAppendTime,
        ..rules()
    };
    let expected = (RecordErrorKind::InvalidTimestamp, vec![0, 1, 2]);
    assert_eq!(blamed(refusal(claimed.clone(), &append_time)), expected);
    let timeless = with_field(
        &claimed,
        crate::batch::header::MAX_TIMESTAMP_AT,
        &(-1i64).to_be_bytes(),
    );
    assert_eq!(blamed(refusal(timeless, &rules())), expected);
}

#[test]
fn an_answer_names_only_so_many_records() {
    let records = vec![keyless(&[0]).remove(0); RECORD_ERRORS_MAX + 100];
    let batch = build(BatchSettings::default(), &records).into_bytes();
    let rules = Rules {
        requires_keys: true,
        ..rules()
    };
    let (_, indices) = blamed(refusal(batch, &rules));
    assert!(indices.into_iter().eq(0..RECORD_ERRORS_MAX as i32));
}

#[test]
fn malformed_records_are_invalid_whatever_the_codec() {
    // One record per case, by hand: length, attributes, timestamp delta, offset delta, key, value,
    // header count, headers. The record length is right unless it is the point of the case.
    let cases: [(&str, &[u8]); 12] = [
        ("nothing at all", &[]),
        ("no offset delta", &[4, 0, 0]),
        (
            "a timestamp that does not end",
            &[
                24, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 1,
            ],
        ),
        (
            "an offset that does not end",
            &[20, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 1],
        ),
        ("a key past the end", &[12, 0, 0, 0, 0x7e, 1, 0]),
        ("a value past the end", &[12, 0, 0, 0, 1, 0x7e, 0]),
        ("a negative header count", &[12, 0, 0, 0, 1, 1, 1]),
        ("more headers than bytes", &[12, 0, 0, 0, 1, 1, 0x7e]),
        ("a header without a key", &[16, 0, 0, 0, 1, 1, 2, 1, 1]),
        (
            "a header value past the end",
            &[16, 0, 0, 0, 1, 1, 2, 0, 0x7e],
        ),
        ("bytes after the record", &[12, 0, 0, 0, 1, 1, 0, 0]),
        ("a record cut off", &[12, 0, 0, 0, 1, 1]),
    ];
    for (what, section) in cases {
        for codec in Codec::ALL {
            let batch = batch_of(codec, section);
            let error = refusal(batch.clone(), &rules());
            assert!(
                matches!(error, BatchError::Invalid { .. }),
                "{what}, {codec}: {error:?}"
            );
            let error = refusal(batch, &recompressing(codec));
            assert!(
                matches!(error, BatchError::Invalid { .. }),
                "{what}, {codec}: {error:?}"
            );
        }
    }
}

#[test]
fn the_length_of_a_record_is_only_checked_where_kafka_checks_it() {
    // A record that is one byte shorter than it says, and one whose length does not end.
    let shorter: &[u8] = &[14, 0, 0, 0, 1, 1, 0];
    let endless: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 1, 0];
    assert_invalid(refusal(batch_of(Codec::None, shorter), &rules()));
    assert_unreadable(refusal(batch_of(Codec::None, endless), &rules()));
    for codec in &Codec::ALL[1..] {
        assert!(crate::batch::validate(batch_of(*codec, shorter), &rules()).is_ok());
        assert_invalid(refusal(batch_of(*codec, shorter), &recompressing(*codec)));
        assert_invalid(refusal(batch_of(*codec, endless), &rules()));
    }
}

#[test]
fn gaps_between_the_offsets_of_a_compressed_batch_are_unreadable() {
    // Two records at deltas 0 and 2.
    let section = [12, 0, 0, 0, 1, 1, 0, 12, 0, 0, 4, 1, 1, 0];
    for codec in &Codec::ALL[1..] {
        let mut header = *build(BatchSettings::default(), &samples()[..2]).header();
        header.attributes.0 = codec.id().into();
        let section = Compression::default_of(*codec).compress(section.to_vec());
        assert_unreadable(refusal(assembled(header, &section), &rules()));
    }
}

#[test]
fn coordinators_are_held_to_sizes_and_checksums() {
    let coordinator = Rules {
        origin: Origin::Coordinator,
        ..rules()
    };
    let batch = compressed(Codec::None);
    let mut spoilt = batch.to_vec();
    spoilt[CRC_AT] ^= 1;
    assert!(matches!(
        refusal(spoilt, &coordinator),
        BatchError::Corrupt(_)
    ));
    let two = [&batch[..], &batch[..]].concat();
    assert!(matches!(refusal(two, &coordinator), BatchError::Corrupt(_)));
    let small = Rules {
        max_batch_bytes: 100,
        ..coordinator
    };
    assert!(matches!(
        refusal(batch, &small),
        BatchError::TooLarge { .. }
    ));
}

/// Rules of a topic that wants another codec than `codec`.
fn recompressing(codec: Codec) -> Rules {
    Rules {
        compression: match codec {
            Codec::Zstd => CompressionTarget::Snappy,
            Codec::None | Codec::Gzip | Codec::Snappy | Codec::Lz4 => CompressionTarget::Zstd(3),
        },
        ..rules()
    }
}

/// A batch that says it holds one record, with `section` compressed behind it.
fn batch_of(codec: Codec, section: &[u8]) -> Bytes {
    let mut header = *build(BatchSettings::default(), &samples()[..1]).header();
    header.attributes.0 = codec.id().into();
    let section = Compression::default_of(codec).compress(section.to_vec());
    assembled(header, &section)
}

/// The samples, those at `indices` without a key.
fn keyless(indices: &[usize]) -> Vec<Sample> {
    let mut records = samples();
    for index in indices {
        records[*index].key = None;
    }
    records
}

/// `batch` with other bytes at `at`; the length is left alone, the checksum is mended.
fn patched(batch: &[u8], at: usize, field: &[u8]) -> Bytes {
    let mut bytes = batch.to_vec();
    bytes[at..][..field.len()].copy_from_slice(field);
    seal(bytes)
}

fn assert_invalid_request(records: &[u8]) {
    let error = refusal(records.to_vec(), &rules());
    assert!(
        matches!(error, BatchError::Request(RequestError::Invalid { .. })),
        "{error:?}"
    );
}

fn assert_corrupt_request(records: &[u8]) {
    let error = refusal(records.to_vec(), &rules());
    assert!(
        matches!(
            error,
            BatchError::Request(RequestError::CorruptRequest { .. })
        ),
        "{error:?}"
    );
}

fn assert_unreadable_request(records: &[u8]) {
    let error = refusal(records.to_vec(), &rules());
    assert!(
        matches!(
            error,
            BatchError::Request(RequestError::UnreadableRequest { .. })
        ),
        "{error:?}"
    );
}

fn assert_invalid(error: BatchError) {
    assert!(matches!(error, BatchError::Invalid { .. }), "{error:?}");
}

fn assert_unreadable(error: BatchError) {
    assert!(matches!(error, BatchError::Unreadable { .. }), "{error:?}");
}
