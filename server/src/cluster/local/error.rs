//! Why the metadata log cannot be opened.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why the metadata log cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    Io {
        path: PathBuf,
        error: io::Error,
    },
    /// Bytes before the end of the log are no batch, or not the next one.
    Damaged {
        path: PathBuf,
        position: u64,
        reason: String,
    },
    /// A record cannot be read or contradicts those before it.
    Record {
        path: PathBuf,
        offset: i64,
        reason: String,
    },
    /// The log belongs to a quorum of several nodes: alone, this one does not know what they have agreed on.
    OtherVoters {
        node_id: i32,
        voters: Vec<i32>,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Damaged {
                path,
                position,
                reason,
            } => {
                write!(
                    f,
                    "{}: damaged at byte {position}: {reason}",
                    path.display()
                )
            }
            Self::Record {
                path,
                offset,
                reason,
            } => {
                write!(
                    f,
                    "{}: metadata record at offset {offset}: {reason}",
                    path.display()
                )
            }
            Self::OtherVoters { node_id, voters } => write!(
                f,
                "the metadata log belongs to a quorum of the nodes {voters:?}, and this is node {node_id} alone"
            ),
        }
    }
}

impl std::error::Error for OpenError {}
