//! The broker itself.

use crate::config::def::Kind::{Boolean, Int, List, Long, String};
use crate::config::def::reason::{
    ALWAYS_SO, NO_DIRECTORY_MOVES, NO_FOLLOWERS, NO_JAVA, NO_SECURITY, NOT_YET, RUNTIME_THREADS,
};
use crate::config::def::{Definition, def, required, unset};

pub(super) static SERVER: &[Definition] = &[
    def("broker.id", Int, "-1")
        .doc("Old name of node.id."),
    def("message.max.bytes", Int, "1048588")
        .at_least(0)
        .cluster_wide()
        .doc("Largest record batch that is taken, its header included, for topics that set no max.message.bytes."),
    def("num.io.threads", Int, "8")
        .at_least(1)
        .cluster_wide()
        .inert(RUNTIME_THREADS)
        .doc("Threads that run request handlers."),
    unset("num.replica.alter.log.dirs.threads", Int)
        .inert(NO_DIRECTORY_MOVES)
        .doc("Threads that move replicas between log directories."),
    def("background.threads", Int, "10")
        .at_least(1)
        .cluster_wide()
        .inert(RUNTIME_THREADS)
        .doc("Threads for housekeeping."),
    def("request.timeout.ms", Int, "30000")
        .inert(NOT_YET)
        .doc("How long a request to another part of the broker may take before the client is told to try again."),
    def("socket.connection.setup.timeout.ms", Long, "10000")
        .inert(NO_FOLLOWERS)
        .doc("How long the broker waits for a connection to another broker."),
    def("socket.connection.setup.timeout.max.ms", Long, "30000")
        .inert(NO_FOLLOWERS)
        .doc("Upper end of the growing wait for a connection to another broker."),
    def("config.providers", List, "")
        .distinct()
        .cluster_wide()
        .inert(NO_JAVA)
        .doc("Names of plug-ins that fetch config values from elsewhere."),
    def("authorizer.class.name", String, "")
        .inert(NO_SECURITY)
        .doc("The plug-in that decides who may do what."),
    unset("early.start.listeners", List)
        .distinct()
        .inert(ALWAYS_SO)
        .doc("Listeners that open before the authorizer is ready."),
    unset("broker.rack", String)
        .doc("The rack that Metadata names for this broker."),
    def("controlled.shutdown.enable", Boolean, "true")
        .inert(NO_FOLLOWERS)
        .doc("Whether a broker hands over its leaderships before it stops."),
    def("delete.topic.enable", Boolean, "true")
        .doc("Whether clients may delete topics."),
    def("compression.type", String, "producer")
        .one_of(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"])
        .cluster_wide()
        .doc("Codec of stored batches: uncompressed, gzip, snappy, lz4, zstd, or producer to keep what the producer chose."),
    def("compression.gzip.level", Int, "-1")
        .gzip_level()
        .cluster_wide()
        .doc("Level used when batches are recompressed with gzip; -1 is the library's own choice."),
    def("compression.lz4.level", Int, "9")
        .between(1, 17)
        .cluster_wide()
        .doc("Level used when batches are recompressed with lz4."),
    def("compression.zstd.level", Int, "3")
        .between(-131_072, 22)
        .cluster_wide()
        .doc("Level used when batches are recompressed with zstd."),
    def("max.incremental.fetch.session.cache.slots", Int, "1000")
        .at_least(0)
        .doc("Incremental fetch sessions that are remembered at once."),
    def("fetch.max.bytes", Int, "57671680")
        .at_least(1_024)
        .doc("Upper end of what one fetch answer carries."),
    def("max.request.partition.size.limit", Int, "2000")
        .at_least(1)
        .doc("Partitions that one DescribeTopicPartitions answer may hold."),
    def("unstable.api.versions.enable", Boolean, "false")
        .internal()
        .inert(ALWAYS_SO)
        .doc("Whether API versions still under development are served."),
    def("unstable.feature.versions.enable", Boolean, "false")
        .internal()
        .inert(ALWAYS_SO)
        .doc("Whether feature versions still under development may be finalized."),
    required("node.id", Int)
        .at_least(0)
        .implied("1")
        .doc("The number of this broker. Klamm is 1 where nothing is set."),
    required("process.roles", List)
        .some_of(&["broker", "controller"])
        .implied("broker,controller")
        .inert(ALWAYS_SO)
        .doc("The roles of a KRaft process. Klamm is both broker and controller whatever is set here."),
];
