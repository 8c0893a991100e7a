//! Runs the group coordinator's state machines: one shard for each partition of `__consumer_offsets`.

mod driver;
mod loader;

pub use driver::{CoordinatorError, GroupCoordinator, partition_for};
