//! What a partition asks of the batches that it takes.

use super::attributes::{Codec, TimestampType};
use super::compression::Compression;

/// The configuration that [`validate`](super::validate) needs, and the moment it is done at.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// `max.message.bytes`: the largest batch, header included.
    pub max_batch_bytes: i32,
    /// `segment.bytes`: a batch must fit in one segment.
    pub segment_bytes_max: i32,
    /// What the records of a batch may grow to when they are decompressed. Kafka has no such
    /// limit; without one, a batch of a few kilobytes can keep a core and the memory busy.
    pub decompressed_bytes_max: usize,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `compression.type`, with its level.
    pub compression: CompressionTarget,
    /// Whether the log is compacted, so that every record needs a key.
    pub requires_keys: bool,
    /// Whether the sender's protocol version may carry zstd (Produce 7 and later, KIP-110).
    pub allows_zstd: bool,
    pub origin: Origin,
    /// The broker's clock.
    pub now_ms: i64,
}

/// How batches are to be compressed in the log. Levels are those of [`Compression`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionTarget {
    /// As the producer sent them.
    Producer,
    Uncompressed,
    Gzip(i32),
    Snappy,
    Lz4(i32),
    Zstd(i32),
}

impl CompressionTarget {
    /// How to store what came compressed with `source`.
    pub fn compression_for(self, source: Codec) -> Compression {
        match self {
            CompressionTarget::Producer => Compression::default_of(source),
            CompressionTarget::Uncompressed => Compression::None,
            CompressionTarget::Gzip(level) => Compression::Gzip(level),
            CompressionTarget::Snappy => Compression::Snappy,
            CompressionTarget::Lz4(level) => Compression::Lz4(level),
            CompressionTarget::Zstd(level) => Compression::Zstd(level),
        }
    }
}

/// Who sends a batch. What Kafka calls the append origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Anybody on the network.
    Client,
    /// A coordinator in this process: it may write control batches, and is trusted with offsets
    /// and sequences.
    Coordinator,
}
