//! Bytes made by Apache Kafka 4.3.1's own `TransactionLog`, and back.

use proptest::prelude::*;

use super::*;
use crate::ids::Millis;

const TIME_MS: i64 = 1_700_000_000_000;
const TRANSACTIONAL_ID: &str = "tx-é";
const KEY: &str = "0000000574782dc3a9";

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn partitions(named: &[(&str, i32)]) -> BTreeSet<TxnPartition> {
    named
        .iter()
        .map(|&(topic, partition)| TxnPartition {
            topic: topic.to_owned(),
            partition,
        })
        .collect()
}

fn empty() -> Transaction {
    Transaction {
        producer_epoch: 0,
        ..Transaction::first(ProducerId(4000), 60_000, Millis(TIME_MS))
    }
}

fn ongoing(client_version: i16) -> Transaction {
    Transaction {
        producer_epoch: 3,
        phase: Phase::Ongoing,
        partitions: partitions(&[("t", 0), ("t", 2), ("u", 49)]),
        start_ms: TIME_MS - 5,
        client_version,
        ..empty()
    }
}

fn prepared() -> Transaction {
    Transaction {
        producer_epoch: i16::MAX,
        next_producer_id: Some(ProducerId(5000)),
        phase: Phase::Prepared(TransactionOutcome::Aborted),
        partitions: partitions(&[("t", 0)]),
        ..ongoing(2)
    }
}

fn completed() -> Transaction {
    Transaction {
        producer_id: ProducerId(5000),
        producer_epoch: 0,
        phase: Phase::Complete(TransactionOutcome::Committed),
        partitions: BTreeSet::new(),
        ..ongoing(2)
    }
}

/// Level of `transaction.version`, transaction, and the value that Kafka writes.
fn golden() -> Vec<(i16, Transaction, &'static str)> {
    vec![
        (
            0,
            empty(),
            "00000000000000000fa000000000ea6000ffffffff0000018bcfe56800ffffffffffffffff",
        ),
        (
            0,
            ongoing(0),
            "00000000000000000fa000030000ea60010000000200017400000002000000000000000200017500000001000000310000018b\
             cfe568000000018bcfe567fb",
        ),
        (
            1,
            empty(),
            "00010000000000000fa000000000ea6000000000018bcfe56800ffffffffffffffff0100080000000000000fa0",
        ),
        (
            1,
            ongoing(0),
            "00010000000000000fa000030000ea60010302740300000000000000020002750200000031000000018bcfe568000000018bcf\
             e567fb0100080000000000000fa0",
        ),
        (
            2,
            ongoing(2),
            "00010000000000000fa000030000ea60010302740300000000000000020002750200000031000000018bcfe568000000018bcf\
             e567fb0200080000000000000fa002020002",
        ),
        (
            2,
            prepared(),
            "00010000000000000fa07fff0000ea60030202740200000000000000018bcfe568000000018bcfe567fb030008000000000000\
             0fa00108000000000000138802020002",
        ),
        (
            2,
            completed(),
            "0001000000000000138800000000ea6004010000018bcfe568000000018bcfe567fb0200080000000000000fa002020002",
        ),
    ]
}

/// What a version 0 value has no place for.
fn as_of_version_0(transaction: Transaction) -> Transaction {
    Transaction {
        previous_producer_id: None,
        next_producer_id: None,
        client_version: 0,
        ..transaction
    }
}

#[test]
fn records_are_kafkas_byte_for_byte() {
    for (version, value, bytes) in golden() {
        let record = transaction(TRANSACTIONAL_ID, &value, version);
        assert_eq!(&record.key[..], unhex(KEY));
        assert_eq!(
            record.value.as_deref(),
            Some(&unhex(bytes)[..]),
            "{value:?}"
        );
    }
    assert_eq!(&tombstone(TRANSACTIONAL_ID).key[..], unhex(KEY));
    assert_eq!(tombstone(TRANSACTIONAL_ID).value, None);
}

#[test]
fn kafkas_records_say_what_they_said_to_kafka() {
    let key = Key::Transaction {
        transactional_id: TRANSACTIONAL_ID.to_owned(),
    };
    assert_eq!(Key::decode(&unhex(KEY)), Ok(key));
    for (version, value, bytes) in golden() {
        let expected = match version {
            0 => as_of_version_0(value),
            _ => value,
        };
        assert_eq!(decode(&unhex(bytes)), Ok(expected));
    }
}

/// A Kafka of `transaction.version` 0 refuses to write the version of a client that is ahead of it, and the producer's
/// next id; here both are left out.
#[test]
fn version_0_leaves_out_what_it_has_no_place_for() {
    let record = transaction(TRANSACTIONAL_ID, &prepared(), 0);
    let value = record.value.expect("not a tombstone");
    assert_eq!(decode(&value), Ok(as_of_version_0(prepared())));
}

/// Tagged fields of later releases, the epoch of the next producer id among them, are passed over.
#[test]
fn unknown_tagged_fields_are_passed_over() {
    let mut bytes = unhex(golden()[2].2);
    let tags_at = bytes.len() - 11;
    bytes[tags_at] = 3;
    bytes.extend([3, 2, 0, 7, 9, 1, 0xff]);
    assert_eq!(decode(&bytes), Ok(empty()));
}

#[test]
fn an_id_without_a_transaction_has_no_partitions() {
    let mut bytes = unhex(golden()[1].2);
    let status_at = 2 + 8 + 2 + 4;
    bytes[status_at] = 0;
    let decoded = decode(&bytes).expect("the record is whole");
    assert_eq!(decoded.phase, Phase::Empty);
    assert!(decoded.partitions.is_empty());
}

#[test]
fn damaged_and_later_records_are_refused() {
    let status_at = 2 + 8 + 2 + 4;
    let later = [0, 2];
    let unsupported = ReplayError::UnsupportedVersion {
        record: "TransactionLog",
        version: 2,
    };
    assert_eq!(decode(&later), Err(unsupported));
    // Dead and PrepareEpochFence are written by nobody, 8 and -1 are no state at all.
    for status in [6, 7, 8, 0xff] {
        let mut bytes = unhex(golden()[1].2);
        bytes[status_at] = status;
        let field = "transaction status";
        assert_eq!(decode(&bytes), Err(ReplayError::Malformed { field }));
    }
    // An open transaction has a list of partitions, if an empty one.
    let mut bytes = unhex(golden()[0].2);
    bytes[status_at] = 1;
    let field = "transaction partitions";
    assert_eq!(decode(&bytes), Err(ReplayError::Malformed { field }));
    assert_eq!(Key::decode(&[0, 7]), Ok(Key::Other { record_type: 7 }));
}

/// Cut short anywhere, a record is refused.
#[test]
fn no_record_can_do_without_its_end() {
    for (_, _, bytes) in golden() {
        let bytes = unhex(bytes);
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "{length} of {bytes:?}");
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(version in 0..3_i16, bytes: Vec<u8>) {
        let _ = Key::decode(&bytes);
        let _ = decode(&bytes);
        let versioned = [&version.to_be_bytes()[..], &bytes].concat();
        let _ = decode(&versioned);
    }

    /// A record with any one byte changed is read as something or refused, never a panic.
    #[test]
    fn a_changed_byte_never_panics(which in 0..7_usize, at: prop::sample::Index, byte: u8) {
        let mut bytes = unhex(golden()[which].2);
        let index = at.index(bytes.len());
        bytes[index] = byte;
        let _ = decode(&bytes);
    }
}
