//! Producers with ids: sequences that go on, repeat, skip, wrap, and come from an old epoch.

use super::draft::Draft;
use super::produce::{good_batch, request};
use crate::differential::template::{Template, object};

pub const INIT_PRODUCER_ID: i16 = 22;

/// Sequence numbers that a first batch may claim.
const FIRST_SEQUENCES: &[i32] = &[0, 0, 0, 0, 1, 10, i32::MAX - 2, i32::MAX];

pub fn init_producer_id(draft: &mut Draft<'_>) {
    let body = object([
        ("transactionalId", Template::null()),
        (
            "transactionTimeoutMs",
            draft.mostly(60_000, &[0, -1, i32::MAX]).into(),
        ),
        (
            "producerId",
            draft.mostly(-1_i64, &[0, 5, 4_000, -2]).into(),
        ),
        (
            "producerEpoch",
            draft.mostly(-1_i16, &[0, 5, i16::MAX, -2]).into(),
        ),
    ]);
    draft.ask_with(INIT_PRODUCER_ID, body);
}

/// A producer's own picture of one partition.
struct Producer {
    epoch: i16,
    next_sequence: i32,
    /// First sequence and size of what was sent.
    sent: Vec<(i32, i32)>,
}

/// Gets a producer id, then sends batches to one partition.
pub fn conversation(draft: &mut Draft<'_>) {
    let Some(topic) = draft.own_topic() else {
        return;
    };
    let name = format!("producer{}", draft.fresh_number());
    let body = object([
        ("transactionalId", Template::null()),
        ("transactionTimeoutMs", 60_000.into()),
    ]);
    let init = draft
        .request(INIT_PRODUCER_ID, body)
        .capture(&name, "producerId");
    draft.ask(init);
    let partition = draft.between(0..=i64::from(topic.partitions) - 1) as i32;
    let mut producer = Producer {
        epoch: 0,
        next_sequence: draft.pick(FIRST_SEQUENCES),
        sent: Vec::new(),
    };
    for _ in 0..draft.between(2..=7) {
        let mut batch = good_batch(draft);
        batch.base_timestamp = draft.timestamp();
        let (epoch, sequence) = next_step(draft, &mut producer, batch.count);
        batch.producer = Some(name.as_str().into());
        batch.producer_epoch = epoch;
        batch.base_sequence = sequence;
        draft.advance(&topic.name, partition, batch.count.into());
        let records = Template::Batches(vec![batch]);
        let acks = draft.pick(&[-1, 1]);
        let request = request(
            draft,
            acks,
            vec![(topic.clone(), vec![(partition, records)])],
        );
        draft.ask(request);
    }
}

/// The epoch and first sequence of the next batch, right most of the time.
fn next_step(draft: &mut Draft<'_>, producer: &mut Producer, count: i32) -> (i16, i32) {
    match draft.weighted(&[10, 3, 3, 1, 1, 1]) {
        // A repetition, of the last batch or of an older one.
        1 if !producer.sent.is_empty() => {
            let last = producer.sent.len() as i64 - 1;
            let back = draft.between(0..=last.min(6));
            let (sequence, _) = producer.sent[(last - back) as usize];
            (producer.epoch, sequence)
        }
        2 => {
            let skip = draft.pick(&[1, 2, -1, 100]);
            (producer.epoch, wrapped(producer.next_sequence, skip))
        }
        3 => {
            producer.epoch += draft.pick(&[1, 2]);
            producer.next_sequence = draft.mostly(0, &[1, 5]);
            in_order(producer, count)
        }
        4 => (
            draft.pick(&[producer.epoch - 1, -1, -2]),
            producer.next_sequence,
        ),
        5 => (producer.epoch, draft.pick(&[-1, -2, i32::MIN])),
        _ => in_order(producer, count),
    }
}

fn in_order(producer: &mut Producer, count: i32) -> (i16, i32) {
    let sequence = producer.next_sequence;
    producer.sent.push((sequence, count));
    producer.next_sequence = wrapped(sequence, count);
    (producer.epoch, sequence)
}

/// Sequences go on at zero behind the largest number.
fn wrapped(sequence: i32, by: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(by);
    let size = i64::from(i32::MAX) + 1;
    i32::try_from(sum.rem_euclid(size)).unwrap_or(0)
}
