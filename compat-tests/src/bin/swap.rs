//! Lets one data directory change hands between Apache Kafka and Klamm.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use klamm_compat_tests::swap::{Options, run};

#[derive(Parser)]
#[command(
    about = "Stops or kills one server, starts the other on its data, and compares what clients see; kafka-dump-log reads all files"
)]
struct Arguments {
    /// Another binary than the release build.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Only journeys with one of these texts in their names, separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// How many journeys are under way at the same time.
    #[arg(long, default_value_t = 3)]
    jobs: usize,
    /// Keep the directory of a journey that failed.
    #[arg(long)]
    keep: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let options = Options {
        binary: arguments.binary,
        only: arguments.only,
        jobs: arguments.jobs,
        keep: arguments.keep,
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
