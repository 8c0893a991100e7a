//! Random clients in random order, with restarts, against what must hold whatever they do.
//!
//! A failing case prints the operations that led to it, shrunk, and a seed in `proptest-regressions`.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use common::build::*;
use common::{Context, GROUP};
use klamm_group_coordinator::{
    Command, CommitOffsets, GroupConfig, GroupError, GroupState, Heartbeat, JoinGroup, Joined,
    ProducerId, Reply, SyncGroup, Ticket, TransactionOutcome,
};
use proptest::prelude::*;

const CLIENTS: usize = 4;
const MEMBERS_MAX: i32 = 3;
/// Longer than any timeout in use, several times over.
const LONG_MS: i64 = 3_600_000;

#[derive(Debug, Clone)]
enum Operation {
    /// A client joins: with the id it has, or as if it had none.
    Join {
        client: usize,
        forgets_id: bool,
        asks_for_id: bool,
        mind: usize,
    },
    Sync {
        client: usize,
        generation_off: i32,
    },
    Heartbeat {
        client: usize,
        generation_off: i32,
    },
    Leave {
        client: usize,
    },
    Commit {
        client: usize,
        offset: i64,
    },
    CommitAsNobody {
        offset: i64,
    },
    /// A client, or nobody, commits in a transaction.
    CommitInTransaction {
        client: Option<usize>,
        producer: i64,
        offset: i64,
    },
    EndTransaction {
        producer: i64,
        outcome: TransactionOutcome,
    },
    Wait {
        ms: i64,
    },
    Delete,
    Restart,
}

fn operation() -> impl Strategy<Value = Operation> {
    let client = 0..CLIENTS;
    let off = prop_oneof![8 => Just(0), 1 => Just(-1), 1 => Just(1)];
    let outcome = prop_oneof![
        Just(TransactionOutcome::Committed),
        Just(TransactionOutcome::Aborted)
    ];
    prop_oneof![
        6 => (client.clone(), prop::bool::weighted(0.2), any::<bool>(), 0..4_usize).prop_map(
            |(client, forgets_id, asks_for_id, mind)| Operation::Join {
                client, forgets_id, asks_for_id, mind,
            }
        ),
        6 => (client.clone(), off.clone())
            .prop_map(|(client, generation_off)| Operation::Sync { client, generation_off }),
        3 => (client.clone(), off)
            .prop_map(|(client, generation_off)| Operation::Heartbeat { client, generation_off }),
        1 => client.clone().prop_map(|client| Operation::Leave { client }),
        2 => (client.clone(), 0..9_i64)
            .prop_map(|(client, offset)| Operation::Commit { client, offset }),
        1 => (0..9_i64).prop_map(|offset| Operation::CommitAsNobody { offset }),
        2 => (prop::option::of(client), 0..2_i64, 0..9_i64).prop_map(
            |(client, producer, offset)| Operation::CommitInTransaction { client, producer, offset }
        ),
        2 => (0..2_i64, outcome).prop_map(
            |(producer, outcome)| Operation::EndTransaction { producer, outcome }
        ),
        5 => prop_oneof![Just(0), Just(500), Just(3_000), Just(6_000), Just(61_000)]
            .prop_map(|ms| Operation::Wait { ms }),
        1 => Just(Operation::Delete),
        1 => Just(Operation::Restart),
    ]
}

/// What a client remembers.
#[derive(Debug, Clone, Default)]
struct Client {
    instance_id: Option<String>,
    member_id: String,
    generation: i32,
    /// Whom to assign to, for the leader.
    members: Vec<String>,
}

struct World {
    context: Context,
    clients: Vec<Client>,
    /// Who asked, and in which generation it believed to be.
    askers: BTreeMap<Ticket, (usize, i32)>,
    /// The newest generation that anyone was told of.
    generation: i32,
    offsets: ExpectedOffsets,
}

/// What the group has committed for the only partition, each with its place among all commits.
#[derive(Debug, Default)]
struct ExpectedOffsets {
    commits_count: usize,
    committed: Option<(usize, i64)>,
    /// In open transactions, by producer.
    pending: BTreeMap<i64, (usize, i64)>,
}

impl ExpectedOffsets {
    fn next(&mut self, offset: i64) -> (usize, i64) {
        self.commits_count += 1;
        (self.commits_count, offset)
    }

    fn end_transaction(&mut self, producer: i64, outcome: TransactionOutcome) {
        let ended = self.pending.remove(&producer);
        if outcome == TransactionOutcome::Committed {
            self.committed = self.committed.max(ended);
        }
    }
}

impl World {
    fn new() -> Self {
        let config = GroupConfig {
            members_max: MEMBERS_MAX,
            ..GroupConfig::default()
        };
        // Half of the clients are static members.
        let clients = (0..CLIENTS).map(|index| Client {
            instance_id: (index % 2 == 1).then(|| format!("instance{index}")),
            ..Client::default()
        });
        Self {
            context: Context::new(config, false),
            clients: clients.collect(),
            askers: BTreeMap::new(),
            generation: 0,
            offsets: ExpectedOffsets::default(),
        }
    }

    fn run(&mut self, operation: &Operation) {
        match *operation {
            Operation::Join {
                client,
                forgets_id,
                asks_for_id,
                mind,
            } => {
                self.join(client, forgets_id, asks_for_id, mind);
            }
            Operation::Sync {
                client,
                generation_off,
            } => self.sync(client, generation_off),
            Operation::Heartbeat {
                client,
                generation_off,
            } => {
                let Client {
                    instance_id,
                    member_id,
                    generation,
                    ..
                } = self.clients[client].clone();
                let beat = heartbeat(&member_id, generation + generation_off);
                // What it is told depends on too much to say here; that it is told, is checked.
                let _ = self.context.heartbeat(Heartbeat {
                    instance_id,
                    ..beat
                });
            }
            Operation::Leave { client } => {
                let Client {
                    instance_id,
                    member_id,
                    ..
                } = self.clients[client].clone();
                let left = self
                    .context
                    .leave(vec![leaving(&member_id, instance_id.as_deref())]);
                assert_eq!(left.len(), 1);
            }
            Operation::Commit { client, offset } => self.commit(client, offset),
            Operation::CommitAsNobody { offset } => {
                let is_empty = matches!(self.context.state(), GroupState::Empty | GroupState::Dead);
                let result = self.context.commit(commit("topic", 0, offset));
                assert_eq!(result.is_ok(), is_empty);
                if result.is_ok() {
                    self.offsets.committed = Some(self.offsets.next(offset));
                }
            }
            Operation::CommitInTransaction {
                client,
                producer,
                offset,
            } => self.commit_in_transaction(client, producer, offset),
            Operation::EndTransaction { producer, outcome } => {
                self.context.end_transaction(ProducerId(producer), outcome);
                self.offsets.end_transaction(producer, outcome);
            }
            Operation::Wait { ms } => self.context.advance(ms),
            Operation::Delete => {
                let deleted = self.context.ask(Command::DeleteGroup {
                    group_id: GROUP.to_owned(),
                });
                if deleted == Reply::DeleteGroup(Ok(())) {
                    assert_eq!(self.context.state(), GroupState::Dead);
                    self.generation = 0;
                    self.offsets.committed = None;
                    self.offsets.pending.clear();
                }
            }
            Operation::Restart => {
                self.context.restart();
                self.askers.clear();
                // A generation that was not written down may come again.
                self.generation = 0;
            }
        }
        self.take_replies();
        self.check_group();
        let committed = self.offsets.committed.map(|(_, offset)| offset);
        assert_eq!(self.context.committed("topic"), committed);
    }

    fn join(&mut self, index: usize, forgets_id: bool, asks_for_id: bool, mind: usize) {
        let client = &mut self.clients[index];
        if forgets_id {
            client.member_id.clear();
        }
        let minds: [&[&str]; 4] = [
            &["range"],
            &["range", "sticky"],
            &["sticky", "range"],
            &["sticky"],
        ];
        let join = JoinGroup {
            member_id: client.member_id.clone(),
            instance_id: client.instance_id.clone(),
            requires_known_member_id: asks_for_id,
            supports_skipping_assignment: true,
            protocols: protocols(minds[mind]),
            ..join()
        };
        let ticket = self.context.join(join);
        self.askers.insert(ticket, (index, 0));
    }

    fn sync(&mut self, index: usize, generation_off: i32) {
        let Client {
            instance_id,
            member_id,
            generation: told_in,
            members,
        } = self.clients[index].clone();
        let assignments = members
            .iter()
            .map(|id| (id.clone(), Bytes::from(format!("{told_in}/{id}"))))
            .collect();
        let generation = told_in + generation_off;
        let sync = SyncGroup {
            instance_id,
            assignments,
            ..sync(&member_id, generation)
        };
        let ticket = self.context.sync(sync);
        self.askers.insert(ticket, (index, generation));
    }

    fn commit(&mut self, index: usize, offset: i64) {
        let Client {
            instance_id,
            member_id,
            generation,
            ..
        } = self.clients[index].clone();
        let commit = CommitOffsets {
            instance_id,
            ..commit_as(&member_id, generation, "topic", offset)
        };
        if self.context.commit(commit).is_ok() {
            self.offsets.committed = Some(self.offsets.next(offset));
        }
    }

    /// Nobody is never refused; a client is if it is not what it says.
    fn commit_in_transaction(&mut self, index: Option<usize>, producer: i64, offset: i64) {
        let client = index.map(|index| self.clients[index].clone());
        let is_nobody = client.is_none();
        let client = client.unwrap_or(Client {
            generation: -1,
            ..Client::default()
        });
        let commit = CommitOffsets {
            instance_id: client.instance_id,
            ..commit_as(&client.member_id, client.generation, "topic", offset)
        };
        let result = self
            .context
            .commit_in_transaction(ProducerId(producer), commit);
        assert!(result.is_ok() || !is_nobody);
        if result.is_ok() {
            let pending = self.offsets.next(offset);
            self.offsets.pending.insert(producer, pending);
        }
    }

    fn take_replies(&mut self) {
        for (ticket, reply) in self.context.drain_replies() {
            let Some((index, generation)) = self.askers.remove(&ticket) else {
                continue;
            };
            match reply {
                Reply::JoinGroup(Ok(joined)) => self.take_joined(index, joined),
                Reply::JoinGroup(Err(refusal)) => match refusal.error {
                    GroupError::MemberIdRequired => {
                        self.clients[index].member_id = refusal.member_id;
                    }
                    GroupError::UnknownMember | GroupError::FencedInstance => {
                        self.clients[index].member_id.clear();
                    }
                    _ => {}
                },
                Reply::SyncGroup(Ok(synced)) => {
                    // Nothing, if the leader did not know of the member; else its own, or its predecessor's.
                    let text = String::from_utf8(synced.assignment.to_vec()).unwrap();
                    assert!(text.is_empty() || text.starts_with(&format!("{generation}/")));
                }
                Reply::SyncGroup(Err(_)) => {}
                other => panic!("nobody asked for {other:?}"),
            }
        }
    }

    fn take_joined(&mut self, index: usize, joined: Joined) {
        let client = &mut self.clients[index];
        assert!(joined.generation > 0);
        assert!(joined.generation >= self.generation, "generations go up");
        self.generation = joined.generation;
        // Whoever leads is told of everyone, itself included; nobody else is told of anyone.
        let told: Vec<String> = joined.members.into_iter().map(|it| it.member_id).collect();
        assert_eq!(
            told.contains(&joined.member_id),
            joined.leader == joined.member_id
        );
        assert_eq!(told.is_empty(), joined.leader != joined.member_id);
        assert!(joined.protocol_name.is_some());
        client.member_id = joined.member_id;
        client.generation = joined.generation;
        client.members = told;
    }

    fn check_group(&mut self) {
        let Ok(group) = self.context.describe(GROUP) else {
            return;
        };
        let ids: BTreeSet<_> = group
            .members
            .iter()
            .map(|member| &member.member_id)
            .collect();
        assert_eq!(ids.len(), group.members.len(), "every member once");
        let instances: Vec<_> = group
            .members
            .iter()
            .filter_map(|it| it.instance_id.as_ref())
            .collect();
        let distinct: BTreeSet<_> = instances.iter().collect();
        assert_eq!(instances.len(), distinct.len(), "every instance once");
        match group.state {
            GroupState::Empty | GroupState::Dead => assert!(group.members.is_empty()),
            GroupState::PreparingRebalance => {}
            GroupState::CompletingRebalance | GroupState::Stable => {
                assert!(!group.members.is_empty());
                assert!(group.members.len() <= MEMBERS_MAX as usize);
            }
        }
        if group.state == GroupState::Stable {
            let assigned: Vec<_> = group
                .members
                .iter()
                .map(|member| &member.assignment)
                .filter(|assignment| !assignment.is_empty())
                .collect();
            let distinct: BTreeSet<_> = assigned.iter().collect();
            assert_eq!(assigned.len(), distinct.len(), "nothing is assigned twice");
        }
    }

    /// With time enough everyone is answered, and all who do not come back are gone.
    fn finish(&mut self) {
        self.context.advance(LONG_MS);
        assert_eq!(self.context.waiting_count(), 0, "someone still waits");
        assert!(matches!(
            self.context.state(),
            GroupState::Empty | GroupState::Dead
        ));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// The context checks after every step that no ticket is answered twice and that the log tells the same as the
    /// shard; the world checks the rest, and that the same operations make the same log.
    #[test]
    fn whatever_clients_do_groups_stay_sound(
        operations in prop::collection::vec(operation(), 1..120)
    ) {
        let mut logs = Vec::new();
        for _ in 0..2 {
            let mut world = World::new();
            for operation in &operations {
                world.run(operation);
            }
            world.finish();
            logs.push(world.context.log);
        }
        prop_assert_eq!(&logs[0], &logs[1]);
    }
}
