//! Logs that only grow at the end and shrink at the start: every offset between the two holds its record.

use crate::soak::anomaly::{Anomaly, Kind};
use crate::soak::check::seen::{Read, check_seen};
use crate::soak::ledger::Ledger;

/// Judges a piece of a log that is never compacted and holds no transactions. The log has one writer, so the numbers
/// of the records grow with the offsets.
pub fn check_append(ledger: &mut Ledger, read: &Read) -> Vec<Anomaly> {
    let (mut anomalies, sound) = check_seen(ledger, read);
    let mut expected = read.from;
    for seen in &read.records {
        if seen.offset > expected {
            let story = format!("{} offsets {expected} to {}", ledger.name, seen.offset - 1);
            anomalies.push(Anomaly::new(Kind::Gap, story));
        }
        expected = expected.max(seen.offset + 1);
    }
    if expected < read.next {
        let story = format!("{} offsets {expected} to {}", ledger.name, read.next - 1);
        anomalies.push(Anomaly::new(Kind::Gap, story));
    }
    for pair in sound.windows(2) {
        if pair[0].1 > pair[1].1 {
            let story = format!("{} offsets {} and {}", ledger.name, pair[0].0, pair[1].0);
            anomalies.push(Anomaly::new(Kind::Reordered, story));
        }
    }
    anomalies
}
