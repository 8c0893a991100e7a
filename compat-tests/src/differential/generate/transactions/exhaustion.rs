//! A producer that has used up its epochs and needs a new id.

use super::super::draft::Draft;
use super::claim::{Claim, Past, Protocol};
use super::inspect::observe;
use super::producer::Producer;

/// The last epoch that a producer is given; the one behind it is for the marker that fences it.
const LAST_EPOCH: usize = i16::MAX as usize - 1;

/// Uses up every epoch and goes on: with a transaction that ends at the last one, or by asking again.
///
/// This sends tens of thousands of requests, and so belongs into few sequences.
pub fn exhaustion(draft: &mut Draft<'_>) {
    let mut producer = Producer::start(draft, Protocol::Implicit);
    // The first call has given epoch 0, and the one below gives the last epoch.
    producer.bump_epoch(draft, LAST_EPOCH - 1);
    producer.init(draft, Past::Nothing);
    let before = producer.clone();
    if draft.chance(0.5) {
        producer.write(draft);
    }
    let mut successor = producer.successor(draft);
    for _ in 0..2 {
        if draft.chance(0.5) {
            let committed = draft.chance(0.5);
            producer.end(draft, committed);
        } else {
            let past = draft.pick(&[Past::Nothing, Past::Claimed(Claim::Own)]);
            successor.init_after(draft, past, &before);
        }
        observe(draft, &producer);
    }
    producer.end_as(draft, Claim::Epoch(LAST_EPOCH as i16), true);
    for _ in 0..2 {
        successor.init_after(draft, Past::Nothing, &before);
        successor.write(draft);
        observe(draft, &successor);
        let committed = draft.chance(0.5);
        successor.end(draft, committed);
    }
}
