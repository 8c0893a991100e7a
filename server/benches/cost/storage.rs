//! Checking batches and appending them, without a request around.

use std::hint::black_box;
use std::sync::Arc;

use klamm_log_store::batch::{self, Compression, CompressionTarget, Origin, Rules, TimestampType};
use klamm_log_store::engine::FirstBatch;
use klamm_log_store::engine::memory::MemoryEngine;
use klamm_log_store::log_dir::{LogDir, LogOpening, MetaProperties};
use klamm_log_store::partition::{
    AppendOptions, Durability, FsyncPolicy, LogOptions, OpenOptions, Partition, ReadLimit,
};
use klamm_log_store::{LeaderEpoch, Syncer};

use crate::harness::{Benchmark, Step};
use crate::records::{NOW_MS, Shape};

pub const BENCHMARKS: &[Benchmark] = &[
    Benchmark {
        name: "validate, 1 x 1 KB",
        prepare: || validate(Shape::plain(1, 1000)),
    },
    Benchmark {
        name: "validate, 100 x 100 B",
        prepare: || validate(Shape::hundred(Compression::None)),
    },
    Benchmark {
        name: "validate, 500 x 1 KB",
        prepare: || validate(Shape::plain(500, 1000)),
    },
    Benchmark {
        name: "validate, 100 x 100 B, lz4",
        prepare: || validate(Shape::hundred(Compression::Lz4(9))),
    },
    Benchmark {
        name: "validate, 100 x 100 B, zstd",
        prepare: || validate(Shape::hundred(Compression::Zstd(3))),
    },
    Benchmark {
        name: "append in memory, 1 x 1 KB",
        prepare: || append(in_memory()),
    },
    Benchmark {
        name: "append on disk, 1 x 1 KB",
        prepare: || append(on_disk()),
    },
    Benchmark {
        name: "read from disk, the last of 2000 batches",
        prepare: read_last,
    },
    Benchmark {
        name: "read from disk, 1 MB of 2 MB",
        prepare: read_much,
    },
];

fn validate(shape: Shape) -> Step {
    let bytes = shape.bytes();
    let rules = Rules {
        max_batch_bytes: 1 << 20,
        segment_bytes_max: 1 << 30,
        decompressed_bytes_max: 64 << 20,
        timestamp_type: TimestampType::CreateTime,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: i64::MAX,
        compression: CompressionTarget::Producer,
        requires_keys: false,
        allows_zstd: true,
        origin: Origin::Client,
        now_ms: NOW_MS,
    };
    Box::new(move || {
        let batch = batch::validate(black_box(bytes.clone()), &rules);
        black_box(batch.expect("the batch is valid"));
    })
}

fn append(log: Log) -> Step {
    let batch = Shape::plain(1, 1000).batch();
    Box::new(move || log.append(black_box(&batch)))
}

fn read_last() -> Step {
    let log = on_disk();
    let batch = Shape::plain(1, 1000).batch();
    for _ in 0..2000 {
        log.append(&batch);
    }
    let from = log.partition.log_end().plus(-1);
    Box::new(move || {
        let read = log
            .partition
            .read(from, 1 << 20, FirstBatch::Always, ReadLimit::HighWatermark);
        black_box(read.expect("the record is there"));
    })
}

fn read_much() -> Step {
    let log = on_disk();
    let batch = Shape::plain(1, 1000).batch();
    for _ in 0..2000 {
        log.append(&batch);
    }
    let from = log.partition.log_start();
    Box::new(move || {
        let read = log
            .partition
            .read(from, 1 << 20, FirstBatch::Always, ReadLimit::HighWatermark);
        black_box(read.expect("the records are there"));
    })
}

/// A log with what it stands on.
struct Log {
    partition: Arc<Partition>,
    _dir: Option<(LogDir, tempfile::TempDir)>,
}

impl Log {
    fn append(&self, batch: &batch::Batch) {
        let options = AppendOptions::client(Durability::Durable, NOW_MS);
        let appended = self.partition.append(batch, options);
        black_box(appended.expect("the batch is appended"));
    }
}

/// Nothing is synced: the disk is not what is measured.
fn options() -> LogOptions {
    LogOptions {
        fsync: FsyncPolicy::Never,
        ..LogOptions::default()
    }
}

fn in_memory() -> Log {
    let partition = Partition::open(
        Box::new(MemoryEngine::new(NOW_MS)),
        OpenOptions {
            leader_epoch: LeaderEpoch(0),
            log: options(),
            now_ms: NOW_MS,
            sync_queue: Syncer::new().queue(),
        },
    );
    Log {
        partition: partition.expect("an empty log opens"),
        _dir: None,
    }
}

fn on_disk() -> Log {
    let temporary = tempfile::tempdir().expect("there is a directory for temporary files");
    let meta = MetaProperties {
        cluster_id: "benchmark".to_owned(),
        node_id: 1,
        directory_id: "benchmark".to_owned(),
    };
    let dir = LogDir::open(temporary.path(), meta).expect("a new directory opens");
    let opening = LogOpening {
        leader_epoch: LeaderEpoch(0),
        log: options(),
        now_ms: NOW_MS,
    };
    let partition = dir
        .open_partition("log-0", "", opening)
        .expect("a new log opens");
    Log {
        partition,
        _dir: Some((dir, temporary)),
    }
}
