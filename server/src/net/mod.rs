//! Sockets: accepting connections, reading frames, writing answers in order.

use std::future::Future;
use std::task::Poll;

mod connection;
mod frame_reader;
mod listener;
mod parked;
mod send;
mod threads;

pub use connection::{ConnectionLimits, serve};
pub use listener::{ConnectionCount, Listener};
pub use threads::{NetworkThreads, Threads};

/// What `future` comes to without waiting. It may be polled again, or dropped, if it came to nothing.
async fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(move |context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}
