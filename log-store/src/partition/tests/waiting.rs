//! Who is woken, by what, and that nobody is left on a list.

use std::sync::Arc;
use std::task::Poll;

use super::{OnDisk, in_memory};
use crate::Offset;
use crate::partition::{Durability, FetchWait, FetchWake, LogOptions, Partition, ReadLimit};
use crate::testing::{NOW_MS, append, block_on, plain_batch, poll_once};

const LIMIT: ReadLimit = ReadLimit::HighWatermark;

fn send(partition: &Partition) -> u64 {
    let batch = plain_batch(1, NOW_MS, 50);
    append(partition, &batch, Durability::Unsynced).expect("it is taken");
    batch.header().total_bytes() as u64
}

#[test]
fn a_commit_wakes_who_waits_for_it_and_nobody_else() {
    // Three waiters at different offsets.
    let log = in_memory(LogOptions::default());
    let mut first = log.committed(Offset(1));
    let mut second = log.committed(Offset(2));
    let mut dropped = log.committed(Offset(1));
    assert_eq!(poll_once(&mut first), Poll::Pending);
    assert_eq!(poll_once(&mut second), Poll::Pending);
    assert_eq!(poll_once(&mut dropped), Poll::Pending);
    assert_eq!(log.waiters.count(), 3);
    drop(dropped);
    assert_eq!(log.waiters.count(), 2);
    send(&log);
    assert_eq!(log.waiters.count(), 1);
    assert_eq!(poll_once(&mut first), Poll::Ready(Ok(())));
    assert_eq!(poll_once(&mut second), Poll::Pending);
    send(&log);
    assert_eq!(poll_once(&mut second), Poll::Ready(Ok(())));
    assert_eq!(log.waiters.count(), 0);
}

#[test]
fn a_wait_from_another_thread_ends() {
    // The wake crosses threads, through the syncer.
    let disk = OnDisk::new(LogOptions::default());
    let partition = Arc::clone(&disk.partition);
    let waiting = std::thread::spawn(move || block_on(partition.committed(Offset(1))));
    let batch = plain_batch(1, NOW_MS, 50);
    append(&disk.partition, &batch, Durability::Durable).expect("it is taken");
    assert_eq!(waiting.join().expect("it does not panic"), Ok(()));
}

#[test]
fn a_long_poll_ends_when_enough_bytes_have_arrived_on_all_partitions_together() {
    // One byte less is not enough.
    let (one, two) = (
        in_memory(LogOptions::default()),
        in_memory(LogOptions::default()),
    );
    let batch_bytes = plain_batch(1, NOW_MS, 50).header().total_bytes() as u64;
    let mut wait = FetchWait::new(3 * batch_bytes);
    wait.watch(&one, LIMIT, Offset(0));
    wait.watch(&two, LIMIT, Offset(0));
    assert_eq!(poll_once(&mut wait), Poll::Pending);
    send(&one);
    send(&two);
    assert_eq!(poll_once(&mut wait), Poll::Pending);
    send(&one);
    assert_eq!(poll_once(&mut wait), Poll::Ready(FetchWake::Enough));
    drop(wait);
    assert_eq!(one.waiters.count() + two.waiters.count(), 0);
}

#[test]
fn a_long_poll_does_not_count_what_its_reader_may_not_see() {
    // The durable batch is written but not committed; replicas would be woken, consumers are not.
    let disk = OnDisk::new(LogOptions::default());
    disk.fs.fail_syncs_after(0);
    let mut consumer = FetchWait::new(1);
    consumer.watch(&disk.partition, LIMIT, Offset(0));
    let mut replica = FetchWait::new(1);
    replica.watch(&disk.partition, ReadLimit::LogEnd, Offset(0));
    let batch = plain_batch(1, NOW_MS, 50);
    append(&disk.partition, &batch, Durability::Durable).expect("it is taken");
    assert_eq!(poll_once(&mut replica), Poll::Ready(FetchWake::Enough));
    // The sync fails, so that what wakes the consumer in the end is not the batch.
    assert_eq!(block_on(consumer), FetchWake::Changed);
}

#[test]
fn a_partition_that_has_moved_on_ends_the_poll_at_once() {
    // Bytes that came between the plan and the wait are not lost.
    let log = in_memory(LogOptions::default());
    send(&log);
    let mut wait = FetchWait::new(1);
    wait.watch(&log, LIMIT, Offset(0));
    assert_eq!(poll_once(&mut wait), Poll::Ready(FetchWake::Changed));
    let mut wait = FetchWait::new(1);
    wait.watch(&log, LIMIT, Offset(1));
    assert_eq!(poll_once(&mut wait), Poll::Pending);
}

#[test]
fn deleting_records_and_deleting_the_log_wake_everybody() {
    // They must look again, and find out why.
    let log = in_memory(LogOptions::default());
    send(&log);
    let mut wait = FetchWait::new(1_000_000);
    wait.watch(&log, LIMIT, Offset(1));
    assert_eq!(poll_once(&mut wait), Poll::Pending);
    log.delete_records_before(Offset(1)).expect("it works");
    assert_eq!(poll_once(&mut wait), Poll::Ready(FetchWake::Changed));

    let mut wait = FetchWait::new(1_000_000);
    wait.watch(&log, LIMIT, Offset(1));
    let mut commit = log.committed(Offset(2));
    assert_eq!(poll_once(&mut commit), Poll::Pending);
    log.retire("it was deleted");
    assert_eq!(poll_once(&mut wait), Poll::Ready(FetchWake::Changed));
    assert!(matches!(poll_once(&mut commit), Poll::Ready(Err(_))));
    // Who comes later is told at once.
    let mut late = FetchWait::new(1);
    late.watch(&log, LIMIT, Offset(1));
    assert_eq!(poll_once(&mut late), Poll::Ready(FetchWake::Changed));
}
