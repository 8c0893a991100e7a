//! The APIs for committed offsets: OffsetCommit, OffsetFetch and OffsetDelete.
//!
//! Whether a topic or a partition exists is decided here, from the cluster's image; the rest is the group
//! coordinator's.

mod commit;
mod delete;
mod fetch;

pub use commit::handle as offset_commit;
pub use delete::handle as offset_delete;
pub use fetch::handle as offset_fetch;
