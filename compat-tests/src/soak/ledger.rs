//! What is known about one partition: what was asked to be written, what was acknowledged where, and what was seen.

use std::collections::{HashMap, HashSet};

use crate::soak::anomaly::{Anomaly, Kind};
use crate::soak::content::{Style, mark_of, number_of, place_of};

/// The last acknowledged record of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latest {
    pub offset: i64,
    pub is_tombstone: bool,
}

/// What a reader may count on because it was acknowledged before the read began.
#[derive(Debug, Clone, Default)]
pub struct Promise {
    /// One past the last offset that was acknowledged or seen.
    pub end: i64,
    pub latest: HashMap<u32, Latest>,
}

/// No record has this number.
const UNKNOWN: u64 = 0;

#[derive(Debug)]
pub struct Ledger {
    /// For people: `events-0`.
    pub name: String,
    pub seed: u64,
    pub style: Style,
    partition: usize,
    asked: u64,
    acked: u64,
    /// The number of the record at each offset, as far as known.
    at: Vec<u64>,
    /// Asked for, and at no known offset.
    open: HashSet<u64>,
    /// Written by transactions that nobody has asked to commit.
    hidden: HashSet<u64>,
    log_start: i64,
    promise: Promise,
}

impl Ledger {
    /// `partition` is the number of the partition in the run, from 1.
    pub fn new(name: String, partition: usize, seed: u64, style: Style) -> Self {
        Self {
            name,
            seed,
            style,
            partition,
            asked: 0,
            acked: 0,
            at: Vec::new(),
            open: HashSet::new(),
            hidden: HashSet::new(),
            log_start: 0,
            promise: Promise::default(),
        }
    }

    /// The numbers of records that are about to be sent for the first time.
    pub fn ask(&mut self, count: u64) -> Vec<u64> {
        let first = self.asked + 1;
        self.asked += count;
        let numbers: Vec<_> = (first..=self.asked)
            .map(|index| number_of(self.partition, index))
            .collect();
        self.open.extend(&numbers);
        numbers
    }

    /// As [`Self::ask`], for a transaction that nobody has asked to commit so far.
    pub fn ask_hidden(&mut self, count: u64) -> Vec<u64> {
        let numbers = self.ask(count);
        self.hidden.extend(&numbers);
        numbers
    }

    /// The records stand from `base_offset` on, says the server.
    pub fn ack(&mut self, base_offset: i64, numbers: &[u64]) -> Vec<Anomaly> {
        self.acked += numbers.len() as u64;
        (base_offset..)
            .zip(numbers)
            .filter_map(|(offset, number)| self.saw(offset, *number))
            .collect()
    }

    /// The acknowledged records from `base_offset` on are visible to every reader.
    pub fn publish(&mut self, base_offset: i64, numbers: &[u64]) {
        for (offset, number) in (base_offset..).zip(numbers) {
            let mark = mark_of(self.seed, self.style, *number);
            let latest = Latest {
                offset,
                is_tombstone: mark.is_tombstone,
            };
            let known = self.promise.latest.entry(mark.key).or_insert(latest);
            if known.offset < offset {
                *known = latest;
            }
        }
    }

    /// The commit of these records is about to be asked for.
    pub fn reveal(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.hidden.remove(number);
        }
    }

    pub fn is_hidden(&self, number: u64) -> bool {
        self.hidden.contains(&number)
    }

    /// Somebody was told that the record stands at this offset. What contradicts that, if anything.
    pub fn saw(&mut self, offset: i64, number: u64) -> Option<Anomaly> {
        let (partition, index) = place_of(number);
        if partition != self.partition || index == 0 || index > self.asked {
            let story = format!("{} offset {offset}: {number:#x}", self.name);
            return Some(Anomaly::new(Kind::Phantom, story));
        }
        let Ok(position) = usize::try_from(offset) else {
            let story = format!("{} record {index} at offset {offset}", self.name);
            return Some(Anomaly::new(Kind::Phantom, story));
        };
        if self.at.len() <= position {
            self.at.resize(position + 1, UNKNOWN);
        }
        let known = self.at[position];
        if known == number {
            return None;
        }
        if known != UNKNOWN {
            let (_, other) = place_of(known);
            let story = format!(
                "{} offset {offset}: record {index} where record {other} was",
                self.name
            );
            return Some(Anomaly::new(Kind::OffsetReused, story));
        }
        if !self.open.remove(&number) {
            let story = format!(
                "{} offset {offset}: record {index}, which stands at another offset",
                self.name
            );
            return Some(Anomaly::new(Kind::Duplicated, story));
        }
        self.at[position] = number;
        self.promise.end = self.promise.end.max(offset + 1);
        None
    }

    /// An answer named this log start; `known` is [`Self::log_start`] from before the request was sent.
    pub fn saw_log_start(&mut self, known: i64, log_start: i64) -> Option<Anomaly> {
        self.log_start = self.log_start.max(log_start);
        (log_start < known).then(|| {
            let story = format!("{}: {log_start} after {known}", self.name);
            Anomaly::new(Kind::LogStartWentBack, story)
        })
    }

    pub fn log_start(&self) -> i64 {
        self.log_start
    }

    pub fn promise(&self) -> Promise {
        self.promise.clone()
    }

    /// One past the last offset that was acknowledged or seen.
    pub fn end(&self) -> i64 {
        self.promise.end
    }

    pub fn asked(&self) -> u64 {
        self.asked
    }

    pub fn acked(&self) -> u64 {
        self.acked
    }
}
