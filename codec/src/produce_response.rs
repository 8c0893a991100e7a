//! Produce responses, written straight into the frame.
//!
//! The library could write them, but this is the hottest path of a server: its message has seven fields that are never
//! used for each partition, walks over everything once for the size of every list, and once more to write it.

use bytes::{BufMut, BytesMut};

use crate::message::{BodyError, ResponseBody};
use crate::topic_ref::TopicRef;
use crate::wire::{put_length, put_no_tagged_fields, put_text};

/// The API key of Produce.
const PRODUCE: i16 = 0;

/// The versions that this encoder writes.
const VERSION_MIN: i16 = 3;
const VERSION_MAX: i16 = 13;

/// The versions that add fields or change the encoding.
const LOG_START_VERSION: i16 = 5;
const RECORD_ERRORS_VERSION: i16 = 8;
const FLEXIBLE_VERSION: i16 = 9;
const TOPIC_ID_VERSION: i16 = 13;

/// The most bytes of a length, and of an empty list of tagged fields.
const LENGTH_BYTES_MAX: usize = 5;
const NO_TAGGED_FIELDS_BYTES: usize = 1;
/// Index, error code, base offset, log append time, log start, and the lengths of the errors and the message.
const PARTITION_BYTES_MAX: usize = 4 + 2 + 3 * 8 + 2 * LENGTH_BYTES_MAX + NO_TAGGED_FIELDS_BYTES;

/// A Produce response, versions 3 to 13. A field that a version lacks is left out at that version. The broker does not
/// throttle and names no new leaders.
#[derive(Debug, Clone, PartialEq)]
pub struct ProduceResponse {
    pub topics: Vec<ProducedTopic>,
}

/// The answers for the partitions of one topic. The topic is named up to version 12 and has its id from version 13 on.
#[derive(Debug, Clone, PartialEq)]
pub struct ProducedTopic {
    pub topic: TopicRef,
    pub partitions: Vec<ProducedPartition>,
}

/// The answer for one partition.
#[derive(Debug, Clone, PartialEq)]
pub struct ProducedPartition {
    pub index: i32,
    pub error_code: i16,
    pub base_offset: i64,
    /// -1 where the records keep the time that the client gave them.
    pub log_append_time_ms: i64,
    /// Version 5 and up.
    pub log_start_offset: i64,
    /// Version 8 and up, as is the message (KIP-467).
    pub record_errors: Vec<ProducedRecordError>,
    pub error_message: Option<String>,
}

/// What is wrong with one record of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct ProducedRecordError {
    /// The place of the record in its batch.
    pub batch_index: i32,
    pub message: Option<String>,
}

impl ResponseBody for ProduceResponse {
    const API_KEY: i16 = PRODUCE;

    fn size_bytes(&self, version: i16) -> Result<usize, BodyError> {
        if !(VERSION_MIN..=VERSION_MAX).contains(&version) {
            return Err(BodyError::UnsupportedVersion);
        }
        let topics: usize = self.topics.iter().map(topic_bytes_max).sum();
        Ok(LENGTH_BYTES_MAX + topics + 4 + NO_TAGGED_FIELDS_BYTES)
    }

    fn write(&self, buffer: &mut BytesMut, version: i16) -> Result<(), BodyError> {
        let is_flexible = version >= FLEXIBLE_VERSION;
        put_length(buffer, is_flexible, Some(self.topics.len()))?;
        for topic in &self.topics {
            put_topic(buffer, version, topic)?;
        }
        // The throttle time.
        buffer.put_i32(0);
        end_struct(buffer, is_flexible);
        Ok(())
    }
}

fn topic_bytes_max(topic: &ProducedTopic) -> usize {
    let name_bytes = match &topic.topic {
        TopicRef::Name(name) => LENGTH_BYTES_MAX + name.len(),
        TopicRef::Id(id) => id.as_bytes().len(),
    };
    let texts = topic.partitions.iter().map(texts_bytes_max).sum::<usize>();
    name_bytes
        + LENGTH_BYTES_MAX
        + topic.partitions.len() * PARTITION_BYTES_MAX
        + texts
        + NO_TAGGED_FIELDS_BYTES
}

/// The bytes of what most answers do not have.
fn texts_bytes_max(partition: &ProducedPartition) -> usize {
    let text_bytes = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let errors = partition.record_errors.iter();
    let errors_bytes = errors
        .map(|error| 4 + LENGTH_BYTES_MAX + text_bytes(&error.message) + NO_TAGGED_FIELDS_BYTES);
    errors_bytes.sum::<usize>() + text_bytes(&partition.error_message)
}

fn put_topic(buffer: &mut BytesMut, version: i16, topic: &ProducedTopic) -> Result<(), BodyError> {
    let is_flexible = version >= FLEXIBLE_VERSION;
    match &topic.topic {
        TopicRef::Name(name) if version < TOPIC_ID_VERSION => {
            put_text(buffer, is_flexible, Some(name))?;
        }
        TopicRef::Id(id) if version >= TOPIC_ID_VERSION => buffer.put_slice(id.as_bytes()),
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
    put_length(buffer, is_flexible, Some(topic.partitions.len()))?;
    for partition in &topic.partitions {
        put_partition(buffer, version, partition)?;
    }
    end_struct(buffer, is_flexible);
    Ok(())
}

fn put_partition(
    buffer: &mut BytesMut,
    version: i16,
    partition: &ProducedPartition,
) -> Result<(), BodyError> {
    let is_flexible = version >= FLEXIBLE_VERSION;
    buffer.put_i32(partition.index);
    buffer.put_i16(partition.error_code);
    buffer.put_i64(partition.base_offset);
    buffer.put_i64(partition.log_append_time_ms);
    if version >= LOG_START_VERSION {
        buffer.put_i64(partition.log_start_offset);
    }
    if version >= RECORD_ERRORS_VERSION {
        put_length(buffer, is_flexible, Some(partition.record_errors.len()))?;
        for error in &partition.record_errors {
            buffer.put_i32(error.batch_index);
            put_text(buffer, is_flexible, error.message.as_deref())?;
            end_struct(buffer, is_flexible);
        }
        put_text(buffer, is_flexible, partition.error_message.as_deref())?;
    }
    end_struct(buffer, is_flexible);
    Ok(())
}

/// Ends a struct that has no tagged fields.
fn end_struct(buffer: &mut BytesMut, is_flexible: bool) {
    if is_flexible {
        put_no_tagged_fields(buffer);
    }
}
