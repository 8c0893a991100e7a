//! Producers: one idempotent writer for each log, one transactional writer for each topic that is written that way.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::Rng;
use rand::rngs::StdRng;

use crate::differential::compression::Codec;
use crate::soak::batches::{Stamp, encode};
use crate::soak::content::record_of;
use crate::soak::link::Link;
use crate::soak::plan::TopicPlan;
use crate::soak::requests::{Identity, add_partitions, end_transaction, init_producer, produce};
use crate::soak::world::{Log, World, add};

/// Records of a batch, at most.
const BATCH_RECORDS_MAX: u64 = 20;

/// Half of it, on average, passes between two batches of a writer.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// A writer takes a new producer id after so many batches.
const BATCHES_PER_IDENTITY: usize = 400;

const COMMIT_PROBABILITY: f64 = 0.7;

pub fn write(world: &World, log: &Log, mut random: StdRng) {
    let mut link = world.link(&format!("writer-{}", log.name()));
    while !world.is_over() {
        let Some(identity) = init_producer(world, &mut link, None) else {
            continue;
        };
        let mut sequence = 0;
        for _ in 0..BATCHES_PER_IDENTITY {
            if world.is_over() {
                return;
            }
            let count = random.random_range(1..=BATCH_RECORDS_MAX);
            let numbers = log.ledger().ask(count);
            let stamp = stamp(identity, sequence, false);
            let batch = batch(world, log, &numbers, &mut random, stamp);
            let Some(base_offset) = produce(world, &mut link, log, None, batch) else {
                break;
            };
            let mut ledger = log.ledger();
            world.report(ledger.ack(base_offset, &numbers));
            if log.topic.is_compacted() {
                ledger.publish(base_offset, &numbers);
            }
            drop(ledger);
            sequence += count as i32;
            world.sleep(random.random_range(Duration::ZERO..PAUSE_MAX));
        }
    }
}

/// Records of a transaction that are acknowledged: the log, where they begin, and their numbers.
type Written<'a> = Vec<(&'a Log, i64, Vec<u64>)>;

pub fn write_transactions(world: &World, topic: &TopicPlan, mut random: StdRng) {
    let logs = world.logs_of(topic);
    let id = format!("transactions-{}", topic.name);
    let mut link = world.link(&id);
    // Acknowledged commits whose markers may not be written so far.
    let mut committed: Written<'_> = Vec::new();
    while !world.is_over() {
        let Some(identity) = init_producer(world, &mut link, Some(&id)) else {
            continue;
        };
        let mut sequences = vec![0; logs.len()];
        while !world.is_over() {
            // A new transaction begins when the one before is complete.
            if add_partitions(world, &mut link, &id, identity, &logs).is_none() {
                break;
            }
            for (log, base_offset, numbers) in committed.drain(..) {
                log.ledger().publish(base_offset, &numbers);
            }
            let mut writer = Transaction {
                world,
                link: &mut link,
                id: &id,
                identity,
                logs: &logs,
                sequences: &mut sequences,
            };
            match writer.run(&mut random) {
                Some(written) => committed = written,
                None => break,
            }
            world.sleep(random.random_range(Duration::ZERO..PAUSE_MAX));
        }
    }
}

struct Transaction<'a, 'b> {
    world: &'a World,
    link: &'b mut Link,
    id: &'b str,
    identity: Identity,
    logs: &'b [&'a Log],
    /// Of each log.
    sequences: &'b mut [i32],
}

impl<'a> Transaction<'a, '_> {
    /// Writes and ends one transaction: what it has committed, or `None` when its producer is of no more use.
    fn run(&mut self, random: &mut StdRng) -> Option<Written<'a>> {
        let mut written = Written::new();
        for _ in 0..random.random_range(1..=4_u32) {
            let index = random.random_range(0..self.logs.len());
            let log = self.logs[index];
            let numbers = log
                .ledger()
                .ask_hidden(random.random_range(1..=BATCH_RECORDS_MAX));
            let stamp = stamp(self.identity, self.sequences[index], true);
            let batch = batch(self.world, log, &numbers, random, stamp);
            let base_offset = produce(self.world, self.link, log, Some(self.id), batch)?;
            self.sequences[index] += numbers.len() as i32;
            self.world.report(log.ledger().ack(base_offset, &numbers));
            written.push((log, base_offset, numbers));
        }
        let commits = random.random_bool(COMMIT_PROBABILITY);
        if commits {
            for (log, _, numbers) in &written {
                log.ledger().reveal(numbers);
            }
        }
        end_transaction(self.world, self.link, self.id, self.identity, commits)?;
        let counters = &self.world.counters;
        if commits {
            add(&counters.transactions_committed, 1);
            Some(written)
        } else {
            add(&counters.transactions_aborted, 1);
            Some(Written::new())
        }
    }
}

fn stamp(identity: Identity, base_sequence: i32, is_transactional: bool) -> Stamp {
    Stamp {
        producer_id: identity.id,
        producer_epoch: identity.epoch,
        base_sequence,
        is_transactional,
    }
}

fn batch(world: &World, log: &Log, numbers: &[u64], random: &mut StdRng, stamp: Stamp) -> Vec<u8> {
    let records = numbers
        .iter()
        .map(|number| record_of(world.seed, log.topic.style, *number))
        .collect();
    let codec = Codec::ALL[random.random_range(0..Codec::ALL.len())];
    encode(records, now_ms(), codec, stamp)
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |time| time.as_millis() as i64)
}
