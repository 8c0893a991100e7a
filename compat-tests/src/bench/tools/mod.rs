//! The tools that users trust, against Apache Kafka and Klamm: `kafka-producer-perf-test` and
//! `kafka-consumer-perf-test` of Kafka's own distribution, and librdkafka's `rdkafka_performance`.
//!
//! Here the clients are most of the load, and share the cores with the server. So throughput says what a user sees, and
//! only the CPU time of the server says what the server costs. The bare server is not there: it speaks too little of the
//! protocol for these clients.

mod java;
mod rdkafka;
mod said;
mod session;
mod values;

use super::bare::Durability;
use super::report::{Row, pair_table};
use super::server::{Kind, Programs, Server};
use super::{Failure, Outcome};
use session::{Codec, Place, Session, Tool, ToolKind};

/// All keys begin so: `tools-java-lz4`.
pub const KEY: &str = "tools";

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    pub rounds: usize,
    pub java: Records,
    pub rdkafka: Records,
}

/// Records of one run of a tool.
#[derive(Debug, Clone, Copy)]
pub struct Records {
    /// As fast as it can, writing or reading.
    pub full_speed: u64,
    /// At a given rate.
    pub paced: u64,
}

/// The keys of all sessions.
pub fn keys() -> Vec<String> {
    ToolKind::ALL
        .into_iter()
        .flat_map(|tool| Codec::ALL.map(|codec| session::key(tool, codec)))
        .collect()
}

/// A broker waits so long for more members of a new group. Kafka's own `server.properties` has it not wait.
const NO_REBALANCE_DELAY: (&str, &str) = ("group.initial.rebalance.delay.ms", "0");

/// Runs those sessions whose keys are wanted, on those servers that the tools can talk to, and returns a table; an empty
/// text if there is nothing to do.
pub fn run(
    kinds: &[Kind],
    programs: &Programs,
    amount: Amount,
    is_wanted: impl Fn(&str) -> bool,
) -> Outcome<String> {
    let kinds: Vec<Kind> = kinds
        .iter()
        .copied()
        .filter(|kind| *kind != Kind::Bare)
        .collect();
    let mut tools = Vec::new();
    for kind in ToolKind::ALL {
        let codecs: Vec<Codec> = Codec::ALL
            .into_iter()
            .filter(|codec| is_wanted(&session::key(kind, *codec)))
            .collect();
        if !codecs.is_empty() {
            tools.push((Tool::open(kind)?, codecs));
        }
    }
    let sessions: Vec<Session<'_>> = tools
        .iter()
        .flat_map(|(tool, codecs)| codecs.iter().map(|codec| Session::new(tool, *codec)))
        .collect();
    if sessions.is_empty() || kinds.is_empty() {
        return Ok(String::new());
    }
    let place = Place::open()?;
    let servers = kinds
        .into_iter()
        .map(|kind| {
            Server::start_with(kind, Durability::PageCache, programs, &[NO_REBALANCE_DELAY])
        })
        .collect::<Outcome<Vec<_>>>()?;
    let rows = do_sessions(&sessions, &servers, amount, &place)?;
    Ok(format!(
        "{}\n{}\n",
        pair_table(&rows),
        session::footnote(amount)
    ))
}

fn do_sessions(
    sessions: &[Session<'_>],
    servers: &[Server],
    amount: Amount,
    place: &Place,
) -> Outcome<Vec<Row>> {
    let run = |session: &Session<'_>, server: &Server, when: &str| {
        let observed = session.run(server, when, amount, place);
        observed.map_err(|failure: Failure| {
            failure.during(format!("{} on {}", session.key(), server.kind))
        })
    };
    let mut rows: Vec<Vec<Row>> = sessions.iter().map(Session::rows).collect();
    // What Apache Kafka's compiler gets before the first round, however few sessions are wanted.
    let passes = (keys().len() / sessions.len()).max(1);
    for server in servers.iter().filter(|server| server.kind == Kind::Kafka) {
        for pass in 0..passes {
            for session in sessions {
                run(session, server, &format!("warm-{pass}"))?;
            }
        }
    }
    for round in 0..amount.rounds {
        for (index, session) in sessions.iter().enumerate() {
            for turn in 0..servers.len() {
                // Nobody is always the first.
                let server = &servers[(turn + round + index) % servers.len()];
                let numbers = run(session, server, &format!("round-{round}"))?;
                for (row, number) in rows[index].iter_mut().zip(numbers) {
                    row.rounds[server.kind.index()].push(number);
                }
            }
        }
    }
    Ok(rows.into_iter().flatten().collect())
}
