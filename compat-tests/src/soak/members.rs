//! Members of one consumer group that share partitions, commit as members, and now and then leave or fall silent.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    SyncGroupRequest,
};
use kafka_protocol::protocol::StrBytes;
use rand::Rng;
use rand::rngs::StdRng;

use crate::soak::check::{Commits, check_commit};
use crate::soak::claims::Claims;
use crate::soak::link::{CallError, Link};
use crate::soak::requests::{Committer, commit, committed, text};
use crate::soak::world::{Attempt, Log, World, add};

pub const GROUP: &str = "workers";

/// Who takes part, at most.
pub const MEMBERS: usize = 3;

const SESSION_TIMEOUT: Duration = Duration::from_secs(8);

const HEARTBEAT_PAUSE_MAX: Duration = Duration::from_millis(1_000);

/// A member leaves, or falls silent, once in so many heartbeats.
const BREAK_EVERY: u32 = 60;

const ILLEGAL_GENERATION: i16 = 22;
const UNKNOWN_MEMBER_ID: i16 = 25;
const REBALANCE_IN_PROGRESS: i16 = 27;
const MEMBER_ID_REQUIRED: i16 = 79;

/// What is known about the group.
#[derive(Debug)]
pub struct Group<'a> {
    world: &'a World,
    logs: Vec<&'a Log>,
    commits: Mutex<Vec<Commits>>,
    claims: Mutex<Claims>,
}

/// What a member has to do about an answer.
enum Standing<T> {
    Holds(T),
    /// Join again as the same member.
    Rejoin,
    /// Join again as a new member.
    Expelled,
}

impl<'a> Group<'a> {
    pub fn new(world: &'a World, logs: Vec<&'a Log>) -> Self {
        Self {
            world,
            commits: Mutex::new(vec![Commits::default(); logs.len()]),
            logs,
            claims: Mutex::default(),
        }
    }

    pub fn generations(&self) -> usize {
        self.claims.lock().expect("no claim panics").generations()
    }

    fn commits(&self) -> MutexGuard<'_, Vec<Commits>> {
        self.commits.lock().expect("no judge panics")
    }

    fn raise(
        &self,
        index: usize,
        which: impl FnOnce(&mut Commits) -> &mut Option<i64>,
        position: i64,
    ) {
        let mut commits = self.commits();
        let known = which(&mut commits[index]);
        *known = (*known).max(Some(position));
    }

    /// The committed offsets, judged.
    pub fn check(&self, link: &mut Link) {
        for (index, log) in self.logs.iter().enumerate() {
            self.check_one(link, index, log);
        }
    }

    fn check_one(&self, link: &mut Link, index: usize, log: &Log) -> Option<Option<i64>> {
        // Another member may commit meanwhile: at least what was acknowledged before, at most what is asked after.
        let acked = self.commits()[index].acked;
        let found = committed(self.world, link, GROUP, log)?;
        let asked = self.commits()[index].asked;
        let name = format!("{GROUP} {}", log.name());
        self.world
            .report(check_commit(&name, Commits { acked, asked }, found));
        Some(found)
    }

    /// Takes part until the run is over.
    pub fn work(&self, number: usize, mut random: StdRng) {
        let mut link = self.world.link(&format!("member-{number}"));
        let mut member_id = StrBytes::default();
        while !self.world.is_over() {
            let standing = self.join(&mut link, &mut member_id).and_then(|joined| {
                let Standing::Holds(joined) = joined else {
                    return Some(joined.without());
                };
                self.take_part(&mut link, &joined, &mut random)
            });
            if !matches!(standing, Some(Standing::Rejoin)) {
                member_id = StrBytes::default();
            }
        }
        self.leave(&mut link, &member_id);
    }

    fn join(
        &self,
        link: &mut Link,
        member_id: &mut StrBytes,
    ) -> Option<Standing<JoinGroupResponse>> {
        let protocol = JoinGroupRequestProtocol::default().with_name(text("soak"));
        loop {
            let request = JoinGroupRequest::default()
                .with_group_id(GroupId(text(GROUP)))
                .with_session_timeout_ms(SESSION_TIMEOUT.as_millis() as i32)
                .with_rebalance_timeout_ms(SESSION_TIMEOUT.as_millis() as i32)
                .with_member_id(member_id.clone())
                .with_protocol_type(text("consumer"))
                .with_protocols(vec![protocol.clone()]);
            let standing = self.insist("JoinGroup", |world| {
                let answer = link.call(5, &request);
                judge(world, "JoinGroup", answer, |it| Some(it.error_code))
            })?;
            if let Standing::Holds(answer) = &standing {
                *member_id = answer.member_id.clone();
                if answer.error_code == MEMBER_ID_REQUIRED {
                    continue;
                }
            }
            return Some(standing);
        }
    }

    /// From the assignment to the next rebalance.
    fn take_part(
        &self,
        link: &mut Link,
        joined: &JoinGroupResponse,
        random: &mut StdRng,
    ) -> Option<Standing<()>> {
        let partitions = match self.sync(link, joined)? {
            Standing::Holds(partitions) => partitions,
            other => return Some(other.without()),
        };
        let claimed = self.claims.lock().expect("no claim panics").claim(
            joined.generation_id,
            &partitions,
            &joined.member_id,
        );
        self.world.report(claimed);
        let mut positions = Vec::new();
        for partition in partitions {
            let index = partition as usize;
            let found = self.check_one(link, index, self.logs[index])?;
            positions.push((index, found.unwrap_or(0)));
        }
        while !self.world.is_over() {
            for (index, position) in &mut positions {
                *position += random.random_range(0..10_i64);
                match self.commit(link, joined, *index, *position)? {
                    Standing::Holds(()) => {}
                    other => return Some(other),
                }
            }
            match self.heartbeat(link, joined)? {
                Standing::Holds(()) => {}
                other => return Some(other),
            }
            match random.random_range(0..BREAK_EVERY) {
                0 => {
                    self.leave(link, &joined.member_id);
                    self.world
                        .sleep(random.random_range(Duration::ZERO..SESSION_TIMEOUT));
                    return Some(Standing::Expelled);
                }
                1 => self.world.sleep(2 * SESSION_TIMEOUT),
                _ => {}
            }
            self.world
                .sleep(random.random_range(Duration::ZERO..HEARTBEAT_PAUSE_MAX));
        }
        Some(Standing::Rejoin)
    }

    /// Gives every member its share when this one leads, and takes the own one.
    fn sync(&self, link: &mut Link, joined: &JoinGroupResponse) -> Option<Standing<Vec<i32>>> {
        let assignments = joined.members.iter().enumerate().map(|(at, member)| {
            let share = (0..self.logs.len()).filter(|log| log % joined.members.len() == at);
            let share: Vec<u8> = share.map(|log| log as u8).collect();
            SyncGroupRequestAssignment::default()
                .with_member_id(member.member_id.clone())
                .with_assignment(share.into())
        });
        let request = SyncGroupRequest::default()
            .with_group_id(GroupId(text(GROUP)))
            .with_generation_id(joined.generation_id)
            .with_member_id(joined.member_id.clone())
            .with_assignments(assignments.collect());
        let standing = self.insist("SyncGroup", |world| {
            judge(world, "SyncGroup", link.call(3, &request), |it| {
                Some(it.error_code)
            })
        })?;
        Some(match standing {
            Standing::Holds(answer) => {
                let known = |log: &i32| (*log as usize) < self.logs.len();
                let share = answer.assignment.iter().map(|log| i32::from(*log));
                Standing::Holds(share.filter(known).collect())
            }
            other => other.without(),
        })
    }

    fn commit(
        &self,
        link: &mut Link,
        joined: &JoinGroupResponse,
        index: usize,
        position: i64,
    ) -> Option<Standing<()>> {
        self.raise(index, |commits| &mut commits.asked, position);
        let committer = Committer {
            group: GROUP,
            generation: joined.generation_id,
            member_id: joined.member_id.clone(),
        };
        let log = self.logs[index];
        let standing = self.insist("OffsetCommit", |world| {
            let answer = commit(link, &committer, log, position);
            judge(world, "OffsetCommit", answer, |it| {
                Some(it.topics.first()?.partitions.first()?.error_code)
            })
        })?;
        Some(match standing {
            Standing::Holds(_) => {
                self.raise(index, |commits| &mut commits.acked, position);
                add(&self.world.counters.commits, 1);
                Standing::Holds(())
            }
            other => other.without(),
        })
    }

    fn heartbeat(&self, link: &mut Link, joined: &JoinGroupResponse) -> Option<Standing<()>> {
        let request = HeartbeatRequest::default()
            .with_group_id(GroupId(text(GROUP)))
            .with_generation_id(joined.generation_id)
            .with_member_id(joined.member_id.clone());
        let standing = self.insist("Heartbeat", |world| {
            judge(world, "Heartbeat", link.call(3, &request), |it| {
                Some(it.error_code)
            })
        })?;
        Some(match standing {
            Standing::Holds(_) => Standing::Holds(()),
            other => other.without(),
        })
    }

    /// A member that the group no longer knows has left as well.
    fn leave(&self, link: &mut Link, member_id: &StrBytes) {
        let member = MemberIdentity::default().with_member_id(member_id.clone());
        let request = LeaveGroupRequest::default()
            .with_group_id(GroupId(text(GROUP)))
            .with_members(vec![member]);
        self.world.insist("LeaveGroup", || {
            let answer = link.call(3, &request);
            self.world
                .judge("LeaveGroup", answer, |it| Some(it.error_code))
        });
    }

    /// As [`World::insist`], with the answers that concern the standing of a member.
    fn insist<T>(
        &self,
        what: &str,
        mut attempt: impl FnMut(&World) -> Attempt<Standing<T>>,
    ) -> Option<Standing<T>> {
        self.world.insist(what, || attempt(self.world))
    }
}

impl<T> Standing<T> {
    /// What is to be done, for somebody who waits for another thing.
    fn without<U>(self) -> Standing<U> {
        match self {
            Self::Holds(_) | Self::Rejoin => Standing::Rejoin,
            Self::Expelled => Standing::Expelled,
        }
    }
}

fn judge<T>(
    world: &World,
    what: &str,
    answer: Result<T, CallError>,
    code: impl Fn(&T) -> Option<i16>,
) -> Attempt<Standing<T>> {
    let standing = match answer.as_ref().ok().and_then(&code) {
        Some(REBALANCE_IN_PROGRESS) => Some(Standing::Rejoin),
        Some(ILLEGAL_GENERATION | UNKNOWN_MEMBER_ID) => Some(Standing::Expelled),
        _ => None,
    };
    if let Some(standing) = standing {
        return Attempt::Done(standing);
    }
    let expected = |it: &T| match code(it) {
        Some(MEMBER_ID_REQUIRED) => Some(0),
        code => code,
    };
    match world.judge(what, answer, expected) {
        Attempt::Done(answer) => Attempt::Done(Standing::Holds(answer)),
        Attempt::Again(why) => Attempt::Again(why),
        Attempt::Refused(why) => Attempt::Refused(why),
    }
}
