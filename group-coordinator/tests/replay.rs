//! Loading a log: transactions, records of other protocols, damaged records.
//! Ideas and names from Kafka's OffsetMetadataManagerTest and CoordinatorLoaderImplTest.

mod common;

use common::build::*;
use common::{Context, GROUP, START_MS};
use klamm_group_coordinator::{
    Command, DescribeGroup, FetchOffsets, FetchTopic, FetchTopics, GroupConfig, GroupError, Millis,
    OffsetTopic, ProducerId, Record, ReplayError, Replayed, Reply, Shard, Ticket, TopicId,
    TransactionOutcome,
};

const PRODUCER: ProducerId = ProducerId(5);
const OTHER_PRODUCER: ProducerId = ProducerId(6);

/// The record of a commit, as a shard makes it.
fn record_of(topic: &str, offset: i64) -> Record {
    let mut context = Context::new(GroupConfig::default(), false);
    context
        .commit(commit(topic, 0, offset))
        .expect("nobody is in the way");
    context.log.remove(0)
}

fn tombstone_of(topic: &str) -> Record {
    Record {
        value: None,
        ..record_of(topic, 0)
    }
}

/// A shard that is fed a log by hand.
struct Log {
    shard: Shard,
    end: i64,
}

impl Log {
    fn new() -> Self {
        Self {
            shard: Shard::new(GroupConfig::default()),
            end: 0,
        }
    }

    fn add(&mut self, record: &Record, producer: Option<ProducerId>) {
        let value = record.value.as_deref();
        let replayed = self.shard.replay(&record.key, value, self.end, producer);
        assert_eq!(replayed, Ok(Replayed::Applied));
        self.end += 1;
    }

    fn end_transaction(&mut self, producer: ProducerId, outcome: TransactionOutcome) {
        self.shard.replay_marker(producer, outcome);
        self.end += 1;
    }

    fn ask(&mut self, command: Command) -> Reply {
        let step = self.shard.handle(Millis(START_MS), Ticket(0), command);
        step.replies
            .into_iter()
            .next()
            .expect("a question is answered at once")
            .1
    }

    fn committed(&mut self, require_stable: bool) -> Result<Option<i64>, GroupError> {
        let topics = vec![FetchTopic {
            name: "topic".to_owned(),
            topic_id: TopicId::ZERO,
            partitions: vec![0],
        }];
        let command = FetchOffsets {
            group_id: GROUP.to_owned(),
            topics: FetchTopics::Named(topics),
            require_stable,
        };
        match self.ask(Command::FetchOffsets(command)) {
            Reply::FetchOffsets(Ok(topics)) => topics[0].partitions[0]
                .result
                .clone()
                .map(|value| value.map(|it| it.offset)),
            other => panic!("not offsets: {other:?}"),
        }
    }
}

/// testTransactionalReplay, testFetchOffsetsWithPendingTransactionalOffsets, testReplayTransactionEndMarkerWithCommit.
#[test]
fn a_transactional_commit_counts_from_its_marker_on() {
    let mut log = Log::new();
    log.add(&record_of("topic", 1), None);
    log.add(&record_of("topic", 2), Some(PRODUCER));
    assert_eq!(log.committed(false), Ok(Some(1)));
    assert_eq!(log.committed(true), Err(GroupError::UnstableOffset));
    log.end_transaction(OTHER_PRODUCER, TransactionOutcome::Committed);
    assert_eq!(log.committed(true), Err(GroupError::UnstableOffset));
    log.end_transaction(PRODUCER, TransactionOutcome::Committed);
    assert_eq!(log.committed(true), Ok(Some(2)));
}

#[test]
fn an_aborted_commit_never_counts() {
    let mut log = Log::new();
    log.add(&record_of("topic", 2), Some(PRODUCER));
    log.end_transaction(PRODUCER, TransactionOutcome::Aborted);
    assert_eq!(log.committed(true), Ok(None));
}

/// testReplayTransactionEndMarkerKeepsTheMostRecentCommittedOffset: what was written later counts, even if the
/// transaction ends after it.
#[test]
fn the_later_record_counts_not_the_later_marker() {
    let mut log = Log::new();
    log.add(&record_of("topic", 2), Some(PRODUCER));
    log.add(&record_of("topic", 3), None);
    log.end_transaction(PRODUCER, TransactionOutcome::Committed);
    assert_eq!(log.committed(true), Ok(Some(3)));

    // A commit made by the shard itself comes after all that it has loaded.
    log.add(&record_of("topic", 4), Some(PRODUCER));
    log.ask(Command::CommitOffsets(commit("topic", 0, 5)));
    log.end_transaction(PRODUCER, TransactionOutcome::Committed);
    assert_eq!(log.committed(true), Ok(Some(5)));
}

/// testReplayWithTombstoneAndPendingTransactionalOffsets.
#[test]
fn a_tombstone_ends_what_is_pending() {
    let mut log = Log::new();
    for producer in [PRODUCER, OTHER_PRODUCER] {
        log.add(&record_of("topic", 2), Some(producer));
    }
    log.add(&tombstone_of("topic"), None);
    log.end_transaction(PRODUCER, TransactionOutcome::Committed);
    log.end_transaction(OTHER_PRODUCER, TransactionOutcome::Committed);
    assert_eq!(log.committed(true), Ok(None));
}

/// testGenericGroupOffsetDeleteWithPendingTransactionalOffsets,
/// testDeleteGroupAllOffsetsWithPendingTransactionalOffsets.
#[test]
fn deletions_reach_what_is_pending() {
    let delete_offsets = || Command::DeleteOffsets {
        group_id: GROUP.to_owned(),
        topics: vec![OffsetTopic {
            name: "topic".to_owned(),
            partitions: vec![0],
        }],
    };
    let delete_group = || Command::DeleteGroup {
        group_id: GROUP.to_owned(),
    };
    for (command, tombstones_count) in [(delete_offsets(), 1), (delete_group(), 2)] {
        let mut log = Log::new();
        log.add(&record_of("topic", 2), Some(PRODUCER));
        let step = log.shard.handle(Millis(START_MS), Ticket(0), command);
        assert_eq!(step.records.len(), tombstones_count);
        assert_eq!(step.records[0], tombstone_of("topic"));
        log.end_transaction(PRODUCER, TransactionOutcome::Committed);
        assert_eq!(log.committed(true), Ok(None));
    }
}

/// testCleanupExpiredOffsetsWithPendingTransactionalOffsets, ...WithPendingTransactionalOffsetsOnly.
#[test]
fn nothing_expires_while_a_transaction_is_open() {
    let mut log = Log::new();
    log.add(&record_of("topic", 1), None);
    log.add(&record_of("topic", 2), Some(PRODUCER));
    log.shard.loaded(Millis(START_MS));
    let year_later = Millis(START_MS + 365 * 24 * 60 * 60 * 1000);
    assert!(log.shard.tick(year_later).is_empty());
    log.end_transaction(PRODUCER, TransactionOutcome::Aborted);
    let next = log.shard.next_deadline().expect("the search goes on");
    let step = log.shard.tick(next);
    assert_eq!(step.records.len(), 2);
    assert!(step.records.iter().all(|record| record.value.is_none()));
}

/// Groups of newer protocols leave records in the same partition; they stay there, and are not ours to judge.
#[test]
fn records_of_other_protocols_are_skipped() {
    let mut log = Log::new();
    for record_type in [3_i16, 8, 11, 17, 23, 9_999] {
        for value in [None, Some(&[0xff][..])] {
            let mut key = record_type.to_be_bytes().to_vec();
            key.extend([0, 3, b'g', b'r', b'p']);
            let replayed = log.shard.replay(&key, value, 0, None);
            assert_eq!(replayed, Ok(Replayed::Skipped { record_type }));
        }
    }
    let described = log.ask(Command::DescribeGroup(DescribeGroup {
        group_id: GROUP.to_owned(),
    }));
    assert_eq!(
        described,
        Reply::DescribeGroup(Err(GroupError::GroupNotFound))
    );
}

/// Every damage is an error, and leaves the shard as it was.
#[test]
fn damaged_records_are_refused_without_a_trace() {
    let mut context = Context::new(GroupConfig::default(), false);
    let group = context.stable_group(vec![join(), join()]);
    let record = context.log.pop().expect("the group was written");
    let value = record.value.clone().expect("the group exists");
    let mut log = Log::new();
    for end in 0..value.len() {
        let replayed = log.shard.replay(&record.key, Some(&value[..end]), 0, None);
        assert!(
            matches!(replayed, Err(ReplayError::Truncated { .. })),
            "{end} bytes: {replayed:?}"
        );
    }
    // Two members with the same id: the second one's is overwritten with the first one's.
    let [first, second] = &group.members[..] else {
        panic!("two members")
    };
    let mut twin = value.to_vec();
    let at = twin
        .windows(second.len())
        .rposition(|it| it == second.as_bytes());
    // The last occurrence is the assignment, the one before it the member id.
    let at = twin[..at.expect("it is there")]
        .windows(second.len())
        .rposition(|it| it == second.as_bytes())
        .expect("it is there");
    twin[at..at + first.len()].copy_from_slice(first.as_bytes());
    let replayed = log.shard.replay(&record.key, Some(&twin), 0, None);
    assert_eq!(replayed, Err(ReplayError::Malformed { field: "member id" }));
    assert!(log.shard.replay(&[0], None, 0, None).is_err());

    let described = log.ask(Command::DescribeGroup(DescribeGroup {
        group_id: GROUP.to_owned(),
    }));
    assert_eq!(
        described,
        Reply::DescribeGroup(Err(GroupError::GroupNotFound))
    );
}

/// The last record of a key says it all, so a compacted log loads like the whole one.
#[test]
fn a_compacted_log_tells_the_same() {
    let mut context = Context::new(GroupConfig::default(), false);
    let group = context.stable_group(vec![join(), join_static("instance", "")]);
    for offset in 0..5 {
        context
            .commit(commit_as(&group.members[0], 1, "topic", offset))
            .unwrap();
    }
    let ticket = context.join(join_static("instance", ""));
    assert_eq!(context.joined(ticket).generation, 1);
    let (described, offsets) = (context.describe(GROUP), context.offsets(GROUP));
    let log = std::mem::take(&mut context.log);
    for (index, record) in log.iter().enumerate() {
        if log[index + 1..].iter().all(|later| later.key != record.key) {
            context.log.push(record.clone());
        }
    }
    assert!(context.log.len() < log.len());
    context.restart();
    assert_eq!(
        (context.describe(GROUP), context.offsets(GROUP)),
        (described, offsets)
    );
}
