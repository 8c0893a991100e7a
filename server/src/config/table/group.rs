//! Configs of a group.

use crate::config::def::Kind::{Boolean, Int, String};
use crate::config::def::reason::{NO_CONSUMER_GROUPS, NO_SHARE_GROUPS, NO_STREAMS_GROUPS};
use crate::config::def::{Definition, def, same};

pub(super) static GROUP: &[Definition] = &[
    def("consumer.session.timeout.ms", Int, "45000")
        .at_least(1)
        .broker(&[same("group.consumer.session.timeout.ms")])
        .inert(NO_CONSUMER_GROUPS)
        .doc("Session timeout of the group's members."),
    def("consumer.heartbeat.interval.ms", Int, "5000")
        .at_least(1)
        .broker(&[same("group.consumer.heartbeat.interval.ms")])
        .inert(NO_CONSUMER_GROUPS)
        .doc("Heartbeat interval of the group's members."),
    def("consumer.assignment.interval.ms", Int, "1000")
        .at_least(0)
        .broker(&[same("group.consumer.assignment.interval.ms")])
        .inert(NO_CONSUMER_GROUPS)
        .doc("Shortest time between two assignments of the group."),
    def("share.session.timeout.ms", Int, "45000")
        .at_least(1)
        .broker(&[same("group.share.session.timeout.ms")])
        .inert(NO_SHARE_GROUPS)
        .doc("Session timeout of the group's members."),
    def("share.heartbeat.interval.ms", Int, "5000")
        .at_least(1)
        .broker(&[same("group.share.heartbeat.interval.ms")])
        .inert(NO_SHARE_GROUPS)
        .doc("Heartbeat interval of the group's members."),
    def("share.record.lock.duration.ms", Int, "30000")
        .at_least(1_000)
        .broker(&[same("group.share.record.lock.duration.ms")])
        .inert(NO_SHARE_GROUPS)
        .doc("How long a member holds a record."),
    def("share.delivery.count.limit", Int, "5")
        .at_least(2)
        .broker(&[same("group.share.delivery.count.limit")])
        .inert(NO_SHARE_GROUPS)
        .doc("Times a record is delivered before it is given up."),
    def("share.partition.max.record.locks", Int, "2000")
        .at_least(100)
        .broker(&[same("group.share.partition.max.record.locks")])
        .inert(NO_SHARE_GROUPS)
        .doc("Records of one partition that the group may hold at once."),
    def("share.auto.offset.reset", String, "latest")
        .offset_reset()
        .inert(NO_SHARE_GROUPS)
        .doc("Where a new share partition starts: latest, earliest or by_duration:PnDTnHnMn.nS."),
    def("share.isolation.level", String, "read_uncommitted")
        .one_of(&["read_committed", "read_uncommitted"])
        .inert(NO_SHARE_GROUPS)
        .doc("Whether records of open and aborted transactions are delivered."),
    def("share.renew.acknowledge.enable", Boolean, "true")
        .inert(NO_SHARE_GROUPS)
        .doc("Whether members may prolong their hold on a record."),
    def("share.assignment.interval.ms", Int, "1000")
        .at_least(0)
        .broker(&[same("group.share.assignment.interval.ms")])
        .inert(NO_SHARE_GROUPS)
        .doc("Shortest time between two assignments of the group."),
    def("streams.session.timeout.ms", Int, "45000")
        .at_least(1)
        .broker(&[same("group.streams.session.timeout.ms")])
        .inert(NO_STREAMS_GROUPS)
        .doc("Session timeout of the group's members."),
    def("streams.heartbeat.interval.ms", Int, "5000")
        .at_least(1)
        .broker(&[same("group.streams.heartbeat.interval.ms")])
        .inert(NO_STREAMS_GROUPS)
        .doc("Heartbeat interval of the group's members."),
    def("streams.num.standby.replicas", Int, "0")
        .at_least(0)
        .broker(&[same("group.streams.num.standby.replicas")])
        .inert(NO_STREAMS_GROUPS)
        .doc("Standby copies of each task's state."),
    def("streams.initial.rebalance.delay.ms", Int, "3000")
        .at_least(0)
        .broker(&[same("group.streams.initial.rebalance.delay.ms")])
        .inert(NO_STREAMS_GROUPS)
        .doc("How long an empty group waits for more members after the first."),
    def("streams.assignment.interval.ms", Int, "1000")
        .at_least(0)
        .broker(&[same("group.streams.assignment.interval.ms")])
        .inert(NO_STREAMS_GROUPS)
        .doc("Shortest time between two assignments of the group."),
];
