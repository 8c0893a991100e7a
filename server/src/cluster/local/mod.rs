//! The store of a single node: the metadata log on its own disk.
//!
//! The directory is `__cluster_metadata-0`, the one that Apache Kafka's controller keeps: ordinary record batches whose
//! values are metadata records. A log that Kafka wrote, snapshots included, is read as well as one's own.
//!
//! Every open starts a new epoch with a LeaderChange control batch, as every controller election does, so batches of two
//! incarnations can be told apart. A proposal is one batch and therefore atomic: after a crash it is there in full or
//! not at all.
//!
//! Snapshots keep the log from growing for ever ([`upkeep`]): each of them stands for the log before it, and old segments
//! and snapshots go when retention no longer keeps them.

mod batch;
mod directory;
mod error;
mod files;
mod quorum_state;
mod replay;
mod scan;
mod snapshot;
pub mod upkeep;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use klamm_log_store::batch::Batch;
use tokio::sync::watch;

use super::record::{ControlRecord, MetadataRecord, encode};
use super::store::{MetadataStore, Proposal, ProposeError};
use super::view::{ClusterImage, KRAFT_VERSION_FEATURE};
use crate::config::MetadataLogConfig;
use batch::Place;
use directory::SnapshotId;
use files::{AppendError, Files};
use replay::{Quorum, Replay, Replayed};
use snapshot::Provenance;

pub use error::OpenError;
pub use snapshot::bootstrap_records;

/// Name of the directory inside the data directory.
pub const METADATA_DIRECTORY: &str = "__cluster_metadata-0";

/// The largest batch that is written or read, header included (Kafka's `MAX_BATCH_SIZE_BYTES` of raft).
pub const METADATA_BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// When a proposal counts as durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// When fdatasync has covered it.
    Disk,
    /// When the page cache has it: it survives the process, not the machine.
    PageCache,
}

/// Tells the milliseconds since the Unix epoch, for the timestamps of the batches.
pub type NowMs = Box<dyn Fn() -> i64 + Send + Sync>;

/// Metadata in a log on disk.
pub struct LocalMetadataStore {
    /// Held while a proposal is made and written, so that proposals see each other's effects.
    log: Mutex<MetadataLog>,
    /// What the log has grown to, for those who must not wait for the disk.
    growth: Mutex<Growth>,
    /// Held while a snapshot is written; proposals go on meanwhile.
    snapshotting: Mutex<()>,
    images: watch::Sender<Arc<ClusterImage>>,
    config: MetadataLogConfig,
    had_metadata: bool,
    now_ms: NowMs,
}

struct MetadataLog {
    files: Files,
    quorum: Quorum,
    /// The time of the last batch.
    timestamp_last_ms: i64,
    /// Bytes of the log that no snapshot holds.
    bytes_since_snapshot: u64,
    /// Set while the file may hold a batch that was not appended.
    has_remains: bool,
}

/// How far the log has grown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Growth {
    /// Bytes of the log that no snapshot holds.
    pub bytes_since_snapshot: u64,
    /// When the oldest snapshot will be too old, in milliseconds since the Unix epoch; none while it is the only one.
    pub retention_ends_ms: Option<i64>,
}

impl LocalMetadataStore {
    /// Opens the log in `data_dir`, makes it when it is not there, and reads it. What a crash left half-written at its
    /// end is cut off; damage anywhere else is an error, since what was once acknowledged must not vanish silently.
    ///
    /// Blocks on the disk. Nobody else may have the directory open.
    pub fn open(
        data_dir: &Path,
        cluster_id: &str,
        node_id: i32,
        durability: Durability,
        config: MetadataLogConfig,
        now_ms: NowMs,
    ) -> Result<Self, OpenError> {
        let directory = data_dir.join(METADATA_DIRECTORY);
        let mut image = ClusterImage::empty(cluster_id, node_id);
        let mut replay = Replay::new(&mut image);
        let files = Files::open(&directory, durability, config, &mut replay)?;
        let replayed = replay.finish();
        if let Some(voters) = replayed.quorum.node_ids()
            && voters != [node_id]
        {
            return Err(OpenError::OtherVoters {
                node_id,
                voters: voters.to_vec(),
            });
        }
        let had_metadata = replayed.has_metadata;
        if replayed.quorum.kraft_version > 0 {
            let level = replayed.quorum.kraft_version;
            let levels = &mut image.features.levels;
            levels.insert(KRAFT_VERSION_FEATURE.to_owned(), level);
        }
        let log = MetadataLog::begin_epoch(files, replayed, &mut image, now_ms())?;
        Ok(Self {
            growth: Mutex::new(log.growth()),
            log: Mutex::new(log),
            snapshotting: Mutex::default(),
            images: watch::Sender::new(Arc::new(image)),
            config,
            had_metadata,
            now_ms,
        })
    }

    /// Whether the log held any metadata when it was opened.
    pub fn had_metadata(&self) -> bool {
        self.had_metadata
    }

    /// How far the log has grown. Cheap: a short lock.
    pub fn growth(&self) -> Growth {
        *self.growth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_growth(&self, log: &MetadataLog) {
        *self.growth.lock().unwrap_or_else(PoisonError::into_inner) = log.growth();
    }

    /// Writes a snapshot of the newest image, unless there is one, and lets go of what retention no longer keeps.
    ///
    /// Blocks on the disk.
    ///
    /// # Errors
    /// When the snapshot could not be written: everything is as it was. When old files could not be deleted: they are
    /// looked at again when the log is opened.
    pub fn write_snapshot(&self) -> io::Result<()> {
        let _snapshotting = self
            .snapshotting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (image, provenance, directory, durability, bytes_held) = {
            let log = self.lock();
            let image = self.image();
            let provenance = Provenance {
                id: SnapshotId {
                    offset_end: image.offset + 1,
                    epoch: image.epoch,
                },
                log_timestamp_ms: log.timestamp_last_ms,
                quorum: log.quorum.clone(),
            };
            if log.files.has_snapshot(provenance.id) {
                return Ok(());
            }
            let (directory, durability) =
                (log.files.directory().to_owned(), log.files.durability());
            (
                image,
                provenance,
                directory,
                durability,
                log.bytes_since_snapshot,
            )
        };
        let now_ms = (self.now_ms)();
        let written = snapshot::write(&directory, durability, &image, &provenance, now_ms)?;
        tracing::info!(
            offset_end = written.id.offset_end,
            bytes = written.bytes,
            "a snapshot of the metadata has been written"
        );
        let expired = {
            let mut log = self.lock();
            log.bytes_since_snapshot -= bytes_held;
            log.files.add_snapshot(written);
            let expired = log.files.expire(now_ms);
            self.note_growth(&log);
            expired
        };
        expired.remove(&directory)
    }

    /// Lets go of what retention no longer keeps. Blocks on the disk.
    ///
    /// # Errors
    /// When old files could not be deleted: they are looked at again when the log is opened.
    pub fn apply_retention(&self) -> io::Result<()> {
        let (expired, directory) = {
            let mut log = self.lock();
            let expired = log.files.expire((self.now_ms)());
            self.note_growth(&log);
            (expired, log.files.directory().to_owned())
        };
        expired.remove(&directory)
    }

    fn lock(&self) -> MutexGuard<'_, MetadataLog> {
        // A change that panicked has written nothing and has left the image as it was.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MetadataLog {
    /// Begins an epoch above every one that was ever seen here, as Kafka's controller does when it is elected, and takes
    /// back a transaction that the last one left open.
    fn begin_epoch(
        files: Files,
        replayed: Replayed,
        image: &mut ClusterImage,
        now_ms: i64,
    ) -> Result<Self, OpenError> {
        let directory = files.directory().to_owned();
        let io = |error| OpenError::Io {
            path: directory.clone(),
            error,
        };
        let quorum = replayed.quorum;
        let epoch_voted = quorum_state::read_epoch(&directory).map_err(io)?;
        image.epoch = replayed.epoch_last.max(epoch_voted) + 1;
        quorum_state::write(
            &directory,
            files.durability(),
            image.node_id,
            image.epoch,
            quorum.kraft_version,
        )
        .map_err(io)?;

        let mut log = Self {
            files,
            quorum,
            timestamp_last_ms: replayed.timestamp_last_ms,
            bytes_since_snapshot: replayed.bytes_since_snapshot,
            has_remains: false,
        };
        let beginning = log.quorum.begin_epoch(image.node_id);
        let mut append = |image: &mut ClusterImage, batch: Batch| {
            log.files.append(&batch).map_err(|error| io(error.into()))?;
            log.appended(&batch);
            image.offset = batch.header().last_offset().0;
            Ok(())
        };
        let place = |image: &ClusterImage| Place {
            base_offset: image.offset + 1,
            epoch: image.epoch,
            now_ms,
        };
        append(image, batch::control(place(image), &beginning))?;
        if replayed.is_inside_transaction {
            let abort = MetadataRecord::AbortTransaction {
                reason: Some(ABORT_REASON.to_owned()),
            };
            let value = encode(&abort, image.features.metadata_version());
            append(image, batch::records(place(image), &[value]))?;
        }
        log.quorum.is_in_log = true;
        Ok(log)
    }

    fn growth(&self) -> Growth {
        Growth {
            bytes_since_snapshot: self.bytes_since_snapshot,
            retention_ends_ms: self.files.retention_ends_ms(),
        }
    }

    fn append(&mut self, batch: &Batch) -> Result<(), ProposeError> {
        if self.has_remains {
            let taken_back = self.files.take_back();
            taken_back.map_err(|error| ProposeError::Failed(error.to_string()))?;
            tracing::info!("the metadata log takes changes again");
            self.has_remains = false;
        }
        self.files.append(batch).map_err(|error| match error {
            AppendError::TakenBack(error) => ProposeError::Storage(error.to_string()),
            AppendError::Unknown(error) => {
                tracing::error!(%error, "the metadata log has failed and takes no changes before the disk lets it take back the last one");
                self.has_remains = true;
                ProposeError::Failed(error.to_string())
            }
        })?;
        self.appended(batch);
        Ok(())
    }

    fn appended(&mut self, batch: &Batch) {
        self.timestamp_last_ms = batch.header().max_timestamp_ms;
        self.bytes_since_snapshot += batch.bytes().len() as u64;
    }
}

impl Quorum {
    /// The voters, as far as the log says who they are.
    fn node_ids(&self) -> Option<&[i32]> {
        let named = self.voters.as_ref().map(|voters| &voters.node_ids);
        named.or(self.electorate.as_ref()).map(Vec::as_slice)
    }

    /// What stands at the beginning of an epoch. The voters follow when only the snapshot says who they are with which
    /// the directory was formatted: that one is not kept for ever (`LeaderState.appendStartOfEpochControlRecords`).
    fn begin_epoch(&self, node_id: i32) -> Vec<ControlRecord> {
        let mut records = vec![ControlRecord::LeaderChange {
            leader: node_id,
            voters: vec![node_id],
        }];
        if self.kraft_version > 0 && !self.is_in_log {
            records.push(ControlRecord::KraftVersion(self.kraft_version));
            records.extend(self.voters.clone().map(ControlRecord::Voters));
        }
        records
    }
}

/// Written when an open transaction is taken back; Kafka's controller writes a reason of its own.
const ABORT_REASON: &str = "the node that began it has restarted";

impl MetadataStore for LocalMetadataStore {
    fn image(&self) -> Arc<ClusterImage> {
        Arc::clone(&self.images.borrow())
    }

    fn propose(
        &self,
        change: &mut dyn FnMut(&mut Proposal),
    ) -> Result<Arc<ClusterImage>, ProposeError> {
        let mut log = self.lock();
        let base = self.image();
        let mut proposal = Proposal::new(&base);
        change(&mut proposal);
        let (records, image) = proposal.finish()?;
        if records.is_empty() {
            return Ok(base);
        }
        // A proposal that raises the metadata version is written at the version that it raises it to.
        let metadata_version = image.features.metadata_version();
        let values: Vec<Vec<u8>> = records
            .iter()
            .map(|record| encode(record, metadata_version))
            .collect();
        let bytes = values
            .iter()
            .map(|value| value.len() + batch::RECORD_OVERHEAD_BYTES_MAX)
            .sum();
        if bytes > METADATA_BATCH_BYTES_MAX {
            return Err(ProposeError::TooLarge {
                bytes,
                bytes_max: METADATA_BATCH_BYTES_MAX,
            });
        }
        let place = Place {
            base_offset: base.offset + 1,
            epoch: base.epoch,
            now_ms: (self.now_ms)(),
        };
        log.append(&batch::records(place, &values))?;
        self.note_growth(&log);
        let image = Arc::new(image);
        self.images.send_replace(Arc::clone(&image));
        Ok(image)
    }

    fn watch(&self) -> watch::Receiver<Arc<ClusterImage>> {
        self.images.subscribe()
    }
}

impl fmt::Debug for LocalMetadataStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalMetadataStore")
            .field("offset", &self.image().offset)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
