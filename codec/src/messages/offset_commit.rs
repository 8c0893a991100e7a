//! OffsetCommit: the library reads requests up to version 9 only, although its type has the fields of version 10.

use bytes::Bytes;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::{GroupId, OffsetCommitRequest};
use kafka_protocol::protocol::Request;

use super::read_body;
use crate::error::Fault;
use crate::library::read_with_library;
use crate::message::{BodyError, RequestBody};
use crate::reader::Reader;

/// The version that names topics by id (KIP-848).
const TOPIC_ID_VERSION: i16 = 10;

impl RequestBody for OffsetCommitRequest {
    const API_KEY: i16 = <OffsetCommitRequest as Request>::KEY;

    fn read(body: &mut Bytes, version: i16) -> Result<Self, BodyError> {
        match version {
            TOPIC_ID_VERSION => read_body(body, true, read_request),
            _ => read_with_library(Self::API_KEY, version, body),
        }
    }
}

fn read_request(reader: &mut Reader<'_>) -> Result<OffsetCommitRequest, Fault> {
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(reader.read_text()?))
        .with_generation_id_or_member_epoch(reader.read_i32()?)
        .with_member_id(reader.read_text()?)
        .with_group_instance_id(reader.read_nullable_text()?)
        .with_topics(reader.read_array(18, read_topic)?);
    reader.end_struct()?;
    Ok(request)
}

fn read_topic(reader: &mut Reader<'_>) -> Result<OffsetCommitRequestTopic, Fault> {
    let topic = OffsetCommitRequestTopic::default()
        .with_topic_id(reader.read_uuid()?)
        .with_partitions(reader.read_array(18, read_partition)?);
    reader.end_struct()?;
    Ok(topic)
}

fn read_partition(reader: &mut Reader<'_>) -> Result<OffsetCommitRequestPartition, Fault> {
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(reader.read_i32()?)
        .with_committed_offset(reader.read_i64()?)
        .with_committed_leader_epoch(reader.read_i32()?)
        .with_committed_metadata(reader.read_nullable_text()?);
    reader.end_struct()?;
    Ok(partition)
}
