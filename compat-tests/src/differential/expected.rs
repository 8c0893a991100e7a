//! The committed list of differences that are known, each with its reason.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Failure;
use super::compare::Difference;

/// Why a difference is on the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The behaviour belongs to a feature that is not there yet. Does not count against the required agreement.
    NotServedYet,
    /// Klamm differs on purpose. Counts against the required agreement.
    Accepted,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotServedYet => "not served yet",
            Self::Accepted => "accepted",
        })
    }
}

/// One row of the list. In `path`, `left` and `right`, `*` stands for anything.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The API's name, as in the report.
    pub api: String,
    pub path: String,
    /// What Apache Kafka answers.
    pub left: String,
    /// What Klamm answers.
    pub right: String,
    pub class: Class,
    pub reason: String,
}

impl Expectation {
    pub fn covers(&self, api: &str, difference: &Difference) -> bool {
        matches_pattern(&self.api, api)
            && matches_pattern(&self.path, &difference.path)
            && matches_pattern(&self.left, &difference.left)
            && matches_pattern(&self.right, &difference.right)
    }
}

/// `compat-tests/expected/differential.json`.
pub fn default_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("expected/differential.json")
}

/// Reads a list.
pub fn load(path: &Path) -> Result<Vec<Expectation>, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure(format!("{}: {error}", path.display())))?;
    serde_json::from_str(&text).map_err(|error| Failure(format!("{}: {error}", path.display())))
}

/// True when `text` is `pattern` with something (or nothing) in place of every `*`.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(position) => rest = &rest[position + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, matches) in [
            ("a.b", "a.b", true),
            ("a.b", "a.bc", false),
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c*e", "abcde", true),
            ("a*c*f", "abcde", false),
            ("ab*bc", "abc", false),
        ] {
            assert_eq!(
                matches_pattern(pattern, text),
                matches,
                "{pattern} on {text}"
            );
        }
    }

    #[test]
    fn the_committed_list_can_be_read_and_every_row_has_a_reason() {
        let rows = load(&default_path()).expect("a readable list");
        assert!(rows.iter().all(|row| row.reason.len() > 20));
    }
}
