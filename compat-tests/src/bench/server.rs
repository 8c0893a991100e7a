//! The three servers, started alike.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::bare::Durability;
use super::process::Process;
use super::{Failure, Outcome};
use crate::kafka::{Jvm, Kafka, KafkaOptions};
use crate::klamm::{Klamm, KlammOptions, Storage};
use crate::server_process::{ServerProcess, answers_api_versions};

/// What `kafka-server-start.sh` gives a broker.
const KAFKA_HEAP_MEGABYTES: u32 = 1024;
/// Topics of one run are out of the page cache before the next.
const DELETE_DELAY: (&str, &str) = ("log.segment.delete.delay.ms", "500");
const BARE_READY_PREFIX: &str = "ready ";

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    Kafka,
    Klamm,
    Bare,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Kafka, Self::Klamm, Self::Bare];

    /// The place of this server's numbers in a row.
    pub fn index(self) -> usize {
        match self {
            Self::Kafka => 0,
            Self::Klamm => 1,
            Self::Bare => 2,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kafka => "Apache Kafka",
            Self::Klamm => "Klamm",
            Self::Bare => "bare server",
        })
    }
}

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    pub klamm: PathBuf,
    pub bare: PathBuf,
}

/// A server on fresh data. Dropping it ends the process and removes the data.
#[derive(Debug)]
pub struct Server {
    pub kind: Kind,
    pub address: SocketAddr,
    pub process: Process,
    /// From the start of the process until it has answered ApiVersions.
    pub started_in: Duration,
    _running: Running,
}

#[derive(Debug)]
#[expect(dead_code, reason = "held until the server is dropped")]
enum Running {
    Kafka(Box<Kafka>),
    Klamm(Box<Klamm>),
    Bare(ServerProcess, TempDir),
}

impl Server {
    /// On Apache Kafka durability is a setting of the topic: see [`Self::topic_configs`].
    pub fn start(kind: Kind, durability: Durability, programs: &Programs) -> Outcome<Self> {
        Self::start_with(kind, durability, programs, &[])
    }

    /// With lines of `server.properties` on top; the bare server has no such settings.
    pub fn start_with(
        kind: Kind,
        durability: Durability,
        programs: &Programs,
        settings: &[(&str, &str)],
    ) -> Outcome<Self> {
        match kind {
            Kind::Kafka => start_kafka(settings),
            Kind::Klamm => start_klamm(durability, &programs.klamm, settings),
            Kind::Bare => start_bare(durability, &programs.bare),
        }
    }

    /// What a topic needs so that an answer means what `durability` says.
    pub fn topic_configs(&self, durability: Durability) -> &'static [(&'static str, &'static str)] {
        match (self.kind, durability) {
            (Kind::Kafka, Durability::Disk) => &[("flush.messages", "1")],
            (Kind::Kafka, Durability::PageCache) | (Kind::Klamm | Kind::Bare, _) => &[],
        }
    }
}

fn start_kafka(settings: &[(&str, &str)]) -> Outcome<Server> {
    let mut options = KafkaOptions::default().set(DELETE_DELAY.0, DELETE_DELAY.1);
    for (key, value) in settings {
        options = options.set(key, value);
    }
    options.heap_megabytes = KAFKA_HEAP_MEGABYTES;
    options.jvm = Jvm::Production;
    let kafka = Kafka::start(&options)?;
    Ok(Server {
        kind: Kind::Kafka,
        address: kafka.address(),
        process: Process { pid: kafka.pid() },
        started_in: kafka.started_in(),
        _running: Running::Kafka(Box::new(kafka)),
    })
}

fn start_klamm(
    durability: Durability,
    program: &Path,
    settings: &[(&str, &str)],
) -> Outcome<Server> {
    let fsync = match durability {
        Durability::PageCache => "never",
        Durability::Disk => "acks-all",
    };
    let mut options = KlammOptions::new(Storage::Temporary)
        .set(DELETE_DELAY.0, DELETE_DELAY.1)
        .set("klamm.fsync", fsync);
    for (key, value) in settings {
        options = options.set(key, value);
    }
    options.binary = Some(program.to_owned());
    let began = Instant::now();
    let klamm = Klamm::start(options)?;
    Ok(Server {
        kind: Kind::Klamm,
        address: klamm.address(),
        process: Process { pid: klamm.pid() },
        started_in: answered_since(began, klamm.address())?,
        _running: Running::Klamm(Box::new(klamm)),
    })
}

fn start_bare(durability: Durability, program: &Path) -> Outcome<Server> {
    let home = tempfile::Builder::new().prefix("klamm-bare-").tempdir()?;
    let mut command = Command::new(program);
    command.arg("--data-dir").arg(home.path());
    if durability == Durability::Disk {
        command.arg("--fsync");
    }
    let began = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::new(format!("{}: {error}", program.display())))?;
    let stdout = child.stdout.take().expect("standard output is piped");
    let process = ServerProcess::new(child);
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let address = line
        .strip_prefix(BARE_READY_PREFIX)
        .and_then(|address| address.trim().parse().ok())
        .ok_or_else(|| Failure::new("the bare server has not started"))?;
    Ok(Server {
        kind: Kind::Bare,
        address,
        process: Process { pid: process.pid() },
        started_in: answered_since(began, address)?,
        _running: Running::Bare(process, home),
    })
}

fn answered_since(began: Instant, address: SocketAddr) -> Outcome<Duration> {
    if answers_api_versions(address) {
        Ok(began.elapsed())
    } else {
        Err(Failure::new(
            "a server that is ready does not answer ApiVersions",
        ))
    }
}
