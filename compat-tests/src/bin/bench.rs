//! Measures what the same work costs on Apache Kafka, on Klamm and on a bare server, and prints Markdown tables.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use klamm_compat_tests::bench::{
    Failure, Kind, Options, Outcome, ToolRecords, ToolsAmount, raise_file_limit, run,
};

#[derive(Debug, Parser)]
#[command(about = "What the same work costs on Apache Kafka, Klamm and a bare server")]
struct Arguments {
    /// A run of under five minutes, whose numbers are rough, and without growth.
    #[arg(long)]
    quick: bool,
    /// Only works whose key contains one of these, or begins so if it is a tool's; `?` shows the keys.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only kafka-producer-perf-test, kafka-consumer-perf-test and rdkafka_performance; as `--only tools`.
    #[arg(long, conflicts_with_all = ["only", "no_tools"])]
    tools: bool,
    /// Everything else.
    #[arg(long)]
    no_tools: bool,
    /// How often every work is done on every server.
    #[arg(long)]
    rounds: Option<usize>,
    /// How long the log becomes on which growth is measured, in GB; half of what the disk has left is the most.
    #[arg(long)]
    log_gb: Option<u64>,
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

/// What is asked for where the arguments say nothing else.
struct Defaults {
    rounds: usize,
    seconds: f64,
    jvm_warm_up: Duration,
    produced_bytes_max: u64,
    log_gigabytes: u64,
    tools: ToolsAmount,
    only: &'static [&'static str],
}

const FULL: Defaults = Defaults {
    rounds: 5,
    seconds: 2.5,
    jvm_warm_up: Duration::from_secs(6),
    produced_bytes_max: 1_000_000_000,
    log_gigabytes: 50,
    tools: ToolsAmount {
        rounds: 3,
        java: ToolRecords {
            full_speed: 500_000,
            paced: 20_000,
        },
        rdkafka: ToolRecords {
            full_speed: 1_500_000,
            paced: 10_000,
        },
    },
    only: &[],
};

const QUICK: Defaults = Defaults {
    rounds: 2,
    seconds: 0.8,
    jvm_warm_up: Duration::from_millis(1_200),
    produced_bytes_max: 500_000_000,
    log_gigabytes: 1,
    tools: ToolsAmount {
        rounds: 1,
        java: ToolRecords {
            full_speed: 100_000,
            paced: 6_000,
        },
        rdkafka: ToolRecords {
            full_speed: 500_000,
            paced: 5_000,
        },
    },
    only: &["produce", "fetch", "one", "hand", "fsync", "start", "tools"],
};

fn measure(arguments: Arguments) -> Outcome<()> {
    raise_file_limit()?;
    let defaults = if arguments.quick { QUICK } else { FULL };
    let measured = Duration::try_from_secs_f64(arguments.seconds.unwrap_or(defaults.seconds))
        .map_err(|error| Failure::new(format!("--seconds: {error}")))?;
    let only = if arguments.tools {
        vec!["tools".to_owned()]
    } else if arguments.only.is_empty() {
        defaults.only.iter().copied().map(str::to_owned).collect()
    } else {
        arguments.only
    };
    let mut tools = defaults.tools;
    tools.rounds = arguments.rounds.unwrap_or(tools.rounds).max(1);
    let options = Options {
        servers: arguments.servers,
        only,
        rounds: arguments.rounds.unwrap_or(defaults.rounds).max(1),
        measured,
        jvm_warm_up: defaults.jvm_warm_up,
        produced_bytes_max: defaults.produced_bytes_max,
        log_bytes_max: arguments.log_gb.unwrap_or(defaults.log_gigabytes) * 1_000_000_000,
        with_tools: !arguments.no_tools,
        tools,
        klamm: arguments.klamm,
        bare: arguments.bare,
    };
    run(&options, |table| println!("{table}"))
}
