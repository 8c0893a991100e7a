//! The committed file of a suite: what Apache Kafka gives for every test, and what Klamm lacks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::suites::case::Verdict;
use crate::suites::failure::{Failure, Outcome};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The package and version whose tests these are.
    pub package: String,
    /// The version of Apache Kafka that was measured.
    pub kafka: String,
    pub tests: BTreeMap<String, Expectation>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// What Apache Kafka gives.
    pub kafka: Verdict,
    /// How long it took there, where that is worth knowing for the order of a run.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub seconds: u64,
    /// Left out unless everything is asked for: the note says why.
    #[serde(default, skip_serializing_if = "is_false")]
    pub slow: bool,
    /// Why it is slow, or why it fails on Apache Kafka.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Why the test says nothing about a server: its outcome hangs on who is quicker. It is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub race: Option<String>,
    /// Why Klamm does not pass it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub klamm: Option<Missing>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missing {
    pub missing: Class,
    /// What exactly the test asks for.
    pub behaviour: String,
}

/// The features that a test may still wait for. Everything else has to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    Security,
    NewGroupProtocols,
    ShareGroups,
    Telemetry,
}

impl Expected {
    pub fn empty(package: String, kafka: &str) -> Self {
        Self {
            package,
            kafka: kafka.to_owned(),
            tests: BTreeMap::new(),
        }
    }

    /// Reads `expected/<suite>.json`; `None` when there is none yet.
    pub fn load(suite: &str) -> Outcome<Option<Self>> {
        let path = path(suite);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path)?;
        let expected = serde_json::from_str(&text)
            .map_err(|error| Failure::new(error).during(path.display()))?;
        Ok(Some(expected))
    }

    pub fn save(&self, suite: &str) -> Outcome<()> {
        Ok(fs::write(path(suite), self.to_text()?)?)
    }

    /// JSON with one line per test, so that a change of one is a change of one line.
    fn to_text(&self) -> Outcome<String> {
        let json = |value: &str| serde_json::to_string(value).map_err(Failure::new);
        let mut rows = Vec::new();
        for (name, expectation) in &self.tests {
            let row = serde_json::to_string(expectation).map_err(Failure::new)?;
            rows.push(format!("    {}: {row}", json(name)?));
        }
        Ok(format!(
            "{{\n  \"package\": {},\n  \"kafka\": {},\n  \"tests\": {{\n{}\n  }}\n}}\n",
            json(&self.package)?,
            json(&self.kafka)?,
            rows.join(",\n")
        ))
    }

    /// Takes over what Apache Kafka gave for one test; remarks of people stay.
    pub fn record(&mut self, test: &str, verdict: Verdict, seconds: u64) {
        let seconds = if seconds < SECONDS_WORTH_NOTING {
            0
        } else {
            seconds
        };
        let fresh = Expectation {
            kafka: verdict,
            seconds,
            slow: false,
            note: None,
            race: None,
            klamm: None,
        };
        let expectation = self.tests.entry(test.to_owned()).or_insert(fresh);
        expectation.kafka = verdict;
        expectation.seconds = seconds;
    }
}

const SECONDS_WORTH_NOTING: u64 = 5;

fn path(suite: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("expected")
        .join(format!("{suite}.json"))
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_false(fact: &bool) -> bool {
    !fact
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUITES: [&str; 5] = ["franz-go", "kafka-eos", "librdkafka", "rdkafka", "rskafka"];

    #[test]
    fn what_is_written_is_read_back() {
        let mut expected = Expected::empty("p 1".to_owned(), "4.3.1");
        expected.record("a \"b\"", Verdict::Pass, 7);
        expected.record("c", Verdict::Fail, 0);
        expected.record("c", Verdict::Skip, 1);
        let text = expected.to_text().expect("plain values");
        assert_eq!(
            serde_json::from_str::<Expected>(&text).expect("own text"),
            expected
        );
    }

    /// Nothing is left out or excused without words.
    #[test]
    fn every_exception_in_the_committed_files_has_a_reason() {
        for suite in SUITES {
            let expected = Expected::load(suite)
                .expect("a readable file")
                .expect("a committed file");
            assert!(!expected.tests.is_empty());
            for (name, expectation) in &expected.tests {
                let needs_note = expectation.slow || expectation.kafka == Verdict::Fail;
                assert!(
                    !needs_note || expectation.note.is_some(),
                    "{suite} {name} has no note"
                );
                let race = expectation.race.as_ref();
                assert!(
                    race.is_none_or(|text| text.len() > 40),
                    "{suite} {name} does not say what the race is"
                );
                let behaviour = expectation.klamm.as_ref().map(|klamm| &klamm.behaviour);
                assert!(
                    behaviour.is_none_or(|text| text.len() > 10),
                    "{suite} {name} does not say what is missing"
                );
                assert!(
                    expectation.klamm.is_none() || expectation.kafka == Verdict::Pass,
                    "{suite} {name} is excused although Apache Kafka does not pass it"
                );
            }
        }
    }
}
