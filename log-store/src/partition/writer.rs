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
use crate::engine::IndexPace;
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

    /// Whether nothing is queued and nobody writes.
    pub(super) fn is_idle(&self) -> bool {
        !self.is_writing && self.items.is_empty()
    }

    /// Whether the caller is the writer from now on.
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

    /// Takes one's turn as the writer, until nothing is queued.
    pub(super) fn write_out(&self, turn: Turn) {
        let first = match turn {
            Turn::Nothing => return,
            Turn::Queue => None,
            Turn::Alone {
                batch,
                durability,
                terms,
            } => Some((Group::of(&batch, durability), batch, terms)),
        };
        let turn = WriterTurn { partition: self };
        if let Some((group, batch, terms)) = first {
            self.write_unless_offline(|| self.write_batches(&[batch], group, terms));
        }
        loop {
            let (items, terms) = {
                let mut state = self.lock_any();
                let items = state.queue.take();
                if state.queue.waiting_count > 0 {
                    self.drained.notify_all();
                }
                if items.is_empty() {
                    state.queue.is_writing = false;
                    break;
                }
                (items, WriteTerms::of(&state.options))
            };
            self.write_unless_offline(|| self.write_items(items, terms));
        }
        std::mem::forget(turn);
    }

    fn write_unless_offline(&self, write: impl FnOnce() -> io::Result<()>) {
        if self.offline.get().is_some() {
            return;
        }
        if let Err(error) = write() {
            self.go_offline(format!("a write failed: {error}"));
        }
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

    fn write_items(&self, items: Vec<Queued>, terms: WriteTerms) -> io::Result<()> {
        let mut batches = Vec::with_capacity(items.len());
        let mut group = Group::default();
        for item in items {
            match item {
                Queued::Batch { batch, durability } => {
                    group.add(&batch, durability);
                    batches.push(batch);
                }
                Queued::Roll {
                    base,
                    producers,
                    now_ms,
                } => {
                    self.write_batches(&batches, std::mem::take(&mut group), terms)?;
                    batches.clear();
                    self.engine.roll(base, &producers, now_ms)?;
                    if terms.fsync != FsyncPolicy::Never {
                        self.request_sync();
                    }
                }
                Queued::Epochs(epochs) => self.engine.save_epochs(&epochs)?,
                Queued::Aborted(aborted) => {
                    self.write_batches(&batches, std::mem::take(&mut group), terms)?;
                    batches.clear();
                    self.engine.save_aborted(aborted)?;
                }
            }
        }
        self.write_batches(&batches, group, terms)
    }

    /// `group` is what `batches` are together.
    fn write_batches(
        &self,
        batches: &[StampedBatch],
        group: Group,
        terms: WriteTerms,
    ) -> io::Result<()> {
        let Some(last) = batches.last() else {
            return Ok(());
        };
        let end = last.header().end_offset();
        self.engine.write(batches, terms.pace)?;
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
        } else if let Some(flush_ms) = terms.flush_ms
            && terms.fsync != FsyncPolicy::Never
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

/// What an appender has to write, once it has let go of the partition's lock.
#[derive(Debug)]
pub(super) enum Turn {
    /// Somebody else writes, and will write this too.
    Nothing,
    /// Its batch, before anything that is queued meanwhile. The batch of an append that nobody disturbs need not go
    /// through the queue.
    Alone {
        batch: StampedBatch,
        durability: Durability,
        terms: WriteTerms,
    },
    /// What is queued.
    Queue,
}

/// What the log's settings mean for a write.
#[derive(Clone, Copy, Debug)]
pub(super) struct WriteTerms {
    pace: IndexPace,
    fsync: FsyncPolicy,
    flush_ms: Option<u64>,
}

impl WriteTerms {
    pub(super) fn of(options: &LogOptions) -> WriteTerms {
        WriteTerms {
            pace: append::index_pace(options),
            fsync: options.fsync,
            flush_ms: options.flush_ms,
        }
    }
}

/// What batches that go out together amount to.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    bytes: u64,
    durable: Option<DurableSpan>,
}

impl Group {
    fn of(batch: &StampedBatch, durability: Durability) -> Group {
        let mut group = Group::default();
        group.add(batch, durability);
        group
    }

    fn add(&mut self, batch: &StampedBatch, durability: Durability) {
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
