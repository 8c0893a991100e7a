//! The threads that serve connections.
//!
//! A connection stays on one thread for its life: its requests find what they need in that thread's caches, nobody steals
//! its task, and a busy connection does not make others wait for a wake of another thread.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::task::TaskTracker;

/// Threads beside each network thread for work that blocks, such as creating topics; they are started when there is
/// more of it than threads are free, and end when they are idle.
const BLOCKING_THREADS_MAX: usize = 256;

/// The network threads of a process. Dropping them ends their tasks, and waits for blocking work that has begun there; not
/// to be dropped inside of a runtime.
#[derive(Debug)]
pub struct NetworkThreads {
    _runtimes: Vec<Runtime>,
    threads: Threads,
}

/// Where connections can be put. Copies are the same threads.
#[derive(Debug, Clone)]
pub struct Threads {
    all: Arc<[Thread]>,
}

#[derive(Debug)]
struct Thread {
    handle: Handle,
    connections: AtomicUsize,
}

/// Counts a connection on its thread for as long as it lives.
struct Seat {
    threads: Threads,
    index: usize,
}

impl NetworkThreads {
    /// Starts `count` threads, at least one (`klamm.network.threads`).
    ///
    /// # Errors
    /// What the system says when it has no more threads or descriptors.
    pub fn start(count: usize) -> io::Result<Self> {
        let runtimes: Vec<Runtime> = (0..count.max(1)).map(runtime).collect::<io::Result<_>>()?;
        let handles = runtimes.iter().map(|runtime| runtime.handle().clone());
        Ok(Self {
            threads: Threads::of(handles),
            _runtimes: runtimes,
        })
    }

    /// What a server needs to put its connections there.
    pub fn threads(&self) -> Threads {
        self.threads.clone()
    }
}

/// A runtime of its own for each thread, and not one with several: then a task cannot move. It is one for several threads
/// nevertheless, because that kind can go on with its other tasks while one of them must block
/// ([`tokio::task::block_in_place`]), and wakes its thread once where many tasks become ready.
fn runtime(index: usize) -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name(format!("klamm-net-{index}"))
        .enable_all()
        .build()
}

impl Threads {
    /// Puts every connection on the runtime that this is called on: for a server that shares it with others.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn current() -> Self {
        Self::of([Handle::current()])
    }

    fn of(handles: impl IntoIterator<Item = Handle>) -> Self {
        let thread = |handle| Thread {
            handle,
            connections: AtomicUsize::new(0),
        };
        Self {
            all: handles.into_iter().map(thread).collect(),
        }
    }

    /// Serves a connection on the thread that has the fewest, as a task of `tasks`.
    ///
    /// # Errors
    /// What the system says when the connection cannot be moved there.
    pub fn spawn<F>(
        &self,
        tasks: &TaskTracker,
        stream: TcpStream,
        serve: impl FnOnce(TcpStream) -> F + Send + 'static,
    ) -> io::Result<()>
    where
        F: Future<Output = ()> + Send,
    {
        let stream = stream.into_std()?;
        let seat = self.take_seat();
        let handle = &self.all[seat.index].handle;
        tasks.spawn_on(
            async move {
                let _seat = seat;
                match TcpStream::from_std(stream) {
                    Ok(stream) => serve(stream).await,
                    Err(error) => tracing::warn!(%error, "a connection could not be served"),
                }
            },
            handle,
        );
        Ok(())
    }

    fn take_seat(&self) -> Seat {
        let fewest = self
            .all
            .iter()
            .enumerate()
            .min_by_key(|(_, thread)| thread.connections.load(Ordering::Relaxed));
        let index = fewest.map_or(0, |(index, _)| index);
        self.all[index].connections.fetch_add(1, Ordering::Relaxed);
        Seat {
            threads: self.clone(),
            index,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.threads.all[self.index]
            .connections
            .fetch_sub(1, Ordering::Relaxed);
    }
}
