//! Answers that wait, and may be finished by whoever brings what they wait for.
//!
//! A long poll is woken by an append, which nearly always runs in another connection's task, often on another thread.
//! To wake the waiting task costs a system call here, a switch of threads there, and another one when its client asks
//! again. So the thread that appended finishes the answer itself: after its own answers have left, it carries the waiting
//! one through, and writes it, if the socket takes it at once. The task that owns the connection learns of it when the
//! next request arrives.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use klamm_codec::Segment;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

use super::send::small_in_one;
use crate::api::{CloseReason, Frame};

/// An answer that is still to be made.
pub(super) type Making = Pin<Box<dyn Future<Output = Result<Frame, CloseReason>> + Send>>;

/// The only answer that is due on its connection, while nothing else is written there.
pub(super) struct Parked {
    state: Mutex<State>,
    stream: Arc<OwnedWriteHalf>,
    owner: Mutex<Owner>,
}

/// The task that owns the connection.
#[derive(Default)]
struct Owner {
    waker: Option<Waker>,
    /// It has something to do as soon as the answer is sent.
    awaits_sending: bool,
}

enum State {
    Making(Making),
    Made(Made),
    /// The owner has been told.
    Taken,
}

/// What became of a parked answer.
pub(super) enum Made {
    Sent,
    /// To be sent by the owner of the connection.
    Unsent(Frame),
    Failed(CloseReason),
}

impl Parked {
    pub fn new(making: Making, stream: Arc<OwnedWriteHalf>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::Making(making)),
            stream,
            owner: Mutex::default(),
        })
    }

    /// For the owner: goes on with the answer, and arranges to be woken when there is something to do. That the answer has
    /// been sent by somebody else counts as such only if the owner `awaits_sending`. Resolves once.
    pub fn poll(self: &Arc<Self>, context: &mut Context<'_>, awaits_sending: bool) -> Poll<Made> {
        *lock(&self.owner) = Owner {
            waker: Some(context.waker().clone()),
            awaits_sending,
        };
        let mut state = lock(&self.state);
        self.go_on(&mut state);
        Self::take_made(&mut state).map_or(Poll::Pending, Poll::Ready)
    }

    /// For the owner: what became of it so far.
    pub fn made(&self) -> Option<Made> {
        Self::take_made(&mut lock(&self.state))
    }

    /// For the owner that ends: lets go of what the answer waits for, which holds on to this and to the socket by its
    /// waker.
    pub fn abandon(&self) {
        let state = std::mem::replace(&mut *lock(&self.state), State::Taken);
        // Not under the lock: this takes the locks of the logs that it waits for.
        drop(state);
    }

    /// For whoever brought what it waits for: makes the answer, and sends it if the socket takes all of it now.
    fn finish(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        self.go_on(&mut state);
        if let State::Made(made) = &mut *state {
            if let Made::Unsent(frame) = made {
                match send_now(self.stream.as_ref().as_ref(), frame) {
                    Ok(None) => *made = Made::Sent,
                    Ok(Some(rest)) => *frame = rest,
                    // The owner will see the same error.
                    Err(_) => {}
                }
            }
            let is_sent = matches!(made, Made::Sent);
            drop(state);
            if !is_sent || lock(&self.owner).awaits_sending {
                self.wake_owner();
            }
        }
    }

    fn go_on(self: &Arc<Self>, state: &mut State) {
        let State::Making(making) = state else {
            return;
        };
        let waker = Waker::from(Arc::clone(self));
        let mut context = Context::from_waker(&waker);
        // A panic is to end the connection that it belongs to, and not the one that goes on with its answer.
        let polled = catch_unwind(AssertUnwindSafe(|| making.as_mut().poll(&mut context)));
        *state = State::Made(match polled {
            Ok(Poll::Pending) => return,
            Ok(Poll::Ready(Ok(frame))) => Made::Unsent(frame),
            Ok(Poll::Ready(Err(reason))) => Made::Failed(reason),
            Err(_) => Made::Failed("its answer panicked".to_owned()),
        });
    }

    fn take_made(state: &mut State) -> Option<Made> {
        if !matches!(state, State::Made(_)) {
            return None;
        }
        match std::mem::replace(state, State::Taken) {
            State::Made(made) => Some(made),
            State::Making(_) | State::Taken => None,
        }
    }

    fn wake_owner(&self) {
        let owner = lock(&self.owner).waker.take();
        if let Some(owner) = owner {
            owner.wake();
        }
    }
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        // A thread that is ending collects nothing any more.
        let is_collected = WOKEN.try_with(|woken| match &mut *woken.borrow_mut() {
            Some(woken) => {
                woken.push(Arc::clone(&self));
                true
            }
            None => false,
        });
        if !is_collected.unwrap_or(false) {
            self.wake_owner();
        }
    }
}

impl fmt::Debug for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parked").finish_non_exhaustive()
    }
}

thread_local! {
    /// Parked answers that this thread has woken while it collects them.
    static WOKEN: RefCell<Option<Vec<Arc<Parked>>>> = const { RefCell::new(None) };
}

/// While it lives, the thread collects. Also ends with a panic.
struct Collecting;

impl Collecting {
    fn begin(parked: Vec<Arc<Parked>>) -> Self {
        WOKEN.set(Some(parked));
        Self
    }

    fn end(self) -> Vec<Arc<Parked>> {
        WOKEN.take().unwrap_or_default()
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        for parked in WOKEN.take().unwrap_or_default() {
            parked.wake_owner();
        }
    }
}

/// Answers that a piece of work has woken. Dropping them wakes their owners.
#[derive(Debug, Default)]
pub(super) struct Woken {
    parked: Vec<Arc<Parked>>,
}

impl Woken {
    /// Runs `work` and keeps what it wakes from being woken in the usual way. Does not nest.
    pub fn collect<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let collecting = Collecting::begin(std::mem::take(&mut self.parked));
        let output = work();
        self.parked = collecting.end();
        output
    }

    /// Finishes up to `max` of them here, and leaves the others to their owners.
    pub fn finish(&mut self, max: usize) {
        if self.parked.is_empty() {
            return;
        }
        let rest = self.parked.split_off(self.parked.len().min(max));
        let parked = std::mem::take(&mut self.parked);
        // What these wake in turn is for their owners.
        for parked in parked {
            parked.finish();
        }
        self.parked = rest;
        self.wake_owners();
    }

    /// Leaves all of them to their owners.
    pub fn wake_owners(&mut self) {
        for parked in self.parked.drain(..) {
            parked.wake_owner();
        }
    }
}

impl Drop for Woken {
    fn drop(&mut self) {
        self.wake_owners();
    }
}

/// Sends a small answer as far as the socket takes it. Returns what is left.
fn send_now(stream: &TcpStream, frame: &mut Frame) -> io::Result<Option<Frame>> {
    let Some(bytes) = small_in_one(frame)? else {
        return Ok(Some(std::mem::take(frame)));
    };
    let sent = match stream.try_write(&bytes) {
        Ok(sent) => sent,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
        Err(error) => return Err(error),
    };
    let rest = bytes.slice(sent..);
    Ok((!rest.is_empty()).then(|| vec![Segment::Bytes(rest)]))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_that_panics_does_not_end_who_finishes_it() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let making = async {
            let made: Result<Frame, CloseReason> = Ok(Frame::new());
            assert!(made.is_err(), "on purpose");
            made
        };
        let parked = Parked::new(Box::pin(making), Arc::new(stream.into_split().1));
        parked.finish();
        assert!(matches!(parked.made(), Some(Made::Failed(_))));
    }
}
