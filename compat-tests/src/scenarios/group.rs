//! A consumer group of two: one joins, the second joins, the partitions are split, one leaves, the other takes over.
//!
//! Who owns a partition is shown by records, not by what a client says: the runner appends one probe to each partition and
//! looks which member receives it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::scenarios::clients::{Client, Groups};
use crate::scenarios::failure::{Failure, Outcome};
use crate::scenarios::program::{Event, Program};
use crate::scenarios::run::{Bench, PATIENCE};
use crate::scenarios::write::{PARTITIONS, as_i64};

/// How long a condition is left alone before it is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How long the members get to react before the next round of probes.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(300);

/// The topic of a group scenario and what was appended to it.
struct Probes<'a> {
    bench: &'a Bench,
    topic: String,
    /// Each round appends one record to each partition, so this is also the log end of each.
    rounds: usize,
}

/// Which partitions each member received in one round.
type Ownership = Vec<BTreeSet<usize>>;

pub fn share(bench: &Bench, client: &Client) -> Outcome<()> {
    let topic = format!("shared-{}", client.name);
    let group = format!("group-{}", client.name);
    bench.wire.create_topic(&topic, PARTITIONS)?;
    let mut probes = Probes {
        bench,
        topic: topic.clone(),
        rounds: 0,
    };
    let arguments = [group.as_str(), topic.as_str()];

    let mut first = Program::start(bench, client, "group", &arguments)?;
    probes
        .settle(&[&first], |owned| owned[0].len() == PARTITIONS)
        .map_err(|failure| failure.during("the first member alone"))?;

    let mut second = Program::start(bench, client, "group", &arguments)?;
    probes
        .settle(&[&first, &second], |owned| {
            owned.iter().all(|partitions| !partitions.is_empty())
        })
        .map_err(|failure| failure.during("the split between two members"))?;
    if client.groups == Groups::Full {
        wait_for_description(bench, client, &group, 2)?;
    }
    // The first member may still hold older positions of partitions that are the second's now: it goes first.
    for member in [&mut first, &mut second] {
        commit(member)?;
    }
    wait_for_committed(bench, &group, &topic, &probes.ends())?;

    leave(second).map_err(|failure| failure.during("the second member leaves"))?;
    probes
        .settle(&[&first], |owned| owned[0].len() == PARTITIONS)
        .map_err(|failure| failure.during("the first member takes over"))?;
    commit(&mut first)?;
    wait_for_committed(bench, &group, &topic, &probes.ends())?;
    if client.groups == Groups::Full {
        check_committed(bench, client, &group, &topic, &probes.ends())?;
    }
    leave(first)?;
    Ok(())
}

impl Probes<'_> {
    /// Sends rounds of probes until each of one round arrives exactly once and `is_wanted` agrees with who got them.
    fn settle(
        &mut self,
        members: &[&Program],
        is_wanted: impl Fn(&Ownership) -> bool,
    ) -> Outcome<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (owned, is_clean) = self.round(members, deadline)?;
            if is_clean && is_wanted(&owned) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(Failure::new(format!(
                    "after {} rounds the members own {owned:?}{}",
                    self.rounds,
                    if is_clean { "" } else { ", some twice" }
                )));
            }
            let newest = members[members.len() - 1];
            newest.wait_for_more(newest.events().len(), BETWEEN_ROUNDS);
        }
    }

    /// Appends one probe to each partition and waits until all are received.
    fn round(&mut self, members: &[&Program], deadline: Instant) -> Outcome<(Ownership, bool)> {
        let offset = as_i64(self.rounds);
        for partition in 0..PARTITIONS {
            let value = format!("probe {offset}");
            self.bench.wire.produce(&self.topic, partition, &value)?;
        }
        self.rounds += 1;
        loop {
            let mut received = 0;
            let mut owned = vec![BTreeSet::new(); members.len()];
            for (member, owned) in members.iter().zip(&mut owned) {
                for seen in member.events().iter().filter_map(Event::record) {
                    if seen.offset == offset {
                        received += 1;
                        owned.insert(seen.partition);
                    }
                }
            }
            let partitions: BTreeSet<&usize> = owned.iter().flatten().collect();
            if partitions.len() == PARTITIONS {
                return Ok((owned, received == PARTITIONS));
            }
            if Instant::now() >= deadline {
                // A wait that cannot succeed any more says what the member printed on its standard error.
                let reason = format!("probe {offset} arrived in {partitions:?} only");
                return members[0].wait(&reason, Duration::ZERO, |_| None);
            }
            members[0].wait_for_more(members[0].events().len(), LOOK_AGAIN);
        }
    }

    fn ends(&self) -> Vec<i64> {
        vec![as_i64(self.rounds); PARTITIONS]
    }
}

/// Tells a member to commit what it has received and waits until it says so.
pub fn commit(member: &mut Program) -> Outcome<()> {
    let committed = |events: &[Event]| {
        let count = events
            .iter()
            .filter(|event| matches!(event, Event::Committed))
            .count();
        Some(count)
    };
    let before = member.wait("a count", PATIENCE, committed)?;
    member.send("commit")?;
    member.wait("the commit", PATIENCE, |events| {
        committed(events).filter(|count| *count > before)
    })?;
    Ok(())
}

/// Tells a member to leave and waits for its clean end; returns all it printed.
pub fn leave(mut member: Program) -> Outcome<Vec<Event>> {
    member.send("leave")?;
    member.finish(PATIENCE)
}

/// Waits until the server has these committed offsets. It may still be loading them, and some clients commit by
/// themselves only, a little later.
pub fn wait_for_committed(
    bench: &Bench,
    group: &str,
    topic: &str,
    expected: &[i64],
) -> Outcome<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = bench.wire.committed(group, topic);
        if found.as_ref().is_ok_and(|offsets| offsets == expected) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(Failure::new(format!(
                "committed offsets {found:?} instead of {expected:?}"
            )));
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// The client's own view of the committed offsets.
fn check_committed(
    bench: &Bench,
    client: &Client,
    group: &str,
    topic: &str,
    expected: &[i64],
) -> Outcome<()> {
    let arguments = [group, topic];
    let events = Program::run(bench, client, "committed", &arguments, &[], PATIENCE)?;
    let mut found = vec![-1; expected.len()];
    for event in events {
        match event {
            Event::Offset { partition, offset } if partition < found.len() => {
                found[partition] = offset;
            }
            other => return Err(Failure::new(format!("committed printed {other:?}"))),
        }
    }
    if found == expected {
        Ok(())
    } else {
        Err(Failure::new(format!(
            "the client tells committed offsets {found:?} instead of {expected:?}"
        )))
    }
}

/// The client's own description of the group. A cooperative group may rebalance once more after the split is complete.
fn wait_for_description(
    bench: &Bench,
    client: &Client,
    group: &str,
    expected: usize,
) -> Outcome<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let events = Program::run(bench, client, "describe", &[group], &[], PATIENCE)?;
        if let [Event::Group { state, members }] = &events[..]
            && state.eq_ignore_ascii_case("stable")
            && *members == expected
        {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(Failure::new(format!(
                "the group is described as {events:?}"
            )));
        }
    }
}
