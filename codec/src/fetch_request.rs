//! Fetch requests.
//!
//! As with Produce, the library could decode them, but a consumer that keeps up sends one for nearly every record. Every
//! length is checked on the way, so that the shape check is not needed first. What only replicas tell each other is
//! passed over.

use bytes::Bytes;

use crate::error::Fault;
use crate::message::{BodyError, RequestBody};
use crate::messages::read_body;
use crate::reader::Reader;
use crate::topic_ref::TopicRef;

/// The API key of Fetch.
const FETCH: i16 = 1;

/// The versions that add fields, move them or change the encoding.
const LOG_START_VERSION: i16 = 5;
const SESSION_VERSION: i16 = 7;
const LEADER_EPOCH_VERSION: i16 = 9;
const RACK_VERSION: i16 = 11;
const FLEXIBLE_VERSION: i16 = 12;
const TOPIC_ID_VERSION: i16 = 13;
const REPLICA_STATE_VERSION: i16 = 15;
const DIRECTORY_VERSION: i16 = 17;
const HIGH_WATERMARK_VERSION: i16 = 18;

/// Tags of the request.
const CLUSTER_ID_TAG: u32 = 0;
const REPLICA_STATE_TAG: u32 = 1;
/// Tags of a partition.
const DIRECTORY_TAG: u32 = 0;
const HIGH_WATERMARK_TAG: u32 = 1;

/// What stands for an epoch or a replica that is not given.
const NONE: i32 = -1;
/// The epoch of a request outside of any session.
const FINAL_EPOCH: i32 = -1;

/// The fewest bytes of a topic and of a partition at any version.
const TOPIC_BYTES_MIN: usize = 3;
const PARTITION_BYTES_MIN: usize = 16;
const PARTITION_INDEX_BYTES: usize = 4;

/// A Fetch request, versions 4 to 18.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchRequest {
    /// Negative for a consumer.
    pub replica_id: i32,
    pub max_wait_ms: i32,
    pub min_bytes: i32,
    pub max_bytes: i32,
    pub isolation_level: i8,
    /// 0 outside of a session, as before version 7.
    pub session_id: i32,
    /// -1 outside of a session, as before version 7.
    pub session_epoch: i32,
    pub topics: Vec<FetchTopic>,
    /// What the session is to forget. Version 7 and up.
    pub forgotten: Vec<ForgottenTopic>,
}

/// The partitions of one topic to read. The topic is named up to version 12 and has its id from version 13 on.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchTopic {
    pub topic: TopicRef,
    pub partitions: Vec<FetchPartition>,
}

/// A partition and from where to read it.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchPartition {
    pub index: i32,
    /// -1 where the client does not care, as before version 9.
    pub current_leader_epoch: i32,
    pub fetch_offset: i64,
    /// -1 where the client does not know, as before version 12.
    pub last_fetched_epoch: i32,
    pub bytes_max: i32,
}

/// Partitions that leave a session.
#[derive(Debug, Clone, PartialEq)]
pub struct ForgottenTopic {
    pub topic: TopicRef,
    pub partitions: Vec<i32>,
}

impl RequestBody for FetchRequest {
    const API_KEY: i16 = FETCH;
    const IS_SELF_CHECKED: bool = true;

    fn read(body: &mut Bytes, version: i16) -> Result<Self, BodyError> {
        read_body(body, version >= FLEXIBLE_VERSION, |reader| {
            read_request(reader, version)
        })
    }
}

fn read_request(reader: &mut Reader<'_>, version: i16) -> Result<FetchRequest, Fault> {
    let has_sessions = version >= SESSION_VERSION;
    let mut request = FetchRequest {
        replica_id: if version < REPLICA_STATE_VERSION {
            reader.read_i32()?
        } else {
            NONE
        },
        max_wait_ms: reader.read_i32()?,
        min_bytes: reader.read_i32()?,
        max_bytes: reader.read_i32()?,
        isolation_level: reader.read_i8()?,
        session_id: if has_sessions { reader.read_i32()? } else { 0 },
        session_epoch: if has_sessions {
            reader.read_i32()?
        } else {
            FINAL_EPOCH
        },
        topics: reader.read_array(TOPIC_BYTES_MIN, |reader| read_topic(reader, version))?,
        forgotten: if has_sessions {
            reader.read_array(TOPIC_BYTES_MIN, |reader| read_forgotten(reader, version))?
        } else {
            Vec::new()
        },
    };
    if version >= RACK_VERSION {
        reader.read_text()?;
    }
    reader.end_struct_with(|reader, tag| match tag {
        CLUSTER_ID_TAG => reader.read_nullable_text().map(|_| true),
        REPLICA_STATE_TAG if version >= REPLICA_STATE_VERSION => {
            request.replica_id = reader.read_i32()?;
            let _replica_epoch = reader.read_i64()?;
            reader.end_struct().map(|()| true)
        }
        _ => Ok(false),
    })?;
    Ok(request)
}

fn read_topic(reader: &mut Reader<'_>, version: i16) -> Result<FetchTopic, Fault> {
    let topic = read_topic_ref(reader, version)?;
    let partitions = reader.read_array(PARTITION_BYTES_MIN, |reader| {
        read_partition(reader, version)
    })?;
    reader.end_struct()?;
    Ok(FetchTopic { topic, partitions })
}

fn read_partition(reader: &mut Reader<'_>, version: i16) -> Result<FetchPartition, Fault> {
    let index = reader.read_i32()?;
    let current_leader_epoch = if version >= LEADER_EPOCH_VERSION {
        reader.read_i32()?
    } else {
        NONE
    };
    let fetch_offset = reader.read_i64()?;
    let last_fetched_epoch = if version >= FLEXIBLE_VERSION {
        reader.read_i32()?
    } else {
        NONE
    };
    if version >= LOG_START_VERSION {
        let _log_start_offset = reader.read_i64()?;
    }
    let bytes_max = reader.read_i32()?;
    reader.end_struct_with(|reader, tag| match tag {
        DIRECTORY_TAG if version >= DIRECTORY_VERSION => reader.read_uuid().map(|_| true),
        HIGH_WATERMARK_TAG if version >= HIGH_WATERMARK_VERSION => reader.read_i64().map(|_| true),
        _ => Ok(false),
    })?;
    Ok(FetchPartition {
        index,
        current_leader_epoch,
        fetch_offset,
        last_fetched_epoch,
        bytes_max,
    })
}

fn read_forgotten(reader: &mut Reader<'_>, version: i16) -> Result<ForgottenTopic, Fault> {
    let topic = read_topic_ref(reader, version)?;
    let partitions = reader.read_array(PARTITION_INDEX_BYTES, Reader::read_i32)?;
    reader.end_struct()?;
    Ok(ForgottenTopic { topic, partitions })
}

fn read_topic_ref(reader: &mut Reader<'_>, version: i16) -> Result<TopicRef, Fault> {
    if version >= TOPIC_ID_VERSION {
        reader.read_uuid().map(TopicRef::Id)
    } else {
        reader.read_text().map(|name| TopicRef::Name(name.into()))
    }
}
