//! How cost grows with the number of partitions, connections and groups, and what idleness costs.

use std::fmt::Write;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::bare::Durability;
use super::connection::Connection;
use super::groups::{self, Groups};
use super::process::file_limit;
use super::pump::{Lane, Observed, Window, pump};
use super::report::digits;
use super::server::{Kind, Programs, Server};
use super::work::produced;
use super::{Outcome, batch, disk, long_log, messages, topics};

const LANES: usize = 2;
const IN_FLIGHT: usize = 4;
const INPUT_BYTES: usize = 2 << 10;
const VALUE_BYTES: usize = 1024;
const PARTITIONS: [usize; 5] = [1, 10, 100, 1_000, 10_000];
/// Apache Kafka's controller refuses to make more than 10,000 metadata records of one request.
const TOPIC_PARTITIONS_MAX: usize = 2_000;
const CONNECTIONS: [usize; 5] = [1, 10, 100, 1_000, 10_000];
const IDLE_CONNECTIONS: usize = 2_000;
const IDLE: Duration = Duration::from_secs(10);
/// After a change, before memory or idleness is measured.
const SETTLING: Duration = Duration::from_secs(3);
const WARM_UP: Duration = Duration::from_secs(1);
/// For the first load on a JVM.
const JVM_WARM_UP: Duration = Duration::from_secs(12);
/// For what the server before has left to be written.
const DISK_PATIENCE: Duration = Duration::from_secs(10);
/// Files that this process needs beside its connections.
const OTHER_FILES: usize = 200;

/// One row: what was measured, and a text for each server.
type Line = (String, [String; 3]);

/// What grows, by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Partitions,
    Connections,
    Groups,
    Log,
}

impl Part {
    pub const ALL: [Self; 4] = [Self::Partitions, Self::Connections, Self::Groups, Self::Log];

    pub fn key(self) -> &'static str {
        match self {
            Self::Partitions => "growth-partitions",
            Self::Connections => "growth-connections",
            Self::Groups => "growth-groups",
            Self::Log => "growth-log",
        }
    }
}

/// Runs these parts on each server, one server after the other, and returns a table. The log grows to `log_bytes_max`,
/// as far as the disk allows.
pub fn run(
    parts: &[Part],
    kinds: &[Kind],
    programs: &Programs,
    measured: Duration,
    log_bytes_max: u64,
) -> Outcome<String> {
    let mut lines: Vec<Line> = Vec::new();
    // The same for all, whatever the files of the server before still take.
    let log_sizes = long_log::sizes(log_bytes_max)?;
    for kind in kinds {
        for part in parts {
            let of_server = match part {
                Part::Partitions => of_partitions(*kind, programs, measured),
                Part::Connections => of_connections(*kind, programs, measured),
                Part::Groups => of_groups(*kind, programs, measured),
                Part::Log => of_log(*kind, programs, measured, &log_sizes),
            };
            let of_server =
                of_server.map_err(|failure| failure.during(format!("{} on {kind}", part.key())))?;
            for (what, value) in of_server {
                let index = match lines.iter().position(|(known, _)| *known == what) {
                    Some(index) => index,
                    None => {
                        lines.push((what, Default::default()));
                        lines.len() - 1
                    }
                };
                lines[index].1[kind.index()] = value;
            }
        }
    }
    let mut text = String::from(
        "| how it grows | Apache Kafka | Klamm | bare server |\n| --- | ---: | ---: | ---: |\n",
    );
    for (what, values) in lines {
        let _ = writeln!(text, "| {what} | {} |", values.join(" | "));
    }
    Ok(text)
}

fn window(measured: Duration) -> Window {
    Window {
        warm_up: WARM_UP,
        measured,
        requests_max: u64::MAX,
    }
}

fn start(kind: Kind, programs: &Programs) -> Outcome<Server> {
    eprintln!("growth: {kind}");
    disk::settle(DISK_PATIENCE)?;
    Server::start(kind, Durability::PageCache, programs)
}

/// CPU a record while the partitions become more, then memory and idleness with all of them.
fn of_partitions(
    kind: Kind,
    programs: &Programs,
    measured: Duration,
) -> Outcome<Vec<(String, String)>> {
    let server = start(kind, programs)?;
    let records = batch::batch(1, VALUE_BYTES);
    warm_up_jvm(&server, &records)?;
    let resident = server.process.resident_bytes()?;
    let mut lines = Vec::new();
    let mut frames: Vec<Vec<u8>> = Vec::new();
    for partitions in PARTITIONS {
        eprintln!("growth: {kind}, {partitions} partitions");
        while frames.len() < partitions {
            let more = (partitions - frames.len()).min(TOPIC_PARTITIONS_MAX);
            let topic = format!("growth-{}", frames.len());
            topics::create(&server, &topic, more, Durability::PageCache)?;
            let new =
                (0..more).map(|index| messages::produce(&topic, &[(index, records.as_slice())]));
            frames.extend(new);
        }
        write_once(&server, &frames)?;
        let shared: Arc<[Vec<u8>]> = frames.clone().into();
        let lanes = lanes(&server, LANES, &shared)?;
        let (observed, _) = pump(&server, lanes, IN_FLIGHT, produced, window(measured))?;
        lines.push((
            format!("CPU a 1 KB record, {partitions} partitions"),
            cpu_each(&observed),
        ));
    }
    thread::sleep(SETTLING);
    let grown = server.process.resident_bytes()?.saturating_sub(resident);
    let a_partition = grown as f64 / frames.len() as f64 / 1e3;
    lines.push((
        "memory a partition".to_owned(),
        format!("{} KB", digits(a_partition)),
    ));

    let idle = (0..IDLE_CONNECTIONS)
        .map(|_| Connection::open(server.address, 0))
        .collect::<Outcome<Vec<_>>>()?;
    thread::sleep(SETTLING);
    let before = server.process.cpu_of_living_threads()?;
    thread::sleep(IDLE);
    let spent = server
        .process
        .cpu_of_living_threads()?
        .saturating_sub(before);
    lines.push((
        format!(
            "CPU in {} s of {} idle connections and {} idle partitions",
            IDLE.as_secs(),
            idle.len(),
            frames.len()
        ),
        format!("{} ms", digits(spent.as_secs_f64() * 1e3)),
    ));
    Ok(lines)
}

/// CPU a record while the connections become more, and memory with all of them.
fn of_connections(
    kind: Kind,
    programs: &Programs,
    measured: Duration,
) -> Outcome<Vec<(String, String)>> {
    const PARTITIONS: usize = 4;
    let server = start(kind, programs)?;
    let records = batch::batch(1, VALUE_BYTES);
    warm_up_jvm(&server, &records)?;
    topics::create(&server, "growth", PARTITIONS, Durability::PageCache)?;
    let frames: Arc<[Vec<u8>]> = (0..PARTITIONS)
        .map(|index| messages::produce("growth", &[(index, records.as_slice())]))
        .collect();
    let resident = server.process.resident_bytes()?;
    let most = file_limit().saturating_sub(OTHER_FILES);
    let mut lines = Vec::new();
    let mut open = Vec::new();
    for connections in CONNECTIONS {
        let what = format!("CPU a 1 KB record, {connections} connections");
        if connections > most {
            lines.push((what, format!("{most} files at most")));
            continue;
        }
        eprintln!("growth: {kind}, {connections} connections");
        // As many requests are on their way, however many connections they are spread over.
        let lanes = lanes(&server, connections, &frames)?;
        let in_flight = LANES * IN_FLIGHT / lanes.len();
        let (observed, lanes) = pump(&server, lanes, in_flight, produced, window(measured))?;
        lines.push((what, cpu_each(&observed)));
        open = lanes;
    }
    let connections: usize = open.iter().map(|lane: &Lane| lane.connections.len()).sum();
    let grown = server.process.resident_bytes()?.saturating_sub(resident);
    let a_connection = grown as f64 / connections as f64 / 1e3;
    lines.push((
        format!("memory a connection, of {connections}"),
        format!("{} KB", digits(a_connection)),
    ));
    Ok(lines)
}

fn of_groups(
    kind: Kind,
    programs: &Programs,
    measured: Duration,
) -> Outcome<Vec<(String, String)>> {
    let size = Groups {
        groups: 1_000,
        members: 10,
    };
    if kind == Kind::Bare {
        return Ok(Vec::new());
    }
    let consumers = format!("{} groups of {} members", size.groups, size.members);
    if size.groups * size.members + OTHER_FILES > file_limit() {
        return Ok(vec![(consumers, format!("{} files at most", file_limit()))]);
    }
    let server = start(kind, programs)?;
    let costs = groups::run(&server, size, window(measured))?;
    Ok(vec![
        (
            format!("time until {consumers} have their assignment"),
            format!("{} s", digits(costs.joined_in.as_secs_f64())),
        ),
        (
            format!("CPU until {consumers} have their assignment, a member"),
            format!("{} µs", digits(costs.cpu_a_join.as_secs_f64() * 1e6)),
        ),
        (
            format!("CPU a heartbeat, {consumers}"),
            cpu_each(&costs.heartbeats),
        ),
        (
            format!("CPU a commit, {consumers}"),
            cpu_each(&costs.commits),
        ),
        (
            format!("memory with {consumers}"),
            format!(
                "{} MB",
                digits(server.process.resident_bytes()? as f64 / 1e6)
            ),
        ),
    ])
}

/// Costs while the log becomes longer, and memory with the longest.
fn of_log(
    kind: Kind,
    programs: &Programs,
    measured: Duration,
    sizes: &[u64],
) -> Outcome<Vec<(String, String)>> {
    let server = start(kind, programs)?;
    warm_up_jvm(&server, &batch::batch(1, VALUE_BYTES))?;
    let costs = long_log::run(&server, sizes, measured)?;
    let rows = |what: &str, cost: fn(&long_log::Costs) -> Option<String>| -> Vec<_> {
        let of_size = |costs: &long_log::Costs| {
            let size = log_size(costs.size);
            Some((format!("{what}, {size} of log"), cost(costs)?))
        };
        costs.iter().filter_map(of_size).collect()
    };
    let mut lines = rows("CPU a 1 KB record", |costs| Some(cpu_each(&costs.records)));
    lines.extend(rows("CPU a GB fetched from random offsets", |costs| {
        let gigabytes = costs.fetches.answered_bytes as f64 / 1e9;
        let each = costs.fetches.cpu.as_secs_f64() / gigabytes;
        Some(format!("{} ms", digits(each * 1e3)))
    }));
    lines.extend(rows("CPU a look-up of a random timestamp", |costs| {
        costs.look_ups.as_ref().map(cpu_each)
    }));
    if let Some(longest) = sizes.last() {
        lines.push((
            format!("memory, {} of log", log_size(*longest)),
            format!(
                "{} MB",
                digits(server.process.resident_bytes()? as f64 / 1e6)
            ),
        ));
    }
    Ok(lines)
}

fn log_size(bytes: u64) -> String {
    if bytes < 1_000_000_000 {
        format!("{} MB", bytes / 1_000_000)
    } else {
        format!("{} GB", bytes as f64 / 1e9)
    }
}

/// Connections spread over the lanes, all with the same requests.
fn lanes(server: &Server, connections: usize, frames: &Arc<[Vec<u8>]>) -> Outcome<Vec<Lane>> {
    let count = LANES.min(connections);
    (0..count)
        .map(|index| {
            let first = index * frames.len() / count;
            let own = connections / count;
            super::pump::lane(server, own, INPUT_BYTES, Arc::clone(frames), first)
        })
        .collect()
}

/// The first record of a partition makes files; that is not what the growth of a record's cost means.
fn write_once(server: &Server, frames: &[Vec<u8>]) -> Outcome<()> {
    let mut connection = Connection::open(server.address, INPUT_BYTES)?;
    for frame in frames {
        messages::check_produced(connection.ask(frame)?)?;
    }
    Ok(())
}

fn warm_up_jvm(server: &Server, records: &[u8]) -> Outcome<()> {
    if server.kind != Kind::Kafka {
        return Ok(());
    }
    topics::create(server, "warm", 1, Durability::PageCache)?;
    let frames: Arc<[Vec<u8>]> = Arc::from([messages::produce("warm", &[(0, records)])]);
    let mut long = window(Duration::ZERO);
    long.warm_up = JVM_WARM_UP;
    pump(
        server,
        lanes(server, LANES, &frames)?,
        IN_FLIGHT,
        produced,
        long,
    )?;
    topics::delete(server, "warm")
}

fn cpu_each(observed: &Observed) -> String {
    let each = observed.cpu.as_secs_f64() / observed.requests as f64;
    format!("{} µs", digits(each * 1e6))
}
