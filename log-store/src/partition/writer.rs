//! Ordered writing without holding a lock across a system call.
//!
//! Appends queue under the partition's lock. Whoever finds nobody writing becomes the writer: it
//! takes the whole queue, writes it outside of the lock, and looks again, until nothing is left.
//! So an append that nobody disturbs writes on its own thread, and appends that meet share a
//! system call.

use std::io;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use super::ends::{DurableSpan, Moved, WrittenGroup};
use super::{
    AbortedTxn, Durability, EpochStart, FsyncPolicy, LogOptions, Offline, Partition, State, append,
};
use crate::Offset;
use crate::batch::StampedBatch;
use crate::syncer::SyncTarget;

/// Bytes of batches that may be queued while somebody writes. An append that finds more waits for
/// the writer, as it would if it wrote itself.
const QUEUE_BYTES_MAX: usize = 64 << 20;

/// What the writer has to do, in order.
#[derive(Debug)]
pub(super) enum Queued {
    Batch {
        batch: StampedBatch,
        durability: Durability,
    },
    Roll {
        base: Offset,
        producers: Vec<u8>,
        now_ms: i64,
    },
    Epochs(Vec<EpochStart>),
    /// Follows the batch of its marker.
    Aborted(AbortedTxn),
}

/// The queue of one partition, under its lock.
#[derive(Debug, Default)]
pub(super) struct WriteQueue {
    items: Vec<Queued>,
    bytes: usize,
    is_writing: bool,
    /// Who waits for room, or for the queue to be written. Waking costs a system call even when nobody does.
    pub(super) waiting_count: usize,
}

impl WriteQueue {
    pub(super) fn push(&mut self, item: Queued) {
        if let Queued::Batch { batch, .. } = &item {
            self.bytes += batch.total_bytes();
        }
        self.items.push(item);
    }

    /// Whether the caller must now call [`Partition::write_out`].
    pub(super) fn start_writing(&mut self) -> bool {
        !std::mem::replace(&mut self.is_writing, true)
    }

    pub(super) fn is_writing(&self) -> bool {
        self.is_writing
    }

    fn has_room(&self) -> bool {
        !self.is_writing || self.bytes < QUEUE_BYTES_MAX
    }

    fn take(&mut self) -> Vec<Queued> {
        self.bytes = 0;
        std::mem::take(&mut self.items)
    }
}

impl Partition {
    /// The state of an open partition whose queue takes another batch.
    pub(super) fn lock_with_room(&self) -> Result<MutexGuard<'_, State>, Offline> {
        let mut state = self.lock_state()?;
        while !state.queue.has_room() {
            state.queue.waiting_count += 1;
            let Ok(woken) = self.drained.wait(state) else {
                return Err(self.go_offline("an append panicked".to_owned()));
            };
            state = woken;
            state.queue.waiting_count -= 1;
            self.check_online()?;
        }
        if state.is_closed {
            return Err(Offline::new("it is being closed"));
        }
        Ok(state)
    }

    /// Writes until nothing is queued. Only for whom [`WriteQueue::start_writing`] told to.
    pub(super) fn write_out(&self) {
        let turn = WriterTurn { partition: self };
        loop {
            let (items, options) = {
                let mut state = self.lock_any();
                let items = state.queue.take();
                if state.queue.waiting_count > 0 {
                    self.drained.notify_all();
                }
                if items.is_empty() {
                    state.queue.is_writing = false;
                    break;
                }
                (items, Arc::clone(&state.options))
            };
            if self.offline.get().is_some() {
                continue;
            }
            if let Err(error) = self.write_items(items, &options) {
                self.go_offline(format!("a write failed: {error}"));
            }
        }
        std::mem::forget(turn);
    }

    /// Makes durable what the engine has, and tells who waits for it.
    pub(super) fn sync_now(&self) {
        if self.offline.get().is_some() {
            return;
        }
        match self.engine.sync() {
            Ok(durable_end) => self.moved(self.ends.synced(durable_end)),
            Err(error) => {
                self.go_offline(format!("a sync failed: {error}"));
            }
        }
    }

    pub(super) fn moved(&self, moved: Moved) {
        self.waiters.moved(&moved);
    }

    fn write_items(&self, items: Vec<Queued>, options: &Arc<LogOptions>) -> io::Result<()> {
        let mut group = Group::default();
        for item in items {
            match item {
                Queued::Batch { batch, durability } => group.push(batch, durability),
                Queued::Roll {
                    base,
                    producers,
                    now_ms,
                } => {
                    self.write_group(&mut group, options)?;
                    self.engine.roll(base, &producers, now_ms)?;
                    if options.fsync != FsyncPolicy::Never {
                        self.request_sync();
                    }
                }
                Queued::Epochs(epochs) => self.engine.save_epochs(&epochs)?,
                Queued::Aborted(aborted) => {
                    self.write_group(&mut group, options)?;
                    self.engine.save_aborted(aborted)?;
                }
            }
        }
        self.write_group(&mut group, options)
    }

    fn write_group(&self, group: &mut Group, options: &Arc<LogOptions>) -> io::Result<()> {
        let Some(last) = group.batches.last() else {
            return Ok(());
        };
        let end = last.header().end_offset();
        let group = std::mem::take(group);
        self.engine
            .write(&group.batches, append::index_pace(options))?;
        self.moved(self.ends.wrote(WrittenGroup {
            end,
            bytes: group.bytes,
            durable: group.durable,
        }));
        let durable_end = self.engine.durable_end();
        if durable_end >= end {
            self.moved(self.ends.synced(durable_end));
        } else if group.durable.is_some() {
            self.request_sync();
        } else if let Some(flush_ms) = options.flush_ms
            && options.fsync != FsyncPolicy::Never
            && let Some(target) = self.as_target()
        {
            let delay = Duration::from_millis(flush_ms);
            self.sync_queue.request_within(&target, delay);
        }
        Ok(())
    }

    fn request_sync(&self) {
        if let Some(target) = self.as_target() {
            self.sync_queue.request(&target);
        }
    }

    fn as_target(&self) -> Option<Arc<dyn SyncTarget>> {
        let this: Arc<dyn SyncTarget> = self.this.upgrade()?;
        Some(this)
    }
}

/// Batches that go out together.
#[derive(Debug, Default)]
struct Group {
    batches: Vec<StampedBatch>,
    bytes: u64,
    durable: Option<DurableSpan>,
}

impl Group {
    fn push(&mut self, batch: StampedBatch, durability: Durability) {
        if durability == Durability::Durable {
            let end = batch.header().end_offset();
            let span = self.durable.get_or_insert(DurableSpan {
                base: batch.header().base_offset,
                bytes_before: self.bytes,
                end,
            });
            span.end = end;
        }
        self.bytes += batch.total_bytes() as u64;
        self.batches.push(batch);
    }
}

/// Takes the partition offline when the writer panics: nobody else would ever write again.
struct WriterTurn<'a> {
    partition: &'a Partition,
}

impl Drop for WriterTurn<'_> {
    fn drop(&mut self) {
        self.partition.lock_any().queue.is_writing = false;
        self.partition.go_offline("the writer panicked".to_owned());
    }
}
