//! Long runs of writing, compacting and reading. Kafka's `LogCompactionTester`, and what goes on at
//! the same time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{OnDisk, in_memory};
use crate::batch::{Batch, BatchBuilder, BatchSettings};
use crate::engine::disk::fs::OsFs;
use crate::engine::{Filled, FirstBatch, Replaced, SegmentRange};
use crate::log_dir::{LogDir, LogOpening, MetaProperties};
use crate::partition::{
    Cleaner, CleanerSettings, Cleanup, Compaction, Durability, LogOptions, Partition, ReadLimit,
    Throttle,
};
use crate::testing::records::{self, Seen, Write};
use crate::testing::workload::{Workload, fold};
use crate::testing::{NOW_MS, Random, append, batches_of, plain_batch};
use crate::{LeaderEpoch, Offset};

const SEEDS: u64 = 12;
const ROUNDS: u64 = 25;
const RETENTION_MS: i64 = 1000;

fn options(segment_bytes: u32) -> LogOptions {
    LogOptions {
        cleanup: Cleanup::Compact,
        segment_bytes,
        index_interval_bytes: 150,
        compaction: Compaction {
            delete_retention_ms: RETENTION_MS,
            ..Compaction::default()
        },
        ..LogOptions::default()
    }
}

fn cleaner(random: &mut Random) -> Cleaner {
    Cleaner {
        settings: CleanerSettings {
            // From two keys to all of them.
            dedupe_buffer_bytes: 24 * (3 + random.below(30)),
            load_factor: 0.9,
            io_buffer_bytes: 1 + random.below(2000) as usize,
            hash_seed: random.next(),
        },
        throttle: Arc::new(Throttle::new(f64::INFINITY)),
    }
}

#[test]
fn every_key_keeps_its_last_value_through_everything() {
    // Random keys, tombstones, transactions, headers and codecs; compactions with maps of any
    // size, as the time goes on; restarts, kills, and readers that began before a compaction.
    for seed in 0..SEEDS {
        let mut random = Random(seed);
        let mut workload = Workload::new(seed);
        let mut disk = OnDisk::new(options(800 + random.below(2000) as u32));
        let mut now_ms = NOW_MS;
        let mut untouched = Offset::ZERO;
        for round in 0..ROUNDS {
            let context = format!("seed {seed}, round {round}");
            for _ in 0..random.below(20) {
                workload.step(&disk.partition);
            }
            disk.partition.flush().expect("it is synced");
            workload.check(&disk.partition, untouched, &context);
            let producers = disk.partition.active_producers();
            let before = read_slices(&disk.partition);
            let batches = batches_of(&before);
            if let Some(found) = disk.partition.cleanable(now_ms) {
                untouched = untouched.max(found.first_uncleanable);
                let cleaner = cleaner(&mut random);
                let report = disk.partition.clean(&cleaner, now_ms).expect("it works");
                assert!(report.bytes_after <= report.bytes_before * 2, "{context}");
                workload.check_compacted(&disk.partition, report.cleaned_to, &context);
            }
            let after = batches_of(&before);
            let bytes = |batches: &[Batch]| -> Vec<_> {
                batches.iter().map(|batch| batch.bytes().clone()).collect()
            };
            assert_eq!(bytes(&after), bytes(&batches), "{context}");
            workload.check(&disk.partition, untouched, &context);
            match random.below(6) {
                0 => disk = disk.restart(),
                1 => disk = disk.kill(),
                _ => {}
            }
            workload.check(&disk.partition, untouched, &context);
            assert_eq!(disk.partition.active_producers(), producers, "{context}");
            now_ms += random.below(RETENTION_MS as u64 / 2) as i64;
        }
    }
}

fn read_slices(log: &Partition) -> Vec<crate::slice::Slice> {
    log.read(
        log.log_start(),
        usize::MAX >> 1,
        FirstBatch::Always,
        ReadLimit::LogEnd,
    )
    .expect("it can be read")
    .slices
}

#[test]
fn readers_get_every_last_value_while_segments_are_replaced_under_them() {
    // On a real disk. Nothing is written meanwhile, so that everybody who goes through the log, in
    // steps of any size, must come to the same values, however the log looks by then.
    let root = tempfile::tempdir().expect("made");
    let (_dir, log) = open_on_disk(root.path());
    let mut expected = BTreeMap::new();
    for round in 0..60 {
        for key in 0..10 {
            let key = format!("key {key}");
            let value = format!("{round}");
            let write = Write::plain(&[(&key, Some(&value))]).batch();
            let appended = append(&log, &write, Durability::Unsynced).expect("it is taken");
            let last = (appended.base_offset, value.into_bytes());
            expected.insert(key.into_bytes(), last);
        }
    }
    log.roll(NOW_MS).expect("it rolls");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|seed| {
                let (log, is_over, expected) = (&log, &is_over, &expected);
                scope.spawn(move || {
                    let mut random = Random(seed);
                    let mut passes = 0;
                    while !is_over.load(Ordering::Acquire) || passes == 0 {
                        let seen = read_in_steps(log, &mut random);
                        assert_eq!(&fold(seen.iter()), expected);
                        passes += 1;
                    }
                })
            })
            .collect();
        let over = Over(&is_over);
        let mut random = Random(7);
        let segments = log.engine.segments().len();
        assert!(segments > 20, "{segments} segments");
        while log.cleanable(NOW_MS).is_some_and(|found| found.is_due()) {
            let mut small = cleaner(&mut random);
            // Seven keys at a time, so that segments shrink and are joined bit by bit.
            small.settings.dedupe_buffer_bytes = 8 * 24;
            log.clean(&small, NOW_MS).expect("it is compacted");
            thread::yield_now();
        }
        let left = log.engine.segments().len();
        assert!(left < 5, "{left} segments are left of {segments}");
        drop(over);
        for reader in readers {
            reader.join().expect("it saw what it should");
        }
    });
}

#[test]
fn a_log_that_is_opened_again_is_not_compacted_by_who_had_it_before() {
    // It goes offline while its segments are being rewritten; the one that is opened in its place
    // keeps its files.
    let disk = OnDisk::new(options(1 << 20));
    for value in ["0", "1"] {
        let write = Write::plain(&[("key", Some(value))]).batch();
        append(&disk.partition, &write, Durability::Unsynced).expect("it is taken");
    }
    disk.partition.roll(NOW_MS).expect("it rolls");
    let range = SegmentRange {
        base: Offset(0),
        end: Offset(2),
    };
    let engine = &disk.partition.engine;
    let mut opened = None;
    let pace = disk.partition.lock_any().index_pace();
    let replaced = engine.replace(range, pace, &mut |_| {
        disk.partition.go_offline("the disk failed".to_owned());
        let opening = LogOpening {
            leader_epoch: LeaderEpoch(5),
            log: options(1 << 20),
            now_ms: NOW_MS,
        };
        opened = Some(disk.dir.open_partition("orders-0", "version: 0", opening));
        Ok(Filled::Completely {
            aborted: Vec::new(),
        })
    });
    assert_eq!(replaced.expect("it gives way"), Replaced::NotNow);
    let log = opened.expect("it was tried").expect("it opens");
    let left = records::read(&log, Offset(0), ReadLimit::LogEnd);
    assert_eq!(left.len(), 2);
    log.clean(&cleaner_with_room(), NOW_MS).expect("it works");
    let left = records::read(&log, Offset(0), ReadLimit::LogEnd);
    assert_eq!(left.len(), 1);
}

/// Tells the readers to stop, whether the test is over or has failed.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// The whole log as a consumer reads it.
fn read_in_steps(log: &Partition, random: &mut Random) -> Vec<Seen> {
    let mut seen: Vec<Seen> = Vec::new();
    let mut next = log.log_start();
    let end = log.high_watermark();
    while next < end {
        let bytes_max = random.below(3000) as usize;
        let read = log
            .read(
                next,
                bytes_max,
                FirstBatch::Always,
                ReadLimit::HighWatermark,
            )
            .expect("it can be read");
        for batch in batches_of(&read.slices) {
            assert!(batch.header().last_offset() >= next);
            records::records_of(&batch, next, &mut seen);
            next = batch.header().end_offset();
        }
        if read.slices.is_empty() {
            // What was compacted away up to the end.
            break;
        }
    }
    seen
}

fn open_on_disk(root: &Path) -> (LogDir, Arc<Partition>) {
    let meta = MetaProperties {
        cluster_id: "cluster".to_owned(),
        node_id: 1,
        directory_id: "directory".to_owned(),
    };
    let dir = LogDir::open_on(Arc::new(OsFs::default()), root, meta).expect("the directory opens");
    let mut log = options(2000);
    log.compaction.dirty_ratio_min = 0.01;
    let opening = LogOpening {
        leader_epoch: LeaderEpoch(1),
        log,
        now_ms: NOW_MS,
    };
    let log = dir
        .open_partition("orders-0", "version: 0", opening)
        .expect("the log opens");
    (dir, log)
}

#[test]
fn segments_that_must_be_compacted_soon_end_soon() {
    // `max.compaction.lag.ms` bounds the age of the active segment, which is never compacted.
    let mut options = options(1 << 20);
    options.compaction.lag_ms_max = Some(500);
    let segments_after = |options: LogOptions, age_ms: i64| {
        let log = in_memory(options);
        for timestamp_ms in [NOW_MS, NOW_MS + age_ms] {
            let batch = plain_batch(1, timestamp_ms, 1);
            append(&log, &batch, Durability::Unsynced).expect("it is taken");
        }
        log.engine.segments().len()
    };
    assert_eq!(segments_after(options.clone(), 500), 1);
    assert_eq!(segments_after(options.clone(), 501), 2);
    options.cleanup = Cleanup::Delete;
    assert_eq!(segments_after(options, 501), 1);
}

#[test]
fn what_is_too_old_is_deleted_and_the_rest_compacted() {
    // `compact,delete`: retention takes whole segments, before and after they were joined.
    let log = in_memory(LogOptions {
        cleanup: Cleanup::CompactAndDelete,
        retention_ms: Some(10_000),
        ..options(1 << 20)
    });
    let write = |key: &str, timestamp_ms: i64| {
        let mut builder = BatchBuilder::new(BatchSettings::default());
        builder.push(timestamp_ms, Some(key.as_bytes()), Some(b"value"), &[]);
        let batch = builder.build().expect("a small batch");
        append(&log, &batch, Durability::Unsynced).expect("it is taken");
        log.roll(NOW_MS).expect("it rolls");
    };
    for index in 0..10 {
        write(&format!("key {}", index % 3), NOW_MS + index * 1000);
    }
    let keys = || -> Vec<i64> {
        let seen = records::read(&log, log.log_start(), ReadLimit::LogEnd);
        seen.iter().map(|record| record.offset.0).collect()
    };
    log.apply_retention(NOW_MS + 12_500).expect("it works");
    assert_eq!(keys(), [3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(log.log_start(), Offset(3));
    let cleaner = cleaner_with_room();
    log.clean(&cleaner, NOW_MS).expect("it is compacted");
    assert_eq!(keys(), [7, 8, 9]);
    assert_eq!(log.log_start(), Offset(3));
    assert_eq!(log.engine.segments().len(), 2);
    log.apply_retention(NOW_MS + 18_500).expect("it works");
    assert_eq!(keys(), [7, 8, 9]);
    log.apply_retention(NOW_MS + 19_500).expect("it works");
    assert_eq!(keys(), []);
    assert_eq!(log.log_start(), Offset(10));
    assert_eq!(log.cleanable(NOW_MS), None);
}

fn cleaner_with_room() -> Cleaner {
    Cleaner {
        settings: CleanerSettings::default(),
        throttle: Arc::new(Throttle::new(f64::INFINITY)),
    }
}
