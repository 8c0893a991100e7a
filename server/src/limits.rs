//! The bound on the bytes of all requests together.
//!
//! A connection takes memory for a frame as its bytes arrive, never on the word of a length. When the bound is
//! reached, a taker waits for memory to come back; when it does not come back within a grace period, the
//! connection that sits on the most bytes of an incomplete frame loses them, and with them its life. So frames
//! that never end cannot keep everyone else out.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;

/// How long a taker waits for memory before the largest incomplete frame is evicted.
const EVICTION_GRACE: Duration = Duration::from_millis(500);

/// The budget that all connections of a broker share.
#[derive(Debug)]
pub struct RequestMemory {
    bytes_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bytes_used: usize,
    /// Bytes held by frames that are not complete yet, by permit.
    incomplete: HashMap<u64, Incomplete>,
    next_permit: u64,
    waiters: VecDeque<Waker>,
}

#[derive(Debug)]
struct Incomplete {
    bytes: usize,
    evicted: Arc<Notify>,
}

/// The memory of one request: grows while its frame arrives, goes back when dropped.
#[derive(Debug)]
pub struct RequestPermit {
    memory: Arc<RequestMemory>,
    id: u64,
    bytes: usize,
    is_complete: bool,
    evicted: Arc<Notify>,
}

/// The memory was given to others: the connection must close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evicted;

impl RequestMemory {
    /// A budget of `bytes_max` bytes. One frame may be larger than the whole budget only when nothing else is in
    /// memory, so a bound below `socket.request.max.bytes` delays large requests and refuses none.
    pub fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes_max,
            state: Mutex::default(),
        })
    }

    /// A permit that holds nothing yet.
    pub fn permit(self: &Arc<Self>) -> RequestPermit {
        let mut state = self.lock();
        state.next_permit += 1;
        RequestPermit {
            memory: Arc::clone(self),
            id: state.next_permit,
            bytes: 0,
            is_complete: false,
            evicted: Arc::new(Notify::new()),
        }
    }

    /// Bytes held by all requests now.
    pub fn bytes_used(&self) -> usize {
        self.lock().bytes_used
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn evict_largest_incomplete(&self) {
        let state = self.lock();
        if let Some(largest) = state
            .incomplete
            .values()
            .max_by_key(|incomplete| incomplete.bytes)
        {
            largest.evicted.notify_one();
        }
    }
}

impl RequestPermit {
    /// Takes `bytes` more, waiting until the budget has them.
    ///
    /// # Errors
    /// [`Evicted`] when this permit's own frame was the one to give way.
    pub async fn grow(&mut self, bytes: usize) -> Result<(), Evicted> {
        if self.try_grow(bytes) {
            return Ok(());
        }
        loop {
            let evicted = Arc::clone(&self.evicted);
            tokio::select! {
                biased;
                () = evicted.notified() => return Err(Evicted),
                () = self.granted(bytes) => return Ok(()),
                () = tokio::time::sleep(EVICTION_GRACE) => self.memory.evict_largest_incomplete(),
            }
        }
    }

    /// Resolves when another taker needs the memory of this incomplete frame.
    pub async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// The frame has arrived in full: from here on it is being served and cannot be evicted.
    pub fn complete(&mut self) {
        if !self.is_complete {
            self.is_complete = true;
            self.memory.lock().incomplete.remove(&self.id);
        }
    }

    fn try_grow(&mut self, bytes: usize) -> bool {
        let mut state = self.memory.lock();
        let is_alone = state.bytes_used == self.bytes;
        if state.bytes_used + bytes > self.memory.bytes_max && !is_alone {
            return false;
        }
        state.bytes_used += bytes;
        self.bytes += bytes;
        let incomplete = Incomplete {
            bytes: self.bytes,
            evicted: Arc::clone(&self.evicted),
        };
        state.incomplete.insert(self.id, incomplete);
        true
    }

    async fn granted(&mut self, bytes: usize) {
        std::future::poll_fn(|context| {
            if self.try_grow(bytes) {
                return Poll::Ready(());
            }
            self.memory
                .lock()
                .waiters
                .push_back(context.waker().clone());
            // Memory may have come back between the attempt and the registration.
            if self.try_grow(bytes) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

impl Drop for RequestPermit {
    fn drop(&mut self) {
        let waiters = {
            let mut state = self.memory.lock();
            state.bytes_used -= self.bytes;
            state.incomplete.remove(&self.id);
            std::mem::take(&mut state.waiters)
        };
        for waiter in waiters {
            waiter.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taker_waits_until_memory_comes_back() {
        // Two permits share 100 bytes: the second gets its 60 only when the first has gone.
        let memory = RequestMemory::new(100);
        let mut first = memory.permit();
        first.grow(60).await.unwrap();
        first.complete();
        let mut second = memory.permit();
        let waiting = tokio::spawn(async move { second.grow(60).await.map(|()| second.bytes) });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        assert_eq!(waiting.await.unwrap(), Ok(60));
        assert_eq!(memory.bytes_used(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_largest_incomplete_frame_gives_way() {
        // A frame that never ends holds 90 of 100 bytes; a small request still gets through after the grace period.
        let memory = RequestMemory::new(100);
        let mut hog = memory.permit();
        hog.grow(90).await.unwrap();
        let hog = tokio::spawn(async move {
            hog.evicted().await;
        });
        let mut small = memory.permit();
        small.grow(50).await.unwrap();
        hog.await.unwrap();
        assert_eq!(memory.bytes_used(), 50);
    }

    #[tokio::test]
    async fn a_frame_larger_than_the_bound_is_served_alone() {
        let memory = RequestMemory::new(100);
        let mut large = memory.permit();
        large.grow(80).await.unwrap();
        large.grow(80).await.unwrap();
        assert_eq!(memory.bytes_used(), 160);
    }
}
