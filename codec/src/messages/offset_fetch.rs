//! OffsetFetch: the library reads requests up to version 9 only, although its type has the fields of version 10.

use bytes::Bytes;
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{GroupId, OffsetFetchRequest};
use kafka_protocol::protocol::Request;

use super::read_body;
use crate::error::Fault;
use crate::library::read_with_library;
use crate::message::{BodyError, RequestBody};
use crate::reader::Reader;

/// The version that names topics by id (KIP-848).
const TOPIC_ID_VERSION: i16 = 10;

impl RequestBody for OffsetFetchRequest {
    const API_KEY: i16 = <OffsetFetchRequest as Request>::KEY;

    fn read(body: &mut Bytes, version: i16) -> Result<Self, BodyError> {
        match version {
            TOPIC_ID_VERSION => read_body(body, true, read_request),
            _ => read_with_library(Self::API_KEY, version, body),
        }
    }
}

fn read_request(reader: &mut Reader<'_>) -> Result<OffsetFetchRequest, Fault> {
    let request = OffsetFetchRequest::default()
        .with_groups(reader.read_array(8, read_group)?)
        .with_require_stable(reader.read_bool()?);
    reader.end_struct()?;
    Ok(request)
}

fn read_group(reader: &mut Reader<'_>) -> Result<OffsetFetchRequestGroup, Fault> {
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(reader.read_text()?))
        .with_member_id(reader.read_nullable_text()?)
        .with_member_epoch(reader.read_i32()?)
        .with_topics(reader.read_nullable_array(18, read_topic)?);
    reader.end_struct()?;
    Ok(group)
}

fn read_topic(reader: &mut Reader<'_>) -> Result<OffsetFetchRequestTopics, Fault> {
    let topic = OffsetFetchRequestTopics::default()
        .with_topic_id(reader.read_uuid()?)
        .with_partition_indexes(reader.read_array(4, Reader::read_i32)?);
    reader.end_struct()?;
    Ok(topic)
}
