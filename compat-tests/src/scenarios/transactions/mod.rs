//! Transactions: what is committed is seen whole, what is aborted is never seen by those who ask for committed records,
//! and nobody who was fenced, who overslept its timeout, or whose server was killed leaves half of anything behind.

mod dialogue;
mod fencing;
mod inspect;
mod isolation;
mod levels;
mod overdue;
mod recovery;
mod transform;

pub use inspect::inspect;
pub use isolation::{Ledger, read_others};
pub use levels::change_levels;
pub use recovery::{Armed, arm, recover};

use crate::scenarios::clients::Client;
use crate::scenarios::report::Report;
use crate::scenarios::run::Bench;

/// Everything that needs no restart; returns what the client's log holds now, for others to read.
pub fn transact(bench: &Bench, report: &Report, client: &Client) -> Option<Ledger> {
    // Its time runs out while the other checks go on.
    let overdue = overdue::open(bench, client);
    let ledger = write_and_read(bench, report, client);
    report.check(client.name, "consume, transform and produce", || {
        transform::transform(bench, client)
    });
    report.check(client.name, "abort an overdue transaction", || {
        overdue::wait_for_abort(bench, client, overdue?)
    });
    ledger
}

fn write_and_read(bench: &Bench, report: &Report, client: &Client) -> Option<Ledger> {
    let mut stage = report.check(client.name, "see committed transactions only", || {
        isolation::commit_and_abort(bench, client)
    })?;
    report.check(client.name, "wait behind an open transaction", || {
        stage.wait_behind(bench)
    })?;
    report.check(client.name, "fence a producer", || {
        fencing::fence(bench, client, stage)
    })
}
