//! Fetch responses, written around record bytes that are never copied.
//!
//! The answer to a Fetch is some header bytes, then records, then header bytes again, and so on. The records may lie in
//! memory or in a file; the server sends each [`Segment`] the best way it has, a file range with sendfile. Only the
//! length of a range matters here.

use std::convert::Infallible;

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::EncodeError;
use crate::frame::LENGTH_PREFIX_BYTES;
use crate::header::put_response_header;
use crate::message::{BodyError, refuse};
use crate::shape::{Api, find_api};
use crate::topic_ref::TopicRef;
use crate::wire::{put_length, put_no_tagged_fields, put_text, put_unsigned_varint};

/// The API key of Fetch.
const FETCH: i16 = 1;

/// The versions that this encoder writes.
const VERSION_MIN: i16 = 4;
const VERSION_MAX: i16 = 18;

/// The versions that add fields or change the encoding.
const LOG_START_VERSION: i16 = 5;
const SESSION_VERSION: i16 = 7;
const PREFERRED_REPLICA_VERSION: i16 = 11;
const FLEXIBLE_VERSION: i16 = 12;
const TOPIC_ID_VERSION: i16 = 13;
const NODE_ENDPOINTS_VERSION: i16 = 16;

/// A piece of a response: bytes in memory, or a range of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment<F> {
    Bytes(Bytes),
    File(F),
}

/// A range of a file whose length is known before it is sent. Exactly this many bytes must be sent, because the frame
/// length and the length of the records count them.
pub trait FileRange {
    fn length_bytes(&self) -> usize;
}

/// For servers and tests whose records are all in memory.
impl FileRange for Infallible {
    fn length_bytes(&self) -> usize {
        match *self {}
    }
}

/// A Fetch response, versions 4 to 18. A field that a version lacks is left out at that version.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchResponse<F> {
    pub throttle_time_ms: i32,
    /// Version 7 and up.
    pub error_code: i16,
    /// 0 outside a fetch session. Version 7 and up.
    pub session_id: i32,
    pub topics: Vec<FetchedTopic<F>>,
    /// Where the current leaders named in the partitions are. Version 16 and up (KIP-951).
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// The partitions of one topic. The topic is named up to version 12 and has its id from version 13 on.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchedTopic<F> {
    pub topic: TopicRef,
    pub partitions: Vec<FetchedPartition<F>>,
}

/// What was read from one partition.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchedPartition<F> {
    pub index: i32,
    pub error_code: i16,
    pub high_watermark: i64,
    pub last_stable_offset: i64,
    /// Version 5 and up.
    pub log_start_offset: i64,
    /// Version 12 and up, as are the next two (KIP-595).
    pub diverging_epoch: Option<EpochEndOffset>,
    pub current_leader: Option<LeaderIdAndEpoch>,
    pub snapshot_id: Option<SnapshotId>,
    /// None is written as null, which stands for a read that is not read_committed.
    pub aborted_transactions: Option<Vec<AbortedTransaction>>,
    /// Version 11 and up (KIP-392).
    pub preferred_read_replica: Option<i32>,
    /// Whole record batches, in pieces that follow each other. None is written as null.
    pub records: Option<Vec<Segment<F>>>,
}

/// The largest epoch at which leader and follower agree, and where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEndOffset {
    pub epoch: i32,
    pub end_offset: i64,
}

/// The leader of a partition, -1 where unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderIdAndEpoch {
    pub leader_id: i32,
    pub leader_epoch: i32,
}

/// The snapshot to fetch instead of records that are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotId {
    pub end_offset: i64,
    pub epoch: i32,
}

/// A transaction whose records a read_committed consumer must drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    pub producer_id: i64,
    pub first_offset: i64,
}

/// Where a broker listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEndpoint {
    pub node_id: i32,
    pub host: String,
    pub port: i32,
    pub rack: Option<String>,
}

impl<F: FileRange> Segment<F> {
    pub fn length_bytes(&self) -> usize {
        match self {
            Segment::Bytes(bytes) => bytes.len(),
            Segment::File(range) => range.length_bytes(),
        }
    }
}

/// Writes a whole Fetch response frame as segments to be sent one after another.
///
/// The first segment begins with the frame length and the response header. The bytes between the records come from one
/// allocation; the record segments are those of the response, in their order.
pub fn encode_fetch_response<F: FileRange>(
    correlation_id: i32,
    version: i16,
    response: FetchResponse<F>,
) -> Result<Vec<Segment<F>>, EncodeError> {
    let api = find_api(FETCH).ok_or(EncodeError::UnknownApi { api_key: FETCH })?;
    if !(VERSION_MIN..=VERSION_MAX).contains(&version) {
        return Err(EncodeError::UnsupportedVersion {
            api_key: FETCH,
            version,
        });
    }
    let mut writer = Writer::new(version, frame_bytes_estimate(&response));
    writer
        .put_frame(api, correlation_id, response)
        .map_err(|error| refuse(api, version, error))?;
    writer.into_segments()
}

/// A guess at the bytes around the records that is too low only for long names and for lists of aborted transactions.
fn frame_bytes_estimate<F>(response: &FetchResponse<F>) -> usize {
    let partitions: usize = response
        .topics
        .iter()
        .map(|topic| topic.partitions.len())
        .sum();
    64 + 64 * (response.topics.len() + response.node_endpoints.len()) + 64 * partitions
}

struct Writer<F> {
    version: i16,
    is_flexible: bool,
    /// All bytes of the frame but the records.
    buffer: BytesMut,
    /// The records, each with its place in the buffer, ascending.
    records: Vec<(usize, Vec<Segment<F>>)>,
    records_bytes: usize,
}

impl<F: FileRange> Writer<F> {
    fn new(version: i16, capacity_bytes: usize) -> Self {
        Writer {
            version,
            is_flexible: version >= FLEXIBLE_VERSION,
            buffer: BytesMut::with_capacity(capacity_bytes),
            records: Vec::new(),
            records_bytes: 0,
        }
    }

    fn put_frame(
        &mut self,
        api: &Api,
        correlation_id: i32,
        response: FetchResponse<F>,
    ) -> Result<(), BodyError> {
        self.buffer.put_i32(0);
        put_response_header(&mut self.buffer, api, self.version, correlation_id);
        self.buffer.put_i32(response.throttle_time_ms);
        if self.version >= SESSION_VERSION {
            self.buffer.put_i16(response.error_code);
            self.buffer.put_i32(response.session_id);
        }
        self.put_count(Some(response.topics.len()))?;
        for topic in response.topics {
            self.put_topic(topic)?;
        }
        if self.is_flexible {
            self.put_node_endpoints(&response.node_endpoints)?;
        }
        Ok(())
    }

    fn put_topic(&mut self, topic: FetchedTopic<F>) -> Result<(), BodyError> {
        match &topic.topic {
            TopicRef::Name(name) if self.version < TOPIC_ID_VERSION => {
                put_text(&mut self.buffer, self.is_flexible, Some(name))?;
            }
            TopicRef::Id(id) if self.version >= TOPIC_ID_VERSION => {
                self.buffer.put_slice(id.as_bytes())
            }
            TopicRef::Name(_) => {
                return Err(BodyError::Refused(
                    "a topic has a name instead of an id".into(),
                ));
            }
            TopicRef::Id(_) => {
                return Err(BodyError::Refused(
                    "a topic has an id instead of a name".into(),
                ));
            }
        }
        self.put_count(Some(topic.partitions.len()))?;
        for partition in topic.partitions {
            self.put_partition(partition)?;
        }
        self.end_plain_struct();
        Ok(())
    }

    fn put_partition(&mut self, partition: FetchedPartition<F>) -> Result<(), BodyError> {
        self.buffer.put_i32(partition.index);
        self.buffer.put_i16(partition.error_code);
        self.buffer.put_i64(partition.high_watermark);
        self.buffer.put_i64(partition.last_stable_offset);
        if self.version >= LOG_START_VERSION {
            self.buffer.put_i64(partition.log_start_offset);
        }
        self.put_count(partition.aborted_transactions.as_ref().map(Vec::len))?;
        for aborted in partition.aborted_transactions.iter().flatten() {
            self.buffer.put_i64(aborted.producer_id);
            self.buffer.put_i64(aborted.first_offset);
            self.end_plain_struct();
        }
        if self.version >= PREFERRED_REPLICA_VERSION {
            self.buffer
                .put_i32(partition.preferred_read_replica.unwrap_or(-1));
        }
        let epochs = (
            partition.diverging_epoch,
            partition.current_leader,
            partition.snapshot_id,
        );
        self.put_records(partition.records)?;
        if self.is_flexible {
            self.put_partition_tags(epochs.0, epochs.1, epochs.2);
        }
        Ok(())
    }

    /// Writes the length of the records and keeps the place where they belong.
    fn put_records(&mut self, records: Option<Vec<Segment<F>>>) -> Result<(), BodyError> {
        let Some(records) = records else {
            return self.put_count(None);
        };
        let length: usize = records.iter().map(Segment::length_bytes).sum();
        self.put_count(Some(length))?;
        // A partition without records must not cut the buffer: a large fetch session answers with many of them.
        if length > 0 {
            self.records_bytes += length;
            self.records.push((self.buffer.len(), records));
        }
        Ok(())
    }

    /// Writes the three tagged fields of a partition. One that equals its default, all -1, is left out, as Kafka does.
    fn put_partition_tags(
        &mut self,
        diverging_epoch: Option<EpochEndOffset>,
        current_leader: Option<LeaderIdAndEpoch>,
        snapshot_id: Option<SnapshotId>,
    ) {
        let diverging_epoch = diverging_epoch.filter(|end| (end.epoch, end.end_offset) != (-1, -1));
        let current_leader =
            current_leader.filter(|leader| (leader.leader_id, leader.leader_epoch) != (-1, -1));
        let snapshot_id =
            snapshot_id.filter(|snapshot| (snapshot.end_offset, snapshot.epoch) != (-1, -1));
        let count = [
            diverging_epoch.is_some(),
            current_leader.is_some(),
            snapshot_id.is_some(),
        ];
        self.buffer.put_u8(count.into_iter().map(u8::from).sum());
        // Each is a tag, a size that counts the empty tagged section of the struct, and the struct.
        if let Some(end) = diverging_epoch {
            self.buffer.put_slice(&[0, 13]);
            self.buffer.put_i32(end.epoch);
            self.buffer.put_i64(end.end_offset);
            put_no_tagged_fields(&mut self.buffer);
        }
        if let Some(leader) = current_leader {
            self.buffer.put_slice(&[1, 9]);
            self.buffer.put_i32(leader.leader_id);
            self.buffer.put_i32(leader.leader_epoch);
            put_no_tagged_fields(&mut self.buffer);
        }
        if let Some(snapshot) = snapshot_id {
            self.buffer.put_slice(&[2, 13]);
            self.buffer.put_i64(snapshot.end_offset);
            self.buffer.put_i32(snapshot.epoch);
            put_no_tagged_fields(&mut self.buffer);
        }
    }

    /// Writes the tagged section of the response.
    fn put_node_endpoints(&mut self, endpoints: &[NodeEndpoint]) -> Result<(), BodyError> {
        if self.version < NODE_ENDPOINTS_VERSION || endpoints.is_empty() {
            put_no_tagged_fields(&mut self.buffer);
            return Ok(());
        }
        let mut value = BytesMut::new();
        put_length(&mut value, true, Some(endpoints.len()))?;
        for endpoint in endpoints {
            value.put_i32(endpoint.node_id);
            put_text(&mut value, true, Some(&endpoint.host))?;
            value.put_i32(endpoint.port);
            put_text(&mut value, true, endpoint.rack.as_deref())?;
            put_no_tagged_fields(&mut value);
        }
        let size = u32::try_from(value.len())
            .map_err(|_| BodyError::Refused("too many node endpoints".into()))?;
        self.buffer.put_slice(&[1, 0]);
        put_unsigned_varint(&mut self.buffer, size);
        self.buffer.put_slice(&value);
        Ok(())
    }

    fn put_count(&mut self, count: Option<usize>) -> Result<(), BodyError> {
        put_length(&mut self.buffer, self.is_flexible, count)
    }

    /// Ends a struct that has no tagged fields.
    fn end_plain_struct(&mut self) {
        if self.is_flexible {
            put_no_tagged_fields(&mut self.buffer);
        }
    }

    /// Fills in the frame length and cuts the buffer where the records belong.
    fn into_segments(mut self) -> Result<Vec<Segment<F>>, EncodeError> {
        let length = self.buffer.len() - LENGTH_PREFIX_BYTES + self.records_bytes;
        let prefix = i32::try_from(length).map_err(|_| EncodeError::TooLong { length })?;
        self.buffer[..LENGTH_PREFIX_BYTES].copy_from_slice(&prefix.to_be_bytes());
        let mut around = self.buffer.freeze();
        let mut segments = Vec::with_capacity(2 * self.records.len() + 1);
        let mut cut = 0;
        for (position, records) in self.records {
            segments.push(Segment::Bytes(around.split_to(position - cut)));
            cut = position;
            segments.extend(
                records
                    .into_iter()
                    .filter(|segment| segment.length_bytes() > 0),
            );
        }
        if !around.is_empty() {
            segments.push(Segment::Bytes(around));
        }
        Ok(segments)
    }
}
