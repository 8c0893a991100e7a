//! The `klamm` binary as a child process: started, killed, terminated and started again on the same port and data.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;

use crate::server_process::{ServerError, ServerProcess, tail};

/// Names the binary to test instead of `<target directory>/release/klamm`.
pub const BINARY_VARIABLE: &str = "KLAMM_BIN";

/// The line that announces a server to programs: `klamm ready 127.0.0.1:41523`.
const READY_PREFIX: &str = "klamm ready ";

const START_DEADLINE: Duration = Duration::from_secs(30);
const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// The binary under test: `$KLAMM_BIN`, or `release/klamm` in `$CARGO_TARGET_DIR` or `<repository>/target`.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os(BINARY_VARIABLE).filter(|path| !path.is_empty()) {
        return PathBuf::from(path);
    }
    let target = match std::env::var_os("CARGO_TARGET_DIR").filter(|path| !path.is_empty()) {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("the crate lies in the workspace's folder")
            .join("target"),
    };
    target.join("release").join("klamm")
}

/// Where a server keeps its records.
#[derive(Debug, Clone)]
pub enum Storage {
    /// `--ephemeral`: removed at exit, nothing synced, no wait before the first rebalance.
    Ephemeral,
    /// `--data-dir` in a temporary folder that lives as long as the [`Klamm`] value, restarts included.
    Temporary,
    /// `--data-dir` with this folder, left alone on drop.
    Directory(PathBuf),
    /// Several folders (`log.dirs`), left alone on drop.
    Directories(Vec<PathBuf>),
}

/// How a server is started.
#[derive(Debug, Clone)]
pub struct KlammOptions {
    /// `--set KEY=VALUE` in this order.
    pub settings: Vec<(String, String)>,
    pub storage: Storage,
    /// Instead of [`binary`].
    pub binary: Option<PathBuf>,
    /// `--listen`; port 0 picks a free one.
    pub listen: SocketAddr,
}

impl KlammOptions {
    /// A server on a free port of 127.0.0.1.
    pub fn new(storage: Storage) -> Self {
        Self {
            settings: Vec::new(),
            storage,
            binary: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        }
    }

    /// Adds `--set KEY=VALUE`.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }
}

/// A server. Dropping it kills the process and removes what was temporary.
#[derive(Debug)]
pub struct Klamm {
    options: KlammOptions,
    address: SocketAddr,
    process: ServerProcess,
    home: TempDir,
}

impl Klamm {
    /// Starts the binary and waits for its ready line.
    pub fn start(options: KlammOptions) -> Result<Self, ServerError> {
        let home = tempfile::Builder::new().prefix("klamm-server-").tempdir()?;
        let (process, address) = launch(&options, options.listen, home.path())?;
        Ok(Self {
            options,
            address,
            process,
            home,
        })
    }

    /// Where clients connect; the same after a restart.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// True when the process has come to an end, by itself or not.
    pub fn has_exited(&mut self) -> std::io::Result<bool> {
        self.process.has_exited()
    }

    /// Where the log (standard error) of all its lives is.
    pub fn log(&self) -> PathBuf {
        log_path(self.home.path())
    }

    /// The end of the server's log (standard error), for the message of a failed test.
    pub fn log_tail(&self) -> String {
        tail(&log_path(self.home.path()))
    }

    /// `kill -9`: the server gets no chance to write anything.
    pub fn kill(&mut self) -> Result<(), ServerError> {
        Ok(self.process.kill()?)
    }

    /// SIGTERM, then waits for a clean end.
    pub fn terminate(&mut self) -> Result<ExitStatus, ServerError> {
        self.process
            .terminate(STOP_DEADLINE)?
            .ok_or_else(|| ServerError::NotReady {
                program: "klamm after SIGTERM".to_owned(),
                waited: STOP_DEADLINE,
                log_tail: self.log_tail(),
            })
    }

    /// Starts again on the same port and data after [`Self::kill`] or [`Self::terminate`].
    ///
    /// A server that still runs is killed first.
    pub fn restart(&mut self) -> Result<(), ServerError> {
        self.process.kill()?;
        let (process, address) = launch(&self.options, self.address, self.home.path())?;
        assert_eq!(
            address, self.address,
            "a restart announces the port it was given"
        );
        self.process = process;
        Ok(())
    }

    /// Starts again on the same port and data, and kills after `delay`, ready or not. A server that still runs is killed
    /// first.
    pub fn kill_while_starting(&mut self, delay: Duration) -> Result<(), ServerError> {
        self.process.kill()?;
        let (process, _stdout) = spawn(&self.options, self.address, self.home.path())?;
        self.process = process;
        std::thread::sleep(delay);
        self.kill()
    }
}

fn launch(
    options: &KlammOptions,
    listen: SocketAddr,
    home: &Path,
) -> Result<(ServerProcess, SocketAddr), ServerError> {
    let (mut process, stdout) = spawn(options, listen, home)?;
    let program = || program(options).display().to_string();
    let log = log_path(home);
    match ready_address(stdout).recv_timeout(START_DEADLINE) {
        Ok(address) => Ok((process, address)),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(ServerError::NotReady {
            program: program(),
            waited: START_DEADLINE,
            log_tail: tail(&log),
        }),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            process.kill()?;
            Err(ServerError::Exited {
                program: program(),
                log_tail: tail(&log),
            })
        }
    }
}

fn program(options: &KlammOptions) -> PathBuf {
    options.binary.clone().unwrap_or_else(binary)
}

/// The process and what it prints.
fn spawn(
    options: &KlammOptions,
    listen: SocketAddr,
    home: &Path,
) -> Result<(ServerProcess, ChildStdout), ServerError> {
    let binary = program(options);
    let log = log_path(home);
    let mut command = Command::new(&binary);
    command.args(["--listen", &listen.to_string()]);
    match &options.storage {
        Storage::Ephemeral => command.arg("--ephemeral"),
        Storage::Temporary => command.arg("--data-dir").arg(home.join("data")),
        Storage::Directory(path) => command.arg("--data-dir").arg(path),
        Storage::Directories(paths) => {
            let paths: Vec<_> = paths.iter().map(|path| path.to_string_lossy()).collect();
            command.args(["--set", &format!("log.dirs={}", paths.join(","))])
        }
    };
    for (key, value) in &options.settings {
        command.args(["--set", &format!("{key}={value}")]);
    }
    let log_file = fs::File::options().create(true).append(true).open(&log)?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log_file)
        .spawn()
        .map_err(|source| ServerError::Exited {
            program: binary.display().to_string(),
            log_tail: format!(
                "{source} (build it with: cargo build --release, or set {BINARY_VARIABLE})"
            ),
        })?;
    let stdout = child.stdout.take().expect("standard output is piped");
    Ok((ServerProcess::new(child), stdout))
}

/// Hands over the address of the ready line, then keeps the pipe empty for as long as the server runs.
fn ready_address(stdout: ChildStdout) -> mpsc::Receiver<SocketAddr> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut sender = Some(sender);
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let address = line
                .strip_prefix(READY_PREFIX)
                .and_then(|address| address.trim().parse().ok());
            if let (Some(address), Some(waiting)) = (address, sender.take_if(|_| address.is_some()))
            {
                // The starter may have given up; the pipe is drained all the same.
                let _ = waiting.send(address);
            }
        }
    });
    receiver
}

fn log_path(home: &Path) -> PathBuf {
    home.join("klamm.log")
}
