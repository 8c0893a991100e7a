//! A producer that is kept busy while the server is killed under it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::ChildStdin;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::scenarios::clients::{Client, Delivery};
use crate::scenarios::failure::{Failure, Outcome};
use crate::scenarios::program::{Event, Program};
use crate::scenarios::record::{Codec, Record, Seen, send_line};
use crate::scenarios::run::{Bench, PATIENCE};
use crate::scenarios::write::{as_i64, partitions_for};

/// One record every so often, for as long as the stream runs.
const PACE: Duration = Duration::from_millis(10);

/// How many records must stand in the log before the server is killed.
const RECORDS_BEFORE: i64 = 50;

/// How many records follow once the server is back.
const RECORDS_AFTER: usize = 100;

/// A stream ends by itself here, should nobody end it.
const RECORDS_MAX: usize = 20_000;

/// How long a producer gets for the answers that are missing at the end: Java's default delivery timeout and a little.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(150);

const CODEC: Codec = Codec::Lz4;

/// A producing client, fed from a thread of its own.
#[derive(Debug)]
pub struct Stream {
    topic: String,
    partitions: usize,
    program: Program,
    feeder: JoinHandle<Outcome<usize>>,
    is_ending: Arc<(Mutex<bool>, Condvar)>,
}

impl Stream {
    /// Starts to produce, and returns when the first records are in the log.
    pub fn start(bench: &Bench, client: &Client) -> Outcome<Self> {
        let topic = format!("streamed-{}", client.name);
        let partitions = partitions_for(client);
        bench.wire.create_topic(&topic, partitions)?;
        let mut program = Program::start(bench, client, "produce", &[&topic])?;
        let input = program.take_input();
        let input = input.ok_or_else(|| Failure::new("the input is taken"))?;
        let is_ending = Arc::default();
        let told = Arc::clone(&is_ending);
        let feeder = std::thread::spawn(move || feed(input, partitions, &told));
        let stream = Self {
            topic,
            partitions,
            program,
            feeder,
            is_ending,
        };
        let deadline = Instant::now() + PATIENCE;
        while bench.wire.ends(&stream.topic)?.iter().sum::<i64>() < RECORDS_BEFORE {
            if Instant::now() >= deadline {
                // The program's own complaint, if it has one, is the better reason.
                stream
                    .program
                    .wait("first records", Duration::ZERO, |_| None::<()>)?;
            }
            let seen = stream.program.events().len();
            stream.program.wait_for_more(seen, PACE);
        }
        Ok(stream)
    }

    /// Sends the last records, waits for every answer, reads everything back with the same client and judges.
    pub fn finish(self, bench: &Bench, client: &Client) -> Outcome<()> {
        let (flag, changed) = &*self.is_ending;
        *flag.lock().expect("the feeder does not panic") = true;
        changed.notify_all();
        // A producer that died has closed the pipe; its own complaint says more than the feeder's.
        let fed = self.feeder.join().expect("the feeder does not panic");
        let answers = self.program.finish(DELIVERY_PATIENCE)?;
        let sent = fed?;
        let acked = acknowledged(&answers, sent)?;

        let ends = bench.wire.ends(&self.topic)?;
        let count = ends.iter().sum::<i64>().to_string();
        let arguments = [count.as_str(), &self.topic];
        let events = Program::run(bench, client, "consume", &arguments, &[], PATIENCE)?;
        let mut partitions = vec![Vec::new(); self.partitions];
        for seen in events.iter().filter_map(Event::record) {
            partitions[seen.partition].push(seen);
        }
        nothing_is_lost(&partitions, sent)?;
        if client.delivery == Delivery::ExactlyOnce {
            each_once_in_order(&partitions, sent)?;
            acks_tell_the_truth(&partitions, &acked)?;
        }
        Ok(())
    }
}

/// Writes record after record until told to end, then the last ones; returns how many it wrote.
fn feed(mut input: ChildStdin, partitions: usize, told: &(Mutex<bool>, Condvar)) -> Outcome<usize> {
    let (flag, changed) = told;
    let mut sent = 0;
    let mut remaining = RECORDS_AFTER;
    while remaining > 0 && sent < RECORDS_MAX {
        let record = Record {
            timestamp: None,
            key: None,
            value: Some(value(sent)),
            headers: Vec::new(),
        };
        writeln!(input, "{}", send_line(CODEC, sent % partitions, &record))?;
        sent += 1;
        let is_ending = flag.lock().expect("nobody panics with it");
        let (is_ending, _) = changed
            .wait_timeout_while(is_ending, PACE, |is_ending| !*is_ending)
            .expect("nobody panics with it");
        if *is_ending {
            remaining -= 1;
        }
    }
    Ok(sent)
}

fn value(index: usize) -> Vec<u8> {
    format!("streamed {index}").into_bytes()
}

/// The offset of each line; every line must be acknowledged, once.
fn acknowledged(answers: &[Event], sent: usize) -> Outcome<BTreeMap<usize, i64>> {
    let mut acked = BTreeMap::new();
    for answer in answers {
        match answer {
            Event::Acked { index, offset } => {
                acked.insert(*index, *offset);
            }
            Event::Failed { index, reason } => {
                return Err(Failure::new(format!("record {index} failed: {reason}")));
            }
            other => return Err(Failure::new(format!("produce printed {other:?}"))),
        }
    }
    if acked.len() != sent {
        return Err(Failure::new(format!(
            "{} of {sent} records are acknowledged",
            acked.len()
        )));
    }
    Ok(acked)
}

fn nothing_is_lost(partitions: &[Vec<&Seen>], sent: usize) -> Outcome<()> {
    let found: BTreeSet<&[u8]> = partitions
        .iter()
        .flatten()
        .filter_map(|seen| seen.record.value.as_deref())
        .collect();
    let lost: Vec<usize> = (0..sent)
        .filter(|index| !found.contains(value(*index).as_slice()))
        .collect();
    if lost.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{} of {sent} acknowledged records are lost, the first of them {}",
        lost.len(),
        lost[0]
    )))
}

fn each_once_in_order(partitions: &[Vec<&Seen>], sent: usize) -> Outcome<()> {
    for (partition, records) in partitions.iter().enumerate() {
        let expected = (partition..sent).step_by(partitions.len());
        let count = expected.clone().count();
        for (place, (seen, index)) in records.iter().zip(expected).enumerate() {
            if seen.offset != as_i64(place) || seen.record.value.as_deref() != Some(&value(index)) {
                return Err(Failure::new(format!(
                    "partition {partition} has {:?} at offset {} instead of record {index}",
                    seen.record.value.as_deref().map(String::from_utf8_lossy),
                    seen.offset
                )));
            }
        }
        if records.len() != count {
            return Err(Failure::new(format!(
                "partition {partition} has {} records instead of {count}",
                records.len()
            )));
        }
    }
    Ok(())
}

/// The record at an acknowledged offset is the one that was acknowledged; −1 is a client that does not tell.
fn acks_tell_the_truth(partitions: &[Vec<&Seen>], acked: &BTreeMap<usize, i64>) -> Outcome<()> {
    for (index, offset) in acked {
        let place = as_i64(index / partitions.len());
        if *offset != -1 && *offset != place {
            return Err(Failure::new(format!(
                "record {index} stands at offset {place} and was acknowledged at {offset}"
            )));
        }
    }
    Ok(())
}
