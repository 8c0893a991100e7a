//! The bound on the bytes of all requests together.
//!
//! A connection takes memory for a frame as its bytes arrive, never on the word of a length. When the bound is
//! reached, a taker waits for memory to come back; when it does not come back within a grace period, the
//! connection that sits on the most bytes of an incomplete frame loses them, and with them its life. So frames
//! that never end cannot keep everyone else out.
//!
//! What is counted are buffers: one may hold several frames, and it counts until the last of them has been answered.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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
    bytes_used: AtomicUsize,
    /// How many wait, so that nobody else takes the lock to learn it.
    waiting_count: AtomicUsize,
    waiters: Mutex<Vec<Waker>>,
    connections: Mutex<Connections>,
}

#[derive(Debug, Default)]
struct Connections {
    last_id: u64,
    arriving: HashMap<u64, Arc<Arriving>>,
}

/// What one connection has in memory of frames that are not complete.
#[derive(Debug, Default)]
struct Arriving {
    bytes: AtomicUsize,
    is_evicted: AtomicBool,
    evicted: Notify,
}

/// One connection's way to the budget.
#[derive(Debug)]
pub struct ConnectionMemory {
    budget: Arc<RequestMemory>,
    id: u64,
    arriving: Arc<Arriving>,
}

/// The memory of one buffer; it goes back when the last copy is dropped.
#[derive(Clone)]
pub struct RequestPermit {
    charge: Arc<Charge>,
}

struct Charge {
    budget: Arc<RequestMemory>,
    bytes: usize,
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
            bytes_used: AtomicUsize::new(0),
            waiting_count: AtomicUsize::new(0),
            waiters: Mutex::default(),
            connections: Mutex::default(),
        })
    }

    /// The part of a new connection, which holds nothing yet.
    pub fn connection(self: &Arc<Self>) -> ConnectionMemory {
        let arriving = Arc::new(Arriving::default());
        let mut connections = lock(&self.connections);
        connections.last_id += 1;
        let id = connections.last_id;
        connections.arriving.insert(id, Arc::clone(&arriving));
        ConnectionMemory {
            budget: Arc::clone(self),
            id,
            arriving,
        }
    }

    /// Bytes held by all requests now.
    pub fn bytes_used(&self) -> usize {
        self.bytes_used.load(Ordering::SeqCst)
    }

    /// Counts `bytes` that are in memory already.
    pub fn charge(self: &Arc<Self>, bytes: usize) -> RequestPermit {
        self.bytes_used.fetch_add(bytes, Ordering::SeqCst);
        self.permit(bytes)
    }

    fn permit(self: &Arc<Self>, bytes: usize) -> RequestPermit {
        RequestPermit {
            charge: Arc::new(Charge {
                budget: Arc::clone(self),
                bytes,
            }),
        }
    }

    /// Takes `bytes` if the budget has them, or if nothing but `own_bytes` is in memory.
    fn try_take(self: &Arc<Self>, bytes: usize, own_bytes: usize) -> Option<RequestPermit> {
        let taken = self
            .bytes_used
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |used| {
                let fits = used.saturating_add(bytes) <= self.bytes_max || used <= own_bytes;
                fits.then(|| used.saturating_add(bytes))
            });
        taken.is_ok().then(|| self.permit(bytes))
    }

    async fn take(self: &Arc<Self>, bytes: usize, own_bytes: usize) -> RequestPermit {
        std::future::poll_fn(|context| {
            if let Some(permit) = self.try_take(bytes, own_bytes) {
                return Poll::Ready(permit);
            }
            let mut waiters = lock(&self.waiters);
            waiters.push(context.waker().clone());
            self.waiting_count.store(waiters.len(), Ordering::SeqCst);
            drop(waiters);
            // Memory may have come back between the attempt and the registration.
            self.try_take(bytes, own_bytes)
                .map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    fn give_back(&self, bytes: usize) {
        self.bytes_used.fetch_sub(bytes, Ordering::SeqCst);
        if self.waiting_count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let waiters = {
            let mut waiters = lock(&self.waiters);
            self.waiting_count.store(0, Ordering::SeqCst);
            std::mem::take(&mut *waiters)
        };
        for waiter in waiters {
            waiter.wake();
        }
    }

    fn evict_largest_incomplete(&self) {
        let connections = lock(&self.connections);
        let largest = connections
            .arriving
            .values()
            // Who has been told already may be busy elsewhere, and must not shield the others.
            .filter(|arriving| !arriving.is_evicted.load(Ordering::SeqCst))
            .map(|arriving| (arriving.bytes.load(Ordering::Relaxed), arriving))
            .filter(|(bytes, _)| *bytes > 0)
            .max_by_key(|(bytes, _)| *bytes);
        if let Some((_, arriving)) = largest {
            arriving.is_evicted.store(true, Ordering::SeqCst);
            arriving.evicted.notify_one();
        }
    }
}

impl RequestPermit {
    /// The size of the buffer.
    pub fn bytes(&self) -> usize {
        self.charge.bytes
    }
}

impl ConnectionMemory {
    /// Takes the memory of a buffer for an incomplete frame, waiting until the budget has it. The frame's buffer so far
    /// is to be given back only after this.
    ///
    /// # Errors
    /// [`Evicted`] when this connection's own frame was the one to give way.
    pub async fn take(&mut self, bytes: usize) -> Result<RequestPermit, Evicted> {
        let own_bytes = self.arriving.bytes.load(Ordering::Relaxed);
        if own_bytes == 0 {
            // Meant the frame before, which became complete while it was chosen.
            self.arriving.is_evicted.store(false, Ordering::SeqCst);
        }
        let permit = match self.budget.try_take(bytes, own_bytes) {
            Some(permit) => permit,
            None => self.wait_for(bytes, own_bytes).await?,
        };
        self.arriving.bytes.store(bytes, Ordering::Relaxed);
        Ok(permit)
    }

    async fn wait_for(&self, bytes: usize, own_bytes: usize) -> Result<RequestPermit, Evicted> {
        loop {
            tokio::select! {
                biased;
                () = self.evicted() => return Err(Evicted),
                permit = self.budget.take(bytes, own_bytes) => return Ok(permit),
                () = tokio::time::sleep(EVICTION_GRACE) => self.budget.evict_largest_incomplete(),
            }
        }
    }

    /// Resolves when another connection needs the memory of this one's incomplete frame.
    pub async fn evicted(&self) {
        while !self.arriving.is_evicted.load(Ordering::SeqCst) {
            self.arriving.evicted.notified().await;
        }
    }

    /// A frame has arrived in full: it is being served and cannot be evicted. `is_followed` tells whether its buffer holds
    /// the beginning of another one.
    pub fn completed(&mut self, is_followed: bool) {
        self.arriving.is_evicted.store(false, Ordering::SeqCst);
        if !is_followed {
            self.arriving.bytes.store(0, Ordering::Relaxed);
        }
    }
}

impl Drop for ConnectionMemory {
    fn drop(&mut self) {
        lock(&self.budget.connections).arriving.remove(&self.id);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

impl fmt::Debug for RequestPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestPermit({} bytes)", self.charge.bytes)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taker_waits_until_memory_comes_back() {
        // Two connections share 100 bytes: the second gets its 60 only when the first has gone.
        let budget = RequestMemory::new(100);
        let mut first = budget.connection();
        let permit = first.take(60).await.unwrap();
        first.completed(false);
        let mut second = budget.connection();
        let waiting = tokio::spawn(async move { second.take(60).await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(permit);
        let taken = waiting.await.unwrap().unwrap();
        assert_eq!(budget.bytes_used(), 60);
        drop(taken);
        assert_eq!(budget.bytes_used(), 0);
    }

    #[tokio::test]
    async fn a_buffer_counts_until_its_last_frame_is_answered() {
        let budget = RequestMemory::new(100);
        let mut connection = budget.connection();
        let first = connection.take(60).await.unwrap();
        let second = first.clone();
        drop(first);
        assert_eq!(budget.bytes_used(), 60);
        drop(second);
        assert_eq!(budget.bytes_used(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_largest_incomplete_frame_gives_way() {
        // A frame that never ends holds 90 of 100 bytes; a small request still gets through after the grace period.
        let budget = RequestMemory::new(100);
        let mut hog = budget.connection();
        let permit = hog.take(90).await.unwrap();
        let hog = tokio::spawn(async move {
            hog.evicted().await;
            drop(permit);
        });
        let mut small = budget.connection();
        let taken = small.take(50).await.unwrap();
        hog.await.unwrap();
        assert_eq!(budget.bytes_used(), 50);
        drop(taken);
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_that_became_complete_is_not_evicted() {
        // The connection was chosen, but its frame arrived before it looked.
        let budget = RequestMemory::new(100);
        let mut connection = budget.connection();
        let _permit = connection.take(90).await.unwrap();
        budget.evict_largest_incomplete();
        connection.completed(false);
        let evicted = tokio::time::timeout(EVICTION_GRACE, connection.evicted());
        assert!(evicted.await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_eviction_that_comes_too_late_does_not_hit_the_next_frame() {
        let budget = RequestMemory::new(100);
        let mut connection = budget.connection();
        drop(connection.take(90).await.unwrap());
        connection.completed(false);
        // Its frame was still incomplete when it was chosen.
        connection.arriving.is_evicted.store(true, Ordering::SeqCst);
        let _permit = connection.take(90).await.unwrap();
        let evicted = tokio::time::timeout(EVICTION_GRACE, connection.evicted());
        assert!(evicted.await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_notice_its_eviction_does_not_shield_others() {
        // The largest is busy elsewhere, for example with a peer that does not read: the next one is asked.
        let budget = RequestMemory::new(100);
        let (mut busy, mut hog) = (budget.connection(), budget.connection());
        let _permits = (busy.take(60).await.unwrap(), hog.take(40).await.unwrap());
        budget.evict_largest_incomplete();
        budget.evict_largest_incomplete();
        let evicted = tokio::time::timeout(EVICTION_GRACE, hog.evicted());
        assert!(evicted.await.is_ok());
    }

    #[tokio::test]
    async fn a_frame_larger_than_the_bound_is_served_alone() {
        let budget = RequestMemory::new(100);
        let mut large = budget.connection();
        let first = large.take(80).await.unwrap();
        let second = large.take(160).await.unwrap();
        drop(first);
        assert_eq!(budget.bytes_used(), 160);
        drop(second);
    }
}
