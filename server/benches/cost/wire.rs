//! Requests to messages, and answers to bytes.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{BrokerId, FetchRequest, ProduceRequest, RequestHeader, TopicName};
use kafka_protocol::protocol::{Encodable, HeaderVersion, Request, StrBytes};
use klamm_codec::{
    FetchResponse, FetchedPartition, FetchedTopic, ProduceResponse, ProducedPartition,
    ProducedTopic, Segment, TopicRef,
};

use crate::harness::{Benchmark, Step};
use crate::records::Shape;

pub const BENCHMARKS: &[Benchmark] = &[
    Benchmark {
        name: "decode Produce, 1 partition",
        prepare: || decode_produce(1),
    },
    Benchmark {
        name: "decode Produce, 100 partitions",
        prepare: || decode_produce(100),
    },
    Benchmark {
        name: "decode Fetch, 2 partitions",
        prepare: || decode_fetch(2),
    },
    Benchmark {
        name: "decode Fetch, 100 partitions",
        prepare: || decode_fetch(100),
    },
    Benchmark {
        name: "encode the answer to Produce, 1 partition",
        prepare: || encode_produce(1),
    },
    Benchmark {
        name: "encode the answer to Produce, 100 partitions",
        prepare: || encode_produce(100),
    },
    Benchmark {
        name: "encode the answer to Fetch, 2 partitions",
        prepare: || encode_fetch(2),
    },
];

/// The last version that names topics.
pub const VERSION: i16 = 12;

fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

/// A whole request without its length prefix.
pub fn frame<R: Encodable + HeaderVersion + Request>(version: i16, request: &R) -> Bytes {
    let mut frame = BytesMut::new();
    RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(7)
        .with_client_id(Some(StrBytes::from_static_str("benchmark")))
        .encode(&mut frame, R::header_version(version))
        .expect("the header can be written");
    request
        .encode(&mut frame, version)
        .expect("the request can be written");
    frame.freeze()
}

/// The same batch for each of the first partitions of a topic, with acks=all.
pub fn produce_request(topic: &str, partition_count: i32, batch: &Bytes) -> ProduceRequest {
    let partitions = (0..partition_count)
        .map(|index| {
            PartitionProduceData::default()
                .with_index(index)
                .with_records(Some(batch.clone()))
        })
        .collect();
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![
            TopicProduceData::default()
                .with_name(topic_name(topic))
                .with_partition_data(partitions),
        ])
}

/// What lies behind an offset of each of the first partitions of a topic, up to 1 MB each, outside of a session.
pub fn fetch_request(topic: &str, partition_count: i32, offset: i64) -> FetchRequest {
    let partitions = (0..partition_count)
        .map(|index| {
            FetchPartition::default()
                .with_partition(index)
                .with_current_leader_epoch(-1)
                .with_fetch_offset(offset)
                .with_last_fetched_epoch(-1)
                .with_log_start_offset(-1)
                .with_partition_max_bytes(1 << 20)
        })
        .collect();
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_max_bytes(50 << 20)
        .with_session_id(0)
        .with_session_epoch(-1)
        .with_topics(vec![
            FetchTopic::default()
                .with_topic(topic_name(topic))
                .with_partitions(partitions),
        ])
}

fn decode_produce(partition_count: i32) -> Step {
    let batch = Shape::plain(10, 100).bytes();
    let frame = frame(VERSION, &produce_request("topic", partition_count, &batch));
    Box::new(move || {
        let (header, body) = klamm_codec::decode_request_header(black_box(frame.clone()))
            .expect("the header is well-formed");
        let request =
            klamm_codec::decode_request::<klamm_codec::ProduceRequest>(header.api_version, body);
        black_box(request.expect("the request is well-formed"));
    })
}

fn decode_fetch(partition_count: i32) -> Step {
    let frame = frame(VERSION, &fetch_request("topic", partition_count, 0));
    Box::new(move || {
        let (header, body) = klamm_codec::decode_request_header(black_box(frame.clone()))
            .expect("the header is well-formed");
        let request =
            klamm_codec::decode_request::<klamm_codec::FetchRequest>(header.api_version, body);
        black_box(request.expect("the request is well-formed"));
    })
}

fn encode_produce(partition_count: i32) -> Step {
    let name = TopicRef::Name(topic_name("topic"));
    Box::new(move || {
        let partitions = (0..partition_count)
            .map(|index| ProducedPartition {
                index,
                error_code: 0,
                base_offset: 1_000_000,
                log_append_time_ms: -1,
                log_start_offset: 0,
                record_errors: Vec::new(),
                error_message: None,
            })
            .collect();
        let response = ProduceResponse {
            topics: vec![ProducedTopic {
                topic: name.clone(),
                partitions,
            }],
        };
        let frame = klamm_codec::encode_response(7, VERSION, black_box(&response));
        black_box(frame.expect("the answer can be written"));
    })
}

fn encode_fetch(partition_count: i32) -> Step {
    let name = TopicRef::Name(topic_name("topic"));
    let records = Shape::plain(1, 1000).bytes();
    Box::new(move || {
        let partitions = (0..partition_count)
            .map(|index| FetchedPartition {
                index,
                error_code: 0,
                high_watermark: 1_000_000,
                last_stable_offset: 1_000_000,
                log_start_offset: 0,
                diverging_epoch: None,
                current_leader: None,
                snapshot_id: None,
                aborted_transactions: None,
                preferred_read_replica: Some(-1),
                records: Some(vec![Segment::Bytes(records.clone())]),
            })
            .collect();
        let response = FetchResponse::<std::convert::Infallible> {
            throttle_time_ms: 0,
            error_code: 0,
            session_id: 0,
            topics: vec![FetchedTopic {
                topic: name.clone(),
                partitions,
            }],
            node_endpoints: Vec::new(),
        };
        let frame = klamm_codec::encode_fetch_response(7, VERSION, black_box(response));
        black_box(frame.expect("the answer can be written"));
    })
}
