//! Which tests are worth running, and what a result means beside the expectation.

use std::fmt;

use crate::suites::case::Verdict;
use crate::suites::expected::Expectation;
use crate::suites::server::ServerKind;

/// What a result means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// As on Apache Kafka.
    Passed,
    /// Does not pass, as the list says.
    Missing,
    /// Passes on Apache Kafka and is not on the list.
    Failed,
    /// Is on the list and passes.
    NoLongerMissing,
    /// The suite has it, the file does not.
    Unknown,
    /// Apache Kafka itself gave something else this time.
    Changed,
}

impl Standing {
    pub fn is_good(self) -> bool {
        matches!(self, Self::Passed | Self::Missing)
    }

    pub fn of(server: ServerKind, expectation: Option<&Expectation>, verdict: Verdict) -> Self {
        let Some(expectation) = expectation else {
            return Self::Unknown;
        };
        match server {
            ServerKind::Kafka if verdict == expectation.kafka => Self::Passed,
            ServerKind::Kafka => Self::Changed,
            ServerKind::Klamm => match (&expectation.klamm, verdict) {
                (None, Verdict::Pass) => Self::Passed,
                (None, Verdict::Skip | Verdict::Fail) => Self::Failed,
                (Some(_), Verdict::Pass) => Self::NoLongerMissing,
                (Some(_), Verdict::Skip | Verdict::Fail) => Self::Missing,
            },
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passed => "ok",
            Self::Missing => "missing, as listed",
            Self::Failed => "FAIL",
            Self::NoLongerMissing => "FAIL: passes now, remove it from the list",
            Self::Unknown => "FAIL: not in the file of expected results",
            Self::Changed => "FAIL: not what the file says of Apache Kafka",
        })
    }
}

/// A test that Apache Kafka does not pass, or that is a race, says nothing about Klamm.
pub fn is_comparable(server: ServerKind, expectation: Option<&Expectation>) -> bool {
    server == ServerKind::Kafka
        || expectation.is_none_or(|expectation| {
            expectation.kafka == Verdict::Pass && expectation.race.is_none()
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suites::expected::{Class, Missing};

    #[test]
    fn only_what_kafka_passes_and_the_list_does_not_excuse_has_to_pass() {
        let plain = Expectation {
            kafka: Verdict::Pass,
            seconds: 0,
            slow: false,
            note: None,
            race: None,
            klamm: None,
        };
        let listed = Expectation {
            klamm: Some(Missing {
                missing: Class::Security,
                behaviour: "denies what an ACL denies".to_owned(),
            }),
            ..plain.clone()
        };
        for (expectation, verdict, standing) in [
            (Some(&plain), Verdict::Pass, Standing::Passed),
            (Some(&plain), Verdict::Skip, Standing::Failed),
            (Some(&plain), Verdict::Fail, Standing::Failed),
            (Some(&listed), Verdict::Pass, Standing::NoLongerMissing),
            (Some(&listed), Verdict::Fail, Standing::Missing),
            (None, Verdict::Pass, Standing::Unknown),
        ] {
            let found = Standing::of(ServerKind::Klamm, expectation, verdict);
            assert_eq!(found, standing, "{expectation:?} {verdict}");
        }
        let failing = Expectation {
            kafka: Verdict::Fail,
            ..plain.clone()
        };
        let racing = Expectation {
            race: Some("wants an answer to be late".to_owned()),
            ..plain
        };
        for left_out in [failing, racing] {
            assert!(!is_comparable(ServerKind::Klamm, Some(&left_out)));
            assert!(is_comparable(ServerKind::Kafka, Some(&left_out)));
        }
    }
}
