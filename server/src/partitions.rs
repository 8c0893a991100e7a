//! The partitions that this broker serves, opened when they are first asked for.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
use std::time::Duration;

use klamm_log_store::LeaderEpoch;
use klamm_log_store::batch::{self, CompressionTarget, Origin, Rules};
use klamm_log_store::log_dir::LogOpening;
use klamm_log_store::partition::{Cleanup, Compaction, FsyncPolicy, LogOptions, Partition};
use tokio::runtime::{Handle, RuntimeFlavor};
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::clock::{Clock, millis};
use crate::cluster::{ClusterImage, ConfigResource, PartitionImage, TopicImage};
use crate::config::{Configs, Overrides, TimestampType, TopicCompression, TopicConfig};
use crate::errors::ErrorCode;
use crate::storage::Storage;

/// The partitions of one broker. A topic is known by its id, so that one that was deleted and made again is another.
#[derive(Debug)]
pub struct Partitions {
    pub storage: Storage,
    topics: RwLock<Topics>,
    fsync: FsyncPolicy,
    clock: Clock,
}

/// Topics that were deleted and are remembered as such, so that nobody who still holds an older image makes their
/// directories again. An image is held for the time of a request.
const DELETED_TOPICS_MAX: usize = 10_000;

#[derive(Debug, Default)]
struct Topics {
    hosted: HashMap<Uuid, Arc<HostedTopic>>,
    /// The newest last.
    deleted: VecDeque<Uuid>,
}

/// What the partitions of a topic share.
#[derive(Debug)]
pub struct HostedTopic {
    id: Uuid,
    pub is_internal: bool,
    name: Arc<str>,
    config: RwLock<Effective>,
    /// By partition index.
    slots: RwLock<Vec<Slot>>,
    opening: Opening,
}

/// The partitions of a topic that are being opened, so that each is opened once, and none after the topic's end.
#[derive(Debug, Default)]
struct Opening {
    state: Mutex<OpeningState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct OpeningState {
    slots: HashSet<usize>,
    is_over: bool,
}

impl Opening {
    /// Waits until nobody opens the partition, and begins to; none when the topic has ended.
    fn begin(&self, slot: usize) -> Option<OpeningGuard<'_>> {
        let mut state = self.wait_while(|state| state.slots.contains(&slot));
        if state.is_over {
            return None;
        }
        state.slots.insert(slot);
        Some(OpeningGuard {
            opening: self,
            slot,
        })
    }

    /// Waits until nothing is being opened; nothing will be any more.
    fn end(&self) {
        drop(self.wait_while(|state| {
            state.is_over = true;
            !state.slots.is_empty()
        }));
    }

    fn wait_while(
        &self,
        condition: impl FnMut(&mut OpeningState) -> bool,
    ) -> MutexGuard<'_, OpeningState> {
        self.changed
            .wait_while(self.lock(), condition)
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, OpeningState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the opening of a partition when it is dropped.
struct OpeningGuard<'a> {
    opening: &'a Opening,
    slot: usize,
}

impl Drop for OpeningGuard<'_> {
    fn drop(&mut self) {
        self.opening.lock().slots.remove(&self.slot);
        self.opening.changed.notify_all();
    }
}

/// The configs of a topic, and the topic's own ones that they were made of.
#[derive(Debug)]
struct Effective {
    overrides: Option<Arc<Overrides>>,
    config: Arc<TopicConfig>,
}

#[derive(Debug, Clone)]
enum Slot {
    Closed,
    Open {
        log: Arc<Partition>,
        /// By the broker's clock, milliseconds since the Unix epoch.
        opened_ms: i64,
    },
    /// It could not be opened, for the reason that the log has told.
    Unopened {
        tried_ms: i64,
    },
}

impl Slot {
    /// The log, if it can be used.
    fn online(&self) -> Option<&Arc<Partition>> {
        match self {
            Self::Open { log, .. } if !log.is_offline() => Some(log),
            Self::Open { .. } | Self::Closed | Self::Unopened { .. } => None,
        }
    }

    /// When the disk was last asked for the log.
    fn tried_ms(&self) -> Option<i64> {
        match self {
            Self::Closed => None,
            Self::Open { opened_ms, .. } => Some(*opened_ms),
            Self::Unopened { tried_ms } => Some(*tried_ms),
        }
    }
}

/// How many logs are in which state.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    pub open: usize,
    /// The disk has failed them, or they are damaged.
    pub offline: usize,
    pub uncleanable: usize,
    pub with_late_txns: usize,
    /// Of the open ones.
    pub bytes: u64,
}

/// A partition that exists, and its log if that can be used.
#[derive(Debug, Clone)]
pub struct Hosted {
    pub topic: Arc<HostedTopic>,
    pub log: Result<Arc<Partition>, ErrorCode>,
}

impl Partitions {
    pub fn new(storage: Storage, fsync: FsyncPolicy, clock: Clock) -> Self {
        Self {
            storage,
            topics: RwLock::default(),
            fsync,
            clock,
        }
    }

    /// A partition of a topic of the image. Opens it when it was not open, which blocks on the disk; otherwise costs
    /// a look-up. A log that the disk has failed is opened again, checked as after a crash, but not more often than
    /// every `klamm.log.reopen.interval.ms`.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION when the topic has no such partition, or has been deleted since the image was made.
    pub fn hosted(
        &self,
        image: &ClusterImage,
        topic: &TopicImage,
        index: i32,
        configs: &Configs,
    ) -> Result<Hosted, ErrorCode> {
        if topic.partition(index).is_none() {
            return Err(ErrorCode::UnknownTopicOrPartition);
        }
        let hosted = self.hosted_topic(image, topic, configs)?;
        self.hosted_partition(&hosted, topic, index, configs)
    }

    /// What [`Self::hosted`] begins with, once for all partitions of a topic.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION when the topic has been deleted since the image was made.
    pub fn hosted_topic(
        &self,
        image: &ClusterImage,
        topic: &TopicImage,
        configs: &Configs,
    ) -> Result<Arc<HostedTopic>, ErrorCode> {
        self.topic(topic, || Effective::new(image, &topic.name, configs))
            .ok_or(ErrorCode::UnknownTopicOrPartition)
    }

    /// The rest of [`Self::hosted`]: `hosted` is what the image calls `topic`.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION when the topic has no such partition.
    pub fn hosted_partition(
        &self,
        hosted: &Arc<HostedTopic>,
        topic: &TopicImage,
        index: i32,
        configs: &Configs,
    ) -> Result<Hosted, ErrorCode> {
        let partition = topic
            .partition(index)
            .ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let slot = usize::try_from(index).expect("the image has this partition");
        let log = match hosted.online(slot) {
            Some(log) => Ok(log),
            None => off_the_runtime(|| self.open(hosted, slot, partition, configs)),
        };
        Ok(Hosted {
            topic: Arc::clone(hosted),
            log,
        })
    }

    /// Hands the configs of an image to the topics that are open: to all when what stands behind a topic's own configs
    /// has changed (`has_new_defaults`), else to those whose own ones have.
    pub fn image_changed(&self, image: &ClusterImage, configs: &Configs, has_new_defaults: bool) {
        let topics: Vec<Arc<HostedTopic>> = self.read().hosted.values().cloned().collect();
        for topic in topics {
            let is_current = image
                .topic(&topic.name)
                .is_some_and(|current| current.id == topic.id);
            if is_current
                && (has_new_defaults
                    || !topic.is_made_of(image.configs(&ConfigResource::topic(&topic.name))))
            {
                self.set_config(&topic, Effective::new(image, &topic.name, configs), configs);
            }
        }
    }

    /// Creates the logs of a topic that was just added to the image. Blocks on the disk.
    pub fn create_topic(&self, image: &ClusterImage, topic: &TopicImage, configs: &Configs) {
        for index in (0..).take(topic.partitions.len()) {
            if let Ok(Hosted {
                log: Err(error), ..
            }) = self.hosted(image, topic, index, configs)
            {
                warn!(topic = %topic.name, index, %error, "the log of a new partition could not be created");
            }
        }
    }

    /// Closes and deletes the logs of topics that have left the image; whoever waits for them is woken. Blocks on the
    /// disk.
    pub fn delete_topics(&self, topics: &[Arc<TopicImage>]) {
        let mut retired = Vec::new();
        {
            let mut known = self.topics.write().unwrap_or_else(PoisonError::into_inner);
            for topic in topics {
                retired.extend(known.hosted.remove(&topic.id));
                known.deleted.push_back(topic.id);
                if known.deleted.len() > DELETED_TOPICS_MAX {
                    known.deleted.pop_front();
                }
            }
        }
        for topic in retired {
            topic.opening.end();
        }
        let logs = |topic: &Arc<TopicImage>| {
            let name = Arc::clone(&topic.name);
            (0..topic.partitions.len()).map(move |index| directory(&name, index))
        };
        self.storage
            .delete_logs(&topics.iter().flat_map(logs).collect::<Vec<_>>());
    }

    /// The data directories.
    pub fn directories(&self) -> Vec<PathBuf> {
        self.storage.paths().map(Path::to_owned).collect()
    }

    /// Which of the data directories, by its place among them, holds a partition; none when nothing holds it.
    pub fn directory_of(&self, topic: &str, index: i32) -> Option<usize> {
        self.storage
            .place_of(&directory(topic, usize::try_from(index).ok()?))
    }

    /// Every log that is open, with its topic's name and its index.
    pub fn open_logs(&self) -> Vec<(Arc<str>, i32, Arc<Partition>)> {
        let topics: Vec<Arc<HostedTopic>> = self.read().hosted.values().cloned().collect();
        let mut logs = Vec::new();
        for topic in topics {
            for (index, slot) in (0..).zip(topic.read_slots().iter()) {
                if let Some(log) = slot.online() {
                    logs.push((Arc::clone(&topic.name), index, Arc::clone(log)));
                }
            }
        }
        logs
    }

    /// How the logs are, in numbers. `timeout_ms_max`: the longest transaction that a producer may ask for.
    pub fn health(&self, now_ms: i64, timeout_ms_max: i64) -> Health {
        let topics: Vec<Arc<HostedTopic>> = self.read().hosted.values().cloned().collect();
        let mut health = Health::default();
        for topic in topics {
            for slot in topic.read_slots().iter() {
                match slot.online() {
                    Some(log) => {
                        health.open += 1;
                        health.bytes += log.size_bytes();
                        health.uncleanable += usize::from(log.uncleanable().is_some());
                        health.with_late_txns +=
                            usize::from(log.has_late_txn(now_ms, timeout_ms_max));
                    }
                    None => health.offline += usize::from(slot.tried_ms().is_some()),
                }
            }
        }
        health
    }

    /// Writes and syncs everything and lets go of all files. Blocks on the disk.
    pub fn close(&self, broker_epoch: i64) {
        self.storage.close(broker_epoch);
    }

    /// The topic as it is served here; none when it has been deleted.
    fn topic(
        &self,
        topic: &TopicImage,
        config: impl FnOnce() -> Effective,
    ) -> Option<Arc<HostedTopic>> {
        if let Some(hosted) = self.read().hosted.get(&topic.id) {
            return Some(Arc::clone(hosted));
        }
        let config = config();
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        if topics.deleted.contains(&topic.id) {
            return None;
        }
        Some(Arc::clone(topics.hosted.entry(topic.id).or_insert_with(
            || Arc::new(HostedTopic::new(topic, config)),
        )))
    }

    fn open(
        &self,
        topic: &HostedTopic,
        slot: usize,
        partition: &PartitionImage,
        configs: &Configs,
    ) -> Result<Arc<Partition>, ErrorCode> {
        let Some(_opening) = topic.opening.begin(slot) else {
            return Err(ErrorCode::UnknownTopicOrPartition);
        };
        let before = topic.slot(slot);
        if let Some(log) = before.online() {
            return Ok(Arc::clone(log));
        }
        let now_ms = self.clock.now_ms();
        let interval_ms = configs.broker().log.reopen_interval_ms;
        let is_early = |tried_ms: i64| (0..interval_ms).contains(&(now_ms - tried_ms));
        if before.tried_ms().is_some_and(is_early) {
            return Err(ErrorCode::KafkaStorageError);
        }
        let opening = LogOpening {
            leader_epoch: LeaderEpoch(partition.leader_epoch),
            log: self.log_options(&topic.config(), configs),
            now_ms,
        };
        let opened = self
            .storage
            .open_log(&directory(&topic.name, slot), topic.id, opening);
        let (slot_now, result) = match opened {
            Ok(log) => {
                if before.tried_ms().is_some() {
                    info!(topic = %topic.name, partition = slot, "a log is back that the disk had failed");
                }
                let slot = Slot::Open {
                    log: Arc::clone(&log),
                    opened_ms: now_ms,
                };
                (slot, Ok(log))
            }
            Err(reason) => {
                error!(topic = %topic.name, partition = slot, %reason, "a log could not be opened and is offline");
                let slot = Slot::Unopened { tried_ms: now_ms };
                (slot, Err(ErrorCode::KafkaStorageError))
            }
        };
        topic.set_slot(slot, slot_now);
        result
    }

    fn set_config(&self, topic: &HostedTopic, config: Effective, configs: &Configs) {
        let options = self.log_options(&config.config, configs);
        *topic.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        for slot in topic.read_slots().iter() {
            if let Some(log) = slot.online() {
                log.set_options(options.clone());
            }
        }
    }

    fn log_options(&self, config: &TopicConfig, configs: &Configs) -> LogOptions {
        LogOptions {
            segment_bytes: config.segment_bytes,
            segment_ms: millis(config.segment_age_max),
            segment_jitter_ms: 0,
            segment_index_bytes: config.segment_index_bytes_max,
            index_interval_bytes: config.index_interval_bytes,
            cleanup: match (config.cleanup_policy.compact, config.cleanup_policy.delete) {
                (true, true) => Cleanup::CompactAndDelete,
                (true, false) => Cleanup::Compact,
                (false, true) => Cleanup::Delete,
                (false, false) => Cleanup::Keep,
            },
            compaction: Compaction {
                dirty_ratio_min: config.cleanable_dirty_ratio_min,
                lag_ms_min: millis(config.compaction_lag_min),
                lag_ms_max: config.compaction_lag_max.map(millis),
                delete_retention_ms: millis(config.delete_retention),
            },
            retention_ms: config.retention.map(millis),
            retention_bytes: config.retention_bytes,
            flush_messages: config.flush_messages.unwrap_or(u64::MAX),
            flush_ms: config
                .flush_interval
                .map(|interval| u64::try_from(interval.as_millis()).unwrap_or(u64::MAX)),
            fsync: self.fsync,
            producer_id_expiration_ms: millis(configs.broker().producer_id_expiration),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Topics> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs work that may take long, like checking a log after a crash, where it holds up no other task of the runtime.
fn off_the_runtime<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

impl HostedTopic {
    pub fn name(&self) -> &str {
        &self.name
    }

    fn new(topic: &TopicImage, config: Effective) -> Self {
        Self {
            id: topic.id,
            is_internal: topic.is_internal(),
            name: Arc::clone(&topic.name),
            config: RwLock::new(config),
            slots: RwLock::default(),
            opening: Opening::default(),
        }
    }

    /// The effective configs as they are now.
    pub fn config(&self) -> Arc<TopicConfig> {
        Arc::clone(
            &self
                .config
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .config,
        )
    }

    /// Whether the effective configs were made of these own ones of the topic.
    fn is_made_of(&self, overrides: Option<&Arc<Overrides>>) -> bool {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner);
        match (&config.overrides, overrides) {
            (Some(made_of), Some(overrides)) => Arc::ptr_eq(made_of, overrides),
            (made_of, overrides) => made_of.is_none() && overrides.is_none(),
        }
    }

    /// What a batch from a client must fulfil.
    /// Whether `message.timestamp.type` is LogAppendTime.
    pub fn keeps_append_time(&self) -> bool {
        self.config().timestamp_type == TimestampType::LogAppendTime
    }

    pub fn rules(&self, now_ms: i64, allows_zstd: bool, decompressed_bytes_max: usize) -> Rules {
        let config = self.config();
        let ms = |bound: Option<Duration>| bound.map_or(i64::MAX, millis);
        let levels = config.compression_levels;
        Rules {
            max_batch_bytes: i32::try_from(config.batch_bytes_max).unwrap_or(i32::MAX),
            segment_bytes_max: i32::try_from(config.segment_bytes).unwrap_or(i32::MAX),
            decompressed_bytes_max,
            timestamp_type: match config.timestamp_type {
                TimestampType::CreateTime => batch::TimestampType::CreateTime,
                TimestampType::LogAppendTime => batch::TimestampType::LogAppendTime,
            },
            timestamp_before_max_ms: ms(config.timestamp_before_max),
            timestamp_after_max_ms: ms(config.timestamp_after_max),
            compression: match config.compression {
                TopicCompression::Producer => CompressionTarget::Producer,
                TopicCompression::Uncompressed => CompressionTarget::Uncompressed,
                TopicCompression::Gzip => CompressionTarget::Gzip(levels.gzip),
                TopicCompression::Snappy => CompressionTarget::Snappy,
                TopicCompression::Lz4 => CompressionTarget::Lz4(levels.lz4),
                TopicCompression::Zstd => CompressionTarget::Zstd(levels.zstd),
            },
            requires_keys: config.cleanup_policy.compact,
            allows_zstd,
            origin: Origin::Client,
            now_ms,
        }
    }

    fn online(&self, index: usize) -> Option<Arc<Partition>> {
        self.read_slots().get(index).and_then(Slot::online).cloned()
    }

    fn slot(&self, index: usize) -> Slot {
        self.read_slots()
            .get(index)
            .cloned()
            .unwrap_or(Slot::Closed)
    }

    fn set_slot(&self, index: usize, slot: Slot) {
        let mut slots = self.write_slots();
        if slots.len() <= index {
            slots.resize(index + 1, Slot::Closed);
        }
        slots[index] = slot;
    }

    fn read_slots(&self) -> RwLockReadGuard<'_, Vec<Slot>> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_slots(&self) -> RwLockWriteGuard<'_, Vec<Slot>> {
        self.slots.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Effective {
    fn new(image: &ClusterImage, topic: &str, configs: &Configs) -> Self {
        let overrides = image.configs(&ConfigResource::topic(topic)).cloned();
        let config = match &overrides {
            Some(overrides) => configs.topic(overrides),
            None => configs.topic(&Overrides::new()),
        };
        Self {
            overrides,
            config: Arc::new(config),
        }
    }
}

/// The directory of a partition, named as Kafka names it.
fn directory(topic: &str, index: usize) -> String {
    format!("{topic}-{index}")
}

#[cfg(test)]
mod tests;
