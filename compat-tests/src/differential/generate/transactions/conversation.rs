//! Whole transactions, one after the other, and two clients with one transactional id.

use super::super::draft::Draft;
use super::claim::{Claim, Past, Protocol};
use super::inspect::observe;
use super::offsets::transactional_group;
use super::producer::Producer;

/// A client of the old protocol.
pub fn explicit(draft: &mut Draft<'_>) {
    transactions(draft, Protocol::Explicit);
}

/// A client of the old protocol that makes no mistakes about it.
pub fn oldest(draft: &mut Draft<'_>) {
    transactions(draft, Protocol::Oldest);
}

/// A client of the new protocol.
pub fn implicit(draft: &mut Draft<'_>) {
    transactions(draft, Protocol::Implicit);
}

fn transactions(draft: &mut Draft<'_>, protocol: Protocol) {
    let mut producer = Producer::start(draft, protocol);
    for _ in 0..draft.between(1..=3) {
        fill(draft, &mut producer);
        end(draft, &mut producer);
    }
}

/// What a client does in an open transaction, in any order.
fn fill(draft: &mut Draft<'_>, producer: &mut Producer) {
    if producer.protocol != Protocol::Implicit && draft.chance(0.85) {
        producer.add_partitions(draft);
    }
    for _ in 0..draft.pick(&[0, 1, 1, 2, 2, 3, 4]) {
        act(draft, producer);
    }
}

fn act(draft: &mut Draft<'_>, producer: &mut Producer) {
    let weights = match producer.protocol {
        Protocol::Oldest | Protocol::Explicit => [3, 7, 2, 2, 4],
        Protocol::Implicit => [1, 8, 1, 3, 4],
    };
    match draft.weighted(&weights) {
        0 => producer.add_partitions(draft),
        1 => producer.write(draft),
        2 => {
            let group = transactional_group(draft);
            producer.add_offsets(draft, &group);
        }
        3 => {
            let group = transactional_group(draft);
            let commit = producer.offset_commit(draft, &group);
            draft.ask(commit);
        }
        _ => observe(draft, producer),
    }
}

/// The end of a transaction, and what may come behind it before the next begins.
fn end(draft: &mut Draft<'_>, producer: &mut Producer) {
    let committed = draft.chance(0.6);
    producer.end(draft, committed);
    for _ in 0..draft.pick(&[0, 0, 1, 1, 2]) {
        match draft.weighted(&[3, 3, 2, 2, 5]) {
            // The answer got lost, and the client asks again.
            0 => {
                let claim = draft.pick(&[Claim::Own, Claim::Shifted(-1)]);
                producer.end_as(draft, claim, committed);
            }
            1 => {
                let claim = draft.pick(&[Claim::Own, Claim::Shifted(-1)]);
                producer.end_as(draft, claim, !committed);
            }
            2 => producer.init(draft, Past::Nothing),
            3 => {
                let usual = draft.pick(&[Claim::Own, Claim::Shifted(-1), Claim::Shifted(-2)]);
                let other = Claim::draw(draft);
                let claim = draft.mostly(usual, &[other]);
                producer.init(draft, Past::Claimed(claim));
            }
            _ => observe(draft, producer),
        }
    }
}

/// A second client takes over while the first has a transaction open, and the first does not know it.
pub fn fencing(draft: &mut Draft<'_>) {
    let protocol = draft.pick(&[Protocol::Explicit, Protocol::Implicit]);
    let mut zombie = Producer::start(draft, protocol);
    fill(draft, &mut zombie);
    let mut successor = zombie.successor(draft);
    let past = match draft.weighted(&[3, 1, 1]) {
        0 => Past::Nothing,
        1 => Past::Claimed(Claim::Own),
        _ => Past::Claimed(Claim::draw(draft)),
    };
    // The first attempt ends the open transaction and asks to try again.
    for _ in 0..draft.pick(&[1, 2, 2, 2]) {
        successor.init_after(draft, past, &zombie);
    }
    for _ in 0..draft.between(1..=3) {
        match draft.weighted(&[3, 2]) {
            0 => act(draft, &mut zombie),
            _ => {
                let committed = draft.chance(0.5);
                zombie.end(draft, committed);
            }
        }
        if draft.chance(0.5) {
            act(draft, &mut successor);
        }
    }
    fill(draft, &mut successor);
    end(draft, &mut successor);
}

/// Two clients with transactions of their own, open at the same time and ended in any order.
pub fn interleaved(draft: &mut Draft<'_>) {
    let protocol = draft.pick(&[Protocol::Explicit, Protocol::Implicit]);
    let mut producers = [(); 2].map(|()| Producer::start(draft, protocol));
    for _ in 0..draft.between(4..=9) {
        let producer = &mut producers[draft.between(0..=1) as usize];
        match draft.weighted(&[2, 5, 3, 3]) {
            0 => producer.add_partitions(draft),
            1 => producer.write(draft),
            2 => {
                let committed = draft.chance(0.4);
                producer.end(draft, committed);
            }
            _ => observe(draft, producer),
        }
    }
}
