//! The judges: pure functions of what is known and what was seen.

mod append;
mod commits;
mod compacted;
mod files;
mod resources;
mod seen;

pub use append::check_append;
pub use commits::{Commits, check_commit};
pub use compacted::check_compacted;
pub use files::{Files, check_files};
pub use resources::{Bounds, Sample, check_resources};
pub use seen::{Read, Seen, Visibility};

#[cfg(test)]
mod injected;
