//! The records of `__transaction_state`, in Kafka's own schemas (`TransactionLogKey`, `TransactionLogValue`).

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use bytes::{BufMut, Bytes, BytesMut};

use super::transaction::{Phase, Transaction};
use crate::error::ReplayError;
use crate::ids::ProducerId;
use crate::record::codec::{
    Lengths, Reader, put_array_count, put_null_array, put_string, put_unsigned_varint,
};
use crate::step::{Record, TransactionOutcome};
use crate::txn::TxnPartition;

const TYPE_TRANSACTION_LOG: i16 = 0;

/// Versions of the value that can be read.
const VERSION_MAX: i16 = 1;
/// The first version with tagged fields, written from `transaction.version` 1 on.
const VERSION_FLEXIBLE: i16 = 1;

const TAG_PREVIOUS_PRODUCER_ID: u32 = 0;
const TAG_NEXT_PRODUCER_ID: u32 = 1;
const TAG_CLIENT_VERSION: u32 = 2;

/// What a producer id says that is none.
const NO_PRODUCER_ID: i64 = -1;

/// What a record is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    Transaction {
        transactional_id: String,
    },
    /// A type that this crate does not know.
    Other {
        record_type: i16,
    },
}

impl Key {
    pub fn decode(bytes: &[u8]) -> Result<Self, ReplayError> {
        let mut reader = Reader::new(bytes);
        match reader.int16("record type")? {
            TYPE_TRANSACTION_LOG => Ok(Self::Transaction {
                transactional_id: reader.string(Lengths::Fixed, "transactional id")?,
            }),
            record_type => Ok(Self::Other { record_type }),
        }
    }
}

/// What is known of a transactional id, as written under a level of `transaction.version`.
pub fn transaction(
    transactional_id: &str,
    transaction: &Transaction,
    transaction_version: i16,
) -> Record {
    Record {
        key: key(transactional_id),
        value: Some(encode(transaction, i16::from(transaction_version >= 1))),
    }
}

/// A transactional id is forgotten.
pub fn tombstone(transactional_id: &str) -> Record {
    Record {
        key: key(transactional_id),
        value: None,
    }
}

fn key(transactional_id: &str) -> Bytes {
    let mut out = BytesMut::with_capacity(2 + 2 + transactional_id.len());
    out.put_i16(TYPE_TRANSACTION_LOG);
    put_string(&mut out, Lengths::Fixed, transactional_id);
    out.freeze()
}

/// The value at a version. Version 0 has no place for the previous and the next producer id and the client's version.
fn encode(transaction: &Transaction, version: i16) -> Bytes {
    let lengths = lengths(version);
    let mut out = BytesMut::new();
    out.put_i16(version);
    out.put_i64(transaction.producer_id.0);
    out.put_i16(transaction.producer_epoch);
    out.put_i32(transaction.timeout_ms);
    out.put_i8(code(transaction.phase));
    match transaction.phase {
        Phase::Empty => put_null_array(&mut out, lengths),
        Phase::Ongoing | Phase::Prepared(_) | Phase::Complete(_) => {
            put_partitions(&mut out, lengths, &transaction.partitions);
        }
    }
    out.put_i64(transaction.updated_ms);
    out.put_i64(transaction.start_ms);
    if version >= VERSION_FLEXIBLE {
        put_tagged_fields(&mut out, transaction);
    }
    out.freeze()
}

fn put_partitions(out: &mut BytesMut, lengths: Lengths, partitions: &BTreeSet<TxnPartition>) {
    let partitions: Vec<&TxnPartition> = partitions.iter().collect();
    let topics = || partitions.chunk_by(|one, other| one.topic == other.topic);
    put_array_count(out, lengths, topics().count());
    for topic in topics() {
        put_string(out, lengths, &topic[0].topic);
        put_array_count(out, lengths, topic.len());
        for partition in topic {
            out.put_i32(partition.partition);
        }
        if lengths == Lengths::Compact {
            put_unsigned_varint(out, 0);
        }
    }
}

fn put_tagged_fields(out: &mut BytesMut, transaction: &Transaction) {
    let ids = [
        (TAG_PREVIOUS_PRODUCER_ID, transaction.previous_producer_id),
        (TAG_NEXT_PRODUCER_ID, transaction.next_producer_id),
    ];
    let ids = ids.iter().filter_map(|&(tag, id)| Some((tag, id?)));
    let has_version = transaction.client_version != 0;
    let count = ids.clone().count() as u32 + u32::from(has_version);
    put_unsigned_varint(out, count);
    for (tag, id) in ids {
        put_unsigned_varint(out, tag);
        put_unsigned_varint(out, 8);
        out.put_i64(id.0);
    }
    if has_version {
        put_unsigned_varint(out, TAG_CLIENT_VERSION);
        put_unsigned_varint(out, 2);
        out.put_i16(transaction.client_version);
    }
}

/// Reads a value of any version.
pub fn decode(bytes: &[u8]) -> Result<Transaction, ReplayError> {
    let mut reader = Reader::new(bytes);
    let version = reader.int16("version")?;
    if !(0..=VERSION_MAX).contains(&version) {
        return Err(ReplayError::UnsupportedVersion {
            record: "TransactionLog",
            version,
        });
    }
    let lengths = lengths(version);
    let producer_id = ProducerId(reader.int64("producer id")?);
    let producer_epoch = reader.int16("producer epoch")?;
    let timeout_ms = reader.int32("transaction timeout")?;
    let phase = phase(reader.array("transaction status").map(i8::from_be_bytes)?)?;
    let partitions = read_partitions(&mut reader, lengths, phase)?;
    let updated_ms = reader.int64("last update timestamp")?;
    let start_ms = reader.int64("start timestamp")?;
    let mut transaction = Transaction {
        producer_id,
        producer_epoch,
        previous_producer_id: None,
        next_producer_id: None,
        last_epoch: None,
        timeout_ms,
        phase,
        partitions,
        start_ms,
        updated_ms,
        client_version: 0,
    };
    if version >= VERSION_FLEXIBLE {
        read_tagged_fields(&mut reader, &mut transaction)?;
    }
    Ok(transaction)
}

fn read_partitions(
    reader: &mut Reader<'_>,
    lengths: Lengths,
    phase: Phase,
) -> Result<BTreeSet<TxnPartition>, ReplayError> {
    const FIELD: &str = "transaction partitions";
    let mut partitions = BTreeSet::new();
    let Some(topic_count) = reader.nullable_array_count(lengths, FIELD)? else {
        return match phase {
            Phase::Empty => Ok(partitions),
            Phase::Ongoing | Phase::Prepared(_) | Phase::Complete(_) => {
                Err(ReplayError::Malformed { field: FIELD })
            }
        };
    };
    for _ in 0..topic_count {
        let topic = reader.string(lengths, "topic")?;
        for _ in 0..reader.array_count(lengths, "partition ids")? {
            partitions.insert(TxnPartition {
                topic: topic.clone(),
                partition: reader.int32("partition id")?,
            });
        }
        if lengths == Lengths::Compact {
            reader.tagged_fields(|_, _| Ok(()))?;
        }
    }
    // Like Kafka, an id without a transaction is taken to have no partitions, whatever its record says.
    if phase == Phase::Empty {
        partitions.clear();
    }
    Ok(partitions)
}

fn read_tagged_fields(
    reader: &mut Reader<'_>,
    transaction: &mut Transaction,
) -> Result<(), ReplayError> {
    reader.tagged_fields(|tag, bytes| {
        let mut field = Reader::new(bytes);
        match tag {
            TAG_PREVIOUS_PRODUCER_ID => {
                transaction.previous_producer_id = known_id(field.int64("previous producer id")?);
            }
            TAG_NEXT_PRODUCER_ID => {
                transaction.next_producer_id = known_id(field.int64("next producer id")?);
            }
            TAG_CLIENT_VERSION => {
                transaction.client_version = field.int16("client transaction version")?;
            }
            // Of later releases, and an epoch of the next producer id that nobody writes so far.
            _ => {}
        }
        Ok(())
    })
}

fn known_id(id: i64) -> Option<ProducerId> {
    (id != NO_PRODUCER_ID).then_some(ProducerId(id))
}

fn lengths(version: i16) -> Lengths {
    if version >= VERSION_FLEXIBLE {
        Lengths::Compact
    } else {
        Lengths::Fixed
    }
}

fn code(phase: Phase) -> i8 {
    match phase {
        Phase::Empty => 0,
        Phase::Ongoing => 1,
        Phase::Prepared(TransactionOutcome::Committed) => 2,
        Phase::Prepared(TransactionOutcome::Aborted) => 3,
        Phase::Complete(TransactionOutcome::Committed) => 4,
        Phase::Complete(TransactionOutcome::Aborted) => 5,
    }
}

fn phase(code: i8) -> Result<Phase, ReplayError> {
    match code {
        0 => Ok(Phase::Empty),
        1 => Ok(Phase::Ongoing),
        2 => Ok(Phase::Prepared(TransactionOutcome::Committed)),
        3 => Ok(Phase::Prepared(TransactionOutcome::Aborted)),
        4 => Ok(Phase::Complete(TransactionOutcome::Committed)),
        5 => Ok(Phase::Complete(TransactionOutcome::Aborted)),
        _ => Err(ReplayError::Malformed {
            field: "transaction status",
        }),
    }
}
