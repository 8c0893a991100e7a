//! `transaction.version` is taken down and up again with Kafka's own tool (`kafka-features`), and every client's
//! producer works at each level.

use std::time::Instant;

use crate::scenarios::clients::Client;
use crate::scenarios::failure::{Failure, Outcome};
use crate::scenarios::program::{Event, Program};
use crate::scenarios::report::Report;
use crate::scenarios::run::{Bench, PATIENCE, in_parallel};
use crate::scenarios::transactions::dialogue::{
    AMPLE_TIMEOUT, Isolation, PARTITIONS, Producer, Reader,
};

const FEATURE: &str = "transaction.version";

/// A server has the highest level, 2, to begin with.
const STEPS: [(&str, i16); 3] = [("downgrade", 1), ("downgrade", 0), ("upgrade", 2)];

/// A client's way through the levels; a failure on the way ends it.
type Journey = (Client, Instant, Outcome<()>);

/// One line for the tool, and one for each client.
pub fn change_levels(
    bench: &Bench,
    report: &Report,
    jobs: usize,
    console: &Client,
    clients: &[Client],
) {
    let started = Instant::now();
    let mut tool = Ok(());
    let mut journeys: Vec<Journey> = clients
        .iter()
        .map(|client| {
            let created = bench.wire.create_topic(&topic(client), PARTITIONS);
            (*client, Instant::now(), created)
        })
        .collect();
    for (direction, level) in STEPS {
        tool = tool.and_then(|()| set_level(bench, console, direction, level));
        if tool.is_err() {
            break;
        }
        journeys = in_parallel(jobs, journeys, |(client, started, outcome)| {
            let outcome = outcome.and_then(|()| work(bench, &client, level));
            (client, started, outcome)
        });
    }
    let has_tool = tool.is_ok();
    report.record(console.name, "change transaction.version", started, tool);
    if !has_tool {
        return;
    }
    let journeys = in_parallel(jobs, journeys, |(client, started, outcome)| {
        let outcome = outcome.and_then(|()| compare(bench, &client));
        (client, started, outcome)
    });
    for (client, started, outcome) in journeys {
        report.record(
            client.name,
            "work at each transaction.version",
            started,
            outcome,
        );
    }
}

fn set_level(bench: &Bench, console: &Client, direction: &str, wanted: i16) -> Outcome<()> {
    let arguments = [direction, FEATURE, &wanted.to_string()];
    let events = Program::run(bench, console, "feature", &arguments, &[], PATIENCE)?;
    match &events[..] {
        [Event::Feature { name, level }] if name == FEATURE && *level == wanted => Ok(()),
        other => Err(Failure::new(format!(
            "after a {direction} to {wanted} the tool shows {other:?}"
        ))),
    }
}

/// A new producer commits one transaction and aborts one.
fn work(bench: &Bench, client: &Client, level: i16) -> Outcome<()> {
    let topics = [topic(client)];
    let mut producer = Producer::start(bench, client, &topics[0], AMPLE_TIMEOUT)
        .map_err(|failure| failure.during(format!("at level {level}")))?;
    let mut transactions = || {
        producer.begin()?;
        producer.send(&topics, &[kept(level)])?;
        producer.commit()?;
        producer.begin()?;
        producer.send(&topics, &[format!("dropped at level {level}")])?;
        producer.abort()
    };
    transactions().map_err(|failure: Failure| failure.during(format!("at level {level}")))
}

fn compare(bench: &Bench, client: &Client) -> Outcome<()> {
    let topics = [topic(client)];
    let expected: Vec<String> = STEPS.iter().map(|(_, level)| kept(*level)).collect();
    let reader = Reader::start(bench, client, Isolation::Committed, &topics)?;
    reader.wait_for(&topics[0], &expected)?;
    reader.leave()
}

fn topic(client: &Client) -> String {
    format!("levels-{}", client.name)
}

fn kept(level: i16) -> String {
    format!("kept at level {level}")
}
