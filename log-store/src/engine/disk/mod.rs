//! A log in Kafka's own files.
