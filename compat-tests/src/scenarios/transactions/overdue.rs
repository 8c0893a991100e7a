//! A transaction that is left open beyond its timeout: the server aborts it, and tells its producer.

use std::time::{Duration, Instant};

use crate::scenarios::clients::Client;
use crate::scenarios::failure::{Failure, Outcome};
use crate::scenarios::run::{Bench, PATIENCE};
use crate::scenarios::transactions::dialogue::{Isolation, PARTITIONS, Producer, Reader, WRITTEN};
use crate::scenarios::transactions::fencing::{Refusal, refuse_commit};

/// Enough for two records on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(4);

const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A producer that will not end its transaction in time.
pub struct Overdue {
    producer: Producer,
    topic: String,
}

pub fn open(bench: &Bench, client: &Client) -> Outcome<Overdue> {
    let topic = format!("overdue-{}", client.name);
    bench.wire.create_topic(&topic, PARTITIONS)?;
    let mut producer = Producer::start(bench, client, &topic, TIMEOUT)?;
    producer.begin()?;
    producer.send(std::slice::from_ref(&topic), &["too late".to_owned()])?;
    Ok(Overdue { producer, topic })
}

/// The abort sets readers of committed records free; the producer's commit is refused, and changes nothing.
pub fn wait_for_abort(bench: &Bench, client: &Client, mut overdue: Overdue) -> Outcome<()> {
    let topics = [overdue.topic];
    let deadline = Instant::now() + PATIENCE;
    loop {
        let stable = bench.wire.stable_ends(&topics[0])?[WRITTEN];
        // The record and the marker behind it.
        if stable == 2 {
            break;
        }
        if Instant::now() >= deadline {
            return Err(Failure::new(format!(
                "the last stable offset is still {stable} after {PATIENCE:?}"
            )));
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    refuse_commit(client, &mut overdue.producer, Refusal::Overdue)?;
    bench.wire.produce(&topics[0], WRITTEN, "in time")?;
    let reader = Reader::start(bench, client, Isolation::Committed, &topics)?;
    reader.wait_for(&topics[0], &["in time".to_owned()])?;
    reader.leave()
}
