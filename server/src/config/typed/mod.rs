//! Typed views: what the rest of the server reads instead of names and text.
//!
//! A view is a value. It is made from the settings whenever they change and never written to afterwards.

mod broker;
mod group;
mod metadata_log;
mod topic;
mod units;

pub use broker::{
    BrokerConfig, CleanerConfig, ConsumerGroupDefaults, FsyncPolicy, GroupCoordinatorConfig,
    LogTimers, NetworkConfig, OffsetsConfig, StorageRoot, TransactionConfig,
};
pub use group::GroupConfig;
pub use metadata_log::MetadataLogConfig;
pub use topic::{CleanupPolicy, CompressionLevels, TimestampType, TopicCompression, TopicConfig};
