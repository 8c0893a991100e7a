//! Transactions and producer ids.

use crate::config::def::Kind::{Boolean, Int, Short};
use crate::config::def::reason::NOT_YET;
use crate::config::def::{Definition, def};

pub(super) static TRANSACTIONS: &[Definition] = &[
    def("transaction.state.log.num.partitions", Int, "50")
        .at_least(1)
        .doc("Partitions of __transaction_state; fixed once the topic exists."),
    def("transaction.state.log.replication.factor", Short, "3")
        .at_least(1)
        .implied("1")
        .doc("Replicas of __transaction_state, no more than there are brokers."),
    def("transaction.state.log.min.isr", Int, "2")
        .at_least(1)
        .implied("1")
        .doc("min.insync.replicas of __transaction_state."),
    def("transaction.state.log.segment.bytes", Int, "104857600")
        .at_least(1)
        .doc("segment.bytes of __transaction_state."),
    def("transaction.state.log.load.buffer.size", Int, "5242880")
        .at_least(1)
        .inert(NOT_YET)
        .doc("Bytes read at a time when the transaction coordinator loads its state."),
    def("transaction.partition.verification.enable", Boolean, "true")
        .cluster_wide()
        .doc("Whether a transactional write is checked against the coordinator before it is appended."),
    def("producer.id.expiration.ms", Int, "86400000")
        .at_least(1)
        .cluster_wide()
        .doc("How long the state of an idle producer is kept."),
    def("producer.id.expiration.check.interval.ms", Int, "600000")
        .at_least(1)
        .internal()
        .inert(NOT_YET)
        .doc("How often producers are looked at for expiry."),
    def("transaction.max.timeout.ms", Int, "900000")
        .at_least(1)
        .doc("Longest transaction that a producer may ask for."),
    def("transactional.id.expiration.ms", Int, "604800000")
        .at_least(1)
        .doc("How long an unused transactional id is remembered."),
    def("transaction.two.phase.commit.enable", Boolean, "false")
        .doc("Whether producers may hold transactions open without a timeout."),
    def("transaction.abort.timed.out.transaction.cleanup.interval.ms", Int, "10000")
        .at_least(1)
        .inert("every transaction has a timer of its own")
        .doc("How often transactions are looked at for their timeout."),
    def("transaction.remove.expired.transaction.cleanup.interval.ms", Int, "3600000")
        .at_least(1)
        .doc("How often transactional ids are looked at for expiry."),
    def("add.partitions.to.txn.retry.backoff.ms", Int, "20")
        .at_least(1)
        .doc("First pause before a partition is added to a transaction again."),
    def("add.partitions.to.txn.retry.backoff.max.ms", Int, "100")
        .at_least(0)
        .doc("Longest pause before a partition is added to a transaction again."),
];
