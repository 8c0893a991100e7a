//! ListOffsets, versions 1 to 11.
//!
//! Behaviour: -1 is the end that the isolation level allows to read, -2 the log start, -3 the record with the largest
//! timestamp (7 on), -4 the local log start (8 on), -5 and -6 ask for tiered storage (9 and 11 on), which is not
//! there: -1 is answered. A timestamp finds the first record that is not older, exactly, also inside a compressed
//! batch. Below version 4 no leader epoch is answered. A partition that is named twice is an INVALID_REQUEST.

use std::collections::HashMap;

use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse, TopicName};
use klamm_log_store::partition::{Partition, ReadError, ReadLimit, TimestampOffset};
use klamm_log_store::{LeaderEpoch, Offset};

use crate::api::{Ctx, Reply};
use crate::errors::{self, ErrorCode};
use crate::fetch::plan::check_epoch;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

const NO_TIMESTAMP_MS: i64 = -1;
const CONSUMER_REPLICA_ID: i32 = -1;
const READ_COMMITTED: i8 = 1;
const FIRST_LEADER_EPOCH_VERSION: i16 = 4;

/// Answers ListOffsets. Timestamps may have to be looked up on disk, which runs off the runtime.
pub fn handle(ctx: &Ctx<'_>, request: ListOffsetsRequest) -> Reply<ListOffsetsResponse> {
    let version = ctx.version();
    let limit = if request.replica_id.0 != CONSUMER_REPLICA_ID {
        ReadLimit::LogEnd
    } else if request.isolation_level == READ_COMMITTED {
        ReadLimit::LastStable
    } else {
        ReadLimit::HighWatermark
    };
    let needs_disk = request
        .topics
        .iter()
        .flat_map(|topic| &topic.partitions)
        .any(|partition| needs_disk(partition.timestamp));
    let broker = ctx.broker.clone();
    let answer = move || {
        let mut topics: Vec<ListOffsetsTopicResponse> = Vec::new();
        for (name, partition, is_repeated) in once_each(&request) {
            let answer = if is_repeated {
                Err(ErrorCode::InvalidRequest)
            } else if !is_supported(partition.timestamp, version) {
                Err(ErrorCode::UnsupportedVersion)
            } else {
                broker
                    .partition_by_name(name, partition.partition_index)
                    .and_then(|log| list(&log, partition, limit))
            };
            let answer = match answer {
                Ok(found) => found_response(partition, found, version),
                Err(error) => failed(partition, error),
            };
            match topics.iter_mut().rev().find(|topic| topic.name == *name) {
                Some(topic) => topic.partitions.push(answer),
                None => topics.push(
                    ListOffsetsTopicResponse::default()
                        .with_name(name.clone())
                        .with_partitions(vec![answer]),
                ),
            }
        }
        ListOffsetsResponse::default().with_topics(topics)
    };
    if needs_disk {
        Reply::blocking(answer)
    } else {
        Reply::Now(answer())
    }
}

fn needs_disk(timestamp: i64) -> bool {
    timestamp >= 0 || timestamp == MAX_TIMESTAMP
}

/// The partitions of a request, each once and with whether it was named more than once.
fn once_each(
    request: &ListOffsetsRequest,
) -> impl Iterator<Item = (&TopicName, &ListOffsetsPartition, bool)> {
    let named = || {
        request.topics.iter().flat_map(|topic| {
            let of_topic = topic.partitions.iter();
            of_topic.map(move |partition| (&topic.name, partition))
        })
    };
    let mut counts: HashMap<(&TopicName, i32), usize> = HashMap::new();
    for (name, partition) in named() {
        *counts.entry((name, partition.partition_index)).or_insert(0) += 1;
    }
    named().filter_map(move |(name, partition)| {
        // Taken out with the first, so that the others find nothing.
        let count = counts.remove(&(name, partition.partition_index))?;
        Some((name, partition, count > 1))
    })
}

/// Whether a special timestamp is known to a version.
fn is_supported(timestamp: i64, version: i16) -> bool {
    match timestamp {
        0.. => true,
        LATEST | EARLIEST => true,
        MAX_TIMESTAMP => version >= 7,
        EARLIEST_LOCAL => version >= 8,
        LATEST_TIERED => version >= 9,
        EARLIEST_PENDING_UPLOAD => version >= 11,
        _ => false,
    }
}

/// What was found; `None`: nothing, which is an answer too.
type Found = Option<(i64, Offset, Option<LeaderEpoch>)>;

fn list(
    log: &Partition,
    asked: &ListOffsetsPartition,
    limit: ReadLimit,
) -> Result<Found, ErrorCode> {
    let known = (asked.current_leader_epoch != -1).then_some(asked.current_leader_epoch);
    check_epoch(log, known)?;
    match asked.timestamp {
        LATEST => {
            let (end, epoch) = log.latest(limit);
            Ok(Some((NO_TIMESTAMP_MS, end, Some(epoch))))
        }
        EARLIEST | EARLIEST_LOCAL => {
            let (start, epoch) = log.earliest();
            Ok(Some((NO_TIMESTAMP_MS, start, epoch)))
        }
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(Some((
            NO_TIMESTAMP_MS,
            Offset::NONE,
            Some(LeaderEpoch::NONE),
        ))),
        MAX_TIMESTAMP => found(log.max_timestamp_offset(limit)),
        timestamp => found(log.offset_for_timestamp(timestamp, limit)),
    }
}

fn found(found: Result<Option<TimestampOffset>, ReadError>) -> Result<Found, ErrorCode> {
    match found {
        Ok(found) => Ok(found.map(|found| (found.timestamp_ms, found.offset, found.leader_epoch))),
        Err(error) => {
            tracing::warn!(%error, "timestamp lookup failed");
            Err(errors::of_read_error(&error))
        }
    }
}

fn found_response(
    asked: &ListOffsetsPartition,
    found: Found,
    version: i16,
) -> ListOffsetsPartitionResponse {
    let (timestamp, offset, leader_epoch) = found.unwrap_or((NO_TIMESTAMP_MS, Offset::NONE, None));
    let response = ListOffsetsPartitionResponse::default()
        .with_partition_index(asked.partition_index)
        .with_timestamp(timestamp)
        .with_offset(offset.0);
    match leader_epoch {
        Some(epoch) if version >= FIRST_LEADER_EPOCH_VERSION => response.with_leader_epoch(epoch.0),
        Some(_) | None => response,
    }
}

fn failed(asked: &ListOffsetsPartition, error: ErrorCode) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse::default()
        .with_partition_index(asked.partition_index)
        .with_error_code(error.code())
        .with_timestamp(NO_TIMESTAMP_MS)
        .with_offset(Offset::NONE.0)
}
