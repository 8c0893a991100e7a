//! A Kafka server as a value.

pub mod config;
