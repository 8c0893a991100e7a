//! Group commit: a few threads that sync what somebody waits for.
//!
//! Whatever is written to a partition while its sync runs is covered by the next one, so one sync
//! serves every connection that waits by then, and one pass of the threads serves all partitions
//! of a log directory. When nobody waits, no thread wakes.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Threads of one syncer. They are started when there is more to sync than threads are free.
const SYNC_THREADS_MAX: usize = 4;

/// What can be synced.
pub(crate) trait SyncTarget: Send + Sync {
    fn turn(&self) -> &SyncTurn;

    /// Syncs what has been written so far and tells those who wait for it. Must handle its own
    /// errors.
    fn sync(&self);

    /// `sync` has panicked.
    fn panicked(&self);
}

/// Where a target stands with its syncer.
#[derive(Debug, Default)]
pub(crate) struct SyncTurn {
    state: AtomicU8,
    has_timer: AtomicBool,
}

const IDLE: u8 = 0;
const QUEUED: u8 = 1;
const RUNNING: u8 = 2;
/// Running, and something was written since it started.
const RUNNING_AGAIN: u8 = 3;

/// The threads. Dropping it waits for the syncs that were asked for.
pub struct Syncer {
    queue: Arc<SyncQueue>,
}

/// The way to ask for a sync; held by every partition.
pub struct SyncQueue {
    state: Mutex<QueueState>,
    wake: Condvar,
}

#[derive(Default)]
struct QueueState {
    ready: VecDeque<Arc<dyn SyncTarget>>,
    /// Targets to be synced at a moment (`flush.ms`); at most one entry for each.
    timed: BTreeMap<(Instant, u64), Weak<dyn SyncTarget>>,
    last_timer_id: u64,
    threads: Vec<JoinHandle<()>>,
    idle_threads: usize,
    is_closing: bool,
}

impl Syncer {
    /// A syncer without threads yet.
    pub fn new() -> Syncer {
        Syncer {
            queue: Arc::new(SyncQueue {
                state: Mutex::new(QueueState::default()),
                wake: Condvar::new(),
            }),
        }
    }

    /// What partitions need to ask for syncs.
    pub fn queue(&self) -> Arc<SyncQueue> {
        Arc::clone(&self.queue)
    }
}

impl Default for Syncer {
    fn default() -> Syncer {
        Syncer::new()
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        let threads = {
            let mut state = self.queue.lock();
            state.is_closing = true;
            std::mem::take(&mut state.threads)
        };
        self.queue.wake.notify_all();
        for thread in threads {
            // A target's panic has been caught; a thread has nothing else to fail with.
            let _ = thread.join();
        }
    }
}

impl SyncQueue {
    /// Has `target` synced soon. What was written before the call will be covered. When the syncer
    /// is gone, the caller does it.
    pub(crate) fn request(self: &Arc<Self>, target: &Arc<dyn SyncTarget>) {
        if claim(target.turn()) {
            self.push(Arc::clone(target));
        }
    }

    /// Has `target` synced after `delay` at the latest, unless that is arranged already.
    pub(crate) fn request_within(self: &Arc<Self>, target: &Arc<dyn SyncTarget>, delay: Duration) {
        if target.turn().has_timer.swap(true, Ordering::AcqRel) {
            return;
        }
        let Some(due) = Instant::now().checked_add(delay) else {
            return;
        };
        let mut state = self.lock();
        state.last_timer_id += 1;
        let id = state.last_timer_id;
        state.timed.insert((due, id), Arc::downgrade(target));
        if state.threads.is_empty() {
            self.start_thread(&mut state);
        }
        drop(state);
        self.wake.notify_one();
    }

    fn push(self: &Arc<Self>, target: Arc<dyn SyncTarget>) {
        let mut state = self.lock();
        let wants_thread =
            state.idle_threads <= state.ready.len() && state.threads.len() < SYNC_THREADS_MAX;
        if wants_thread && !state.is_closing {
            self.start_thread(&mut state);
        }
        if state.threads.is_empty() {
            drop(state);
            run_alone(&target);
            return;
        }
        state.ready.push_back(target);
        drop(state);
        self.wake.notify_one();
    }

    fn start_thread(self: &Arc<Self>, state: &mut QueueState) {
        let queue = Arc::clone(self);
        let name = format!("klamm-sync-{}", state.threads.len());
        match thread::Builder::new()
            .name(name)
            .spawn(move || queue.work())
        {
            Ok(thread) => state.threads.push(thread),
            Err(error) => tracing::warn!(%error, "no thread for syncing could be started"),
        }
    }

    fn work(self: Arc<Self>) {
        while let Some(target) = self.next() {
            let again = run(&target);
            if again {
                // To the end of the line: others wait as well.
                self.lock().ready.push_back(target);
            }
        }
    }

    /// Waits for something to sync; `None` when the syncer closes and nothing is left.
    fn next(&self) -> Option<Arc<dyn SyncTarget>> {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            while let Some(entry) = state.timed.first_entry()
                && entry.key().0 <= now
            {
                let target = entry.remove();
                if let Some(target) = target.upgrade() {
                    target.turn().has_timer.store(false, Ordering::Release);
                    if claim(target.turn()) {
                        state.ready.push_back(target);
                    }
                }
            }
            if let Some(target) = state.ready.pop_front() {
                return Some(target);
            }
            if state.is_closing {
                return None;
            }
            let due = state.timed.first_key_value().map(|(key, _)| key.0);
            state.idle_threads += 1;
            state = match due {
                Some(due) => {
                    let wait = due.saturating_duration_since(now);
                    let waited = self.wake.wait_timeout(state, wait);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let waited = self.wake.wait(state);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
            state.idle_threads -= 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes that there is something to sync. Returns whether the caller must queue the target: it may
/// be queued already, or its running sync may queue it when it ends.
fn claim(turn: &SyncTurn) -> bool {
    let mut current = turn.state.load(Ordering::Acquire);
    loop {
        let next = match current {
            IDLE => QUEUED,
            RUNNING => RUNNING_AGAIN,
            _ => return false,
        };
        let changed =
            turn.state
                .compare_exchange_weak(current, next, Ordering::AcqRel, Ordering::Acquire);
        match changed {
            Ok(_) => return next == QUEUED,
            Err(actual) => current = actual,
        }
    }
}

/// One sync of a queued target. Returns whether it is queued again.
fn run(target: &Arc<dyn SyncTarget>) -> bool {
    let turn = &target.turn().state;
    turn.store(RUNNING, Ordering::Release);
    if catch_unwind(AssertUnwindSafe(|| target.sync())).is_err() {
        target.panicked();
    }
    let ended = turn.compare_exchange(RUNNING, IDLE, Ordering::AcqRel, Ordering::Acquire);
    if ended.is_ok() {
        return false;
    }
    turn.store(QUEUED, Ordering::Release);
    true
}

fn run_alone(target: &Arc<dyn SyncTarget>) {
    while run(target) {}
}

impl fmt::Debug for Syncer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.queue.fmt(f)
    }
}

impl fmt::Debug for SyncQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("SyncQueue")
            .field("ready", &state.ready.len())
            .field("timed", &state.timed.len())
            .field("threads", &state.threads.len())
            .finish()
    }
}
