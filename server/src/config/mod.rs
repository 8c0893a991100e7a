//! Configuration: one table of everything that can be set, and typed views for those who read it.

mod listeners;
mod typed;

pub use listeners::{Advertised, Listener};
pub use typed::{
    BrokerConfig, CleanerConfig, CleanupPolicy, CompressionLevels, ConsumerGroupDefaults, FsyncPolicy,
    GroupConfig, GroupCoordinatorConfig, LogTimers, NetworkConfig, OffsetsConfig, StorageRoot, TimestampType,
    TopicCompression, TopicConfig, TransactionConfig,
};
