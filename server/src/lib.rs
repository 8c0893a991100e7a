//! A Kafka server as a value.

pub mod args;
pub mod cluster;
pub mod config;
