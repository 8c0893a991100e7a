//! A disk whose calls fail: writes, syncs and reads, and everything that changes it.

use std::time::Duration;

use crate::faults::ordeal::{Disks, Ordeal};
use crate::faults::probe::{KAFKA_STORAGE_ERROR, Probe};
use crate::faults::sabotage::Rule;
use crate::server_process::ServerError;
use crate::suites::{Failure, Outcome};

const DISK_MEGABYTES: usize = 32;
const RECORD_BYTES: usize = 700;
/// Several times the interval at which a log is opened again.
const TROUBLE: Duration = Duration::from_millis(700);

/// All writes to a log fail with EIO.
pub fn writes() -> Outcome<()> {
    lives_through(Rule {
        calls: "pwrite64,pwritev,pwritev2,write,writev",
        noted: "",
        error: "EIO",
        once: false,
    })
}

/// All syncs of a log fail with EIO.
pub fn syncs() -> Outcome<()> {
    lives_through(Rule {
        calls: "fdatasync,fsync",
        noted: "",
        error: "EIO",
        once: false,
    })
}

/// The disk finds out that it is full when it is asked to sync: file systems may allocate late.
pub fn full_at_sync() -> Outcome<()> {
    lives_through(Rule {
        calls: "fdatasync,fsync",
        noted: "",
        error: "ENOSPC",
        once: false,
    })
}

fn lives_through(rule: Rule) -> Outcome<()> {
    let mut ordeal = Ordeal::begin(Disks::Two, DISK_MEGABYTES, &[])?;
    let sabotage = ordeal.sabotage(rule)?;
    ordeal.is_refused(RECORD_BYTES)?;
    ordeal.others_are_served()?;
    ordeal.stays_refused(TROUBLE)?;
    sabotage.end()?;
    ordeal.finish()
}

/// All reads of a log fail with EIO: nobody gets wrong or missing records for it, and the topic can be read when the
/// disk can.
pub fn reads() -> Outcome<()> {
    let mut ordeal = Ordeal::begin(Disks::Two, DISK_MEGABYTES, &[])?;
    let sabotage = ordeal.sabotage(Rule {
        calls: "pread64,preadv,preadv2,read,sendfile",
        noted: "",
        error: "EIO",
        once: false,
    })?;
    for _ in 0..5 {
        let mut reader = Probe::new(ordeal.server.address());
        match reader.fetch(&ordeal.sick, 0) {
            Ok(Ok(found)) => {
                return Err(Failure::new(format!(
                    "{} records are read from a disk that cannot be read",
                    found.len()
                )));
            }
            // The answer had begun when the disk failed; it cannot be completed, and the connection is closed.
            Err(_) | Ok(Err(KAFKA_STORAGE_ERROR)) => {}
            Ok(Err(code)) => return Err(Failure::new(format!("Fetch: error {code}"))),
        }
        ordeal.others_are_served()?;
    }
    sabotage.end()?;
    ordeal.finish()
}

/// The kernel makes the file system read-only under the server, as ext4 does when it finds itself damaged: every change
/// fails with EROFS, what is there can be read. (A mount with files that are open for writing cannot be remounted.)
pub fn turns_read_only() -> Outcome<()> {
    let mut ordeal = Ordeal::begin(Disks::Two, DISK_MEGABYTES, &[])?;
    let log = ordeal.sick_log();
    let directory = log.parent().unwrap_or(&log).to_owned();
    let files = [log, directory, ordeal.sick_data()];
    let sabotage = ordeal.sabotage_all(
        Rule {
            calls: "pwrite64,pwritev,pwritev2,write,writev,ftruncate,fdatasync,fsync,mkdir,rename,unlink,unlinkat",
            noted: "",
            error: "EROFS",
            once: false,
        },
        &files,
    )?;
    ordeal.is_refused(RECORD_BYTES)?;
    ordeal.others_are_served()?;
    ordeal.stays_refused(TROUBLE)?;
    sabotage.end()?;
    ordeal.finish()
}

/// A directory that is read-only from the start is no place for a log: the server says which one and does not start.
/// Writable again, it has everything.
pub fn starts_read_only() -> Outcome<()> {
    let mut ordeal = Ordeal::begin(Disks::Two, DISK_MEGABYTES, &[])?;
    ordeal.server.kill()?;
    ordeal.sick_disk.make_read_only()?;
    let started = ordeal.server.restart();
    ordeal.sick_disk.make_writable()?;
    let path = ordeal.sick_data();
    match started {
        Ok(()) => return Err(Failure::new("it starts on a read-only disk")),
        Err(ServerError::Exited { log_tail, .. })
            if log_tail.contains(&*path.to_string_lossy()) && log_tail.contains("Read-only") => {}
        Err(error) => return Err(Failure::from(error).during("a start on a read-only disk")),
    }
    ordeal.start_again()?;
    ordeal.finish()
}

/// The metadata log cannot be synced: nothing is created, records are taken all the while, and when the disk is well the
/// metadata can be changed again, as if nothing had been tried.
pub fn metadata_syncs() -> Outcome<()> {
    let mut ordeal = Ordeal::begin(Disks::Two, DISK_MEGABYTES, &[])?;
    let log = ordeal.metadata_log();
    let sabotage = ordeal.sabotage_all(
        Rule {
            calls: "fdatasync,fsync",
            noted: "",
            error: "EIO",
            once: false,
        },
        &[log],
    )?;
    for _ in 0..3 {
        match ordeal.probe.create_topic("late")? {
            Err(KAFKA_STORAGE_ERROR) => {}
            other => return Err(Failure::new(format!("CreateTopics: {other:?}"))),
        }
        ordeal.others_are_served()?;
    }
    sabotage.end()?;
    for name in ["late", "later"] {
        let created = ordeal.probe.create_topic(name)?;
        created.map_err(|code| Failure::new(format!("CreateTopics {name}: error {code}")))?;
        ordeal.takes_records(name)?;
    }
    ordeal.kill_and_start()?;
    for name in ["late", "later"] {
        ordeal.takes_records(name)?;
    }
    ordeal.finish()
}
