//! What a reader saw, and what holds for every log: order, no strangers, nothing that is not committed.

use crate::soak::anomaly::{Anomaly, Kind};
use crate::soak::ledger::Ledger;

/// A record at an offset: its number, or why it is no record of the soak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub offset: i64,
    pub number: Result<u64, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    All,
    /// Records of transactions that are not committed are left out.
    Committed,
}

/// A piece of a log as a consumer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Where the reader began.
    pub from: i64,
    /// Where it goes on: everything in `from..next` was visited.
    pub next: i64,
    /// The log start as it was known before the read began.
    pub known_log_start: i64,
    pub log_start: i64,
    pub records: Vec<Seen>,
    pub visibility: Visibility,
}

/// The anomalies that any log would show, and the sound records: offset and number.
pub(super) fn check_seen(ledger: &mut Ledger, read: &Read) -> (Vec<Anomaly>, Vec<(i64, u64)>) {
    let mut anomalies: Vec<_> = ledger
        .saw_log_start(read.known_log_start, read.log_start)
        .into_iter()
        .collect();
    let mut sound = Vec::new();
    let mut least = read.from;
    for Seen { offset, number } in &read.records {
        let place = format!("{} offset {offset}", ledger.name);
        if *offset < least || *offset >= read.next {
            let story = format!("{place} in a read from {least} to {}", read.next);
            anomalies.push(Anomaly::new(Kind::Reordered, story));
        }
        least = least.max(offset + 1);
        match number {
            Ok(number) => {
                anomalies.extend(ledger.saw(*offset, *number));
                if read.visibility == Visibility::Committed && ledger.is_hidden(*number) {
                    anomalies.push(Anomaly::new(Kind::AbortedRead, place));
                }
                sound.push((*offset, *number));
            }
            Err(why) => {
                anomalies.push(Anomaly::new(Kind::Corrupt, format!("{place}: {why}")));
            }
        }
    }
    (anomalies, sound)
}
