//! Consume, transform, produce: every committed input record is copied once, and the committed offsets tell how far.

use std::collections::{BTreeMap, BTreeSet};

use crate::torture::anomaly::{Anomalies, Kind};
use crate::torture::failure::Outcome;
use crate::torture::history::{History, Item, Place, Source, What};
use crate::torture::ledger::{Fate, Ledger};

/// Holds the copies that are visible in the end against the input that is.
pub fn exactly_once(history: &History, ledger: &Ledger, anomalies: &mut Anomalies) -> Outcome<()> {
    let mut group: BTreeMap<&Place, i64> = BTreeMap::new();
    for event in &history.events {
        if let What::Offset { place, offset } = &event.what {
            group.insert(place, *offset);
        }
    }
    let everything = ledger.final_reader(true)?;
    let mut copies: BTreeMap<Source, Vec<u64>> = BTreeMap::new();
    for (_, _, value) in everything.records() {
        if let Some(source) = ledger.writes.get(&value).and_then(|write| write.source) {
            copies.entry(source).or_default().push(value);
        }
    }
    let is_input = |place: &Place| group.keys().any(|it| it.topic == place.topic);
    let mut input = BTreeSet::new();
    for (place, all) in everything.seen.iter().filter(|(place, _)| is_input(place)) {
        let committed = group.get(place).copied().unwrap_or(0);
        for seen in all
            .iter()
            .filter(|seen| matches!(seen.item, Item::Record(_)))
        {
            let source = Source {
                partition: place.partition,
                offset: seen.offset,
            };
            input.insert(source);
            let made = copies.get(&source).map_or(&[][..], Vec::as_slice);
            let is_behind = seen.offset < committed;
            if made.len() != usize::from(is_behind) {
                let story = format!(
                    "offset {} of {place} has the copies {made:?}, and the group has committed {committed}",
                    seen.offset
                );
                anomalies.add(Kind::NotExactlyOnce, story);
            }
        }
    }
    for (source, made) in &copies {
        if !input.contains(source) {
            let story = format!("{made:?} are copies of {source:?}, which is not committed input");
            anomalies.add(Kind::NotExactlyOnce, story);
        }
    }
    Ok(())
}

/// A committed offset is only ever where a transaction ended that somebody had asked to commit, and never goes back.
pub fn committed_offsets(history: &History, ledger: &Ledger, anomalies: &mut Anomalies) {
    // Where a transaction left off in an input partition, and when its commit was first asked for.
    let mut left_off: BTreeMap<Source, usize> = BTreeMap::new();
    for transaction in ledger.transactions.values() {
        let Some(asked) = transaction.commit_asked else {
            continue;
        };
        if transaction.fate == Fate::Aborted {
            continue;
        }
        let mut last: BTreeMap<i32, i64> = BTreeMap::new();
        for source in transaction
            .writes
            .iter()
            .filter_map(|value| ledger.writes[value].source)
        {
            let offset = last.entry(source.partition).or_insert(source.offset);
            *offset = source.offset.max(*offset);
        }
        for (partition, offset) in last {
            let end = Source {
                partition,
                offset: offset + 1,
            };
            let first = left_off.entry(end).or_insert(asked);
            *first = asked.min(*first);
        }
    }
    let mut before: BTreeMap<&Place, i64> = BTreeMap::new();
    for (line, event) in history.events.iter().enumerate() {
        let What::Offset { place, offset } = &event.what else {
            continue;
        };
        let source = Source {
            partition: place.partition,
            offset: *offset,
        };
        if left_off.get(&source).is_none_or(|asked| *asked > line) {
            let story = format!(
                "the group's offset {offset} of {place} is of no transaction that was asked to commit"
            );
            anomalies.add(Kind::NotExactlyOnce, story);
        }
        let last = before.insert(place, *offset);
        if last.is_some_and(|last| last > *offset) {
            let story =
                format!("the group's offset of {place} went from {last:?} back to {offset}");
            anomalies.add(Kind::NotExactlyOnce, story);
        }
    }
}
