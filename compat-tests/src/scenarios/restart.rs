//! `kill -9` of the server, and a restart on the same port and data: what was committed and acknowledged is back, a member
//! that lives through it goes on, a new one resumes where the last left off, and a busy producer loses nothing.

use std::time::Instant;

use crate::scenarios::clients::{Client, Groups};
use crate::scenarios::failure::{Failure, Outcome};
use crate::scenarios::group::{commit, leave, wait_for_committed};
use crate::scenarios::program::{Event, Program};
use crate::scenarios::record::Seen;
use crate::scenarios::report::Report;
use crate::scenarios::run::{Bench, PATIENCE};
use crate::scenarios::stream::Stream;
use crate::scenarios::write::{PARTITIONS, as_i64};

/// How many records each partition gets at a time.
const PORTION: usize = 3;

/// A client that is ready for the server to be killed.
pub struct Armed {
    client: Client,
    /// A group member that stays alive; absent when the client has no groups.
    member: Option<Program>,
    stream: Option<Stream>,
}

/// Brings two groups to a committed offset: one member leaves, the other one stays. Everything is committed before, and
/// more is appended for the group that left.
pub fn arm(bench: &Bench, client: &Client) -> Outcome<Armed> {
    let mut armed = Armed {
        client: *client,
        member: None,
        stream: None,
    };
    if client.groups == Groups::None {
        return Ok(armed);
    }
    let names = ["left", "stayed"].map(|what| format!("{what}-{}", client.name));
    let mut members = Vec::new();
    for name in &names {
        bench.wire.create_topic(name, PARTITIONS)?;
        append(bench, name, 0)?;
        members.push(Program::start(bench, client, "group", &[name, name])?);
    }
    for (name, member) in names.iter().zip(&mut members) {
        wait_for_portion(member, 0)?;
        commit(member)?;
        wait_for_committed(bench, name, name, &[as_i64(PORTION); PARTITIONS])?;
    }
    armed.member = members.pop();
    for member in members {
        leave(member)?;
    }
    append(bench, &names[0], 1)?;
    Ok(armed)
}

/// Starts the client's producer, which runs until [`finish`].
pub fn stream(bench: &Bench, mut armed: Armed) -> Outcome<Armed> {
    armed.stream = Some(Stream::start(bench, &armed.client)?);
    Ok(armed)
}

/// Judges after the restart, with a line for each promise.
pub fn finish(
    bench: &Bench,
    report: &Report,
    client: Client,
    started: Instant,
    armed: Outcome<Armed>,
) {
    const STREAM: &str = "produce through kill -9";
    const RESUME: &str = "resume from the committed offsets";
    const STAY: &str = "stay in the group through kill -9";
    let armed = match armed {
        Ok(armed) => armed,
        Err(failure) => {
            let failure: Outcome<()> = Err(failure.during("before the kill"));
            report.record(client.name, STREAM, started, failure);
            return;
        }
    };
    if let Some(stream) = armed.stream {
        report.check(client.name, STREAM, || stream.finish(bench, &client));
    }
    if let Some(member) = armed.member {
        report.check(client.name, RESUME, || resume(bench, &client));
        report.check(client.name, STAY, || stay(bench, &client, member));
    }
}

/// A new member of the group that left gets exactly what was appended since the commit.
fn resume(bench: &Bench, client: &Client) -> Outcome<()> {
    let name = format!("left-{}", client.name);
    wait_for_committed(bench, &name, &name, &[as_i64(PORTION); PARTITIONS])?;
    let mut member = Program::start(bench, client, "group", &[&name, &name])?;
    wait_for_portion(&member, 1)?;
    commit(&mut member)?;
    wait_for_committed(bench, &name, &name, &[as_i64(2 * PORTION); PARTITIONS])?;
    each_once(&leave(member)?, PORTION..2 * PORTION)
}

/// The member that stayed gets what is appended now, and nothing again that it had committed.
fn stay(bench: &Bench, client: &Client, mut member: Program) -> Outcome<()> {
    let name = format!("stayed-{}", client.name);
    append(bench, &name, 1)?;
    wait_for_portion(&member, 1)?;
    commit(&mut member)?;
    wait_for_committed(bench, &name, &name, &[as_i64(2 * PORTION); PARTITIONS])?;
    each_once(&leave(member)?, 0..2 * PORTION)
}

/// Appends one portion of records to each partition.
fn append(bench: &Bench, topic: &str, portion: usize) -> Outcome<()> {
    for index in portion * PORTION..(portion + 1) * PORTION {
        for partition in 0..PARTITIONS {
            bench
                .wire
                .produce(topic, partition, &value(partition, index))?;
        }
    }
    Ok(())
}

fn value(partition: usize, index: usize) -> String {
    format!("record {index} of partition {partition}")
}

/// Waits until the last record of a portion has come in every partition.
fn wait_for_portion(member: &Program, portion: usize) -> Outcome<()> {
    let last = as_i64((portion + 1) * PORTION - 1);
    member.wait("all records", PATIENCE, |events| {
        let records = events.iter().filter_map(Event::record);
        let arrived = records.filter(|seen| seen.offset == last).count();
        (arrived >= PARTITIONS).then_some(())
    })
}

/// Each partition's records are those of `offsets`, once each and in order.
fn each_once(events: &[Event], offsets: std::ops::Range<usize>) -> Outcome<()> {
    for partition in 0..PARTITIONS {
        let records: Vec<&Seen> = events
            .iter()
            .filter_map(Event::record)
            .filter(|seen| seen.partition == partition)
            .collect();
        let found: Vec<i64> = records.iter().map(|seen| seen.offset).collect();
        let expected: Vec<i64> = offsets.clone().map(as_i64).collect();
        if found != expected {
            return Err(Failure::new(format!(
                "partition {partition} brought the offsets {found:?} instead of {expected:?}"
            )));
        }
        for (seen, index) in records.iter().zip(offsets.clone()) {
            if seen.record.value.as_deref() != Some(value(partition, index).as_bytes()) {
                return Err(Failure::new(format!(
                    "partition {partition} has another record at offset {}",
                    seen.offset
                )));
            }
        }
    }
    Ok(())
}
