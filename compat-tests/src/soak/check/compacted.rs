//! Compacted logs, compared with a map from key to last acknowledged record.

use std::collections::HashMap;

use crate::soak::anomaly::{Anomaly, Kind};
use crate::soak::check::seen::{Read, Visibility, check_seen};
use crate::soak::content::mark_of;
use crate::soak::ledger::{Ledger, Promise};

/// Judges a read of a compacted log from its start to its end, made while it was written to and cleaned.
///
/// `promise` is from before the read. For each key of it the last record that was read must be the promised one or a
/// later one; a key that was deleted may also be absent. What lies before the log start may be gone (`compact,delete`).
/// A read that took longer than `delete.retention.ms` proves nothing and must not be handed in.
pub fn check_compacted(ledger: &mut Ledger, promise: &Promise, read: &Read) -> Vec<Anomaly> {
    let (mut anomalies, sound) = check_seen(ledger, read);
    // Committed readers wait in front of a transaction that is open.
    if read.visibility == Visibility::All && read.next < promise.end {
        let story = format!(
            "{} ends at {}, acknowledged up to {}",
            ledger.name, read.next, promise.end
        );
        anomalies.push(Anomaly::new(Kind::Lost, story));
    }
    let mut last: HashMap<u32, i64> = HashMap::new();
    for (offset, number) in sound {
        let key = mark_of(ledger.seed, ledger.style, number).key;
        last.insert(key, offset);
    }
    let start = read.from.max(read.log_start);
    for (key, latest) in &promise.latest {
        if latest.offset < start {
            continue;
        }
        let place = format!(
            "{} key {key}, last written at {}",
            ledger.name, latest.offset
        );
        match last.get(key) {
            Some(offset) if *offset >= latest.offset => {}
            Some(offset) => {
                let kind = if latest.is_tombstone {
                    Kind::Resurrected
                } else {
                    Kind::Lost
                };
                anomalies.push(Anomaly::new(
                    kind,
                    format!("{place}, last seen at {offset}"),
                ));
            }
            None if latest.is_tombstone => {}
            None => anomalies.push(Anomaly::new(Kind::Lost, format!("{place}, not there"))),
        }
    }
    anomalies
}
