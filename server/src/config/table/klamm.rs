//! What Kafka does not have.

use crate::config::def::Kind::{Int, Long, String};
use crate::config::def::{Definition, def, unset};

pub(super) static KLAMM: &[Definition] = &[
    def("klamm.fsync", String, "acks-all")
        .one_of(&["acks-all", "always", "never"])
        .klamm()
        .doc("When an answer to a produce request waits for the disk: for acks=all, always, or never."),
    unset("klamm.cluster.id", String)
        .not_empty()
        .klamm()
        .doc("The cluster id of a new data directory; unset, a random one. An existing directory keeps its own."),
    def("klamm.batch.decompressed.max.bytes", Long, "268435456")
        .at_least(1_048_576)
        .klamm()
        .doc("What the records of one batch may decompress to; a larger batch is MESSAGE_TOO_LARGE."),
    def("klamm.log.reopen.interval.ms", Long, "5000")
        .at_least(0)
        .klamm()
        .doc("How long a log that the disk has failed stays offline before a request may open it again."),
    unset("klamm.metrics.listener", String)
        .not_empty()
        .klamm()
        .doc("Where metrics are served, as host:port: GET /metrics answers in Prometheus' text format. Unset, nowhere."),
    def("klamm.open.files.max", Long, "0")
        .at_least(0)
        .klamm()
        .doc("Log files that are open at the same time, however many partitions there are; 0 leaves half of the process's file limit to connections."),
    def("klamm.network.threads", Int, "0")
        .at_least(0)
        .klamm()
        .doc("Threads that read, carry out and answer requests; each connection stays on one of them. 0 takes as many as the machine has cores."),
    def("klamm.connection.requests.max", Int, "64")
        .at_least(1)
        .klamm()
        .doc("Produce requests of one connection that may wait for their commit at the same time."),
    def("klamm.request.memory.max.bytes", Long, "134217728")
        .at_least(1_048_576)
        .klamm()
        .doc("Bytes that all requests together may hold in memory while queued.max.request.bytes is -1."),
];
