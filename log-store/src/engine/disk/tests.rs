//! The disk engine alone: the conformance suite, and what it makes of damaged files.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoint::OffsetCheckpoint;
use super::fs::{Fs, OsFs};
use super::names;
use super::sim_fs::{PowerCut, SimFs};
use super::{DiskEngine, DiskOptions, Unsynced};
use crate::batch::{BatchHeader, StampedBatch, stamp};
use crate::engine::conformance::{self, Subject};
use crate::engine::{Engine, Filled, IndexPace, Landmarks, Replaced, SegmentRange};
use crate::partition::OpenError;
use crate::testing::{NOW_MS, Random, all_below, batches_of, plain_batch, read_headers};
use crate::{LeaderEpoch, Offset};

const ROOT: &str = "/logs";
const PACE: IndexPace = IndexPace {
    interval_bytes: 300,
};

struct OnDisk {
    fs: Arc<dyn Fs>,
    root: PathBuf,
    created: usize,
}

impl Subject for OnDisk {
    type Engine = DiskEngine;

    fn create(&mut self) -> DiskEngine {
        self.created += 1;
        DiskEngine::open(self.options(true)).expect("opened")
    }

    fn reopen(&mut self, engine: DiskEngine) -> Option<DiskEngine> {
        drop(engine);
        Some(DiskEngine::open(self.options(true)).expect("opened"))
    }
}

impl OnDisk {
    fn simulated(fs: &SimFs) -> OnDisk {
        OnDisk {
            fs: Arc::new(fs.clone()),
            root: Path::new(ROOT).to_owned(),
            created: 0,
        }
    }

    fn options(&self, is_clean: bool) -> DiskOptions {
        let name = format!("log-{}", self.created);
        let dir = self.root.join(&name);
        self.fs.create_dir(&dir).expect("made");
        let checkpoint = |file: &str| {
            let opened = OffsetCheckpoint::open(Arc::clone(&self.fs), self.root.join(file));
            Arc::new(opened.expect("opened"))
        };
        DiskOptions {
            fs: Arc::clone(&self.fs),
            dir,
            name,
            log_starts: checkpoint("log-start-offset-checkpoint"),
            recovery_points: checkpoint("recovery-point-offset-checkpoint"),
            cleaned: checkpoint("cleaner-offset-checkpoint"),
            is_clean,
            doubtful_from: None,
            foundations: Unsynced {
                files: BTreeSet::new(),
                dirs: BTreeSet::from([self.root.clone(), PathBuf::from("/")]),
            },
            index_interval_bytes: PACE.interval_bytes,
            now_ms: NOW_MS,
        }
    }
}

#[test]
fn the_disk_does_what_an_engine_must() {
    // The conformance suite, on real files.
    let root = tempfile::tempdir().expect("made");
    conformance::run(&mut OnDisk {
        fs: Arc::new(OsFs::default()),
        root: root.path().to_owned(),
        created: 0,
    });
}

#[test]
fn the_simulated_disk_does_what_an_engine_must() {
    // The conformance suite, on the file system that the crash tests stand on.
    conformance::run(&mut OnDisk::simulated(&SimFs::new()));
}

/// A log of two segments with ten batches each, all synced.
fn written_log(fs: &SimFs) -> (OnDisk, Vec<BatchHeader>) {
    let mut disk = OnDisk::simulated(fs);
    let engine = disk.create();
    let mut headers = write(&engine, 0);
    engine.roll(Offset(20), b"", NOW_MS).expect("rolls");
    headers.extend(write(&engine, 20));
    engine.sync().expect("syncs");
    (disk, headers)
}

/// Ten batches of two records from `base` on, one by one.
fn write(engine: &DiskEngine, base: i64) -> Vec<BatchHeader> {
    let stamped = |index: i64| -> StampedBatch {
        let batch = plain_batch(2, NOW_MS, 300);
        stamp(&batch, Offset(base + index * 2), LeaderEpoch(0))
    };
    let batches: Vec<StampedBatch> = (0..10).map(stamped).collect();
    for batch in &batches {
        engine
            .write(std::slice::from_ref(batch), PACE)
            .expect("writes");
    }
    batches.iter().map(|batch| *batch.header()).collect()
}

fn log_file(base: i64) -> PathBuf {
    names::log_path(&Path::new(ROOT).join("log-1"), Offset(base))
}

fn batch_bytes() -> usize {
    plain_batch(2, NOW_MS, 300).header().total_bytes()
}

#[test]
fn a_torn_tail_is_cut_off_wherever_it_is_torn() {
    // The last segment is cut at every length; what is whole stays.
    let original = SimFs::new();
    let (_, headers) = written_log(&original);
    for length in (0..10 * batch_bytes()).step_by(37) {
        let fs = original.kill();
        fs.damage(&log_file(20), |bytes| bytes.truncate(length));
        let disk = OnDisk {
            created: 1,
            ..OnDisk::simulated(&fs)
        };
        let engine = DiskEngine::open(disk.options(false)).expect("opened");
        let whole = 10 + length / batch_bytes();
        assert_eq!(engine.end(), Offset(2 * whole as i64));
        assert_eq!(engine.recovered_from(), Some(Offset(0)));
        let found = read_headers(&engine, all_below(engine.end()));
        assert_eq!(found, headers[..whole]);
        write(&engine, 2 * whole as i64);
        let found = read_headers(&engine, all_below(engine.end()));
        assert_eq!(found.len(), whole + 10);
    }
}

#[test]
fn garbage_behind_the_last_batch_is_cut_off() {
    // Zeros as a power cut leaves them, and worse.
    for garbage in [vec![0; 5000], vec![0xab; 700], vec![2; 61], vec![0; 3]] {
        let fs = SimFs::new();
        let (disk, headers) = written_log(&fs);
        fs.damage(&log_file(20), |bytes| bytes.extend(&garbage));
        let engine = DiskEngine::open(disk.options(false)).expect("opened");
        assert_eq!(engine.end(), Offset(40));
        assert_eq!(read_headers(&engine, all_below(Offset(40))), headers);
    }
}

#[test]
fn damage_in_the_middle_is_an_error_and_changes_nothing() {
    // One byte of a batch that valid ones follow, in the same segment or in the next one.
    for (base, batch) in [(20, 3), (0, 3), (0, 9)] {
        for at in [3, 9, 17, 30, 70, 400] {
            let fs = SimFs::new();
            let (disk, _) = written_log(&fs);
            let position = batch * batch_bytes() + at;
            fs.damage(&log_file(base), |bytes| bytes[position] ^= 0x55);
            let before = fs.contents(&log_file(base));
            let opened = DiskEngine::open(disk.options(false));
            // A length that points beyond the end of a segment looks as if the file had been cut
            // short when only later segments tell otherwise.
            let looks_cut_short = (base, batch, at) == (0, 9, 9);
            if looks_cut_short {
                assert_eq!(opened.expect("opened").end(), Offset(18));
                continue;
            }
            assert!(
                matches!(opened, Err(OpenError::Corrupt { .. })),
                "segment {base}, batch {batch}, byte {at}"
            );
            assert_eq!(fs.contents(&log_file(base)), before);
        }
    }
}

#[test]
fn what_is_below_the_recovery_point_is_not_checked() {
    // The segment of the recovery point is.
    let fs = SimFs::new();
    let (disk, headers) = written_log(&fs);
    let options = disk.options(false);
    options.recovery_points.set("log-1", Offset(25));
    let engine = DiskEngine::open(options).expect("opened");
    assert_eq!(engine.recovered_from(), Some(Offset(20)));
    assert_eq!(read_headers(&engine, all_below(Offset(40))), headers);
}

#[test]
fn landmarks_lead_to_the_recovery_point() {
    // Damage in front of it goes unnoticed, so nothing there was read; damage behind it does not.
    // Without a good index the check begins where the segment does.
    let fs = SimFs::new();
    let mut disk = OnDisk::simulated(&fs);
    let engine = disk.create();
    let mut headers = write(&engine, 0);
    engine.sync().expect("syncs");
    let base = engine.landmarks_due().expect("enough was written");
    let producers = Some((Offset(20), b"producers".to_vec()));
    let landmarks = Landmarks { base, producers };
    engine.save_landmarks(landmarks).expect("saves");
    assert_eq!(engine.landmarks_due(), None);
    headers.extend(write(&engine, 20));
    drop(engine);
    let open = |fs: &SimFs| {
        let disk = OnDisk {
            created: 1,
            ..OnDisk::simulated(fs)
        };
        let options = disk.options(false);
        options.recovery_points.set("log-1", Offset(18));
        DiskEngine::open(options)
    };
    let damaged = |offset: usize| {
        let fs = fs.kill();
        fs.damage(&log_file(0), |bytes| {
            bytes[(offset / 2 + 1) * batch_bytes() - 1] ^= 1;
        });
        fs
    };

    let engine = open(&fs.kill()).expect("opened");
    assert_eq!(engine.recovered_from(), Some(Offset(18)));
    assert_eq!(read_headers(&engine, all_below(Offset(40))), headers);
    let snapshot = engine.producers(Offset(30)).expect("reads");
    assert_eq!(snapshot, Some((Offset(20), b"producers".to_vec())));
    let engine = open(&damaged(16)).expect("opened");
    assert_eq!(engine.end(), Offset(40));
    let opened = open(&damaged(18));
    assert!(matches!(opened, Err(OpenError::Corrupt { .. })));

    let index = names::offset_index_path(&Path::new(ROOT).join("log-1"), Offset(0));
    let bytes = fs.contents(&index).expect("it is there").len();
    for at in 0..bytes {
        let fs = fs.kill();
        fs.damage(&index, |bytes| bytes[at] ^= 0x40);
        let engine = open(&fs).expect("opened");
        assert_eq!(engine.end(), Offset(40), "byte {at}");
        assert_eq!(read_headers(&engine, all_below(Offset(40))), headers);
    }
    fs.damage(&index, |bytes| bytes.truncate(bytes.len() - 3));
    let engine = open(&fs).expect("opened");
    assert_eq!(engine.recovered_from(), Some(Offset(0)));
}

#[test]
fn pages_that_were_never_written_are_no_damage() {
    // A power cut that keeps later writes and loses earlier ones leaves holes; everything from the
    // first one on is cut off, and nothing that was synced is.
    let mut holes = 0;
    for seed in 0..200 {
        let fs = SimFs::new();
        let (disk, headers) = written_log(&fs);
        let engine = DiskEngine::open(disk.options(false)).expect("opened");
        let more = write(&engine, 40);
        let fs = fs.cut_power(PowerCut::AnySectors, &mut Random(seed));
        let before_bytes = fs.contents(&log_file(20)).map_or(0, |bytes| bytes.len());
        let disk = OnDisk {
            created: 1,
            ..OnDisk::simulated(&fs)
        };
        let engine = DiskEngine::open(disk.options(false)).expect("opened");
        let found = read_headers(&engine, all_below(engine.end()));
        let all = [&headers[..], &more[..]].concat();
        assert!(found.len() >= 20, "seed {seed}");
        assert_eq!(found, all[..found.len()], "seed {seed}");
        let kept_bytes = fs.contents(&log_file(20)).map_or(0, |bytes| bytes.len());
        if before_bytes >= kept_bytes + 2 * batch_bytes() {
            holes += 1;
        }
    }
    assert!(holes > 20, "the test must meet holes, and met {holes}");
}

#[test]
fn missing_and_spoilt_indexes_are_made_anew() {
    // After a clean shutdown, in either segment.
    for base in [0, 20] {
        for spoil in [b"".as_slice(), b"12345", &[0; 8], &[0xff; 24]] {
            let fs = SimFs::new();
            let (disk, headers) = written_log(&fs);
            let engine = DiskEngine::open(disk.options(false)).expect("opened");
            engine.prepare_close(b"").expect("prepares");
            engine.close().expect("closes");
            let dir = Path::new(ROOT).join("log-1");
            fs.damage(&names::offset_index_path(&dir, Offset(base)), |bytes| {
                *bytes = spoil.to_vec();
            });
            fs.damage(&names::time_index_path(&dir, Offset(base)), |bytes| {
                *bytes = spoil.to_vec();
            });
            let engine = DiskEngine::open(disk.options(true)).expect("opened");
            assert_eq!(engine.end(), Offset(40));
            for from in 0..40 {
                let range = crate::engine::ReadRange {
                    from: Offset(from),
                    ..all_below(Offset(40))
                };
                assert_eq!(read_headers(&engine, range), headers[from as usize / 2..]);
            }
        }
    }
}

#[test]
fn whoever_is_at_the_log_goes_on_in_the_segment_that_replaces_it() {
    // Both sealed segments become one while the first of them is being read: every batch is seen
    // once, whether its own segment or the next one is gone when it goes on.
    for first in 0..20 {
        let fs = SimFs::new();
        let (disk, headers) = written_log(&fs);
        let engine = DiskEngine::open(disk.options(true)).expect("opened");
        engine.roll(Offset(40), b"", NOW_MS).expect("rolls");
        let batches = batches_of(&engine.read(all_below(Offset(40))).expect("reads"));
        let mut seen = Vec::new();
        let scanned = engine.scan(Offset(0), &mut |header| {
            if seen.len() == first {
                let range = SegmentRange {
                    base: Offset(0),
                    end: Offset(40),
                };
                let replaced = engine.replace(range, PACE, &mut |sink| {
                    batches.iter().try_for_each(|batch| sink.push(batch))?;
                    Ok(Filled::Completely {
                        aborted: Vec::new(),
                    })
                });
                assert_eq!(replaced.expect("replaces"), Replaced::Done);
            }
            seen.push(*header);
            ControlFlow::Continue(())
        });
        scanned.expect("scans");
        assert_eq!(seen, headers, "replaced at batch {first}");
    }
}

#[test]
fn only_a_few_sealed_segments_stay_open() {
    // However many are read.
    let root = tempfile::tempdir().expect("made");
    let mut disk = OnDisk {
        fs: Arc::new(OsFs::default()),
        root: root.path().to_owned(),
        created: 0,
    };
    let engine = disk.create();
    for base in (0..200).step_by(20) {
        engine.roll(Offset(base), b"", NOW_MS).expect("rolls");
        write(&engine, base);
    }
    assert_eq!(read_headers(&engine, all_below(Offset(200))).len(), 100);
    let open = engine
        .read_segments()
        .iter()
        .filter(|segment| segment.opened().is_some())
        .count();
    assert_eq!(open, super::SEALED_OPEN_MAX + 1);
}
