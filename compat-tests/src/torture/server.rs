//! The server that is killed: the binary under test, or Apache Kafka to see what the same load makes of it.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::kafka::{Kafka, KafkaOptions};
use crate::klamm::{Klamm, KlammOptions, Storage};
use crate::server_process::tail;
pub use crate::suites::ServerKind;
use crate::torture::failure::Outcome;

/// Lines of `server.properties` that both servers get.
const SETTINGS: &[(&str, &str)] = &[
    ("auto.create.topics.enable", "false"),
    ("offsets.topic.num.partitions", "5"),
    ("transaction.state.log.num.partitions", "5"),
    ("group.initial.rebalance.delay.ms", "0"),
    // The dead are noticed within the run.
    ("group.min.session.timeout.ms", "500"),
    (
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        "1000",
    ),
];

#[derive(Debug)]
pub enum Server {
    Klamm(Klamm),
    Kafka(Kafka),
}

impl Server {
    /// `binary` is the one to test instead of the release build.
    pub fn start(kind: ServerKind, binary: Option<PathBuf>) -> Outcome<Self> {
        match kind {
            ServerKind::Klamm => {
                let mut options = KlammOptions::new(Storage::Temporary);
                options.binary = binary;
                for (key, value) in SETTINGS {
                    options = options.set(key, value);
                }
                Ok(Self::Klamm(Klamm::start(options)?))
            }
            ServerKind::Kafka => {
                let mut options = KafkaOptions::default();
                for (key, value) in SETTINGS {
                    options = options.set(key, value);
                }
                Ok(Self::Kafka(Kafka::start(&options)?))
            }
        }
    }

    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Klamm(klamm) => klamm.address(),
            Self::Kafka(kafka) => kafka.address(),
        }
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> Outcome<()> {
        match self {
            Self::Klamm(klamm) => Ok(klamm.kill()?),
            Self::Kafka(kafka) => Ok(kafka.kill()?),
        }
    }

    /// Starts again on the same port and data, and returns when it serves.
    pub fn restart(&mut self) -> Outcome<()> {
        match self {
            Self::Klamm(klamm) => Ok(klamm.restart()?),
            Self::Kafka(kafka) => Ok(kafka.restart()?),
        }
    }

    pub fn log_tail(&self) -> String {
        match self {
            Self::Klamm(klamm) => klamm.log_tail(),
            Self::Kafka(kafka) => tail(&kafka.log()),
        }
    }
}
