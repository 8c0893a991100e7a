//! The records of `__consumer_offsets`, in Kafka's own schemas. Keys begin with the record type, values with the
//! version of the value; numbers are big-endian.

pub mod codec;
mod group;
mod offset;
#[cfg(test)]
mod tests;

use bytes::{BufMut, Bytes, BytesMut};

pub use codec::STRING_BYTES_MAX;
use codec::{Lengths, Reader, put_string};
pub use group::{GroupMetadataValue, MemberMetadata};
pub use offset::OffsetCommitValue;

use crate::error::ReplayError;
use crate::step::Record;

/// Offset commits of Kafka releases before 0.9; the same fields as [`TYPE_OFFSET_COMMIT`].
const TYPE_LEGACY_OFFSET_COMMIT: i16 = 0;
const TYPE_OFFSET_COMMIT: i16 = 1;
const TYPE_GROUP_METADATA: i16 = 2;

/// What a record is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    OffsetCommit {
        group_id: String,
        topic: String,
        partition: i32,
    },
    GroupMetadata {
        group_id: String,
    },
    /// A type that this crate does not keep.
    Other {
        record_type: i16,
    },
}

impl Key {
    pub fn decode(bytes: &[u8]) -> Result<Self, ReplayError> {
        let mut reader = Reader::new(bytes);
        match reader.int16("record type")? {
            TYPE_LEGACY_OFFSET_COMMIT | TYPE_OFFSET_COMMIT => Ok(Self::OffsetCommit {
                group_id: reader.string(Lengths::Fixed, "group")?,
                topic: reader.string(Lengths::Fixed, "topic")?,
                partition: reader.int32("partition")?,
            }),
            TYPE_GROUP_METADATA => Ok(Self::GroupMetadata {
                group_id: reader.string(Lengths::Fixed, "group")?,
            }),
            record_type => Ok(Self::Other { record_type }),
        }
    }
}

/// A group's offset for a partition.
pub fn offset_commit(
    group_id: &str,
    topic: &str,
    partition: i32,
    value: &OffsetCommitValue,
) -> Record {
    Record {
        key: offset_commit_key(group_id, topic, partition),
        value: Some(value.encode()),
    }
}

/// A group has no offset for a partition any more.
pub fn offset_commit_tombstone(group_id: &str, topic: &str, partition: i32) -> Record {
    Record {
        key: offset_commit_key(group_id, topic, partition),
        value: None,
    }
}

/// A classic group.
pub fn group_metadata(group_id: &str, value: &GroupMetadataValue) -> Record {
    Record {
        key: group_metadata_key(group_id),
        value: Some(value.encode()),
    }
}

/// A classic group is gone.
pub fn group_metadata_tombstone(group_id: &str) -> Record {
    Record {
        key: group_metadata_key(group_id),
        value: None,
    }
}

fn offset_commit_key(group_id: &str, topic: &str, partition: i32) -> Bytes {
    let mut out = BytesMut::with_capacity(2 + 2 + group_id.len() + 2 + topic.len() + 4);
    out.put_i16(TYPE_OFFSET_COMMIT);
    put_string(&mut out, Lengths::Fixed, group_id);
    put_string(&mut out, Lengths::Fixed, topic);
    out.put_i32(partition);
    out.freeze()
}

fn group_metadata_key(group_id: &str) -> Bytes {
    let mut out = BytesMut::with_capacity(2 + 2 + group_id.len());
    out.put_i16(TYPE_GROUP_METADATA);
    put_string(&mut out, Lengths::Fixed, group_id);
    out.freeze()
}
