//! The program with the clients (`clients/torture`), built from its pinned modules, and the transcript of what it prints.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use crate::kafka::cache_dir;
use crate::server_process::{ServerProcess, tail};
use crate::torture::failure::{Failure, Outcome};

/// How many clients of each kind are at work.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub seed: u64,
    pub writers: usize,
    pub copiers: usize,
}

#[derive(Debug, Default)]
struct Transcript {
    text: String,
    has_ended: bool,
}

/// The running program. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    process: ServerProcess,
    input: Option<ChildStdin>,
    transcript: Arc<(Mutex<Transcript>, Condvar)>,
    home: TempDir,
}

impl Program {
    /// Builds the program if need be and sets it on a server.
    pub fn start(server: SocketAddr, load: Load) -> Outcome<Self> {
        let program = build()?;
        let home = tempfile::Builder::new()
            .prefix("klamm-torture-")
            .tempdir()?;
        let mut child = Command::new(program)
            .arg(server.to_string())
            .args([load.seed.to_string(), load.writers.to_string()])
            .arg(load.copiers.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(complaints(home.path()))?)
            .spawn()?;
        let input = child.stdin.take();
        let output = child.stdout.take().expect("standard output is piped");
        let transcript = Arc::<(Mutex<Transcript>, Condvar)>::default();
        let shared = Arc::clone(&transcript);
        std::thread::spawn(move || {
            let (transcript, changed) = &*shared;
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let mut transcript = transcript.lock().expect("nobody panics with it");
                transcript.text.push_str(&line);
                transcript.text.push('\n');
                changed.notify_all();
            }
            transcript.lock().expect("nobody panics with it").has_ended = true;
            changed.notify_all();
        });
        Ok(Self {
            process: ServerProcess::new(child),
            input,
            transcript,
            home,
        })
    }

    /// Adds an event of the runner's own to the transcript.
    pub fn note(&self, kind: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.expect("the clock is right by decades").as_millis();
        let line = format!("{now}\t{kind}\n");
        self.lock().text.push_str(&line);
    }

    /// Waits until the transcript has so many lines of this kind.
    pub fn wait_for(&self, kind: &str, count: usize, patience: Duration) -> Outcome<()> {
        let needle = format!("\t{kind}\t");
        let has_enough = |transcript: &Transcript| {
            let mut hits = transcript.text.matches(&needle);
            hits.nth(count - 1).is_some()
        };
        let (transcript, _) = self
            .transcript
            .1
            .wait_timeout_while(self.lock(), patience, |transcript| {
                !has_enough(transcript) && !transcript.has_ended
            })
            .expect("nobody panics with it");
        if has_enough(&transcript) {
            return Ok(());
        }
        drop(transcript);
        Err(self.failure(format!("no {count} lines of {kind:?} in {patience:?}")))
    }

    /// Tells the program to come to its end and waits for it; returns the transcript.
    pub fn finish(mut self, patience: Duration) -> Outcome<String> {
        if let Some(mut input) = self.input.take() {
            writeln!(input, "finish").map_err(|error| self.failure(error.to_string()))?;
        }
        let deadline = Instant::now() + patience;
        let mut transcript = self.lock();
        while !transcript.has_ended && Instant::now() < deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            let waited = self.transcript.1.wait_timeout(transcript, left);
            transcript = waited.expect("nobody panics with it").0;
        }
        // Whatever is missing, the judge will see.
        let text = std::mem::take(&mut transcript.text);
        drop(transcript);
        let complaint = tail(&complaints(self.home.path()));
        if !complaint.is_empty() {
            return Err(self.failure("complained".to_owned()));
        }
        Ok(text)
    }

    /// True when it ended before it was told to.
    pub fn has_ended(&mut self) -> Outcome<bool> {
        Ok(self.process.has_exited()?)
    }

    pub fn failure(&self, reason: String) -> Failure {
        let complaint = tail(&complaints(self.home.path()));
        Failure::new(format!("the clients: {reason}\n{complaint}"))
    }

    fn lock(&self) -> MutexGuard<'_, Transcript> {
        self.transcript.0.lock().expect("nobody panics with it")
    }
}

fn complaints(home: &Path) -> PathBuf {
    home.join("complaints.log")
}

/// Go's own cache makes a second build a matter of a moment.
fn build() -> Outcome<PathBuf> {
    let folder = cache_dir().join("torture");
    fs::create_dir_all(&folder)?;
    let program = folder.join("torture");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/torture");
    let output = Command::new("go")
        .arg("-C")
        .arg(source)
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .env("GOWORK", "off")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::new(error).during("go could not be run"))?;
    if output.status.success() {
        return Ok(program);
    }
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Failure::new(complaint).during("go build"))
}
