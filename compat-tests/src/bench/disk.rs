//! The disk below the data of all servers: what is still to be written to it, and how much is free.

use std::fs::{self, File};
use std::thread;
use std::time::{Duration, Instant};

use super::{Failure, Outcome};

/// So much does not disturb anybody: the logs and metadata of idle servers.
const UNWRITTEN_BYTES_MAX: u64 = 64 << 20;
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Waits until little is left to be written, so that what one work leaves behind is not written during the next.
///
/// The pages of deleted files are gone by themselves; the rest would stay for half a minute, so this has it written at
/// once. Returns after `patience` all the same, for on a machine where others write there is always something.
pub fn settle(patience: Duration) -> Outcome<()> {
    if unwritten_bytes()? <= UNWRITTEN_BYTES_MAX {
        return Ok(());
    }
    let folder = File::open(std::env::temp_dir())?;
    // On a thread, because nothing bounds how long it takes. A failure shows in what stays unwritten.
    thread::spawn(move || rustix::fs::syncfs(&folder));
    let deadline = Instant::now() + patience;
    loop {
        let unwritten = unwritten_bytes()?;
        if unwritten <= UNWRITTEN_BYTES_MAX {
            return Ok(());
        }
        if Instant::now() >= deadline {
            eprintln!("{} MB are still to be written", unwritten / 1_000_000);
            return Ok(());
        }
        thread::sleep(LOOK_AGAIN);
    }
}

/// What the file system of the servers' data has left for this user.
pub fn free_bytes() -> Outcome<u64> {
    let file_system = rustix::fs::statvfs(std::env::temp_dir()).map_err(Failure::new)?;
    Ok(file_system.f_bavail * file_system.f_frsize)
}

fn unwritten_bytes() -> Outcome<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    unwritten_of(&text).ok_or_else(|| Failure::new("/proc/meminfo does not say what is dirty"))
}

/// Dirty pages and those on their way to the disk.
fn unwritten_of(meminfo: &str) -> Option<u64> {
    let kilobytes = |field: &str| -> Option<u64> {
        let value = meminfo.lines().find_map(|line| line.strip_prefix(field))?;
        value.trim().strip_suffix(" kB")?.parse().ok()
    };
    Some((kilobytes("Dirty:")? + kilobytes("Writeback:")?) * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cut of the file with a field whose name only begins alike, and one without the second field.
    #[test]
    fn dirty_pages_and_pages_being_written_are_counted() {
        let text = "MemFree:  5 kB\nDirty:   143748 kB\nWriteback:    4 kB\nWritebackTmp:  9 kB\n";
        assert_eq!(unwritten_of(text), Some(143_752 * 1024));
        assert_eq!(unwritten_of("Dirty: 1 kB\nWritebackTmp: 9 kB\n"), None);
    }
}
