//! Apache Kafka itself, as the yardstick: fetched from Maven Central into a cache and run as a single
//! KRaft node on 127.0.0.1. Nothing of it is kept in the repository.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::server_process::{ServerError, ServerProcess, answers_api_versions, tail};

/// The release that Klamm is measured against.
pub const KAFKA_VERSION: &str = "4.3.1";

/// Where the jars are looked for instead of `<repository>/.cache`.
pub const CACHE_VARIABLE: &str = "KLAMM_COMPAT_CACHE";

/// A broker on a busy two-core machine needs about 4 s; a CI machine may need many times that.
const START_DEADLINE: Duration = Duration::from_secs(120);

const PROBE_INTERVAL: Duration = Duration::from_millis(20);

/// Free ports are picked before the JVM binds them, so another process can be faster.
const START_ATTEMPTS: usize = 3;

const LOG4J_VERSION: &str = "2.25.1";

/// Any fixed id in Kafka's URL-safe base64 form of a UUID.
const CLUSTER_ID: &str = "S2xhbW0tQ29tcGF0LVlhcg";

/// The folder that holds everything the tests fetch: `$KLAMM_COMPAT_CACHE`, or `<repository>/.cache`.
pub fn cache_dir() -> PathBuf {
    match std::env::var_os(CACHE_VARIABLE) {
        Some(dir) if !dir.is_empty() => PathBuf::from(dir),
        _ => Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("the crate lies in the workspace's folder")
            .join(".cache"),
    }
}

/// The jars of Apache Kafka and its tools in the cache.
#[derive(Debug, Clone)]
pub struct KafkaJars {
    libs: PathBuf,
}

impl KafkaJars {
    /// Finds the jars in [`cache_dir`], or fetches them with Maven (about 55 MB, once).
    ///
    /// Safe to call from several processes at once: a download becomes visible whole or not at all.
    pub fn locate() -> Result<Self, ServerError> {
        let home = cache_dir().join(format!("kafka-{KAFKA_VERSION}"));
        let libs = home.join("libs");
        if !libs.join(clients_jar_name()).is_file() {
            fetch_jars(&home, &libs)?;
        }
        Ok(Self { libs })
    }

    /// The class path for `java -cp`: every Kafka program and tool runs with it.
    pub fn class_path(&self) -> OsString {
        self.libs.join("*").into_os_string()
    }

    /// The jar that also holds the JSON schema of every message (`common/message/*.json`).
    pub fn clients_jar(&self) -> PathBuf {
        self.libs.join(clients_jar_name())
    }
}

/// What the JVM is tuned for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jvm {
    /// The cheap compiler and collector: start-up counts more than speed.
    QuickStart,
    /// As Kafka's own start scripts set it: for measuring.
    Production,
}

/// How a broker is started. The default is a quiet single node with all internal topics at one replica.
#[derive(Debug, Clone)]
pub struct KafkaOptions {
    /// Lines of `server.properties` that replace or extend the defaults.
    pub properties: Vec<(String, String)>,
    pub heap_megabytes: u32,
    pub jvm: Jvm,
    /// Where clients connect; port 0 picks a free one.
    pub listen: SocketAddr,
}

impl Default for KafkaOptions {
    fn default() -> Self {
        Self {
            properties: Vec::new(),
            heap_megabytes: 512,
            jvm: Jvm::QuickStart,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        }
    }
}

impl KafkaOptions {
    /// Adds one line of `server.properties`; the last value of a key wins.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.properties.push((key.to_owned(), value.to_owned()));
        self
    }
}

/// A running broker. Dropping it kills the process and removes its data.
#[derive(Debug)]
pub struct Kafka {
    process: ServerProcess,
    started_in: Duration,
    options: KafkaOptions,
    address: SocketAddr,
    home: TempDir,
}

impl Kafka {
    /// Formats a fresh data directory, starts a broker and waits until it answers.
    pub fn start(options: &KafkaOptions) -> Result<Self, ServerError> {
        let jars = KafkaJars::locate()?;
        let mut attempt = 1;
        loop {
            match Self::start_once(&jars, options) {
                Err(ServerError::Exited { .. }) if attempt < START_ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process id of the JVM.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// How long the last start took until the broker answered, without formatting.
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    /// The folder of data, configuration and `broker.log`, removed on drop.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// `kill -9`: the broker gets no chance to write anything.
    pub fn kill(&mut self) -> Result<(), ServerError> {
        Ok(self.process.kill()?)
    }

    /// Starts again on the same port and data after [`Self::kill`]; a broker that still runs is killed first.
    pub fn restart(&mut self) -> Result<(), ServerError> {
        self.process.kill()?;
        let jars = KafkaJars::locate()?;
        (self.process, self.started_in) =
            launch(&jars, &self.options, self.home.path(), self.address)?;
        Ok(())
    }

    /// What the broker has logged, warnings and worse.
    pub fn log(&self) -> PathBuf {
        self.home.path().join("broker.log")
    }

    fn start_once(jars: &KafkaJars, options: &KafkaOptions) -> Result<Self, ServerError> {
        let home = tempfile::Builder::new().prefix("klamm-kafka-").tempdir()?;
        let [free_port, controller_port] = free_ports()?;
        let mut address = options.listen;
        if address.port() == 0 {
            address.set_port(free_port);
        }
        let properties = home.path().join("server.properties");
        fs::write(
            &properties,
            server_properties(home.path(), address, controller_port, options),
        )?;
        fs::write(home.path().join("log4j2.properties"), LOG4J_PROPERTIES)?;

        let formatted = java(jars, options, home.path())
            .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"])
            .arg(&properties)
            .stdin(Stdio::null())
            .output()?;
        if !formatted.status.success() {
            return Err(ServerError::Exited {
                program: "kafka.tools.StorageTool".to_owned(),
                log_tail: String::from_utf8_lossy(&formatted.stdout).into_owned()
                    + &String::from_utf8_lossy(&formatted.stderr),
            });
        }

        let (process, started_in) = launch(jars, options, home.path(), address)?;
        Ok(Self {
            process,
            started_in,
            options: options.clone(),
            address,
            home,
        })
    }
}

/// Runs a broker on a formatted home, waits until it answers, and tells how long that took.
fn launch(
    jars: &KafkaJars,
    options: &KafkaOptions,
    home: &Path,
    address: SocketAddr,
) -> Result<(ServerProcess, Duration), ServerError> {
    let log = home.join("broker.log");
    let log_file = fs::File::options().create(true).append(true).open(&log)?;
    let began = Instant::now();
    let child = java(jars, options, home)
        .arg("kafka.Kafka")
        .arg(home.join("server.properties"))
        .stdin(Stdio::null())
        .stdout(log_file.try_clone()?)
        .stderr(log_file)
        .spawn()?;
    let mut process = ServerProcess::new(child);
    let deadline = Instant::now() + START_DEADLINE;
    while !answers_api_versions(address) {
        if process.has_exited()? {
            return Err(ServerError::Exited {
                program: "kafka.Kafka".to_owned(),
                log_tail: tail(&log),
            });
        }
        if Instant::now() >= deadline {
            return Err(ServerError::NotReady {
                program: "kafka.Kafka".to_owned(),
                waited: START_DEADLINE,
                log_tail: tail(&log),
            });
        }
        std::thread::sleep(PROBE_INTERVAL);
    }
    Ok((process, began.elapsed()))
}

fn clients_jar_name() -> String {
    format!("kafka-clients-{KAFKA_VERSION}.jar")
}

fn fetch_jars(home: &Path, libs: &Path) -> Result<(), ServerError> {
    fs::create_dir_all(home)?;
    let download = tempfile::Builder::new()
        .prefix("download-")
        .tempdir_in(home)?;
    fs::write(download.path().join("pom.xml"), throwaway_pom())?;
    let outcome = Command::new("mvn")
        .args(["-q", "-B", "dependency:copy-dependencies"])
        .args(["-DincludeScope=runtime", "-DoutputDirectory=libs"])
        .current_dir(download.path())
        .stdin(Stdio::null())
        .output()
        .map_err(|source| ServerError::Fetch {
            what: format!("Apache Kafka {KAFKA_VERSION} (mvn could not be run: {source})"),
        })?;
    if !outcome.status.success() {
        return Err(ServerError::Fetch {
            what: format!(
                "Apache Kafka {KAFKA_VERSION}: {}",
                String::from_utf8_lossy(&outcome.stdout)
            ),
        });
    }
    match fs::rename(download.path().join("libs"), libs) {
        Ok(()) => Ok(()),
        // Another process was faster; its copy is as good as ours.
        Err(_) if libs.join(clients_jar_name()).is_file() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn throwaway_pom() -> String {
    let dependencies: String = [
        ("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
        ("org.apache.kafka", "kafka-tools", KAFKA_VERSION),
        (
            "org.apache.logging.log4j",
            "log4j-slf4j-impl",
            LOG4J_VERSION,
        ),
        ("org.apache.logging.log4j", "log4j-core", LOG4J_VERSION),
        ("org.apache.logging.log4j", "log4j-1.2-api", LOG4J_VERSION),
    ]
    .into_iter()
    .map(|(group, artifact, version)| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version></dependency>\n"
        )
    })
    .collect();
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\n\
         <groupId>klamm</groupId><artifactId>kafka-jars</artifactId><version>1</version>\
         <packaging>pom</packaging>\n<dependencies>\n{dependencies}</dependencies></project>\n"
    )
}

/// A JVM with quiet logs.
fn java(jars: &KafkaJars, options: &KafkaOptions, home: &Path) -> Command {
    let mut command = Command::new("java");
    command.arg(format!("-Xmx{}m", options.heap_megabytes));
    match options.jvm {
        Jvm::QuickStart => command.args(QUICK_START_FLAGS),
        // `kafka-server-start.sh` has the heap begin as large as it may become.
        Jvm::Production => command
            .arg(format!("-Xms{}m", options.heap_megabytes))
            .args(PRODUCTION_FLAGS),
    };
    command
        .arg(format!(
            "-Dlog4j2.configurationFile={}",
            home.join("log4j2.properties").display()
        ))
        .env("CLASSPATH", jars.class_path());
    command
}

const QUICK_START_FLAGS: &[&str] = &["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// `KAFKA_JVM_PERFORMANCE_OPTS` of `kafka-run-class.sh`, which starts the broker and every tool.
pub(crate) const PRODUCTION_FLAGS: &[&str] = &[
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
];

const LOG4J_PROPERTIES: &str = "\
rootLogger.level=WARN
rootLogger.appenderRef.console.ref=CONSOLE
appender.console.type=Console
appender.console.name=CONSOLE
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %m (%c)%n
";

fn server_properties(
    home: &Path,
    address: SocketAddr,
    controller_port: u16,
    options: &KafkaOptions,
) -> String {
    let broker = format!("PLAINTEXT://{address}");
    let overridden = |key: &str| options.properties.iter().rfind(|(name, _)| name == key);
    let node_id = overridden("node.id").map_or("1", |(_, value)| value.as_str());
    let defaults = [
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", node_id.to_owned()),
        (
            "controller.quorum.voters",
            format!("{node_id}@127.0.0.1:{controller_port}"),
        ),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        (
            "listeners",
            format!("{broker},CONTROLLER://127.0.0.1:{controller_port}"),
        ),
        ("advertised.listeners", broker),
        (
            "listener.security.protocol.map",
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".to_owned(),
        ),
        ("log.dirs", home.join("data").display().to_string()),
        ("offsets.topic.replication.factor", "1".to_owned()),
        ("transaction.state.log.replication.factor", "1".to_owned()),
        ("transaction.state.log.min.isr", "1".to_owned()),
        (
            "share.coordinator.state.topic.replication.factor",
            "1".to_owned(),
        ),
        ("share.coordinator.state.topic.min.isr", "1".to_owned()),
    ];
    let mut text = String::new();
    for (key, value) in defaults {
        if overridden(key).is_none() {
            text.push_str(&format!("{key}={value}\n"));
        }
    }
    for (key, value) in &options.properties {
        text.push_str(&format!("{key}={value}\n"));
    }
    text
}

/// Two ports of 127.0.0.1 that were free a moment ago.
fn free_ports() -> io::Result<[u16; 2]> {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let second = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok([first.local_addr()?.port(), second.local_addr()?.port()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overridden_property_replaces_the_default() {
        let options = KafkaOptions::default()
            .set("node.id", "7")
            .set("num.partitions", "3");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let text = server_properties(Path::new("/somewhere"), address, 2, &options);
        let node_ids: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("node.id="))
            .collect();
        assert_eq!(node_ids, ["node.id=7"]);
        assert!(text.contains("controller.quorum.voters=7@127.0.0.1:2\n"));
        assert!(text.contains("num.partitions=3\n"));
        assert!(text.contains("log.dirs=/somewhere/data\n"));
    }
}
