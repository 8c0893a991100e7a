//! Metrics and quotas.

use crate::config::def::Kind::{Class, Int, List, Long, String};
use crate::config::def::reason::{
    NO_DIRECTORY_MOVES, NO_FOLLOWERS, NO_JAVA, NO_QUOTAS, OWN_METRICS,
};
use crate::config::def::{Definition, def, unset};

pub(super) static OPERATIONS: &[Definition] = &[
    def("metrics.num.samples", Int, "2")
        .at_least(1)
        .inert(OWN_METRICS)
        .doc("Samples from which rates are computed."),
    def("metrics.sample.window.ms", Long, "30000")
        .at_least(1)
        .inert(OWN_METRICS)
        .doc("Length of a sample from which rates are computed."),
    def(
        "metric.reporters",
        List,
        "org.apache.kafka.common.metrics.JmxReporter",
    )
    .distinct()
    .cluster_wide()
    .inert(NO_JAVA)
    .doc("Plug-ins that receive the metrics."),
    def("metrics.recording.level", String, "INFO")
        .inert(OWN_METRICS)
        .doc("How detailed the metrics are."),
    def("kafka.metrics.reporters", List, "")
        .distinct()
        .inert(NO_JAVA)
        .doc("Plug-ins that receive the broker's older metrics."),
    def("kafka.metrics.polling.interval.secs", Int, "10")
        .at_least(1)
        .inert(OWN_METRICS)
        .doc("How often kafka.metrics.reporters are fed."),
    def("telemetry.max.bytes", Int, "1048576")
        .at_least(1)
        .inert(OWN_METRICS)
        .doc("Largest push of client metrics."),
    def("quota.window.num", Int, "11")
        .at_least(1)
        .inert(NO_QUOTAS)
        .doc("Windows over which a client's traffic is measured."),
    def("replication.quota.window.num", Int, "11")
        .at_least(1)
        .inert(NO_FOLLOWERS)
        .doc("Windows over which replication is measured."),
    def("alter.log.dirs.replication.quota.window.num", Int, "11")
        .at_least(1)
        .inert(NO_DIRECTORY_MOVES)
        .doc("Windows over which moves between log directories are measured."),
    def("controller.quota.window.num", Int, "11")
        .at_least(1)
        .inert(NO_QUOTAS)
        .doc("Windows over which topic changes are measured."),
    def("quota.window.size.seconds", Int, "1")
        .at_least(1)
        .inert(NO_QUOTAS)
        .doc("Length of a window over which a client's traffic is measured."),
    def("replication.quota.window.size.seconds", Int, "1")
        .at_least(1)
        .inert(NO_FOLLOWERS)
        .doc("Length of a window over which replication is measured."),
    def(
        "alter.log.dirs.replication.quota.window.size.seconds",
        Int,
        "1",
    )
    .at_least(1)
    .inert(NO_DIRECTORY_MOVES)
    .doc("Length of a window over which moves between log directories are measured."),
    def("controller.quota.window.size.seconds", Int, "1")
        .at_least(1)
        .inert(NO_QUOTAS)
        .doc("Length of a window over which topic changes are measured."),
    unset("client.quota.callback.class", Class)
        .inert(NO_JAVA)
        .doc("The plug-in that sets client quotas."),
    def(
        "leader.replication.throttled.rate",
        Long,
        "9223372036854775807",
    )
    .at_least(0)
    .cluster_wide()
    .dynamic_only()
    .inert(NO_FOLLOWERS)
    .doc("Bytes per second that leaders send for throttled replicas."),
    def(
        "follower.replication.throttled.rate",
        Long,
        "9223372036854775807",
    )
    .at_least(0)
    .cluster_wide()
    .dynamic_only()
    .inert(NO_FOLLOWERS)
    .doc("Bytes per second that followers fetch for throttled replicas."),
    def(
        "replica.alter.log.dirs.io.max.bytes.per.second",
        Long,
        "9223372036854775807",
    )
    .at_least(0)
    .cluster_wide()
    .dynamic_only()
    .inert(NO_DIRECTORY_MOVES)
    .doc("Bytes per second that moves between log directories may use."),
];
