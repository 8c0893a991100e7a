//! The servers under test: one per suite and profile, so that suites do not see each other's topics and groups.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::kafka::{Kafka, KafkaOptions};
use crate::klamm::{Klamm, KlammOptions, Storage};
use crate::server_process::tail;
use crate::suites::case::Profile;
use crate::suites::failure::{Failure, Outcome};

/// Lines of `server.properties` that both servers get: those of the suites' own test beds.
const SETTINGS: &[(&str, &str)] = &[
    ("num.partitions", "4"),
    ("auto.create.topics.enable", "true"),
    ("offsets.topic.replication.factor", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    // Members that start together meet in one generation, as librdkafka's 0118 expects.
    ("group.initial.rebalance.delay.ms", "100"),
    ("group.min.session.timeout.ms", "1000"),
    (
        "authorizer.class.name",
        "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    ),
    ("allow.everyone.if.no.acl.found", "true"),
    ("super.users", "User:admin"),
];

/// The suites write more at the same time than other tests do.
const KAFKA_HEAP_MEGABYTES: u32 = 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ServerKind {
    Klamm,
    Kafka,
}

impl ServerKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Klamm => "klamm",
            Self::Kafka => "kafka",
        }
    }
}

#[derive(Debug)]
pub enum Server {
    Klamm(Klamm),
    Kafka(Kafka),
}

impl Server {
    pub fn start(kind: ServerKind, profile: &Profile) -> Outcome<Self> {
        let listen = match profile.port {
            Some(port) => loopback_with(port)?,
            None => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        };
        let settings = SETTINGS
            .iter()
            .filter(|(key, _)| profile.settings.iter().all(|(own, _)| own != key))
            .chain(profile.settings);
        match kind {
            ServerKind::Klamm => {
                let mut options = KlammOptions::new(Storage::Temporary);
                options.listen = listen;
                for (key, value) in settings {
                    options = options.set(key, value);
                }
                Ok(Self::Klamm(Klamm::start(options)?))
            }
            ServerKind::Kafka => {
                let mut options = KafkaOptions {
                    listen,
                    heap_megabytes: KAFKA_HEAP_MEGABYTES,
                    ..KafkaOptions::default()
                };
                for (key, value) in settings {
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

    pub fn log_tail(&self) -> String {
        match self {
            Self::Klamm(klamm) => klamm.log_tail(),
            Self::Kafka(kafka) => tail(&kafka.log()),
        }
    }
}

/// A loopback address on which this port is free; the whole of 127.0.0.0/8 is one's own on Linux.
fn loopback_with(port: u16) -> Outcome<SocketAddr> {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    std::iter::once(Ipv4Addr::LOCALHOST)
        .chain((1..=CANDIDATES).map(|second| Ipv4Addr::new(127, second, high, low | 1)))
        .map(|address| SocketAddr::from((address, port)))
        .find(|address| TcpListener::bind(address).is_ok())
        .ok_or_else(|| Failure::new(format!("port {port} is taken on every loopback address")))
}

const CANDIDATES: u8 = 8;
