//! Runs the test suites that others wrote for their clients against a server.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use klamm_compat_tests::suites::{Options, ServerKind, run};

#[derive(Parser)]
#[command(
    about = "Runs the suites of librdkafka, franz-go, rust-rdkafka and rskafka and Kafka's own exactly-once programs, and compares with Apache Kafka's results"
)]
struct Arguments {
    /// The server under test.
    #[arg(long, value_enum, default_value = "klamm")]
    server: ServerKind,
    /// Only these suites, separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only tests whose names begin so, separated by commas.
    #[arg(long, value_delimiter = ',')]
    tests: Vec<String>,
    /// How many tests run at the same time; most of them mostly wait.
    #[arg(long, default_value_t = 6)]
    jobs: usize,
    /// After so many seconds a test hangs, and is killed.
    #[arg(long, default_value_t = 300)]
    patience: u64,
    /// Also the tests that are marked slow.
    #[arg(long)]
    all: bool,
    /// Fetch and build the suites, and stop.
    #[arg(long)]
    build_only: bool,
    /// Print the tests with what is expected of them, and stop.
    #[arg(long)]
    list: bool,
    /// With `--server kafka`: write what Apache Kafka gives into `expected/<suite>.json`.
    #[arg(long)]
    write_baseline: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let options = Options {
        server: arguments.server,
        only: arguments.only,
        tests: arguments.tests,
        jobs: arguments.jobs,
        patience: Duration::from_secs(arguments.patience),
        all: arguments.all,
        build_only: arguments.build_only,
        list: arguments.list,
        write_baseline: arguments.write_baseline,
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
