//! `GroupMetadata` records: a classic group as of its last assignment, or empty.

use bytes::{BufMut, Bytes, BytesMut};

use super::codec::{Lengths, Reader, put_bytes, put_nullable_string, put_string};
use crate::error::ReplayError;

/// Versions of the value that can be read; 4 is the first flexible one.
const VERSION_MAX: i16 = 4;
/// The version written, the same that Apache Kafka 4.3 writes.
const VERSION: i16 = 3;
const NONE: i64 = -1;

/// The value of a `GroupMetadata` record. Every string is at most [`super::codec::STRING_BYTES_MAX`] bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMetadataValue {
    /// Empty for a group that never had a member.
    pub protocol_type: String,
    pub generation: i32,
    /// The chosen protocol; none without members.
    pub protocol: Option<String>,
    /// The leader's member id; none without members.
    pub leader: Option<String>,
    /// When the group came into its state; none in the records of old releases.
    pub current_state_timestamp_ms: Option<i64>,
    pub members: Vec<MemberMetadata>,
}

/// A member of a group, as of the last assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberMetadata {
    pub member_id: String,
    pub instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    /// What the member said for the chosen protocol.
    pub subscription: Bytes,
    pub assignment: Bytes,
}

impl GroupMetadataValue {
    pub fn decode(bytes: &[u8]) -> Result<Self, ReplayError> {
        let mut reader = Reader::new(bytes);
        let version = reader.int16("version")?;
        if !(0..=VERSION_MAX).contains(&version) {
            return Err(ReplayError::UnsupportedVersion {
                record: "GroupMetadata",
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
        let protocol_type = reader.string(lengths, "protocol type")?;
        let generation = reader.int32("generation")?;
        let protocol = reader.nullable_string(lengths, "protocol")?;
        let leader = reader.nullable_string(lengths, "leader")?;
        let timestamp = if version >= 2 {
            reader.int64("current state timestamp")?
        } else {
            NONE
        };
        let count = reader.array_count(lengths, "members")?;
        let mut members = Vec::new();
        for _ in 0..count {
            members.push(MemberMetadata::decode(reader, version, lengths)?);
        }
        if version >= 4 {
            reader.tagged_fields(|_, _| Ok(()))?;
        }
        Ok(Self {
            protocol_type,
            generation,
            protocol,
            leader,
            current_state_timestamp_ms: (timestamp != NONE).then_some(timestamp),
            members,
        })
    }

    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_i16(VERSION);
        put_string(&mut out, Lengths::Fixed, &self.protocol_type);
        out.put_i32(self.generation);
        put_nullable_string(&mut out, Lengths::Fixed, self.protocol.as_deref());
        put_nullable_string(&mut out, Lengths::Fixed, self.leader.as_deref());
        out.put_i64(self.current_state_timestamp_ms.unwrap_or(NONE));
        let count = i32::try_from(self.members.len()).expect("members_max is an i32");
        out.put_i32(count);
        for member in &self.members {
            member.encode(&mut out);
        }
        out.freeze()
    }
}

impl MemberMetadata {
    fn decode(
        reader: &mut Reader<'_>,
        version: i16,
        lengths: Lengths,
    ) -> Result<Self, ReplayError> {
        let member_id = reader.string(lengths, "member id")?;
        let instance_id = match version {
            3.. => reader.nullable_string(lengths, "group instance id")?,
            _ => None,
        };
        let client_id = reader.string(lengths, "client id")?;
        let client_host = reader.string(lengths, "client host")?;
        let rebalance_timeout_ms = match version {
            1.. => reader.int32("rebalance timeout")?,
            _ => NONE as i32,
        };
        let session_timeout_ms = reader.int32("session timeout")?;
        let subscription = reader.bytes(lengths, "subscription")?;
        let assignment = reader.bytes(lengths, "assignment")?;
        if version >= 4 {
            reader.tagged_fields(|_, _| Ok(()))?;
        }
        Ok(Self {
            member_id,
            instance_id,
            client_id,
            client_host,
            // The first version had one timeout for both.
            rebalance_timeout_ms: match rebalance_timeout_ms {
                -1 => session_timeout_ms,
                given => given,
            },
            session_timeout_ms,
            subscription,
            assignment,
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        put_string(out, Lengths::Fixed, &self.member_id);
        put_nullable_string(out, Lengths::Fixed, self.instance_id.as_deref());
        put_string(out, Lengths::Fixed, &self.client_id);
        put_string(out, Lengths::Fixed, &self.client_host);
        out.put_i32(self.rebalance_timeout_ms);
        out.put_i32(self.session_timeout_ms);
        put_bytes(out, &self.subscription);
        put_bytes(out, &self.assignment);
    }
}
