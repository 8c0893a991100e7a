//! The `klamm` binary.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use klamm::api;
use klamm::args::{Args, Command, ServeArgs};
use klamm::config::{self, Configs, StorageRoot};
use klamm::net::{NetworkThreads, Threads};
use klamm::server::Server;
use tracing::{error, info};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

/// Gives memory back that the threads' compressors and requests no longer need; the system's allocator keeps it, thread by
/// thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match &args.command {
        Some(Command::Configs(options)) => print(&config::reference(options.markdown)),
        Some(Command::Apis) => print(&api::coverage_table()),
        None => serve(&args.serve),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("klamm: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Writes to standard output. A reader that has seen enough is no error.
fn print(text: &str) -> Result<(), String> {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Ok(())
}

fn serve(args: &ServeArgs) -> Result<(), String> {
    let filter: Targets = args
        .log
        .parse()
        .map_err(|error| format!("--log {}: {error}", args.log))?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .init();
    let loaded =
        config::load(&args.sources(std::env::vars_os())).map_err(|error| error.to_string())?;
    for notice in &loaded.notices {
        notice.log();
    }
    raise_file_limit();
    let configs = Configs::new(loaded.settings);
    let network = NetworkThreads::start(configs.broker().net.threads)
        .map_err(|error| format!("cannot start the network threads: {error}"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    runtime.block_on(run(configs, network.threads()))
}

async fn run(configs: Configs, threads: Threads) -> Result<(), String> {
    let is_ephemeral = configs.broker().storage == StorageRoot::Ephemeral;
    let mut signals =
        Signals::new().map_err(|error| format!("cannot wait for signals: {error}"))?;
    let server = Server::start(configs, threads)
        .await
        .map_err(|error| error.to_string())?;
    print(&greeting(&server, is_ephemeral))?;
    let signal = signals.next().await;
    info!(signal, "stopping");
    server.stop().await;
    info!("stopped");
    Ok(())
}

/// What a person sees first, and the one line that is made for programs.
fn greeting(server: &Server, is_ephemeral: bool) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "  {label:<10} {value}");
    };
    for (name, address) in &server.addresses {
        line("listening", &format!("{address} ({name})"));
    }
    for directory in &server.data_dirs {
        let shown = std::fs::canonicalize(directory).unwrap_or_else(|_| directory.clone());
        line("data", &describe(&shown, is_ephemeral));
    }
    let address = server.addresses[0].1;
    let reachable = if address.ip().is_unspecified() {
        format!("127.0.0.1:{}", address.port())
    } else {
        address.to_string()
    };
    line(
        "try",
        &format!(
            "echo hello | kcat -b {reachable} -P -t greetings && kcat -b {reachable} -C -t greetings -e"
        ),
    );
    format!(
        "klamm {}\n{text}klamm ready {reachable}\n",
        env!("CARGO_PKG_VERSION")
    )
}

fn describe(directory: &Path, is_ephemeral: bool) -> String {
    if is_ephemeral {
        format!("{} (removed at exit)", directory.display())
    } else {
        directory.display().to_string()
    }
}

/// Lets the process have as many open files as the system allows: every connection and every open log needs one.
#[cfg(unix)]
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(reason) = setrlimit(Resource::Nofile, limit) {
        error!(%reason, "the limit of open files could not be raised");
    }
}

#[cfg(not(unix))]
fn raise_file_limit() {}

/// SIGTERM and SIGINT.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {})
    }

    async fn next(&mut self) -> &'static str {
        // Without a console there is nobody to press Ctrl-C, and the server runs until it is ended.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}
