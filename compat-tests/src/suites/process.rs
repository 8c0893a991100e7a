//! A child process with a deadline and a log; nothing that it started outlives it.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::suites::case::Ended;
use crate::suites::failure::{Failure, Outcome};

/// How often a running process is asked whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Logs of tests that debug themselves can be long; a verdict stands at the end.
const OUTPUT_BYTES_MAX: usize = 64 << 20;

/// Runs a command with its output in `log`, and kills it with all its children when `patience` is over.
pub fn run_logged(command: &mut Command, log: &Path, patience: Duration) -> Outcome<Ended> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder)?;
    }
    let file = File::create(log)?;
    command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .process_group(0);
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command
        .spawn()
        .map_err(|error| Failure::new(error).during(format!("{program} could not be started")))?;
    let status = Group(child).wait(patience)?;
    let mut bytes = fs::read(log)?;
    if bytes.len() > OUTPUT_BYTES_MAX {
        bytes.drain(..bytes.len() - OUTPUT_BYTES_MAX);
    }
    let mut output = String::from_utf8_lossy(&bytes).into_owned();
    match status {
        Some(status) if status.success() => {}
        Some(status) => output.push_str(&format!("\nended with {status}\n")),
        None => output.push_str(&format!("\nstill ran after {patience:?}, and was killed\n")),
    }
    if !status.is_some_and(|status| status.success()) {
        fs::write(log, &output)?;
    }
    Ok(Ended {
        succeeded: status.is_some_and(|status| status.success()),
        output,
    })
}

/// As [`run_logged`]; anything but success is an error that shows the end of the log.
pub fn must_succeed(command: &mut Command, log: &Path, patience: Duration) -> Outcome<String> {
    let program = format!("{command:?}");
    let ended = run_logged(command, log, patience)?;
    if ended.succeeded {
        return Ok(ended.output);
    }
    let lines: Vec<&str> = ended.output.lines().collect();
    let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
    Err(Failure::new(format!(
        "{program} failed (log: {})\n{tail}",
        log.display()
    )))
}

const TAIL_LINES: usize = 30;

/// A child that leads a process group.
struct Group(Child);

impl Group {
    /// `None` when the patience was over first.
    fn wait(mut self, patience: Duration) -> Outcome<Option<ExitStatus>> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            // A group that is gone already is as good as killed.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.0.wait();
    }
}
