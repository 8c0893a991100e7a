//! Bytes that Apache Kafka 4.3.1 wrote, for the versions that the library lacks.

use bytes::Bytes;
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{
    DescribeLogDirsResponse, ListOffsetsRequest, OffsetCommitRequest, OffsetFetchRequest,
};
use kafka_protocol::protocol::StrBytes;
use klamm_codec::{
    TxnMarker, TxnMarkerTopic, WriteTxnMarkersRequest, decode_request, encode_response,
};
use uuid::Uuid;

const TOPIC_ID: Uuid = Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);

#[test]
fn offset_commit_10_names_topics_by_id() {
    let body = from_hex(
        "026700000007026d0269020102030405060708090a0b0c0d0e0f1003000000030000000000000063000000050278\
         00000000040000000000000064ffffffff00000000",
    );
    let request = decode_request::<OffsetCommitRequest>(10, body).expect("Kafka wrote it");
    assert_eq!(
        (
            request.group_id.as_str(),
            request.generation_id_or_member_epoch
        ),
        ("g", 7)
    );
    assert_eq!(
        (
            request.member_id.as_str(),
            request.group_instance_id.as_deref()
        ),
        ("m", Some("i"))
    );
    let [topic] = &request.topics[..] else {
        panic!("{request:?}")
    };
    assert_eq!(topic.topic_id, TOPIC_ID);
    let partitions: Vec<_> = topic
        .partitions
        .iter()
        .map(|it| {
            (
                it.partition_index,
                it.committed_offset,
                it.committed_leader_epoch,
                it.committed_metadata.as_deref(),
            )
        })
        .collect();
    assert_eq!(partitions, [(3, 99, 5, Some("x")), (4, 100, -1, None)]);
}

#[test]
fn offset_fetch_10_names_topics_by_id() {
    let body = from_hex(
        "030267026d00000002020102030405060708090a0b0c0d0e0f100300000000000000010000026800ffffffff00000100",
    );
    let request = decode_request::<OffsetFetchRequest>(10, body).expect("Kafka wrote it");
    assert!(request.require_stable);
    let [first, second] = &request.groups[..] else {
        panic!("{request:?}")
    };
    assert_eq!(
        (
            first.group_id.as_str(),
            first.member_id.as_deref(),
            first.member_epoch
        ),
        ("g", Some("m"), 2)
    );
    let topics: Vec<_> = first
        .topics
        .iter()
        .flatten()
        .map(|it| (it.topic_id, it.partition_indexes.clone()))
        .collect();
    assert_eq!(topics, [(TOPIC_ID, vec![0, 1])]);
    assert_eq!(
        (
            second.group_id.as_str(),
            second.member_id.as_deref(),
            second.member_epoch
        ),
        ("h", None, -1)
    );
    assert_eq!(second.topics, None);
}

#[test]
fn write_txn_markers_2_says_the_transaction_version() {
    let marker = |transaction_version| WriteTxnMarkersRequest {
        markers: vec![TxnMarker {
            producer_id: 11.into(),
            producer_epoch: 2,
            transaction_result: true,
            topics: vec![TxnMarkerTopic {
                name: StrBytes::from_static_str("t").into(),
                partition_indexes: vec![0, 5],
            }],
            coordinator_epoch: 6,
            transaction_version,
        }],
    };
    let body = from_hex("02000000000000000b00020102027403000000000000000500000000060000");
    assert_eq!(decode_request(1, body), Ok(marker(0)));
    let body = from_hex("02000000000000000b0002010202740300000000000000050000000006020000");
    assert_eq!(decode_request(2, body), Ok(marker(2)));
}

#[test]
fn list_offsets_11_has_the_bytes_of_version_10() {
    let body = from_hex("ffffffff01020274020000000200000004fffffffffffffffa00000000001e00");
    let request = decode_request::<ListOffsetsRequest>(11, body.clone()).expect("Kafka wrote it");
    assert_eq!(Ok(&request), decode_request(10, body).as_ref());
    assert_eq!((request.isolation_level, request.timeout_ms), (1, 30));
    let partition = &request.topics[0].partitions[0];
    assert_eq!(
        (
            partition.partition_index,
            partition.current_leader_epoch,
            partition.timestamp
        ),
        (2, 4, -6)
    );
}

#[test]
fn describe_log_dirs_5_says_that_no_directory_is_cordoned() {
    let partition = DescribeLogDirsPartition::default()
        .with_partition_index(1)
        .with_partition_size(77)
        .with_offset_lag(3)
        .with_is_future_key(true);
    let topic = DescribeLogDirsTopic::default()
        .with_name(StrBytes::from_static_str("t").into())
        .with_partitions(vec![partition]);
    let result = DescribeLogDirsResult::default()
        .with_log_dir(StrBytes::from_static_str("/d"))
        .with_topics(vec![topic])
        .with_total_bytes(1000)
        .with_usable_bytes(500);
    let response = DescribeLogDirsResponse::default()
        .with_throttle_time_ms(1)
        .with_results(vec![result]);
    let frame = encode_response(9, 5, &response).expect("version 5 is written here");
    let body = from_hex(
        "000000010000020000032f640202740200000001000000000000004d000000000000000301000000\
         000000000003e800000000000001f4000000",
    );
    let header = [
        &((body.len() + 5) as i32).to_be_bytes()[..],
        &[0, 0, 0, 9, 0],
    ]
    .concat();
    assert_eq!(frame, [&header[..], &body[..]].concat());
}

fn from_hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("hex is ASCII");
        u8::from_str_radix(pair, 16).expect("hex digits come in pairs")
    };
    digits.chunks(2).map(byte).collect()
}
