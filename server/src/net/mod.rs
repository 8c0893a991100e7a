//! Sockets: accepting connections, reading frames, writing answers in order.

mod connection;
mod frame_reader;
mod listener;
mod send;

pub use connection::{ConnectionLimits, serve};
pub use listener::{ConnectionCount, Listener};
