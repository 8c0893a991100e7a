//! What holds for all batches.

use proptest::prelude::*;

use super::support::{NOW_MS, Sample, build, read, rules};
use crate::batch::{
    Batch, BatchBuilder, BatchHeader, BatchSettings, Codec, Compression, CompressionTarget, Rules,
    validate,
};
use crate::ids::{Offset, ProducerEpoch, ProducerId};

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..80)
}

fn sample() -> impl Strategy<Value = Sample> {
    (
        prop_oneof![Just(-1), 0..=NOW_MS],
        prop::option::of(bytes()),
        prop::option::of(bytes()),
        prop::collection::vec((bytes(), prop::option::of(bytes())), 0..4),
    )
        .prop_map(|(timestamp_ms, key, value, headers)| Sample {
            timestamp_ms,
            key,
            value,
            headers,
        })
}

fn codec() -> impl Strategy<Value = Codec> {
    prop::sample::select(Codec::ALL.to_vec())
}

fn target() -> impl Strategy<Value = CompressionTarget> {
    prop::sample::select(vec![
        CompressionTarget::Producer,
        CompressionTarget::Uncompressed,
        CompressionTarget::Gzip(1),
        CompressionTarget::Snappy,
        CompressionTarget::Lz4(1),
        CompressionTarget::Zstd(1),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_batch_that_is_built_is_accepted_and_keeps_its_records(
        records in prop::collection::vec(sample(), 1..20),
        source in codec(),
        target in target(),
        has_producer in any::<bool>(),
    ) {
        // From any codec to any codec, then once more as it is: the second time nothing changes.
        let mut settings = BatchSettings {
            compression: Compression::default_of(source),
            ..BatchSettings::default()
        };
        if has_producer {
            settings.producer_id = ProducerId(12);
            settings.producer_epoch = ProducerEpoch(0);
            settings.base_sequence = i32::MAX;
        }
        let sent = build(settings, &records);
        prop_assert_eq!(&read(&sent), &records);
        let rules = Rules { compression: target, ..rules() };
        let accepted = validate(sent.bytes().clone(), &rules).unwrap();
        prop_assert_eq!(&read(&accepted), &records);
        prop_assert_eq!(accepted.header().producer_id, sent.header().producer_id);
        prop_assert_eq!(accepted.header().last_sequence(), sent.header().last_sequence());
        let again = validate(accepted.bytes().clone(), &rules).unwrap();
        prop_assert_eq!(again.bytes(), accepted.bytes());
    }

    #[test]
    fn a_lookup_finds_what_a_walk_over_all_records_finds(
        records in prop::collection::vec(sample(), 1..20),
        source in codec(),
        wanted_ms in prop_oneof![Just(-1), 0..=NOW_MS],
        from in 0i64..25,
    ) {
        let batch = build(
            BatchSettings {
                compression: Compression::default_of(source),
                base_offset: Offset(1000),
                ..BatchSettings::default()
            },
            &records,
        );
        let from = Offset(1000 + from);
        let expected = records.iter().enumerate().find_map(|(index, record)| {
            let offset = Offset(1000 + index as i64);
            (record.timestamp_ms >= wanted_ms && offset >= from)
                .then_some((offset, record.timestamp_ms))
        });
        let found = batch.first_record_at_or_after(wanted_ms, from).unwrap();
        prop_assert_eq!(found.map(|found| (found.offset, found.timestamp_ms)), expected);

        let max_ms = records.iter().map(|record| record.timestamp_ms).max().unwrap();
        let first_max = records.iter().position(|record| record.timestamp_ms == max_ms).unwrap();
        let found = batch.record_of_max_timestamp().unwrap().unwrap();
        prop_assert_eq!(found.timestamp_ms, max_ms);
        prop_assert_eq!(found.offset, Offset(1000 + first_max as i64));
    }

    #[test]
    fn compaction_can_keep_any_of_the_records_where_they_are(
        records in prop::collection::vec((sample(), any::<bool>()), 1..20),
        source in codec(),
    ) {
        // Some records are copied to a batch over the same offsets, as the cleaner does.
        let (samples, kept): (Vec<Sample>, Vec<bool>) = records.into_iter().unzip();
        let settings = BatchSettings {
            compression: Compression::default_of(source),
            base_offset: Offset(500),
            ..BatchSettings::default()
        };
        let full = build(settings, &samples);
        let section = full.records(usize::MAX).unwrap();
        let mut builder = BatchBuilder::new(settings);
        for (record, is_kept) in section.iter().zip(&kept) {
            let record = record.unwrap();
            let timestamp_ms = full.header().record_timestamp_ms(record.timestamp_delta);
            if *is_kept {
                builder.push_record(record.offset_delta, timestamp_ms, &record).unwrap();
                let again = builder.push_record(record.offset_delta, timestamp_ms, &record);
                prop_assert!(again.is_err());
            }
        }
        builder.extend_to(full.header().last_offset_delta);
        let cleaned = builder.build().unwrap();
        prop_assert_eq!(cleaned.header().last_offset(), full.header().last_offset());
        let left = |batch: &Batch| -> Vec<_> {
            let section = batch.records(usize::MAX).unwrap();
            let records = section.iter().map(|record| record.unwrap());
            let fields = records.map(|record| {
                let timestamp_ms = batch.header().record_timestamp_ms(record.timestamp_delta);
                let value = record.value.map(<[u8]>::to_vec);
                (record.offset_delta, timestamp_ms, value, record.headers().count())
            });
            fields.collect()
        };
        let expected = left(&full).into_iter().zip(kept).filter(|(_, is_kept)| *is_kept);
        let expected: Vec<_> = expected.map(|(record, _)| record).collect();
        prop_assert_eq!(left(&cleaned), expected);
    }

    #[test]
    fn a_header_is_read_as_it_was_written(bytes in prop::array::uniform32(any::<u8>())) {
        // Two random halves make 64 bytes; length and magic are set so that the rest may be
        // anything at all.
        let mut header = [bytes, bytes].concat();
        header[8..12].copy_from_slice(&4711i32.to_be_bytes());
        header[16] = 2;
        let parsed = BatchHeader::parse(&header).unwrap();
        prop_assert_eq!(&parsed.to_bytes()[..], &header[..61]);
    }

    #[test]
    fn sequences_go_round_from_the_largest_to_zero(base in 0..=i32::MAX, delta in 0..=i32::MAX) {
        // On a circle of 2^31 numbers.
        let expected = (i64::from(base) + i64::from(delta)) % (1 << 31);
        let sum = crate::batch::header::add_to_sequence(base, delta);
        prop_assert_eq!(i64::from(sum), expected);
    }
}
