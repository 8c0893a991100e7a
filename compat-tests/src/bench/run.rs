//! A whole run: servers up, rounds of works, the table.

use std::path::PathBuf;
use std::time::Duration;

use super::bare::Durability;
use super::growth::{self, Part};
use super::measure::Metric;
use super::pump::{Observed, Window};
use super::report::{Format, Row, table};
use super::server::{Kind, Programs, Server};
use super::work::{Pace, WORKS, Work};
use super::{Failure, Outcome, disk, tools};

/// What a run is made of.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which servers; all have to do the same.
    pub servers: Vec<Kind>,
    /// Parts of the keys of the works that are wanted, beginnings of those of tools; empty means all.
    pub only: Vec<String>,
    pub rounds: usize,
    /// The measured part of each run.
    pub measured: Duration,
    /// What Apache Kafka's compiler gets for each work before the first round, twice.
    pub jvm_warm_up: Duration,
    /// What one run may write.
    pub produced_bytes_max: u64,
    /// How long the log becomes on which growth is measured, if the disk allows.
    pub log_bytes_max: u64,
    pub with_tools: bool,
    /// How much the tools that others wrote do.
    pub tools: tools::Amount,
    pub klamm: PathBuf,
    pub bare: PathBuf,
}

/// Before the measured part of each run, on every server.
const WARM_UP: Duration = Duration::from_millis(400);
const START_KEY: &str = "start";
/// A server that has just started settles for so long before its memory is taken.
const SETTLING: Duration = Duration::from_secs(1);
/// All works together, in each of two passes: less leaves Apache Kafka half compiled.
const JVM_WARM_UP_PASS_MIN: Duration = Duration::from_secs(15);
/// For the disk, before each run.
const DISK_PATIENCE: Duration = Duration::from_secs(10);

/// Runs what is wanted and hands over each table as soon as it is there. Progress goes to standard error.
pub fn run(options: &Options, mut publish: impl FnMut(&str)) -> Outcome<()> {
    let works: Vec<&Work> = WORKS
        .iter()
        .filter(|work| options.wants(work.key))
        .collect();
    let programs = Programs {
        klamm: options.klamm.clone(),
        bare: options.bare.clone(),
    };
    let mut has_published = false;
    let mut publish = |text: &str| {
        if !text.is_empty() {
            publish(text);
            has_published = true;
        }
    };
    let mut rows = Vec::new();
    if !works.is_empty() {
        rows.extend(do_works(options, &works, &programs)?);
    }
    if options.wants(START_KEY) {
        rows.extend(starts(options, &programs)?);
    }
    if !rows.is_empty() {
        publish(&table(&rows));
    }
    publish(&tools::run(
        &options.servers,
        &programs,
        options.tools,
        |key| options.wants_tool(key),
    )?);
    let parts: Vec<Part> = Part::ALL
        .into_iter()
        .filter(|part| options.wants(part.key()))
        .collect();
    if !parts.is_empty() {
        publish(&growth::run(
            &parts,
            &options.servers,
            &programs,
            options.measured,
            options.log_bytes_max,
        )?);
    }
    if !has_published {
        let works = WORKS.iter().map(|work| work.key.to_owned());
        let keys: Vec<String> = works
            .chain([START_KEY.to_owned()])
            .chain(tools::keys())
            .chain(Part::ALL.map(|part| part.key().to_owned()))
            .collect();
        return Err(Failure::new(format!(
            "nothing is called so; there are {}",
            keys.join(", ")
        )));
    }
    Ok(())
}

impl Options {
    fn wants(&self, key: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| key.contains(part.as_str()))
    }

    /// The keys of tools have to be begun, or `one` would mean every `none`.
    fn wants_tool(&self, key: &str) -> bool {
        self.with_tools
            && (self.only.is_empty() || self.only.iter().any(|part| key.starts_with(part.as_str())))
    }

    fn pace(&self, warm_up: Duration) -> Pace {
        Pace {
            window: Window {
                warm_up,
                measured: self.measured,
                requests_max: u64::MAX,
            },
            produced_bytes_max: self.produced_bytes_max,
        }
    }
}

fn do_works(options: &Options, works: &[&Work], programs: &Programs) -> Outcome<Vec<Row>> {
    let needs = |durability| works.iter().any(|work| work.durability == durability);
    let mut servers = Vec::new();
    for kind in &options.servers {
        for durability in [Durability::PageCache, Durability::Disk] {
            // Apache Kafka's durability is the topic's, so one broker does for both.
            let is_needed = match (kind, durability) {
                (Kind::Kafka, Durability::PageCache) => true,
                (Kind::Kafka, Durability::Disk) => false,
                (Kind::Klamm | Kind::Bare, durability) => needs(durability),
            };
            if is_needed {
                let server = Server::start(*kind, durability, programs)?;
                servers.push((durability, server));
            }
        }
    }
    let mut rows: Vec<Row> = works
        .iter()
        .flat_map(|work| Metric::ALL.map(|metric| Row::of_work(work, metric)))
        .collect();
    if options.servers.contains(&Kind::Kafka) {
        // Where few works are wanted, each gets more.
        let share = JVM_WARM_UP_PASS_MIN / u32::try_from(works.len()).unwrap_or(u32::MAX);
        let warm_up = options.jvm_warm_up.max(share);
        // Twice, because what a work brings along undoes what the compiler has made for those before.
        for when in ["warm", "warmer"] {
            for work in works {
                let mut pace = options.pace(warm_up);
                pace.window.measured = Duration::ZERO;
                run_one(work, find(&servers, Kind::Kafka, work)?, when, pace)?;
            }
        }
    }
    for round in 0..options.rounds {
        for (index, work) in works.iter().enumerate() {
            // Nobody is always the first.
            let mut order = options.servers.clone();
            order.rotate_left((round + index) % options.servers.len());
            for kind in order {
                let server = find(&servers, kind, work)?;
                let observed = run_one(
                    work,
                    server,
                    &format!("round-{round}"),
                    options.pace(WARM_UP),
                )?;
                let of_work = &mut rows[index * Metric::ALL.len()..][..Metric::ALL.len()];
                for (row, metric) in of_work.iter_mut().zip(Metric::ALL) {
                    row.rounds[kind.index()].push(metric.of(work, &observed));
                }
            }
        }
    }
    let mut peak = memory_row("all of the above", "peak memory", Some(15.0));
    for (durability, server) in &servers {
        if *durability == Durability::PageCache {
            peak.rounds[server.kind.index()].push(server.process.peak_bytes()? as f64);
        }
    }
    rows.push(peak);
    Ok(rows)
}

fn find<'a>(servers: &'a [(Durability, Server)], kind: Kind, work: &Work) -> Outcome<&'a Server> {
    servers
        .iter()
        .filter(|(_, server)| server.kind == kind)
        .find(|(durability, _)| kind == Kind::Kafka || *durability == work.durability)
        .map(|(_, server)| server)
        .ok_or_else(|| Failure::new(format!("{kind} does not run for {}", work.key)))
}

fn run_one(work: &Work, server: &Server, when: &str, pace: Pace) -> Outcome<Observed> {
    disk::settle(DISK_PATIENCE)?;
    let observed = work
        .run(server, &format!("{}-{when}", work.key), pace)
        .map_err(|failure| failure.during(format!("{} on {}", work.key, server.kind)))?;
    // Round by round, to see whether a server still becomes faster.
    let cpu = match Metric::Cpu.of(work, &observed) {
        cpu if cpu.is_finite() => format!(": {} CPU", Format::Time.show_one(cpu)),
        _ => String::new(),
    };
    eprintln!("{when}: {} on {}{cpu}", work.key, server.kind);
    Ok(observed)
}

/// Start time and memory after the start, of servers with no data.
fn starts(options: &Options, programs: &Programs) -> Outcome<Vec<Row>> {
    let mut start = Row {
        work: "start until the first ApiVersions answer".to_owned(),
        what: "time".to_owned(),
        format: Format::Time,
        grows: false,
        rounds: Default::default(),
        kafka_per_klamm_min: Some(150.0),
        klamm_per_bare_max: None,
    };
    let mut memory = memory_row("after start", "memory", Some(40.0));
    for round in 0..options.rounds {
        for kind in &options.servers {
            eprintln!("round-{round}: {START_KEY} of {kind}");
            disk::settle(DISK_PATIENCE)?;
            let server = Server::start(*kind, Durability::PageCache, programs)?;
            start.rounds[kind.index()].push(server.started_in.as_secs_f64());
            std::thread::sleep(SETTLING);
            memory.rounds[kind.index()].push(server.process.resident_bytes()? as f64);
        }
    }
    Ok(vec![start, memory])
}

fn memory_row(work: &str, what: &str, kafka_per_klamm_min: Option<f64>) -> Row {
    Row {
        work: work.to_owned(),
        what: what.to_owned(),
        format: Format::Bytes,
        grows: false,
        rounds: Default::default(),
        kafka_per_klamm_min,
        klamm_per_bare_max: None,
    }
}
