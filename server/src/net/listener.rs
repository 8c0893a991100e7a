//! Accepts connections of one listener, up to the broker's limits.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::connection::{ConnectionLimits, serve};
use crate::api::ConnectionFacts;
use crate::broker::Broker;

/// Pause after the process or the machine ran out of file handles: accepting at once would fail again.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// How many connections a broker has, in all and by address.
#[derive(Debug)]
pub struct ConnectionCount {
    /// `max.connections`
    all_max: usize,
    /// `max.connections.per.ip`
    per_ip_max: usize,
    all: AtomicUsize,
    by_ip: Mutex<HashMap<IpAddr, usize>>,
}

/// A place among the connections; given back when dropped.
#[derive(Debug)]
struct Place {
    count: Arc<ConnectionCount>,
    ip: IpAddr,
}

impl ConnectionCount {
    pub fn new(all_max: usize, per_ip_max: usize) -> Arc<Self> {
        Arc::new(Self { all_max, per_ip_max, all: AtomicUsize::new(0), by_ip: Mutex::default() })
    }

    fn take(self: &Arc<Self>, ip: IpAddr) -> Option<Place> {
        if self.all.fetch_add(1, Ordering::Relaxed) >= self.all_max {
            self.all.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let mut by_ip = self.by_ip.lock().unwrap_or_else(PoisonError::into_inner);
        let of_ip = by_ip.entry(ip).or_insert(0);
        if *of_ip >= self.per_ip_max {
            self.all.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        *of_ip += 1;
        drop(by_ip);
        Some(Place { count: Arc::clone(self), ip })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.count.all.fetch_sub(1, Ordering::Relaxed);
        let mut by_ip = self.count.by_ip.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_ip) = by_ip.get_mut(&self.ip) {
            *of_ip -= 1;
            if *of_ip == 0 {
                by_ip.remove(&self.ip);
            }
        }
    }
}

/// A bound listener.
#[derive(Debug)]
pub struct Listener {
    pub name: String,
    pub local: SocketAddr,
    socket: TcpListener,
}

impl Listener {
    /// Binds `address`. A port that a broker has just left can be taken again at once.
    ///
    /// # Errors
    /// What the system says, e.g. that the address is in use or not of this machine.
    pub fn bind(name: &str, address: SocketAddr, backlog: i32) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() && address.ip().is_unspecified() {
            // "All interfaces" includes IPv4, as with Java's wildcard address.
            socket.set_only_v6(false)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(backlog)?;
        let socket = TcpListener::from_std(socket.into())?;
        Ok(Self { name: name.to_owned(), local: socket.local_addr()?, socket })
    }

    /// Accepts until `shutdown`; each connection is a task of `tasks`.
    pub async fn run(self, broker: Arc<Broker>, count: Arc<ConnectionCount>, limits: ConnectionLimits, tasks: TaskTracker, shutdown: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = shutdown.cancelled() => return,
            };
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer, &broker, &count, limits, &tasks, &shutdown),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    warn!(listener = self.name, %error, "cannot accept connections for now");
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                }
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one accept loop")]
    fn admit(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        broker: &Arc<Broker>,
        count: &Arc<ConnectionCount>,
        limits: ConnectionLimits,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) {
        let Some(place) = count.take(peer.ip()) else {
            info!(%peer, listener = self.name, "connection refused: max.connections or max.connections.per.ip is reached");
            return;
        };
        let local = stream.local_addr().unwrap_or(self.local);
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let facts = ConnectionFacts { peer, local, listener: self.name.clone() };
        let (broker, shutdown) = (Arc::clone(broker), shutdown.clone());
        tasks.spawn(async move {
            let _place = place;
            serve(stream, facts, broker, limits, shutdown).await;
        });
    }
}

/// Errors of accept(2) that concern only the connection that was about to be accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused | io::ErrorKind::Interrupted
    )
}
