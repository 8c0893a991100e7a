//! The Fetch decoder against the library's.

use bytes::Bytes;
use kafka_protocol::messages::FetchRequest as LibraryRequest;
use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::Decodable;
use klamm_codec::{
    DecodeError, Fault, FetchPartition, FetchRequest, FetchTopic, ForgottenTopic, ShapeError,
    TopicRef, decode_request,
};
use uuid::Uuid;

use crate::bodies::for_random_bodies;

const SEED: u64 = 0xfe7c5;

#[test]
fn random_fetch_requests_are_read_as_the_library_reads_them() {
    for_random_bodies(1, 4..=18, SEED, |version, body, case| {
        let library =
            LibraryRequest::decode(&mut body.clone(), version).expect("the body is valid");
        let ours = decode_request::<FetchRequest>(version, body).expect("the body is valid");
        assert_eq!(ours, as_ours(version, library), "{case}");
    });
}

#[test]
fn a_known_tag_must_fill_its_size() {
    // Fetch 18 with nothing but a replica state (tag 1) of 13 bytes, and with one that says it has 14.
    let body_of = |size: u8| {
        let mut body = vec![0; 21];
        body.extend([1, 1, 1, 1, 1, size]);
        body.extend([0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0]);
        Bytes::from(body)
    };
    let request = decode_request::<FetchRequest>(18, body_of(13)).expect("Kafka reads this");
    assert_eq!(request.replica_id, 5);
    let refused = decode_request::<FetchRequest>(18, body_of(14));
    let Err(DecodeError::Shape(ShapeError::Malformed { fault, .. })) = refused else {
        panic!("{refused:?}")
    };
    let expected = Fault::TagSizeWrong {
        tag: 1,
        declared: 14,
        actual: 13,
    };
    assert_eq!(fault, expected);
}

fn as_ours(version: i16, request: LibraryRequest) -> FetchRequest {
    let topic_ref = |name: TopicName, id: Uuid| {
        if version >= 13 {
            TopicRef::Id(id)
        } else {
            TopicRef::Name(name)
        }
    };
    let topics = request.topics.into_iter().map(|topic| FetchTopic {
        topic: topic_ref(topic.topic, topic.topic_id),
        partitions: topic
            .partitions
            .into_iter()
            .map(|partition| FetchPartition {
                index: partition.partition,
                current_leader_epoch: partition.current_leader_epoch,
                fetch_offset: partition.fetch_offset,
                last_fetched_epoch: partition.last_fetched_epoch,
                bytes_max: partition.partition_max_bytes,
            })
            .collect(),
    });
    let forgotten = request.forgotten_topics_data.into_iter();
    FetchRequest {
        replica_id: if version >= 15 {
            request.replica_state.replica_id.0
        } else {
            request.replica_id.0
        },
        max_wait_ms: request.max_wait_ms,
        min_bytes: request.min_bytes,
        max_bytes: request.max_bytes,
        isolation_level: request.isolation_level,
        session_id: request.session_id,
        session_epoch: request.session_epoch,
        topics: topics.collect(),
        forgotten: forgotten
            .map(|topic| ForgottenTopic {
                topic: topic_ref(topic.topic, topic.topic_id),
                partitions: topic.partitions,
            })
            .collect(),
    }
}
