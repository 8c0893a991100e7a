//! A compaction that is interrupted at every one of its calls to the file system, by a kill and by
//! power cuts: the log opens, holds what it must, and is compacted by the next attempt.

use std::path::Path;
use std::sync::Arc;

use super::{LogDir, LogOpening, MetaProperties};
use crate::engine::disk::fs::Fs;
use crate::engine::disk::sim_fs::{PowerCut, SimFs};
use crate::partition::{
    Cleaner, CleanerSettings, Cleanup, Compaction, FsyncPolicy, LogOptions, Partition, Throttle,
};
use crate::testing::workload::Workload;
use crate::testing::{NOW_MS, Random};
use crate::{LeaderEpoch, Offset};

const NAME: &str = "orders-0";
const SEEDS: u64 = 4;
const RETENTION_MS: i64 = 1000;

#[test]
fn an_interrupted_compaction_loses_nothing_and_is_made_up_for() {
    for seed in 0..SEEDS {
        let mut calls = 0;
        while interrupt(calls, seed) {
            calls += 1;
        }
        // Or else nothing was tested.
        assert!(calls > 20, "{calls} calls");
    }
}

/// A log that was compacted once and is dirty again, with an open transaction perhaps.
struct Prepared {
    fs: SimFs,
    _dir: LogDir,
    log: Arc<Partition>,
    workload: Workload,
}

impl Prepared {
    fn new(seed: u64) -> Prepared {
        let fs = SimFs::new();
        let (dir, log) = open(&fs);
        let mut workload = Workload::new(seed);
        for _ in 0..20 {
            workload.step(&log);
        }
        workload.end_all(&log);
        log.flush().expect("it is synced");
        log.clean(&cleaner(), NOW_MS).expect("it is compacted");
        for _ in 0..15 {
            workload.step(&log);
        }
        workload.end_all(&log);
        if seed.is_multiple_of(2) {
            // Otherwise nothing of it is on the disk.
            log.flush().expect("it is synced");
        }
        if seed.is_multiple_of(4) {
            // Then opening believes the segments that were synced, and does not read them again.
            dir.checkpoint().expect("it works");
        }
        for _ in 0..5 {
            workload.step(&log);
        }
        Prepared {
            fs,
            _dir: dir,
            log,
            workload,
        }
    }
}

/// Lets a compaction get as far as `calls` calls, and looks what is left then. Whether it was
/// interrupted at all.
fn interrupt(calls: u64, seed: u64) -> bool {
    let Prepared {
        fs,
        _dir,
        log,
        workload,
    } = Prepared::new(seed);
    let now_ms = NOW_MS + 2 * RETENTION_MS;
    let found = log.cleanable(now_ms).expect("there is something");
    let untouched = found.first_uncleanable;
    let promised_end = log.durable_end();
    fs.fail_calls_after(calls);
    let done = log.clean(&cleaner(), now_ms).ok();
    fs.heal();
    let durable_end = log.durable_end();

    let mut random = Random(seed * 1000 + calls);
    let cuts = [
        ("kill", fs.kill()),
        ("power cut", fs.cut_power(PowerCut::InOrder, &mut random)),
        (
            "power cut of sectors",
            fs.cut_power(PowerCut::AnySectors, &mut random),
        ),
    ];
    for _ in 0..3 {
        let left = fs.cut_power(PowerCut::NamesFirst, &mut random);
        let context = format!("seed {seed}, {calls} calls, power cut with names first");
        let (_dir, log) = open(&left);
        check_files(&left, &context);
        workload.check_promised(&log, promised_end, &context);
    }
    for (cut, left) in &cuts {
        let context = format!("seed {seed}, {calls} calls, {cut}");
        let (_dir, log) = open(left);
        check_files(left, &context);
        assert!(log.log_end() >= durable_end, "{context}");
        let workload = workload.truncated(log.log_end());
        workload.check(&log, untouched, &context);
        if let Some(done) = done {
            // It lasts when it was said to be done.
            workload.check_compacted(&log, done.cleaned_to, &context);
        }
        if log.cleanable(now_ms).is_some() {
            let report = log.clean(&cleaner(), now_ms).expect("it is compacted");
            workload.check(&log, untouched, &context);
            workload.check_compacted(&log, report.cleaned_to, &context);
        }
        assert_eq!(log.offline(), None, "{context}");
    }
    done.is_none()
}

/// Nothing is left over, and every segment has its own files only.
fn check_files(fs: &SimFs, context: &str) {
    let names: Vec<String> = fs
        .list(&Path::new("/data").join(NAME))
        .expect("it is there")
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    for name in &names {
        assert!(
            !name.ends_with(".swap") && !name.ends_with(".cleaned"),
            "{name}: {context}"
        );
        let stem = name.split('.').next().unwrap_or_default();
        let is_of_segment = [".index", ".timeindex", ".txnindex"]
            .iter()
            .any(|suffix| name.ends_with(suffix));
        if is_of_segment {
            assert!(names.contains(&format!("{stem}.log")), "{name}: {context}");
        }
    }
}

fn cleaner() -> Cleaner {
    Cleaner {
        settings: CleanerSettings {
            hash_seed: 5,
            io_buffer_bytes: 700,
            ..CleanerSettings::default()
        },
        throttle: Arc::new(Throttle::new(f64::INFINITY)),
    }
}

fn open(fs: &SimFs) -> (LogDir, Arc<Partition>) {
    let meta = MetaProperties {
        cluster_id: "cluster".to_owned(),
        node_id: 1,
        directory_id: "directory".to_owned(),
    };
    let dir = LogDir::open_on(Arc::new(fs.clone()), Path::new("/data"), meta);
    let dir = dir.expect("the directory opens");
    let log = LogOptions {
        segment_bytes: 1000,
        index_interval_bytes: 150,
        // So that nobody syncs but who is told to, and every run is the same.
        fsync: FsyncPolicy::Never,
        cleanup: Cleanup::Compact,
        compaction: Compaction {
            delete_retention_ms: RETENTION_MS,
            ..Compaction::default()
        },
        ..LogOptions::default()
    };
    let opening = LogOpening {
        leader_epoch: LeaderEpoch(1),
        log,
        now_ms: NOW_MS,
    };
    let log = dir
        .open_partition(NAME, "version: 0", opening)
        .expect("the log opens");
    assert_eq!(log.log_start(), Offset::ZERO);
    (dir, log)
}
