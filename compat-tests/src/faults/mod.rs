//! Disks that fill up, turn read-only and fail, and processes that run out of files, against the release binary.
//!
//! Every check has the same frame ([`ordeal`]): a server with two log directories, one of which gets into trouble. Its
//! producers must be answered with KAFKA_STORAGE_ERROR, topics in the other directory must not notice, and when the
//! trouble is over everything must work again without a restart. kcat's idempotent producer writes all the while and
//! must get every line into the log exactly once. At the end, and once more after `kill -9`, the log must hold each
//! record that was acknowledged.
//!
//! The disks are small tmpfs mounts in a mount namespace of the test's own ([`namespace`]); they fail because strace
//! gives system calls on chosen files an error instead of their result ([`sabotage`]). The server speaks to the kernel
//! without libc in places, so nothing that is preloaded would see its calls.

mod disks;
mod failed_sync;
mod failing_disk;
mod full_disk;
mod namespace;
mod open_files;
mod ordeal;
mod probe;
mod restart;
mod rider;
mod run;
mod sabotage;

pub use namespace::enter;
pub use restart::{Options as RestartOptions, run as run_restart};
pub use run::{Options, install, run};
