//! A Kafka server as a value.
