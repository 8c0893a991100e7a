//! One directory on its way from server to server.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::suites::{Failure, Outcome};
use crate::swap::dump_log;
use crate::swap::home::{Home, Quorum, Server, ServerKind};
use crate::swap::program::Program;

/// How a server gives the directory up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Stop,
    /// `kill -9`.
    Kill,
}

/// Who has the directory, one after the other, and who looks at it last.
#[derive(Debug, Clone, Copy)]
pub struct Journey {
    pub name: &'static str,
    pub quorum: Quorum,
    /// Whether `kafka-storage format` makes the directory, which Klamm does not need.
    pub is_formatted: bool,
    pub legs: &'static [(ServerKind, End)],
    pub last: ServerKind,
}

pub const JOURNEYS: &[Journey] = &[
    Journey {
        name: "voters in the settings",
        quorum: Quorum::Settings,
        is_formatted: true,
        legs: &[
            (ServerKind::Kafka, End::Stop),
            (ServerKind::Klamm, End::Stop),
            (ServerKind::Kafka, End::Kill),
            (ServerKind::Klamm, End::Kill),
        ],
        last: ServerKind::Kafka,
    },
    Journey {
        name: "voters in the log",
        quorum: Quorum::Log,
        is_formatted: true,
        legs: &[
            (ServerKind::Kafka, End::Stop),
            (ServerKind::Klamm, End::Kill),
            (ServerKind::Kafka, End::Stop),
        ],
        last: ServerKind::Klamm,
    },
    Journey {
        name: "begun by Klamm",
        quorum: Quorum::Settings,
        is_formatted: false,
        legs: &[
            (ServerKind::Klamm, End::Stop),
            (ServerKind::Kafka, End::Stop),
            (ServerKind::Klamm, End::Stop),
        ],
        last: ServerKind::Kafka,
    },
    Journey {
        name: "formatted for Klamm",
        quorum: Quorum::Log,
        is_formatted: true,
        legs: &[(ServerKind::Klamm, End::Kill)],
        last: ServerKind::Kafka,
    },
];

/// A server shows everything that it has by then.
const PATIENCE: Duration = Duration::from_secs(20);

/// Lines of a difference that a failure shows.
const LINES_SHOWN: usize = 40;

/// What only Kafka can show begins so.
const ONLY_KAFKA: &str = "only-kafka ";

/// What clients saw when they last looked.
#[derive(Debug, Default)]
struct Seen {
    by: Option<ServerKind>,
    lines: Vec<String>,
    /// What Kafka showed when it last had the directory.
    only_kafka: Vec<String>,
}

impl Journey {
    /// Goes all the way. `passed` is told of each step; a failure ends the journey.
    pub fn travel(
        &self,
        home: &Home,
        program: &mut Program,
        mut passed: impl FnMut(&str),
    ) -> Outcome<()> {
        if self.is_formatted {
            home.format(self.quorum)?;
        }
        let mut seen = Seen::default();
        for (stage, (kind, end)) in (1..).zip(self.legs) {
            let server = self.arrive(home, program, *kind, &mut seen, &mut passed)?;
            let work = program
                .work(stage, home.address(), *kind)
                .and_then(|()| program.dump(home.address(), *kind));
            seen.note(*kind, work.map_err(|failure| with_log(&server, failure))?);
            passed(&format!(
                "{} has {} lines to show",
                kind.name(),
                seen.lines.len()
            ));
            match end {
                End::Stop => server.stop()?,
                End::Kill => server.kill()?,
            }
            let metadata = home.metadata_log()?;
            passed(&format!("{metadata:?}"));
            if metadata.snapshot == 0 {
                return Err(Failure::new("there is no snapshot of the metadata"));
            }
            if *kind == ServerKind::Klamm {
                if stage > 1 && metadata.start == 0 {
                    return Err(Failure::new("the metadata log has not been made shorter"));
                }
                let files = dump_log::check(program, &home.data())?;
                passed(&format!("kafka-dump-log accepts {files} files"));
            }
        }
        let server = self.arrive(home, program, self.last, &mut seen, &mut passed)?;
        program
            .settle(home.address())
            .map_err(|failure| with_log(&server, failure))?;
        passed(&format!("{} ends what was left open", self.last.name()));
        server.stop()
    }

    /// Starts a server and compares what it shows with what was seen before.
    fn arrive(
        &self,
        home: &Home,
        program: &mut Program,
        kind: ServerKind,
        seen: &mut Seen,
        passed: &mut impl FnMut(&str),
    ) -> Outcome<Server> {
        let server = home.start(kind)?;
        let Some(before) = seen.by else {
            return Ok(server);
        };
        // Groups and transactions come into sight while the server already answers.
        let deadline = Instant::now() + PATIENCE;
        while let Err(failure) = program
            .dump(home.address(), kind)
            .and_then(|lines| seen.compare(kind, lines))
        {
            if Instant::now() >= deadline {
                return Err(with_log(&server, failure));
            }
        }
        passed(&format!(
            "{} shows what {} showed",
            kind.name(),
            before.name()
        ));
        Ok(server)
    }
}

fn with_log(server: &Server, failure: Failure) -> Failure {
    let kind = server.kind().name();
    Failure::new(format!(
        "{failure}\nend of the log of {kind}:\n{}",
        server.log_tail()
    ))
}

impl Seen {
    fn note(&mut self, by: ServerKind, lines: Vec<String>) {
        let (only_kafka, lines) = split(lines);
        if by == ServerKind::Kafka {
            self.only_kafka = only_kafka;
        }
        self.lines = lines;
        self.by = Some(by);
    }

    fn compare(&self, by: ServerKind, lines: Vec<String>) -> Outcome<()> {
        let (only_kafka, lines) = split(lines);
        let mut differences = difference(&self.lines, &lines);
        if by == ServerKind::Kafka {
            differences.extend(difference(&self.only_kafka, &only_kafka));
        }
        if differences.is_empty() {
            return Ok(());
        }
        let count = differences.len();
        differences.truncate(LINES_SHOWN);
        Err(Failure::new(format!(
            "{} shows something else ({count} lines):\n{}",
            by.name(),
            differences.join("\n")
        )))
    }
}

/// What only Kafka can show, and the rest.
fn split(lines: Vec<String>) -> (Vec<String>, Vec<String>) {
    lines
        .into_iter()
        .partition(|line| line.starts_with(ONLY_KAFKA))
}

/// Lines that are in only one of two sorted texts, with a sign.
fn difference(before: &[String], after: &[String]) -> Vec<String> {
    let [before, after]: [BTreeSet<&String>; 2] =
        [before, after].map(|lines| lines.iter().collect());
    let gone = before.difference(&after).map(|line| format!("- {line}"));
    let new = after.difference(&before).map(|line| format!("+ {line}"));
    let mut lines: Vec<String> = gone.chain(new).collect();
    lines.sort_by(|a, b| a[2..].cmp(&b[2..]));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn what_klamm_cannot_show_is_compared_with_what_kafka_showed_before() {
        let mut seen = Seen::default();
        seen.note(ServerKind::Kafka, lines(&["a", "only-kafka q"]));
        assert!(seen.compare(ServerKind::Klamm, lines(&["a"])).is_ok());
        seen.note(ServerKind::Klamm, lines(&["a", "b"]));
        let as_kafka = |seen_now: &[&str]| seen.compare(ServerKind::Kafka, lines(seen_now));
        assert!(as_kafka(&["a", "b", "only-kafka q"]).is_ok());
        assert!(as_kafka(&["a", "b"]).is_err());
        assert!(as_kafka(&["a", "only-kafka q"]).is_err());
    }

    #[test]
    fn a_difference_has_both_sides() {
        let difference = difference(&lines(&["a", "b"]), &lines(&["a", "c"]));
        assert_eq!(difference, ["- b", "+ c"]);
    }
}
