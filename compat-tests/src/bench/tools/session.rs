//! One tool with one compression: it writes a topic as fast as it can, reads it as fast as it can, and writes at a given
//! rate, where latencies are not those of its own queue.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::java::JavaTools;
use super::rdkafka::Rdkafka;
use super::said::Said;
use super::{Amount, KEY, values};
use crate::bench::bare::Durability;
use crate::bench::report::{Format, Row};
use crate::bench::server::Server;
use crate::bench::{Outcome, disk, topics};

pub const PARTITIONS: usize = 4;
/// Two cores have to be enough for the tool and the slower server.
pub const PACE_A_SECOND: u64 = 5_000;
/// The first half of what a tool writes does not count in what it says: its own JVM and its connections warm up.
const WARM_UP_SHARE: u64 = 2;
const DISK_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolKind {
    Java,
    Rdkafka,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    None,
    Lz4,
    Zstd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Write,
    Read,
    /// Writes [`PACE_A_SECOND`] records without waiting for more to fill a batch.
    Paced,
}

/// A tool that is there to be run.
#[derive(Debug)]
pub enum Tool {
    Java(JavaTools),
    Rdkafka(Rdkafka),
}

/// What a tool is to do.
#[derive(Debug)]
pub struct Job<'a> {
    pub step: Step,
    pub codec: Codec,
    pub address: SocketAddr,
    pub topic: &'a str,
    pub records: u64,
    /// The first of them, of which the tool is not to speak.
    pub warm_up_records: u64,
    pub place: &'a Place,
}

/// A folder with the values to write, and for what the tools write down. Removed when dropped.
#[derive(Debug)]
pub struct Place {
    folder: TempDir,
}

#[derive(Debug)]
pub struct Session<'a> {
    tool: &'a Tool,
    codec: Codec,
}

/// One step, seen from both sides.
#[derive(Debug)]
struct Done {
    records: u64,
    /// Of the server, from before the tool starts until after it ends.
    cpu: Duration,
    said: Said,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    /// Seconds of the server a million records.
    Cpu,
    /// As the tool says it.
    Throughput,
    Mean,
    P50,
    P99,
    P999,
}

/// The rows of a session. At full speed a latency is the length of the tool's own queue, so there is none.
const MEASURES: [(Step, Measure); 9] = [
    (Step::Write, Measure::Cpu),
    (Step::Write, Measure::Throughput),
    (Step::Read, Measure::Cpu),
    (Step::Read, Measure::Throughput),
    (Step::Paced, Measure::Cpu),
    (Step::Paced, Measure::Mean),
    (Step::Paced, Measure::P50),
    (Step::Paced, Measure::P99),
    (Step::Paced, Measure::P999),
];

pub fn key(tool: ToolKind, codec: Codec) -> String {
    let tool = match tool {
        ToolKind::Java => "java",
        ToolKind::Rdkafka => "rdkafka",
    };
    format!("{KEY}-{tool}-{codec}")
}

/// What a reader of the table has to know.
pub fn footnote(amount: Amount) -> String {
    format!(
        "Records of 1 KB, {PARTITIONS} partitions, acks=all, linger.ms=5; {} records a run of the Java tools, {} \
         of rdkafka_performance, which sends the same value over and over. At {PACE_A_SECOND} records a second: \
         linger.ms=0. CPU is the server's; everything else is what the tool says.",
        amount.java.full_speed, amount.rdkafka.full_speed
    )
}

impl<'a> Session<'a> {
    pub fn new(tool: &'a Tool, codec: Codec) -> Self {
        Self { tool, codec }
    }

    pub fn key(&self) -> String {
        key(self.tool.kind(), self.codec)
    }

    pub fn rows(&self) -> Vec<Row> {
        MEASURES
            .iter()
            .map(|(step, measure)| {
                measure.row(format!("{}, {}", self.tool.title(*step), self.codec))
            })
            .collect()
    }

    /// Does all steps on a fresh topic and returns a number for each of [`Self::rows`].
    pub fn run(
        &self,
        server: &Server,
        when: &str,
        amount: Amount,
        place: &Place,
    ) -> Outcome<Vec<f64>> {
        disk::settle(DISK_PATIENCE)?;
        let topic = format!("{}-{when}", self.key());
        topics::create(server, &topic, PARTITIONS, Durability::PageCache)?;
        let of_tool = match self.tool.kind() {
            ToolKind::Java => amount.java,
            ToolKind::Rdkafka => amount.rdkafka,
        };
        let run_step = |step, records| {
            let job = Job {
                step,
                codec: self.codec,
                address: server.address,
                topic: &topic,
                records,
                warm_up_records: records / WARM_UP_SHARE,
                place,
            };
            self.run_step(server, when, &job)
        };
        let write = run_step(Step::Write, of_tool.full_speed)?;
        let read = run_step(Step::Read, of_tool.full_speed)?;
        let paced = run_step(Step::Paced, of_tool.paced)?;
        topics::delete(server, &topic)?;
        let numbers = MEASURES.iter().map(|(step, measure)| {
            let done = match step {
                Step::Write => &write,
                Step::Read => &read,
                Step::Paced => &paced,
            };
            measure.of(done)
        });
        Ok(numbers.collect())
    }

    fn run_step(&self, server: &Server, when: &str, job: &Job<'_>) -> Outcome<Done> {
        let before = server.process.cpu_mark()?;
        let said = self.tool.run(job)?;
        let done = Done {
            records: job.records,
            cpu: server.process.cpu_since(before)?,
            said,
        };
        eprintln!(
            "{when}: {}, {} on {}: {} CPU a million records",
            self.tool.title(job.step),
            self.codec,
            server.kind,
            Format::Time.show_one(Measure::Cpu.of(&done))
        );
        Ok(done)
    }
}

impl Measure {
    fn row(self, work: String) -> Row {
        let (what, format) = match self {
            Self::Cpu => ("CPU a million records", Format::Time),
            Self::Throughput => ("records a second", Format::Rate),
            Self::Mean => ("mean", Format::Time),
            Self::P50 => ("p50", Format::Time),
            Self::P99 => ("p99", Format::Time),
            Self::P999 => ("p99.9", Format::Time),
        };
        Row {
            work,
            what: what.to_owned(),
            format,
            grows: self == Self::Throughput,
            rounds: Default::default(),
            kafka_per_klamm_min: None,
            klamm_per_bare_max: None,
        }
    }

    /// Not a number where the tool says nothing.
    fn of(self, done: &Done) -> f64 {
        let latency = |part: fn(&super::said::Latencies) -> f64| {
            done.said.latencies.as_ref().map_or(f64::NAN, part)
        };
        match self {
            Self::Cpu => done.cpu.as_secs_f64() / (done.records as f64 / 1e6),
            Self::Throughput => done.said.records_a_second,
            Self::Mean => latency(|latencies| latencies.mean),
            Self::P50 => latency(|latencies| latencies.p50),
            Self::P99 => latency(|latencies| latencies.p99),
            Self::P999 => latency(|latencies| latencies.p999),
        }
    }
}

impl ToolKind {
    pub const ALL: [Self; 2] = [Self::Java, Self::Rdkafka];
}

impl Tool {
    /// Fetches and builds what is missing.
    pub fn open(kind: ToolKind) -> Outcome<Self> {
        Ok(match kind {
            ToolKind::Java => Self::Java(JavaTools::locate()?),
            ToolKind::Rdkafka => Self::Rdkafka(Rdkafka::build()?),
        })
    }

    fn kind(&self) -> ToolKind {
        match self {
            Self::Java(_) => ToolKind::Java,
            Self::Rdkafka(_) => ToolKind::Rdkafka,
        }
    }

    fn run(&self, job: &Job<'_>) -> Outcome<Said> {
        match self {
            Self::Java(tools) => tools.run(job),
            Self::Rdkafka(tool) => tool.run(job),
        }
    }

    fn title(&self, step: Step) -> String {
        let pace = || format!("{PACE_A_SECOND} records/s");
        match (self, step) {
            (Self::Java(_), Step::Write) => "kafka-producer-perf-test".to_owned(),
            (Self::Java(_), Step::Read) => "kafka-consumer-perf-test".to_owned(),
            (Self::Java(_), Step::Paced) => format!("kafka-producer-perf-test, {}", pace()),
            (Self::Rdkafka(_), Step::Write) => "rdkafka_performance -P".to_owned(),
            (Self::Rdkafka(_), Step::Read) => "rdkafka_performance -C".to_owned(),
            (Self::Rdkafka(_), Step::Paced) => format!("rdkafka_performance -P, {}", pace()),
        }
    }
}

impl Codec {
    pub const ALL: [Self; 3] = [Self::None, Self::Lz4, Self::Zstd];
}

impl fmt::Display for Codec {
    /// As `compression.type` names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}

impl Place {
    pub fn open() -> Outcome<Self> {
        let folder = tempfile::Builder::new().prefix("klamm-tools-").tempdir()?;
        let place = Self { folder };
        values::write(&place.values())?;
        Ok(place)
    }

    /// The values to write, a line each.
    pub fn values(&self) -> PathBuf {
        self.file("values")
    }

    /// What the tool prints.
    pub fn output(&self) -> PathBuf {
        self.file("output")
    }

    /// The latencies that the tool writes down.
    pub fn latencies(&self) -> PathBuf {
        self.file("latencies")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
