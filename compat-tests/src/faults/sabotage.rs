//! System calls of a running server that fail on chosen files, with strace's fault injection.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::suites::{Failure, Outcome};

const ATTACH_PATIENCE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Which calls fail, and how.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Names as strace knows them, separated by commas.
    pub calls: &'static str,
    /// Calls that are only noted.
    pub noted: &'static str,
    /// As in errno(3).
    pub error: &'static str,
    /// Only the first call of each thread fails, instead of every one.
    pub once: bool,
}

/// A server under strace. Its calls are its own again when this is dropped.
#[derive(Debug)]
pub struct Sabotage {
    strace: Child,
    notes: PathBuf,
}

impl Sabotage {
    /// Returns once every thread of the process is watched. `notes` is where the calls are written down.
    pub fn begin(pid: u32, rule: Rule, files: &[PathBuf], notes: &Path) -> Outcome<Self> {
        let when = if rule.once { ":when=1" } else { "" };
        let traced = [rule.calls, rule.noted]
            .into_iter()
            .filter(|calls| !calls.is_empty())
            .collect::<Vec<_>>()
            .join(",");
        let mut command = Command::new("strace");
        command
            .args([
                "-f",
                "-q",
                "-y",
                "-s",
                "0",
                "-e",
                &format!("trace={traced}"),
            ])
            .args([
                "-e",
                &format!("inject={}:error={}{when}", rule.calls, rule.error),
            ])
            .arg("-o")
            .arg(notes);
        for file in files {
            command.arg("-P").arg(file);
        }
        let said = notes.with_extension("said");
        let strace = command
            .args(["-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&said)?)
            .spawn()
            .map_err(|error| Failure::new(error).during("strace"))?;
        let mut sabotage = Self {
            strace,
            notes: notes.to_owned(),
        };
        let deadline = Instant::now() + ATTACH_PATIENCE;
        while !sabotage.watches_all_of(pid)? {
            let is_over = sabotage.strace.try_wait()?.is_some();
            if is_over || Instant::now() > deadline {
                let said = fs::read_to_string(&said).unwrap_or_default();
                return Err(Failure::new(said.trim()).during("strace does not watch the server"));
            }
            thread::sleep(LOOK_AGAIN);
        }
        Ok(sabotage)
    }

    fn watches_all_of(&self, pid: u32) -> io::Result<bool> {
        let tracer = format!("TracerPid:\t{}", self.strace.id());
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            // A thread may end between the listing and the look at it.
            let status = fs::read_to_string(task?.path().join("status")).unwrap_or_default();
            if !status.is_empty() && !status.lines().any(|line| line == tracer) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Lets go of the server, and returns what was noted: one call a line.
    pub fn end(mut self) -> Outcome<Vec<String>> {
        self.let_go();
        let notes = fs::read_to_string(&self.notes)?;
        Ok(notes.lines().map(str::to_owned).collect())
    }

    fn let_go(&mut self) {
        let pid = i32::try_from(self.strace.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // One that is gone already has let go.
            let _ = kill_process(pid, Signal::INT);
        }
        let _ = self.strace.wait();
    }
}

impl Drop for Sabotage {
    fn drop(&mut self) {
        self.let_go();
    }
}
