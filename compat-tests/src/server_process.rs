//! What starting any broker has in common: a child process that never outlives its owner, a readiness probe,
//! and errors that show the end of the server's log.

use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How much of a server's log an error shows.
const LOG_TAIL_LINES: usize = 30;

const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a server could not be started or stopped.
#[derive(Debug)]
pub enum ServerError {
    /// A file, socket or process operation failed.
    Io(io::Error),
    /// Something that the tests need could not be fetched from its registry.
    Fetch { what: String },
    /// The program ended before it was ready.
    Exited { program: String, log_tail: String },
    /// The program runs but did not become ready, or did not stop, within the deadline.
    NotReady {
        program: String,
        waited: Duration,
        log_tail: String,
    },
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Fetch { what } => write!(f, "could not fetch {what}"),
            Self::Exited { program, log_tail } => {
                write!(f, "{program} ended before it was ready:\n{log_tail}")
            }
            Self::NotReady {
                program,
                waited,
                log_tail,
            } => write!(
                f,
                "{program} did not do what was asked within {waited:?}:\n{log_tail}"
            ),
        }
    }
}

impl std::error::Error for ServerError {}

impl From<io::Error> for ServerError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A child process that is killed and reaped when dropped.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
}

impl ServerProcess {
    pub fn new(child: Child) -> Self {
        Self { child }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn has_exited(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Kills with SIGKILL and waits; a process that is gone already is fine.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends SIGTERM and waits for the end; `None` when the process still runs after `patience`.
    pub fn terminate(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(Some(status));
        }
        let raw = i32::try_from(self.child.id()).expect("a process id fits into an i32");
        let pid = Pid::from_raw(raw).expect("a child's process id is not zero");
        kill_process(pid, Signal::TERM)?;
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Nothing is left to do about a failure: the process is gone or not ours.
        let _ = self.kill();
    }
}

/// True when a server at `address` answers ApiVersions v0.
pub fn answers_api_versions(address: SocketAddr) -> bool {
    probe(address).unwrap_or(false)
}

fn probe(address: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, PROBE_TIMEOUT)?;
    stream.set_read_timeout(Some(PROBE_TIMEOUT))?;
    // Size 10, then header v1: api key 18, version 0, correlation id 77, null client id.
    stream.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 77, 0xff, 0xff])?;
    let mut answer = [0; 10];
    stream.read_exact(&mut answer)?;
    // Correlation id 77 and error code 0 behind the size.
    Ok(answer[4..] == [0, 0, 0, 77, 0, 0])
}

/// The last lines of a log file, for an error.
pub fn tail(log: &Path) -> String {
    let text = fs::read(log).map_or_else(
        |error| format!("no log: {error}"),
        |bytes| String::from_utf8_lossy(&bytes).into_owned(),
    );
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}
