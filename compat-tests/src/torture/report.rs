//! The verdict as a short table.

use crate::torture::anomaly::Anomalies;
use crate::torture::failure::Outcome;
use crate::torture::history::{History, What};
use crate::torture::ledger::{Fate, Ledger};

/// How many anomalies are told in full; one cause often makes thousands.
const STORIES_MAX: usize = 20;

pub fn print_verdict(history: &History, anomalies: &Anomalies) -> Outcome<()> {
    let ledger = Ledger::of(history)?;
    let count = |is_it: fn(&What) -> bool| {
        let events = history.events.iter();
        events.filter(|event| is_it(&event.what)).count()
    };
    let fates = |fate| {
        let transactions = ledger.transactions.values();
        transactions.filter(|it| it.fate == fate).count()
    };
    let seconds = match (history.events.first(), history.events.last()) {
        (Some(first), Some(last)) => (last.at_ms.saturating_sub(first.at_ms)) / 1000,
        _ => 0,
    };
    let seen: usize = ledger.readers.iter().map(|it| it.records().count()).sum();
    let copies = ledger.final_reader(true).map_or(0, |reader| {
        let values = reader
            .records()
            .filter_map(|(_, _, value)| ledger.writes.get(&value));
        values.filter(|write| write.source.is_some()).count()
    });
    for (name, number) in [
        ("seconds", seconds as usize),
        ("kill -9", count(|it| matches!(it, What::Killed))),
        ("crashed clients", count(|it| matches!(it, What::Crash))),
        ("stalled clients", count(|it| matches!(it, What::Stalled))),
        ("zombies", count(|it| matches!(it, What::Zombie))),
        (
            "commits refused",
            count(|it| matches!(it, What::Refused { .. })),
        ),
        ("transactions committed", fates(Fate::Committed)),
        ("transactions aborted", fates(Fate::Aborted)),
        ("transactions of unknown end", fates(Fate::Unknown)),
        ("records written", ledger.writes.len()),
        ("records copied exactly once", copies),
        ("records read by all readers", seen),
    ] {
        println!("{name:<32} {number:>9}");
    }
    println!("anomalies");
    for (kind, number) in anomalies.by_kind() {
        println!("  {:<30} {number:>9}", kind.name());
    }
    for anomaly in anomalies.iter().take(STORIES_MAX) {
        println!("! {anomaly}");
    }
    Ok(())
}
