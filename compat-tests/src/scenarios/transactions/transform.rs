//! Records that a group's member reads, copied in a transaction together with the group's offsets.

use crate::scenarios::clients::Client;
use crate::scenarios::failure::{Failure, Outcome};
use crate::scenarios::group::wait_for_committed;
use crate::scenarios::program::{Event, Program};
use crate::scenarios::run::{Bench, PATIENCE};
use crate::scenarios::transactions::dialogue::{Isolation, PARTITIONS, Reader, WRITTEN};

/// Records in each partition of the source.
const PORTION: usize = 3;

/// After an abort the group is where it was and the copies are gone; after a commit it has moved on, and they are there.
pub fn transform(bench: &Bench, client: &Client) -> Outcome<()> {
    let [source, target] = ["source", "target"].map(|end| format!("{end}-{}", client.name));
    for topic in [&source, &target] {
        bench.wire.create_topic(topic, PARTITIONS)?;
    }
    let mut expected = Vec::new();
    for index in 0..PORTION {
        for partition in 0..PARTITIONS {
            let value = format!("record {index} of partition {partition}");
            bench.wire.produce(&source, partition, &value)?;
            if partition == WRITTEN {
                expected.push(value);
            }
        }
    }
    let group = format!("transform-{}", client.name);
    let portion = i64::try_from(PORTION).map_err(Failure::new)?;
    copy(bench, client, &group, "abort", -1)
        .map_err(|failure| failure.during("the aborted copy"))?;
    copy(bench, client, &group, "commit", portion)
        .map_err(|failure| failure.during("the committed copy"))?;

    let reader = Reader::start(
        bench,
        client,
        Isolation::Committed,
        std::slice::from_ref(&target),
    )?;
    reader.wait_for(&target, &expected)?;
    reader.leave()
}

/// Copies everything in one transaction, and looks for the group's offset before and after its end.
fn copy(bench: &Bench, client: &Client, group: &str, end: &str, offset: i64) -> Outcome<()> {
    let [source, target] = ["source", "target"].map(|end| format!("{end}-{}", client.name));
    let count = (PORTION * PARTITIONS).to_string();
    let id = format!("copier-{}", client.name);
    let arguments = [id.as_str(), group, &source, &target, &count];
    let mut copier = Program::start(bench, client, "transform", &arguments)?;
    wait_for_done(&copier, 1)?;
    let pending = bench.wire.committed(group, &source)?;
    if pending != [-1; PARTITIONS] {
        return Err(Failure::new(format!(
            "offsets {pending:?} are committed while the transaction is open"
        )));
    }
    copier.send(end)?;
    wait_for_done(&copier, 2)?;
    wait_for_committed(bench, group, &source, &[offset; PARTITIONS])?;
    let events = copier.finish(PATIENCE)?;
    let records = events.iter().filter_map(Event::record).count();
    if records != PORTION * PARTITIONS {
        return Err(Failure::new(format!("{records} records were copied")));
    }
    Ok(())
}

fn wait_for_done(copier: &Program, count: usize) -> Outcome<()> {
    copier.wait("transaction", PATIENCE, |events| {
        let done = events.iter().filter(|event| matches!(event, Event::Done));
        (done.count() >= count).then_some(())
    })
}
