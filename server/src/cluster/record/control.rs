//! Control records of the metadata log: what the quorum and its snapshots say about themselves
//! (`ControlRecordType`, `ControlRecordUtils`; the messages are in `common/message/*.json`).

use uuid::Uuid;

use super::wire::{Reader, RecordError, Writer};

/// Record types by Kafka's numbers.
mod kind {
    pub(super) const LEADER_CHANGE: i16 = 2;
    pub(super) const SNAPSHOT_HEADER: i16 = 3;
    pub(super) const SNAPSHOT_FOOTER: i16 = 4;
    pub(super) const KRAFT_VERSION: i16 = 5;
    pub(super) const VOTERS: i16 = 6;
}

/// The version of every key and of every message here. Kafka 4.3.1 writes no other, whatever `kraft.version` is.
const VERSION: i16 = 0;

/// Says something about the log instead of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlRecord {
    /// A leader begins its epoch, with the votes of all voters.
    LeaderChange {
        leader: i32,
        voters: Vec<i32>,
    },
    /// Stands first in a snapshot; the timestamp is that of the last record of the log that the snapshot holds.
    SnapshotHeader {
        log_timestamp_ms: i64,
    },
    /// Stands last in a snapshot.
    SnapshotFooter,
    /// The level of `kraft.version`. From 1 on the log names the voters; with 0 the settings do.
    KraftVersion(i16),
    Voters(Voters),
    /// Says nothing that matters here.
    Other,
}

/// The voters of a quorum, in the bytes in which they were read: they may name more than this release looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voters {
    pub node_ids: Vec<i32>,
    message: Vec<u8>,
}

impl ControlRecord {
    /// Reads one record of a control batch. A type or version that is not known is [`ControlRecord::Other`].
    ///
    /// # Errors
    /// When the bytes are not what the key says.
    pub fn decode(key: &[u8], value: &[u8]) -> Result<Self, RecordError> {
        let mut key = Reader::new(key);
        let (_version, kind) = (key.int16()?, key.int16()?);
        let mut input = Reader::new(value);
        let record = match kind {
            kind::LEADER_CHANGE => {
                let version = input.int16()?;
                let leader = input.int32()?;
                let voters = input.list(|input| {
                    let voter = input.int32()?;
                    if version >= 1 {
                        let _directory: Uuid = input.uuid()?;
                    }
                    input.no_tags()?;
                    Ok(voter)
                })?;
                Self::LeaderChange { leader, voters }
            }
            kind::SNAPSHOT_HEADER => {
                let _version = input.int16()?;
                Self::SnapshotHeader {
                    log_timestamp_ms: input.int64()?,
                }
            }
            kind::SNAPSHOT_FOOTER => Self::SnapshotFooter,
            kind::KRAFT_VERSION => {
                let _version = input.int16()?;
                Self::KraftVersion(input.int16()?)
            }
            kind::VOTERS => {
                let _version = input.int16()?;
                Self::Voters(Voters {
                    node_ids: input.list(read_voter)?,
                    message: value.to_vec(),
                })
            }
            _ => Self::Other,
        };
        Ok(record)
    }

    /// Key and value of the record; none for a record that is not known.
    pub fn encode(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut out = Writer::default();
        let kind = match self {
            Self::Other => return None,
            Self::Voters(voters) => {
                out.bytes.clone_from(&voters.message);
                kind::VOTERS
            }
            Self::LeaderChange { leader, voters } => {
                out.int16(VERSION);
                out.int32(*leader);
                // The voters and those who granted their vote.
                for _ in 0..2 {
                    out.list(voters, |out, voter| {
                        out.int32(*voter);
                        out.no_tags();
                    });
                }
                out.no_tags();
                kind::LEADER_CHANGE
            }
            Self::SnapshotHeader { log_timestamp_ms } => {
                out.int16(VERSION);
                out.int64(*log_timestamp_ms);
                out.no_tags();
                kind::SNAPSHOT_HEADER
            }
            Self::SnapshotFooter => {
                out.int16(VERSION);
                out.no_tags();
                kind::SNAPSHOT_FOOTER
            }
            Self::KraftVersion(level) => {
                out.int16(VERSION);
                out.int16(*level);
                out.no_tags();
                kind::KRAFT_VERSION
            }
        };
        Some((
            [VERSION.to_be_bytes(), kind.to_be_bytes()].concat(),
            out.bytes,
        ))
    }
}

/// Reads over one voter and returns its node id.
fn read_voter(input: &mut Reader<'_>) -> Result<i32, RecordError> {
    let node_id = input.int32()?;
    let _directory: Uuid = input.uuid()?;
    input.list(|input| {
        let (_name, _host, _port) = (input.string()?, input.string()?, input.uint16()?);
        input.no_tags()
    })?;
    let (_level_first, _level_last) = (input.int16()?, input.int16()?);
    input.no_tags()?;
    input.no_tags()?;
    Ok(node_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect()
    }

    #[test]
    fn records_are_written_as_they_are_read() {
        // Those of a log that Kafka 4.3.1 wrote.
        let voters = bytes(
            "0000020000000181463f9ef0b0448e8c5b248815551ccf020b434f4e54524f4c4c45520a3132372e302e302e31727f00\
             00000001000000",
        );
        let voters = ControlRecord::decode(&[0, 0, 0, 6], &voters).unwrap();
        let ControlRecord::Voters(Voters { node_ids, .. }) = &voters else {
            panic!("{voters:?}")
        };
        assert_eq!(node_ids, &[1]);
        let records = [
            ControlRecord::SnapshotHeader {
                log_timestamp_ms: 1_795_270_685_988,
            },
            ControlRecord::SnapshotFooter,
            ControlRecord::KraftVersion(1),
            voters,
        ];
        for record in records {
            let (key, value) = record.encode().unwrap();
            assert_eq!(ControlRecord::decode(&key, &value), Ok(record));
        }
    }

    /// The bytes are those of a log that Kafka 4.3.1 wrote.
    #[test]
    fn a_leader_change_has_kafkas_bytes() {
        let change = ControlRecord::LeaderChange {
            leader: 1,
            voters: vec![1],
        };
        let (key, value) = change.encode().unwrap();
        assert_eq!(key, [0, 0, 0, 2]);
        assert_eq!(value, bytes("00000000000102000000010002000000010000"));
        assert_eq!(ControlRecord::decode(&key, &value), Ok(change));
    }

    #[test]
    fn bytes_that_are_no_control_record_are_refused() {
        assert_eq!(
            ControlRecord::decode(&[0, 0, 0], &[]),
            Err(RecordError::Truncated)
        );
        assert_eq!(
            ControlRecord::decode(&[0, 0, 0, 6], &[0, 0, 0xff, 0xff, 0xff, 0xff, 7]),
            Err(RecordError::Truncated)
        );
    }
}
