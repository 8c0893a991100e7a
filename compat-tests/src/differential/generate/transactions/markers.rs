//! WriteTxnMarkers from somebody who is not the coordinator of the transaction.

use super::super::draft::Draft;
use super::claim::{Claim, Protocol};
use super::inspect::observe;
use super::producer::Producer;
use super::{UNKNOWN_PRODUCER, WRITE_TXN_MARKERS};
use crate::differential::template::{Template, array, object};

/// The epoch of a coordinator that was never elected anew, and others.
const COORDINATOR_EPOCHS: &[i32] = &[0, 0, 0, 0, 0, 1, 5, -1, i32::MAX];

/// The version of transactions that a marker belongs to, and one that does not exist.
const TRANSACTION_VERSIONS: &[i16] = &[0, 0, 1, 1, 2, 2, 2, 3];

/// A transaction that is filled, ended by somebody else on some partitions, and then ended properly.
pub fn markers(draft: &mut Draft<'_>) {
    let protocol = draft.pick(&[Protocol::Explicit, Protocol::Implicit]);
    let mut producer = Producer::start(draft, protocol);
    if protocol == Protocol::Explicit {
        producer.add_partitions(draft);
    }
    for _ in 0..draft.pick(&[1, 2, 2]) {
        producer.write(draft);
    }
    for _ in 0..draft.pick(&[1, 2, 3]) {
        write(draft, &producer);
        match draft.weighted(&[3, 2]) {
            0 => observe(draft, &producer),
            _ => producer.write(draft),
        }
    }
    if draft.chance(0.6) {
        let committed = draft.chance(0.5);
        producer.end(draft, committed);
        observe(draft, &producer);
    }
}

fn write(draft: &mut Draft<'_>, producer: &Producer) {
    let mut markers = Vec::new();
    // A broker never answers when markers that it can't write follow one that it can.
    if draft.chance(0.15) {
        let unknown = object([
            ("name", draft.unknown_topic().into()),
            ("partitionIndexes", array([0])),
        ]);
        markers.push(marker(draft, UNKNOWN_PRODUCER.into(), 0.into(), unknown));
    }
    if markers.is_empty() || draft.chance(0.7) {
        let Some(topic) = draft.own_topic() else {
            return;
        };
        let mut partitions: Vec<i32> = (0..topic.partitions).collect();
        if draft.chance(0.4) {
            partitions.truncate(1);
        }
        let topic = object([
            ("name", topic.name.into()),
            ("partitionIndexes", array(partitions)),
        ]);
        let (id, epoch) = if draft.chance(0.85) {
            let claim = draft.pick(&[
                Claim::Own,
                Claim::Own,
                Claim::Own,
                Claim::Shifted(1),
                Claim::Shifted(1),
                Claim::Shifted(-1),
            ]);
            (producer.id(claim), producer.epoch(claim))
        } else {
            let other = UNKNOWN_PRODUCER + draft.between(1..=3);
            (other.into(), draft.pick(&[0, 1, 0, 1, -1]).into())
        };
        markers.push(marker(draft, id, epoch, topic));
    }
    draft.ask_with(WRITE_TXN_MARKERS, object([("markers", array(markers))]));
}

fn marker(draft: &mut Draft<'_>, id: Template, epoch: Template, topic: Template) -> Template {
    object([
        ("producerId", id),
        ("producerEpoch", epoch),
        ("transactionResult", draft.chance(0.5).into()),
        ("topics", array([topic])),
        ("coordinatorEpoch", draft.pick(COORDINATOR_EPOCHS).into()),
        (
            "transactionVersion",
            draft.pick(TRANSACTION_VERSIONS).into(),
        ),
    ])
}
