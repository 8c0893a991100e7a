//! Replication, and what it asks of a single broker.

use crate::config::def::Kind::{Boolean, Int, Long, String};
use crate::config::def::reason::{
    NO_FOLLOWERS, NO_JAVA, NO_SECURITY, NO_TIERED_STORAGE, NOT_YET, NOTHING_TO_PURGE,
};
use crate::config::def::{Definition, def, unset};

pub(super) static REPLICATION: &[Definition] = &[
    def("controller.socket.timeout.ms", Int, "30000")
        .inert(NO_FOLLOWERS)
        .doc("How long the broker waits for an answer of the controller."),
    def("default.replication.factor", Int, "1")
        .doc("Replicas of a topic that is created without saying how many."),
    def("replica.lag.time.max.ms", Long, "30000")
        .inert(NO_FOLLOWERS)
        .doc("A follower that has not caught up for this long leaves the in-sync replicas."),
    def("replica.socket.timeout.ms", Int, "30000")
        .inert(NO_FOLLOWERS)
        .doc("How long a follower waits for its leader's answer."),
    def("replica.socket.receive.buffer.bytes", Int, "65536")
        .inert(NO_FOLLOWERS)
        .doc("Kernel receive buffer of a follower's connection to its leader."),
    def("replica.fetch.max.bytes", Int, "1048576")
        .at_least(0)
        .inert(NO_FOLLOWERS)
        .doc("Bytes that a follower asks for per partition."),
    def("replica.fetch.wait.max.ms", Int, "500")
        .inert(NO_FOLLOWERS)
        .doc("How long a leader may hold a follower's fetch back."),
    def("replica.fetch.backoff.ms", Int, "1000")
        .at_least(0)
        .inert(NO_FOLLOWERS)
        .doc("Pause of a follower after a failed fetch."),
    def("replica.fetch.min.bytes", Int, "1")
        .inert(NO_FOLLOWERS)
        .doc("Bytes a leader waits for before it answers a follower's fetch."),
    def("replica.fetch.response.max.bytes", Int, "10485760")
        .at_least(0)
        .inert(NO_FOLLOWERS)
        .doc("Bytes that a follower takes in one answer."),
    def("num.replica.fetchers", Int, "1")
        .at_least(1)
        .cluster_wide()
        .inert(NO_FOLLOWERS)
        .doc("Threads that fetch from each leader."),
    def(
        "replica.high.watermark.checkpoint.interval.ms",
        Long,
        "5000",
    )
    .inert(NOT_YET)
    .doc("How often the high watermarks are written to disk."),
    def("fetch.purgatory.purge.interval.requests", Int, "1000")
        .inert(NOTHING_TO_PURGE)
        .doc("How often answered fetches are swept out of the waiting list."),
    def("producer.purgatory.purge.interval.requests", Int, "1000")
        .inert(NOTHING_TO_PURGE)
        .doc("How often answered produce requests are swept out of the waiting list."),
    def("delete.records.purgatory.purge.interval.requests", Int, "1")
        .inert(NOTHING_TO_PURGE)
        .doc("How often answered DeleteRecords requests are swept out of the waiting list."),
    def("auto.leader.rebalance.enable", Boolean, "true")
        .inert(NO_FOLLOWERS)
        .doc("Whether leadership goes back to the preferred replica by itself."),
    def("leader.imbalance.check.interval.seconds", Long, "300")
        .at_least(1)
        .inert(NO_FOLLOWERS)
        .doc("How often leaderships are compared with the preferred replicas."),
    def("unclean.leader.election.interval.ms", Long, "300000")
        .at_least(1)
        .internal()
        .inert(NO_FOLLOWERS)
        .doc("How often partitions without a leader are looked at for an unclean election."),
    def("unclean.leader.election.enable", Boolean, "false")
        .cluster_wide()
        .inert(NO_FOLLOWERS)
        .doc("Whether a replica that lacks acknowledged records may lead when nobody else can."),
    def("security.inter.broker.protocol", String, "PLAINTEXT")
        .one_of(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"])
        .inert(NO_SECURITY)
        .doc("The protocol between brokers where inter.broker.listener.name is unset."),
    unset("inter.broker.listener.name", String)
        .inert(NOT_YET)
        .doc("The listener whose address other brokers are given."),
    unset("replica.selector.class", String)
        .inert(NO_JAVA)
        .doc("The plug-in that picks the replica a consumer reads from."),
    def("follower.fetch.last.tiered.offset.enable", Boolean, "false")
        .cluster_wide()
        .inert(NO_TIERED_STORAGE)
        .doc("Whether a new follower starts at the end of the tiered part of the log."),
];
