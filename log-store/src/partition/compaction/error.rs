//! Why a log was not compacted.

use std::fmt;
use std::sync::Arc;

use crate::Offset;
use crate::batch::RecordsError;
use crate::partition::Offline;

/// Why a cleaning did not come to its end. The log is whole, and holds every record that it must.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CleanError {
    Offline(Offline),
    /// It was told to stop, the policy or the segments have changed meanwhile: look again.
    Stopped,
    /// Somebody else is at it.
    Busy,
    /// The disk refused, without harm to the log: try again later.
    Io(String),
    /// It makes no sense to try again.
    Uncleanable(Uncleanable),
}

/// Why a log cannot be compacted: something in it cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncleanable {
    reason: Arc<str>,
}

impl Uncleanable {
    pub(super) fn new(reason: impl Into<Arc<str>>) -> Uncleanable {
        Uncleanable {
            reason: reason.into(),
        }
    }

    pub(super) fn batch(base_offset: Offset, error: &RecordsError) -> Uncleanable {
        Uncleanable::new(format!("batch at offset {base_offset}: {error}"))
    }
}

impl fmt::Display for Uncleanable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log cannot be compacted: {}", self.reason)
    }
}

impl fmt::Display for CleanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CleanError::Offline(offline) => offline.fmt(f),
            CleanError::Stopped => f.write_str("compaction was stopped"),
            CleanError::Busy => f.write_str("log is being compacted already"),
            CleanError::Io(reason) => write!(f, "compaction failed: {reason}"),
            CleanError::Uncleanable(uncleanable) => uncleanable.fmt(f),
        }
    }
}

impl std::error::Error for CleanError {}

impl From<Offline> for CleanError {
    fn from(offline: Offline) -> CleanError {
        CleanError::Offline(offline)
    }
}

impl From<Uncleanable> for CleanError {
    fn from(uncleanable: Uncleanable) -> CleanError {
        CleanError::Uncleanable(uncleanable)
    }
}
