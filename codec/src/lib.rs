//! Bytes to Kafka messages and back.
