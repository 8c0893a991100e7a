//! What opening makes of a replacement that was interrupted, by Apache Kafka perhaps: directories
//! put together by hand, as `LogLoaderTest` and `LogCleanerTest.testRecoveryAfterCrash` do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoint::OffsetCheckpoint;
use super::fs::{self, Fs};
use super::sim_fs::SimFs;
use super::{DiskEngine, DiskOptions, Unsynced};
use crate::batch::{BatchHeader, stamp};
use crate::engine::{Engine, Filled, IndexPace, SegmentRange};
use crate::partition::{AbortedTxn, OpenError};
use crate::testing::{NOW_MS, all_below, batches_of, plain_batch, read_headers};
use crate::{LeaderEpoch, Offset, ProducerId};

const DIR: &str = "/data/log-0";
const PACE: IndexPace = IndexPace {
    interval_bytes: 300,
};
const SUFFIXES: [&str; 4] = ["log", "index", "timeindex", "txnindex"];

/// A log of four segments, of which the second and the third are compacted to one.
struct Interrupted {
    fs: SimFs,
    /// The files of the new segment, by suffix.
    new: BTreeMap<&'static str, Vec<u8>>,
    before: Vec<BatchHeader>,
    after: Vec<BatchHeader>,
}

impl Interrupted {
    fn new() -> Interrupted {
        let fs = SimFs::new();
        let engine = open(&fs).expect("opened");
        for base in (0..40).step_by(10) {
            engine.roll(Offset(base), b"", NOW_MS).expect("rolls");
            for index in 0..5 {
                let batch = plain_batch(2, NOW_MS, 300);
                let batch = stamp(&batch, Offset(base + index * 2), LeaderEpoch(0));
                engine.write(&[batch], PACE).expect("writes");
            }
            engine.save_aborted(aborted(base + 5)).expect("saves");
        }
        engine.sync().expect("syncs");
        let before = read_headers(&engine, all_below(Offset(40)));

        let compacted = fs.kill();
        let engine = open(&compacted).expect("opened");
        let batches = batches_of(&engine.read(all_below(Offset(40))).expect("reads"));
        let range = SegmentRange {
            base: Offset(10),
            end: Offset(30),
        };
        let replaced = engine.replace(range, PACE, &mut |sink| {
            for batch in batches[5..15].iter().step_by(3) {
                sink.push(batch)?;
            }
            Ok(Filled::Completely {
                aborted: vec![aborted(15)],
            })
        });
        replaced.expect("replaces");
        let after = read_headers(&engine, all_below(Offset(40)));
        assert_eq!(after.len(), 14);
        let new = SUFFIXES.map(|suffix| {
            let bytes = compacted.contents(&path(10, suffix)).expect("it is there");
            (suffix, bytes)
        });
        Interrupted {
            fs,
            new: BTreeMap::from(new),
            before,
            after,
        }
    }

    /// Puts a file of the new segment beside the others.
    fn put(&self, suffix: &str, added: &str) {
        let path = fs::with_suffix(&path(10, suffix), added);
        fs::write_whole(&self.fs, &path, &self.new[suffix]).expect("written");
    }

    fn put_all(&self, added: &str) {
        for suffix in SUFFIXES {
            self.put(suffix, added);
        }
    }

    fn remove(&self, base: i64) {
        for suffix in SUFFIXES {
            fs::remove_if_there(&self.fs, &path(base, suffix)).expect("removed");
        }
    }

    /// What is found, after this and after opening once more.
    fn check(&self, expected: &[BatchHeader]) {
        for is_clean in [false, true] {
            let engine = open_as(&self.fs, is_clean).expect("opened");
            assert_eq!(read_headers(&engine, all_below(Offset(40))), expected);
            let names: Vec<String> = self
                .fs
                .list(Path::new(DIR))
                .expect("listed")
                .into_iter()
                .map(|entry| entry.name)
                .collect();
            let is_left = |name: &&String| {
                [".cleaned", ".swap", ".deleted"]
                    .iter()
                    .any(|suffix| name.ends_with(suffix))
            };
            assert_eq!(names.iter().find(is_left), None);
            engine.prepare_close(b"").expect("prepares");
            engine.close().expect("closes");
        }
    }

    fn is_undone(&self) {
        self.check(&self.before);
    }

    fn is_done(&self) {
        self.check(&self.after);
        let engine = open(&self.fs).expect("opened");
        // That of the last segment is made anew by whoever replays the batches.
        engine.forget_from(Offset(20)).expect("forgets");
        let markers: Vec<i64> = engine
            .aborted()
            .expect("looks")
            .iter()
            .map(|txn| txn.last_offset.0)
            .collect();
        assert_eq!(markers, [5, 15]);
    }
}

fn aborted(last_offset: i64) -> AbortedTxn {
    AbortedTxn {
        producer_id: ProducerId(1),
        first_offset: Offset(last_offset - 1),
        last_offset: Offset(last_offset),
        last_stable_offset: Offset(last_offset + 1),
    }
}

fn path(base: i64, suffix: &str) -> PathBuf {
    Path::new(DIR).join(format!("{base:020}.{suffix}"))
}

fn open(fs: &SimFs) -> Result<DiskEngine, OpenError> {
    open_as(fs, true)
}

fn open_as(fs: &SimFs, is_clean: bool) -> Result<DiskEngine, OpenError> {
    let fs: Arc<dyn Fs> = Arc::new(fs.clone());
    fs.create_dir(Path::new(DIR)).expect("made");
    let checkpoint = |file: &str| {
        let opened = OffsetCheckpoint::open(Arc::clone(&fs), Path::new("/data").join(file));
        Arc::new(opened.expect("opened"))
    };
    let recovery_points = checkpoint("recovery-point-offset-checkpoint");
    // Below it files are believed.
    recovery_points.set("log-0", Offset(35));
    DiskEngine::open(DiskOptions {
        dir: Path::new(DIR).to_owned(),
        name: "log-0".to_owned(),
        log_starts: checkpoint("log-start-offset-checkpoint"),
        recovery_points,
        cleaned: checkpoint("cleaner-offset-checkpoint"),
        is_clean,
        doubtful_from: None,
        foundations: Unsynced::default(),
        index_interval_bytes: PACE.interval_bytes,
        now_ms: NOW_MS,
        fs,
    })
}

#[test]
fn a_segment_that_was_being_written_is_removed() {
    // Whole or in part; and so is what Kafka was about to delete.
    let log = Interrupted::new();
    log.put_all(".cleaned");
    log.is_undone();
    log.put("log", ".cleaned");
    log.put("log", ".deleted");
    log.is_undone();
}

#[test]
fn a_segment_that_was_being_renamed_is_removed() {
    // Some of its files say that it is complete, others that it is not.
    for renamed in 1..4 {
        let log = Interrupted::new();
        for suffix in &SUFFIXES[..renamed] {
            log.put(suffix, ".swap");
        }
        for suffix in &SUFFIXES[renamed..] {
            log.put(suffix, ".cleaned");
        }
        log.is_undone();
    }
}

#[test]
fn a_complete_segment_takes_the_place_of_the_old_ones() {
    // Of all of them, of those that are still there, and of none.
    for removed in [&[][..], &[10], &[20], &[10, 20]] {
        let log = Interrupted::new();
        log.put_all(".swap");
        for base in removed {
            log.remove(*base);
        }
        log.is_done();
    }
}

#[test]
fn a_complete_segment_that_has_some_of_its_names_gets_the_others() {
    // The batches first, as Kafka renames them.
    for renamed in 1..4 {
        let log = Interrupted::new();
        log.remove(10);
        log.remove(20);
        for suffix in &SUFFIXES[..renamed] {
            log.put(suffix, "");
        }
        for suffix in &SUFFIXES[renamed..] {
            log.put(suffix, ".swap");
        }
        log.is_done();
    }
}

#[test]
fn a_complete_segment_below_one_that_is_not_stays() {
    // Kafka renames the parts of a segment that was split from the last to the first; a compaction
    // further on was not finished here.
    let log = Interrupted::new();
    log.put_all(".swap");
    let unfinished = fs::with_suffix(&path(30, "log"), ".cleaned");
    fs::write_whole(&log.fs, &unfinished, &log.new["log"]).expect("written");
    log.is_done();
}

#[test]
fn an_empty_segment_replaces_what_it_begins_with() {
    // Nothing is left of the first one; the second one was not removed yet, and stays.
    let log = Interrupted::new();
    for suffix in ["log", "index", "timeindex"] {
        let path = fs::with_suffix(&path(10, suffix), ".swap");
        fs::write_whole(&log.fs, &path, b"").expect("written");
    }
    log.check(&[&log.before[..5], &log.before[10..]].concat());
    assert_eq!(log.fs.contents(&path(10, "txnindex")), None);
}

#[test]
fn a_complete_segment_that_cannot_be_read_is_an_error() {
    // It was synced before it was called complete.
    let log = Interrupted::new();
    log.put_all(".swap");
    log.fs
        .damage(&fs::with_suffix(&path(10, "log"), ".swap"), |bytes| {
            bytes[16] = 9;
        });
    let refused = open(&log.fs);
    assert!(matches!(refused, Err(OpenError::Corrupt { .. })));
}
