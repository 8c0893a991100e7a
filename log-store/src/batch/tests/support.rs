//! Batches to begin with, and ways to spoil them.

use bytes::Bytes;

use crate::batch::header::{ATTRIBUTES_AT, BATCH_LENGTH_AT, CRC_AT, LOG_OVERHEAD_BYTES};
use crate::batch::{
    Batch, BatchBuilder, BatchError, BatchHeader, BatchSettings, Codec, Compression,
    CompressionTarget, HeaderRef, Origin, RecordError, RecordErrorKind, Rules, TimestampType,
    validate,
};

pub const NOW_MS: i64 = 1_700_000_000_000;

/// Rules of a topic with Kafka's defaults.
pub fn rules() -> Rules {
    Rules {
        max_batch_bytes: 1_048_588,
        segment_bytes_max: 1_073_741_824,
        decompressed_bytes_max: 64 << 20,
        timestamp_type: TimestampType::CreateTime,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: 3_600_000,
        compression: CompressionTarget::Producer,
        requires_keys: false,
        allows_zstd: true,
        origin: Origin::Client,
        now_ms: NOW_MS,
    }
}

/// A record with everything that a test may care about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    pub timestamp_ms: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// Three records that show every kind of field: null and empty, a repeated header key, a header
/// that is not UTF-8, a timestamp below the base timestamp.
pub fn samples() -> Vec<Sample> {
    vec![
        Sample {
            timestamp_ms: NOW_MS,
            key: Some(b"key".to_vec()),
            value: Some(b"value".to_vec()),
            headers: vec![],
        },
        Sample {
            timestamp_ms: NOW_MS + 250,
            key: Some(b"".to_vec()),
            value: Some(b"".to_vec()),
            headers: vec![
                (b"trace".to_vec(), Some(b"a".to_vec())),
                (b"trace".to_vec(), None),
                (vec![0xff, 0xfe], Some(vec![])),
            ],
        },
        Sample {
            timestamp_ms: NOW_MS - 100,
            key: Some(b"gone".to_vec()),
            value: None,
            headers: vec![],
        },
    ]
}

pub fn build(settings: BatchSettings, samples: &[Sample]) -> Batch {
    let mut builder = BatchBuilder::new(settings);
    for sample in samples {
        let headers: Vec<HeaderRef<'_>> = sample
            .headers
            .iter()
            .map(|(key, value)| HeaderRef {
                key,
                value: value.as_deref(),
            })
            .collect();
        builder.push(
            sample.timestamp_ms,
            sample.key.as_deref(),
            sample.value.as_deref(),
            &headers,
        );
    }
    builder.build().unwrap()
}

/// The samples in a batch compressed with `codec`.
pub fn compressed(codec: Codec) -> Bytes {
    let settings = BatchSettings {
        compression: Compression::default_of(codec),
        ..BatchSettings::default()
    };
    build(settings, &samples()).into_bytes()
}

/// The records of `batch`, with their timestamps as a reader sees them.
pub fn read(batch: &Batch) -> Vec<Sample> {
    let section = batch.records(usize::MAX).unwrap();
    let records = section.iter().enumerate().map(|(index, record)| {
        let record = record.unwrap();
        assert_eq!(record.offset_delta, index as i32);
        Sample {
            timestamp_ms: batch.header().record_timestamp_ms(record.timestamp_delta),
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record
                .headers()
                .map(|header| (header.key.to_vec(), header.value.map(<[u8]>::to_vec)))
                .collect(),
        }
    });
    records.collect()
}

/// `batch` after `change`, with a checksum and a length that fit again.
pub fn changed(batch: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut bytes = batch.to_vec();
    change(&mut bytes);
    let length = (bytes.len() - LOG_OVERHEAD_BYTES) as i32;
    bytes[BATCH_LENGTH_AT..][..4].copy_from_slice(&length.to_be_bytes());
    seal(bytes)
}

/// `bytes` with the right checksum.
pub fn seal(mut bytes: Vec<u8>) -> Bytes {
    let crc = crc32c::crc32c(&bytes[ATTRIBUTES_AT..]);
    bytes[CRC_AT..][..4].copy_from_slice(&crc.to_be_bytes());
    Bytes::from(bytes)
}

/// A batch with this header and this section, whether they make sense together or not.
pub fn assembled(header: BatchHeader, section: &[u8]) -> Bytes {
    changed(&[&header.to_bytes(), section].concat(), |_| {})
}

/// `batch` with one field of its header replaced.
pub fn with_field(batch: &[u8], at: usize, field: &[u8]) -> Bytes {
    changed(batch, |bytes| {
        bytes[at..][..field.len()].copy_from_slice(field);
    })
}

pub fn refusal(records: impl Into<Bytes>, rules: &Rules) -> BatchError {
    validate(records.into(), rules).expect_err("the batch should be refused")
}

/// What a test compares of the records that are blamed.
pub fn blamed(error: BatchError) -> (RecordErrorKind, Vec<i32>) {
    match error {
        BatchError::Records {
            kind,
            message,
            record_errors,
        } => {
            assert!(!message.is_empty());
            let index = |error: &RecordError| error.batch_index;
            (kind, record_errors.iter().map(index).collect())
        }
        other => panic!("no record is blamed: {other:?}"),
    }
}
