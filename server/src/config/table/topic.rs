//! Configs of a topic.

use crate::config::def::Kind::{Boolean, Double, Int, List, Long, String};
use crate::config::def::reason::{NO_FOLLOWERS, NO_TIERED_STORAGE, NOT_YET, OWN_BUFFERS};
use crate::config::def::{Definition, def, hours, minutes, same, unset};

pub(super) static TOPIC: &[Definition] = &[
    def("segment.bytes", Int, "1073741824")
        .at_least(1_048_576)
        .broker(&[same("log.segment.bytes")])
        .doc("Size at which a log file is closed and a new one begun."),
    def("segment.ms", Long, "604800000")
        .at_least(1)
        .broker(&[same("log.roll.ms"), hours("log.roll.hours")])
        .doc("Age at which a log file is closed even if it is not full."),
    def("segment.jitter.ms", Long, "0")
        .at_least(0)
        .broker(&[same("log.roll.jitter.ms"), hours("log.roll.jitter.hours")])
        .inert(NOT_YET)
        .doc("Random time taken off segment.ms, so that files don't all close at once."),
    def("segment.index.bytes", Int, "10485760")
        .at_least(4)
        .broker(&[same("log.index.size.max.bytes")])
        .doc("Largest offset index of one log file."),
    def("flush.messages", Long, "9223372036854775807")
        .at_least(1)
        .broker(&[same("log.flush.interval.messages")])
        .doc("Records that may be written before they are synced to disk."),
    def("flush.ms", Long, "9223372036854775807")
        .at_least(0)
        .broker(&[same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")])
        .doc("How long a record may stay unsynced."),
    def("retention.bytes", Long, "-1")
        .broker(&[same("log.retention.bytes")])
        .doc("Bytes of a partition that are kept; -1 sets no bound."),
    def("retention.ms", Long, "604800000")
        .at_least(-1)
        .broker(&[same("log.retention.ms"), minutes("log.retention.minutes"), hours("log.retention.hours")])
        .doc("How long records are kept; -1 for ever."),
    def("max.message.bytes", Int, "1048588")
        .at_least(0)
        .broker(&[same("message.max.bytes")])
        .doc("Largest record batch that is taken, its header included."),
    def("index.interval.bytes", Int, "4096")
        .at_least(0)
        .broker(&[same("log.index.interval.bytes")])
        .doc("Bytes of log between two entries of its offset index."),
    def("delete.retention.ms", Long, "86400000")
        .at_least(0)
        .broker(&[same("log.cleaner.delete.retention.ms")])
        .doc("How long compaction keeps tombstones."),
    def("min.compaction.lag.ms", Long, "0")
        .at_least(0)
        .broker(&[same("log.cleaner.min.compaction.lag.ms")])
        .doc("How long a record stays untouched by compaction."),
    def("max.compaction.lag.ms", Long, "9223372036854775807")
        .at_least(1)
        .broker(&[same("log.cleaner.max.compaction.lag.ms")])
        .doc("How long a record may stay uncompacted."),
    def("file.delete.delay.ms", Long, "60000")
        .at_least(0)
        .broker(&[same("log.segment.delete.delay.ms")])
        .inert(NOT_YET)
        .doc("How long a deleted log file stays on disk under another name."),
    def("min.cleanable.dirty.ratio", Double, "0.5")
        .ratio(0.0, 1.0)
        .broker(&[same("log.cleaner.min.cleanable.ratio")])
        .doc("Share of a log that must be new since the last compaction before the next one."),
    def("cleanup.policy", List, "delete")
        .each_of(&["compact", "delete"])
        .broker(&[same("log.cleanup.policy")])
        .doc("What happens to old records: delete, compact, both, or nothing when empty."),
    def("unclean.leader.election.enable", Boolean, "false")
        .broker(&[same("unclean.leader.election.enable")])
        .inert(NO_FOLLOWERS)
        .doc("Whether a replica that lacks acknowledged records may lead when nobody else can."),
    def("min.insync.replicas", Int, "1")
        .at_least(1)
        .broker(&[same("min.insync.replicas")])
        .doc("In-sync replicas that a produce with acks=all needs."),
    def("compression.type", String, "producer")
        .one_of(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"])
        .broker(&[same("compression.type")])
        .doc("Codec of stored batches: uncompressed, gzip, snappy, lz4, zstd, or producer to keep what the producer chose."),
    def("compression.gzip.level", Int, "-1")
        .gzip_level()
        .broker(&[same("compression.gzip.level")])
        .doc("Level used when batches are recompressed with gzip; -1 is the library's own choice."),
    def("compression.lz4.level", Int, "9")
        .between(1, 17)
        .broker(&[same("compression.lz4.level")])
        .doc("Level used when batches are recompressed with lz4."),
    def("compression.zstd.level", Int, "3")
        .between(-131_072, 22)
        .broker(&[same("compression.zstd.level")])
        .doc("Level used when batches are recompressed with zstd."),
    def("preallocate", Boolean, "false")
        .broker(&[same("log.preallocate")])
        .inert(OWN_BUFFERS)
        .doc("Whether a new log file takes its full size on disk at once."),
    def("message.timestamp.type", String, "CreateTime")
        .one_of(&["CreateTime", "LogAppendTime"])
        .broker(&[same("log.message.timestamp.type")])
        .doc("Whether the time of a record is the producer's (CreateTime) or the broker's (LogAppendTime)."),
    def("message.timestamp.before.max.ms", Long, "9223372036854775807")
        .at_least(0)
        .broker(&[same("log.message.timestamp.before.max.ms")])
        .doc("How far in the past a producer's timestamp may be."),
    def("message.timestamp.after.max.ms", Long, "3600000")
        .at_least(0)
        .broker(&[same("log.message.timestamp.after.max.ms")])
        .doc("How far in the future a producer's timestamp may be."),
    def("leader.replication.throttled.replicas", List, "")
        .throttled_replicas()
        .inert(NO_FOLLOWERS)
        .doc("Replicas whose leaders are throttled, as partition:broker,... or *."),
    def("follower.replication.throttled.replicas", List, "")
        .throttled_replicas()
        .inert(NO_FOLLOWERS)
        .doc("Replicas whose followers are throttled, as partition:broker,... or *."),
    def("remote.storage.enable", Boolean, "false")
        .inert(NO_TIERED_STORAGE)
        .doc("Whether the topic uses tiered storage."),
    def("local.retention.ms", Long, "-2")
        .at_least(-2)
        .broker(&[same("log.local.retention.ms")])
        .inert(NO_TIERED_STORAGE)
        .doc("How long copied records stay on local disk; -2 as long as retention.ms."),
    def("local.retention.bytes", Long, "-2")
        .at_least(-2)
        .broker(&[same("log.local.retention.bytes")])
        .inert(NO_TIERED_STORAGE)
        .doc("Bytes of copied records that stay on local disk; -2 as many as retention.bytes."),
    def("remote.log.copy.disable", Boolean, "false")
        .inert(NO_TIERED_STORAGE)
        .doc("Whether no more records are copied to remote storage."),
    def("remote.log.delete.on.disable", Boolean, "false")
        .inert(NO_TIERED_STORAGE)
        .doc("Whether switching tiered storage off deletes what is there."),
    unset("internal.segment.bytes", Int)
        .internal()
        .doc("Like segment.bytes, without its lower bound, for tests."),
];
