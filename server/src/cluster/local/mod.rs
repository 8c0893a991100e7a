//! The store of a single node: the metadata log on its own disk.
//!
//! The directory is `__cluster_metadata-0`, the one that Apache Kafka's controller keeps: ordinary record batches whose
//! values are metadata records. A log that Kafka wrote, snapshots included, is read as well as one's own.
//!
//! Every open starts a new epoch with a LeaderChange control batch, as every controller election does, so batches of two
//! incarnations can be told apart. A proposal is one batch and therefore atomic: after a crash it is there in full or
//! not at all.

mod batch;
mod files;
mod replay;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use klamm_log_store::batch::Batch;
use tokio::sync::watch;

use super::record::{MetadataRecord, encode};
use super::store::{MetadataStore, Proposal, ProposeError};
use super::view::ClusterImage;
use files::{AppendError, Files};

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
    images: watch::Sender<Arc<ClusterImage>>,
    now_ms: NowMs,
}

struct MetadataLog {
    files: Files,
    /// Set once the state of the file is no longer known.
    failure: Option<String>,
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
        now_ms: NowMs,
    ) -> Result<Self, OpenError> {
        let mut image = ClusterImage::empty(cluster_id, node_id);
        let mut replay = replay::Replay::new(&mut image);
        let files = Files::open(&data_dir.join(METADATA_DIRECTORY), durability, &mut replay)?;
        let replay::Replayed {
            epoch_last,
            is_inside_transaction,
        } = replay.finish();
        image.epoch = epoch_last + 1;
        let mut log = MetadataLog {
            files,
            failure: None,
        };
        log.begin_epoch(&mut image, is_inside_transaction, now_ms())?;
        Ok(Self {
            log: Mutex::new(log),
            images: watch::Sender::new(Arc::new(image)),
            now_ms,
        })
    }
}

impl MetadataLog {
    /// Writes the control batch that begins this epoch, and takes back a transaction that the last one left open.
    fn begin_epoch(
        &mut self,
        image: &mut ClusterImage,
        is_inside_transaction: bool,
        now_ms: i64,
    ) -> Result<(), OpenError> {
        let mut append = |batch: Batch| {
            let path = self.files.directory().to_owned();
            self.files
                .append(batch.bytes())
                .map_err(|error| OpenError::Io {
                    path,
                    error: error.into(),
                })
        };
        append(batch::leader_change(
            image.offset + 1,
            image.epoch,
            now_ms,
            image.node_id,
        ))?;
        image.offset += 1;
        if is_inside_transaction {
            let abort = MetadataRecord::AbortTransaction {
                reason: Some(ABORT_REASON.to_owned()),
            };
            let value = encode(&abort, image.features.metadata_version());
            append(batch::records(
                image.offset + 1,
                image.epoch,
                now_ms,
                &[value],
            ))?;
            image.offset += 1;
        }
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), ProposeError> {
        if let Some(failure) = &self.failure {
            return Err(ProposeError::Failed(failure.clone()));
        }
        self.files.append(bytes).map_err(|error| match error {
            AppendError::TakenBack(error) => ProposeError::Storage(error.to_string()),
            AppendError::Unknown(error) => {
                tracing::error!(%error, "the metadata log has failed and takes no changes before a restart");
                self.failure = Some(error.to_string());
                ProposeError::Failed(error.to_string())
            }
        })
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
        // A change that panicked has written nothing and has left the image as it was.
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
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
        let batch = batch::records(base.offset + 1, base.epoch, (self.now_ms)(), &values);
        log.append(batch.bytes())?;
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

/// Why the metadata log cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    Io {
        path: PathBuf,
        error: io::Error,
    },
    /// Bytes before the end of the log are no batch, or not the next one.
    Damaged {
        path: PathBuf,
        position: u64,
        reason: String,
    },
    /// A record cannot be read or contradicts those before it.
    Record {
        path: PathBuf,
        offset: i64,
        reason: String,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Damaged {
                path,
                position,
                reason,
            } => {
                write!(
                    f,
                    "{}: damaged at byte {position}: {reason}",
                    path.display()
                )
            }
            Self::Record {
                path,
                offset,
                reason,
            } => {
                write!(
                    f,
                    "{}: metadata record at offset {offset}: {reason}",
                    path.display()
                )
            }
        }
    }
}

impl std::error::Error for OpenError {}

#[cfg(test)]
mod tests;
