//! Readers of committed records stop at the first record of a transaction that is still open.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::torture::anomaly::{Anomalies, Kind};
use crate::torture::history::{History, Item, Place, TransactionNumber, What};
use crate::torture::ledger::Ledger;

/// The first acknowledged offset of every transaction that nobody has begun to end yet, by partition.
///
/// A transaction may end as soon as its producer asks for it, its transactional id gets a new life, or its timeout is
/// over; from then on nothing is claimed.
#[derive(Debug, Default)]
struct Open<'a> {
    first: HashMap<&'a Place, BTreeMap<TransactionNumber, i64>>,
    ended: HashSet<TransactionNumber>,
    begun: HashMap<&'a str, Vec<TransactionNumber>>,
}

impl<'a> Open<'a> {
    fn note(&mut self, place: &'a Place, transaction: TransactionNumber, offset: i64) {
        // The answer to a write may arrive after somebody else has ended its transaction.
        if !self.ended.contains(&transaction) {
            let firsts = self.first.entry(place).or_default();
            let first = firsts.entry(transaction).or_insert(offset);
            *first = offset.min(*first);
        }
    }

    fn end(&mut self, transaction: TransactionNumber) {
        self.ended.insert(transaction);
        for firsts in self.first.values_mut() {
            firsts.remove(&transaction);
        }
    }

    fn end_all_of(&mut self, transactional_id: &str) {
        for transaction in self.begun.remove(transactional_id).unwrap_or_default() {
            self.end(transaction);
        }
    }

    /// The earliest first offset, after those transactions whose time is over have been ended.
    fn earliest(
        &mut self,
        place: &Place,
        has_timed_out: impl Fn(TransactionNumber) -> bool,
    ) -> Option<(TransactionNumber, i64)> {
        let firsts = self.first.get(place)?;
        let late: Vec<_> = firsts
            .keys()
            .copied()
            .filter(|it| has_timed_out(*it))
            .collect();
        for transaction in late {
            self.end(transaction);
        }
        let firsts = self.first.get(place)?;
        let earliest = firsts.iter().min_by_key(|(_, first)| **first);
        earliest.map(|(transaction, first)| (*transaction, *first))
    }
}

pub fn last_stable_offset(history: &History, ledger: &Ledger, anomalies: &mut Anomalies) {
    let mut open = Open::default();
    for (line, event) in history.events.iter().enumerate() {
        match &event.what {
            What::Begin { transaction, .. } => {
                let id = &ledger.transactions[transaction].transactional_id;
                open.begun.entry(id).or_default().push(*transaction);
            }
            What::Acked { value, offset } => {
                let write = &ledger.writes[value];
                open.note(&write.place, write.transaction, *offset);
            }
            What::Ending { transaction, .. } => open.end(*transaction),
            What::Init { client } => {
                // Clients without a transactional id have no transactions.
                if let Some(id) = ledger.clients.get(client) {
                    open.end_all_of(id);
                }
            }
            What::Saw {
                reader,
                place,
                items,
                ..
            } if is_committed(ledger, reader) => {
                early_reads(ledger, line, reader, place, items, anomalies);
                let has_timed_out = |number| {
                    let transaction = &ledger.transactions[&number];
                    event.at_ms >= transaction.began_ms + transaction.timeout_ms
                };
                let earliest = open.earliest(place, has_timed_out);
                if let (Some((number, first)), Some((last, _))) = (earliest, items.last())
                    && *last >= first
                {
                    let story = format!(
                        "{reader} was given offset {last} of {place} while transaction {number} was open from {first}"
                    );
                    anomalies.add(Kind::ReadPastStableOffset, story);
                }
            }
            _ => {}
        }
    }
}

/// A record whose commit was asked for only after somebody had read it.
fn early_reads(
    ledger: &Ledger,
    line: usize,
    reader: &str,
    place: &Place,
    items: &[(i64, Item)],
    anomalies: &mut Anomalies,
) {
    for (offset, item) in items {
        let Item::Record(value) = item else {
            continue;
        };
        let Some(write) = ledger.writes.get(value) else {
            continue;
        };
        let asked = ledger.transactions[&write.transaction].commit_asked;
        if asked.is_some_and(|asked| asked > line) {
            let story = format!(
                "{reader} saw {value} at {offset} of {place} before the commit of transaction {} was asked for",
                write.transaction
            );
            anomalies.add(Kind::AbortedRead, story);
        }
    }
}

fn is_committed(ledger: &Ledger, name: &str) -> bool {
    ledger
        .readers
        .iter()
        .any(|reader| reader.name == name && reader.is_committed)
}
