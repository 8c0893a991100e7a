//! Logs, retention, flushing and compaction; most are defaults of topic configs.

use crate::config::def::Kind::{Boolean, Class, Double, Int, List, Long, String};
use crate::config::def::reason::{NO_DIRECTORY_MOVES, NO_JAVA, NOT_YET, OWN_BUFFERS};
use crate::config::def::{Definition, def, unset};

pub(super) static LOGS: &[Definition] = &[
    def("num.partitions", Int, "1")
        .at_least(1)
        .doc("Partitions of a topic that is created without saying how many."),
    def("log.dir", List, "/tmp/kafka-logs")
        .some()
        .doc("Where logs are kept, used when log.dirs is unset. Klamm's own default is ./klamm-data."),
    unset("log.dirs", List)
        .some()
        .implied("./klamm-data")
        .doc("Directories for the logs, separated by commas; partitions are spread over them."),
    def("cordoned.log.dirs", List, "")
        .distinct()
        .per_broker()
        .inert(NO_DIRECTORY_MOVES)
        .doc("Log directories that take no new partitions; * is all of them."),
    def("log.segment.bytes", Int, "1073741824")
        .at_least(1_048_576)
        .cluster_wide()
        .doc("Size at which a log file is closed and a new one begun."),
    unset("log.roll.ms", Long)
        .cluster_wide()
        .doc("Age at which a log file is closed even if it is not full; goes before log.roll.hours."),
    def("log.roll.hours", Int, "168")
        .at_least(1)
        .doc("Age at which a log file is closed even if it is not full."),
    unset("log.roll.jitter.ms", Long)
        .cluster_wide()
        .inert(NOT_YET)
        .doc("Random time taken off log.roll.ms, so that files don't all close at once; goes before log.roll.jitter.hours."),
    def("log.roll.jitter.hours", Int, "0")
        .at_least(0)
        .inert(NOT_YET)
        .doc("Random time taken off log.roll.hours, so that files don't all close at once."),
    unset("log.retention.ms", Long)
        .cluster_wide()
        .doc("How long records are kept; -1 for ever. Goes before log.retention.minutes and log.retention.hours."),
    unset("log.retention.minutes", Int)
        .doc("How long records are kept, in minutes. Goes before log.retention.hours."),
    def("log.retention.hours", Int, "168")
        .doc("How long records are kept, in hours."),
    def("log.retention.bytes", Long, "-1")
        .cluster_wide()
        .doc("Bytes of a partition that are kept; -1 sets no bound."),
    def("log.retention.check.interval.ms", Long, "300000")
        .at_least(1)
        .doc("How often logs are looked at for records to delete."),
    def("log.cleanup.policy", List, "delete")
        .each_of(&["compact", "delete"])
        .cluster_wide()
        .doc("What happens to old records: delete, compact, both, or nothing when empty."),
    def("log.index.size.max.bytes", Int, "10485760")
        .at_least(4)
        .cluster_wide()
        .doc("Largest offset index of one log file."),
    def("log.index.interval.bytes", Int, "4096")
        .at_least(0)
        .cluster_wide()
        .doc("Bytes of log between two entries of its offset index."),
    def("log.flush.interval.messages", Long, "9223372036854775807")
        .at_least(1)
        .cluster_wide()
        .doc("Records that may be written before they are synced to disk."),
    def("log.segment.delete.delay.ms", Long, "60000")
        .at_least(0)
        .cluster_wide()
        .inert(NOT_YET)
        .doc("How long a deleted log file stays on disk under another name."),
    def("log.flush.scheduler.interval.ms", Long, "9223372036854775807")
        .doc("How often logs are looked at for records that log.flush.interval.ms wants synced."),
    unset("log.flush.interval.ms", Long)
        .cluster_wide()
        .doc("How long a record may stay unsynced; unset, log.flush.scheduler.interval.ms counts."),
    def("log.flush.offset.checkpoint.interval.ms", Int, "60000")
        .at_least(0)
        .doc("How often the offset up to which each log is synced is written down."),
    def("log.flush.start.offset.checkpoint.interval.ms", Int, "60000")
        .at_least(0)
        .inert(NOT_YET)
        .doc("How often the first offset of each log is written down."),
    def("log.preallocate", Boolean, "false")
        .cluster_wide()
        .inert(OWN_BUFFERS)
        .doc("Whether a new log file takes its full size on disk at once."),
    def("num.recovery.threads.per.data.dir", Int, "2")
        .at_least(1)
        .cluster_wide()
        .doc("Threads per log directory that check logs after a crash."),
    def("auto.create.topics.enable", Boolean, "true")
        .doc("Whether asking for the metadata of a missing topic creates it."),
    def("min.insync.replicas", Int, "1")
        .at_least(1)
        .cluster_wide()
        .doc("In-sync replicas that a produce with acks=all needs."),
    def("log.message.timestamp.type", String, "CreateTime")
        .one_of(&["CreateTime", "LogAppendTime"])
        .cluster_wide()
        .doc("Whether the time of a record is the producer's (CreateTime) or the broker's (LogAppendTime)."),
    def("log.message.timestamp.before.max.ms", Long, "9223372036854775807")
        .at_least(0)
        .cluster_wide()
        .doc("How far in the past a producer's timestamp may be."),
    def("log.message.timestamp.after.max.ms", Long, "3600000")
        .at_least(0)
        .cluster_wide()
        .doc("How far in the future a producer's timestamp may be."),
    unset("create.topic.policy.class.name", Class)
        .inert(NO_JAVA)
        .doc("The plug-in that may refuse new topics."),
    unset("alter.config.policy.class.name", Class)
        .inert(NO_JAVA)
        .doc("The plug-in that may refuse config changes."),
    def("log.dir.failure.timeout.ms", Long, "30000")
        .at_least(1)
        .inert(NO_DIRECTORY_MOVES)
        .doc("How long a broker goes on after it could not report a broken log directory."),
    def("log.initial.task.delay.ms", Long, "30000")
        .at_least(0)
        .internal()
        .inert(NOT_YET)
        .doc("How long after the start the first round of housekeeping waits."),
    def("log.cleaner.threads", Int, "1")
        .at_least(0)
        .cluster_wide()
        .doc("Threads that compact logs."),
    def("log.cleaner.io.max.bytes.per.second", Double, "1.7976931348623157E308")
        .cluster_wide()
        .doc("Bytes per second that compaction reads and writes, all together."),
    def("log.cleaner.dedupe.buffer.size", Long, "134217728")
        .cluster_wide()
        .doc("Memory that compaction may use for the map of keys."),
    def("log.cleaner.io.buffer.size", Int, "524288")
        .at_least(0)
        .cluster_wide()
        .doc("Memory of the read and write buffers of compaction."),
    def("log.cleaner.io.buffer.load.factor", Double, "0.9")
        .cluster_wide()
        .doc("How full the map of keys may get."),
    def("log.cleaner.backoff.ms", Long, "15000")
        .at_least(0)
        .cluster_wide()
        .doc("Pause of compaction when there is nothing to compact."),
    def("log.cleaner.min.cleanable.ratio", Double, "0.5")
        .ratio(0.0, 1.0)
        .cluster_wide()
        .doc("Share of a log that must be new since the last compaction before the next one."),
    def("log.cleaner.enable", Boolean, "true")
        .doc("Whether logs are compacted at all."),
    def("log.cleaner.delete.retention.ms", Long, "86400000")
        .at_least(0)
        .cluster_wide()
        .doc("How long compaction keeps tombstones."),
    def("log.cleaner.min.compaction.lag.ms", Long, "0")
        .at_least(0)
        .cluster_wide()
        .doc("How long a record stays untouched by compaction."),
    def("log.cleaner.max.compaction.lag.ms", Long, "9223372036854775807")
        .at_least(1)
        .cluster_wide()
        .doc("How long a record may stay uncompacted."),
];
