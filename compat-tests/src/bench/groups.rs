//! Thousands of consumers in groups of the classic protocol: joined, then heartbeats and commits.

use std::thread;
use std::time::{Duration, Instant};

use super::bare::Durability;
use super::connection::Connection;
use super::messages::{FIND_COORDINATOR, HEARTBEAT, JOIN_GROUP, OFFSET_COMMIT, SYNC_GROUP};
use super::pump::{Lane, Observed, Window, pump};
use super::server::Server;
use super::wire::{Reader, Writer, as_i32};
use super::{Outcome, topics};

const TOPIC: &str = "grouped";
const LANES: usize = 2;
const IN_FLIGHT: usize = 4;
const INPUT_BYTES: usize = 2 << 10;
const SESSION_TIMEOUT_MS: i32 = 300_000;
const REBALANCE_TIMEOUT_MS: i32 = 120_000;
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How many there are.
#[derive(Debug, Clone, Copy)]
pub struct Groups {
    pub groups: usize,
    /// In each.
    pub members: usize,
}

#[derive(Debug)]
pub struct Costs {
    /// From the first JoinGroup until the last answer to SyncGroup.
    pub joined_in: Duration,
    pub cpu_a_join: Duration,
    pub heartbeats: Observed,
    pub commits: Observed,
}

/// A consumer and its connection.
struct Member {
    connection: Connection,
    group: usize,
    index: usize,
    generation: i32,
    id: String,
    /// The ids of all members, if this one is the leader.
    led: Vec<String>,
}

/// Joins all members, then has all of them send heartbeats and commits in turn.
pub fn run(server: &Server, size: Groups, window: Window) -> Outcome<Costs> {
    topics::create(server, TOPIC, size.members, Durability::PageCache)?;
    await_coordinator(server)?;
    let mut members = (0..size.groups * size.members)
        .map(|number| {
            Ok(Member {
                connection: Connection::open(server.address, INPUT_BYTES)?,
                group: number / size.members,
                index: number % size.members,
                generation: -1,
                id: String::new(),
                led: Vec::new(),
            })
        })
        .collect::<Outcome<Vec<_>>>()?;
    let (began, cpu) = (Instant::now(), server.process.cpu()?);
    join(&mut members)?;
    sync(&mut members)?;
    let joined_in = began.elapsed();
    let cpu_a_join = server.process.cpu()?.saturating_sub(cpu) / members.len() as u32;

    let heartbeats = members.iter().map(heartbeat).collect();
    let commits: Vec<_> = members.iter().map(commit).collect();
    let lanes = lanes(members, heartbeats);
    let (heartbeats, mut lanes) = pump(server, lanes, IN_FLIGHT, beaten, window)?;
    let own = commits.len() / LANES;
    for (lane, commits) in lanes.iter_mut().zip(commits.chunks(own)) {
        lane.frames = commits.into();
    }
    let (commits, _) = pump(server, lanes, IN_FLIGHT, committed, window)?;
    Ok(Costs {
        joined_in,
        cpu_a_join,
        heartbeats,
        commits,
    })
}

/// The first question makes the topic of the offsets.
fn await_coordinator(server: &Server) -> Outcome<()> {
    let mut connection = Connection::open(server.address, INPUT_BYTES)?;
    let request = Writer::request(FIND_COORDINATOR, 2)
        .string(&group_id(0))
        .int8(0)
        .finish();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut answer = Reader::new(connection.ask(&request)?);
        answer.skip(4 + 4)?;
        match answer.refuse_error("find coordinator") {
            Ok(()) => return Ok(()),
            Err(failure) if Instant::now() >= deadline => return Err(failure),
            Err(_) => thread::sleep(LOOK_AGAIN),
        }
    }
}

/// All ask before the first is answered: a group waits for its members.
fn join(members: &mut [Member]) -> Outcome<()> {
    let subscription = subscription();
    for member in &mut *members {
        let request = Writer::request(JOIN_GROUP, 3)
            .string(&group_id(member.group))
            .int32(SESSION_TIMEOUT_MS)
            .int32(REBALANCE_TIMEOUT_MS)
            .string("")
            .string("consumer")
            .array(1)
            .string("range")
            .bytes(&subscription)
            .finish();
        member.connection.send(&request)?;
    }
    for member in members {
        let mut answer = Reader::new(member.connection.receive()?);
        answer.skip(4 + 4)?;
        answer.refuse_error("join group")?;
        member.generation = answer.int32()?;
        answer.string()?;
        answer.string()?;
        member.id = answer.string()?.to_owned();
        for _ in 0..answer.count()? {
            member.led.push(answer.string()?.to_owned());
            let bytes = answer.count()?;
            answer.skip(bytes)?;
        }
    }
    Ok(())
}

fn sync(members: &mut [Member]) -> Outcome<()> {
    for member in &mut *members {
        let mut request = Writer::request(SYNC_GROUP, 2)
            .string(&group_id(member.group))
            .int32(member.generation)
            .string(&member.id)
            .array(member.led.len());
        for (index, id) in member.led.iter().enumerate() {
            request = request.string(id).bytes(&assignment(index));
        }
        member.connection.send(&request.finish())?;
    }
    for member in members {
        let mut answer = Reader::new(member.connection.receive()?);
        answer.skip(4 + 4)?;
        answer.refuse_error("sync group")?;
    }
    Ok(())
}

fn heartbeat(member: &Member) -> Vec<u8> {
    Writer::request(HEARTBEAT, 2)
        .string(&group_id(member.group))
        .int32(member.generation)
        .string(&member.id)
        .finish()
}

fn beaten(answer: &[u8]) -> Outcome<usize> {
    let mut answer = Reader::new(answer);
    answer.skip(4 + 4)?;
    answer.refuse_error("heartbeat").map(|()| 0)
}

fn commit(member: &Member) -> Vec<u8> {
    Writer::request(OFFSET_COMMIT, 6)
        .string(&group_id(member.group))
        .int32(member.generation)
        .string(&member.id)
        .array(1)
        .string(TOPIC)
        .array(1)
        .int32(as_i32(member.index))
        .int64(1)
        .int32(-1) // any leader epoch
        .string("")
        .finish()
}

fn committed(answer: &[u8]) -> Outcome<usize> {
    let mut answer = Reader::new(answer);
    answer.skip(4 + 4)?;
    for _ in 0..answer.count()? {
        answer.string()?;
        for _ in 0..answer.count()? {
            answer.skip(4)?;
            answer.refuse_error("offset commit")?;
        }
    }
    Ok(0)
}

/// The members over the lanes, each with its own request.
fn lanes(members: Vec<Member>, mut frames: Vec<Vec<u8>>) -> Vec<Lane> {
    let own = members.len() / LANES;
    let mut connections: Vec<_> = members
        .into_iter()
        .map(|member| member.connection)
        .collect();
    (0..LANES)
        .map(|_| Lane {
            connections: connections.drain(..own).collect(),
            frames: frames.drain(..own).collect(),
            first_frame: 0,
        })
        .collect()
}

fn group_id(group: usize) -> String {
    format!("group-{group}")
}

/// `ConsumerProtocolSubscription` version 0 of one topic.
fn subscription() -> Vec<u8> {
    let message = Writer::within(Vec::new())
        .int16(0)
        .array(1)
        .string(TOPIC)
        .int32(-1)
        .finish();
    message[4..].to_vec()
}

/// `ConsumerProtocolAssignment` version 0 of one partition.
fn assignment(partition: usize) -> Vec<u8> {
    let message = Writer::within(Vec::new())
        .int16(0)
        .array(1)
        .string(TOPIC)
        .array(1)
        .int32(as_i32(partition))
        .int32(-1)
        .finish();
    message[4..].to_vec()
}
