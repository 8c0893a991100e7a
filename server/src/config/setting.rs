//! A setting as somebody wrote it, and where.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// One key and its value, before anybody has looked at what they mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub key: String,
    pub value: String,
    pub origin: Origin,
}

/// Where a setting comes from. Later variants go before earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Klamm's own choice over Kafka's default.
    Implied,
    /// A line of a properties file, counted from 1.
    File { path: Arc<PathBuf>, line: usize },
    /// An environment variable.
    Environment { variable: String },
    /// `--set`
    Set,
    /// A flag of its own, such as `--listen`.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Implied => f.write_str("set by klamm itself"),
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Environment { variable } => write!(f, "environment variable {variable}"),
            Self::Set => f.write_str("--set"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// A setting that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub key: String,
    /// What was written; `None` for secrets.
    pub value: Option<String>,
    pub origin: Origin,
    /// What is allowed, or what is in the way.
    pub reason: String,
}

impl fmt::Display for Problem {
    /// `num.partitions=none (server.properties, line 3): must be a 32-bit whole number of at least 1`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.as_deref().unwrap_or("[hidden]");
        write!(f, "{}={value} ({}): {}", self.key, self.origin, self.reason)
    }
}
