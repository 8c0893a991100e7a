//! The records that every client writes and every other client must read: one of each kind that has ever been lost on the
//! way through some client or server, then a run of ordinary ones for batches of several records.

use crate::scenarios::record::{Codec, Content, Record};

/// Records behind the special ones.
const ORDINARY_RECORDS: i64 = 20;

/// The distance between the timestamps of neighbours.
pub const STEP_MS: i64 = 1_000;

const COMPRESSIBLE_BYTES: usize = 40_000;
const INCOMPRESSIBLE_BYTES: usize = 20_000;

/// Which part of the known set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Everything but [`Self::NullHeaders`].
    Main,
    /// Records with null header values: one client fails on them, so they lie in topics of their own.
    NullHeaders,
}

/// The known set of one producer and codec, `STEP_MS` apart from `first_timestamp` on.
pub fn records(part: Part, producer: &str, codec: Codec, first_timestamp: i64) -> Vec<Record> {
    let mut records = match part {
        Part::Main => main_records(producer, codec),
        Part::NullHeaders => vec![
            headed(&[("null", None)]),
            headed(&[("a", None), ("a", bytes(b"1"))]),
        ],
    };
    let mut timestamp = first_timestamp;
    for record in &mut records {
        record.timestamp = Some(timestamp);
        timestamp += STEP_MS;
    }
    records
}

fn main_records(producer: &str, codec: Codec) -> Vec<Record> {
    let mut records = special_records();
    for number in 0..ORDINARY_RECORDS {
        let value = format!("record {number} of {producer}, {}", codec.name()).repeat(5);
        records.push(plain(&format!("key {number}"), value.as_bytes()));
    }
    records
}

fn special_records() -> Vec<Record> {
    let all_bytes: Vec<u8> = (0..=255).collect();
    let compressible = "klamm ".repeat(COMPRESSIBLE_BYTES / 6);
    vec![
        plain("plain", b"value"),
        record(None, bytes(b"without a key"), &[]),
        plain("", b"with an empty key"),
        record(bytes(b"tombstone"), None, &[]),
        plain("with an empty value", b""),
        record(None, None, &[]),
        record(None, bytes(b""), &[]),
        plain("Größe 鍵 🔑", b"non-ASCII key"),
        record(bytes(b"\xff\x00\xfe\x80"), bytes(b"binary key"), &[]),
        plain("binary value", &all_bytes),
        headed(&[("a", bytes(b"1")), ("a", bytes(b"2")), ("a", bytes(b"1"))]),
        headed(&[("a", bytes(b"1")), ("b", bytes(b"x")), ("a", bytes(b"2"))]),
        headed(&[("z", bytes(b"1")), ("a", bytes(b"2"))]),
        headed(&[("empty", bytes(b""))]),
        headed(&[("binary", bytes(b"\xff\xfe\x00\x80"))]),
        headed(&[("binary", bytes(b"\xff\xfe\x80"))]),
        headed(&[("Schlüssel", "Wert ✓".as_bytes().to_vec().into())]),
        headed(&[("", bytes(b"empty header key"))]),
        plain("compressible", compressible.as_bytes()),
        plain("incompressible", &noise(INCOMPRESSIBLE_BYTES)),
    ]
}

fn record(key: Content, value: Content, headers: &[(&str, Content)]) -> Record {
    Record {
        timestamp: None,
        key,
        value,
        headers: headers
            .iter()
            .map(|(name, content)| ((*name).to_owned(), content.clone()))
            .collect(),
    }
}

fn plain(key: &str, value: &[u8]) -> Record {
    record(bytes(key.as_bytes()), bytes(value), &[])
}

fn headed(headers: &[(&str, Content)]) -> Record {
    record(bytes(b"with headers"), bytes(b"value"), headers)
}

fn bytes(content: &[u8]) -> Content {
    Some(content.to_vec())
}

/// The same bytes in every run, which no codec makes smaller (xorshift64).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = Vec::with_capacity(length);
    while noise.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.push((state >> 32) as u8);
    }
    noise
}
