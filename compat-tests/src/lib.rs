//! Drives the release binary with real clients and compares it with Apache Kafka.

pub mod bench;
pub mod differential;
pub mod faults;
pub mod kafka;
pub mod klamm;
pub mod packages;
pub mod scenarios;
pub mod schema;
pub mod server_process;
pub mod soak;
pub mod suites;
pub mod swap;
pub mod torture;
