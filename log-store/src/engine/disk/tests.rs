//! The disk engine alone: the conformance suite, on the machine's file system and on the simulated
//! one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoint::OffsetCheckpoint;
use super::fs::{Fs, OsFs};
use super::sim_fs::SimFs;
use super::{DiskEngine, DiskOptions, Unsynced};
use crate::engine::conformance::{self, Subject};
use crate::testing::NOW_MS;

struct OnDisk {
    fs: Arc<dyn Fs>,
    root: PathBuf,
    created: usize,
}

impl OnDisk {
    fn options(&self) -> DiskOptions {
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
            is_clean: true,
            unsynced: Unsynced::default(),
            index_interval_bytes: 300,
            now_ms: NOW_MS,
        }
    }
}

impl Subject for OnDisk {
    type Engine = DiskEngine;

    fn create(&mut self) -> DiskEngine {
        self.created += 1;
        DiskEngine::open(self.options()).expect("opened")
    }

    fn reopen(&mut self, engine: DiskEngine) -> Option<DiskEngine> {
        drop(engine);
        Some(DiskEngine::open(self.options()).expect("opened"))
    }
}

#[test]
fn the_disk_does_what_an_engine_must() {
    // The conformance suite, on real files.
    let root = tempfile::tempdir().expect("made");
    conformance::run(&mut OnDisk {
        fs: Arc::new(OsFs),
        root: root.path().to_owned(),
        created: 0,
    });
}

#[test]
fn the_simulated_disk_does_what_an_engine_must() {
    // The conformance suite, on the file system that the crash tests stand on.
    conformance::run(&mut OnDisk {
        fs: Arc::new(SimFs::new()),
        root: Path::new("/logs").to_owned(),
        created: 0,
    });
}
