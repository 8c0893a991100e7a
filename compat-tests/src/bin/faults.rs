//! Disks that fill up, turn read-only and fail under the release binary; and how long it takes to start on a full one.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use klamm_compat_tests::faults::{Options, RestartOptions, enter, install, run, run_restart};
use klamm_compat_tests::suites::Outcome;

#[derive(Parser)]
#[command(
    about = "Full, read-only and failing disks and too few files: refused with an error, nothing lost, back by itself"
)]
struct Arguments {
    /// Only the checks with this in their name.
    #[arg(long)]
    only: Option<String>,
    /// How many checks are at work at the same time.
    #[arg(long, default_value_t = 4)]
    jobs: usize,
    /// Install what the checks need and stop.
    #[arg(long)]
    install_only: bool,
    /// Instead of the checks: write so many gigabytes, kill the server, and measure its starts.
    #[arg(long, value_name = "GIGABYTES")]
    restart_gb: Option<usize>,
    /// Partitions that --restart-gb writes to.
    #[arg(long, default_value_t = 1_000)]
    partitions: usize,
    /// Where --restart-gb keeps its data while it runs.
    #[arg(long)]
    folder: Option<PathBuf>,
}

fn main() -> ExitCode {
    match work(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn work(arguments: Arguments) -> Outcome<()> {
    if let Some(gigabytes) = arguments.restart_gb {
        return run_restart(&RestartOptions {
            gigabytes,
            partitions: arguments.partitions,
            folder: arguments.folder,
        });
    }
    install()?;
    if arguments.install_only {
        return Ok(());
    }
    enter()?;
    run(&Options {
        only: arguments.only,
        jobs: arguments.jobs,
    })
}
