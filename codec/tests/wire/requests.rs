//! Requests of every API and version: what is valid is taken, and taken for the same thing as the library takes it.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequest;
use kafka_protocol::messages::{ApiKey, ListGroupsRequest, MetadataRequest, RequestKind};
use klamm_codec::{
    DecodeError, Fault, FetchRequest, ShapeError, apis, check_request, decode_request,
};

use crate::apis::decode_any;
use crate::bodies::{Style, every_version, random_body};
use crate::random::Random;

const SEED: u64 = 0x004b_6c61_6d6d;
const ROUNDS: u64 = 40;

/// Versions of requests that Kafka 4.3 has and the library refuses. Some of them are read under an older number or by
/// this crate; a newer library will shorten this list.
const LIBRARY_LACKS: [(i16, i16); 14] = [
    (2, 11),
    (8, 10),
    (9, 10),
    (22, 6),
    (27, 2),
    (35, 5),
    (78, 2),
    (79, 2),
    (80, 1),
    (85, 1),
    (87, 1),
    (88, 0),
    (89, 0),
    (90, 1),
];

/// Versions of requests for which there is no message type at all.
const NO_TYPE: [(i16, i16); 7] = [
    (22, 6),
    (78, 2),
    (79, 2),
    (80, 1),
    (85, 1),
    (88, 0),
    (89, 0),
];

#[test]
fn the_walk_takes_exactly_the_bytes_that_the_library_reads_and_writes() {
    // Bodies made from the table; the library must read each to its end and write the same bytes again.
    for (api, version) in every_version() {
        let is_lacking = LIBRARY_LACKS.contains(&(api.key, version));
        for round in 0..ROUNDS {
            let mut random = Random::of_case(SEED, api.key, version, round);
            let body = random_body(api, version, Style::Any, &mut random).bytes;
            let case = format!(
                "{} {version} seed {SEED:#x} round {round}: {body:02x?}",
                api.name
            );
            let walked = check_request(api.key, version, &body)
                .unwrap_or_else(|error| panic!("{error}: {case}"));
            assert_eq!(walked.length_bytes, body.len(), "{case}");
            assert!(walked.is_plain, "{case}");
            let Ok(key) = ApiKey::try_from(api.key) else {
                assert!(is_lacking, "{case}");
                continue;
            };
            let mut unread = Bytes::from(body.clone());
            let message = RequestKind::decode(key, &mut unread, version);
            assert_eq!(message.is_err(), is_lacking, "{case}");
            let Ok(message) = message else { continue };
            assert!(unread.is_empty(), "{case}");
            let mut written = BytesMut::new();
            message
                .encode(&mut written, version)
                .unwrap_or_else(|error| panic!("{error}: {case}"));
            assert_eq!(written, body, "{case}");
        }
    }
}

#[test]
fn every_version_decodes_unless_no_type_can_hold_it() {
    for (api, version) in every_version() {
        for round in 0..ROUNDS {
            let mut random = Random::of_case(SEED, api.key, version, round);
            let body = random_body(api, version, Style::WithUnknownTags, &mut random).bytes;
            let expected = if NO_TYPE.contains(&(api.key, version)) {
                Err(DecodeError::NoMessageType {
                    api_key: api.key,
                    version,
                })
            } else {
                Ok(())
            };
            let decoded =
                decode_any(api.key, version, Bytes::from(body)).unwrap_or_else(|| expected.clone());
            assert_eq!(
                decoded, expected,
                "{} {version} seed {SEED:#x} round {round}",
                api.name
            );
        }
    }
}

#[test]
fn every_truncated_body_is_refused() {
    // A reader that needs the last byte cannot be content with fewer, whatever the version.
    for (api, version) in every_version() {
        for style in [Style::Any, Style::WithUnknownTags, Style::Full] {
            let mut random = Random::of_case(SEED, api.key, version, 0);
            let body = random_body(api, version, style, &mut random).bytes;
            for length in 0..body.len() {
                let case = format!(
                    "{} {version} {style:?} seed {SEED:#x}: {length} bytes",
                    api.name
                );
                let refused = check_request(api.key, version, &body[..length]);
                assert!(
                    matches!(refused, Err(ShapeError::Malformed { .. })),
                    "{case}: {refused:?}"
                );
                let prefix = Bytes::copy_from_slice(&body[..length]);
                let decoded = decode_any(api.key, version, prefix);
                assert!(!matches!(decoded, Some(Ok(()))), "{case}");
            }
        }
    }
}

#[test]
fn bytes_after_the_message_are_ignored_as_kafka_does() {
    for (api, version) in every_version() {
        let mut random = Random::of_case(SEED, api.key, version, 1);
        let mut body = random_body(api, version, Style::Any, &mut random).bytes;
        let length_bytes = body.len();
        body.extend([0xff; 9]);
        let walked = check_request(api.key, version, &body).expect("the message is whole");
        assert_eq!(walked.length_bytes, length_bytes, "{} {version}", api.name);
        let decoded = decode_any(api.key, version, Bytes::from(body));
        assert!(
            !matches!(
                decoded,
                Some(Err(DecodeError::Shape(_) | DecodeError::Library { .. }))
            ),
            "{}",
            api.name
        );
    }
}

#[test]
fn unknown_tagged_fields_are_skipped_and_change_nothing() {
    // The same body with and without them must become the same message.
    let compare = |version, with: Vec<u8>, without: Vec<u8>| {
        let with =
            decode_request::<FetchRequest>(version, Bytes::from(with)).expect("tags are skipped");
        let without = decode_request::<FetchRequest>(version, Bytes::from(without))
            .expect("the body is valid");
        assert_eq!(with, without);
    };
    let api = klamm_codec::find_api(1).expect("Fetch has a row");
    for version in api.flexible.first..=api.versions.last {
        for round in 0..ROUNDS {
            let mut random = Random::of_case(SEED, 1, version, round);
            let with = random_body(api, version, Style::WithUnknownTags, &mut random.clone()).bytes;
            compare(
                version,
                with,
                random_body(api, version, Style::Any, &mut random).bytes,
            );
        }
    }
}

#[test]
fn text_that_is_not_utf8_is_read_with_replacement_characters_as_kafka_does() {
    // OffsetCommit 2: group, generation, member, retention, and one topic with one partition.
    let mut body = b"\x00\x01g\x00\x00\x00\x01\x00\x02m\xff".to_vec();
    body.extend([0; 8]);
    body.extend(b"\x00\x00\x00\x01\x00\x01t\x00\x00\x00\x01\x00\x00\x00\x05");
    body.extend([0, 0, 0, 0, 0, 0, 0, 9]);
    body.extend(b"\x00\x04a\xe2\x82b");
    let request =
        decode_request::<OffsetCommitRequest>(2, Bytes::from(body)).expect("Kafka reads this");
    assert_eq!(request.member_id.as_str(), "m\u{fffd}");
    let partition = &request.topics[0].partitions[0];
    assert_eq!(
        (partition.partition_index, partition.committed_offset),
        (5, 9)
    );
    assert_eq!(partition.committed_metadata.as_deref(), Some("a\u{fffd}b"));
}

#[test]
fn text_that_is_not_utf8_is_taken_inside_tagged_fields_too() {
    // Fetch 12 with a cluster id (tag 0) of two bad bytes: the size of the tagged field grows with its text.
    let mut body = vec![0xff; 4];
    body.extend([0; 12]);
    body.extend([1, 0, 0, 0, 0, 0, 0, 0, 7]);
    body.extend(b"\x01\x01\x01\x01\x00\x03\x03\xff\xfe");
    let request = decode_request::<FetchRequest>(12, Bytes::from(body)).expect("Kafka reads this");
    assert_eq!((request.replica_id, request.session_epoch), (-1, 7));
}

#[test]
fn a_string_is_refused_above_the_length_that_kafka_reads() {
    // Metadata 9 with one topic name: 32767 bytes pass, 32768 do not, although a compact length could say more.
    let body_of = |length: u32| {
        let mut body = vec![2];
        crate::bodies::put_varint(&mut body, length + 1);
        body.extend(vec![b'n'; length as usize]);
        body.extend([0, 0, 0, 0, 0]);
        Bytes::from(body)
    };
    let request =
        decode_request::<MetadataRequest>(9, body_of(0x7fff)).expect("the name is short enough");
    assert_eq!(request.topics.map(|topics| topics.len()), Some(1));
    let refused = decode_request::<MetadataRequest>(9, body_of(0x8000));
    let Err(DecodeError::Shape(ShapeError::Malformed {
        field: "name",
        fault,
        ..
    })) = refused
    else {
        panic!("{refused:?}")
    };
    assert_eq!(fault, Fault::StringTooLong { length: 0x8000 });
}

#[test]
fn tagged_fields_must_ascend_and_fill_their_size() {
    // ListGroups 3 has no fields of its own but its states filter comes at 4: a body is the tagged section alone.
    let fault_of = |body: &'static [u8]| match decode_request::<ListGroupsRequest>(
        3,
        Bytes::from_static(body),
    ) {
        Ok(_) => None,
        Err(DecodeError::Shape(ShapeError::Malformed { fault, .. })) => Some(fault),
        Err(error) => panic!("{error}"),
    };
    assert_eq!(fault_of(&[2, 5, 0, 6, 1, 9]), None);
    assert_eq!(
        fault_of(&[2, 5, 0, 5, 0]),
        Some(Fault::TagsNotAscending { tag: 5 })
    );
    assert_eq!(
        fault_of(&[2, 5, 0, 4, 0]),
        Some(Fault::TagsNotAscending { tag: 4 })
    );
    assert_eq!(
        fault_of(&[1, 5, 3, 0]),
        Some(Fault::Truncated {
            needed: 3,
            remaining: 1
        })
    );
    assert_eq!(
        fault_of(&[0xff, 0xff, 0xff, 0xff, 0x0f]),
        Some(Fault::Truncated {
            needed: 1,
            remaining: 0
        })
    );
    assert_eq!(
        fault_of(&[0xff, 0xff, 0xff, 0xff, 0xff, 0]),
        Some(Fault::VarintTooLong)
    );
}

#[test]
fn a_known_tagged_field_must_fill_its_size() {
    // Fetch 12 with a cluster id of one byte in a tagged field that says it has three bytes.
    let mut body = vec![0; 25];
    body.extend(b"\x01\x01\x01\x01\x00\x03\x02c\x00");
    let refused = check_request(1, 12, &body);
    let Err(ShapeError::Malformed {
        field: "cluster_id",
        fault,
        ..
    }) = refused
    else {
        panic!("{refused:?}")
    };
    assert_eq!(
        fault,
        Fault::TagSizeWrong {
            tag: 0,
            declared: 3,
            actual: 2
        }
    );
}

#[test]
fn keys_and_versions_outside_the_table_are_refused() {
    assert_eq!(
        check_request(4, 0, &[]),
        Err(ShapeError::UnknownApi { api_key: 4 })
    );
    assert_eq!(
        check_request(-1, 0, &[]),
        Err(ShapeError::UnknownApi { api_key: -1 })
    );
    for api in apis() {
        for version in [
            i16::MIN,
            -1,
            api.versions.first - 1,
            api.versions.last + 1,
            i16::MAX,
        ] {
            let refused = Err(ShapeError::UnsupportedVersion {
                api_key: api.key,
                version,
            });
            assert_eq!(check_request(api.key, version, &[0; 64]), refused);
        }
    }
}
