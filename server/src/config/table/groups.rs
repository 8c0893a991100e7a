//! The group coordinator: classic groups, consumer groups and committed offsets.

use crate::config::def::Kind::{Int, List, Long, Short, String};
use crate::config::def::reason::{NO_CONSUMER_GROUPS, NOT_YET, OWN_BUFFERS, RUNTIME_THREADS};
use crate::config::def::{Definition, def};

pub(super) static GROUPS: &[Definition] = &[
    def("group.coordinator.rebalance.protocols", List, "classic,consumer,streams")
        .some_of(&["consumer", "classic", "share", "streams"])
        .doc("The group protocols that are served; classic always is."),
    def("group.coordinator.threads", Int, "4")
        .at_least(1)
        .inert(RUNTIME_THREADS)
        .doc("Threads of the group coordinator."),
    def("group.coordinator.background.threads", Int, "2")
        .at_least(1)
        .inert(RUNTIME_THREADS)
        .doc("Threads for the longer work of the group coordinator."),
    def("group.coordinator.append.linger.ms", Int, "-1")
        .at_least(-1)
        .inert(OWN_BUFFERS)
        .doc("How long the coordinator gathers writes before it appends them; -1 is its own choice."),
    def("offsets.commit.timeout.ms", Int, "5000")
        .at_least(1)
        .inert(NOT_YET)
        .doc("How long the write of a commit or of a group change may take."),
    def("offsets.load.buffer.size", Int, "5242880")
        .at_least(1)
        .inert(OWN_BUFFERS)
        .doc("Bytes read at a time when the coordinator loads groups."),
    def("offsets.topic.replication.factor", Short, "3")
        .at_least(1)
        .implied("1")
        .doc("Replicas of __consumer_offsets, no more than there are brokers."),
    def("offsets.topic.num.partitions", Int, "50")
        .at_least(1)
        .doc("Partitions of __consumer_offsets; fixed once the topic exists."),
    def("offsets.topic.segment.bytes", Int, "104857600")
        .at_least(1)
        .doc("segment.bytes of __consumer_offsets."),
    def("offsets.topic.compression.codec", Int, "0")
        .inert(NOT_YET)
        .doc("Codec of __consumer_offsets: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd."),
    def("group.coordinator.cached.buffer.max.bytes", Int, "1048588")
        .at_least(524_288)
        .cluster_wide()
        .inert(OWN_BUFFERS)
        .doc("Largest write buffer that the coordinator keeps for the next write."),
    def("offset.metadata.max.bytes", Int, "4096")
        .doc("Longest note that a commit may carry."),
    def("offsets.retention.minutes", Int, "10080")
        .at_least(1)
        .doc("How long the offsets of an empty group are kept."),
    def("offsets.retention.check.interval.ms", Long, "600000")
        .at_least(1)
        .doc("How often offsets are looked at for expiry."),
    def("group.min.session.timeout.ms", Int, "6000")
        .doc("Shortest session timeout that a classic member may ask for."),
    def("group.max.session.timeout.ms", Int, "1800000")
        .doc("Longest session timeout that a classic member may ask for."),
    def("group.initial.rebalance.delay.ms", Int, "3000")
        .doc("How long an empty classic group waits for more members after the first. Klamm's --ephemeral makes it 0."),
    def("group.max.size", Int, "2147483647")
        .at_least(1)
        .doc("Members that a classic group may have."),
    def("group.consumer.session.timeout.ms", Int, "45000")
        .at_least(1)
        .inert(NO_CONSUMER_GROUPS)
        .doc("Session timeout of members of consumer groups."),
    def("group.consumer.min.session.timeout.ms", Int, "45000")
        .at_least(1)
        .inert(NO_CONSUMER_GROUPS)
        .doc("Lower bound of a group's own consumer.session.timeout.ms."),
    def("group.consumer.max.session.timeout.ms", Int, "60000")
        .at_least(1)
        .inert(NO_CONSUMER_GROUPS)
        .doc("Upper bound of a group's own consumer.session.timeout.ms."),
    def("group.consumer.heartbeat.interval.ms", Int, "5000")
        .at_least(1)
        .inert(NO_CONSUMER_GROUPS)
        .doc("Heartbeat interval of members of consumer groups."),
    def("group.consumer.min.heartbeat.interval.ms", Int, "5000")
        .at_least(1)
        .inert(NO_CONSUMER_GROUPS)
        .doc("Lower bound of a group's own consumer.heartbeat.interval.ms."),
    def("group.consumer.max.heartbeat.interval.ms", Int, "15000")
        .at_least(1)
        .inert(NO_CONSUMER_GROUPS)
        .doc("Upper bound of a group's own consumer.heartbeat.interval.ms."),
    def("group.consumer.max.size", Int, "2147483647")
        .at_least(1)
        .inert(NO_CONSUMER_GROUPS)
        .doc("Members that a consumer group may have."),
    def("group.consumer.assignors", List, "uniform,range")
        .some()
        .inert(NO_CONSUMER_GROUPS)
        .doc("Assignors of consumer groups; the first is the default."),
    def("group.consumer.migration.policy", String, "bidirectional")
        .any_case_of(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"])
        .inert(NO_CONSUMER_GROUPS)
        .doc("Which way groups may change between the classic and the consumer protocol while they have members."),
    def("group.consumer.assignment.interval.ms", Int, "1000")
        .at_least(0)
        .cluster_wide()
        .inert(NO_CONSUMER_GROUPS)
        .doc("Shortest time between two assignments of a consumer group."),
    def("group.consumer.min.assignment.interval.ms", Int, "0")
        .at_least(0)
        .inert(NO_CONSUMER_GROUPS)
        .doc("Lower bound of a group's own consumer.assignment.interval.ms."),
    def("group.consumer.max.assignment.interval.ms", Int, "15000")
        .at_least(0)
        .inert(NO_CONSUMER_GROUPS)
        .doc("Upper bound of a group's own consumer.assignment.interval.ms."),
    def("group.consumer.regex.refresh.interval.ms", Int, "600000")
        .at_least(10_000)
        .internal()
        .inert(NO_CONSUMER_GROUPS)
        .doc("How often subscribed patterns are matched against the topics again."),
];
