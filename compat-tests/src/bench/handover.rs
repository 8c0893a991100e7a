//! From a producer to a consumer that waits: one record at a time, timed from the producer's send to the consumer's read.

use std::thread;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::pump::{Clock, Observed, Window};
use super::server::Server;
use super::{Failure, Outcome, batch, messages};

const INPUT_BYTES: usize = 16 << 10;
const FETCH_BYTES_MAX: i32 = 1 << 20;
const PARTITION: usize = 0;
/// Between the consumer's request and the producer's: by then the server has understood that the consumer must wait.
const UNTIL_PARKED: Duration = Duration::from_micros(200);

/// Hands records over until the window is over. One thread is producer and consumer, so no wake of ours is measured.
pub fn hand_over(
    server: &Server,
    topic: &str,
    value_bytes: usize,
    window: Window,
) -> Outcome<Observed> {
    let clock = Clock::default();
    thread::scope(|scope| {
        let clients = scope.spawn(|| {
            let handed = run(server, topic, value_bytes, &clock);
            clock.stop();
            handed
        });
        let observed = clock.run(server, window);
        let joined = clients.join();
        let mut latencies = joined.map_err(|_| Failure::new("the clients panicked"))??;
        latencies.sort_unstable();
        let mut observed = observed?;
        observed.latencies = latencies;
        Ok(observed)
    })
}

fn run(server: &Server, topic: &str, value_bytes: usize, clock: &Clock) -> Outcome<Vec<Duration>> {
    let mut producer = Connection::open(server.address, INPUT_BYTES)?;
    let mut consumer = Connection::open(server.address, INPUT_BYTES)?;
    let records = batch::batch(1, value_bytes);
    let produce = messages::produce(topic, &[(PARTITION, &records)]);
    let mut offset = 0;
    let mut latencies = Vec::new();
    while !clock.is_over() {
        consumer.send(&messages::fetch(
            topic,
            &[(PARTITION, offset)],
            FETCH_BYTES_MAX,
        ))?;
        thread::sleep(UNTIL_PARKED);
        let sent_at = Instant::now();
        producer.send(&produce)?;
        let fetched = messages::check_fetched(consumer.receive()?)?;
        let latency = sent_at.elapsed();
        messages::check_produced(producer.receive()?)?;
        if fetched.next_offset != Some(offset + 1) {
            return Err(Failure::new(format!(
                "the record at offset {offset} was not handed over: {fetched:?}"
            )));
        }
        offset += 1;
        clock.answered(fetched.record_bytes);
        if clock.is_measured() {
            latencies.push(latency);
        }
    }
    Ok(latencies)
}
