//! Transactions are visible whole or not at all, as their producers were told.

use std::collections::{BTreeSet, HashSet};

use crate::torture::anomaly::{Anomalies, Kind};
use crate::torture::failure::Outcome;
use crate::torture::history::Value;
use crate::torture::ledger::{Fate, Ledger};

pub fn visibility(ledger: &Ledger, anomalies: &mut Anomalies) -> Outcome<()> {
    let visible: HashSet<Value> = ledger
        .final_reader(true)?
        .records()
        .map(|(_, _, value)| value)
        .collect();
    for (number, transaction) in &ledger.transactions {
        // What was not acknowledged may or may not have been in the transaction.
        let acknowledged: Vec<Value> = transaction
            .writes
            .iter()
            .copied()
            .filter(|value| ledger.writes[value].offset.is_some())
            .collect();
        let missing: Vec<Value> = acknowledged
            .iter()
            .copied()
            .filter(|value| !visible.contains(value))
            .collect();
        let is_seen = transaction
            .writes
            .iter()
            .any(|value| visible.contains(value));
        let id = &transaction.transactional_id;
        match transaction.fate {
            Fate::Aborted => {}
            _ if missing.is_empty() => {}
            Fate::Committed if !is_seen => {
                let story = format!(
                    "transaction {number} of {id} is committed and none of {acknowledged:?} is there"
                );
                anomalies.add(Kind::Lost, story);
            }
            Fate::Unknown if !is_seen => {}
            Fate::Committed | Fate::Unknown => {
                let story = format!(
                    "of transaction {number} of {id}, {missing:?} of {acknowledged:?} are missing"
                );
                anomalies.add(Kind::HalfVisible, story);
            }
        }
    }
    aborted_reads(ledger, anomalies);
    Ok(())
}

/// No reader of committed records, running or final, sees a record of an aborted transaction.
fn aborted_reads(ledger: &Ledger, anomalies: &mut Anomalies) {
    let mut told = BTreeSet::new();
    for reader in ledger.readers.iter().filter(|reader| reader.is_committed) {
        for (place, offset, value) in reader.records() {
            let Some(write) = ledger.writes.get(&value) else {
                continue;
            };
            let transaction = &ledger.transactions[&write.transaction];
            if transaction.fate == Fate::Aborted && told.insert(value) {
                let story = format!(
                    "{} saw {value} at {offset} of {place}, written by transaction {} of {}, which was aborted",
                    reader.name, write.transaction, transaction.transactional_id
                );
                anomalies.add(Kind::AbortedRead, story);
            }
        }
    }
}
