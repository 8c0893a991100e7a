//! OffsetForLeaderEpoch, versions 2 to 4 (KIP-101, KIP-320).
//!
//! Behaviour: where the asked epoch ended in this log, so that a client finds out whether its own records are still
//! the log's. An epoch that is not known is answered with -1 and -1.

use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
use klamm_log_store::LeaderEpoch;

use crate::api::{Ctx, Reply};
use crate::broker::Broker;
use crate::errors::ErrorCode;
use crate::fetch::plan::check_epoch;

const UNKNOWN: i32 = -1;

/// Answers OffsetForLeaderEpoch.
pub fn handle(
    ctx: &Ctx<'_>,
    request: OffsetForLeaderEpochRequest,
) -> Reply<OffsetForLeaderEpochResponse> {
    let topics = request
        .topics
        .into_iter()
        .map(|topic| {
            let partitions = topic
                .partitions
                .iter()
                .map(|partition| answer(ctx.broker, &topic.topic, partition))
                .collect();
            OffsetForLeaderTopicResult::default()
                .with_topic(topic.topic)
                .with_partitions(partitions)
        })
        .collect();
    Reply::Now(OffsetForLeaderEpochResponse::default().with_topics(topics))
}

fn answer(broker: &Broker, topic: &str, asked: &OffsetForLeaderPartition) -> EpochEndOffset {
    let answer = EpochEndOffset::default().with_partition(asked.partition);
    match end_of_epoch(broker, topic, asked) {
        Ok((epoch, end)) => answer.with_leader_epoch(epoch).with_end_offset(end),
        Err(error) => answer.with_error_code(error.code()),
    }
}

fn end_of_epoch(
    broker: &Broker,
    topic: &str,
    asked: &OffsetForLeaderPartition,
) -> Result<(i32, i64), ErrorCode> {
    let log = broker.partition_by_name(topic, asked.partition)?;
    check_epoch(
        &log,
        (asked.current_leader_epoch != UNKNOWN).then_some(asked.current_leader_epoch),
    )?;
    let end = log.epoch_end_offset(LeaderEpoch(asked.leader_epoch));
    Ok((end.epoch.0, end.end.0))
}
