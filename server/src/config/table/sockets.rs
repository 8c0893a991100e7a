//! Listeners, connections and the bytes of requests.

use crate::config::def::Kind::{Int, List, Long, String};
use crate::config::def::reason::{NO_SECURITY, NOT_YET, OWN_BUFFERS, RUNTIME_THREADS};
use crate::config::def::{Definition, def, unset};

pub(super) static SOCKETS: &[Definition] = &[
    def("listeners", List, "PLAINTEXT://:9092")
        .some()
        .per_broker()
        .implied("PLAINTEXT://127.0.0.1:9092")
        .doc("Where clients are served: a comma-separated list of NAME://host:port. An empty host means every interface, port 0 a free one. Klamm changes them with a restart."),
    unset("advertised.listeners", List)
        .some()
        .doc("What clients are told to connect to, by listener name. Unset, each client is told the address at which it arrived."),
    def("listener.security.protocol.map", String, "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT")
        .per_broker()
        .doc("The protocol of each listener name. Klamm serves PLAINTEXT so far, and changes the map with a restart."),
    def("socket.send.buffer.bytes", Int, "102400")
        .doc("Size of the kernel's send buffer of a connection; -1 leaves it to the system."),
    def("socket.receive.buffer.bytes", Int, "102400")
        .doc("Size of the kernel's receive buffer of a connection; -1, or unset, leaves it to the system, which is quicker for large requests."),
    def("socket.request.max.bytes", Int, "104857600")
        .at_least(1)
        .doc("Longest request that is read; a longer one ends its connection."),
    def("socket.listen.backlog.size", Int, "50")
        .at_least(1)
        .doc("Connections that may wait in the kernel before they are accepted."),
    def("max.connections.per.ip", Int, "2147483647")
        .at_least(0)
        .cluster_wide()
        .doc("Connections that one address may hold open."),
    def("max.connections.per.ip.overrides", String, "")
        .cluster_wide()
        .doc("Exceptions to max.connections.per.ip, as host:count,host:count."),
    def("max.connections", Int, "2147483647")
        .at_least(0)
        .cluster_wide()
        .doc("Connections that may be open at once, over all listeners."),
    def("max.connection.creation.rate", Int, "2147483647")
        .at_least(0)
        .cluster_wide()
        .inert(NOT_YET)
        .doc("Connections accepted per second, over all listeners."),
    def("connections.max.idle.ms", Long, "600000")
        .doc("A connection without traffic for this long is closed; negative keeps it."),
    def("connection.failed.authentication.delay.ms", Int, "100")
        .at_least(0)
        .inert(NO_SECURITY)
        .doc("How long the answer to a failed login is held back."),
    def("queued.max.requests", Int, "500")
        .at_least(1)
        .inert(OWN_BUFFERS)
        .doc("Requests that may wait for a handler thread."),
    def("queued.max.request.bytes", Long, "-1")
        .doc("Bytes that all requests together may hold in memory; -1 leaves it to klamm.request.memory.max.bytes."),
    def("num.network.threads", Int, "3")
        .at_least(1)
        .cluster_wide()
        .inert(RUNTIME_THREADS)
        .doc("Threads that read requests and write answers, per listener."),
];
