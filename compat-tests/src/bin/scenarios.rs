//! Runs the scenarios of every stock client against a server.

use std::process::ExitCode;

use clap::Parser;
use klamm_compat_tests::scenarios::{Options, ServerKind, print_limits, run};

#[derive(Parser)]
#[command(
    about = "Drives a server with stock clients: every client writes, every other reads, groups, kill -9"
)]
struct Arguments {
    /// The server under test; kafka shows that the scenarios themselves are right.
    #[arg(long, value_enum, default_value = "klamm")]
    server: ServerKind,
    /// Only these clients, separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Install the clients and stop.
    #[arg(long)]
    install_only: bool,
    /// Only the checks of transactions.
    #[arg(long)]
    transactions: bool,
    /// How many clients are at work at the same time.
    #[arg(long, default_value_t = 4)]
    jobs: usize,
    /// Print what the clients' APIs cannot say, and stop.
    #[arg(long)]
    limits: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.limits {
        print_limits();
        return ExitCode::SUCCESS;
    }
    let options = Options {
        server: arguments.server,
        only: arguments.only,
        install_only: arguments.install_only,
        transactions_only: arguments.transactions,
        jobs: arguments.jobs,
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
