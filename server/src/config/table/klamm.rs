//! What Kafka does not have.

use crate::config::def::Kind::{Long, String};
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
    def("klamm.request.memory.max.bytes", Long, "33554432")
        .at_least(1_048_576)
        .klamm()
        .doc("Bytes that all requests together may hold in memory while queued.max.request.bytes is -1."),
];
