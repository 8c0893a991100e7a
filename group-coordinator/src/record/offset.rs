//! `OffsetCommit` records: what a group committed for a partition.

use bytes::{BufMut, Bytes, BytesMut};

use super::codec::{Lengths, Reader, put_string, put_unsigned_varint};
use crate::error::ReplayError;
use crate::ids::TopicId;

/// Versions of the value that can be read; 4 is the first flexible one.
const VERSION_MAX: i16 = 4;
/// Written when the commit brought its own expiry time, which later versions cannot hold.
const VERSION_WITH_EXPIRY: i16 = 1;
/// Written otherwise.
const VERSION_WITHOUT_EXPIRY: i16 = 4;
const TAG_TOPIC_ID: u32 = 0;
const NONE: i64 = -1;

/// The value of an `OffsetCommit` record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetCommitValue {
    pub offset: i64,
    pub leader_epoch: Option<i32>,
    /// At most [`super::codec::STRING_BYTES_MAX`] bytes.
    pub metadata: String,
    pub commit_timestamp_ms: i64,
    /// Only for commits that came with a retention time. Such a value carries no leader epoch and no topic id.
    pub expire_timestamp_ms: Option<i64>,
    /// Zero when not known.
    pub topic_id: TopicId,
}

impl OffsetCommitValue {
    pub fn decode(bytes: &[u8]) -> Result<Self, ReplayError> {
        let mut reader = Reader::new(bytes);
        let version = reader.int16("version")?;
        if !(0..=VERSION_MAX).contains(&version) {
            return Err(ReplayError::UnsupportedVersion {
                record: "OffsetCommit",
                version,
            });
        }
        Self::decode_fields(&mut reader, version)
    }

    fn decode_fields(reader: &mut Reader<'_>, version: i16) -> Result<Self, ReplayError> {
        let lengths = if version >= 4 {
            Lengths::Compact
        } else {
            Lengths::Fixed
        };
        let offset = reader.int64("offset")?;
        let leader_epoch = if version >= 3 {
            reader.int32("leader epoch")?
        } else {
            NONE as i32
        };
        let metadata = reader.string(lengths, "metadata")?;
        let commit_timestamp_ms = reader.int64("commit timestamp")?;
        let expire = if version == 1 {
            reader.int64("expire timestamp")?
        } else {
            NONE
        };
        let mut topic_id = TopicId::ZERO;
        if version >= 4 {
            reader.tagged_fields(|tag, bytes| {
                if tag == TAG_TOPIC_ID {
                    topic_id = TopicId(Reader::new(bytes).array("topic id")?);
                }
                Ok(())
            })?;
        }
        Ok(Self {
            offset,
            leader_epoch: (leader_epoch != NONE as i32).then_some(leader_epoch),
            metadata,
            commit_timestamp_ms,
            expire_timestamp_ms: (expire != NONE).then_some(expire),
            topic_id,
        })
    }

    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(2 + 8 + 4 + 3 + self.metadata.len() + 8 + 19);
        match self.expire_timestamp_ms {
            Some(expire_timestamp_ms) => {
                out.put_i16(VERSION_WITH_EXPIRY);
                out.put_i64(self.offset);
                put_string(&mut out, Lengths::Fixed, &self.metadata);
                out.put_i64(self.commit_timestamp_ms);
                out.put_i64(expire_timestamp_ms);
            }
            None => {
                out.put_i16(VERSION_WITHOUT_EXPIRY);
                out.put_i64(self.offset);
                out.put_i32(self.leader_epoch.unwrap_or(NONE as i32));
                put_string(&mut out, Lengths::Compact, &self.metadata);
                out.put_i64(self.commit_timestamp_ms);
                self.put_tagged_fields(&mut out);
            }
        }
        out.freeze()
    }

    fn put_tagged_fields(&self, out: &mut BytesMut) {
        if !self.topic_id.is_known() {
            put_unsigned_varint(out, 0);
            return;
        }
        put_unsigned_varint(out, 1);
        put_unsigned_varint(out, TAG_TOPIC_ID);
        put_unsigned_varint(out, self.topic_id.0.len() as u32);
        out.put_slice(&self.topic_id.0);
    }
}
