//! What each reader may expect of its own reads.

use std::collections::{BTreeMap, BTreeSet};

use crate::torture::anomaly::{Anomalies, Kind};
use crate::torture::failure::Outcome;
use crate::torture::history::{History, Item, Place, What};
use crate::torture::ledger::{Ledger, Reader};

/// Offsets only grow, one by one for a reader of everything, and the server always knows the reader's position.
pub fn positions(history: &History, anomalies: &mut Anomalies) {
    let mut levels: BTreeMap<&str, bool> = BTreeMap::new();
    let mut next: BTreeMap<(&str, &Place), i64> = BTreeMap::new();
    for event in &history.events {
        match &event.what {
            What::Reader {
                name, is_committed, ..
            } => {
                levels.insert(name, *is_committed);
            }
            What::Trouble { who, place, why } => {
                let story = format!("{who} at {place}: {why}");
                anomalies.add(Kind::NonMonotonicPoll, story);
            }
            What::Saw {
                reader,
                place,
                items,
                ..
            } => {
                let is_committed = levels.get(reader.as_str()).copied().unwrap_or(true);
                let expected = next.entry((reader, place)).or_insert(0);
                for (offset, _) in items {
                    if offset < expected || (!is_committed && offset > expected) {
                        let story = format!(
                            "{reader} was given offset {offset} of {place} instead of {expected}"
                        );
                        anomalies.add(Kind::NonMonotonicPoll, story);
                    }
                    *expected = offset + 1;
                }
            }
            _ => {}
        }
    }
}

/// Every reader has seen exactly what the final reader of its kind has.
pub fn completeness(ledger: &Ledger, anomalies: &mut Anomalies) -> Outcome<()> {
    for is_committed in [true, false] {
        let last = ledger.final_reader(is_committed)?;
        let all = places_and_items(last);
        let running = ledger
            .readers
            .iter()
            .filter(|reader| !reader.is_final && reader.is_committed == is_committed);
        for reader in running {
            let own = places_and_items(reader);
            for (place, offset, item) in all.difference(&own) {
                let story = format!("{} never saw {item:?} at {offset} of {place}", reader.name);
                anomalies.add(Kind::Unseen, story);
            }
            for (place, offset, item) in own.difference(&all) {
                let story = format!(
                    "{} saw {item:?} at {offset} of {place}, which is gone in the end",
                    reader.name
                );
                anomalies.add(Kind::Lost, story);
            }
        }
    }
    Ok(())
}

fn places_and_items(reader: &Reader) -> BTreeSet<(&Place, i64, Item)> {
    reader
        .seen
        .iter()
        .flat_map(|(place, all)| all.iter().map(move |seen| (place, seen.offset, seen.item)))
        .collect()
}
