//! Commands of the usual shape, and groups in the usual states.

use bytes::Bytes;
use klamm_group_coordinator::{
    Command, CommitOffsets, CommitPartition, CommitTopic, CommitTransactionalOffsets, GroupError,
    Heartbeat, JoinGroup, LeaveGroup, LeavingMember, LeftMember, ProducerId, Protocol, Reply,
    SyncGroup, TopicId,
};

use super::{Context, GROUP};

pub const SESSION_MS: i32 = 10_000;
pub const REBALANCE_MS: i32 = 60_000;
/// The epoch of every producer that commits in a transaction.
pub const PRODUCER_EPOCH: i16 = 2;

/// A join of a new dynamic member that is admitted without a second request, as before version 4.
pub fn join() -> JoinGroup {
    JoinGroup {
        group_id: GROUP.to_owned(),
        member_id: String::new(),
        instance_id: None,
        client_id: "client".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout_ms: SESSION_MS,
        rebalance_timeout_ms: REBALANCE_MS,
        protocol_type: "consumer".to_owned(),
        protocols: protocols(&["range"]),
        reason: None,
        requires_known_member_id: false,
        supports_skipping_assignment: false,
        generated_member_uuid: String::new(),
    }
}

pub fn join_as(member_id: &str) -> JoinGroup {
    JoinGroup {
        member_id: member_id.to_owned(),
        ..join()
    }
}

/// A join of a new member that must come back with the id it is given.
pub fn join_v4() -> JoinGroup {
    JoinGroup {
        requires_known_member_id: true,
        ..join()
    }
}

/// A join of a static member.
pub fn join_static(instance_id: &str, member_id: &str) -> JoinGroup {
    JoinGroup {
        instance_id: Some(instance_id.to_owned()),
        ..join_as(member_id)
    }
}

/// Protocols whose metadata are subscriptions to the topic `topic`.
pub fn protocols(names: &[&str]) -> Vec<Protocol> {
    names
        .iter()
        .map(|name| protocol(name, &["topic"]))
        .collect()
}

pub fn protocol(name: &str, topics: &[&str]) -> Protocol {
    Protocol {
        name: name.to_owned(),
        metadata: subscription(topics),
    }
}

/// A consumer's subscription in version 0.
pub fn subscription(topics: &[&str]) -> Bytes {
    let mut bytes = vec![0, 0];
    bytes.extend((topics.len() as u32).to_be_bytes());
    for topic in topics {
        bytes.extend((topic.len() as u16).to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend((-1_i32).to_be_bytes());
    bytes.into()
}

pub fn sync(member_id: &str, generation: i32) -> SyncGroup {
    SyncGroup {
        group_id: GROUP.to_owned(),
        generation,
        member_id: member_id.to_owned(),
        instance_id: None,
        protocol_type: None,
        protocol_name: None,
        assignments: Vec::new(),
    }
}

/// The leader's sync: every member is assigned its own id.
pub fn sync_leader(member_id: &str, generation: i32, members: &[String]) -> SyncGroup {
    let assignments = members
        .iter()
        .map(|id| (id.clone(), Bytes::from(id.clone())))
        .collect();
    SyncGroup {
        assignments,
        ..sync(member_id, generation)
    }
}

pub fn heartbeat(member_id: &str, generation: i32) -> Heartbeat {
    Heartbeat {
        group_id: GROUP.to_owned(),
        generation,
        member_id: member_id.to_owned(),
        instance_id: None,
    }
}

pub fn leaving(member_id: &str, instance_id: Option<&str>) -> LeavingMember {
    LeavingMember {
        member_id: member_id.to_owned(),
        instance_id: instance_id.map(str::to_owned),
        reason: None,
    }
}

/// A commit of one offset that comes from no member.
pub fn commit(topic: &str, partition: i32, offset: i64) -> CommitOffsets {
    CommitOffsets {
        group_id: GROUP.to_owned(),
        generation: -1,
        member_id: String::new(),
        instance_id: None,
        retention_ms: None,
        topics: vec![CommitTopic {
            name: topic.to_owned(),
            topic_id: TopicId::ZERO,
            partitions: vec![CommitPartition {
                partition,
                offset,
                leader_epoch: -1,
                metadata: Some(String::new()),
            }],
        }],
    }
}

/// A commit of one offset by a member.
pub fn commit_as(member_id: &str, generation: i32, topic: &str, offset: i64) -> CommitOffsets {
    CommitOffsets {
        generation,
        member_id: member_id.to_owned(),
        ..commit(topic, 0, offset)
    }
}

/// A commit as one in a transaction.
pub fn in_transaction(
    producer_id: ProducerId,
    commit: CommitOffsets,
) -> CommitTransactionalOffsets {
    CommitTransactionalOffsets {
        group_id: commit.group_id,
        producer_id,
        producer_epoch: PRODUCER_EPOCH,
        generation: commit.generation,
        member_id: commit.member_id,
        instance_id: commit.instance_id,
        topics: commit.topics,
    }
}

/// A group after its first sync.
#[derive(Debug, Clone)]
pub struct StableGroup {
    pub generation: i32,
    /// The leader first.
    pub members: Vec<String>,
}

impl Context {
    /// Takes members through their first generation, until all have synced.
    pub fn stable_group(&mut self, joins: Vec<JoinGroup>) -> StableGroup {
        let group = self.joined_group(joins);
        self.sync_all(&group);
        group
    }

    /// Takes members through their first join.
    pub fn joined_group(&mut self, joins: Vec<JoinGroup>) -> StableGroup {
        let tickets: Vec<_> = joins.into_iter().map(|join| self.join(join)).collect();
        self.advance_until_answered();
        let joined: Vec<_> = tickets
            .into_iter()
            .map(|ticket| self.joined(ticket))
            .collect();
        let members: Vec<String> = joined
            .iter()
            .map(|joined| joined.member_id.clone())
            .collect();
        assert_eq!(joined[0].leader, members[0]);
        StableGroup {
            generation: joined[0].generation,
            members,
        }
    }

    /// Syncs followers first, so that they have to wait for the leader.
    pub fn sync_all(&mut self, group: &StableGroup) {
        let StableGroup {
            generation,
            members,
        } = group;
        let followers: Vec<_> = members[1..]
            .iter()
            .map(|id| self.sync(sync(id, *generation)))
            .collect();
        let leader = self.sync(sync_leader(&members[0], *generation, members));
        for (ticket, id) in followers.into_iter().zip(&members[1..]) {
            assert_eq!(
                self.sync_reply(ticket)
                    .expect("the sync is granted")
                    .assignment,
                *id
            );
        }
        let synced = self.sync_reply(leader).expect("the sync is granted");
        assert_eq!(synced.assignment, members[0]);
    }

    pub fn leave(&mut self, members: Vec<LeavingMember>) -> Vec<LeftMember> {
        let command = LeaveGroup {
            group_id: GROUP.to_owned(),
            members,
        };
        match self.ask(Command::LeaveGroup(command)) {
            Reply::LeaveGroup(Ok(left)) => left,
            other => panic!("not granted: {other:?}"),
        }
    }

    /// Commits, and tells what became of the only partition.
    pub fn commit(&mut self, commit: CommitOffsets) -> Result<(), GroupError> {
        match self.ask(Command::CommitOffsets(commit)) {
            Reply::CommitOffsets(result) => result?[0].partitions[0].result,
            other => panic!("not an answer to a commit: {other:?}"),
        }
    }

    /// The same in a transaction of a producer.
    pub fn commit_in_transaction(
        &mut self,
        producer_id: ProducerId,
        commit: CommitOffsets,
    ) -> Result<(), GroupError> {
        self.commit_transactional(in_transaction(producer_id, commit))
    }

    pub fn commit_transactional(
        &mut self,
        commit: CommitTransactionalOffsets,
    ) -> Result<(), GroupError> {
        match self.ask(Command::CommitTransactionalOffsets(commit)) {
            Reply::CommitTransactionalOffsets(result) => result?[0].partitions[0].result,
            other => panic!("not an answer to a commit: {other:?}"),
        }
    }

    /// What is committed for the first partition of a topic.
    pub fn committed(&mut self, topic: &str) -> Option<i64> {
        let topics = self.offsets(GROUP);
        let topic = topics.into_iter().find(|it| it.name == topic)?;
        let value = topic.partitions[0]
            .result
            .clone()
            .expect("no transaction is open");
        value.map(|value| value.offset)
    }
}
