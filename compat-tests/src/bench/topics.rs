//! Topics of a run: created, waited for, deleted.

use std::thread;
use std::time::{Duration, Instant};

use super::bare::Durability;
use super::connection::Connection;
use super::server::Server;
use super::{Failure, Outcome, messages};

const INPUT_BYTES: usize = 64 << 10;
/// Creating 2,000 partitions takes Apache Kafka seconds.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// After the deletion of a topic: the servers remove the files half a second later.
const REMOVAL: Duration = Duration::from_millis(700);

/// Creates a topic and waits until every partition can be written.
pub fn create(
    server: &Server,
    topic: &str,
    partitions: usize,
    durability: Durability,
) -> Outcome<()> {
    let mut connection = Connection::open(server.address, INPUT_BYTES)?;
    let request = messages::create_topic(topic, partitions, server.topic_configs(durability));
    messages::check_created(connection.ask(&request)?)?;
    let question = messages::list_offsets(topic, partitions);
    let deadline = Instant::now() + PATIENCE;
    loop {
        match messages::check_listed(connection.ask(&question)?) {
            Ok(ends) if ends.len() == partitions => return Ok(()),
            Ok(_) => return Err(Failure::new("a partition is missing in ListOffsets")),
            Err(failure) if Instant::now() >= deadline => {
                return Err(failure.during(format!("waiting for {topic}")));
            }
            Err(_) => thread::sleep(LOOK_AGAIN),
        }
    }
}

/// Deletes a topic and waits until its files, and what of them is still to be written, should be gone.
pub fn delete(server: &Server, topic: &str) -> Outcome<()> {
    let mut connection = Connection::open(server.address, INPUT_BYTES)?;
    messages::check_deleted(connection.ask(&messages::delete_topic(topic))?)?;
    thread::sleep(REMOVAL);
    Ok(())
}
