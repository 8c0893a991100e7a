//! Share groups (KIP-932) and streams groups (KIP-1071).

use crate::config::def::Kind::{Int, List, Short, String};
use crate::config::def::reason::{NO_SHARE_GROUPS, NO_STREAMS_GROUPS};
use crate::config::def::{Definition, def};

pub(super) static SHARE_AND_STREAMS: &[Definition] = &[
    def("group.share.session.timeout.ms", Int, "45000")
        .at_least(1)
        .inert(NO_SHARE_GROUPS)
        .doc("Session timeout of members of share groups."),
    def("group.share.min.session.timeout.ms", Int, "45000")
        .at_least(1)
        .inert(NO_SHARE_GROUPS)
        .doc("Lower bound of a group's own share.session.timeout.ms."),
    def("group.share.max.session.timeout.ms", Int, "60000")
        .at_least(1)
        .inert(NO_SHARE_GROUPS)
        .doc("Upper bound of a group's own share.session.timeout.ms."),
    def("group.share.heartbeat.interval.ms", Int, "5000")
        .at_least(1)
        .inert(NO_SHARE_GROUPS)
        .doc("Heartbeat interval of members of share groups."),
    def("group.share.min.heartbeat.interval.ms", Int, "5000")
        .at_least(1)
        .inert(NO_SHARE_GROUPS)
        .doc("Lower bound of a group's own share.heartbeat.interval.ms."),
    def("group.share.max.heartbeat.interval.ms", Int, "15000")
        .at_least(1)
        .inert(NO_SHARE_GROUPS)
        .doc("Upper bound of a group's own share.heartbeat.interval.ms."),
    def("group.share.max.size", Int, "200")
        .between(1, 1_000)
        .inert(NO_SHARE_GROUPS)
        .doc("Members that a share group may have."),
    def("group.share.assignors", List, "simple")
        .some()
        .inert(NO_SHARE_GROUPS)
        .doc("The assignor of share groups."),
    def("group.share.assignment.interval.ms", Int, "1000")
        .at_least(0)
        .cluster_wide()
        .inert(NO_SHARE_GROUPS)
        .doc("Shortest time between two assignments of a share group."),
    def("group.share.min.assignment.interval.ms", Int, "0")
        .at_least(0)
        .inert(NO_SHARE_GROUPS)
        .doc("Lower bound of a group's own share.assignment.interval.ms."),
    def("group.share.max.assignment.interval.ms", Int, "15000")
        .at_least(0)
        .inert(NO_SHARE_GROUPS)
        .doc("Upper bound of a group's own share.assignment.interval.ms."),
    def("group.share.initialize.retry.interval.ms", Int, "30000")
        .at_least(1)
        .internal()
        .inert(NO_SHARE_GROUPS)
        .doc("Pause before the state of a share partition is initialized again."),
    def("group.share.delivery.count.limit", Int, "5")
        .between(2, 10)
        .inert(NO_SHARE_GROUPS)
        .doc("Times a record is delivered to a share group before it is given up."),
    def("group.share.min.delivery.count.limit", Int, "2")
        .between(2, 5)
        .inert(NO_SHARE_GROUPS)
        .doc("Lower bound of a group's own share.delivery.count.limit."),
    def("group.share.max.delivery.count.limit", Int, "10")
        .between(5, 25)
        .inert(NO_SHARE_GROUPS)
        .doc("Upper bound of a group's own share.delivery.count.limit."),
    def("group.share.record.lock.duration.ms", Int, "30000")
        .between(1_000, 3_600_000)
        .inert(NO_SHARE_GROUPS)
        .doc("How long a member of a share group holds a record."),
    def("group.share.min.record.lock.duration.ms", Int, "15000")
        .between(1_000, 30_000)
        .inert(NO_SHARE_GROUPS)
        .doc("Lower bound of a group's own share.record.lock.duration.ms."),
    def("group.share.max.record.lock.duration.ms", Int, "60000")
        .between(30_000, 3_600_000)
        .inert(NO_SHARE_GROUPS)
        .doc("Upper bound of a group's own share.record.lock.duration.ms."),
    def("group.share.partition.max.record.locks", Int, "2000")
        .between(100, 10_000)
        .inert(NO_SHARE_GROUPS)
        .doc("Records of one partition that a share group may hold at once."),
    def("group.share.min.partition.max.record.locks", Int, "100")
        .between(100, 2_000)
        .inert(NO_SHARE_GROUPS)
        .doc("Lower bound of a group's own share.partition.max.record.locks."),
    def("group.share.max.partition.max.record.locks", Int, "4000")
        .between(2_000, 10_000)
        .inert(NO_SHARE_GROUPS)
        .doc("Upper bound of a group's own share.partition.max.record.locks."),
    def("group.share.max.share.sessions", Int, "2000")
        .at_least(1)
        .inert(NO_SHARE_GROUPS)
        .doc("Share sessions that are remembered at once."),
    def(
        "group.share.persister.class.name",
        String,
        "org.apache.kafka.server.share.persister.DefaultStatePersister",
    )
    .internal()
    .inert(NO_SHARE_GROUPS)
    .doc("The plug-in that keeps the state of share groups."),
    def("share.fetch.purgatory.purge.interval.requests", Int, "1000")
        .inert(NO_SHARE_GROUPS)
        .doc("How often answered share fetches are swept out of the waiting list."),
    def("share.coordinator.state.topic.num.partitions", Int, "50")
        .at_least(1)
        .inert(NO_SHARE_GROUPS)
        .doc("Partitions of __share_group_state."),
    def(
        "share.coordinator.state.topic.replication.factor",
        Short,
        "3",
    )
    .at_least(1)
    .implied("1")
    .inert(NO_SHARE_GROUPS)
    .doc("Replicas of __share_group_state."),
    def("share.coordinator.state.topic.min.isr", Short, "2")
        .at_least(1)
        .implied("1")
        .inert(NO_SHARE_GROUPS)
        .doc("min.insync.replicas of __share_group_state."),
    def(
        "share.coordinator.state.topic.segment.bytes",
        Int,
        "104857600",
    )
    .at_least(1)
    .inert(NO_SHARE_GROUPS)
    .doc("segment.bytes of __share_group_state."),
    def("share.coordinator.state.topic.compression.codec", Int, "0")
        .inert(NO_SHARE_GROUPS)
        .doc("Codec of __share_group_state."),
    def(
        "share.coordinator.state.topic.prune.interval.ms",
        Int,
        "300000",
    )
    .at_least(1)
    .internal()
    .inert(NO_SHARE_GROUPS)
    .doc("How often superseded state of share groups is deleted."),
    def(
        "share.coordinator.cold.partition.snapshot.interval.ms",
        Int,
        "300000",
    )
    .at_least(1)
    .internal()
    .inert(NO_SHARE_GROUPS)
    .doc("How often share partitions without traffic are snapshotted."),
    def("share.coordinator.threads", Int, "1")
        .at_least(1)
        .inert(NO_SHARE_GROUPS)
        .doc("Threads of the share coordinator."),
    def("share.coordinator.append.linger.ms", Int, "-1")
        .at_least(-1)
        .inert(NO_SHARE_GROUPS)
        .doc("How long the share coordinator gathers writes before it appends them."),
    def("share.coordinator.load.buffer.size", Int, "5242880")
        .at_least(1)
        .inert(NO_SHARE_GROUPS)
        .doc("Bytes read at a time when the share coordinator loads its state."),
    def(
        "share.coordinator.snapshot.update.records.per.snapshot",
        Int,
        "500",
    )
    .between(0, 500)
    .inert(NO_SHARE_GROUPS)
    .doc("Updates of a share partition between two snapshots."),
    def("share.coordinator.write.timeout.ms", Int, "5000")
        .at_least(1)
        .inert(NO_SHARE_GROUPS)
        .doc("How long a write of the share coordinator may take."),
    def("share.coordinator.cached.buffer.max.bytes", Int, "1048588")
        .at_least(524_288)
        .cluster_wide()
        .inert(NO_SHARE_GROUPS)
        .doc("Largest write buffer that the share coordinator keeps for the next write."),
    def("group.streams.session.timeout.ms", Int, "45000")
        .at_least(1)
        .inert(NO_STREAMS_GROUPS)
        .doc("Session timeout of members of streams groups."),
    def("group.streams.min.session.timeout.ms", Int, "45000")
        .at_least(1)
        .inert(NO_STREAMS_GROUPS)
        .doc("Lower bound of a group's own streams.session.timeout.ms."),
    def("group.streams.max.session.timeout.ms", Int, "60000")
        .at_least(1)
        .inert(NO_STREAMS_GROUPS)
        .doc("Upper bound of a group's own streams.session.timeout.ms."),
    def("group.streams.heartbeat.interval.ms", Int, "5000")
        .at_least(1)
        .inert(NO_STREAMS_GROUPS)
        .doc("Heartbeat interval of members of streams groups."),
    def("group.streams.min.heartbeat.interval.ms", Int, "5000")
        .at_least(1)
        .inert(NO_STREAMS_GROUPS)
        .doc("Lower bound of a group's own streams.heartbeat.interval.ms."),
    def("group.streams.max.heartbeat.interval.ms", Int, "15000")
        .at_least(1)
        .inert(NO_STREAMS_GROUPS)
        .doc("Upper bound of a group's own streams.heartbeat.interval.ms."),
    def("group.streams.max.size", Int, "2147483647")
        .at_least(1)
        .inert(NO_STREAMS_GROUPS)
        .doc("Members that a streams group may have."),
    def("group.streams.num.standby.replicas", Int, "0")
        .at_least(0)
        .inert(NO_STREAMS_GROUPS)
        .doc("Standby copies of each task's state."),
    def("group.streams.max.standby.replicas", Int, "2")
        .at_least(0)
        .inert(NO_STREAMS_GROUPS)
        .doc("Upper bound of a group's own streams.num.standby.replicas."),
    def("group.streams.initial.rebalance.delay.ms", Int, "3000")
        .at_least(0)
        .inert(NO_STREAMS_GROUPS)
        .doc("How long an empty streams group waits for more members after the first."),
    def("group.streams.assignment.interval.ms", Int, "1000")
        .at_least(0)
        .cluster_wide()
        .inert(NO_STREAMS_GROUPS)
        .doc("Shortest time between two assignments of a streams group."),
    def("group.streams.min.assignment.interval.ms", Int, "0")
        .at_least(0)
        .inert(NO_STREAMS_GROUPS)
        .doc("Lower bound of a group's own streams.assignment.interval.ms."),
    def("group.streams.max.assignment.interval.ms", Int, "15000")
        .at_least(0)
        .inert(NO_STREAMS_GROUPS)
        .doc("Upper bound of a group's own streams.assignment.interval.ms."),
];
