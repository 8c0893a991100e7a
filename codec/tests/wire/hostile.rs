//! Bytes that mean harm: declared lengths, too many elements, garbage.

use bytes::Bytes;
use kafka_protocol::messages::DeleteGroupsRequest;
use klamm_codec::{DecodeError, ELEMENTS_MAX, Fault, ShapeError, check_request, decode_request};

use crate::apis::decode_any;
use crate::bodies::{Style, every_version, put_varint, random_body};
use crate::random::Random;
use crate::seeds;

/// The seed and length of the bounded fuzz run; both can be set for a longer one.
const FUZZ_SEED_DEFAULT: u64 = 0x00ba_dbad;
const FUZZ_ROUNDS_DEFAULT: u64 = 60;

#[test]
fn an_array_of_two_billion_elements_is_refused_wherever_a_request_has_an_array() {
    // Every array of every API and version in turn. The walk allocates nothing, and a body that it refuses never
    // reaches the library, which would reserve memory for what is declared.
    for (api, version) in every_version() {
        let mut random = Random::of_case(1, api.key, version, 0);
        let body = random_body(api, version, Style::Full, &mut random);
        let mut huge = Vec::new();
        if api.flexible.contains(version) {
            put_varint(&mut huge, 0x8000_0000);
        } else {
            huge.extend(i32::MAX.to_be_bytes());
        }
        for place in body.arrays {
            let mut hostile = body.bytes.clone();
            hostile.splice(
                place.position..place.position + place.length_bytes,
                huge.iter().copied(),
            );
            let case = format!("{} {version} {}", api.name, place.field);
            let refused = check_request(api.key, version, &hostile);
            let Err(ShapeError::Malformed {
                field,
                position,
                fault,
            }) = refused
            else {
                panic!("{case}: {refused:?}")
            };
            let remaining = hostile.len() - position;
            assert_eq!(field, place.field, "{case}");
            assert_eq!(position, place.position + huge.len(), "{case}");
            assert_eq!(
                fault,
                Fault::ArrayTooLong {
                    count: i32::MAX as usize,
                    remaining
                },
                "{case}"
            );
            let decoded = decode_any(api.key, version, Bytes::from(hostile));
            assert!(
                matches!(decoded, None | Some(Err(DecodeError::Shape(_)))),
                "{case}: {decoded:?}"
            );
        }
    }
}

#[test]
fn an_array_may_not_declare_more_than_its_smallest_elements_fit() {
    // A Metadata 4 topic takes two bytes at least: eight bytes hold four of them and not five.
    let body_of = |count: u8| [0, 0, 0, count, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    assert!(check_request(3, 4, &body_of(4)).is_ok());
    let refused = check_request(3, 4, &body_of(5));
    let Err(ShapeError::Malformed { fault, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(
        fault,
        Fault::ArrayTooLong {
            count: 5,
            remaining: 9
        }
    );
}

#[test]
fn a_request_has_a_limited_number_of_elements_even_if_its_bytes_hold_more() {
    // DeleteGroups 2 with empty names, one byte each on the wire and 32 in memory.
    let body_of = |count: usize| {
        let mut body = Vec::new();
        put_varint(&mut body, count as u32 + 1);
        body.extend(vec![1; count]);
        body.push(0);
        Bytes::from(body)
    };
    let request =
        decode_request::<DeleteGroupsRequest>(2, body_of(ELEMENTS_MAX)).expect("just enough");
    assert_eq!(request.groups_names.len(), ELEMENTS_MAX);
    let refused = decode_request::<DeleteGroupsRequest>(2, body_of(ELEMENTS_MAX + 1));
    let Err(DecodeError::Shape(ShapeError::Malformed { fault, .. })) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(
        fault,
        Fault::TooManyElements {
            limit: ELEMENTS_MAX
        }
    );
}

#[test]
fn the_elements_of_nested_arrays_count_together() {
    // CreatePartitions 2: 1,000 topics of 1,000 assignments each are a thousand too many.
    let mut body = Vec::new();
    put_varint(&mut body, 1_001);
    for _ in 0..1_000 {
        body.extend(b"\x02t\x00\x00\x00\x01");
        put_varint(&mut body, 1_001);
        for _ in 0..1_000 {
            body.extend([1, 0]);
        }
        body.push(0);
    }
    body.extend([0, 0, 0, 0, 0, 0]);
    let refused = check_request(37, 2, &body);
    let Err(ShapeError::Malformed {
        field: "assignments",
        fault,
        ..
    }) = refused
    else {
        panic!("{refused:?}")
    };
    assert_eq!(
        fault,
        Fault::TooManyElements {
            limit: ELEMENTS_MAX
        }
    );
}

#[test]
fn mutated_requests_of_every_version_neither_panic_nor_pass_the_walk_and_fail_in_the_library() {
    // A bounded fuzz run: valid bodies with bytes changed, cut out, doubled or appended. A panic inside the library
    // would come back as `DecodeError::Library`, and so would bytes over which the walk and the library disagree.
    // KLAMM_FUZZ_SEED and KLAMM_FUZZ_ROUNDS make another or a longer run.
    let seed = setting("KLAMM_FUZZ_SEED", FUZZ_SEED_DEFAULT);
    let rounds = setting("KLAMM_FUZZ_ROUNDS", FUZZ_ROUNDS_DEFAULT);
    for (api, version) in every_version() {
        for round in 0..rounds {
            let mut random = Random::of_case(seed, api.key, version, round);
            let style = [Style::Any, Style::WithUnknownTags, Style::Full][random.below(3)];
            let mut body = random_body(api, version, style, &mut random).bytes;
            for _ in 0..1 + random.below(3) {
                mutate(&mut body, &mut random);
            }
            check_survival(
                api.key,
                version,
                body,
                &format!("KLAMM_FUZZ_SEED={seed} round {round}"),
            );
        }
    }
}

#[test]
fn garbage_neither_panics_nor_passes_the_walk_and_fails_in_the_library() {
    let seed = setting("KLAMM_FUZZ_SEED", FUZZ_SEED_DEFAULT);
    for (api, version) in every_version() {
        for round in 0..setting("KLAMM_FUZZ_ROUNDS", FUZZ_ROUNDS_DEFAULT) {
            let mut random = Random::of_case(!seed, api.key, version, round);
            let length = random.below(80);
            let body = random.bytes(length);
            check_survival(
                api.key,
                version,
                body,
                &format!("KLAMM_FUZZ_SEED={seed} round {round}"),
            );
        }
    }
}

#[test]
fn mutated_frames_of_the_fuzz_seeds_neither_panic_nor_pass_the_walk_and_fail_in_the_library() {
    // The same entry point as the libFuzzer target, from the same seeds.
    let seed = setting("KLAMM_FUZZ_SEED", FUZZ_SEED_DEFAULT);
    for (name, frame) in seeds::committed_frames() {
        assert!(matches!(seeds::decode_frame(&frame), Ok(Ok(()))), "{name}");
        for round in 0..setting("KLAMM_FUZZ_ROUNDS", FUZZ_ROUNDS_DEFAULT) {
            let mut random = Random::of_case(seed, 0, 0, round);
            let mut mutated = frame.clone();
            mutate(&mut mutated, &mut random);
            let decoded = seeds::decode_frame(&mutated);
            let case = format!("{name} KLAMM_FUZZ_SEED={seed} round {round}: {mutated:02x?}");
            assert!(
                !matches!(decoded, Ok(Err(DecodeError::Library { .. }))),
                "{decoded:?}: {case}"
            );
        }
    }
}

fn check_survival(api_key: i16, version: i16, body: Vec<u8>, case: &str) {
    let walked = check_request(api_key, version, &body);
    let decoded = decode_any(api_key, version, Bytes::from(body.clone()));
    let case = format!("api key {api_key} version {version} {case}: {body:02x?}");
    match decoded {
        Some(Err(DecodeError::Library { reason, .. })) => panic!("{reason}: {case}"),
        // Text that is not UTF-8 can grow too long on the way to the library.
        Some(Err(DecodeError::Shape(_))) | Some(Err(DecodeError::NoMessageType { .. })) | None => {}
        Some(Ok(())) => assert!(walked.is_ok(), "{walked:?}: {case}"),
    }
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    let position = random.below(bytes.len() + 1);
    let extreme = [0, 1, 0x7f, 0x80, 0xfe, 0xff][random.below(6)];
    match random.below(6) {
        0 => bytes.insert(position, random.next() as u8),
        1 => bytes.truncate(position),
        2 if position < bytes.len() => bytes[position] = random.next() as u8,
        3 if position < bytes.len() => bytes[position] = extreme,
        4 if position < bytes.len() => {
            let end = position + random.below(bytes.len() - position);
            bytes.drain(position..end);
        }
        _ => {
            let end = (position + 1 + random.below(6)).min(bytes.len());
            bytes[position.min(end)..end].fill(extreme);
        }
    }
}

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(value) => value
            .parse()
            .unwrap_or_else(|_| panic!("{name}={value} is not a number")),
        Err(_) => default,
    }
}
