//! Why a data directory cannot be used.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// The server must not start on the directory.
#[derive(Debug)]
pub enum LogDirError {
    /// Another process has it.
    Locked {
        path: PathBuf,
    },
    /// It belongs to another node.
    OtherNode {
        path: PathBuf,
        node_id: i32,
        expected: i32,
    },
    /// `meta.properties` makes no sense.
    MalformedMeta {
        path: PathBuf,
        reason: String,
    },
    Io(io::Error),
}

impl fmt::Display for LogDirError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogDirError::Locked { path } => write!(
                f,
                "the data directory {} is in use by another process",
                path.display()
            ),
            LogDirError::OtherNode {
                path,
                node_id,
                expected,
            } => write!(
                f,
                "the data directory {} belongs to node {node_id}, and this is node {expected}",
                path.display()
            ),
            LogDirError::MalformedMeta { path, reason } => {
                write!(f, "{}: {reason}", path.display())
            }
            LogDirError::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LogDirError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LogDirError::Io(error) => Some(error),
            LogDirError::Locked { .. }
            | LogDirError::OtherNode { .. }
            | LogDirError::MalformedMeta { .. } => None,
        }
    }
}

impl From<io::Error> for LogDirError {
    fn from(error: io::Error) -> LogDirError {
        LogDirError::Io(error)
    }
}
