//! Lets a server live a hard life for a given time and says whether anything went wrong.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use klamm_compat_tests::soak::{Options, run};

#[derive(Parser)]
#[command(
    about = "Producers, consumers, compaction, retention, admin changes and random kill -9, with a verdict"
)]
struct Arguments {
    /// How long the load lasts, in seconds; the last checks come on top.
    #[arg(long, default_value_t = 3_600)]
    seconds: u64,
    /// Decides what the actors try and when the server is killed; the interleaving is the machine's.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// No restarts before the last checks: one long life, to see whether memory or files grow.
    #[arg(long)]
    calm: bool,
    /// Another binary than the release build.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Keep the server's data in this folder, which must be empty, and leave it there.
    #[arg(long)]
    data: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let options = Options {
        seconds: arguments.seconds,
        seed: arguments.seed,
        is_calm: arguments.calm,
        binary: arguments.binary,
        data: arguments.data,
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
