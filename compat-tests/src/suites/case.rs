//! What every suite offers: a build, a list of tests, a command for each, and a judgement of how it ended.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::suites::failure::Outcome;
use crate::suites::workshop::Workshop;

/// One test, which runs as a process of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    pub name: String,
    /// Index into [`Suite::profiles`].
    pub profile: usize,
}

/// A server that some tests of a suite need.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    pub name: &'static str,
    /// Lines of `server.properties` on top of those that every server of these suites gets.
    pub settings: &'static [(&'static str, &'static str)],
    /// For tests that know the port; the server then has a loopback address to itself.
    pub port: Option<u16>,
}

/// What a test is given.
#[derive(Debug)]
pub struct Seat {
    pub server: SocketAddr,
    /// A folder that is there for this test alone.
    pub scratch: PathBuf,
}

/// How a test's process ended.
#[derive(Debug)]
pub struct Ended {
    /// It ended by itself, with status 0.
    pub succeeded: bool,
    /// Standard output and error.
    pub output: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Pass,
    /// The test itself found that it can't be run here.
    Skip,
    Fail,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Skip => "skip",
            Self::Fail => "fail",
        })
    }
}

pub trait Suite: Sync {
    /// Also the name of the file of expected results.
    fn name(&self) -> &'static str;

    /// The package and version that the tests are taken from.
    fn package(&self) -> String;

    /// The servers that its tests need.
    fn profiles(&self) -> &'static [Profile];

    /// Fetches and builds what is not in the cache yet.
    fn build(&self, workshop: &Workshop) -> Outcome<()>;

    /// All tests, in the order of the suite. Called after [`Self::build`].
    fn cases(&self, workshop: &Workshop) -> Outcome<Vec<Case>>;

    /// The process that runs one test.
    fn command(&self, workshop: &Workshop, case: &Case, seat: &Seat) -> Outcome<Command>;

    fn judge(&self, case: &Case, ended: &Ended) -> Verdict;
}
