//! The bare server of the benchmark: see `klamm_compat_tests::bench::bare`. Not a server to keep data in.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use klamm_compat_tests::bench::bare::{Durability, serve};
use klamm_compat_tests::bench::{Outcome, raise_file_limit};

/// Does what no broker can do without, and nothing else.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to serve; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// An empty folder.
    #[arg(long)]
    data_dir: PathBuf,
    /// Sync the file before each answer.
    #[arg(long)]
    fsync: bool,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bare_server: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Outcome<()> {
    raise_file_limit()?;
    let listener = TcpListener::bind(arguments.listen)?;
    println!("ready {}", listener.local_addr()?);
    let durability = if arguments.fsync {
        Durability::Disk
    } else {
        Durability::PageCache
    };
    serve(&listener, arguments.data_dir, durability)
}
