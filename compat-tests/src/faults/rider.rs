//! A stock client that lives through it all: kcat with librdkafka's idempotent producer.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::suites::{Failure, Outcome};

/// Lines carry this and their number.
pub const PREFIX: &str = "rider ";

const PAUSE: Duration = Duration::from_millis(10);
/// From the last line until kcat has seen everything acknowledged.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Writes a numbered line every few milliseconds.
#[derive(Debug)]
pub struct Rider {
    kcat: Child,
    said: PathBuf,
    is_over: Arc<AtomicBool>,
    /// Until it is joined.
    writer: Option<JoinHandle<std::io::Result<usize>>>,
}

impl Rider {
    /// `said` is where kcat's messages go.
    pub fn start(address: SocketAddr, topic: &str, said: &Path) -> Outcome<Self> {
        let mut kcat = Command::new("kcat")
            .args(["-P", "-b", &address.to_string(), "-t", topic, "-p", "0"])
            // Nobody to connect to, for a while, is no reason to give up.
            .arg("-E")
            .args(["-X", "enable.idempotence=true"])
            .args(["-X", "queue.buffering.max.ms=5"])
            .args(["-X", "retry.backoff.ms=50"])
            .args(["-X", "message.timeout.ms=60000"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(said)?)
            .spawn()
            .map_err(|error| Failure::new(error).during("kcat"))?;
        let input = kcat.stdin.take().expect("standard input is piped");
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_over);
        let writer = thread::spawn(move || write_lines(input, &flag));
        Ok(Self {
            kcat,
            said: said.to_owned(),
            is_over,
            writer: Some(writer),
        })
    }

    /// Writes no more and waits until all of it is acknowledged: how many lines that were.
    pub fn arrive(mut self) -> Outcome<usize> {
        self.is_over.store(true, Ordering::Relaxed);
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.kcat.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                return Err(self.failed("kcat does not get everything acknowledged"));
            }
            thread::sleep(LOOK_AGAIN);
        };
        if !status.success() {
            return Err(self.failed(&format!("kcat ended with {status}")));
        }
        let writer = self.writer.take().expect("it is joined here only");
        let written = writer.join();
        Ok(written.map_err(|_| Failure::new("the writer of lines panicked"))??)
    }

    fn failed(&self, what: &str) -> Failure {
        let said = std::fs::read_to_string(&self.said).unwrap_or_default();
        Failure::new(format!("{what}: {}", said.trim()))
    }
}

impl Drop for Rider {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // One that has arrived is gone already.
        let _ = self.kcat.kill();
        let _ = self.kcat.wait();
    }
}

/// Dropping the input at the end is kcat's sign to finish.
fn write_lines(mut input: ChildStdin, is_over: &AtomicBool) -> std::io::Result<usize> {
    let mut written = 0;
    while !is_over.load(Ordering::Relaxed) {
        writeln!(input, "{PREFIX}{written}")?;
        written += 1;
        thread::sleep(PAUSE);
    }
    Ok(written)
}
