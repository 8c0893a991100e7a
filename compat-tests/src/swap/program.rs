//! The program with Apache's clients and tools (`clients/swap`): commands in, answers out.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::kafka::KafkaJars;
use crate::server_process::tail;
use crate::suites::{Failure, Outcome};
use crate::swap::home::ServerKind;

/// Any single command is over by then, on a machine that does many other things at once.
const PATIENCE: Duration = Duration::from_secs(240);

/// Lines of an answer that may wait to be read.
const LINES_MAX: usize = 1_000;

/// The compiled program.
#[derive(Debug)]
pub struct Classes {
    class_path: OsString,
    _folder: TempDir,
}

impl Classes {
    /// Compiles the program against the jars of Apache Kafka.
    pub fn compile(jars: &KafkaJars) -> Outcome<Self> {
        let folder = tempfile::Builder::new()
            .prefix("klamm-swap-classes-")
            .tempdir()?;
        let output = Command::new("javac")
            .args(["-nowarn", "-Xlint:none", "-d"])
            .arg(folder.path())
            .arg("-cp")
            .arg(jars.class_path())
            .args(sources()?)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Failure::new(error).during("javac could not be run"))?;
        if !output.status.success() {
            return Err(Failure::new(String::from_utf8_lossy(&output.stderr)));
        }
        let mut class_path = folder.path().as_os_str().to_owned();
        class_path.push(":");
        class_path.push(jars.class_path());
        Ok(Self {
            class_path,
            _folder: folder,
        })
    }
}

fn sources() -> Outcome<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/swap/src");
    fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect()
}

/// The running program. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    home: TempDir,
}

impl Program {
    pub fn start(classes: &Classes) -> Outcome<Self> {
        let home = tempfile::Builder::new()
            .prefix("klamm-swap-program-")
            .tempdir()?;
        let mut child = Command::new("java")
            .args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .arg("Swap")
            .env("CLASSPATH", &classes.class_path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(complaints(home.path()))?)
            .spawn()
            .map_err(|error| Failure::new(error).during("java could not be run"))?;
        let input = child.stdin.take().expect("standard input is piped");
        let output = child.stdout.take().expect("standard output is piped");
        let (sender, lines) = sync_channel(LINES_MAX);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            input,
            lines,
            home,
        })
    }

    /// Makes the changes of one stage.
    pub fn work(&mut self, stage: usize, server: SocketAddr, kind: ServerKind) -> Outcome<()> {
        self.command(&format!("work {stage} {server} {}", kind.name()))?;
        Ok(())
    }

    /// Everything that clients can see.
    pub fn dump(&mut self, server: SocketAddr, kind: ServerKind) -> Outcome<Vec<String>> {
        self.command(&format!("dump {server} {}", kind.name()))
    }

    /// Ends every open transaction, of which there must be some.
    pub fn settle(&mut self, server: SocketAddr) -> Outcome<()> {
        self.command(&format!("settle {server}"))?;
        Ok(())
    }

    /// What kafka-dump-log says about files, with the given options.
    pub fn dump_log(&mut self, options: &str, files: &[PathBuf]) -> Outcome<Vec<String>> {
        let files: Vec<String> = files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        self.command(&format!("dump-log {options} {}", files.join(" ")))
    }

    fn command(&mut self, command: &str) -> Outcome<Vec<String>> {
        writeln!(self.input, "{command}")?;
        let deadline = Instant::now() + PATIENCE;
        let mut answer = Vec::new();
        loop {
            let patience = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(patience) {
                Ok(line) if line == "done" => return Ok(answer),
                Ok(line) if line == "failed" => {
                    let reason = answer.pop().unwrap_or_default();
                    return Err(self.failure(command, &reason));
                }
                Ok(line) => answer.push(line),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(self.failure(command, "no answer"));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.failure(command, "the program has ended"));
                }
            }
        }
    }

    fn failure(&self, command: &str, reason: &str) -> Failure {
        let command: String = command.chars().take(200).collect();
        let complaints = tail(&complaints(self.home.path()));
        Failure::new(format!("{reason}\n{complaints}")).during(command)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Nothing is left to do about a failure: the process is gone or not ours.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the program's standard error goes.
fn complaints(home: &Path) -> PathBuf {
    home.join("stderr.log")
}
