//! A sync that fails once. The kernel takes pages that it could not write for written: the next sync of the file
//! succeeds, and says nothing about them. So whoever tries again must write them again.

use std::fs;

use crate::faults::ordeal::{Disks, Ordeal};
use crate::faults::probe::KAFKA_STORAGE_ERROR;
use crate::faults::sabotage::Rule;
use crate::suites::{Failure, Outcome};

const DISK_MEGABYTES: usize = 32;
const RECORD_BYTES: usize = 700;
/// What strace adds to a call that it gave another result.
const INJECTED: &str = "(INJECTED)";

/// The record of the failed sync is refused, and what was written since the last good one is written again before
/// anything is acknowledged.
pub fn is_not_tried_again_as_if_it_had_worked() -> Outcome<()> {
    let mut ordeal = Ordeal::begin(Disks::Two, DISK_MEGABYTES, &[])?;
    let durable_bytes = fs::metadata(ordeal.sick_log())?.len();
    let sabotage = ordeal.sabotage(Rule {
        calls: "fdatasync,fsync",
        noted: "pwrite64,pwritev,pwritev2",
        error: "EIO",
        once: true,
    })?;
    // kcat's lines may meet the failure first; then this record is refused because the log is offline.
    match ordeal.write(RECORD_BYTES)? {
        Err(KAFKA_STORAGE_ERROR) => {}
        Ok(offset) => {
            return Err(Failure::new(format!(
                "the record at offset {offset} is acknowledged though its sync has failed"
            )));
        }
        Err(code) => return Err(Failure::new(format!("Produce: error {code}"))),
    }
    ordeal.recovers("after the failed sync")?;
    let calls = sabotage.end()?;
    let failed = calls.iter().position(|call| call.contains(INJECTED));
    let failed = failed.ok_or_else(|| Failure::new("no sync has failed"))?;
    let last_good = calls[failed..]
        .iter()
        .position(|call| is_good_sync(call))
        .ok_or_else(|| Failure::new("no sync has succeeded since"))?;
    let is_written_again = calls[failed..failed + last_good]
        .iter()
        .filter_map(|call| write_position(call))
        .any(|position| position <= durable_bytes);
    if !is_written_again {
        return Err(Failure::new(format!(
            "nothing was written again at {durable_bytes} or before, and a sync has been believed:\n{}",
            calls.join("\n")
        )));
    }
    ordeal.finish()
}

fn is_good_sync(call: &str) -> bool {
    (call.contains("fdatasync") || call.contains("fsync")) && call.ends_with("= 0")
}

/// The last argument of a positioned write: `pwritev(9</data/t-0/0.log>, [...], 1, 4711) = 77`, or the same, not
/// finished yet.
fn write_position(call: &str) -> Option<u64> {
    let (_, arguments) = call.split_once("pwrite")?;
    let arguments = arguments
        .strip_suffix(" <unfinished ...>")
        .or_else(|| arguments.rsplit_once(')').map(|(arguments, _)| arguments))?;
    arguments.rsplit_once(", ")?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines as strace writes them.
    #[test]
    fn the_position_of_a_write_is_found() {
        let whole = "71 pwritev(9</d/t-0/0.log>, [{iov_base=\"\"..., iov_len=61}], 1, 4711) = 77";
        assert_eq!(write_position(whole), Some(4711));
        let begun =
            "71 pwritev(9</d/t-0/0.log>, [{iov_base=\"\"..., iov_len=61}], 1, 12 <unfinished ...>";
        assert_eq!(write_position(begun), Some(12));
        let other = "71 fdatasync(9</d/t-0/0.log>) = -1 EIO (Input/output error) (INJECTED)";
        assert_eq!(write_position(other), None);
        assert!(!is_good_sync(other));
        assert!(is_good_sync("71 fdatasync(9</d/t-0/0.log>) = 0"));
        assert!(is_good_sync("71 <... fdatasync resumed>) = 0"));
    }
}
