//! What must hold for a log as such: one truth per offset, every value once, in order, and written by somebody.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::torture::anomaly::{Anomalies, Kind};
use crate::torture::failure::Outcome;
use crate::torture::history::{Item, Place, Value};
use crate::torture::ledger::Ledger;

/// All readers and the producers' acknowledgements agree on what stands at an offset.
pub fn agreement(ledger: &Ledger, anomalies: &mut Anomalies) {
    let mut truth: HashMap<(&Place, i64), (Item, &str)> = HashMap::new();
    let mut disputed = BTreeSet::new();
    for reader in &ledger.readers {
        for (place, all) in &reader.seen {
            for seen in all {
                let claim = (seen.item, reader.name.as_str());
                let (item, witness) = *truth.entry((place, seen.offset)).or_insert(claim);
                if item != seen.item && disputed.insert((place, seen.offset)) {
                    let story = format!(
                        "offset {} of {place} is {item:?} to {witness} and {:?} to {}",
                        seen.offset, seen.item, reader.name
                    );
                    anomalies.add(Kind::TwoValuesAtOneOffset, story);
                }
            }
        }
    }
    let mut acknowledged: Vec<_> = ledger.writes.iter().collect();
    acknowledged.sort_by_key(|(value, _)| **value);
    for (value, write) in acknowledged {
        let Some(offset) = write.offset else {
            continue;
        };
        match truth.get(&(&write.place, offset)) {
            Some((Item::Record(found), _)) if found == value => {}
            Some((other, witness)) => {
                let story = format!(
                    "value {value} was acknowledged at offset {offset} of {}, where {witness} saw {other:?}",
                    write.place
                );
                anomalies.add(Kind::TwoValuesAtOneOffset, story);
            }
            // The final reader of everything saw no such offset: what was acknowledged is gone, committed or not.
            None => {
                let story = format!(
                    "value {value} was acknowledged at offset {offset} of {}, where nothing stands",
                    write.place
                );
                anomalies.add(Kind::Lost, story);
            }
        }
    }
}

/// No reader sees a value twice, or one that nobody wrote to that partition.
pub fn once_and_written(ledger: &Ledger, anomalies: &mut Anomalies) {
    let mut told: BTreeSet<(Kind, Value)> = BTreeSet::new();
    for reader in &ledger.readers {
        let mut first: HashMap<Value, (&Place, i64)> = HashMap::new();
        for (place, offset, value) in reader.records() {
            let (seen_at, seen_offset) = *first.entry(value).or_insert((place, offset));
            let is_again = (seen_at, seen_offset) != (place, offset);
            if is_again && told.insert((Kind::Duplicated, value)) {
                let story = format!(
                    "{} saw value {value} at {seen_offset} of {seen_at} and at {offset} of {place}",
                    reader.name
                );
                anomalies.add(Kind::Duplicated, story);
            }
            let is_written = ledger
                .writes
                .get(&value)
                .is_some_and(|it| it.place == *place);
            if !is_written && !is_again && told.insert((Kind::Phantom, value)) {
                let story = format!("nobody wrote value {value} at {offset} of {place}");
                anomalies.add(Kind::Phantom, story);
            }
        }
        for (place, all) in &reader.seen {
            for seen in all.iter().filter(|seen| seen.item == Item::Garbage) {
                let story = format!(
                    "{} saw bytes at {} of {place} that no client wrote",
                    reader.name, seen.offset
                );
                anomalies.add(Kind::Phantom, story);
            }
        }
    }
}

/// In every partition the records of a transactional id stand in the order in which they were sent, and the copies of an
/// input partition in the order of the input.
pub fn order(ledger: &Ledger, anomalies: &mut Anomalies) -> Outcome<()> {
    let mut last_value: BTreeMap<(&Place, &str), Value> = BTreeMap::new();
    for (place, _, value) in ledger.final_reader(false)?.records() {
        let Some(write) = ledger.writes.get(&value) else {
            continue;
        };
        let transactional_id = &ledger.transactions[&write.transaction].transactional_id;
        let last = last_value.entry((place, transactional_id)).or_insert(0);
        if value < *last {
            let story = format!("{transactional_id} sent {value} before {last} to {place}");
            anomalies.add(Kind::Reordered, story);
        }
        *last = value.max(*last);
    }
    let mut last_source: BTreeMap<(&Place, i32), i64> = BTreeMap::new();
    for (place, offset, value) in ledger.final_reader(true)?.records() {
        let Some(source) = ledger.writes.get(&value).and_then(|write| write.source) else {
            continue;
        };
        let last = last_source.entry((place, source.partition)).or_insert(-1);
        if source.offset < *last {
            let story = format!(
                "the copy of {source:?} at {offset} of {place} follows that of offset {last}"
            );
            anomalies.add(Kind::Reordered, story);
        }
        *last = source.offset.max(*last);
    }
    Ok(())
}
