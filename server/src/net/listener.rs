//! Accepts connections of one listener, up to the broker's limits.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::connection::{ConnectionLimits, serve};
use super::threads::Threads;
use crate::api::ConnectionFacts;
use crate::broker::Broker;
use crate::config::NetworkConfig;

/// Pause after the process or the machine ran out of file handles: accepting at once would fail again.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// How many connections a broker has, in all and by address.
#[derive(Debug, Default)]
pub struct ConnectionCount {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_ip: HashMap<IpAddr, usize>,
}

/// A place among the connections; given back when dropped.
#[derive(Debug)]
struct Place {
    count: Arc<ConnectionCount>,
    ip: IpAddr,
}

impl ConnectionCount {
    /// A place for a connection from `ip`, within the limits as they are now (`max.connections`,
    /// `max.connections.per.ip` and its overrides).
    fn take(self: &Arc<Self>, ip: IpAddr, config: &NetworkConfig) -> Option<Place> {
        let ip = ip.to_canonical();
        let overridden = config
            .connections_per_ip_overrides
            .iter()
            .find(|(of, _)| of.to_canonical() == ip);
        let per_ip_max = overridden
            .map(|(_, max)| *max)
            .or(config.connections_per_ip_max)
            .unwrap_or(usize::MAX);
        let mut counts = self.lock();
        if counts.all >= config.connections_max.unwrap_or(usize::MAX)
            || counts.by_ip.get(&ip).copied().unwrap_or(0) >= per_ip_max
        {
            return None;
        }
        counts.all += 1;
        *counts.by_ip.entry(ip).or_insert(0) += 1;
        drop(counts);
        Some(Place {
            count: Arc::clone(self),
            ip,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.count.lock();
        counts.all -= 1;
        if let Some(of_ip) = counts.by_ip.get_mut(&self.ip) {
            *of_ip -= 1;
            if *of_ip == 0 {
                counts.by_ip.remove(&self.ip);
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
    pub fn bind(name: &str, address: SocketAddr, net: &NetworkConfig) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() && address.ip().is_unspecified() {
            // "All interfaces" includes IPv4, as with Java's wildcard address.
            socket.set_only_v6(false)?;
        }
        socket.set_nonblocking(true)?;
        // Accepted connections inherit it; set later, it would come after the handshake that tells the peer.
        if let Some(bytes) = net.receive_buffer_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.bind(&address.into())?;
        socket.listen(net.listen_backlog)?;
        let socket = TcpListener::from_std(socket.into())?;
        Ok(Self {
            name: name.to_owned(),
            local: socket.local_addr()?,
            socket,
        })
    }

    /// Accepts until `shutdown`; each connection is a task of `tasks`.
    pub async fn run(
        self,
        broker: Arc<Broker>,
        count: Arc<ConnectionCount>,
        limits: ConnectionLimits,
        threads: Threads,
        tasks: TaskTracker,
        shutdown: CancellationToken,
    ) {
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = shutdown.cancelled() => return,
            };
            match accepted {
                Ok((stream, peer)) => self.admit(
                    stream, peer, &broker, &count, limits, &threads, &tasks, &shutdown,
                ),
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
        threads: &Threads,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) {
        let Some(place) = count.take(peer.ip(), &broker.config().net) else {
            info!(%peer, listener = self.name, "connection refused: max.connections or max.connections.per.ip is reached");
            return;
        };
        let local = stream.local_addr().unwrap_or(self.local);
        if stream.set_nodelay(true).is_err() {
            return;
        }
        if let Some(bytes) = broker.config().net.send_buffer_bytes
            && SockRef::from(&stream).set_send_buffer_size(bytes).is_err()
        {
            return;
        }
        let facts = ConnectionFacts {
            peer,
            local,
            listener: self.name.clone(),
        };
        let (broker, shutdown) = (Arc::clone(broker), shutdown.clone());
        let moved = threads.spawn(tasks, stream, async move |stream| {
            let _place = place;
            serve(stream, facts, broker, limits, shutdown).await;
        });
        if let Err(error) = moved {
            warn!(%peer, %error, "a connection could not be served");
        }
    }
}

/// Errors of accept(2) that concern only the connection that was about to be accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
