//! The tests of franz-go's client `pkg/kgo`, from the module that the Go proxy serves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::suites::case::{Case, Ended, Profile, Seat, Suite, Verdict};
use crate::suites::failure::{Failure, Outcome};
use crate::suites::workshop::Workshop;

pub const KGO: Kgo = Kgo;

const MODULE: &str = "github.com/twmb/franz-go";
const PACKAGE: &str = "github.com/twmb/franz-go/pkg/kgo";
const VERSION: &str = "v1.22.2";

/// How many records go through each chain of consumers and producers. Upstream's number is 500,000: set the variable, and
/// give the tests more patience.
const RECORDS: &str = "20000";

const RECORDS_VARIABLE: &str = "KGO_TEST_RECORDS";

const PROFILES: &[Profile] = &[Profile {
    name: "default",
    settings: &[],
    port: None,
}];

#[derive(Debug)]
pub struct Kgo;

impl Suite for Kgo {
    fn name(&self) -> &'static str {
        "franz-go"
    }

    fn package(&self) -> String {
        format!("{PACKAGE} {VERSION} (Go module proxy)")
    }

    fn profiles(&self) -> &'static [Profile] {
        PROFILES
    }

    fn build(&self, workshop: &Workshop) -> Outcome<()> {
        let stamp = format!("{} 2", self.package());
        workshop.when_changed(self.name(), &stamp, |home| build(workshop, home))
    }

    fn cases(&self, workshop: &Workshop) -> Outcome<Vec<Case>> {
        let mut list = Command::new(binary(workshop));
        list.args(["-test.list", "."]);
        let output = workshop.step(self.name(), "list", &mut list)?;
        let cases: Vec<Case> = output
            .lines()
            .filter(|line| line.starts_with("Test"))
            .map(|line| Case {
                name: line.to_owned(),
                profile: 0,
            })
            .collect();
        if cases.is_empty() {
            return Err(Failure::new("the test binary lists no tests"));
        }
        Ok(cases)
    }

    fn command(&self, workshop: &Workshop, case: &Case, seat: &Seat) -> Outcome<Command> {
        let sources = fs::read_to_string(sources_note(workshop))?;
        let records = std::env::var(RECORDS_VARIABLE).unwrap_or_else(|_| RECORDS.to_owned());
        let mut command = Command::new(binary(workshop));
        command
            .args(["-test.v", "-test.count=1", "-test.timeout=0"])
            .arg(format!("-test.run=^{}$", case.name))
            // Some tests read the package's sources beside them.
            .current_dir(sources.trim())
            .env("KGO_SEEDS", seat.server.to_string())
            .env("KGO_TEST_RF", "1")
            .env(RECORDS_VARIABLE, records)
            .env("KGO_TEST_STABLE_FETCH", "true");
        Ok(command)
    }

    fn judge(&self, case: &Case, ended: &Ended) -> Verdict {
        let reported = |state: &str| {
            let line = format!("--- {state}: {} (", case.name);
            ended.output.lines().any(|found| found.starts_with(&line))
        };
        if !ended.succeeded {
            Verdict::Fail
        } else if reported("PASS") {
            Verdict::Pass
        } else if reported("SKIP") {
            Verdict::Skip
        } else {
            Verdict::Fail
        }
    }
}

fn binary(workshop: &Workshop) -> PathBuf {
    workshop.home(KGO.name()).join("kgo.test")
}

/// The file that says where Go keeps the package's sources.
fn sources_note(workshop: &Workshop) -> PathBuf {
    workshop.home(KGO.name()).join("sources")
}

/// A throwaway module that requires the package, tests included, and nothing else.
fn build(workshop: &Workshop, home: &Path) -> Outcome<()> {
    fs::write(
        home.join("go.mod"),
        format!("module klamm-suites\n\ngo 1.24\n\nrequire {MODULE} {VERSION}\n"),
    )?;
    let go = |name: &str, arguments: &[&str]| {
        let mut go = Command::new("go");
        go.args(arguments)
            .current_dir(home)
            .env("GOFLAGS", "-mod=mod")
            .env("GOWORK", "off");
        workshop.step(KGO.name(), name, &mut go)
    };
    let package = format!("{PACKAGE}@{VERSION}");
    go("get", &["get", "-t", &package])?;
    go("build", &["test", "-c", "-o", "kgo.test", PACKAGE])?;
    let folder = go("list", &["list", "-f", "{{.Dir}}", PACKAGE])?;
    Ok(fs::write(sources_note(workshop), folder)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_read_from_the_line_of_the_test_itself() {
        let case = Case {
            name: "TestA".to_owned(),
            profile: 0,
        };
        for (succeeded, output, verdict) in [
            (true, "--- PASS: TestA (0.10s)\nPASS\n", Verdict::Pass),
            (true, "--- SKIP: TestA (0.00s)\nPASS\n", Verdict::Skip),
            (
                true,
                "    --- PASS: TestA/sub (0.00s)\nPASS\n",
                Verdict::Fail,
            ),
            (false, "--- PASS: TestA (0.10s)\n", Verdict::Fail),
            (true, "testing: warning: no tests to run\n", Verdict::Fail),
        ] {
            let ended = Ended {
                succeeded,
                output: output.to_owned(),
            };
            assert_eq!(KGO.judge(&case, &ended), verdict, "{output:?}");
        }
    }
}
