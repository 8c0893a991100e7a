//! Puts transactions on a server that is killed again and again, and looks for anomalies in what the clients saw.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use klamm_compat_tests::torture::{Options, ServerKind, run};

#[derive(Parser)]
#[command(
    about = "Transactional writers, copiers and readers against a server that is killed with -9 and restarted"
)]
struct Arguments {
    /// The server under test.
    #[arg(long, value_enum, default_value = "klamm")]
    server: ServerKind,
    /// Another binary than the release build.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// How often the server is killed.
    #[arg(long, default_value_t = 12)]
    kills: usize,
    /// The time over which the kills are spread; clients then get as long as they need to finish.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Decides the moments of the kills and what the clients try; the interleaving is the machine's.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, default_value_t = 4)]
    writers: usize,
    #[arg(long, default_value_t = 3)]
    copiers: usize,
    /// Write the history to this file.
    #[arg(long)]
    history: Option<PathBuf>,
    /// Judge a history in a file instead of a run.
    #[arg(long, conflicts_with = "history")]
    judge: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let options = Options {
        server: arguments.server,
        binary: arguments.binary,
        kills: arguments.kills,
        seconds: arguments.seconds,
        seed: arguments.seed,
        writers: arguments.writers,
        copiers: arguments.copiers,
        history: arguments.history,
        judge: arguments.judge,
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
