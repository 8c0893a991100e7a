//! Offsets for timestamps, to the exact record, also in the middle of a compressed batch.

use crate::scenarios::clients::Client;
use crate::scenarios::failure::{Failure, Outcome};
use crate::scenarios::fixture::{Part, STEP_MS};
use crate::scenarios::program::{Event, Program};
use crate::scenarios::read::difference;
use crate::scenarios::record::Codec;
use crate::scenarios::run::{Bench, PATIENCE};
use crate::scenarios::write::{Written, as_i64};

/// A question, and the offset that answers it.
struct Lookup<'a> {
    written: &'a Written,
    partition: usize,
    timestamp: i64,
    offset: Option<i64>,
}

/// Asks in the client's own topic when its records bear known timestamps, and in one other.
pub fn seek(bench: &Bench, client: &Client, written: &[Written]) -> Outcome<()> {
    let known: Vec<&Written> = written
        .iter()
        .filter(|written| written.part == Part::Main && written.has_known_timestamps())
        .collect();
    let own = known
        .iter()
        .position(|written| written.producer == client.name);
    let other = own.map_or(0, |own| (own + 1) % known.len().max(1));
    let mut lookups = Vec::new();
    if let Some(own) = own {
        for partition in 0..Codec::ALL.len() {
            lookups.extend(middle_of_a_batch(bench, known[own], partition)?);
        }
    }
    let Some(other) = known.get(other) else {
        return Err(Failure::new("no client has written known timestamps"));
    };
    lookups.extend(middle_of_a_batch(bench, other, Codec::Zstd as usize)?);
    lookups.extend(between_and_after(bench, other, Codec::Gzip as usize));

    let lines: Vec<String> = lookups
        .iter()
        .map(|lookup| {
            let Lookup {
                written,
                partition,
                timestamp,
                ..
            } = lookup;
            format!("{}\t{partition}\t{timestamp}", written.topic)
        })
        .collect();
    let events = Program::run(bench, client, "seek", &[], &lines, PATIENCE)?;
    let mut events = events.iter();
    for lookup in &lookups {
        check(client, lookup, &mut events).map_err(|failure| {
            failure.during(format!(
                "{}/{} at {} ms",
                lookup.written.topic,
                lookup.partition,
                lookup.timestamp - bench.first_timestamp
            ))
        })?;
    }
    Ok(())
}

/// The time of a record that is neither the first nor the last of its batch.
fn middle_of_a_batch<'a>(
    bench: &Bench,
    written: &'a Written,
    partition: usize,
) -> Outcome<Option<Lookup<'a>>> {
    let batches = bench.wire.batches(&written.topic, partition)?;
    let largest = batches.iter().max_by_key(|batch| batch.records);
    let Some(batch) = largest.filter(|batch| batch.records >= 3) else {
        return Err(Failure::new(format!(
            "no batch of three records in {}/{partition}",
            written.topic
        )));
    };
    let offset = batch.base_offset + batch.records / 2;
    Ok(written.partitions[partition]
        .get(usize::try_from(offset).unwrap_or(usize::MAX))
        .and_then(|record| record.timestamp)
        .map(|timestamp| Lookup {
            written,
            partition,
            timestamp,
            offset: Some(offset),
        }))
}

/// A time between two records means the later one; a time after the last record means none.
fn between_and_after<'a>(bench: &Bench, written: &'a Written, partition: usize) -> [Lookup<'a>; 2] {
    let records = &written.partitions[partition];
    let middle = records.len() / 2;
    let timestamp = records[middle].timestamp.unwrap_or(bench.first_timestamp);
    let last = records[records.len() - 1].timestamp;
    let lookup = |timestamp, offset| Lookup {
        written,
        partition,
        timestamp,
        offset,
    };
    [
        lookup(timestamp - STEP_MS / 2, Some(as_i64(middle))),
        lookup(last.unwrap_or(timestamp) + STEP_MS, None),
    ]
}

fn check<'e>(
    client: &Client,
    lookup: &Lookup<'_>,
    events: &mut impl Iterator<Item = &'e Event>,
) -> Outcome<()> {
    let found = match events.next() {
        Some(Event::Found(found)) => *found,
        other => return Err(Failure::new(format!("no answer but {other:?}"))),
    };
    if found != lookup.offset {
        return Err(Failure::new(format!(
            "offset {found:?} instead of {:?}",
            lookup.offset
        )));
    }
    let Some(offset) = found else {
        return Ok(());
    };
    let Some(Event::Record(seen)) = events.next() else {
        return Err(Failure::new("no record behind the offset"));
    };
    if (seen.topic.as_str(), seen.partition, seen.offset)
        != (lookup.written.topic.as_str(), lookup.partition, offset)
    {
        return Err(Failure::new(format!(
            "reading at offset {offset} begins at {}",
            seen.offset
        )));
    }
    let index = usize::try_from(offset).unwrap_or(usize::MAX);
    let expected = &lookup.written.partitions[lookup.partition][index];
    match difference(client, lookup.written, expected, seen) {
        Some(difference) => Err(Failure::new(difference)),
        None => Ok(()),
    }
}
