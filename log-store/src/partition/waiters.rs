//! Who waits for a log to move, and how they are woken.
//!
//! There is one mechanism for produce answers, coordinators and long-poll fetches. Waiters
//! register before they look, movers publish before they wake, and both pass through one short
//! lock per partition: nobody misses a wake, and nothing polls. A waiter that is dropped takes
//! itself off every list, so the lists are as long as there are waiters.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::ends::{Moved, ReadLimit};
use super::{Offline, Partition};
use crate::Offset;

/// Resolves when an end of the log has reached an offset, or the partition is offline.
///
/// Made by [`Partition::committed`] and [`Partition::written`]. Dropping it is harmless.
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct Reached {
    partition: Arc<Partition>,
    limit: ReadLimit,
    target: Offset,
    id: Option<u64>,
}

impl Reached {
    pub(super) fn new(partition: Arc<Partition>, limit: ReadLimit, target: Offset) -> Reached {
        Reached {
            partition,
            limit,
            target,
            id: None,
        }
    }

    fn deregister(&mut self) {
        if let Some(id) = self.id.take() {
            let mut lists = self.partition.waiters().lock();
            lists.reached(self.limit).remove(&(self.target, id));
        }
    }
}

impl Future for Reached {
    type Output = Result<(), Offline>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut lists = this.partition.waiters().lock();
        let outcome = if this.partition.ends_cell().limit(this.limit) >= this.target {
            Poll::Ready(Ok(()))
        } else if let Some(offline) = this.partition.offline() {
            Poll::Ready(Err(offline))
        } else {
            Poll::Pending
        };
        if outcome.is_pending() {
            let id = match this.id {
                Some(id) => id,
                None => lists.next_id(),
            };
            this.id = Some(id);
            lists
                .reached(this.limit)
                .insert((this.target, id), context.waker().clone());
        } else if let Some(id) = this.id.take() {
            lists.reached(this.limit).remove(&(this.target, id));
        }
        outcome
    }
}

impl Drop for Reached {
    fn drop(&mut self) {
        self.deregister();
    }
}

/// What ended a [`FetchWait`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchWake {
    /// The missing bytes have arrived.
    Enough,
    /// A partition was trimmed, truncated, deleted or went offline, or had moved on before the wait
    /// began: plan again.
    Changed,
}

/// A long poll: one waiter on many partitions, woken once enough bytes have become readable on
/// them together, or one of them needs looking at.
///
/// The deadline is the caller's. Dropping it deregisters it everywhere.
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct FetchWait {
    shared: Arc<FetchShared>,
    registered: Vec<(Arc<Partition>, u64)>,
}

impl FetchWait {
    /// A wait for `missing_bytes` more than the plan found; at least one.
    pub fn new(missing_bytes: u64) -> FetchWait {
        FetchWait {
            shared: Arc::new(FetchShared {
                state: Mutex::new(FetchState {
                    missing_bytes: missing_bytes.max(1),
                    wake: None,
                    waker: None,
                }),
            }),
            registered: Vec::new(),
        }
    }

    /// Also counts what becomes readable on `partition`. `seen` is the end, of the kind `limit`,
    /// up to which the plan had counted; when the partition has moved on since, or is offline, the
    /// wait is over at once.
    pub fn watch(&mut self, partition: &Arc<Partition>, limit: ReadLimit, seen: Offset) {
        let mut lists = partition.waiters().lock();
        let mark = partition.ends_cell().marks().mark(limit);
        if mark.offset != seen || partition.offline().is_some() {
            drop(lists);
            self.shared.changed();
            return;
        }
        let id = lists.next_id();
        lists.fetches.insert(
            id,
            Fetch {
                shared: Arc::clone(&self.shared),
                limit,
                counted_bytes: mark.bytes,
            },
        );
        self.registered.push((Arc::clone(partition), id));
    }
}

impl Future for FetchWait {
    type Output = FetchWake;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<FetchWake> {
        let mut state = self.shared.lock();
        match state.wake {
            Some(wake) => Poll::Ready(wake),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for FetchWait {
    fn drop(&mut self) {
        for (partition, id) in self.registered.drain(..) {
            partition.waiters().lock().fetches.remove(&id);
        }
    }
}

#[derive(Debug)]
struct FetchShared {
    state: Mutex<FetchState>,
}

#[derive(Debug)]
struct FetchState {
    missing_bytes: u64,
    wake: Option<FetchWake>,
    waker: Option<Waker>,
}

impl FetchShared {
    fn arrived(&self, bytes: u64) {
        let mut state = self.lock();
        state.missing_bytes = state.missing_bytes.saturating_sub(bytes);
        if state.missing_bytes == 0 {
            FetchShared::finish(state, FetchWake::Enough);
        }
    }

    fn changed(&self) {
        FetchShared::finish(self.lock(), FetchWake::Changed);
    }

    fn finish(mut state: MutexGuard<'_, FetchState>, wake: FetchWake) {
        if state.wake.is_none() {
            state.wake = Some(wake);
        }
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, FetchState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The waiters of one partition.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    lists: Mutex<Lists>,
}

#[derive(Debug, Default)]
struct Lists {
    last_id: u64,
    committed: BTreeMap<(Offset, u64), Waker>,
    stable: BTreeMap<(Offset, u64), Waker>,
    written: BTreeMap<(Offset, u64), Waker>,
    fetches: BTreeMap<u64, Fetch>,
}

#[derive(Debug)]
struct Fetch {
    shared: Arc<FetchShared>,
    limit: ReadLimit,
    counted_bytes: u64,
}

impl Waiters {
    /// The ends have moved, and their new values have been published.
    pub(super) fn moved(&self, moved: &Moved) {
        let mut lists = self.lock();
        if lists.is_empty() {
            return;
        }
        let mut wakers = Vec::new();
        for limit in [
            ReadLimit::HighWatermark,
            ReadLimit::LastStable,
            ReadLimit::LogEnd,
        ] {
            let end = moved.mark(limit).offset;
            let waiting = lists.reached(limit);
            while let Some(entry) = waiting.first_entry()
                && entry.key().0 <= end
            {
                wakers.push(entry.remove());
            }
        }
        let mut fetches = Vec::new();
        for fetch in lists.fetches.values_mut() {
            let bytes = moved.mark(fetch.limit).bytes;
            // Two movers may arrive here in the other order than they published in.
            if bytes > fetch.counted_bytes {
                let arrived_bytes = bytes - fetch.counted_bytes;
                fetch.counted_bytes = bytes;
                fetches.push((Arc::clone(&fetch.shared), arrived_bytes));
            }
        }
        drop(lists);
        for waker in wakers {
            waker.wake();
        }
        for (fetch, arrived_bytes) in fetches {
            fetch.arrived(arrived_bytes);
        }
    }

    /// Something happened that no byte count tells: everybody must look again.
    pub(super) fn wake_all(&self) {
        let mut lists = self.lock();
        let mut wakers: Vec<Waker> = Vec::new();
        for limit in [
            ReadLimit::HighWatermark,
            ReadLimit::LastStable,
            ReadLimit::LogEnd,
        ] {
            wakers.extend(std::mem::take(lists.reached(limit)).into_values());
        }
        let fetches: Vec<Arc<FetchShared>> = lists
            .fetches
            .values()
            .map(|fetch| Arc::clone(&fetch.shared))
            .collect();
        drop(lists);
        for waker in wakers {
            waker.wake();
        }
        for fetch in fetches {
            fetch.changed();
        }
    }

    /// Everybody who is registered.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        let lists = self.lock();
        lists.committed.len() + lists.stable.len() + lists.written.len() + lists.fetches.len()
    }

    /// Nothing under this lock can leave the lists half changed.
    fn lock(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lists {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn is_empty(&self) -> bool {
        self.committed.is_empty()
            && self.stable.is_empty()
            && self.written.is_empty()
            && self.fetches.is_empty()
    }

    fn reached(&mut self, limit: ReadLimit) -> &mut BTreeMap<(Offset, u64), Waker> {
        match limit {
            ReadLimit::HighWatermark => &mut self.committed,
            ReadLimit::LastStable => &mut self.stable,
            ReadLimit::LogEnd => &mut self.written,
        }
    }
}
