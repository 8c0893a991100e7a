//! Apache Kafka's own programs for exactly-once processing, from the jars on Maven Central: TransactionalMessageCopier with
//! random aborts, and the smoke and exactly-once tests of Streams, with instances that are killed while they work.
//!
//! The programs run as they are. `clients/kafka-eos` starts them and holds what they leave behind against what went in.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::kafka::KAFKA_VERSION;
use crate::suites::case::{Case, Ended, Profile, Seat, Suite, Verdict};
use crate::suites::failure::Outcome;
use crate::suites::workshop::Workshop;

pub const KAFKA_EOS: KafkaEos = KafkaEos;

/// The last release whose `test` jar holds StreamsEosTest.
const STREAMS_EOS_VERSION: &str = "4.2.1";

/// The Streams programs know the names of their topics, so each has a server to itself.
const PROFILES: &[Profile] = &[
    own_server("copiers"),
    own_server("smoke-exactly-once"),
    own_server("smoke-at-least-once"),
    own_server("eos"),
    own_server("eos-complex"),
];

const CASES: &[(&str, usize, &str)] = &[
    ("copier", 0, KAFKA_VERSION),
    ("copier-group", 0, KAFKA_VERSION),
    ("streams-smoke-exactly-once", 1, KAFKA_VERSION),
    ("streams-smoke-at-least-once", 2, KAFKA_VERSION),
    ("streams-eos", 3, STREAMS_EOS_VERSION),
    ("streams-eos-complex", 4, STREAMS_EOS_VERSION),
];

#[derive(Debug)]
pub struct KafkaEos;

impl Suite for KafkaEos {
    fn name(&self) -> &'static str {
        "kafka-eos"
    }

    fn package(&self) -> String {
        format!(
            "org.apache.kafka kafka-tools and kafka-streams {KAFKA_VERSION}, StreamsEosTest of {STREAMS_EOS_VERSION} (Maven Central)"
        )
    }

    fn profiles(&self) -> &'static [Profile] {
        PROFILES
    }

    fn build(&self, workshop: &Workshop) -> Outcome<()> {
        let mut stamp = self.package();
        for input in [manifest(), program()] {
            stamp.push_str(&format!(" {:08x}", crc32c::crc32c(&std::fs::read(input)?)));
        }
        workshop.when_changed(self.name(), &stamp, |home| build(workshop, home))
    }

    fn cases(&self, _: &Workshop) -> Outcome<Vec<Case>> {
        let case = |(name, profile, _): &(&str, usize, &str)| Case {
            name: (*name).to_owned(),
            profile: *profile,
        };
        Ok(CASES.iter().map(case).collect())
    }

    fn command(&self, workshop: &Workshop, case: &Case, seat: &Seat) -> Outcome<Command> {
        let home = workshop.home(self.name());
        let release = CASES
            .iter()
            .find(|(name, ..)| *name == case.name)
            .map_or(KAFKA_VERSION, |(_, _, release)| release);
        let mut own = home.join("classes").into_os_string();
        own.push(":");
        own.push(jars(&home, KAFKA_VERSION));
        let mut command = Command::new("java");
        command
            .args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
            .arg("-cp")
            .arg(own)
            .args(["KafkaEos", &case.name, &seat.server.to_string()])
            .arg(&seat.scratch)
            .arg(jars(&home, release));
        Ok(command)
    }

    fn judge(&self, case: &Case, ended: &Ended) -> Verdict {
        let line = format!("PASSED {}", case.name);
        if ended.succeeded && ended.output.lines().any(|found| found == line) {
            Verdict::Pass
        } else {
            Verdict::Fail
        }
    }
}

const fn own_server(name: &'static str) -> Profile {
    Profile {
        name,
        settings: &[],
        port: None,
    }
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/kafka-eos")
}

fn manifest() -> PathBuf {
    source().join("pom.xml")
}

fn program() -> PathBuf {
    source().join("src/KafkaEos.java")
}

/// The class path of one release.
fn jars(home: &Path, release: &str) -> PathBuf {
    home.join(format!("libs-{release}")).join("*")
}

fn build(workshop: &Workshop, home: &Path) -> Outcome<()> {
    let name = KAFKA_EOS.name();
    for release in [KAFKA_VERSION, STREAMS_EOS_VERSION] {
        let libs = home.join(format!("libs-{release}"));
        let mut maven = Command::new("mvn");
        maven
            .args(["-q", "-B", "dependency:copy-dependencies"])
            .args(["-DincludeScope=runtime", "-f"])
            .arg(manifest())
            .arg(format!("-Dkafka.version={release}"))
            .arg(format!("-DoutputDirectory={}", libs.display()));
        workshop.step(name, &format!("jars-{release}"), &mut maven)?;
    }
    let mut javac = Command::new("javac");
    javac
        .arg("-d")
        .arg(home.join("classes"))
        .arg("-cp")
        .arg(jars(home, KAFKA_VERSION))
        .arg(program());
    workshop.step(name, "javac", &mut javac).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_passes_when_the_program_ends_well_and_says_so_itself() {
        let case = Case {
            name: "copier".to_owned(),
            profile: 0,
        };
        for (succeeded, output, verdict) in [
            (true, "PASSED copier\n", Verdict::Pass),
            (false, "PASSED copier\n", Verdict::Fail),
            (true, "PASSED copier-group\n", Verdict::Fail),
            (true, "", Verdict::Fail),
        ] {
            let ended = Ended {
                succeeded,
                output: output.to_owned(),
            };
            assert_eq!(KAFKA_EOS.judge(&case, &ended), verdict, "{output:?}");
        }
    }

    #[test]
    fn every_streams_program_has_a_server_to_itself() {
        for (name, profile, _) in CASES
            .iter()
            .filter(|(name, ..)| name.starts_with("streams"))
        {
            let sharing = CASES.iter().filter(|(_, other, _)| other == profile);
            assert_eq!(sharing.count(), 1, "{name}");
        }
    }
}
