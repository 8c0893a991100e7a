//! A running client program: lines in, a transcript of events out, and every wait has a deadline.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::scenarios::clients::Client;
use crate::scenarios::failure::{Failure, Outcome};
use crate::scenarios::record::{Seen, number, parse_seen};
use crate::scenarios::run::Bench;

/// How much of a program's standard error a failure shows.
const STDERR_TAIL_LINES: usize = 12;

/// A line of a program's output (`clients/README.md`).
#[derive(Debug, Clone)]
pub enum Event {
    Created,
    Acked {
        index: usize,
        offset: i64,
    },
    Failed {
        index: usize,
        reason: String,
    },
    Record(Seen),
    Found(Option<i64>),
    Committed,
    Left,
    Offset {
        partition: usize,
        offset: i64,
    },
    Group {
        state: String,
        members: usize,
    },
    Config(String),
    /// The operation of a transactional producer went well.
    Done,
    /// A transactional producer refused an operation; its own words.
    Refused(String),
    Transaction {
        id: String,
        producer_id: i64,
        state: String,
    },
    /// A partition of the transaction on the line before, `topic-partition`.
    Touches(String),
    Writer {
        producer_id: i64,
        /// −1 when no transaction of it is open.
        start_offset: i64,
    },
    /// Where a transaction hangs, and whose.
    Hanging(String),
    Feature {
        name: String,
        level: i16,
    },
}

impl Event {
    pub fn record(&self) -> Option<&Seen> {
        match self {
            Self::Record(seen) => Some(seen),
            _ => None,
        }
    }
}

/// What a program has printed so far.
#[derive(Debug, Default)]
struct Transcript {
    events: Vec<Event>,
    /// The first line that could not be read.
    nonsense: Option<Failure>,
    has_ended: bool,
}

#[derive(Debug)]
pub struct Program {
    title: String,
    child: Child,
    input: Option<ChildStdin>,
    transcript: Arc<(Mutex<Transcript>, Condvar)>,
    stderr: PathBuf,
}

impl Program {
    /// Starts `client VERB BOOTSTRAP arguments...`.
    pub fn start(bench: &Bench, client: &Client, verb: &str, arguments: &[&str]) -> Outcome<Self> {
        let title = format!("{} {verb}", client.name);
        let stderr = bench.stderr_path(client, verb);
        let mut command = client.command(&bench.cache);
        command
            .arg(verb)
            .arg(bench.address().to_string())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&stderr)?);
        // A group of its own, so that a wrapper's tools die with it.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command
            .spawn()
            .map_err(|error| Failure::new(error).during(format!("{title} could not be started")))?;
        let input = child.stdin.take();
        let output = child.stdout.take().expect("standard output is piped");
        let transcript = Arc::default();
        let writer = Arc::clone(&transcript);
        std::thread::spawn(move || transcribe(output, &writer));
        Ok(Self {
            title,
            child,
            input,
            transcript,
            stderr,
        })
    }

    /// Runs a program that needs no dialogue to its end: writes `lines`, closes its input, returns what it printed.
    pub fn run(
        bench: &Bench,
        client: &Client,
        verb: &str,
        arguments: &[&str],
        lines: &[String],
        patience: Duration,
    ) -> Outcome<Vec<Event>> {
        let mut program = Self::start(bench, client, verb, arguments)?;
        for line in lines {
            program.send(line)?;
        }
        program.finish(patience)
    }

    /// Writes one line to the program.
    pub fn send(&mut self, line: &str) -> Outcome<()> {
        let input = self
            .input
            .as_mut()
            .ok_or_else(|| Failure::new("the input is closed"))?;
        let written = writeln!(input, "{line}");
        written.map_err(|error| {
            self.failure(format!("does not read its input: {error}"))
                .during(&self.title)
        })
    }

    /// Gives the input away, to be fed from another thread.
    pub fn take_input(&mut self) -> Option<ChildStdin> {
        self.input.take()
    }

    /// Waits until `find` sees what it looks for in everything printed so far.
    ///
    /// Fails when the deadline passes or the program ends first; both failures show the end of its standard error.
    pub fn wait<T>(
        &self,
        what: &str,
        patience: Duration,
        mut find: impl FnMut(&[Event]) -> Option<T>,
    ) -> Outcome<T> {
        let deadline = Instant::now() + patience;
        let mut transcript = self.lock();
        loop {
            if let Some(found) = find(&transcript.events) {
                return Ok(found);
            }
            let remaining = deadline.saturating_duration_since(Instant::now());
            if transcript.has_ended || remaining.is_zero() {
                let events = transcript.events.len();
                let nonsense = transcript.nonsense.clone();
                drop(transcript);
                let reason = match nonsense {
                    Some(nonsense) => nonsense.to_string(),
                    None if remaining.is_zero() => {
                        format!("no {what} within {patience:?}, after {events} lines")
                    }
                    None => format!("ended before {what}, after {events} lines"),
                };
                return Err(self.failure(reason));
            }
            transcript = self
                .transcript
                .1
                .wait_timeout(transcript, remaining)
                .expect("the transcriber does not panic")
                .0;
        }
    }

    /// Waits until more than `seen` events are there, at most `patience`; returns how many there are.
    pub fn wait_for_more(&self, seen: usize, patience: Duration) -> usize {
        let transcript = self.lock();
        let (transcript, _) = self
            .transcript
            .1
            .wait_timeout_while(transcript, patience, |transcript| {
                transcript.events.len() <= seen && !transcript.has_ended
            })
            .expect("the transcriber does not panic");
        transcript.events.len()
    }

    pub fn events(&self) -> Vec<Event> {
        self.lock().events.clone()
    }

    /// Closes the input and waits for a clean end; returns everything printed.
    pub fn finish(mut self, patience: Duration) -> Outcome<Vec<Event>> {
        drop(self.input.take());
        let deadline = Instant::now() + patience;
        let mut transcript = self.lock();
        while !transcript.has_ended {
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                let events = transcript.events.len();
                drop(transcript);
                return Err(self.failure(format!(
                    "still runs after {patience:?}, after {events} lines"
                )));
            }
            transcript = self
                .transcript
                .1
                .wait_timeout(transcript, remaining)
                .expect("the transcriber does not panic")
                .0;
        }
        let nonsense = transcript.nonsense.clone();
        drop(transcript);
        let status = self.child.wait()?;
        if !status.success() {
            return Err(self.failure(format!("ended with {status}")));
        }
        match nonsense {
            Some(nonsense) => Err(self.failure(nonsense.to_string())),
            None => Ok(self.events()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Transcript> {
        self.transcript
            .0
            .lock()
            .expect("the transcriber does not panic")
    }

    fn failure(&self, reason: String) -> Failure {
        let stderr = fs::read(&self.stderr).unwrap_or_default();
        let stderr = String::from_utf8_lossy(&stderr);
        let lines: Vec<&str> = stderr.lines().collect();
        let tail = &lines[lines.len().saturating_sub(STDERR_TAIL_LINES)..];
        let mut message = format!("{}: {reason}", self.title);
        for line in tail {
            message.push_str("\n    | ");
            message.push_str(line);
        }
        Failure::new(message)
    }
}

impl Drop for Program {
    /// Nothing that a test started outlives it.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None))
            && let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
        {
            // A group that is gone already is as good as killed.
            let _ = kill_process_group(group, Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

fn transcribe(output: ChildStdout, shared: &(Mutex<Transcript>, Condvar)) {
    let (transcript, changed) = shared;
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        let mut transcript = transcript.lock().expect("waiters do not panic");
        match parse(&line) {
            Ok(event) => transcript.events.push(event),
            Err(failure) => {
                let nonsense = failure.during(format!("unexpected output {line:?}"));
                transcript.nonsense.get_or_insert(nonsense);
            }
        }
        changed.notify_all();
    }
    transcript.lock().expect("waiters do not panic").has_ended = true;
    changed.notify_all();
}

fn parse(line: &str) -> Outcome<Event> {
    let fields: Vec<&str> = line.split('\t').collect();
    match fields[..] {
        ["created"] => Ok(Event::Created),
        ["acked", index, offset] => Ok(Event::Acked {
            index: number(index)?,
            offset: number(offset)?,
        }),
        ["failed", index, reason] => Ok(Event::Failed {
            index: number(index)?,
            reason: reason.to_owned(),
        }),
        ["record", ref rest @ ..] => parse_seen(rest).map(Event::Record),
        ["found", "-"] => Ok(Event::Found(None)),
        ["found", offset] => Ok(Event::Found(Some(number(offset)?))),
        ["committed"] => Ok(Event::Committed),
        ["left"] => Ok(Event::Left),
        ["offset", partition, offset] => Ok(Event::Offset {
            partition: number(partition)?,
            offset: number(offset)?,
        }),
        ["group", state, members] => Ok(Event::Group {
            state: state.to_owned(),
            members: number(members)?,
        }),
        ["config", value] => Ok(Event::Config(value.to_owned())),
        _ => parse_transactional(&fields),
    }
}

fn parse_transactional(fields: &[&str]) -> Outcome<Event> {
    match *fields {
        ["done"] => Ok(Event::Done),
        ["refused", reason] => Ok(Event::Refused(reason.to_owned())),
        ["transaction", id, producer_id, state] => Ok(Event::Transaction {
            id: id.to_owned(),
            producer_id: number(producer_id)?,
            state: state.to_owned(),
        }),
        ["touches", partition] => Ok(Event::Touches(partition.to_owned())),
        ["writer", producer_id, start_offset] => Ok(Event::Writer {
            producer_id: number(producer_id)?,
            start_offset: number(start_offset)?,
        }),
        ["hanging", ref rest @ ..] => Ok(Event::Hanging(rest.join(" "))),
        ["feature", name, level] => Ok(Event::Feature {
            name: name.to_owned(),
            level: number(level)?,
        }),
        _ => Err(Failure::new("not a line of the protocol")),
    }
}
