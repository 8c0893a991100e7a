//! Request and response headers.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::{StrBytes, encode_request_header_into_buffer};
use klamm_codec::{Fault, HeaderError, RequestPrefix, apis, decode_request_header, peek_request};

use crate::bodies::every_version;

#[test]
fn header_versions_are_those_of_the_library_for_every_api_and_version() {
    let mut compared = 0;
    for (api, version) in every_version() {
        let Ok(key) = ApiKey::try_from(api.key) else {
            continue;
        };
        assert_eq!(
            api.request_header_version(version),
            key.request_header_version(version),
            "{}",
            api.name
        );
        assert_eq!(
            api.response_header_version(version),
            key.response_header_version(version),
            "{}",
            api.name
        );
        compared += 1;
    }
    assert!(compared > 200, "only {compared} versions were compared");
}

#[test]
fn what_the_library_writes_as_a_header_is_read_back() {
    for (api, version) in every_version() {
        if ApiKey::try_from(api.key).is_err() {
            continue;
        }
        for client_id in [None, Some(""), Some("client ß")] {
            let header = kafka_protocol::messages::RequestHeader::default()
                .with_request_api_key(api.key)
                .with_request_api_version(version)
                .with_correlation_id(-7)
                .with_client_id(client_id.map(StrBytes::from_static_str));
            let mut frame = BytesMut::new();
            encode_request_header_into_buffer(&mut frame, &header)
                .expect("the library has this key");
            frame.extend_from_slice(b"body");
            let (read, body) = decode_request_header(frame.freeze()).expect("the header is whole");
            assert_eq!(
                (read.api_key, read.api_version, read.correlation_id),
                (api.key, version, -7)
            );
            assert_eq!(read.client_id.as_str(), client_id.unwrap_or(""));
            assert_eq!(body, Bytes::from_static(b"body"));
        }
    }
}

#[test]
fn the_header_of_a_version_from_the_future_is_read() {
    // ApiVersions 99 has a flexible header; the server answers it at version 0 (KIP-511).
    let frame = Bytes::from_static(b"\x00\x12\x00\x63\x00\x00\x00\x05\x00\x01c\x00rest");
    let (header, body) = decode_request_header(frame).expect("the header is whole");
    assert_eq!(
        (header.api_version, header.correlation_id, body.as_ref()),
        (99, 5, &b"rest"[..])
    );
}

#[test]
fn tagged_fields_of_a_header_are_skipped() {
    let frame =
        Bytes::from_static(b"\x00\x12\x00\x03\x00\x00\x00\x05\xff\xff\x02\x00\x01x\x07\x00rest");
    let (header, body) = decode_request_header(frame).expect("the header is whole");
    assert_eq!(
        (header.client_id.as_str(), body.as_ref()),
        ("", &b"rest"[..])
    );
}

#[test]
fn a_client_id_that_is_not_utf8_is_read_with_replacement_characters() {
    let frame = Bytes::from_static(b"\x00\x12\x00\x00\x00\x00\x00\x05\x00\x03a\xffb");
    let (header, _) = decode_request_header(frame).expect("Kafka reads this");
    assert_eq!(header.client_id.as_str(), "a\u{fffd}b");
}

#[test]
fn every_truncated_header_is_refused() {
    for api in apis() {
        let mut frame = api.key.to_be_bytes().to_vec();
        frame.extend(api.versions.last.to_be_bytes());
        frame.extend(b"\x00\x00\x00\x05\x00\x03abc");
        if api.request_header_version(api.versions.last) == 2 {
            frame.extend(b"\x01\x05\x02xy");
        }
        for length in 0..frame.len() {
            let prefix = Bytes::copy_from_slice(&frame[..length]);
            assert_eq!(peek_request(&prefix).is_err(), length < 8);
            let expected_short = HeaderError::TooShort { length };
            match decode_request_header(prefix) {
                Err(error) if length < 8 => assert_eq!(error, expected_short),
                Err(HeaderError::Malformed { .. }) => {}
                other => panic!("{} {length}: {other:?}", api.name),
            }
        }
        assert!(decode_request_header(Bytes::from(frame)).is_ok());
    }
}

#[test]
fn an_unknown_key_is_refused_and_its_correlation_id_can_still_be_peeked() {
    let frame = Bytes::from_static(b"\x00\x04\x00\x00\x00\x00\x00\x09\x00\x00");
    let prefix = RequestPrefix {
        api_key: 4,
        api_version: 0,
        correlation_id: 9,
    };
    assert_eq!(peek_request(&frame), Ok(prefix));
    assert_eq!(
        decode_request_header(frame),
        Err(HeaderError::UnknownApi { api_key: 4 })
    );
}

#[test]
fn a_negative_client_id_length_other_than_null_is_refused() {
    let frame = Bytes::from_static(b"\x00\x12\x00\x00\x00\x00\x00\x05\xff\xfe");
    let fault = Fault::LengthOutOfRange { length: -2 };
    assert_eq!(
        decode_request_header(frame),
        Err(HeaderError::Malformed {
            position: 10,
            fault
        })
    );
}
