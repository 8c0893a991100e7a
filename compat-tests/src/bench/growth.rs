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
use super::{Outcome, batch, messages, topics};

const LANES: usize = 2;
const IN_FLIGHT: usize = 4;
const INPUT_BYTES: usize = 2 << 10;
const VALUE_BYTES: usize = 1024;
const PARTITIONS: [usize; 5] = [1, 10, 100, 1_000, 10_000];
/// Apache Kafka's controller refuses to make more than 10,000 metadata records of one request.
const TOPIC_PARTITIONS_MAX: usize = 2_000;
const CONNECTIONS: [usize; 5] = [2, 10, 100, 1_000, 10_000];
const IDLE_CONNECTIONS: usize = 2_000;
const IDLE: Duration = Duration::from_secs(10);
/// After a change, before memory or idleness is measured.
const SETTLING: Duration = Duration::from_secs(3);
const WARM_UP: Duration = Duration::from_secs(1);
/// For the first load on a JVM.
const JVM_WARM_UP: Duration = Duration::from_secs(8);
/// Files that this process needs beside its connections.
const OTHER_FILES: usize = 200;

/// One row: what was measured, and a text for each server.
type Line = (String, [String; 3]);

/// Runs everything on each server, one server after the other, and returns a table.
pub fn run(kinds: &[Kind], programs: &Programs, measured: Duration) -> Outcome<String> {
    let mut lines: Vec<Line> = Vec::new();
    for kind in kinds {
        let of_server = of_partitions(*kind, programs, measured)?
            .into_iter()
            .chain(of_connections(*kind, programs, measured)?)
            .chain(of_groups(*kind, programs, measured)?);
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
    for connections in CONNECTIONS.into_iter().filter(|count| *count <= most) {
        eprintln!("growth: {kind}, {connections} connections");
        let lanes = lanes(&server, connections, &frames)?;
        let in_flight = IN_FLIGHT.min(connections / LANES).max(1);
        let (observed, lanes) = pump(&server, lanes, in_flight, produced, window(measured))?;
        lines.push((
            format!("CPU a 1 KB record, {connections} connections"),
            cpu_each(&observed),
        ));
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
    if kind == Kind::Bare || size.groups * size.members + OTHER_FILES > file_limit() {
        return Ok(Vec::new());
    }
    let server = start(kind, programs)?;
    let consumers = format!("{} groups of {} members", size.groups, size.members);
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

/// Connections spread over the lanes, all with the same requests.
fn lanes(server: &Server, connections: usize, frames: &Arc<[Vec<u8>]>) -> Outcome<Vec<Lane>> {
    (0..LANES)
        .map(|index| {
            let first = index * frames.len() / LANES;
            let own = connections / LANES;
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
