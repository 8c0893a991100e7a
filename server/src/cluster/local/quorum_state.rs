//! `quorum-state`: the last epoch that this node knows of, as Kafka's controller keeps it (`FileQuorumStateStore`).
//!
//! The log has the epoch as well, but only once its first batch is written; Kafka's controller may have been elected, or
//! have voted, in a later one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::Durability;
use super::directory::sync_directory;

const FILE: &str = "quorum-state";
const TEMPORARY_FILE: &str = "quorum-state.tmp";

/// The largest file that is read: more than any that names a few voters.
const BYTES_MAX: u64 = 64 * 1024;

/// `Uuid.ZERO_UUID`: no directory was voted for.
const NO_DIRECTORY: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// The epoch in the file; 0 when there is none. A file that cannot be understood is as good as none: it can only be
/// behind a log that this node wrote alone.
pub(super) fn read_epoch(directory: &Path) -> io::Result<i32> {
    let path = directory.join(FILE);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, BYTES_MAX), &mut text)?;
    let epoch = epoch_in(&String::from_utf8_lossy(&text));
    if epoch.is_none() {
        tracing::warn!(path = %path.display(), "the quorum state cannot be read and is written anew");
    }
    Ok(epoch.unwrap_or(0))
}

/// Says that this node leads in `epoch`. To be called before the first batch of the epoch is written.
pub(super) fn write(
    directory: &Path,
    durability: Durability,
    node_id: i32,
    epoch: i32,
    kraft_version: i16,
) -> io::Result<()> {
    let text = text(node_id, epoch, kraft_version);
    let temporary = directory.join(TEMPORARY_FILE);
    let mut file = File::create(&temporary)?;
    file.write_all(text.as_bytes())?;
    if durability == Durability::Disk {
        file.sync_all()?;
    }
    fs::rename(&temporary, directory.join(FILE))?;
    if durability == Durability::Disk {
        sync_directory(directory)?;
    }
    Ok(())
}

/// Version 0 of `QuorumStateData` names the voters; from `kraft.version` 1 on the log does (version 1).
fn text(node_id: i32, epoch: i32, kraft_version: i16) -> String {
    if kraft_version == 0 {
        format!(
            "{{\"clusterId\":\"\",\"leaderId\":{node_id},\"leaderEpoch\":{epoch},\"votedId\":-1,\"appliedOffset\":0,\
             \"currentVoters\":[{{\"voterId\":{node_id}}}],\"data_version\":0}}"
        )
    } else {
        format!(
            "{{\"leaderId\":{node_id},\"leaderEpoch\":{epoch},\"votedId\":-1,\"votedDirectoryId\":\"{NO_DIRECTORY}\",\
             \"data_version\":1}}"
        )
    }
}

/// The number behind the key `leaderEpoch`. No text in the file can hold that key: the only texts are ids.
fn epoch_in(text: &str) -> Option<i32> {
    let (_, rest) = text.split_once("\"leaderEpoch\"")?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_is_read_back_in_both_versions() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read_epoch(directory.path()).unwrap(), 0);
        for (kraft_version, epoch) in [(0, 7), (1, 2_147_483_647)] {
            write(directory.path(), Durability::Disk, 1, epoch, kraft_version).unwrap();
            assert_eq!(read_epoch(directory.path()).unwrap(), epoch);
        }
        assert!(!directory.path().join(TEMPORARY_FILE).exists());
    }

    #[test]
    fn what_is_no_quorum_state_says_nothing() {
        for text in [
            "",
            "{}",
            "{\"leaderEpoch\":",
            "{\"leaderEpoch\":99999999999}",
        ] {
            assert_eq!(epoch_in(text), None, "{text}");
        }
        assert_eq!(epoch_in("{ \"leaderEpoch\" : 12 }"), Some(12));
    }
}
