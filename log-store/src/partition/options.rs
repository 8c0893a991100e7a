//! What a log is told about itself: the settings that its own behaviour depends on.

/// The settings of one log. Values, changed as a whole with
/// [`Partition::set_options`](super::Partition::set_options).
///
/// The names are those of Kafka's topic configs; defaults are Kafka's.
#[derive(Clone, Debug, PartialEq)]
pub struct LogOptions {
    /// `segment.bytes`: a segment never grows beyond this.
    pub segment_bytes: u32,
    /// `segment.ms`: age of a segment (by its first batch) after which the next append rolls it.
    pub segment_ms: i64,
    /// `segment.jitter.ms`, already drawn for this log: taken off `segment_ms`.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`: a segment rolls when its offset index has this size.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`: bytes of batches between two index entries.
    pub index_interval_bytes: u32,
    /// What may be done about old records (`cleanup.policy`).
    pub cleanup: Cleanup,
    /// When and how far a log is compacted whose `cleanup` says so.
    pub compaction: Compaction,
    /// `retention.ms`; `None` is Kafka's -1.
    pub retention_ms: Option<i64>,
    /// `retention.bytes`; `None` is Kafka's -1.
    pub retention_bytes: Option<u64>,
    /// `flush.messages`: every so many records the append becomes a durable one.
    pub flush_messages: u64,
    /// `flush.ms`: how long written bytes may wait for a sync; `None` is Kafka's `Long.MAX_VALUE`.
    pub flush_ms: Option<u64>,
    /// Which appends wait for the disk.
    pub fsync: FsyncPolicy,
    /// `producer.id.expiration.ms`: idle time after which a producer's state is forgotten.
    pub producer_id_expiration_ms: i64,
}

impl LogOptions {
    /// How old a segment may become. The active one is never compacted, so one that must be before
    /// long has to end before that (`LogConfig.maxSegmentMs`).
    pub(super) fn segment_age_ms_max(&self) -> i64 {
        let lag_ms_max = self
            .compaction
            .lag_ms_max
            .filter(|lag_ms_max| self.cleanup.compacts() && *lag_ms_max > 0);
        let age_ms = self.segment_ms.min(lag_ms_max.unwrap_or(i64::MAX));
        age_ms.saturating_sub(self.segment_jitter_ms.min(age_ms))
    }
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 60 * 60 * 1000,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            cleanup: Cleanup::Delete,
            compaction: Compaction::default(),
            retention_ms: Some(7 * 24 * 60 * 60 * 1000),
            retention_bytes: None,
            flush_messages: u64::MAX,
            flush_ms: None,
            fsync: FsyncPolicy::AcksAll,
            producer_id_expiration_ms: 24 * 60 * 60 * 1000,
        }
    }
}

/// The settings of compaction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compaction {
    /// `min.cleanable.dirty.ratio`, 0 to 1: share of the bytes that must be uncompacted before it
    /// is worth it.
    pub dirty_ratio_min: f64,
    /// `min.compaction.lag.ms`: how long records stay as they are, whatever else.
    pub lag_ms_min: i64,
    /// `max.compaction.lag.ms`: after how long they are compacted, whatever the ratio; `None` is
    /// Kafka's `Long.MAX_VALUE`.
    pub lag_ms_max: Option<i64>,
    /// `delete.retention.ms`: how long tombstones and markers stay after they were first compacted.
    pub delete_retention_ms: i64,
}

impl Default for Compaction {
    fn default() -> Compaction {
        Compaction {
            dirty_ratio_min: 0.5,
            lag_ms_min: 0,
            lag_ms_max: None,
            delete_retention_ms: 24 * 60 * 60 * 1000,
        }
    }
}

/// What may be done about old records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleanup {
    /// Nothing (an empty `cleanup.policy`).
    Keep,
    Delete,
    Compact,
    CompactAndDelete,
}

impl Cleanup {
    /// Whether segments may be deleted because of their age or the size of the log.
    pub fn deletes(self) -> bool {
        match self {
            Cleanup::Delete | Cleanup::CompactAndDelete => true,
            Cleanup::Keep | Cleanup::Compact => false,
        }
    }

    /// Whether records may go for which there is a later one with the same key.
    pub fn compacts(self) -> bool {
        match self {
            Cleanup::Compact | Cleanup::CompactAndDelete => true,
            Cleanup::Keep | Cleanup::Delete => false,
        }
    }
}

/// When an answer means that the bytes are on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsyncPolicy {
    /// Appends that ask for it ([`Durability::Durable`]) are covered by fdatasync before they are
    /// committed; the others are committed once they are in the page cache.
    AcksAll,
    /// Every append is treated as [`Durability::Durable`].
    Always,
    /// No append waits, and none is synced. What the page cache holds is lost with the power.
    Never,
}

/// What an append asks for. See [`FsyncPolicy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Committed as soon as it is written (acks 0 and 1).
    Unsynced,
    /// Committed when fdatasync has covered it (acks all).
    Durable,
}
