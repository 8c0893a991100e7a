//! `.kafka_cleanshutdown`: the last one to use the directory closed all of its logs. Kafka's
//! `CleanShutdownFileHandler`, with the broker epoch of KIP-966.

use std::io;
use std::path::Path;

use crate::engine::disk::fs::{self, Fs, OpenMode};

const FILE: &str = ".kafka_cleanshutdown";

/// The file.
pub(super) struct CleanShutdown;

impl CleanShutdown {
    /// Whether the file is there. It no longer is when this returns: whoever uses the directory
    /// from now on has yet to close it.
    pub(super) fn take(fs: &dyn Fs, dir: &Path) -> io::Result<bool> {
        let path = dir.join(FILE);
        match fs.open(&path, OpenMode::Read) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        }
        fs.remove_file(&path)?;
        fs.sync_dir(dir)?;
        Ok(true)
    }

    pub(super) fn give(fs: &dyn Fs, dir: &Path, broker_epoch: i64) -> io::Result<()> {
        let content = format!("{{\"version\":0,\"brokerEpoch\":{broker_epoch}}}");
        fs::replace_whole(fs, &dir.join(FILE), content.as_bytes())
    }
}
