//! Produce requests, read without copying a record byte.
//!
//! The library could decode them, but this is the hottest path of a server: here the records of each partition are a
//! view of the frame, and nothing but the lists of topics and partitions is allocated. Every length is checked on the
//! way, so that the shape check is not needed first.

use bytes::Bytes;
use kafka_protocol::messages::TransactionalId;

use crate::error::Fault;
use crate::message::{BodyError, RequestBody};
use crate::messages::read_body;
use crate::reader::Reader;
use crate::topic_ref::TopicRef;

/// The API key of Produce.
const PRODUCE: i16 = 0;

/// The first version with compact lengths and tagged fields.
const FLEXIBLE_VERSION: i16 = 9;

/// The version that names topics by id (KIP-516).
const TOPIC_ID_VERSION: i16 = 13;

/// A Produce request. Versions 3 to 13; versions 0 to 2 are advertised for old clients' sake, but nobody can use them.
#[derive(Debug, Clone, PartialEq)]
pub struct ProduceRequest {
    /// None if the producer is not transactional.
    pub transactional_id: Option<TransactionalId>,
    /// The acknowledgments asked for: 0, 1 or -1 for all. Not checked here.
    pub acks: i16,
    pub timeout_ms: i32,
    pub topics: Vec<ProduceTopic>,
}

/// The partitions of one topic to write to.
#[derive(Debug, Clone, PartialEq)]
pub struct ProduceTopic {
    pub topic: TopicRef,
    pub partitions: Vec<ProducePartition>,
}

/// The records for one partition.
#[derive(Debug, Clone, PartialEq)]
pub struct ProducePartition {
    pub index: i32,
    /// Unchecked record batches: a view of the frame, which it keeps in memory.
    pub records: Option<Bytes>,
}

impl RequestBody for ProduceRequest {
    const API_KEY: i16 = PRODUCE;
    const IS_SELF_CHECKED: bool = true;

    fn read(body: &mut Bytes, version: i16) -> Result<Self, BodyError> {
        read_body(body, version >= FLEXIBLE_VERSION, |reader| {
            read_request(reader, version)
        })
    }
}

fn read_request(reader: &mut Reader<'_>, version: i16) -> Result<ProduceRequest, Fault> {
    let request = ProduceRequest {
        transactional_id: reader.read_nullable_text()?.map(TransactionalId),
        acks: reader.read_i16()?,
        timeout_ms: reader.read_i32()?,
        topics: reader.read_array(2, |reader| read_topic(reader, version))?,
    };
    reader.end_struct()?;
    Ok(request)
}

fn read_topic(reader: &mut Reader<'_>, version: i16) -> Result<ProduceTopic, Fault> {
    let topic = if version >= TOPIC_ID_VERSION {
        TopicRef::Id(reader.read_uuid()?)
    } else {
        TopicRef::Name(reader.read_text()?.into())
    };
    let partitions = reader.read_array(5, read_partition)?;
    reader.end_struct()?;
    Ok(ProduceTopic { topic, partitions })
}

fn read_partition(reader: &mut Reader<'_>) -> Result<ProducePartition, Fault> {
    let partition = ProducePartition {
        index: reader.read_i32()?,
        records: reader.read_nullable_bytes()?,
    };
    reader.end_struct()?;
    Ok(partition)
}
