//! The requests of producers, consumers and groups, each insisted on until it has an answer.

use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, EndTxnRequest, FetchRequest, GroupId, InitProducerIdRequest,
    ListOffsetsRequest, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest,
    ProduceRequest, ProducerId, TopicName, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;

use crate::soak::check::Visibility;
use crate::soak::link::{CallError, Link};
use crate::soak::world::{Attempt, Log, World};

/// Acknowledged when it is on the disk.
const ACKS_ALL: i16 = -1;

const TIMEOUT_MS: i32 = 20_000;

/// Longer than the server is ever away.
const TRANSACTION_TIMEOUT_MS: i32 = 180_000;

const OFFSET_OUT_OF_RANGE: i16 = 1;

pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

fn transactional(id: &str) -> TransactionalId {
    TransactionalId(text(id))
}

/// A producer id and its epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pub id: i64,
    pub epoch: i16,
}

pub fn init_producer(world: &World, link: &mut Link, id: Option<&str>) -> Option<Identity> {
    let what = format!("InitProducerId {id:?}");
    let request = InitProducerIdRequest::default()
        .with_transactional_id(id.map(transactional))
        .with_transaction_timeout_ms(TRANSACTION_TIMEOUT_MS)
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1);
    let answer = world.insist(&what, || {
        world.judge(&what, link.call(4, &request), |it| Some(it.error_code))
    })?;
    Some(Identity {
        id: answer.producer_id.0,
        epoch: answer.producer_epoch,
    })
}

/// Sends a batch until it is acknowledged: its base offset.
pub fn produce(
    world: &World,
    link: &mut Link,
    log: &Log,
    transactional_id: Option<&str>,
    batch: Vec<u8>,
) -> Option<i64> {
    let what = format!("Produce {}", log.name());
    let partition = PartitionProduceData::default()
        .with_index(log.partition)
        .with_records(Some(batch.into()));
    let topic = TopicProduceData::default()
        .with_name(topic_name(log.topic.name))
        .with_partition_data(vec![partition]);
    let request = ProduceRequest::default()
        .with_transactional_id(transactional_id.map(transactional))
        .with_acks(ACKS_ALL)
        .with_timeout_ms(TIMEOUT_MS)
        .with_topic_data(vec![topic]);
    let answer = world.insist(&what, || {
        world.judge(&what, link.call(9, &request), |it| {
            Some(
                it.responses
                    .first()?
                    .partition_responses
                    .first()?
                    .error_code,
            )
        })
    })?;
    Some(answer.responses[0].partition_responses[0].base_offset)
}

pub fn add_partitions(
    world: &World,
    link: &mut Link,
    transactional_id: &str,
    identity: Identity,
    logs: &[&Log],
) -> Option<()> {
    let what = format!("AddPartitionsToTxn {transactional_id}");
    let topics = logs.iter().map(|log| {
        AddPartitionsToTxnTopic::default()
            .with_name(topic_name(log.topic.name))
            .with_partitions(vec![log.partition])
    });
    let request = AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(transactional(transactional_id))
        .with_v3_and_below_producer_id(ProducerId(identity.id))
        .with_v3_and_below_producer_epoch(identity.epoch)
        .with_v3_and_below_topics(topics.collect());
    world.insist(&what, || {
        world.judge(&what, link.call(3, &request), |it| {
            let topics = it.results_by_topic_v3_and_below.iter();
            let mut codes = topics
                .flat_map(|topic| &topic.results_by_partition)
                .map(|partition| partition.partition_error_code);
            let first = codes.next()?;
            Some(codes.find(|code| *code != 0).unwrap_or(first))
        })
    })?;
    Some(())
}

pub fn end_transaction(
    world: &World,
    link: &mut Link,
    transactional_id: &str,
    identity: Identity,
    commits: bool,
) -> Option<()> {
    let what = format!("EndTxn {transactional_id} commit {commits}");
    let request = EndTxnRequest::default()
        .with_transactional_id(transactional(transactional_id))
        .with_producer_id(ProducerId(identity.id))
        .with_producer_epoch(identity.epoch)
        .with_committed(commits);
    world.insist(&what, || {
        world.judge(&what, link.call(3, &request), |it| Some(it.error_code))
    })?;
    Some(())
}

/// What a fetch came to.
#[derive(Debug)]
pub enum Fetch {
    Some(Box<PartitionData>),
    OutOfRange,
}

pub fn fetch(
    world: &World,
    link: &mut Link,
    log: &Log,
    offset: i64,
    visibility: Visibility,
    wait_ms: i32,
) -> Option<Fetch> {
    const BYTES_MAX: i32 = 1 << 20;
    let what = format!("Fetch {} at {offset}", log.name());
    let partition = FetchPartition::default()
        .with_partition(log.partition)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(BYTES_MAX);
    let topic = FetchTopic::default()
        .with_topic(topic_name(log.topic.name))
        .with_partitions(vec![partition]);
    let request = FetchRequest::default()
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(BYTES_MAX)
        .with_isolation_level(i8::from(visibility == Visibility::Committed))
        .with_session_epoch(-1)
        .with_topics(vec![topic]);
    world.insist(&what, || {
        let answer = link.call(12, &request);
        let out_of_range = answer.as_ref().is_ok_and(|it| {
            it.responses
                .first()
                .and_then(|topic| topic.partitions.first())
                .is_some_and(|partition| partition.error_code == OFFSET_OUT_OF_RANGE)
        });
        if out_of_range {
            return Attempt::Done(Fetch::OutOfRange);
        }
        let judged = world.judge(&what, answer, |it| match it.error_code {
            0 => Some(it.responses.first()?.partitions.first()?.error_code),
            code => Some(code),
        });
        match judged {
            Attempt::Done(mut answer) => {
                let partition = answer.responses.remove(0).partitions.remove(0);
                Attempt::Done(Fetch::Some(Box::new(partition)))
            }
            Attempt::Again(why) => Attempt::Again(why),
            Attempt::Refused(why) => Attempt::Refused(why),
        }
    })
}

/// The ends of a log that ListOffsets knows.
#[derive(Debug, Clone, Copy)]
pub enum Edge {
    Earliest = -2,
    Latest = -1,
}

pub fn list_offset(world: &World, link: &mut Link, log: &Log, edge: Edge) -> Option<i64> {
    let what = format!("ListOffsets {} {edge:?}", log.name());
    let partition = ListOffsetsPartition::default()
        .with_partition_index(log.partition)
        .with_timestamp(edge as i64);
    let topic = ListOffsetsTopic::default()
        .with_name(topic_name(log.topic.name))
        .with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default()
        .with_replica_id((-1).into())
        .with_topics(vec![topic]);
    let answer = world.insist(&what, || {
        world.judge(&what, link.call(7, &request), |it| {
            Some(it.topics.first()?.partitions.first()?.error_code)
        })
    })?;
    Some(answer.topics[0].partitions[0].offset)
}

/// Who commits.
#[derive(Debug)]
pub struct Committer<'a> {
    pub group: &'a str,
    /// -1 for a consumer that is no member.
    pub generation: i32,
    pub member_id: StrBytes,
}

/// Commits once, whatever comes of it.
pub fn commit(
    link: &mut Link,
    committer: &Committer<'_>,
    log: &Log,
    offset: i64,
) -> Result<OffsetCommitResponse, CallError> {
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(log.partition)
        .with_committed_offset(offset)
        .with_committed_leader_epoch(-1)
        .with_committed_metadata(Some(text("soak")));
    let topic = OffsetCommitRequestTopic::default()
        .with_name(topic_name(log.topic.name))
        .with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(text(committer.group)))
        .with_generation_id_or_member_epoch(committer.generation)
        .with_member_id(committer.member_id.clone())
        .with_topics(vec![topic]);
    link.call(8, &request)
}

/// The committed offset, `Some(None)` for none.
pub fn committed(world: &World, link: &mut Link, group: &str, log: &Log) -> Option<Option<i64>> {
    let what = format!("OffsetFetch {group} {}", log.name());
    let topic = OffsetFetchRequestTopic::default()
        .with_name(topic_name(log.topic.name))
        .with_partition_indexes(vec![log.partition]);
    let request = OffsetFetchRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_topics(Some(vec![topic]));
    let answer = world.insist(&what, || {
        world.judge(&what, link.call(7, &request), |it| match it.error_code {
            0 => Some(it.topics.first()?.partitions.first()?.error_code),
            code => Some(code),
        })
    })?;
    let offset = answer.topics[0].partitions[0].committed_offset;
    Some((offset >= 0).then_some(offset))
}
