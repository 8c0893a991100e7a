//! The Fetch response encoder against the library's.

use std::convert::Infallible;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::fetch_response as library;
use kafka_protocol::messages::{BrokerId, FetchResponse as LibraryResponse, ProducerId, TopicName};
use kafka_protocol::protocol::{Encodable, StrBytes};
use klamm_codec::{
    AbortedTransaction, EncodeError, EpochEndOffset, FetchResponse, FetchedPartition, FetchedTopic,
    FileRange, LeaderIdAndEpoch, NodeEndpoint, Segment, SnapshotId, TopicRef,
    encode_fetch_response,
};
use uuid::Uuid;

use crate::random::Random;

const SEED: u64 = 0xfe7c4;
const CORRELATION_ID: i32 = 0x0a0b_0c0d;

/// Stands for a range of a file: bytes that the encoder may not look at.
#[derive(Debug, Clone, PartialEq)]
struct PretendFile(Bytes);

impl FileRange for PretendFile {
    fn length_bytes(&self) -> usize {
        self.0.len()
    }
}

#[test]
fn the_joined_segments_of_random_responses_are_the_bytes_of_the_library() {
    for version in 4..=18 {
        for round in 0..300 {
            let mut random = Random::of_case(SEED, 1, version, round);
            let response = random_response(version, &mut random);
            let expected = library_frame(version, &response);
            let records: Vec<Segment<PretendFile>> = record_segments(&response);
            let segments = encode_fetch_response(CORRELATION_ID, version, response)
                .expect("the response fits the version");
            let case = format!("version {version} seed {SEED:#x} round {round}");
            assert_eq!(join(&segments), expected, "{case}");
            let kept = records.iter().filter(|segment| segment.length_bytes() > 0);
            assert!(
                kept.clone().all(|segment| segments.contains(segment)),
                "{case}"
            );
            assert!(
                segments.iter().all(|segment| segment.length_bytes() > 0),
                "{case}"
            );
        }
    }
}

#[test]
fn record_bytes_are_handed_on_without_a_copy() {
    let records = Bytes::from(vec![7; 4096]);
    let response: FetchResponse<Infallible> = FetchResponse {
        throttle_time_ms: 0,
        error_code: 0,
        session_id: 0,
        topics: vec![FetchedTopic {
            topic: TopicRef::Id(Uuid::from_u128(1)),
            partitions: vec![partition(Some(vec![Segment::Bytes(records.clone())]))],
        }],
        node_endpoints: Vec::new(),
    };
    let segments = encode_fetch_response(1, 18, response).expect("the response fits the version");
    let [_, Segment::Bytes(sent), _] = &segments[..] else {
        panic!("{segments:?}")
    };
    assert_eq!(sent.as_ptr(), records.as_ptr());
}

#[test]
fn partitions_without_records_do_not_cut_the_response() {
    // A response is as many segments as it has records, and one more on either side: here one.
    let empty = [
        None,
        Some(Vec::new()),
        Some(vec![Segment::Bytes(Bytes::new())]),
    ];
    let response: FetchResponse<Infallible> = FetchResponse {
        throttle_time_ms: 0,
        error_code: 0,
        session_id: 0,
        topics: vec![FetchedTopic {
            topic: TopicRef::Id(Uuid::from_u128(1)),
            partitions: empty.into_iter().map(partition).collect(),
        }],
        node_endpoints: Vec::new(),
    };
    let segments = encode_fetch_response(1, 18, response).expect("the response fits the version");
    assert_eq!(segments.len(), 1);
}

#[test]
fn a_topic_named_in_the_wrong_way_for_the_version_is_an_error() {
    for (version, topic) in [
        (12, TopicRef::Id(Uuid::nil())),
        (13, TopicRef::Name(TopicName::default())),
    ] {
        let response: FetchResponse<Infallible> = FetchResponse {
            throttle_time_ms: 0,
            error_code: 0,
            session_id: 0,
            topics: vec![FetchedTopic {
                topic,
                partitions: vec![partition(None)],
            }],
            node_endpoints: Vec::new(),
        };
        let refused = encode_fetch_response(1, version, response);
        assert!(
            matches!(refused, Err(EncodeError::Unwritable { api_key: 1, .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn a_response_longer_than_a_frame_can_say_is_an_error() {
    // Ranges of a file can be huge without being in memory.
    struct Gibibyte;
    impl FileRange for Gibibyte {
        fn length_bytes(&self) -> usize {
            1 << 30
        }
    }
    let one = || FetchedPartition {
        records: Some(vec![Segment::File(Gibibyte)]),
        ..partition(None)
    };
    let response = FetchResponse {
        throttle_time_ms: 0,
        error_code: 0,
        session_id: 0,
        topics: vec![FetchedTopic {
            topic: TopicRef::Id(Uuid::nil()),
            partitions: vec![one(), one()],
        }],
        node_endpoints: Vec::new(),
    };
    let refused = encode_fetch_response(1, 18, response).map(|segments| segments.len());
    assert!(
        matches!(refused, Err(EncodeError::TooLong { length }) if length > i32::MAX as usize),
        "{refused:?}"
    );
}

fn partition<F>(records: Option<Vec<Segment<F>>>) -> FetchedPartition<F> {
    FetchedPartition {
        index: 0,
        error_code: 0,
        high_watermark: 0,
        last_stable_offset: 0,
        log_start_offset: 0,
        diverging_epoch: None,
        current_leader: None,
        snapshot_id: None,
        aborted_transactions: None,
        preferred_read_replica: None,
        records,
    }
}

fn random_response(version: i16, random: &mut Random) -> FetchResponse<PretendFile> {
    let has_id = version >= 13;
    let mut topics = Vec::new();
    for _ in 0..random.below(4) {
        let id = Uuid::from_u128(u128::from(random.next()) << 64 | u128::from(random.next()));
        let name = TopicName(StrBytes::from_string(random.text(20)));
        topics.push(FetchedTopic {
            topic: if has_id {
                TopicRef::Id(id)
            } else {
                TopicRef::Name(name)
            },
            partitions: (0..random.below(4))
                .map(|_| random_partition(random))
                .collect(),
        });
    }
    let node_endpoints = (0..random.below(3)).map(|_| NodeEndpoint {
        node_id: random.next() as i32,
        host: random.text(40),
        port: random.next() as i32,
        rack: if random.one_in(2) {
            Some(random.text(5))
        } else {
            None
        },
    });
    let node_endpoints = node_endpoints.collect();
    FetchResponse {
        throttle_time_ms: random.next() as i32,
        error_code: random.next() as i16,
        session_id: random.next() as i32,
        topics,
        node_endpoints,
    }
}

fn random_partition(random: &mut Random) -> FetchedPartition<PretendFile> {
    let mut number = || random.next() as i64;
    let mut partition = FetchedPartition {
        index: number() as i32,
        error_code: number() as i16,
        high_watermark: number(),
        last_stable_offset: number(),
        log_start_offset: number(),
        ..partition(None)
    };
    if random.one_in(3) {
        partition.diverging_epoch = Some(EpochEndOffset {
            epoch: -1,
            end_offset: random.below(2) as i64 - 1,
        });
    }
    if random.one_in(3) {
        partition.current_leader = Some(LeaderIdAndEpoch {
            leader_id: random.below(2) as i32 - 1,
            leader_epoch: -1,
        });
    }
    if random.one_in(3) {
        partition.snapshot_id = Some(SnapshotId {
            end_offset: random.below(2) as i64 - 1,
            epoch: -1,
        });
    }
    if random.one_in(2) {
        let aborted = (0..random.below(4)).map(|_| AbortedTransaction {
            producer_id: random.next() as i64,
            first_offset: random.next() as i64,
        });
        partition.aborted_transactions = Some(aborted.collect());
    }
    if random.one_in(3) {
        partition.preferred_read_replica = Some(random.next() as i32);
    }
    if !random.one_in(4) {
        let segments = (0..random.below(4)).map(|_| {
            let length = random.below(300);
            let bytes = Bytes::from(random.bytes(length));
            if random.one_in(2) {
                Segment::Bytes(bytes)
            } else {
                Segment::File(PretendFile(bytes))
            }
        });
        partition.records = Some(segments.collect());
    }
    partition
}

fn record_segments(response: &FetchResponse<PretendFile>) -> Vec<Segment<PretendFile>> {
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    partitions
        .flat_map(|partition| partition.records.iter().flatten().cloned())
        .collect()
}

fn join(segments: &[Segment<PretendFile>]) -> Bytes {
    let mut joined = BytesMut::new();
    for segment in segments {
        match segment {
            Segment::Bytes(bytes) | Segment::File(PretendFile(bytes)) => joined.put_slice(bytes),
        }
    }
    joined.freeze()
}

/// The frame that the library writes for the same response, without the fields that the version lacks.
fn library_frame(version: i16, response: &FetchResponse<PretendFile>) -> Bytes {
    let mut message = LibraryResponse::default().with_throttle_time_ms(response.throttle_time_ms);
    if version >= 7 {
        message.error_code = response.error_code;
        message.session_id = response.session_id;
    }
    message.responses = response
        .topics
        .iter()
        .map(|topic| library_topic(version, topic))
        .collect();
    if version >= 16 {
        let endpoints = response.node_endpoints.iter().map(|endpoint| {
            library::NodeEndpoint::default()
                .with_node_id(BrokerId(endpoint.node_id))
                .with_host(StrBytes::from_string(endpoint.host.clone()))
                .with_port(endpoint.port)
                .with_rack(endpoint.rack.clone().map(StrBytes::from_string))
        });
        message.node_endpoints = endpoints.collect();
    }
    let mut content = BytesMut::new();
    content.put_i32(CORRELATION_ID);
    if version >= 12 {
        content.put_u8(0);
    }
    message
        .encode(&mut content, version)
        .expect("the response fits the version");
    let mut frame = BytesMut::new();
    frame.put_i32(content.len() as i32);
    frame.put(content);
    frame.freeze()
}

fn library_topic(
    version: i16,
    topic: &FetchedTopic<PretendFile>,
) -> library::FetchableTopicResponse {
    let partitions = topic
        .partitions
        .iter()
        .map(|partition| library_partition(version, partition))
        .collect();
    let message = library::FetchableTopicResponse::default().with_partitions(partitions);
    match &topic.topic {
        TopicRef::Name(name) => message.with_topic(name.clone()),
        TopicRef::Id(id) => message.with_topic_id(*id),
    }
}

fn library_partition(
    version: i16,
    partition: &FetchedPartition<PretendFile>,
) -> library::PartitionData {
    let aborted = partition.aborted_transactions.as_ref().map(|aborted| {
        let message = |transaction: &AbortedTransaction| {
            library::AbortedTransaction::default()
                .with_producer_id(ProducerId(transaction.producer_id))
                .with_first_offset(transaction.first_offset)
        };
        aborted.iter().map(message).collect()
    });
    let mut message = library::PartitionData::default()
        .with_partition_index(partition.index)
        .with_error_code(partition.error_code)
        .with_high_watermark(partition.high_watermark)
        .with_last_stable_offset(partition.last_stable_offset)
        .with_log_start_offset(partition.log_start_offset)
        .with_aborted_transactions(aborted)
        .with_records(partition.records.as_ref().map(|records| join(records)));
    if let Some(replica) = partition.preferred_read_replica.filter(|_| version >= 11) {
        message.preferred_read_replica = BrokerId(replica);
    }
    if version < 12 {
        return message;
    }
    if let Some(end) = partition.diverging_epoch {
        message.diverging_epoch = library::EpochEndOffset::default()
            .with_epoch(end.epoch)
            .with_end_offset(end.end_offset);
    }
    if let Some(leader) = partition.current_leader {
        message.current_leader = library::LeaderIdAndEpoch::default()
            .with_leader_id(BrokerId(leader.leader_id))
            .with_leader_epoch(leader.leader_epoch);
    }
    if let Some(snapshot) = partition.snapshot_id {
        message.snapshot_id = library::SnapshotId::default()
            .with_end_offset(snapshot.end_offset)
            .with_epoch(snapshot.epoch);
    }
    message
}
