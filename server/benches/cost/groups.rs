//! Steps of a group's coordinator.

use std::hint::black_box;

use bytes::Bytes;
use klamm_group_coordinator::{
    Command, CommitOffsets, CommitPartition, CommitTopic, GroupConfig, Heartbeat, JoinGroup,
    Millis, Protocol, Reply, Shard, Step as ShardStep, SyncGroup, Ticket, TopicId,
};

use crate::harness::{Benchmark, Step};
use crate::records::NOW_MS;

pub const BENCHMARKS: &[Benchmark] = &[
    Benchmark {
        name: "group: heartbeat, 1000 groups",
        prepare: heartbeat,
    },
    Benchmark {
        name: "group: commit of 1 partition, 1000 groups",
        prepare: || commit(1),
    },
    Benchmark {
        name: "group: commit of 100 partitions, 1000 groups",
        prepare: || commit(100),
    },
    Benchmark {
        name: "group: join and sync, 1000 groups",
        prepare: join,
    },
];

const GROUP_COUNT: usize = 1000;

fn heartbeat() -> Step {
    let mut groups = Groups::new();
    Box::new(move || {
        let member = groups.next();
        let step = groups.handle(Command::Heartbeat(Heartbeat {
            group_id: member.group_id,
            generation: member.generation,
            member_id: member.member_id,
            instance_id: None,
        }));
        assert!(matches!(step.replies[..], [(_, Reply::Heartbeat(Ok(())))]));
        black_box(step);
    })
}

fn commit(partition_count: i32) -> Step {
    let mut groups = Groups::new();
    Box::new(move || {
        let member = groups.next();
        let partitions = (0..partition_count)
            .map(|partition| CommitPartition {
                partition,
                offset: 1_000_000,
                leader_epoch: 0,
                metadata: None,
            })
            .collect();
        let step = groups.handle(Command::CommitOffsets(CommitOffsets {
            group_id: member.group_id,
            generation: member.generation,
            member_id: member.member_id,
            instance_id: None,
            retention_ms: None,
            topics: vec![CommitTopic {
                name: "topic".to_owned(),
                topic_id: TopicId::ZERO,
                partitions,
            }],
        }));
        assert!(step.records.len() == partition_count as usize);
        black_box(step);
    })
}

/// The only member of a group joins again, which makes a new generation.
fn join() -> Step {
    let mut groups = Groups::new();
    Box::new(move || {
        let place = groups.turn;
        groups.next();
        groups.join(place);
    })
}

/// A shard with groups of one member each.
struct Groups {
    shard: Shard,
    members: Vec<Member>,
    /// Whose turn it is.
    turn: usize,
    last_ticket: u64,
}

#[derive(Clone)]
struct Member {
    group_id: String,
    member_id: String,
    generation: i32,
}

impl Groups {
    fn new() -> Groups {
        let config = GroupConfig {
            initial_rebalance_delay_ms: 0,
            ..GroupConfig::default()
        };
        let mut shard = Shard::new(config);
        shard.loaded(Millis(NOW_MS));
        let members = (0..GROUP_COUNT)
            .map(|index| Member {
                group_id: format!("group-{index}"),
                member_id: String::new(),
                generation: -1,
            })
            .collect();
        let mut groups = Groups {
            shard,
            members,
            turn: 0,
            last_ticket: 0,
        };
        for place in 0..GROUP_COUNT {
            groups.join(place);
        }
        groups
    }

    /// The member whose turn it is; the next call gives the next one.
    fn next(&mut self) -> Member {
        let member = self.members[self.turn].clone();
        self.turn = (self.turn + 1) % GROUP_COUNT;
        member
    }

    fn handle(&mut self, command: Command) -> ShardStep {
        self.last_ticket += 1;
        self.shard
            .handle(Millis(NOW_MS), Ticket(self.last_ticket), command)
    }

    /// Makes a member part of a new generation of its group, which it leads.
    fn join(&mut self, place: usize) {
        let Member {
            group_id,
            member_id,
            ..
        } = self.members[place].clone();
        let mut step = self.handle(Command::JoinGroup(JoinGroup {
            group_id: group_id.clone(),
            member_id,
            instance_id: None,
            client_id: "benchmark".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            session_timeout_ms: 30_000,
            rebalance_timeout_ms: 60_000,
            protocol_type: "consumer".to_owned(),
            protocols: vec![Protocol {
                name: "range".to_owned(),
                metadata: Bytes::from_static(b"subscription"),
            }],
            reason: None,
            requires_known_member_id: false,
            supports_skipping_assignment: false,
            generated_member_uuid: format!("uuid-{place}"),
        }));
        if step.replies.is_empty() {
            step = self.shard.tick(Millis(NOW_MS));
        }
        let [(_, Reply::JoinGroup(Ok(joined)))] = &step.replies[..] else {
            panic!("the member joins: {:?}", step.replies);
        };
        let (member_id, generation) = (joined.member_id.clone(), joined.generation);
        let synced = self.handle(Command::SyncGroup(SyncGroup {
            group_id,
            generation,
            member_id: member_id.clone(),
            instance_id: None,
            protocol_type: None,
            protocol_name: None,
            assignments: vec![(member_id.clone(), Bytes::from_static(b"assignment"))],
        }));
        let member = &mut self.members[place];
        member.member_id = member_id;
        member.generation = generation;
        black_box(synced);
    }
}
