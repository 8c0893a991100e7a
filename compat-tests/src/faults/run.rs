//! The checks, a few at a time, and what came of them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crate::faults::{failed_sync, failing_disk, full_disk, open_files};
use crate::packages;
use crate::suites::{Failure, Outcome};

type Check = fn() -> Outcome<()>;

const CHECKS: [(&str, Check); 11] = [
    ("a full disk, of two", full_disk::one_of_two),
    ("a full disk, the only one", full_disk::the_only_one),
    ("a disk that turns read-only", failing_disk::turns_read_only),
    (
        "a disk that is read-only at the start",
        failing_disk::starts_read_only,
    ),
    ("no more open files", open_files::run_out),
    ("EIO on write", failing_disk::writes),
    ("EIO on fdatasync", failing_disk::syncs),
    (
        "EIO on one fdatasync",
        failed_sync::is_not_tried_again_as_if_it_had_worked,
    ),
    ("ENOSPC on fdatasync", failing_disk::full_at_sync),
    ("EIO on read", failing_disk::reads),
    (
        "EIO on fdatasync of the metadata log",
        failing_disk::metadata_syncs,
    ),
];

#[derive(Debug)]
pub struct Options {
    /// Only checks with this in their name.
    pub only: Option<String>,
    /// How many checks are at work at the same time.
    pub jobs: usize,
}

/// Installs what the checks need.
pub fn install() -> Outcome<()> {
    packages::ensure("kcat", "kcat")?;
    packages::ensure("strace", "strace")?;
    packages::ensure("unshare", "util-linux")
}

/// Runs the checks and prints a line for each; an error when one failed, or none was chosen.
pub fn run(options: &Options) -> Outcome<()> {
    let is_chosen = |name: &str| options.only.as_ref().is_none_or(|only| name.contains(only));
    let chosen: Vec<_> = CHECKS
        .into_iter()
        .filter(|(name, _)| is_chosen(name))
        .collect();
    if chosen.is_empty() {
        return Err(Failure::new("no check has such a name"));
    }
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(0);
    thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, chosen.len()) {
            scope.spawn(|| {
                while let Some((name, check)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let began = Instant::now();
                    let outcome = check();
                    let seconds = began.elapsed().as_secs_f64();
                    match outcome {
                        Ok(()) => println!("passed  {name} ({seconds:.1} s)"),
                        Err(failure) => {
                            println!("FAILED  {name} ({seconds:.1} s): {failure}");
                            *failed.lock().expect("no thread panics with the lock") += 1;
                        }
                    }
                }
            });
        }
    });
    match failed.into_inner().expect("no thread panics with the lock") {
        0 => {
            println!("{} checks passed", chosen.len());
            Ok(())
        }
        failed => Err(Failure::new(format!(
            "{failed} of {} checks failed",
            chosen.len()
        ))),
    }
}
