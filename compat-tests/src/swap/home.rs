//! The data directory that changes hands, and the server that has it just now.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::kafka::KafkaJars;
use crate::klamm;
use crate::server_process::{ServerError, ServerProcess, answers_api_versions, tail};
use crate::suites::{Failure, Outcome};

const START_DEADLINE: Duration = Duration::from_secs(120);
const STOP_DEADLINE: Duration = Duration::from_secs(60);

/// Any fixed id in Kafka's URL-safe base64 form of a UUID.
const CLUSTER_ID: &str = "S2xhbW0tQ29tcGF0LVlhcg";

/// Lines of `server.properties` beside the addresses. Klamm is given the same file.
const SETTINGS: &str = "\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
auto.create.topics.enable=false
offsets.topic.num.partitions=3
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
# Snapshots of the metadata come often, and old segments go soon.
metadata.log.max.record.bytes.between.snapshots=2000
internal.metadata.log.segment.bytes=10000
metadata.max.retention.bytes=10000
# Where logs start is on the disk before anything is killed; Kafka would lose it otherwise.
log.initial.task.delay.ms=100
log.flush.start.offset.checkpoint.interval.ms=200
# A restart does not wait long for the one before it to be forgotten.
broker.session.timeout.ms=5000
broker.heartbeat.interval.ms=500
controller.quorum.election.timeout.ms=200
controller.quorum.election.backoff.max.ms=100
";

const LOG4J_PROPERTIES: &str = "\
rootLogger.level=WARN
rootLogger.appenderRef.console.ref=CONSOLE
appender.console.type=Console
appender.console.name=CONSOLE
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %m (%c)%n
";

/// Who has the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    Kafka,
    Klamm,
}

impl ServerKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Klamm => "klamm",
        }
    }
}

/// Where the voters of the metadata quorum are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quorum {
    /// In `controller.quorum.voters`.
    Settings,
    /// In the metadata log, since `format --standalone`.
    Log,
}

/// Offsets in the names of the metadata log's files.
#[derive(Debug, Clone, Copy)]
pub struct MetadataLog {
    /// Where the first segment begins.
    pub start: i64,
    /// Where the newest snapshot ends; 0 while there is none but the one that a directory is formatted with.
    pub snapshot: i64,
}

/// A directory with settings and data. Removed on drop, unless it is kept.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
    address: SocketAddr,
    jars: KafkaJars,
    binary: PathBuf,
}

/// A server that has the data. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    process: ServerProcess,
    kind: ServerKind,
    log: PathBuf,
}

impl Home {
    /// Makes a directory with settings and no data.
    pub fn new(jars: &KafkaJars, binary: Option<&Path>, quorum: Quorum) -> Outcome<Self> {
        let folder = tempfile::Builder::new().prefix("klamm-swap-").tempdir()?;
        let [port, controller_port] = free_ports()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let home = Self {
            folder,
            address,
            jars: jars.clone(),
            binary: binary.map_or_else(klamm::binary, Path::to_owned),
        };
        let controller = format!("127.0.0.1:{controller_port}");
        let quorum = match quorum {
            Quorum::Settings => format!("controller.quorum.voters=1@{controller}"),
            Quorum::Log => format!("controller.quorum.bootstrap.servers={controller}"),
        };
        let data = home.data();
        let properties = format!(
            "{SETTINGS}{quorum}\nlog.dirs={}\nadvertised.listeners=PLAINTEXT://{address}\n\
             listeners=PLAINTEXT://{address},CONTROLLER://{controller}\n",
            data.display()
        );
        fs::write(home.properties(), properties)?;
        fs::write(
            home.folder.path().join("log4j2.properties"),
            LOG4J_PROPERTIES,
        )?;
        Ok(home)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Leaves the directory behind for a look at it.
    pub fn keep(&mut self) -> &Path {
        self.folder.disable_cleanup(true);
        self.folder.path()
    }

    /// What is left of the metadata log.
    pub fn metadata_log(&self) -> Outcome<MetadataLog> {
        let mut log = MetadataLog {
            start: i64::MAX,
            snapshot: 0,
        };
        for entry in fs::read_dir(self.data().join("__cluster_metadata-0"))? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let Some((stem, extension)) = name.and_then(|name| name.split_once('.')) else {
                continue;
            };
            // The name of a snapshot has an epoch behind its offset.
            let digits = stem.split_once('-').map_or(stem, |(offset, _)| offset);
            match (extension, digits.parse::<i64>()) {
                ("log", Ok(offset)) => log.start = log.start.min(offset),
                ("checkpoint", Ok(offset)) => log.snapshot = log.snapshot.max(offset),
                _ => {}
            }
        }
        Ok(log)
    }

    fn properties(&self) -> PathBuf {
        self.folder.path().join("server.properties")
    }

    /// `kafka-storage format`.
    pub fn format(&self, quorum: Quorum) -> Outcome<()> {
        let mut command = self.java();
        command
            .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"])
            .arg(self.properties());
        if quorum == Quorum::Log {
            command.arg("--standalone");
        }
        let output = command.stdin(Stdio::null()).output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(Failure::new(format!(
            "kafka-storage format ended with {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )))
    }

    /// Starts a server on the data and waits until it answers.
    pub fn start(&self, kind: ServerKind) -> Outcome<Server> {
        let log = self.folder.path().join(format!("{}.log", kind.name()));
        let log_file = File::options().create(true).append(true).open(&log)?;
        let mut command = match kind {
            ServerKind::Kafka => {
                let mut command = self.java();
                command.arg("kafka.Kafka");
                command
            }
            ServerKind::Klamm => Command::new(&self.binary),
        };
        let child = command
            .arg(self.properties())
            .stdin(Stdio::null())
            .stdout(log_file.try_clone()?)
            .stderr(log_file)
            .spawn()
            .map_err(|error| Failure::new(error).during(format!("{command:?}")))?;
        let mut server = Server {
            process: ServerProcess::new(child),
            kind,
            log,
        };
        let deadline = Instant::now() + START_DEADLINE;
        while !answers_api_versions(self.address) {
            let program = kind.name().to_owned();
            if server.process.has_exited()? {
                let log_tail = server.log_tail();
                return Err(ServerError::Exited { program, log_tail }.into());
            }
            if Instant::now() >= deadline {
                return Err(server.late(START_DEADLINE));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// A JVM with a small heap, the cheap compiler and collector, and quiet logs.
    fn java(&self) -> Command {
        let mut command = Command::new("java");
        command
            .args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .arg(format!(
                "-Dlog4j2.configurationFile={}",
                self.folder.path().join("log4j2.properties").display()
            ))
            .env("CLASSPATH", self.jars.class_path());
        command
    }
}

impl Server {
    pub fn kind(&self) -> ServerKind {
        self.kind
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(mut self) -> Outcome<()> {
        match self.process.terminate(STOP_DEADLINE)? {
            Some(_) => Ok(()),
            None => Err(self.late(STOP_DEADLINE)),
        }
    }

    /// `kill -9`.
    pub fn kill(mut self) -> Outcome<()> {
        Ok(self.process.kill()?)
    }

    pub fn log_tail(&self) -> String {
        tail(&self.log)
    }

    fn late(&self, waited: Duration) -> Failure {
        ServerError::NotReady {
            program: self.kind.name().to_owned(),
            waited,
            log_tail: self.log_tail(),
        }
        .into()
    }
}

/// Two ports of 127.0.0.1 that were free a moment ago.
fn free_ports() -> Outcome<[u16; 2]> {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let second = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok([first.local_addr()?.port(), second.local_addr()?.port()])
}
