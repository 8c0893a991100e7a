//! Partitions over the engine in memory, and over a disk that does as it is told.

mod committing;
mod compacting;
mod compaction;
mod producing;
mod reading;
mod transactions;
mod verification;
mod waiting;

use std::path::Path;
use std::sync::Arc;

use super::{LogOptions, OpenOptions, Partition};
use crate::engine::disk::sim_fs::SimFs;
use crate::engine::memory::MemoryEngine;
use crate::log_dir::{LogDir, LogOpening, MetaProperties};
use crate::testing::NOW_MS;
use crate::{LeaderEpoch, Syncer};

/// A partition in memory, at leader epoch 5.
fn in_memory(log: LogOptions) -> Arc<Partition> {
    let options = OpenOptions {
        leader_epoch: LeaderEpoch(5),
        log,
        now_ms: NOW_MS,
        sync_queue: Syncer::new().queue(),
    };
    Partition::open(Box::new(MemoryEngine::new(NOW_MS)), options).expect("it opens")
}

/// A partition on a simulated disk.
struct OnDisk {
    fs: SimFs,
    dir: LogDir,
    partition: Arc<Partition>,
}

impl OnDisk {
    fn new(log: LogOptions) -> OnDisk {
        OnDisk::open(SimFs::new(), log)
    }

    fn open(fs: SimFs, log: LogOptions) -> OnDisk {
        let meta = MetaProperties {
            cluster_id: "cluster".to_owned(),
            node_id: 1,
            directory_id: "directory".to_owned(),
        };
        let dir = LogDir::open_on(Arc::new(fs.clone()), Path::new("/data"), meta);
        let dir = dir.expect("the directory opens");
        let opening = LogOpening {
            leader_epoch: LeaderEpoch(5),
            log,
            now_ms: NOW_MS,
        };
        let partition = dir.open_partition("orders-0", "version: 0", opening);
        OnDisk {
            fs,
            dir,
            partition: partition.expect("the log opens"),
        }
    }

    /// Closes everything and opens it again.
    fn restart(self) -> OnDisk {
        let log = (*self.partition.options()).clone();
        self.dir.close(1).expect("it closes");
        let fs = self.fs.kill();
        drop(self);
        OnDisk::open(fs, log)
    }

    /// As a new process would find it.
    fn kill(self) -> OnDisk {
        let log = (*self.partition.options()).clone();
        OnDisk::open(self.fs.kill(), log)
    }
}
