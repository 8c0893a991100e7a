//! Conversations with a client's transactional producer and with its readers.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::scenarios::clients::Client;
use crate::scenarios::failure::{Failure, Outcome};
use crate::scenarios::limits::{Gap, consumer_lacks};
use crate::scenarios::program::{Event, Program};
use crate::scenarios::run::{Bench, PATIENCE};

/// Longer than any check with an open transaction takes, a restart of the server included.
pub const AMPLE_TIMEOUT: Duration = Duration::from_secs(180);

/// The partition that transactions write to.
pub const WRITTEN: usize = 0;

/// The partition that only the runner appends to, to know when a reader has been around.
const WATCHED: usize = 1;

/// Partitions of each topic: [`WRITTEN`] and [`WATCHED`].
pub const PARTITIONS: usize = 2;

/// A fetch that was under way when the first round was appended is over once the second one is seen.
const ROUNDS: usize = 2;

/// How a producer's operation ended.
#[derive(Debug)]
pub enum Answer {
    Done,
    /// The client's own words.
    Refused(String),
}

/// A client's transactional producer, which answers each line before it gets the next.
#[derive(Debug)]
pub struct Producer {
    program: Program,
    answers: usize,
}

impl Producer {
    /// Starts a producer and waits until it has its producer id: another one with this transactional id is fenced then.
    pub fn start(bench: &Bench, client: &Client, id: &str, timeout: Duration) -> Outcome<Self> {
        let timeout_ms = timeout.as_millis().to_string();
        let program = Program::start(bench, client, "transact", &[id, &timeout_ms])?;
        let mut producer = Self {
            program,
            answers: 0,
        };
        let answer = producer.answer("the producer's start")?;
        succeed("the producer's start", answer)?;
        Ok(producer)
    }

    pub fn begin(&mut self) -> Outcome<()> {
        self.succeed("begin")
    }

    pub fn commit(&mut self) -> Outcome<()> {
        self.succeed("commit")
    }

    pub fn abort(&mut self) -> Outcome<()> {
        self.succeed("abort")
    }

    /// Writes each value to each topic, one record at a time.
    pub fn send(&mut self, topics: &[String], values: &[String]) -> Outcome<()> {
        for value in values {
            for topic in topics {
                let value = STANDARD.encode(value);
                self.succeed(&format!("send\t{topic}\t{WRITTEN}\t{value}"))?;
            }
        }
        Ok(())
    }

    /// Asks for an operation that may be refused.
    pub fn ask(&mut self, line: &str) -> Outcome<Answer> {
        self.program.send(line)?;
        self.answer(line)
    }

    fn succeed(&mut self, line: &str) -> Outcome<()> {
        let answer = self.ask(line)?;
        succeed(line, answer)
    }

    fn answer(&mut self, what: &str) -> Outcome<Answer> {
        let known = self.answers;
        let answer = self
            .program
            .wait(&format!("answer to {what:?}"), PATIENCE, |events| {
                let mut answers = events.iter().filter_map(|event| match event {
                    Event::Done => Some(Answer::Done),
                    Event::Refused(reason) => Some(Answer::Refused(reason.clone())),
                    _ => None,
                });
                answers.nth(known)
            })?;
        self.answers += 1;
        Ok(answer)
    }
}

fn succeed(what: &str, answer: Answer) -> Outcome<()> {
    match answer {
        Answer::Done => Ok(()),
        Answer::Refused(reason) => Err(Failure::new(format!("{what:?} is refused: {reason}"))),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    Committed,
    Uncommitted,
}

/// The version of a marker's value begins with a zero byte, which no record of these tests does.
const MARKER_START: char = '\0';

/// A client's consumer that reads some topics from the start, for as long as it lives.
#[derive(Debug)]
pub struct Reader {
    program: Program,
    isolation: Isolation,
    /// The client shows markers as records; they are left out here.
    shows_markers: bool,
}

impl Reader {
    pub fn start(
        bench: &Bench,
        client: &Client,
        isolation: Isolation,
        topics: &[String],
    ) -> Outcome<Self> {
        let name = match isolation {
            Isolation::Committed => "committed",
            Isolation::Uncommitted => "uncommitted",
        };
        let mut arguments = vec![name];
        arguments.extend(topics.iter().map(String::as_str));
        let program = Program::start(bench, client, "read", &arguments)?;
        Ok(Self {
            program,
            isolation,
            shows_markers: consumer_lacks(client.name, Gap::Markers),
        })
    }

    /// Waits until as many records have come from the topic's transactions as are expected, and compares them.
    pub fn wait_for(&self, topic: &str, expected: &[String]) -> Outcome<()> {
        let title = format!("the {:?} reader of {topic}", self.isolation);
        let enough = |events: &[Event]| {
            let found = self.values_in(events, topic);
            (found.len() >= expected.len()).then_some(())
        };
        let what = format!("{} records", expected.len());
        self.program
            .wait(&what, PATIENCE, enough)
            .map_err(|failure| failure.during(&title))?;
        self.compare(topic, expected)
    }

    /// The topic's records so far are exactly these.
    pub fn compare(&self, topic: &str, expected: &[String]) -> Outcome<()> {
        let found = self.values(topic);
        if found == expected {
            return Ok(());
        }
        Err(Failure::new(format!(
            "the {:?} reader of {topic} saw {found:?} instead of {expected:?}",
            self.isolation
        )))
    }

    /// Waits until a record of the topic's transactions has this value.
    pub fn wait_for_value(&self, topic: &str, value: &str) -> Outcome<()> {
        let title = format!("the {:?} reader of {topic}", self.isolation);
        let has_come = |events: &[Event]| {
            let found = self.values_in(events, topic);
            found.iter().any(|found| found == value).then_some(())
        };
        self.program
            .wait(&format!("record {value:?}"), PATIENCE, has_come)
            .map_err(|failure| failure.during(&title))
    }

    pub fn values(&self, topic: &str) -> Vec<String> {
        self.values_in(&self.program.events(), topic)
    }

    fn values_in(&self, events: &[Event], topic: &str) -> Vec<String> {
        let mut values = values(events, topic, WRITTEN);
        if self.shows_markers {
            values.retain(|value| !value.starts_with(MARKER_START));
        }
        values
    }

    /// Tells the reader to end; it has to do so cleanly.
    pub fn leave(mut self) -> Outcome<()> {
        self.program.send("leave")?;
        self.program.finish(PATIENCE).map(drop)
    }
}

/// Lets every reader fetch from every topic once more: what it has not shown after this, it was not given.
pub fn let_them_look(bench: &Bench, topics: &[String], readers: &[&Reader]) -> Outcome<()> {
    for _ in 0..ROUNDS {
        let mut ends = Vec::new();
        for topic in topics {
            bench.wire.produce(topic, WATCHED, "look around")?;
            ends.push(bench.wire.ends(topic)?[WATCHED]);
        }
        for reader in readers {
            reader.program.wait("watched record", PATIENCE, |events| {
                let mut each = topics.iter().zip(&ends);
                let all = each.all(|(topic, end)| {
                    let watched = values(events, topic, WATCHED);
                    i64::try_from(watched.len()).is_ok_and(|count| count >= *end)
                });
                all.then_some(())
            })?;
        }
    }
    Ok(())
}

/// The values of one partition's records, as they came.
fn values(events: &[Event], topic: &str, partition: usize) -> Vec<String> {
    events
        .iter()
        .filter_map(Event::record)
        .filter(|seen| seen.topic == topic && seen.partition == partition)
        .map(|seen| {
            let value = seen.record.value.as_deref().unwrap_or_default();
            String::from_utf8_lossy(value).into_owned()
        })
        .collect()
}
