//! Reads what one fetch asks for, partition by partition, within its limits (Kafka's `ReplicaManager.readFromLog`).

use std::sync::Arc;

use klamm_log_store::engine::FirstBatch;
use klamm_log_store::partition::{AbortedTxn, EpochEnd, FetchWait, Partition, ReadLimit};
use klamm_log_store::{LeaderEpoch, Offset, Slice};

use super::session::{Outcome, PartitionKey, Wanted};
use crate::errors::{self, ErrorCode};

/// What stands for an offset that is not known.
const UNKNOWN_OFFSET: i64 = -1;

/// One partition that a fetch reads.
#[derive(Debug, Clone)]
pub struct Target {
    pub key: PartitionKey,
    pub wanted: Wanted,
    pub log: Result<Arc<Partition>, ErrorCode>,
}

/// What all partitions of one fetch share.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub bytes_max: i32,
    pub read: ReadLimit,
    /// A fetch by a broker that is not a replica of anything here.
    pub is_from_follower: bool,
}

/// What a fetch gets from one partition.
#[derive(Debug, Clone)]
pub struct PartitionAnswer {
    pub key: PartitionKey,
    pub error: Option<ErrorCode>,
    pub high_watermark: i64,
    pub last_stable: i64,
    pub log_start: i64,
    /// Where the client's log and this one part ways (KIP-595).
    pub diverging: Option<EpochEnd>,
    /// `None` is null on the wire.
    pub aborted: Option<Vec<AbortedTxn>>,
    pub records: Vec<Slice>,
}

/// The outcome of reading all partitions once.
#[derive(Debug)]
pub struct Round {
    pub answers: Vec<PartitionAnswer>,
    pub readable_bytes: u64,
    /// An error or a diverging epoch: the client must hear of it at once.
    pub is_urgent: bool,
    /// The end up to which each healthy partition was seen, in the order of the targets.
    seen: Vec<Option<Offset>>,
}

impl PartitionAnswer {
    /// An answer that only says what went wrong.
    pub fn failed(key: PartitionKey, error: ErrorCode) -> Self {
        Self {
            key,
            error: Some(error),
            high_watermark: UNKNOWN_OFFSET,
            last_stable: UNKNOWN_OFFSET,
            log_start: UNKNOWN_OFFSET,
            diverging: None,
            aborted: None,
            records: Vec::new(),
        }
    }

    pub fn records_bytes(&self) -> usize {
        self.records.iter().map(Slice::len_bytes).sum()
    }

    /// What a fetch session needs to know of this answer.
    pub fn outcome(&self) -> Outcome {
        Outcome {
            has_records: !self.records.is_empty(),
            has_error: self.error.is_some(),
            has_diverging_epoch: self.diverging.is_some(),
            high_watermark: self.high_watermark,
            log_start_offset: self.log_start,
        }
    }
}

/// Reads every target once. The first partition that has records gives at least one batch, whatever the limits say.
pub fn read(targets: &[Target], limits: Limits) -> Round {
    let mut round = Round {
        answers: Vec::with_capacity(targets.len()),
        readable_bytes: 0,
        is_urgent: false,
        seen: Vec::with_capacity(targets.len()),
    };
    let mut bytes_left = limits.bytes_max;
    let mut at_least_one_batch = true;
    for target in targets {
        let bytes_max = target.wanted.bytes_max.min(bytes_left);
        let (answer, seen) = match read_target(target, limits, bytes_max, at_least_one_batch) {
            Ok((answer, seen)) => (answer, Some(seen)),
            Err(error) => (PartitionAnswer::failed(target.key.clone(), error), None),
        };
        let bytes = answer.records_bytes();
        at_least_one_batch &= bytes == 0;
        bytes_left = bytes_left
            .saturating_sub(i32::try_from(bytes).unwrap_or(i32::MAX))
            .max(0);
        round.readable_bytes += bytes as u64;
        round.is_urgent |= answer.error.is_some() || answer.diverging.is_some();
        round.answers.push(answer);
        round.seen.push(seen);
    }
    round
}

/// A wait that ends when `bytes_min` bytes can be read from the targets together, or one of them has changed.
pub fn wait(targets: &[Target], limits: Limits, round: &Round, bytes_min: u64) -> FetchWait {
    let mut wait = FetchWait::new(bytes_min.saturating_sub(round.readable_bytes));
    for (target, seen) in targets.iter().zip(&round.seen) {
        if let (Ok(log), Some(seen)) = (&target.log, seen) {
            wait.watch(log, limits.read, *seen);
        }
    }
    wait
}

fn read_target(
    target: &Target,
    limits: Limits,
    bytes_max: i32,
    at_least_one_batch: bool,
) -> Result<(PartitionAnswer, Offset), ErrorCode> {
    let log = target.log.as_ref().map_err(|error| *error)?;
    check_epoch(log, target.wanted.current_leader_epoch)?;
    if limits.is_from_follower {
        return Err(if target.wanted.current_leader_epoch.is_some() {
            ErrorCode::UnknownLeaderEpoch
        } else {
            ErrorCode::NotLeaderOrFollower
        });
    }
    let ends = log.ends();
    let from = Offset(target.wanted.fetch_offset);
    let mut answer = PartitionAnswer {
        key: target.key.clone(),
        error: None,
        high_watermark: ends.high_watermark.0,
        last_stable: ends.last_stable.0,
        log_start: ends.log_start.0,
        diverging: divergence(log, target.wanted, ends.log_start)?,
        aborted: None,
        records: Vec::new(),
    };
    let seen = ends.at(limits.read);
    if answer.diverging.is_some() {
        return Ok((answer, seen));
    }
    answer.aborted = (limits.read == ReadLimit::LastStable).then(Vec::new);
    let is_negative = bytes_max < 0;
    let bytes_max = usize::try_from(bytes_max).unwrap_or(0);
    let first_batch = if at_least_one_batch {
        FirstBatch::Always
    } else {
        FirstBatch::WithinLimit
    };
    let read = log
        .read(from, bytes_max, first_batch, limits.read)
        .map_err(|error| errors::of_read_error(&error))?;
    if is_negative && from < seen {
        // A negative limit is an internal error of Apache Kafka, once there is something to read.
        return Err(ErrorCode::UnknownServerError);
    }
    if limits.read == ReadLimit::LastStable && !read.slices.is_empty() {
        // By the ends that the read went by: a marker may have come since `ends` was taken.
        let end = read.ends.at(limits.read);
        answer.aborted = Some(log.aborted_txns(from, end));
    }
    if read.slices.is_empty() && from < seen && bytes_max > 0 {
        // The first batch is larger than what is left: Apache Kafka's answer has no list then.
        answer.aborted = None;
    }
    answer.records = read.slices;
    Ok((answer, seen))
}

/// Compares the leader epoch that a client knows with that of the log (KIP-320).
pub fn check_epoch(log: &Partition, known: Option<i32>) -> Result<(), ErrorCode> {
    let current = log.leader_epoch();
    match known.map(LeaderEpoch) {
        Some(known) if known < current => Err(ErrorCode::FencedLeaderEpoch),
        Some(known) if known > current => Err(ErrorCode::UnknownLeaderEpoch),
        Some(_) | None => Ok(()),
    }
}

/// Where the log of the client stops being a prefix of this one, if it does.
fn divergence(
    log: &Partition,
    wanted: Wanted,
    log_start: Offset,
) -> Result<Option<EpochEnd>, ErrorCode> {
    let Some(last_fetched) = wanted.last_fetched_epoch else {
        return Ok(None);
    };
    let end = log.epoch_end_offset(LeaderEpoch(last_fetched));
    if end == EpochEnd::UNKNOWN || wanted.fetch_offset < log_start.0 {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    Ok(log.divergence(LeaderEpoch(last_fetched), Offset(wanted.fetch_offset)))
}
