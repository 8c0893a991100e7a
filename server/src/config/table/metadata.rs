//! The metadata log and Kafka's controller quorum.

use crate::config::def::Kind::{Boolean, Int, List, Long, String};
use crate::config::def::reason::{NO_QUORUM, NO_SECURITY, OWN_METADATA_LOG};
use crate::config::def::{Definition, def, required, unset};

pub(super) static METADATA: &[Definition] = &[
    required("controller.listener.names", List)
        .some()
        .implied("CONTROLLER")
        .doc("Listeners of a KRaft controller. Klamm does not bind them."),
    def("initial.broker.registration.timeout.ms", Int, "60000")
        .inert(NO_QUORUM)
        .doc("How long a broker tries to register before it gives up."),
    def("broker.heartbeat.interval.ms", Int, "2000")
        .inert(NO_QUORUM)
        .doc("How often a broker tells the controller that it is alive."),
    def("broker.session.timeout.ms", Int, "9000")
        .inert(NO_QUORUM)
        .doc("How long the controller waits for a broker's heartbeat."),
    def("sasl.mechanism.controller.protocol", String, "GSSAPI")
        .inert(NO_SECURITY)
        .doc("The SASL mechanism between controllers."),
    def("controller.performance.sample.period.ms", Long, "60000")
        .at_least(100)
        .internal()
        .inert(NO_QUORUM)
        .doc("How often the controller reports slow events."),
    def(
        "controller.performance.always.log.threshold.ms",
        Long,
        "2000",
    )
    .at_least(0)
    .internal()
    .inert(NO_QUORUM)
    .doc("Events of the controller that are slower than this are always reported."),
    def("server.max.startup.time.ms", Long, "9223372036854775807")
        .at_least(0)
        .internal()
        .inert(NO_QUORUM)
        .doc("How long a start may take."),
    def(
        "metadata.log.max.record.bytes.between.snapshots",
        Long,
        "20971520",
    )
    .at_least(1)
    .doc("Bytes of metadata records between two snapshots."),
    def("metadata.log.max.snapshot.interval.ms", Long, "3600000")
        .at_least(0)
        .doc("Longest time between two snapshots of the metadata."),
    unset("metadata.log.dir", String)
        .doc("Where the metadata log is kept; unset, in the first log directory."),
    def("metadata.log.segment.bytes", Int, "1073741824")
        .at_least(8_388_608)
        .doc("Size at which a file of the metadata log is closed."),
    def("metadata.log.segment.ms", Long, "604800000")
        .doc("Age at which a file of the metadata log is closed."),
    def("metadata.max.retention.bytes", Long, "104857600")
        .doc("Bytes of old snapshots and metadata records that are kept."),
    def("metadata.max.retention.ms", Long, "604800000")
        .doc("How long old snapshots and metadata records are kept."),
    def("metadata.max.idle.interval.ms", Int, "500")
        .at_least(0)
        .inert(NO_QUORUM)
        .doc("How often the controller writes an empty record when nothing happens."),
    unset("internal.metadata.log.segment.bytes", Int)
        .internal()
        .doc("Like metadata.log.segment.bytes, without its lower bound, for tests."),
    def("internal.metadata.max.batch.size.in.bytes", Int, "8388608")
        .internal()
        .inert(OWN_METADATA_LOG)
        .doc("Largest batch of the metadata log, for tests."),
    def("internal.metadata.delete.delay.millis", Long, "60000")
        .internal()
        .inert(OWN_METADATA_LOG)
        .doc("How long deleted files of the metadata log stay on disk, for tests."),
    def("controller.quorum.voters", List, "")
        .voters()
        .inert(NO_QUORUM)
        .doc("The controllers, as id@host:port."),
    def("controller.quorum.bootstrap.servers", List, "")
        .host_ports()
        .inert(NO_QUORUM)
        .doc("Addresses at which the controllers are looked for."),
    def("controller.quorum.election.timeout.ms", Int, "1000")
        .at_least(0)
        .inert(NO_QUORUM)
        .doc("How long a controller waits for an election before it starts another."),
    def("controller.quorum.fetch.timeout.ms", Int, "2000")
        .at_least(0)
        .inert(NO_QUORUM)
        .doc("How long a controller goes without a leader before it calls an election."),
    def("controller.quorum.election.backoff.max.ms", Int, "1000")
        .at_least(0)
        .inert(NO_QUORUM)
        .doc("Longest pause between two elections."),
    def("controller.quorum.append.linger.ms", Int, "25")
        .at_least(0)
        .inert(NO_QUORUM)
        .doc("How long the controller gathers writes before it syncs them."),
    def("controller.quorum.request.timeout.ms", Int, "2000")
        .at_least(0)
        .inert(NO_QUORUM)
        .doc("How long a controller waits for another one's answer."),
    def("controller.quorum.retry.backoff.ms", Int, "20")
        .at_least(0)
        .inert(NO_QUORUM)
        .doc("Pause before a request to another controller is sent again."),
    def("controller.quorum.auto.join.enable", Boolean, "false")
        .inert(NO_QUORUM)
        .doc("Whether a controller adds itself to the quorum."),
    def("controller.quorum.fetch.snapshot.max.bytes", Int, "1048576")
        .at_least(1)
        .inert(NO_QUORUM)
        .doc("Bytes of a snapshot that are fetched at a time."),
    def("controller.quorum.fetch.max.bytes", Int, "1048576")
        .at_least(1)
        .inert(NO_QUORUM)
        .doc("Bytes of the metadata log that are fetched at a time."),
];
