//! Produce: good batches with every codec, and batches that are wrong in one place.

use super::draft::{Draft, TopicRef};
use crate::differential::batch::{
    BatchDamage, BatchTemplate, CONTROL, DELETE_HORIZON, LOG_APPEND_TIME, Record, TRANSACTIONAL,
};
use crate::differential::compression::Codec;
use crate::differential::plan::{Reply, Request};
use crate::differential::template::{Template, array, object};

pub const PRODUCE: i16 = 0;

/// From this version on a request may hold zstd; earlier ones are refused.
const ZSTD_VERSION: i16 = 7;

/// Acknowledged by all, by the leader, and two numbers that mean nothing.
const ACKS: &[i16] = &[-1, 1, 2, -2];

pub fn good(draft: &mut Draft<'_>) {
    let mut topics = Vec::new();
    for topic in draft.some_topics(2) {
        let mut partitions = Vec::new();
        for partition in draft.some_partitions(&topic, 2) {
            let batch = good_batch(draft);
            draft.advance(&topic.name, partition, batch.count.into());
            partitions.push((partition, Template::Batches(vec![batch])));
        }
        topics.push((topic, partitions));
    }
    let acks = draft.mostly(-1, ACKS);
    let request = request(draft, acks, topics);
    draft.ask(request);
}

pub fn broken(draft: &mut Draft<'_>) {
    let topic = draft.any_topic();
    let partition = draft.partition(&topic);
    let records = match draft.weighted(&[120, 1, 8, 15, 8, 8]) {
        0 => {
            let batch = broken_batch(draft);
            Template::Batches(vec![batch])
        }
        // Apache Kafka never answers these, so they are few.
        1 => Template::null(),
        2 => Vec::new().into(),
        3 => {
            let batches = vec![good_batch(draft), good_batch(draft)];
            Template::Batches(batches)
        }
        4 => {
            let length = draft.pick(&[1, 11, 12, 17, 60, 61, 62, 100]);
            draft.bytes(length).into()
        }
        _ => {
            let batches = vec![good_batch(draft), broken_batch(draft)];
            Template::Batches(batches)
        }
    };
    let mut partitions = vec![(partition, records)];
    if draft.chance(0.05) {
        partitions.push(partitions[0].clone());
    }
    let acks = draft.pick(&[-1, 1]);
    let mut request = request(draft, acks, vec![(topic, partitions)]);
    if draft.chance(0.05) {
        let id = draft.pick(&["", "a-transaction"]);
        request.body = request.body.with("transactionalId", id);
    }
    draft.ask(request);
}

/// Nothing is answered; a mistake closes the connection.
pub fn unacknowledged(draft: &mut Draft<'_>) {
    let topic = draft.any_topic();
    let partition = draft.partition(&topic);
    let batch = if draft.chance(0.6) {
        good_batch(draft)
    } else {
        broken_batch(draft)
    };
    let records = Template::Batches(vec![batch]);
    let mut request = request(draft, 0, vec![(topic, vec![(partition, records)])]);
    request.reply = Reply::Silence;
    draft.ask(request);
}

/// A Produce request at any version that can hold it, mostly.
pub fn request(
    draft: &mut Draft<'_>,
    acks: i16,
    topics: Vec<(TopicRef, Vec<(i32, Template)>)>,
) -> Request {
    let body = body(draft, acks, topics);
    let version = draft.version(PRODUCE);
    let needs_zstd = has_zstd(&body) && version < ZSTD_VERSION;
    let version = if needs_zstd && draft.chance(0.8) {
        version.max(ZSTD_VERSION)
    } else {
        version
    };
    draft.request_at(PRODUCE, version, body)
}

/// The body of a Produce request without a transaction.
pub fn body(
    draft: &mut Draft<'_>,
    acks: i16,
    topics: Vec<(TopicRef, Vec<(i32, Template)>)>,
) -> Template {
    let topics = topics.into_iter().map(|(topic, partitions)| {
        object([
            ("name", topic.name.into()),
            ("topicId", topic.id),
            (
                "partitionData",
                array(partitions.into_iter().map(|(index, records)| {
                    object([("index", index.into()), ("records", records)])
                })),
            ),
        ])
    });
    let topics = array(topics);
    object([
        ("transactionalId", Template::null()),
        ("acks", acks.into()),
        ("timeoutMs", draft.mostly(30_000, &[1_000, 0, -1]).into()),
        ("topicData", topics),
    ])
}

fn has_zstd(template: &Template) -> bool {
    match template {
        Template::Batches(batches) => batches.iter().any(|batch| batch.codec == Codec::Zstd),
        Template::Array(elements) => elements.iter().any(has_zstd),
        Template::Object(fields) => fields.iter().any(|(_, value)| has_zstd(value)),
        Template::Fixed(_) | Template::Variable(..) | Template::Shifted(..) => false,
    }
}

/// A batch of up to five records.
pub fn good_batch(draft: &mut Draft<'_>) -> BatchTemplate {
    let count = draft.pick(&[1, 1, 2, 3, 5]);
    let records = (0..count).map(|index| record(draft, index)).collect();
    let timestamp = draft.timestamp();
    let codec = draft.mostly(Codec::None, &Codec::ALL);
    BatchTemplate::good(records, timestamp, codec)
}

fn record(draft: &mut Draft<'_>, index: i32) -> Record {
    let pools: [&[Option<&[u8]>]; 2] = [
        &[
            Some(b"key-a"),
            Some(b"key-a"),
            Some(b"key-b"),
            Some(b""),
            None,
        ],
        &[
            Some(b"value"),
            Some(b"value"),
            Some(b"\xff\x00"),
            Some(b""),
            None,
        ],
    ];
    let key = draft.pick(pools[0]).map(<[u8]>::to_vec);
    let mut value = draft.pick(pools[1]).map(<[u8]>::to_vec);
    if draft.chance(0.1) {
        value = Some(vec![b'x'; draft.pick(&[200, 1_000, 5_000])]);
    }
    let headers = match draft.weighted(&[20, 4, 1]) {
        0 => Vec::new(),
        1 => vec![(b"h".to_vec(), Some(b"1".to_vec())), (b"h".to_vec(), None)],
        _ => vec![(b"\xfe".to_vec(), Some(Vec::new()))],
    };
    Record {
        attributes: 0,
        timestamp_delta: draft.pick(&[0, 1, i64::from(index) * 10, -1]),
        offset_delta: index,
        key,
        value,
        headers,
        length_error: 0,
    }
}

/// A good batch with one mistake.
pub fn broken_batch(draft: &mut Draft<'_>) -> BatchTemplate {
    let mut batch = good_batch(draft);
    match draft.weighted(&[10, 10, 6]) {
        0 => batch.damage = Some(any_damage(draft, &mut batch)),
        1 => break_header(draft, &mut batch),
        _ => break_record(draft, &mut batch),
    }
    batch
}

fn any_damage(draft: &mut Draft<'_>, batch: &mut BatchTemplate) -> BatchDamage {
    match draft.weighted(&[3, 2, 2, 2, 2, 2, 2, 2, 2]) {
        0 => BatchDamage::Checksum,
        1 => BatchDamage::Length(draft.pick(&[1, -1, 10, -10, 1_000_000])),
        2 => BatchDamage::Cut(draft.pick(&[1, 5, 20])),
        3 => BatchDamage::TrailingBytes(draft.pick(&[1, 11, 12, 17, 61])),
        4 => BatchDamage::TrailingRecordBytes(draft.pick(&[1, 7])),
        5 => BatchDamage::Records,
        6 => BatchDamage::UnknownCodec(draft.pick(&[5, 6, 7])),
        7 => {
            batch.magic = draft.pick(&[0, 1]);
            BatchDamage::OldFormat
        }
        _ => BatchDamage::LengthIs(draft.pick(&[0, -1, 13, 14, 48, 49, i32::MAX, i32::MIN])),
    }
}

fn break_header(draft: &mut Draft<'_>, batch: &mut BatchTemplate) {
    match draft.weighted(&[2, 1, 3, 4, 3, 2, 2, 2, 2, 2]) {
        0 => batch.base_offset = draft.pick(&[1, 5, -1, i64::MAX]),
        1 => batch.leader_epoch = draft.pick(&[0, 7, i32::MAX]),
        2 => batch.magic = draft.pick(&[0, 1, 3, -1, 127]),
        3 => {
            batch.attributes = draft.pick(&[
                LOG_APPEND_TIME,
                TRANSACTIONAL,
                CONTROL,
                CONTROL | TRANSACTIONAL,
                DELETE_HORIZON,
                1 << 7,
                i16::MIN,
            ]);
        }
        4 => batch.last_offset_delta = draft.pick(&[-1, 0, 1, 7, i32::MAX]),
        5 => batch.base_timestamp = draft.timestamp(),
        6 => batch.max_timestamp = draft.timestamp(),
        7 => batch.count = draft.pick(&[0, -1, 1, 7, i32::MAX]),
        8 => {
            batch.producer_id = draft.pick(&[4_000, 0, -2]);
            batch.producer_epoch = draft.pick(&[-1, 0, 1]);
            batch.base_sequence = draft.pick(&[-1, 0, 1]);
        }
        _ => {
            batch.records.clear();
            batch.count = 0;
            batch.last_offset_delta = draft.pick(&[-1, 0, 1]);
        }
    }
}

fn break_record(draft: &mut Draft<'_>, batch: &mut BatchTemplate) {
    let position = draft.between(0..=batch.records.len() as i64 - 1) as usize;
    match draft.weighted(&[3, 2, 2, 2]) {
        0 => batch.records[position].offset_delta = draft.pick(&[-1, 0, 1, 9, i32::MAX]),
        1 => batch.records[position].length_error = draft.pick(&[1, -1, 5, -100, 100_000]),
        2 => batch.records[position].attributes = draft.pick(&[1, -1]),
        _ => {
            batch.records[position].timestamp_delta = draft.pick(&[i64::MAX, i64::MIN, 10_000_000])
        }
    }
}
