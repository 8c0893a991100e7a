//! What the tests of this crate share.

pub(crate) mod records;
pub(crate) mod workload;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::batch::{Batch, BatchBuilder, BatchHeader, BatchSettings, RawBatch};
use crate::engine::{Engine, FirstBatch, ReadRange};
use crate::partition::{AppendError, AppendOptions, Appended, Durability, Partition};
use crate::slice::Slice;
use crate::{Offset, ProducerEpoch, ProducerId};

/// How long a test waits for what must happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// The clock of tests that need none.
pub(crate) const NOW_MS: i64 = 1_700_000_000_000;

/// Random numbers that a seed repeats (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// A batch of a producer without id.
pub(crate) fn plain_batch(record_count: i32, timestamp_ms: i64, value_bytes: usize) -> Batch {
    build(
        BatchSettings::default(),
        record_count,
        timestamp_ms,
        value_bytes,
    )
}

/// A batch of an idempotent producer.
pub(crate) fn idempotent_batch(
    producer_id: i64,
    epoch: i16,
    base_sequence: i32,
    record_count: i32,
) -> Batch {
    let settings = BatchSettings {
        producer_id: ProducerId(producer_id),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence,
        ..BatchSettings::default()
    };
    build(settings, record_count, NOW_MS, 10)
}

/// As [`idempotent_batch`], within a transaction.
pub(crate) fn transactional_batch(
    producer_id: i64,
    epoch: i16,
    base_sequence: i32,
    record_count: i32,
) -> Batch {
    let settings = BatchSettings {
        producer_id: ProducerId(producer_id),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence,
        is_transactional: true,
        ..BatchSettings::default()
    };
    build(settings, record_count, NOW_MS, 10)
}

fn build(
    settings: BatchSettings,
    record_count: i32,
    timestamp_ms: i64,
    value_bytes: usize,
) -> Batch {
    let mut builder = BatchBuilder::new(settings);
    let value = vec![b'v'; value_bytes];
    for index in 0..record_count {
        let key = index.to_be_bytes();
        builder.push(
            timestamp_ms + i64::from(index),
            Some(&key),
            Some(&value),
            &[],
        );
    }
    builder.build().expect("a small batch")
}

pub(crate) fn append(
    partition: &Partition,
    batch: &Batch,
    durability: Durability,
) -> Result<Appended, AppendError> {
    partition.append(batch, AppendOptions::client(durability, NOW_MS))
}

/// The headers of the batches that an engine returns for `range`.
pub(crate) fn read_headers(engine: &dyn Engine, range: ReadRange) -> Vec<BatchHeader> {
    headers_of(&engine.read(range).expect("reading works"))
}

/// Everything below `end`.
pub(crate) fn all_below(end: Offset) -> ReadRange {
    ReadRange {
        from: Offset::ZERO,
        end,
        bytes_max: usize::MAX >> 1,
        first_batch: FirstBatch::Always,
    }
}

/// The batches in `slices`, every one of which must be whole and valid.
pub(crate) fn batches_of(slices: &[Slice]) -> Vec<Batch> {
    let mut batches = Vec::new();
    for slice in slices {
        let mut bytes: Bytes = slice.read_to_bytes().expect("the slice can be read");
        assert_eq!(bytes.len(), slice.len_bytes());
        while !bytes.is_empty() {
            let batch = RawBatch::split_from(&mut bytes).expect("whole batches");
            batches.push(batch.check().expect("valid batches"));
        }
    }
    batches
}

/// The headers of [`batches_of`].
pub(crate) fn headers_of(slices: &[Slice]) -> Vec<BatchHeader> {
    batches_of(slices)
        .iter()
        .map(|batch| *batch.header())
        .collect()
}

/// Runs a future on this thread; panics at the deadline.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let started = Instant::now();
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => {
                let left = DEADLINE.saturating_sub(started.elapsed());
                assert!(!left.is_zero(), "the future was not woken in time");
                thread::park_timeout(left);
            }
        }
    }
}

/// Whether a future is ready at once.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}
