//! The Produce decoder and encoder against the library's.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::produce_response as library;
use kafka_protocol::messages::{
    ProduceRequest as LibraryRequest, ProduceResponse as LibraryResponse, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use klamm_codec::{
    EncodeError, ProduceRequest, ProduceResponse, ProducedPartition, ProducedRecordError,
    ProducedTopic, TopicRef, decode_request, encode_response,
};
use uuid::Uuid;

use crate::bodies::for_random_bodies;
use crate::random::Random;

const SEED: u64 = 0x9100;
const CORRELATION_ID: i32 = 0x0a0b_0c0d;

#[test]
fn random_produce_requests_are_read_as_the_library_reads_them() {
    for_random_bodies(0, 3..=13, SEED, |version, body, case| {
        let library =
            LibraryRequest::decode(&mut body.clone(), version).expect("the body is valid");
        let ours = decode_request::<ProduceRequest>(version, body).expect("the body is valid");
        assert_same(version, &ours, &library, case);
    });
}

#[test]
fn records_are_views_of_the_frame() {
    // Version 3: no transactional id, acks 1, timeout 0, topic "t", partition 0, records "abc".
    let body = Bytes::from_static(
        b"\xff\xff\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01t\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x03abc",
    );
    let request = decode_request::<ProduceRequest>(3, body.clone()).expect("the body is valid");
    let records = request.topics[0].partitions[0]
        .records
        .as_ref()
        .expect("there are records");
    assert_eq!(records.as_ref(), b"abc");
    assert_eq!(records.as_ptr(), body[body.len() - 3..].as_ptr());
}

#[test]
fn random_produce_responses_are_the_bytes_of_the_library() {
    for version in 3..=13 {
        for round in 0..300 {
            let mut random = Random::of_case(SEED, 1, version, round);
            let response = random_response(version, &mut random);
            let frame = encode_response(CORRELATION_ID, version, &response)
                .expect("the response fits the version");
            assert_eq!(
                frame,
                library_frame(version, &response),
                "version {version} seed {SEED:#x} round {round}"
            );
        }
    }
}

#[test]
fn a_topic_named_in_the_wrong_way_for_the_version_is_refused() {
    for (version, topic) in [
        (12, TopicRef::Id(Uuid::nil())),
        (13, TopicRef::Name(TopicName::default())),
    ] {
        let topics = vec![ProducedTopic {
            topic,
            partitions: Vec::new(),
        }];
        let refused = encode_response(1, version, &ProduceResponse { topics });
        assert!(
            matches!(refused, Err(EncodeError::Unwritable { api_key: 0, .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn a_version_that_no_client_may_use_is_not_written() {
    for version in [2, 14] {
        let refused = encode_response(1, version, &ProduceResponse { topics: Vec::new() });
        assert!(
            matches!(refused, Err(EncodeError::UnsupportedVersion { .. })),
            "{refused:?}"
        );
    }
}

fn random_response(version: i16, random: &mut Random) -> ProduceResponse {
    let mut topics = Vec::new();
    for _ in 0..random.below(4) {
        let topic = if version >= 13 {
            TopicRef::Id(Uuid::from_u128(random.next().into()))
        } else {
            TopicRef::Name(TopicName(StrBytes::from_string(random.text(200))))
        };
        let partitions = (0..random.below(200))
            .map(|_| random_partition(random))
            .collect();
        topics.push(ProducedTopic { topic, partitions });
    }
    ProduceResponse { topics }
}

fn random_partition(random: &mut Random) -> ProducedPartition {
    let text = |random: &mut Random| (!random.one_in(3)).then(|| random.text(150));
    let error_count = if random.one_in(4) { random.below(9) } else { 0 };
    ProducedPartition {
        index: random.next() as i32,
        error_code: random.next() as i16,
        base_offset: random.next() as i64,
        log_append_time_ms: random.next() as i64,
        log_start_offset: random.next() as i64,
        record_errors: (0..error_count)
            .map(|_| ProducedRecordError {
                batch_index: random.next() as i32,
                message: text(random),
            })
            .collect(),
        error_message: text(random),
    }
}

fn library_frame(version: i16, response: &ProduceResponse) -> Bytes {
    let text = |text: &Option<String>| text.clone().map(StrBytes::from_string);
    let partition = |partition: &ProducedPartition| {
        let answer = library::PartitionProduceResponse::default()
            .with_index(partition.index)
            .with_error_code(partition.error_code)
            .with_base_offset(partition.base_offset)
            .with_log_append_time_ms(partition.log_append_time_ms)
            .with_log_start_offset(if version >= 5 {
                partition.log_start_offset
            } else {
                -1
            });
        if version < 8 {
            return answer;
        }
        let errors = partition.record_errors.iter().map(|error| {
            library::BatchIndexAndErrorMessage::default()
                .with_batch_index(error.batch_index)
                .with_batch_index_error_message(text(&error.message))
        });
        answer
            .with_record_errors(errors.collect())
            .with_error_message(text(&partition.error_message))
    };
    let topics = response.topics.iter().map(|topic| {
        let answer = library::TopicProduceResponse::default()
            .with_partition_responses(topic.partitions.iter().map(partition).collect());
        match &topic.topic {
            TopicRef::Name(name) => answer.with_name(name.clone()),
            TopicRef::Id(id) => answer.with_topic_id(*id),
        }
    });
    let mut body = BytesMut::new();
    LibraryResponse::default()
        .with_responses(topics.collect())
        .encode(&mut body, version)
        .expect("the library writes it");
    let header_bytes = if version >= 9 { 5 } else { 4 };
    let mut frame = BytesMut::new();
    frame.put_i32((header_bytes + body.len()) as i32);
    frame.put_i32(CORRELATION_ID);
    if version >= 9 {
        frame.put_u8(0);
    }
    frame.put_slice(&body);
    frame.freeze()
}

fn assert_same(version: i16, ours: &ProduceRequest, library: &LibraryRequest, case: &str) {
    assert_eq!(ours.transactional_id, library.transactional_id, "{case}");
    assert_eq!(
        (ours.acks, ours.timeout_ms),
        (library.acks, library.timeout_ms),
        "{case}"
    );
    assert_eq!(ours.topics.len(), library.topic_data.len(), "{case}");
    for (our_topic, topic) in ours.topics.iter().zip(&library.topic_data) {
        let named = if version >= 13 {
            TopicRef::Id(topic.topic_id)
        } else {
            TopicRef::Name(topic.name.clone())
        };
        assert_eq!(our_topic.topic, named, "{case}");
        let our_partitions: Vec<_> = our_topic
            .partitions
            .iter()
            .map(|it| (it.index, it.records.clone()))
            .collect();
        let partitions: Vec<_> = topic
            .partition_data
            .iter()
            .map(|it| (it.index, it.records.clone()))
            .collect();
        assert_eq!(our_partitions, partitions, "{case}");
    }
}
