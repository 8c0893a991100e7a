//! When a batch counts as committed, and what happens when the disk fails.

use std::sync::Arc;
use std::task::Poll;

use super::{OnDisk, in_memory};
use crate::Offset;
use crate::engine::disk::sim_fs::PowerCut;
use crate::partition::{AppendError, Durability, FsyncPolicy, LogOptions, Partition, ReadLimit};
use crate::testing::{
    NOW_MS, Random, all_below, append, block_on, idempotent_batch, plain_batch, poll_once,
};

fn send(partition: &Partition, durability: Durability) -> Offset {
    let batch = plain_batch(1, NOW_MS, 50);
    let appended = append(partition, &batch, durability).expect("it is taken");
    appended.end_offset()
}

#[test]
fn unsynced_batches_are_committed_once_they_are_written() {
    // No sync happens for them.
    let disk = OnDisk::new(LogOptions::default());
    let syncs = disk.fs.sync_count();
    for _ in 0..10 {
        let end = send(&disk.partition, Durability::Unsynced);
        assert_eq!(disk.partition.high_watermark(), end);
        assert_eq!(disk.partition.durable_end(), Offset(0));
    }
    assert_eq!(disk.fs.sync_count(), syncs);
}

#[test]
fn durable_batches_are_committed_once_a_sync_has_covered_them() {
    // What is promised survives a power cut that spares nothing that was not synced.
    let disk = OnDisk::new(LogOptions::default());
    let end = send(&disk.partition, Durability::Durable);
    block_on(disk.partition.committed(end)).expect("it is committed");
    assert!(disk.partition.durable_end() >= end);
    for seed in 0..20 {
        let after = disk.fs.cut_power(PowerCut::AnySectors, &mut Random(seed));
        let after = OnDisk::open(after, LogOptions::default());
        assert_eq!(after.partition.log_end(), end);
    }
}

#[test]
fn nothing_is_committed_before_what_precedes_it() {
    // The disk stops syncing: the unsynced batch behind a durable one is not visible either.
    let disk = OnDisk::new(LogOptions::default());
    disk.fs.fail_syncs_after(0);
    let before = send(&disk.partition, Durability::Unsynced);
    let durable = send(&disk.partition, Durability::Durable);
    let refused = block_on(disk.partition.committed(durable));
    assert!(refused.is_err());
    let ends = disk.partition.ends();
    assert_eq!(ends.high_watermark, before);
    assert_eq!(ends.durable_end, Offset(0));
}

#[test]
fn a_failed_sync_takes_the_partition_offline_and_is_not_tried_again() {
    // The kernel forgets the failed pages; a second sync would claim what is not so.
    let disk = OnDisk::new(LogOptions::default());
    disk.fs.fail_syncs_after(0);
    let end = send(&disk.partition, Durability::Durable);
    block_on(disk.partition.committed(end)).expect_err("it is not committed");
    disk.fs.heal();
    let syncs = disk.fs.sync_count();
    let batch = plain_batch(1, NOW_MS, 50);
    let refused = append(&disk.partition, &batch, Durability::Durable);
    assert!(matches!(refused, Err(AppendError::Offline(_))));
    disk.partition.flush().expect_err("it stays offline");
    assert_eq!(disk.fs.sync_count(), syncs);
    assert!(disk.dir.close(1).is_err());
}

#[test]
fn what_a_failed_sync_has_lost_is_on_the_disk_before_the_log_is_back() {
    // A page that could not be written counts as written from then on: the sync of the reopened log
    // says yes at once. Whatever that log shows and acknowledges outlasts the power all the same.
    let disk = OnDisk::new(LogOptions::default());
    let first = idempotent_batch(1, 0, 0, 1);
    let end = append(&disk.partition, &first, Durability::Durable).expect("it is taken");
    block_on(disk.partition.committed(end.end_offset())).expect("it is committed");
    disk.fs.fail_syncs_after(0);
    let lost = idempotent_batch(1, 0, 1, 1);
    let taken = append(&disk.partition, &lost, Durability::Durable).expect("it is ordered");
    block_on(disk.partition.committed(taken.end_offset())).expect_err("it is not on the disk");

    let opening = || crate::log_dir::LogOpening {
        leader_epoch: crate::LeaderEpoch(5),
        log: LogOptions::default(),
        now_ms: NOW_MS,
    };
    let open = || disk.dir.open_partition("orders-0", "version: 0", opening());
    open().expect_err("the sync of what is found fails as well");
    disk.fs.heal();
    let again = open().expect("it opens");
    let retried = append(&again, &lost, Durability::Durable).expect("it is known");
    block_on(again.committed(retried.end_offset())).expect("it is committed");
    let end = again.high_watermark();
    assert_eq!(end, Offset(2));
    for seed in 0..20 {
        let after = disk.fs.cut_power(PowerCut::InOrder, &mut Random(seed));
        let after = OnDisk::open(after, LogOptions::default());
        assert_eq!(after.partition.log_end(), end, "seed {seed}");
    }
}

#[test]
fn a_full_disk_takes_the_partition_offline_and_opening_it_again_brings_it_back() {
    // The half of a batch that was written is cut off, and the producer goes on.
    let disk = OnDisk::new(LogOptions::default());
    for sequence in 0..3 {
        let batch = idempotent_batch(1, 0, sequence, 1);
        append(&disk.partition, &batch, Durability::Unsynced).expect("it is taken");
    }
    disk.fs.fail_writes_after(0);
    let lost = idempotent_batch(1, 0, 3, 1);
    let taken = append(&disk.partition, &lost, Durability::Unsynced).expect("it is ordered");
    block_on(disk.partition.committed(taken.end_offset())).expect_err("it is not written");
    assert!(disk.partition.offline().is_some());
    disk.fs.heal();

    let opening = crate::log_dir::LogOpening {
        leader_epoch: crate::LeaderEpoch(5),
        log: LogOptions::default(),
        now_ms: NOW_MS,
    };
    let again = disk.dir.open_partition("orders-0", "version: 0", opening);
    let again = again.expect("it opens");
    assert_eq!(again.log_end(), Offset(3));
    let retried = append(&again, &lost, Durability::Durable).expect("it is taken");
    assert_eq!(retried.base_offset, Offset(3));
    block_on(again.committed(Offset(4))).expect("it is committed");
}

#[test]
fn the_policy_decides_over_the_append() {
    // Always, never, and every so many records.
    let policy = |fsync| LogOptions {
        fsync,
        ..LogOptions::default()
    };
    let disk = OnDisk::new(policy(FsyncPolicy::Always));
    let end = send(&disk.partition, Durability::Unsynced);
    block_on(disk.partition.committed(end)).expect("it is committed");
    assert_eq!(disk.partition.durable_end(), end);

    let disk = OnDisk::new(policy(FsyncPolicy::Never));
    let syncs = disk.fs.sync_count();
    let end = send(&disk.partition, Durability::Durable);
    assert_eq!(disk.partition.high_watermark(), end);
    assert_eq!(disk.fs.sync_count(), syncs);

    let disk = OnDisk::new(LogOptions {
        flush_messages: 3,
        ..LogOptions::default()
    });
    for _ in 0..2 {
        send(&disk.partition, Durability::Unsynced);
    }
    assert_eq!(disk.partition.durable_end(), Offset(0));
    assert_eq!(disk.partition.high_watermark(), Offset(2));
    let end = send(&disk.partition, Durability::Unsynced);
    block_on(disk.partition.committed(end)).expect("it is committed");
    assert_eq!(disk.partition.durable_end(), end);
}

#[test]
fn what_was_written_long_enough_ago_is_synced() {
    // `flush.ms`; nobody waits for it, so it is watched until it happens.
    let disk = OnDisk::new(LogOptions {
        flush_ms: Some(5),
        ..LogOptions::default()
    });
    let end = send(&disk.partition, Durability::Unsynced);
    let started = std::time::Instant::now();
    while disk.partition.durable_end() < end {
        assert!(started.elapsed() < crate::testing::DEADLINE);
        std::thread::yield_now();
    }
}

#[test]
fn appends_from_many_threads_are_ordered_and_whole() {
    // Offsets are dense, and each thread's batches lie in its own order.
    const THREADS: i64 = 4;
    const BATCHES: i32 = 200;
    let disk = OnDisk::new(LogOptions {
        segment_bytes: 20_000,
        ..LogOptions::default()
    });
    let partition = &disk.partition;
    std::thread::scope(|scope| {
        for producer in 0..THREADS {
            scope.spawn(move || {
                for sequence in 0..BATCHES {
                    let batch = idempotent_batch(producer, 0, sequence, 1);
                    let durability = if sequence % 3 == 0 {
                        Durability::Durable
                    } else {
                        Durability::Unsynced
                    };
                    let appended = append(partition, &batch, durability).expect("it is taken");
                    if sequence % 10 == 0 {
                        let end = appended.end_offset();
                        block_on(partition.committed(end)).expect("it is committed");
                    }
                }
            });
        }
    });
    let end = Offset(THREADS * i64::from(BATCHES));
    block_on(partition.committed(end)).expect("all are committed");
    let headers = crate::testing::read_headers(&*partition.engine, all_below(end));
    assert_eq!(headers.len(), end.0 as usize);
    let mut next = [0; THREADS as usize];
    for (index, header) in headers.iter().enumerate() {
        assert_eq!(header.base_offset, Offset(index as i64));
        let producer = header.producer_id.0 as usize;
        assert_eq!(header.base_sequence, next[producer]);
        next[producer] += 1;
    }
}

#[test]
fn closing_answers_everybody() {
    // Who waits for what was appended is told that it is committed; who waits for more, that it
    // will not be.
    let disk = OnDisk::new(LogOptions::default());
    let end = send(&disk.partition, Durability::Durable);
    let mut committed = disk.partition.committed(end);
    let mut more = disk.partition.committed(end.plus(1));
    assert_eq!(poll_once(&mut more), Poll::Pending);
    disk.partition.close().expect("it closes");
    assert_eq!(poll_once(&mut committed), Poll::Ready(Ok(())));
    assert!(matches!(poll_once(&mut more), Poll::Ready(Err(_))));
    disk.partition.close().expect_err("it is offline");
    let batch = plain_batch(1, NOW_MS, 1);
    assert!(append(&disk.partition, &batch, Durability::Durable).is_err());
}

#[test]
fn memory_is_as_durable_as_it_gets() {
    // Nothing waits.
    let log = in_memory(LogOptions::default());
    let end = send(&log, Durability::Durable);
    let ends = log.ends();
    assert_eq!(ends.high_watermark, end);
    assert_eq!(ends.durable_end, end);
    assert_eq!(ends.at(ReadLimit::LastStable), end);
    assert_eq!(Arc::strong_count(&log), 1);
}
