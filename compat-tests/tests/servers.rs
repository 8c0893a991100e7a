//! The yardstick itself can be fetched, started and stopped.

use klamm_compat_tests::kafka::{Kafka, KafkaOptions};
use klamm_compat_tests::server_process::answers_api_versions;

/// Starts Apache Kafka from the cache (fetching it first if need be) and expects that nothing listens once it is dropped.
#[test]
fn apache_kafka_answers_until_it_is_dropped() {
    let kafka = Kafka::start(&KafkaOptions::default()).expect("Apache Kafka starts");
    let address = kafka.address();
    let home = kafka.home().to_owned();
    assert!(answers_api_versions(address));
    drop(kafka);
    assert!(!answers_api_versions(address));
    assert!(!home.exists());
}
