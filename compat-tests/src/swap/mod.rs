//! One data directory, two servers: Apache Kafka is stopped or killed, Klamm goes on where it stood, and the other way
//! round. Stock Java clients change everything that can be changed on either of them and compare what they see before and
//! after; kafka-dump-log reads every file that Klamm has written.

mod dump_log;
mod home;
mod journey;
mod program;
mod run;

pub use run::{Options, run};
