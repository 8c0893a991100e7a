//! Reading what every client wrote: each byte, header, timestamp and offset.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::scenarios::clients::Client;
use crate::scenarios::failure::{Failure, Outcome};
use crate::scenarios::limits::{is_readable, visible};
use crate::scenarios::program::{Event, Program};
use crate::scenarios::record::{Codec, Record, Seen};
use crate::scenarios::run::Bench;
use crate::scenarios::write::{Written, as_i64};

/// The console tools need a JVM for each topic.
const READ_PATIENCE: Duration = Duration::from_secs(240);

/// How many differences a failure shows.
const DIFFERENCES_SHOWN: usize = 8;

/// How much of a key or value a difference shows.
const CONTENT_BYTES_SHOWN: usize = 60;

pub fn read(bench: &Bench, client: &Client, written: &[Written]) -> Outcome<()> {
    let is_readable = |written: &&Written| {
        let mut records = written.partitions.iter().flatten();
        records.all(|record| is_readable(client.name, record))
    };
    let written: Vec<&Written> = written.iter().filter(is_readable).collect();
    if written.is_empty() {
        return Err(Failure::new("no client has written anything"));
    }
    let count: usize = written.iter().map(|written| written.record_count()).sum();
    let count = count.to_string();
    let mut arguments = vec![count.as_str()];
    arguments.extend(written.iter().map(|written| written.topic.as_str()));
    let events = Program::run(bench, client, "consume", &arguments, &[], READ_PATIENCE)?;

    let mut seen: BTreeMap<(&str, usize), Vec<&Seen>> = BTreeMap::new();
    for record in events.iter().filter_map(Event::record) {
        let place = (record.topic.as_str(), record.partition);
        seen.entry(place).or_default().push(record);
    }
    let mut differences = Vec::new();
    for written in written {
        for (partition, expected) in written.partitions.iter().enumerate() {
            let place = (written.topic.as_str(), partition);
            let found = seen.remove(&place).unwrap_or_default();
            for difference in compare(client, written, expected, &found) {
                let codec = Codec::ALL[partition].name();
                differences.push(format!(
                    "{}/{partition} ({codec}): {difference}",
                    written.topic
                ));
            }
        }
    }
    differences.extend(
        seen.keys()
            .map(|place| format!("unexpected records in {place:?}")),
    );
    if differences.is_empty() {
        return Ok(());
    }
    let total = differences.len();
    differences.truncate(DIFFERENCES_SHOWN);
    Err(Failure::new(format!(
        "{total} differences\n    {}",
        differences.join("\n    ")
    )))
}

/// What is different in one partition; records must come in the order of their offsets.
fn compare(
    client: &Client,
    written: &Written,
    expected: &[Record],
    found: &[&Seen],
) -> Vec<String> {
    let mut differences = Vec::new();
    if found.len() != expected.len() {
        differences.push(format!("{} of {} records", found.len(), expected.len()));
    }
    for (index, (expected, seen)) in expected.iter().zip(found).enumerate() {
        if seen.offset != as_i64(index) {
            differences.push(format!("record {index} has offset {}", seen.offset));
            break;
        }
        if let Some(difference) = difference(client, written, expected, seen) {
            differences.push(format!("offset {index}: {difference}"));
        }
    }
    differences
}

/// The first difference between what was written and what the client hands over.
pub fn difference(
    client: &Client,
    written: &Written,
    expected: &Record,
    seen: &Seen,
) -> Option<String> {
    let expected = visible(client.name, expected);
    let found = &seen.record;
    let (from, to) = written.written_between;
    let is_in_time = match expected.timestamp {
        Some(_) => found.timestamp == expected.timestamp,
        None => found
            .timestamp
            .is_some_and(|time| (from..=to).contains(&time)),
    };
    if !is_in_time {
        return Some(format!(
            "timestamp {:?} instead of {:?}",
            found.timestamp, expected.timestamp
        ));
    }
    if found.key != expected.key {
        return Some(format!(
            "key {} instead of {}",
            show(found.key.as_deref()),
            show(expected.key.as_deref())
        ));
    }
    if found.value != expected.value {
        return Some(format!(
            "value {} instead of {}",
            show(found.value.as_deref()),
            show(expected.value.as_deref())
        ));
    }
    if found.headers != expected.headers {
        return Some(format!(
            "headers {:?} instead of {:?}",
            found.headers, expected.headers
        ));
    }
    None
}

fn show(content: Option<&[u8]>) -> String {
    match content {
        None => "null".to_owned(),
        Some(bytes) => {
            let shown = &bytes[..bytes.len().min(CONTENT_BYTES_SHOWN)];
            format!("\"{}\" ({} bytes)", shown.escape_ascii(), bytes.len())
        }
    }
}
