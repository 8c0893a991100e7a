//! A Kafka server as a value.

pub mod cluster;
pub mod config;
