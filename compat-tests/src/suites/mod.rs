//! Test suites that others wrote for their clients, run against a live server.
//!
//! Each is fetched by name from its package registry, built in the cache, and run test by test, one process per test. A
//! committed file per suite (`expected/<suite>.json`) says what Apache Kafka gives for every test with the same
//! settings, and which behaviour Klamm lacks where a test does not pass yet.

mod case;
mod compare;
mod expected;
mod failure;
mod kafka_eos;
mod kgo;
pub(crate) mod librdkafka;
pub(crate) mod process;
mod report;
mod run;
mod rust_tests;
mod schedule;
mod server;
pub(crate) mod workshop;

pub use failure::{Failure, Outcome};
pub use run::{Options, run};
pub use server::ServerKind;
