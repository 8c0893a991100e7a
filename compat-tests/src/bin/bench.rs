//! Measures what the same work costs on Apache Kafka, on Klamm and on a bare server, and prints one Markdown table.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use klamm_compat_tests::bench::{Failure, Kind, Options, Outcome, raise_file_limit, run};

#[derive(Debug, Parser)]
#[command(about = "What the same work costs on Apache Kafka, Klamm and a bare server")]
struct Arguments {
    /// A run of under three minutes, whose numbers are rough, and without growth.
    #[arg(long)]
    quick: bool,
    /// Only works whose key contains one of these; `none` shows the keys.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// How often every work is done on every server.
    #[arg(long)]
    rounds: Option<usize>,
    /// The measured part of each run.
    #[arg(long)]
    seconds: Option<f64>,
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "kafka,klamm,bare"
    )]
    servers: Vec<Kind>,
    /// The Klamm to measure: a build with the profile `dist`.
    #[arg(long, default_value_os_t = beside("../dist/klamm"))]
    klamm: PathBuf,
    /// The bare server.
    #[arg(long, default_value_os_t = beside("bare_server"))]
    bare: PathBuf,
}

/// A program by its place relative to this one.
fn beside(path: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.parent().unwrap_or(Path::new(".")).join(path)
}

fn main() -> ExitCode {
    match measure(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: Arguments) -> Outcome<()> {
    raise_file_limit()?;
    let (rounds, seconds, jvm_warm_up, megabytes) = if arguments.quick {
        (2, 1.0, Duration::from_secs(3), 500)
    } else {
        (5, 3.0, Duration::from_secs(10), 1_000)
    };
    let measured = Duration::try_from_secs_f64(arguments.seconds.unwrap_or(seconds))
        .map_err(|error| Failure::new(format!("--seconds: {error}")))?;
    let only = if arguments.quick && arguments.only.is_empty() {
        ["produce", "fetch", "one", "hand", "fsync", "start"]
            .map(str::to_owned)
            .to_vec()
    } else {
        arguments.only
    };
    let text = run(&Options {
        servers: arguments.servers,
        only,
        rounds: arguments.rounds.unwrap_or(rounds).max(1),
        measured,
        jvm_warm_up,
        produced_bytes_max: megabytes * 1_000_000,
        klamm: arguments.klamm,
        bare: arguments.bare,
    })?;
    print!("{text}");
    Ok(())
}
