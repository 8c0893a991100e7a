//! Kafka's own tool for transactions (`kafka-transactions`), while many are open.

use crate::scenarios::clients::Client;
use crate::scenarios::failure::{Failure, Outcome};
use crate::scenarios::program::{Event, Program};
use crate::scenarios::run::{Bench, PATIENCE};
use crate::scenarios::transactions::dialogue::WRITTEN;
use crate::scenarios::transactions::recovery::Armed;

/// Lists all, describes one, describes the producers of one of its partitions, and finds none that hangs.
pub fn inspect(bench: &Bench, console: &Client, open: &[&Armed]) -> Outcome<()> {
    let ask = |verb: &str, arguments: &[&str]| {
        Program::run(bench, console, verb, arguments, &[], PATIENCE)
    };
    let listed = ask("transactions", &[])?;
    for armed in open {
        find_ongoing(&listed, &armed.id)?;
    }
    let armed = open
        .first()
        .ok_or_else(|| Failure::new("no client has an open transaction"))?;
    let described = ask("transaction", &[&armed.id])?;
    let producer_id = find_ongoing(&described, &armed.id)?;
    let mut touched: Vec<&str> = described
        .iter()
        .filter_map(|event| match event {
            Event::Touches(partition) => Some(partition.as_str()),
            _ => None,
        })
        .collect();
    touched.sort_unstable();
    let mut expected: Vec<String> = armed
        .topics
        .iter()
        .map(|topic| format!("{topic}-{WRITTEN}"))
        .collect();
    expected.sort_unstable();
    if touched != expected {
        return Err(Failure::new(format!(
            "{} is described with the partitions {touched:?} instead of {expected:?}",
            armed.id
        )));
    }

    let writers = ask("writers", &[&armed.topics[0], &WRITTEN.to_string()])?;
    // The first transaction left one record and its marker.
    let is_expected = matches!(
        writers[..],
        [Event::Writer { producer_id: writer, start_offset: 2 }] if writer == producer_id
    );
    if !is_expected {
        return Err(Failure::new(format!(
            "the producers of {} are {writers:?}, not {producer_id} alone since offset 2",
            armed.topics[0]
        )));
    }

    let broker = bench.wire.broker_id()?.to_string();
    let hanging = ask("hanging", &[&broker])?;
    match hanging.first() {
        None => Ok(()),
        Some(Event::Hanging(place)) => Err(Failure::new(format!("found hanging: {place}"))),
        Some(other) => Err(Failure::new(format!("hanging printed {other:?}"))),
    }
}

/// The producer id of a transaction that must be listed as ongoing.
fn find_ongoing(listed: &[Event], wanted: &str) -> Outcome<i64> {
    for event in listed {
        if let Event::Transaction {
            id,
            producer_id,
            state,
        } = event
            && id == wanted
        {
            if state == "Ongoing" {
                return Ok(*producer_id);
            }
            return Err(Failure::new(format!("{wanted} is {state}, not Ongoing")));
        }
    }
    Err(Failure::new(format!("{wanted} is not in {listed:?}")))
}
