//! What no broker can do without, and nothing else: the yardstick from below.
//!
//! One blocking thread a connection. A produce request is read, each batch is checked with one CRC pass, stamped with
//! its base offset and appended to its partition's file with one write; then the answer goes out. A fetch sends the
//! file's bytes with `sendfile`, and waits to be woken when there are none. With [`Durability::Disk`] each produce request
//! ends with one fdatasync a partition. There is no recovery, no retention, no group, no limit: nobody should keep data here.

mod connection;
mod fetch;
mod produce;
mod store;

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use super::Outcome;
use connection::Connection;
use store::Store;

/// Enough for the deepest call, so that thousands of connections fit.
const STACK_BYTES: usize = 128 << 10;

/// When a produce request may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    PageCache,
    Disk,
}

/// Serves connections for as long as the process lives. `directory` must be empty.
pub fn serve(listener: &TcpListener, directory: PathBuf, durability: Durability) -> Outcome<()> {
    let store = Arc::new(Store::new(directory));
    loop {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let connection = Connection::new(stream, Arc::clone(&store), durability);
        thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn(move || {
                if let Err(failure) = connection.run() {
                    eprintln!("connection ended: {failure}");
                }
            })?;
    }
}
