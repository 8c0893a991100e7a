//! One run: a server, the clients, a kill at every appointed moment, a verdict.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::torture::check::check;
use crate::torture::failure::{Failure, Outcome};
use crate::torture::history::History;
use crate::torture::program::{Load, Program};
use crate::torture::report::print_verdict;
use crate::torture::server::{Server, ServerKind};

/// Killing begins when so many transactions are committed.
const COMMITS_BEFORE: usize = 20;

const BEGIN_PATIENCE: Duration = Duration::from_secs(60);

/// The clients give up by themselves long before.
const FINISH_PATIENCE: Duration = Duration::from_secs(600);

/// How long a killed server stays away, at most.
const DOWNTIME_MAX: Duration = Duration::from_millis(300);

#[derive(Debug)]
pub struct Options {
    pub server: ServerKind,
    pub binary: Option<PathBuf>,
    pub kills: usize,
    /// The kills are spread over this time, in which the server is up.
    pub seconds: u64,
    pub seed: u64,
    pub writers: usize,
    pub copiers: usize,
    /// Where the history is written to.
    pub history: Option<PathBuf>,
    /// A written history to judge instead of a run.
    pub judge: Option<PathBuf>,
}

/// Runs, prints the verdict, and fails when there is any anomaly.
pub fn run(options: &Options) -> Outcome<()> {
    let text = match &options.judge {
        Some(path) => fs::read_to_string(path)?,
        None => torture(options)?,
    };
    if let Some(path) = &options.history {
        fs::write(path, &text)?;
    }
    let history = History::parse(&text)?;
    let anomalies = check(&history)?;
    print_verdict(&history, &anomalies)?;
    if anomalies.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the history has anomalies (seed {})",
        options.seed
    )))
}

fn torture(options: &Options) -> Outcome<String> {
    let mut random = StdRng::seed_from_u64(options.seed);
    let mut server = Server::start(options.server, options.binary.clone())?;
    let load = Load {
        seed: options.seed,
        writers: options.writers,
        copiers: options.copiers,
    };
    let mut program = Program::start(server.address(), load)?;
    program
        .wait_for("committed", COMMITS_BEFORE, BEGIN_PATIENCE)
        .map_err(|failure| failure.during(server.log_tail()))?;
    let mut up = Duration::ZERO;
    for moment in moments(options, &mut random) {
        std::thread::sleep(moment - up);
        up = moment;
        if program.has_ended()? {
            return Err(program.failure("ended before they were told to".to_owned()));
        }
        program.note("kill");
        server.kill()?;
        std::thread::sleep(random.random_range(Duration::ZERO..DOWNTIME_MAX));
        server.restart()?;
        program.note("restart");
    }
    std::thread::sleep(whole(options) - up);
    let text = program
        .finish(FINISH_PATIENCE)
        .map_err(|failure| failure.during(server.log_tail()))?;
    if !text.ends_with("\tdone\n") {
        eprintln!("the end of the server's log:\n{}", server.log_tail());
    }
    Ok(text)
}

fn whole(options: &Options) -> Duration {
    Duration::from_secs(options.seconds.max(1))
}

/// Random moments of the time that the server is up, in order. Some follow each other so soon that the server is killed
/// before it is itself again.
fn moments(options: &Options, random: &mut StdRng) -> Vec<Duration> {
    let mut moments: Vec<Duration> = (0..options.kills)
        .map(|_| random.random_range(Duration::ZERO..whole(options)))
        .collect();
    moments.sort();
    moments
}
