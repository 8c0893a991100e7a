//! Bytes made by Apache Kafka 4.3.1's own generated classes, for every version, and back.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::ids::TopicId;

const TIME_MS: i64 = 1_700_000_000_000;

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn offset_value() -> OffsetCommitValue {
    OffsetCommitValue {
        offset: 300,
        leader_epoch: None,
        metadata: "mé".to_owned(),
        commit_timestamp_ms: TIME_MS,
        expire_timestamp_ms: None,
        topic_id: TopicId::ZERO,
    }
}

fn topic_id() -> TopicId {
    TopicId(std::array::from_fn(|index| index as u8 + 1))
}

fn group_value() -> GroupMetadataValue {
    GroupMetadataValue {
        protocol_type: "consumer".to_owned(),
        generation: 3,
        protocol: Some("range".to_owned()),
        leader: Some("m1".to_owned()),
        current_state_timestamp_ms: Some(TIME_MS),
        members: vec![
            MemberMetadata {
                member_id: "m1".to_owned(),
                instance_id: Some("i1".to_owned()),
                client_id: "c".to_owned(),
                client_host: "/127.0.0.1".to_owned(),
                rebalance_timeout_ms: 60_000,
                session_timeout_ms: 10_000,
                subscription: Bytes::from_static(&[1, 2]),
                assignment: Bytes::from_static(&[3]),
            },
            MemberMetadata {
                member_id: "m2".to_owned(),
                instance_id: None,
                client_id: String::new(),
                client_host: "/::1".to_owned(),
                rebalance_timeout_ms: 5,
                session_timeout_ms: 10_001,
                subscription: Bytes::new(),
                assignment: Bytes::new(),
            },
        ],
    }
}

/// The five versions of the same group as Kafka writes them; older ones lack a field each.
const GROUP_VALUES: [&str; 5] = [
    "00000008636f6e73756d657200000003000572616e676500026d310000000200026d31000163000a2f3132372e302e302e31\
     00002710000000020102000000010300026d32000000042f3a3a31000027110000000000000000",
    "00010008636f6e73756d657200000003000572616e676500026d310000000200026d31000163000a2f3132372e302e302e31\
     0000ea6000002710000000020102000000010300026d32000000042f3a3a3100000005000027110000000000000000",
    "00020008636f6e73756d657200000003000572616e676500026d310000018bcfe568000000000200026d31000163000a2f31\
     32372e302e302e310000ea6000002710000000020102000000010300026d32000000042f3a3a310000000500002711000000\
     0000000000",
    "00030008636f6e73756d657200000003000572616e676500026d310000018bcfe568000000000200026d3100026931000163\
     000a2f3132372e302e302e310000ea6000002710000000020102000000010300026d32ffff000000042f3a3a310000000500\
     0027110000000000000000",
    "000409636f6e73756d6572000000030672616e6765036d310000018bcfe5680003036d3103693102630b2f3132372e302e30\
     2e310000ea6000002710030102020300036d320001052f3a3a31000000050000271101010000",
];

/// What each version keeps of a group.
#[test]
fn every_version_of_a_group_is_read() {
    for (version, text) in GROUP_VALUES.iter().enumerate() {
        let mut expected = group_value();
        if version < 3 {
            expected.members[0].instance_id = None;
        }
        if version < 2 {
            expected.current_state_timestamp_ms = None;
        }
        if version < 1 {
            for member in &mut expected.members {
                member.rebalance_timeout_ms = member.session_timeout_ms;
            }
        }
        assert_eq!(
            GroupMetadataValue::decode(&unhex(text)),
            Ok(expected),
            "version {version}"
        );
    }
}

/// Groups are written in version 3, byte for byte as Kafka does, the empty group included.
#[test]
fn groups_are_written_as_kafka_writes_them() {
    let record = group_metadata("grp", &group_value());
    assert_eq!(record.key[..], unhex("00020003677270"));
    assert_eq!(record.value.unwrap()[..], unhex(GROUP_VALUES[3]));

    let empty = GroupMetadataValue {
        protocol_type: String::new(),
        generation: 0,
        protocol: None,
        leader: None,
        current_state_timestamp_ms: Some(TIME_MS),
        members: Vec::new(),
    };
    let expected = unhex("0003000000000000ffffffff0000018bcfe5680000000000");
    assert_eq!(empty.encode()[..], expected);
    assert_eq!(GroupMetadataValue::decode(&expected), Ok(empty));
}

/// What each version keeps of an offset.
#[test]
fn every_version_of_an_offset_is_read() {
    let versions = [
        (
            "0000000000000000012c00036dc3a90000018bcfe56800",
            offset_value(),
        ),
        (
            "0001000000000000012c00036dc3a90000018bcfe568000000018bcfe65260",
            OffsetCommitValue {
                expire_timestamp_ms: Some(TIME_MS + 60_000),
                ..offset_value()
            },
        ),
        (
            "0002000000000000012c00036dc3a90000018bcfe56800",
            offset_value(),
        ),
        (
            "0003000000000000012c0000000700036dc3a90000018bcfe56800",
            OffsetCommitValue {
                leader_epoch: Some(7),
                ..offset_value()
            },
        ),
        (
            "0004000000000000012c00000007046dc3a90000018bcfe56800\
             0100100102030405060708090a0b0c0d0e0f10",
            OffsetCommitValue {
                leader_epoch: Some(7),
                topic_id: topic_id(),
                ..offset_value()
            },
        ),
    ];
    for (text, expected) in versions {
        assert_eq!(
            OffsetCommitValue::decode(&unhex(text)),
            Ok(expected),
            "{text}"
        );
    }
}

/// Offsets are written in version 4, or in version 1 if they bring an expiry time, as Kafka does.
#[test]
fn offsets_are_written_as_kafka_writes_them() {
    let plain = OffsetCommitValue {
        metadata: String::new(),
        ..offset_value()
    };
    let record = offset_commit("grp", "top", 5, &plain);
    assert_eq!(record.key[..], unhex("000100036772700003746f7000000005"));
    let expected = unhex("0004000000000000012cffffffff010000018bcfe5680000");
    assert_eq!(record.value.unwrap()[..], expected);

    let expiring = OffsetCommitValue {
        expire_timestamp_ms: Some(TIME_MS + 60_000),
        ..offset_value()
    };
    let expected = unhex("0001000000000000012c00036dc3a90000018bcfe568000000018bcfe65260");
    assert_eq!(expiring.encode()[..], expected);
}

/// The three kinds of keys, the old one of offsets among them, and one that belongs to a newer protocol.
#[test]
fn keys_are_told_apart_by_their_type() {
    let offset = Key::OffsetCommit {
        group_id: "grp".to_owned(),
        topic: "top".to_owned(),
        partition: 5,
    };
    assert_eq!(
        Key::decode(&unhex("000100036772700003746f7000000005")),
        Ok(offset.clone())
    );
    assert_eq!(
        Key::decode(&unhex("000000036772700003746f7000000005")),
        Ok(offset)
    );
    let group = Key::GroupMetadata {
        group_id: "grp".to_owned(),
    };
    assert_eq!(Key::decode(&unhex("00020003677270")), Ok(group));
    assert_eq!(
        Key::decode(&unhex("00030003677270")),
        Ok(Key::Other { record_type: 3 })
    );
}

/// Every prefix of a value, and a version that does not exist yet.
#[test]
fn damaged_values_are_refused() {
    for text in GROUP_VALUES {
        let bytes = unhex(text);
        for end in 0..bytes.len() {
            assert!(
                GroupMetadataValue::decode(&bytes[..end]).is_err(),
                "{end} bytes of {text}"
            );
        }
    }
    let newer = GroupMetadataValue::decode(&[0, 5]);
    let expected = ReplayError::UnsupportedVersion {
        record: "GroupMetadata",
        version: 5,
    };
    assert_eq!(newer, Err(expected));
}

proptest! {
    /// Any offset comes back from its own record, apart from what version 1 cannot hold.
    #[test]
    fn offsets_come_back(
        offset: i64,
        epoch in proptest::option::of(0..i32::MAX),
        metadata in ".{0,40}",
        commit_timestamp_ms: i64,
        expire in proptest::option::of(0..i64::MAX),
        id: [u8; 16],
    ) {
        let value = OffsetCommitValue {
            offset,
            leader_epoch: epoch.filter(|_| expire.is_none()),
            metadata,
            commit_timestamp_ms,
            expire_timestamp_ms: expire,
            topic_id: if expire.is_none() { TopicId(id) } else { TopicId::ZERO },
        };
        prop_assert_eq!(OffsetCommitValue::decode(&value.encode()), Ok(value));
    }

    /// Whatever stands in the log is read or refused, never a panic.
    #[test]
    fn random_bytes_never_panic(version in 0_u8..6, mut bytes: Vec<u8>) {
        let _ = Key::decode(&bytes);
        bytes.splice(0..0, [0, version]);
        let _ = GroupMetadataValue::decode(&bytes);
        let _ = OffsetCommitValue::decode(&bytes);
    }
}
