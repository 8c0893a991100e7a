//! The APIs for committed offsets: OffsetCommit, TxnOffsetCommit, OffsetFetch and OffsetDelete.
//!
//! Whether a topic or a partition exists is decided here, from the cluster's image; the rest is the group
//! coordinator's.

mod commit;
mod delete;
mod fetch;
mod txn_commit;

pub use commit::handle as offset_commit;
pub use delete::handle as offset_delete;
pub use fetch::handle as offset_fetch;
pub use txn_commit::handle as txn_offset_commit;
