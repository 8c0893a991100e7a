//! Finds every anomaly of a history: a pure function of its events.

mod copies;
mod ends;
mod logs;
mod readers;
mod transactions;

use crate::torture::anomaly::{Anomalies, Kind};
use crate::torture::failure::Outcome;
use crate::torture::history::{History, What};
use crate::torture::ledger::Ledger;

/// Judges a history. An error means that it does not hang together and cannot be judged, which is no acquittal.
pub fn check(history: &History) -> Outcome<Anomalies> {
    let ledger = Ledger::of(history)?;
    let mut anomalies = Anomalies::default();
    settled(history, &mut anomalies);
    readers::positions(history, &mut anomalies);
    if !anomalies.is_empty() && ledger.final_reader(true).is_err() {
        // Stuck before the end was known: there is nothing to hold the rest against.
        return Ok(anomalies);
    }
    readers::completeness(&ledger, &mut anomalies)?;
    logs::agreement(&ledger, &mut anomalies);
    logs::once_and_written(&ledger, &mut anomalies);
    logs::order(&ledger, &mut anomalies)?;
    transactions::visibility(&ledger, &mut anomalies)?;
    ends::last_stable_offset(history, &ledger, &mut anomalies);
    copies::exactly_once(history, &ledger, &mut anomalies)?;
    copies::committed_offsets(history, &ledger, &mut anomalies);
    Ok(anomalies)
}

/// A run that did not come to its end has a reason, and that reason is an anomaly.
fn settled(history: &History, anomalies: &mut Anomalies) {
    let mut is_done = false;
    for event in &history.events {
        match &event.what {
            What::Stuck { what } => anomalies.add(Kind::Stuck, what.clone()),
            What::Done => is_done = true,
            _ => {}
        }
    }
    if !is_done {
        let last = history.events.last().map(|event| &event.what);
        anomalies.add(Kind::Stuck, format!("the history ends with {last:?}"));
    }
}
