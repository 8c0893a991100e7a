//! Deadlines of requests that wait: long polls, and producers that wait for a commit.
//!
//! Nearly every wait ends before its deadline. A timer of the runtime for each of them costs a system call where nothing
//! else is due earlier, on the thread that was about to sleep anyway. Here waits share one timer: it stands at the
//! earliest deadline that was known when it was set, stays there when that wait is over, and looks for the next one only
//! when it rings.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::task::AbortHandle;
use tokio::time::Instant;

/// The deadlines of one broker. Copies are the same deadlines.
#[derive(Debug, Clone, Default)]
pub struct Deadlines {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    pending: BTreeMap<(Instant, u64), Waker>,
    last_id: u64,
    timer: Option<Timer>,
    last_timer: u64,
}

#[derive(Debug)]
struct Timer {
    rings: Instant,
    /// Which timer it is: one that was set for a later moment has been replaced, but may be ringing.
    id: u64,
    task: AbortHandle,
}

/// The deadline came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

impl Deadlines {
    /// What `work` comes to, if it does so before `deadline`; else it is dropped.
    ///
    /// # Errors
    /// [`Elapsed`] when the deadline, to the millisecond, came first. Work that is done at once has no deadline.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn before<F: Future>(
        &self,
        deadline: Instant,
        work: F,
    ) -> Result<F::Output, Elapsed> {
        let mut work = pin!(work);
        let mut wait = Wait {
            deadlines: self,
            deadline,
            id: None,
        };
        std::future::poll_fn(move |context| {
            if let Poll::Ready(output) = work.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            Pin::new(&mut wait).poll(context).map(|()| Err(Elapsed))
        })
        .await
    }

    /// Makes sure that a timer rings at `deadline`, or earlier.
    fn set_timer(&self, state: &mut State, deadline: Instant) {
        if let Some(timer) = &state.timer {
            if timer.rings <= deadline {
                return;
            }
            // It would sleep on until its own moment, and there may be many of its kind.
            timer.task.abort();
        }
        state.last_timer += 1;
        let id = state.last_timer;
        let deadlines = self.clone();
        let task = tokio::spawn(async move {
            let mut next = Some(deadline);
            while let Some(deadline) = next {
                tokio::time::sleep_until(deadline).await;
                next = deadlines.ring(id);
            }
        });
        state.timer = Some(Timer {
            rings: deadline,
            id,
            task: task.abort_handle(),
        });
    }

    /// Wakes whose deadline has come. Returns when timer `id` is to ring again, if it is still needed.
    fn ring(&self, id: u64) -> Option<Instant> {
        let now = Instant::now();
        let mut due = Vec::new();
        let mut state = self.lock();
        while let Some(entry) = state.pending.first_entry()
            && entry.key().0 <= now
        {
            due.push(entry.remove());
        }
        let next = state.pending.first_key_value().map(|(key, _)| key.0);
        let timer = state.timer.take_if(|timer| timer.id == id);
        let next = timer.and_then(|timer| {
            let rings = next?;
            state.timer = Some(Timer { rings, ..timer });
            Some(rings)
        });
        drop(state);
        for waker in due {
            waker.wake();
        }
        next
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resolves at the deadline. Dropping it takes it off the list.
struct Wait<'a> {
    deadlines: &'a Deadlines,
    deadline: Instant,
    id: Option<u64>,
}

impl Future for Wait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.deadlines.lock();
        let id = match self.id {
            Some(id) => id,
            None => {
                state.last_id += 1;
                state.last_id
            }
        };
        let key = (self.deadline, id);
        match state.pending.get_mut(&key) {
            Some(waker) => waker.clone_from(context.waker()),
            None if self.id.is_some() || self.deadline <= Instant::now() => {
                return Poll::Ready(());
            }
            None => {
                state.pending.insert(key, context.waker().clone());
                self.deadlines.set_timer(&mut state, self.deadline);
                drop(state);
                self.id = Some(id);
            }
        }
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.deadlines.lock().pending.remove(&(self.deadline, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn after(ms: u64) -> Instant {
        Instant::now() + Duration::from_millis(ms)
    }

    #[tokio::test(start_paused = true)]
    async fn the_earlier_of_work_and_deadline_wins() {
        let deadlines = Deadlines::default();
        let work = tokio::time::sleep(Duration::from_millis(10));
        assert_eq!(deadlines.before(after(20), work).await, Ok(()));
        let (began, work) = (
            Instant::now(),
            tokio::time::sleep(Duration::from_millis(50)),
        );
        assert_eq!(deadlines.before(after(20), work).await, Err(Elapsed));
        assert!(began.elapsed() < Duration::from_millis(25));
        assert!(deadlines.lock().pending.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn deadlines_come_in_their_order_whatever_the_order_of_the_waits() {
        // A later one first, so that the timer must be set to an earlier moment; then one behind both.
        let deadlines = Deadlines::default();
        let began = Instant::now();
        let waits = [500, 20, 700, 20, 300].map(|ms| {
            let (deadlines, deadline) = (deadlines.clone(), began + Duration::from_millis(ms));
            tokio::spawn(async move {
                let outcome = deadlines.before(deadline, std::future::pending::<()>());
                assert_eq!(outcome.await, Err(Elapsed));
                (ms, u64::try_from(began.elapsed().as_millis()).unwrap())
            })
        });
        for wait in waits {
            let (asked_ms, waited_ms) = wait.await.unwrap();
            assert!((asked_ms..asked_ms + 5).contains(&waited_ms));
        }
        assert!(deadlines.lock().timer.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_of_a_wait_that_is_over_serves_the_next() {
        // The first wait ends early and leaves the timer where it is; the second, later one still ends in time.
        let deadlines = Deadlines::default();
        let first = deadlines.before(after(100), tokio::task::yield_now());
        assert_eq!(first.await, Ok(()));
        let second = deadlines.before(after(150), std::future::pending::<()>());
        let began = Instant::now();
        assert_eq!(second.await, Err(Elapsed));
        assert!((150..155).contains(&began.elapsed().as_millis()));
    }

    #[tokio::test]
    async fn a_timer_that_is_replaced_is_gone() {
        // Each wait is over at once, and each has an earlier deadline than the one before it.
        let deadlines = Deadlines::default();
        let began = Instant::now();
        for seconds in (1_000..2_000).rev() {
            let deadline = began + Duration::from_secs(seconds);
            let wait = deadlines.before(deadline, tokio::task::yield_now());
            assert_eq!(wait.await, Ok(()));
        }
        tokio::task::yield_now().await;
        let tasks = tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks();
        assert!(tasks <= 2, "{tasks} timers are left");
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_has_passed_gives_work_one_chance() {
        let deadlines = Deadlines::default();
        let passed = Instant::now();
        assert_eq!(deadlines.before(passed, std::future::ready(7)).await, Ok(7));
        assert_eq!(
            deadlines.before(passed, std::future::pending::<()>()).await,
            Err(Elapsed)
        );
    }
}
