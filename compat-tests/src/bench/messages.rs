//! The requests of the load and what must be true of their answers. Topics are named, not identified: Produce 12 and
//! Fetch 12 are the last versions in which a load needs no look-up first.

use super::wire::{Reader, Writer, as_i32};
use super::{Failure, Outcome, batch};

pub const PRODUCE: i16 = 0;
pub const FETCH: i16 = 1;
pub const LIST_OFFSETS: i16 = 2;
pub const OFFSET_COMMIT: i16 = 8;
pub const FIND_COORDINATOR: i16 = 10;
pub const JOIN_GROUP: i16 = 11;
pub const HEARTBEAT: i16 = 12;
pub const SYNC_GROUP: i16 = 14;
pub const API_VERSIONS: i16 = 18;
pub const CREATE_TOPICS: i16 = 19;
pub const DELETE_TOPICS: i16 = 20;

pub const PRODUCE_VERSION: i16 = 12;
pub const FETCH_VERSION: i16 = 12;
pub const LIST_OFFSETS_VERSION: i16 = 1;
pub const CREATE_TOPICS_VERSION: i16 = 4;
pub const DELETE_TOPICS_VERSION: i16 = 3;

const ACKS_ALL: i16 = -1;
const ACKS_LEADER: i16 = 1;
const REQUEST_TIMEOUT_MS: i32 = 30_000;
/// What the Java consumer waits by default (`fetch.max.wait.ms`).
const FETCH_WAIT_MS: i32 = 500;
const FETCH_BYTES_MIN: i32 = 1;
/// What the Java consumer takes at most by default (`fetch.max.bytes`).
const FETCH_BYTES_MAX: i32 = 50 << 20;
const LATEST: i64 = -1;

pub fn api_versions() -> Vec<u8> {
    Writer::request(API_VERSIONS, 0).finish()
}

pub fn check_api_versions(answer: &[u8]) -> Outcome<()> {
    let mut answer = Reader::new(answer);
    answer.skip(4)?;
    answer.refuse_error("api versions")
}

/// What an answer to a producer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    Leader,
    All,
}

/// One batch for each of the partitions, with `acks=all`.
pub fn produce(topic: &str, batches: &[(usize, &[u8])]) -> Vec<u8> {
    produce_with(Acks::All, topic, batches)
}

pub fn produce_with(acks: Acks, topic: &str, batches: &[(usize, &[u8])]) -> Vec<u8> {
    let acks = match acks {
        Acks::Leader => ACKS_LEADER,
        Acks::All => ACKS_ALL,
    };
    let mut request = Writer::flexible_request(PRODUCE, PRODUCE_VERSION)
        .compact_null() // transactional id
        .int16(acks)
        .int32(REQUEST_TIMEOUT_MS)
        .compact(1)
        .compact_string(topic)
        .compact(batches.len());
    for (partition, batch) in batches {
        request = request
            .int32(as_i32(*partition))
            .compact(batch.len())
            .raw(batch)
            .no_tags();
    }
    request.no_tags().no_tags().finish()
}

/// Every partition must have taken its batch.
pub fn check_produced(answer: &[u8]) -> Outcome<()> {
    let mut answer = Reader::new(answer);
    answer.skip(4)?;
    answer.tags()?;
    for _ in 0..answer.compact()? {
        answer.compact_string()?;
        for _ in 0..answer.compact()? {
            answer.skip(4)?;
            answer.refuse_error("produce")?;
            answer.skip(8 + 8 + 8)?;
            if answer.compact()? != 0 {
                return Err(Failure::new("produce is answered with record errors"));
            }
            answer.compact_string()?;
            answer.tags()?;
        }
        answer.tags()?;
    }
    Ok(())
}

/// From each of the partitions what lies behind an offset, at most `partition_bytes_max` of it.
pub fn fetch(topic: &str, partitions: &[(usize, i64)], partition_bytes_max: i32) -> Vec<u8> {
    let mut request = Writer::flexible_request(FETCH, FETCH_VERSION)
        .int32(-1) // no replica
        .int32(FETCH_WAIT_MS)
        .int32(FETCH_BYTES_MIN)
        .int32(FETCH_BYTES_MAX)
        .int8(0) // read uncommitted
        .int32(0) // no session
        .int32(-1)
        .compact(1)
        .compact_string(topic)
        .compact(partitions.len());
    for (partition, offset) in partitions {
        request = request
            .int32(as_i32(*partition))
            .int32(-1) // any leader epoch
            .int64(*offset)
            .int32(-1)
            .int64(-1)
            .int32(partition_bytes_max)
            .no_tags();
    }
    request
        .no_tags()
        .compact(0) // forgotten topics
        .compact_string("") // rack
        .no_tags()
        .finish()
}

/// What one partition has answered to a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetched {
    pub record_bytes: usize,
    /// Behind the last whole batch, if there is one.
    pub next_offset: Option<i64>,
}

/// What came of a fetch, all partitions together; the offset is the last partition's.
pub fn check_fetched(answer: &[u8]) -> Outcome<Fetched> {
    let mut answer = Reader::new(answer);
    answer.skip(4)?;
    answer.tags()?;
    answer.skip(4)?;
    answer.refuse_error("fetch")?;
    answer.skip(4)?;
    let mut fetched = Fetched {
        record_bytes: 0,
        next_offset: None,
    };
    for _ in 0..answer.compact()? {
        answer.compact_string()?;
        for _ in 0..answer.compact()? {
            answer.skip(4)?;
            answer.refuse_error("fetch")?;
            answer.skip(8 + 8 + 8)?;
            for _ in 0..answer.compact()? {
                answer.skip(8 + 8)?;
                answer.tags()?;
            }
            answer.skip(4)?;
            let count = answer.compact()?;
            let records = answer.take(count)?;
            answer.tags()?;
            fetched.record_bytes += records.len();
            fetched.next_offset = next_offset(records).or(fetched.next_offset);
        }
        answer.tags()?;
    }
    Ok(fetched)
}

fn next_offset(mut records: &[u8]) -> Option<i64> {
    let mut next = None;
    while let Some(bytes) = batch::total_bytes(records)
        && bytes >= batch::HEADER_BYTES
        && let Some((whole, rest)) = records.split_at_checked(bytes)
    {
        next = Some(batch::base_offset(whole) + batch::offset_count(whole));
        records = rest;
    }
    next
}

/// A topic with one replica; `configs` are names and values.
pub fn create_topic(topic: &str, partitions: usize, configs: &[(&str, &str)]) -> Vec<u8> {
    let mut request = Writer::request(CREATE_TOPICS, CREATE_TOPICS_VERSION)
        .array(1)
        .string(topic)
        .int32(as_i32(partitions))
        .int16(1)
        .array(0)
        .array(configs.len());
    for (name, value) in configs {
        request = request.string(name).string(value);
    }
    request.int32(REQUEST_TIMEOUT_MS).int8(0).finish()
}

pub fn check_created(answer: &[u8]) -> Outcome<()> {
    let mut answer = Reader::new(answer);
    answer.skip(4 + 4)?;
    for _ in 0..answer.count()? {
        answer.string()?;
        answer.refuse_error("create topics")?;
        answer.string()?;
    }
    Ok(())
}

pub fn delete_topic(topic: &str) -> Vec<u8> {
    Writer::request(DELETE_TOPICS, DELETE_TOPICS_VERSION)
        .array(1)
        .string(topic)
        .int32(REQUEST_TIMEOUT_MS)
        .finish()
}

pub fn check_deleted(answer: &[u8]) -> Outcome<()> {
    let mut answer = Reader::new(answer);
    answer.skip(4 + 4)?;
    for _ in 0..answer.count()? {
        answer.string()?;
        answer.refuse_error("delete topics")?;
    }
    Ok(())
}

/// Asks for the log ends: a partition answers only when it can be written.
pub fn list_offsets(topic: &str, partitions: usize) -> Vec<u8> {
    let questions: Vec<_> = (0..partitions)
        .map(|partition| (partition, LATEST))
        .collect();
    list_offsets_at(topic, &questions)
}

/// Asks each of the partitions for its first offset from a timestamp (in milliseconds) on.
pub fn list_offsets_at(topic: &str, partitions: &[(usize, i64)]) -> Vec<u8> {
    let mut request = Writer::request(LIST_OFFSETS, LIST_OFFSETS_VERSION)
        .int32(-1)
        .array(1)
        .string(topic)
        .array(partitions.len());
    for (partition, timestamp_ms) in partitions {
        request = request.int32(as_i32(*partition)).int64(*timestamp_ms);
    }
    request.finish()
}

/// The offsets by partition, whose order in the answer is the server's choice; -1 where no record is as young as the
/// question asks.
pub fn check_listed(answer: &[u8]) -> Outcome<Vec<i64>> {
    let mut answer = Reader::new(answer);
    answer.skip(4)?;
    let mut found = Vec::new();
    for _ in 0..answer.count()? {
        answer.string()?;
        for _ in 0..answer.count()? {
            let partition = answer.int32()?;
            answer.refuse_error("list offsets")?;
            answer.skip(8)?;
            found.push((partition, answer.int64()?));
        }
    }
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, offset)| offset).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer that begins with the second of two partitions, as Apache Kafka's may.
    #[test]
    fn looked_up_offsets_are_in_the_order_of_the_partitions() {
        let answer = Writer::within(Vec::new())
            .int32(1) // correlation id
            .array(1)
            .string("t")
            .array(2)
            .raw(&[0, 0, 0, 1, 0, 0])
            .int64(-1)
            .int64(70)
            .raw(&[0, 0, 0, 0, 0, 0])
            .int64(-1)
            .int64(80)
            .finish();
        assert_eq!(check_listed(&answer[4..]), Ok(vec![80, 70]));
    }

    /// Two whole batches and a part of a third: the next offset is behind the second.
    #[test]
    fn the_next_offset_is_behind_the_last_whole_batch() {
        let one = batch::batch(3, 10);
        let mut second = one.clone();
        second[..8].copy_from_slice(&3_i64.to_be_bytes());
        let records = [one.as_slice(), &second, &one[..one.len() - 1]].concat();
        assert_eq!(next_offset(&records), Some(6));
        assert_eq!(next_offset(&one[..30]), None);
    }
}
