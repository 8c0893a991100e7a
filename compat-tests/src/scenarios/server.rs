//! The server under test: Klamm, or Apache Kafka as the judge of the scenarios themselves.

use std::net::SocketAddr;

use crate::kafka::{Kafka, KafkaOptions};
use crate::klamm::{Klamm, KlammOptions, Storage};
use crate::scenarios::failure::Outcome;
use crate::server_process::tail;
pub use crate::suites::ServerKind;

/// kcat creates topics by asking for them; they get as many partitions as the tests use. Overdue transactions are looked
/// for often.
const SETTINGS: [(&str, &str); 3] = [
    ("num.partitions", "5"),
    ("group.initial.rebalance.delay.ms", "0"),
    (
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        "500",
    ),
];

#[derive(Debug)]
pub enum Server {
    Klamm(Klamm),
    Kafka(Kafka),
}

impl Server {
    pub fn start(kind: ServerKind) -> Outcome<Self> {
        match kind {
            ServerKind::Klamm => {
                let mut options = KlammOptions::new(Storage::Temporary);
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

    /// `kill -9`, then the same port and data again.
    pub fn kill_and_restart(&mut self) -> Outcome<()> {
        match self {
            Self::Klamm(klamm) => {
                klamm.kill()?;
                klamm.restart()?;
            }
            Self::Kafka(kafka) => {
                kafka.kill()?;
                kafka.restart()?;
            }
        }
        Ok(())
    }

    pub fn log_tail(&self) -> String {
        match self {
            Self::Klamm(klamm) => klamm.log_tail(),
            Self::Kafka(kafka) => tail(&kafka.home().join("broker.log")),
        }
    }
}
