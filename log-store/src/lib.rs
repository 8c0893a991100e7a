//! Ordered record batches with offsets.

mod ids;

pub mod batch;

pub use ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
