//! Random histories of one log, by seed, against a model: appends with retries and gaps, reads,
//! deletions, retention, clean restarts, kills and power cuts.
//!
//! What must hold after each restart: the log is a prefix of what was appended; nothing that was
//! seen committed with the promise of the disk is missing; after a kill nothing that was written is
//! missing; a retry of a producer's last batch is still a duplicate; and everything goes on.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::{LogDir, LogOpening, MetaProperties};
use crate::batch::{Batch, BatchHeader};
use crate::engine::FirstBatch;
use crate::engine::disk::sim_fs::{PowerCut, SimFs};
use crate::partition::{
    AppendError, Appended, Durability, Ends, LogOptions, Partition, ReadError, ReadLimit,
};
use crate::testing::{NOW_MS, Random, append, block_on, headers_of, idempotent_batch, plain_batch};
use crate::{LeaderEpoch, Offset};

const NAME: &str = "orders-0";
const SEEDS: u64 = 200;
const STEPS: u64 = 80;
const PRODUCERS: u64 = 3;

#[test]
fn a_log_survives_whatever_happens_to_its_process_and_its_power() {
    for seed in 0..SEEDS {
        let mut history = History::begin(seed);
        for _ in 0..STEPS {
            history.step();
        }
        history.check_contents();
    }
}

struct History {
    seed: u64,
    random: Random,
    fs: SimFs,
    dir: Option<LogDir>,
    partition: Arc<Partition>,
    epoch: i32,
    /// Everything that was ever appended and not lost since, trimmed or not.
    batches: Vec<Modelled>,
    log_start: Offset,
    /// The largest log start that records were deleted up to.
    deleted_before: Offset,
    first_producer: u64,
    next_sequences: BTreeMap<u64, i32>,
}

#[derive(Clone, Debug)]
struct Modelled {
    batch: Batch,
    base: Offset,
    end: Offset,
    epoch: i32,
    durability: Durability,
}

impl History {
    fn begin(seed: u64) -> History {
        let fs = SimFs::new();
        let (dir, partition) = open(&fs, 0, seed);
        History {
            seed,
            random: Random(seed),
            fs,
            dir: Some(dir),
            partition,
            epoch: 0,
            batches: Vec::new(),
            log_start: Offset::ZERO,
            deleted_before: Offset::ZERO,
            first_producer: 0,
            next_sequences: BTreeMap::new(),
        }
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..40 => self.append_plain(),
            40..65 => self.append_next(),
            65..70 => self.append_duplicate(),
            70..73 => self.append_gap(),
            73..82 => self.check_contents(),
            82..85 => self.delete_records(),
            85..88 => self.retain(),
            88..91 => self.checkpoint(),
            91..94 => self.restart_cleanly(),
            94..97 => self.kill(),
            _ => self.cut_power(),
        }
        let ends = self.partition.ends();
        assert!(ends.log_start <= ends.last_stable, "{}", self.context());
        assert!(
            ends.last_stable <= ends.high_watermark,
            "{}",
            self.context()
        );
        assert!(
            ends.high_watermark <= ends.written_end,
            "{}",
            self.context()
        );
        assert!(ends.durable_end <= ends.written_end, "{}", self.context());
        // Whoever appends writes, so nothing is queued between two steps.
        assert_eq!(ends.written_end, ends.log_end, "{}", self.context());
        assert_eq!(ends.log_end, self.log_end(), "{}", self.context());
    }

    fn append_plain(&mut self) {
        let record_count = 1 + self.random.below(4) as i32;
        let value_bytes = self.random.below(120) as usize;
        let timestamp_ms = NOW_MS + self.random.below(1000) as i64;
        let batch = plain_batch(record_count, timestamp_ms, value_bytes);
        self.append(batch);
    }

    fn append_next(&mut self) {
        let producer = self.random_producer();
        let record_count = 1 + self.random.below(4) as i32;
        let sequence = self.next_sequences.get(&producer).copied().unwrap_or(0);
        let batch = idempotent_batch(producer as i64, 0, sequence, record_count);
        self.append(batch);
        self.next_sequences
            .insert(producer, sequence + record_count);
    }

    fn append(&mut self, batch: Batch) {
        let durability = if self.random.one_in(2) {
            Durability::Durable
        } else {
            Durability::Unsynced
        };
        let appended = append(&self.partition, &batch, durability).expect("it may be appended");
        assert_eq!(appended.base_offset, self.log_end(), "{}", self.context());
        assert!(!appended.is_duplicate);
        self.batches.push(Modelled {
            base: appended.base_offset,
            end: appended.end_offset(),
            epoch: self.epoch,
            batch,
            durability,
        });
        if self.random.one_in(2) {
            let end = appended.end_offset();
            block_on(self.partition.committed(end)).expect("it is committed");
        }
    }

    fn append_duplicate(&mut self) {
        let producer = self.random_producer();
        let last = self.last_of(producer).cloned();
        if let Some(last) = last {
            self.check_duplicate(&last);
        }
    }

    fn check_duplicate(&self, last: &Modelled) {
        let answer = append(&self.partition, &last.batch, Durability::Unsynced);
        let expected = Appended {
            base_offset: last.base,
            last_offset: last.end.plus(-1),
            log_append_time_ms: last.batch.header().max_timestamp_ms,
            log_start_offset: self.log_start,
            is_duplicate: true,
        };
        assert_eq!(answer, Ok(expected), "{}", self.context());
    }

    fn append_gap(&mut self) {
        let producer = self.random_producer();
        let Some(last) = self.last_of(producer) else {
            return;
        };
        let sequence = last.batch.header().last_sequence() + 2;
        let batch = idempotent_batch(producer as i64, 0, sequence, 1);
        let refused = append(&self.partition, &batch, Durability::Unsynced);
        assert!(
            matches!(refused, Err(AppendError::OutOfOrderSequence { .. })),
            "{refused:?}: {}",
            self.context()
        );
    }

    fn delete_records(&mut self) {
        let high_watermark = self.partition.high_watermark();
        let span = high_watermark.distance_from(self.log_start) as u64;
        let offset = self.log_start.plus(self.random.below(span + 1) as i64);
        let deleted = self.partition.delete_records_before(offset);
        assert_eq!(deleted, Ok(offset), "{}", self.context());
        self.log_start = offset;
        self.deleted_before = self.deleted_before.max(offset);
        let beyond = self.log_end().plus(1);
        assert!(self.partition.delete_records_before(beyond).is_err());
    }

    fn retain(&mut self) {
        let before = self.partition.size_bytes();
        let retained = self.partition.apply_retention(NOW_MS).expect("it works");
        let after = self.partition.size_bytes();
        assert_eq!(before - after, retained.deleted_bytes, "{}", self.context());
        let log_start = self.partition.log_start();
        assert!(log_start >= self.log_start, "{}", self.context());
        self.log_start = log_start;
    }

    fn checkpoint(&self) {
        let dir = self.dir.as_ref().expect("it is open");
        dir.checkpoint().expect("it works");
    }

    fn restart_cleanly(&mut self) {
        let dir = self.dir.take().expect("it is open");
        dir.close(1).expect("it closes");
        drop(dir);
        self.fs = self.fs.kill();
        self.reopen();
        assert_eq!(
            self.partition.log_end(),
            self.log_end(),
            "{}",
            self.context()
        );
        assert_eq!(
            self.partition.log_start(),
            self.log_start,
            "{}",
            self.context()
        );
        self.check_after_restart();
    }

    fn kill(&mut self) {
        self.fs = self.fs.kill();
        self.reopen();
        assert_eq!(
            self.partition.log_end(),
            self.log_end(),
            "{}",
            self.context()
        );
        self.adopt_log_start();
        self.check_after_restart();
    }

    fn cut_power(&mut self) {
        let high_watermark = self.partition.high_watermark();
        self.fs = self.fs.cut_power(
            if self.random.one_in(2) {
                PowerCut::InOrder
            } else {
                PowerCut::AnySectors
            },
            &mut self.random,
        );
        self.reopen();
        let log_end = self.partition.log_end();
        let promised = self
            .batches
            .iter()
            .rfind(|batch| batch.durability == Durability::Durable && batch.end <= high_watermark)
            .map_or(Offset::ZERO, |batch| batch.end);
        assert!(
            log_end >= promised,
            "{promised} was promised, the log ends at {log_end}: {}",
            self.context()
        );
        self.batches.retain(|batch| batch.end <= log_end);
        self.adopt_log_start();
        if log_end == self.deleted_before {
            // Records were deleted perhaps up to a point that the disk had not reached: then the
            // log begins anew, and what its producers had written last is not known any more.
            self.batches.clear();
            self.first_producer += PRODUCERS;
        }
        assert_eq!(log_end, self.log_end(), "{}", self.context());
        self.next_sequences.clear();
        for producer in self.producers() {
            if let Some(last) = self.last_of(producer) {
                let next = last.batch.header().last_sequence() + 1;
                self.next_sequences.insert(producer, next);
            }
        }
        self.check_after_restart();
    }

    fn reopen(&mut self) {
        self.dir = None;
        self.epoch += self.random.below(2) as i32;
        let (dir, partition) = open(&self.fs, self.epoch, self.seed);
        self.dir = Some(dir);
        self.partition = partition;
    }

    /// Retention that was not synced may be undone; deleted records stay deleted.
    fn adopt_log_start(&mut self) {
        let log_start = self.partition.log_start();
        assert!(log_start >= self.deleted_before, "{}", self.context());
        assert!(log_start <= self.log_start, "{}", self.context());
        self.log_start = log_start;
    }

    fn check_after_restart(&self) {
        let ends = self.partition.ends();
        assert_eq!(ends.high_watermark, ends.log_end, "{}", self.context());
        self.check_contents();
        for producer in self.producers() {
            if let Some(last) = self.last_of(producer) {
                self.check_duplicate(last);
            }
        }
        let end = self.partition.epoch_end_offset(LeaderEpoch(self.epoch)).end;
        assert_eq!(end, ends.log_end, "{}", self.context());
    }

    /// Reads everything, and from a few random places.
    fn check_contents(&self) {
        let mut random = self.random.clone();
        for limit in [
            ReadLimit::LogEnd,
            ReadLimit::HighWatermark,
            ReadLimit::LastStable,
        ] {
            self.check_read(self.log_start, usize::MAX >> 1, limit);
            let span = self.log_end().distance_from(self.log_start) as u64;
            for _ in 0..3 {
                let from = self.log_start.plus(random.below(span + 1) as i64);
                self.check_read(from, random.below(2000) as usize, limit);
            }
        }
        let beyond = self.log_end().plus(1);
        let refused = self
            .partition
            .read(beyond, 1, FirstBatch::Always, ReadLimit::HighWatermark);
        assert!(matches!(refused, Err(ReadError::OffsetOutOfRange { .. })));
    }

    fn check_read(&self, from: Offset, bytes_max: usize, limit: ReadLimit) {
        let read = self
            .partition
            .read(from, bytes_max, FirstBatch::Always, limit)
            .expect("it can be read");
        let end = Ends::at(&read.ends, limit);
        let mut left_bytes = bytes_max;
        let mut expected: Vec<BatchHeader> = Vec::new();
        for modelled in &self.batches {
            if modelled.end <= from || modelled.end > end {
                continue;
            }
            let batch_bytes = modelled.batch.header().total_bytes();
            if batch_bytes > left_bytes && !expected.is_empty() {
                break;
            }
            left_bytes = left_bytes.saturating_sub(batch_bytes);
            expected.push(BatchHeader {
                base_offset: modelled.base,
                partition_leader_epoch: LeaderEpoch(modelled.epoch),
                ..*modelled.batch.header()
            });
        }
        let found = headers_of(&read.slices);
        assert_eq!(
            found,
            expected,
            "from {from}, {bytes_max} bytes, {limit:?}: {}",
            self.context()
        );
    }

    fn producers(&self) -> Range<u64> {
        self.first_producer..self.first_producer + PRODUCERS
    }

    fn random_producer(&mut self) -> u64 {
        self.first_producer + self.random.below(PRODUCERS)
    }

    fn last_of(&self, producer: u64) -> Option<&Modelled> {
        self.batches
            .iter()
            .rfind(|batch| batch.batch.header().producer_id.0 == producer as i64)
    }

    fn log_end(&self) -> Offset {
        let last = self.batches.last();
        last.map_or(self.log_start, |batch| batch.end)
    }

    fn context(&self) -> String {
        format!("seed {}: {:?}", self.seed, self.partition)
    }
}

fn open(fs: &SimFs, epoch: i32, seed: u64) -> (LogDir, Arc<Partition>) {
    let meta = MetaProperties {
        cluster_id: "cluster".to_owned(),
        node_id: 1,
        directory_id: "directory".to_owned(),
    };
    let dir = LogDir::open_on(Arc::new(fs.clone()), Path::new("/data"), meta);
    let dir = dir.expect("the directory opens");
    let log = LogOptions {
        segment_bytes: 1500,
        index_interval_bytes: 200,
        retention_bytes: Some(6000),
        ..LogOptions::default()
    };
    let opening = LogOpening {
        leader_epoch: LeaderEpoch(epoch),
        log,
        now_ms: NOW_MS,
    };
    let partition = dir.open_partition(NAME, "version: 0", opening);
    let partition = partition.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    (dir, partition)
}
