//! Tiered storage (KIP-405).

use crate::config::def::Kind::{Boolean, Double, Int, Long, String};
use crate::config::def::reason::NO_TIERED_STORAGE;
use crate::config::def::{Definition, def, unset};

pub(super) static TIERED: &[Definition] = &[
    def("remote.log.storage.system.enable", Boolean, "false")
        .inert(NO_TIERED_STORAGE)
        .doc("Whether tiered storage is on."),
    def(
        "remote.log.storage.manager.impl.prefix",
        String,
        "rsm.config.",
    )
    .not_empty()
    .inert(NO_TIERED_STORAGE)
    .doc("Prefix of the configs of the remote storage plug-in."),
    def(
        "remote.log.metadata.manager.impl.prefix",
        String,
        "rlmm.config.",
    )
    .not_empty()
    .inert(NO_TIERED_STORAGE)
    .doc("Prefix of the configs of the plug-in for remote metadata."),
    unset("remote.log.storage.manager.class.name", String)
        .not_empty()
        .inert(NO_TIERED_STORAGE)
        .doc("The remote storage plug-in."),
    unset("remote.log.storage.manager.class.path", String)
        .inert(NO_TIERED_STORAGE)
        .doc("Where the remote storage plug-in is loaded from."),
    def(
        "remote.log.metadata.manager.class.name",
        String,
        "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager",
    )
    .not_empty()
    .inert(NO_TIERED_STORAGE)
    .doc("The plug-in for remote metadata."),
    unset("remote.log.metadata.manager.class.path", String)
        .inert(NO_TIERED_STORAGE)
        .doc("Where the plug-in for remote metadata is loaded from."),
    unset("remote.log.metadata.manager.listener.name", String)
        .not_empty()
        .inert(NO_TIERED_STORAGE)
        .doc("The listener that the plug-in for remote metadata connects to."),
    def("remote.log.metadata.custom.metadata.max.bytes", Int, "128")
        .at_least(0)
        .inert(NO_TIERED_STORAGE)
        .doc("Largest note that the remote storage plug-in may attach to a segment."),
    def(
        "remote.log.index.file.cache.total.size.bytes",
        Long,
        "1073741824",
    )
    .at_least(1)
    .cluster_wide()
    .inert(NO_TIERED_STORAGE)
    .doc("Disk space for indexes fetched from remote storage."),
    def("remote.log.index.file.cache.ttl.ms", Long, "900000")
        .at_least(-1)
        .internal()
        .inert(NO_TIERED_STORAGE)
        .doc("How long indexes fetched from remote storage are kept."),
    def("remote.log.manager.thread.pool.size", Int, "2")
        .at_least(1)
        .inert(NO_TIERED_STORAGE)
        .doc("Old name of remote.log.manager.follower.thread.pool.size."),
    def("remote.log.manager.copier.thread.pool.size", Int, "10")
        .at_least(1)
        .cluster_wide()
        .inert(NO_TIERED_STORAGE)
        .doc("Threads that copy log files to remote storage."),
    def("remote.log.manager.expiration.thread.pool.size", Int, "10")
        .at_least(1)
        .cluster_wide()
        .inert(NO_TIERED_STORAGE)
        .doc("Threads that delete log files from remote storage."),
    def("remote.log.manager.follower.thread.pool.size", Int, "2")
        .at_least(1)
        .cluster_wide()
        .inert(NO_TIERED_STORAGE)
        .doc("Threads that read remote metadata for followers."),
    def("remote.log.manager.task.interval.ms", Long, "30000")
        .at_least(1)
        .inert(NO_TIERED_STORAGE)
        .doc("How often log files are looked at for copying."),
    def("remote.log.manager.task.retry.backoff.ms", Long, "500")
        .at_least(1)
        .internal()
        .inert(NO_TIERED_STORAGE)
        .doc("First pause after a failed copy."),
    def(
        "remote.log.manager.task.retry.backoff.max.ms",
        Long,
        "30000",
    )
    .at_least(1)
    .internal()
    .inert(NO_TIERED_STORAGE)
    .doc("Longest pause after a failed copy."),
    def("remote.log.manager.task.retry.jitter", Double, "0.2")
        .ratio(0.0, 0.5)
        .internal()
        .inert(NO_TIERED_STORAGE)
        .doc("How much the pause after a failed copy varies."),
    def("remote.log.reader.threads", Int, "10")
        .at_least(1)
        .cluster_wide()
        .inert(NO_TIERED_STORAGE)
        .doc("Threads that read from remote storage."),
    def("remote.log.reader.max.pending.tasks", Int, "100")
        .at_least(1)
        .inert(NO_TIERED_STORAGE)
        .doc("Remote reads that may wait."),
    def("log.local.retention.ms", Long, "-2")
        .at_least(-2)
        .cluster_wide()
        .inert(NO_TIERED_STORAGE)
        .doc("How long copied records stay on local disk; -2 as long as log.retention.ms."),
    def("log.local.retention.bytes", Long, "-2")
        .at_least(-2)
        .cluster_wide()
        .inert(NO_TIERED_STORAGE)
        .doc("Bytes of copied records that stay on local disk; -2 as many as log.retention.bytes."),
    def(
        "remote.log.manager.copy.max.bytes.per.second",
        Long,
        "9223372036854775807",
    )
    .at_least(1)
    .cluster_wide()
    .inert(NO_TIERED_STORAGE)
    .doc("Bytes per second that are copied to remote storage."),
    def("remote.log.manager.copy.quota.window.num", Int, "11")
        .at_least(1)
        .inert(NO_TIERED_STORAGE)
        .doc("Windows over which copying is measured."),
    def(
        "remote.log.manager.copy.quota.window.size.seconds",
        Int,
        "1",
    )
    .at_least(1)
    .inert(NO_TIERED_STORAGE)
    .doc("Length of a window over which copying is measured."),
    def(
        "remote.log.manager.fetch.max.bytes.per.second",
        Long,
        "9223372036854775807",
    )
    .at_least(1)
    .cluster_wide()
    .inert(NO_TIERED_STORAGE)
    .doc("Bytes per second that are read from remote storage."),
    def("remote.log.manager.fetch.quota.window.num", Int, "11")
        .at_least(1)
        .inert(NO_TIERED_STORAGE)
        .doc("Windows over which remote reads are measured."),
    def(
        "remote.log.manager.fetch.quota.window.size.seconds",
        Int,
        "1",
    )
    .at_least(1)
    .inert(NO_TIERED_STORAGE)
    .doc("Length of a window over which remote reads are measured."),
    def("remote.fetch.max.wait.ms", Int, "500")
        .at_least(1)
        .cluster_wide()
        .inert(NO_TIERED_STORAGE)
        .doc("How long a fetch waits for remote storage."),
    def("remote.list.offsets.request.timeout.ms", Long, "30000")
        .at_least(1)
        .cluster_wide()
        .inert(NO_TIERED_STORAGE)
        .doc("How long a ListOffsets request waits for remote storage."),
];
