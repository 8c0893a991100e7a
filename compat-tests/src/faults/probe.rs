//! A client that hides nothing: every error code is seen, nothing is tried again behind our back.

use std::net::SocketAddr;

use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{CreateTopicsRequest, FetchRequest, ProduceRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::differential::batch::Record;
use crate::differential::compression::Codec;
use crate::soak::batches::{self, Content, Stamp};
use crate::soak::link::Link;
use crate::suites::{Failure, Outcome};

pub const KAFKA_STORAGE_ERROR: i16 = 56;

const ACKS_ALL: i16 = -1;
const TIMEOUT_MS: i32 = 10_000;
const FETCH_BYTES_MAX: i32 = 4 << 20;

/// An error code of the protocol, or an answer.
pub type Answer<T> = Result<T, i16>;

#[derive(Debug)]
pub struct Probe {
    link: Link,
}

/// A record as it stands in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub offset: i64,
    pub value: Vec<u8>,
}

impl Probe {
    pub fn new(address: SocketAddr) -> Self {
        Self {
            link: Link::new(address, "faults"),
        }
    }

    pub fn create_topic(&mut self, name: &str) -> Outcome<Answer<()>> {
        let topic = CreatableTopic::default()
            .with_name(TopicName(text(name)))
            .with_num_partitions(1)
            .with_replication_factor(1);
        let request = CreateTopicsRequest::default()
            .with_timeout_ms(TIMEOUT_MS)
            .with_topics(vec![topic]);
        let answer = self.link.call(7, &request).map_err(Failure::new)?;
        let code = answer.topics.first().map(|topic| topic.error_code);
        match code.ok_or_else(|| Failure::new("CreateTopics answers for no topic"))? {
            0 => Ok(Ok(())),
            code => Ok(Err(code)),
        }
    }

    /// Writes one record to partition 0 with `acks=all`: its offset.
    pub fn produce(&mut self, topic: &str, value: &[u8]) -> Outcome<Answer<i64>> {
        let partition = PartitionProduceData::default()
            .with_index(0)
            .with_records(Some(batch_of(value).into()));
        let topic = TopicProduceData::default()
            .with_name(TopicName(text(topic)))
            .with_partition_data(vec![partition]);
        let request = ProduceRequest::default()
            .with_acks(ACKS_ALL)
            .with_timeout_ms(TIMEOUT_MS)
            .with_topic_data(vec![topic]);
        let answer = self
            .link
            .call(9, &request)
            .map_err(|error| Failure::new(error).during("Produce"))?;
        let partition = answer
            .responses
            .first()
            .and_then(|topic| topic.partition_responses.first())
            .ok_or_else(|| Failure::new("Produce answers for no partition"))?;
        match partition.error_code {
            0 => Ok(Ok(partition.base_offset)),
            code => Ok(Err(code)),
        }
    }

    /// The records of partition 0 from an offset on, as many as one answer has.
    pub fn fetch(&mut self, topic: &str, from: i64) -> Outcome<Answer<Vec<Found>>> {
        let partition = FetchPartition::default()
            .with_partition(0)
            .with_fetch_offset(from)
            .with_partition_max_bytes(FETCH_BYTES_MAX);
        let topic = FetchTopic::default()
            .with_topic(TopicName(text(topic)))
            .with_partitions(vec![partition]);
        let request = FetchRequest::default()
            .with_max_wait_ms(0)
            .with_min_bytes(0)
            .with_max_bytes(FETCH_BYTES_MAX)
            .with_session_epoch(-1)
            .with_topics(vec![topic]);
        let answer = self
            .link
            .call(12, &request)
            .map_err(|error| Failure::new(error).during("Fetch"))?;
        let partition = answer
            .responses
            .first()
            .and_then(|topic| topic.partitions.first())
            .ok_or_else(|| Failure::new("Fetch answers for no partition"))?;
        if partition.error_code != 0 {
            return Ok(Err(partition.error_code));
        }
        let bytes = partition.records.as_deref().unwrap_or_default();
        let mut found = Vec::new();
        for batch in batches::decode(bytes).map_err(Failure::new)? {
            if let Content::Records(records) = batch.content {
                found.extend(records.into_iter().map(|(offset, record)| Found {
                    offset,
                    value: record.value.unwrap_or_default(),
                }));
            }
        }
        found.retain(|record| record.offset >= from);
        Ok(Ok(found))
    }

    /// Everything in partition 0.
    pub fn read_whole(&mut self, topic: &str) -> Outcome<Vec<Found>> {
        let mut all: Vec<Found> = Vec::new();
        loop {
            let from = all.last().map_or(0, |last| last.offset + 1);
            let some = self
                .fetch(topic, from)?
                .map_err(|code| Failure::new(format!("Fetch {topic}: error {code}")))?;
            if some.is_empty() {
                return Ok(all);
            }
            all.extend(some);
        }
    }
}

fn batch_of(value: &[u8]) -> Vec<u8> {
    let record = Record {
        attributes: 0,
        timestamp_delta: 0,
        offset_delta: 0,
        key: None,
        value: Some(value.to_vec()),
        headers: Vec::new(),
        length_error: 0,
    };
    let nobody = Stamp {
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        is_transactional: false,
    };
    let since_epoch = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    let now_ms = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
    batches::encode(vec![record], now_ms, Codec::None, nobody)
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
