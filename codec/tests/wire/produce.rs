//! The Produce decoder against the library's.

use bytes::Bytes;
use kafka_protocol::messages::ProduceRequest as LibraryRequest;
use kafka_protocol::protocol::Decodable;
use klamm_codec::{ProduceRequest, TopicRef, decode_request, find_api};

use crate::bodies::{Style, random_body};
use crate::random::Random;

const SEED: u64 = 0x9100;

#[test]
fn random_produce_requests_are_read_as_the_library_reads_them() {
    let api = find_api(0).expect("Produce has a row");
    for version in 3..=13 {
        for round in 0..200 {
            let mut random = Random::of_case(SEED, 0, version, round);
            let style = if random.one_in(2) {
                Style::Any
            } else {
                Style::WithUnknownTags
            };
            let body = Bytes::from(random_body(api, version, style, &mut random).bytes);
            let library =
                LibraryRequest::decode(&mut body.clone(), version).expect("the body is valid");
            let ours = decode_request::<ProduceRequest>(version, body).expect("the body is valid");
            assert_same(
                version,
                &ours,
                &library,
                &format!("version {version} seed {SEED:#x} round {round}"),
            );
        }
    }
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
