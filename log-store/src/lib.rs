//! Ordered record batches with offsets.

mod ids;

pub mod batch;
pub mod engine;
pub mod log_dir;
pub mod partition;
mod pread;
mod slice;
mod syncer;
#[cfg(test)]
mod testing;

pub use engine::disk::open_files::OpenFiles;
pub use ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
pub use slice::{FileSlice, Slice};
pub use syncer::{SyncQueue, Syncer};
