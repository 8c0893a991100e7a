//! Creating a topic, and writing the known set with every codec.

use std::collections::BTreeMap;

use crate::scenarios::clients::{Client, Delivery};
use crate::scenarios::failure::{Failure, Outcome};
use crate::scenarios::fixture::{self, Part};
use crate::scenarios::layout::Batch;
use crate::scenarios::limits::{Gap, producer_lacks, sendable};
use crate::scenarios::program::{Event, Program};
use crate::scenarios::record::{Codec, Record, send_line};
use crate::scenarios::run::{Bench, PATIENCE, now_ms};

/// One for each codec.
pub const PARTITIONS: usize = Codec::ALL.len();

/// A topic that a client's admin API made.
#[derive(Debug)]
pub struct Topic {
    pub name: String,
    pub partitions: usize,
}

/// What stands in a topic after its producer is done.
#[derive(Debug)]
pub struct Written {
    pub producer: &'static str,
    pub part: Part,
    pub topic: String,
    /// By partition and offset.
    pub partitions: Vec<Vec<Record>>,
    /// Where the client stamped the records itself: between these two.
    pub written_between: (i64, i64),
}

impl Written {
    pub fn record_count(&self) -> usize {
        self.partitions.iter().map(Vec::len).sum()
    }

    /// True when the records bear the timestamps of the known set.
    pub fn has_known_timestamps(&self) -> bool {
        !producer_lacks(self.producer, Gap::Timestamps)
    }
}

/// How many partitions a client's topics get: one when the client would choose by itself.
pub fn partitions_for(client: &Client) -> usize {
    if producer_lacks(client.name, Gap::Partitions) {
        1
    } else {
        PARTITIONS
    }
}

/// Creates the topic that [`write`] fills, and counts its partitions.
pub fn create(bench: &Bench, client: &Client) -> Outcome<Topic> {
    let topic = Topic {
        name: format!("written-{}", client.name),
        partitions: partitions_for(client),
    };
    let wanted = topic.partitions.to_string();
    let events = Program::run(
        bench,
        client,
        "create",
        &[&topic.name, &wanted],
        &[],
        PATIENCE,
    )?;
    if !matches!(events[..], [Event::Created]) {
        return Err(Failure::new(format!("create printed {events:?}")));
    }
    bench.wire.wait_for_topic(&topic.name, topic.partitions)?;
    Ok(topic)
}

/// Writes the known set with every codec; the records with null header values go to a topic of their own.
pub fn write(bench: &Bench, client: &Client, topic: Topic) -> Outcome<Vec<Written>> {
    let main = write_part(bench, client, &topic, Part::Main)?;
    for (partition, _) in main.partitions.iter().enumerate() {
        let batches = bench.wire.batches(&topic.name, partition)?;
        let codecs = match topic.partitions {
            1 => &Codec::ALL[..],
            _ => &Codec::ALL[partition..=partition],
        };
        check_batches(client, &batches, codecs)
            .map_err(|failure| failure.during(format!("partition {partition}")))?;
    }
    if producer_lacks(client.name, Gap::NullHeaderValue) {
        return Ok(vec![main]);
    }
    let topic = Topic {
        name: format!("{}-null-headers", topic.name),
        partitions: topic.partitions,
    };
    bench.wire.create_topic(&topic.name, topic.partitions)?;
    let null_headers = write_part(bench, client, &topic, Part::NullHeaders)?;
    Ok(vec![main, null_headers])
}

/// Writes one part once for each codec: each codec has a partition of its own, where the client can choose.
fn write_part(bench: &Bench, client: &Client, topic: &Topic, part: Part) -> Outcome<Written> {
    let mut partitions = vec![Vec::new(); topic.partitions];
    let mut places = Vec::new();
    let mut lines = Vec::new();
    for (index, codec) in Codec::ALL.into_iter().enumerate() {
        let partition = index % topic.partitions;
        for record in fixture::records(part, client.name, codec, bench.first_timestamp) {
            if let Some(record) = sendable(client.name, &record) {
                lines.push(send_line(codec, partition, &record));
                places.push(partitions[partition].len());
                partitions[partition].push(record);
            }
        }
    }
    let before = now_ms();
    let events = Program::run(bench, client, "produce", &[&topic.name], &lines, PATIENCE)?;
    let knows_offsets = !producer_lacks(client.name, Gap::AckOffsets);
    check_acks(&events, &places, knows_offsets)?;

    let ends: Vec<i64> = partitions
        .iter()
        .map(|records| as_i64(records.len()))
        .collect();
    let found = bench.wire.ends(&topic.name)?;
    if found != ends {
        return Err(Failure::new(format!(
            "log ends {found:?} instead of {ends:?}"
        )));
    }
    Ok(Written {
        producer: client.name,
        part,
        topic: topic.name.clone(),
        partitions,
        written_between: (before, now_ms()),
    })
}

/// Every line is acknowledged exactly once, at the offset of its place.
fn check_acks(events: &[Event], places: &[usize], knows_offsets: bool) -> Outcome<()> {
    let mut acked = BTreeMap::new();
    for event in events {
        match event {
            Event::Acked { index, offset } => {
                if acked.insert(*index, *offset).is_some() {
                    return Err(Failure::new(format!("line {index} is acknowledged twice")));
                }
            }
            Event::Failed { index, reason } => {
                return Err(Failure::new(format!("line {index} failed: {reason}")));
            }
            other => return Err(Failure::new(format!("produce printed {other:?}"))),
        }
    }
    if acked.len() != places.len() {
        return Err(Failure::new(format!(
            "{} of {} records are acknowledged",
            acked.len(),
            places.len()
        )));
    }
    for (index, offset) in acked {
        let place = places.get(index).copied().map(as_i64);
        if knows_offsets && place != Some(offset) {
            return Err(Failure::new(format!(
                "line {index} is acknowledged at offset {offset} instead of {place:?}"
            )));
        }
    }
    Ok(())
}

/// The batches are compressed as asked (a client may leave alone what compression would not make smaller), some hold
/// several records, and an idempotent producer shows its id.
fn check_batches(client: &Client, batches: &[Batch], codecs: &[Codec]) -> Outcome<()> {
    for batch in batches {
        if batch.codec != Codec::None && !codecs.contains(&batch.codec) {
            return Err(Failure::new(format!("a batch came as {:?}", batch.codec)));
        }
        if client.delivery == Delivery::ExactlyOnce && batch.producer_id < 0 {
            return Err(Failure::new("an idempotent producer without a producer id"));
        }
    }
    for codec in codecs {
        let used = batches
            .iter()
            .any(|batch| batch.codec == *codec && batch.records > 1);
        if !used {
            return Err(Failure::new(format!(
                "no batch of several records came as {codec:?}: the client does not compress"
            )));
        }
    }
    Ok(())
}

/// Sets a topic config with the client's tool and reads it back.
pub fn alter_config(bench: &Bench, client: &Client) -> Outcome<()> {
    let topic = format!("written-{}", client.name);
    let (key, value) = ("retention.ms", "123456789");
    let arguments = [topic.as_str(), key, value];
    let events = Program::run(bench, client, "config", &arguments, &[], PATIENCE)?;
    match &events[..] {
        [Event::Config(found)] if found == value => Ok(()),
        other => Err(Failure::new(format!("config printed {other:?}"))),
    }
}

/// Offsets and counts in these tests are far below 2^63.
pub fn as_i64(count: usize) -> i64 {
    i64::try_from(count).expect("small")
}
