//! A directory of logs: who it belongs to, which logs are in it, and what is kept for all of them.
//!
//! ```text
//! <data>/.lock                              held while the directory is open
//! <data>/meta.properties                    cluster, node and directory id
//! <data>/.kafka_cleanshutdown               there between a clean close and the next open
//! <data>/recovery-point-offset-checkpoint   up to where logs need not be checked after a crash
//! <data>/cleaner-offset-checkpoint          up to where logs have been compacted
//! <data>/log-start-offset-checkpoint        where logs start after records were deleted
//! <data>/<name>/                            a log
//! <data>/<name>/partition.metadata          what its owner wants to know about it
//! <data>/<name>.<unique>-delete/            a log that is being removed
//! ```
//! Everything is as Apache Kafka has it (`LogManager`), so that one can start where the other
//! stopped. Names of logs are the owner's business; they need a dash to stand in the checkpoints.

mod clean_shutdown;
#[cfg(test)]
mod compaction_crash_tests;
#[cfg(test)]
mod crash_tests;
mod error;
mod meta;
mod remover;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use self::clean_shutdown::CleanShutdown;
use self::remover::Remover;
use crate::engine::disk::checkpoint::OffsetCheckpoint;
use crate::engine::disk::fs::{self, Fs, LockGuard, OsFs};
use crate::engine::disk::{DiskEngine, DiskOptions, Unsynced};
use crate::partition::{LogOptions, OpenError, OpenOptions, Partition};
use crate::syncer::Syncer;
use crate::{LeaderEpoch, Offset, OpenFiles};

pub use error::LogDirError;
pub use meta::MetaProperties;

const LOCK_FILE: &str = ".lock";
const RECOVERY_POINTS_FILE: &str = "recovery-point-offset-checkpoint";
const CLEANED_FILE: &str = "cleaner-offset-checkpoint";
const LOG_STARTS_FILE: &str = "log-start-offset-checkpoint";
const PARTITION_METADATA_FILE: &str = "partition.metadata";
const DELETE_SUFFIX: &str = "-delete";

/// Logs that are closed at the same time.
const CLOSING_THREADS_MAX: usize = 16;

/// From so many logs on it pays to write all of them before the first is synced.
const SWEEP_LOGS_MIN: usize = 64;

/// Bytes of a file name on every file system that matters.
const NAME_BYTES_MAX: usize = 255;

/// A data directory that this process has to itself.
pub struct LogDir {
    path: PathBuf,
    fs: Arc<dyn Fs>,
    meta: MetaProperties,
    log_starts: Arc<OffsetCheckpoint>,
    recovery_points: Arc<OffsetCheckpoint>,
    cleaned: Arc<OffsetCheckpoint>,
    logs: Mutex<Logs>,
    remover: Remover,
    syncer: Syncer,
    /// Last, so that it is given back after everything else.
    _lock: LockGuard,
}

#[derive(Debug, Default)]
struct Logs {
    open: BTreeMap<String, Arc<Partition>>,
    /// Logs that somebody is opening just now.
    opening: BTreeSet<String>,
    /// Logs of which it is not known whether they were closed: they must be checked when they are
    /// opened, and until then no clean shutdown may be claimed.
    unproven: BTreeSet<String>,
    /// Logs of which this process may have failed to sync something, and from where on, until they
    /// are open again.
    doubtful: BTreeMap<String, Offset>,
}

/// A log as it is found in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundLog {
    pub name: String,
    /// The contents of `partition.metadata`; `None` when there is none, or a crash has left it
    /// empty.
    pub metadata: Option<String>,
}

/// How to open one log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogOpening {
    /// See [`OpenOptions::leader_epoch`].
    pub leader_epoch: LeaderEpoch,
    pub log: LogOptions,
    pub now_ms: i64,
}

impl LogDir {
    /// Makes the directory if it is missing, takes it for this process, and reads whom it belongs
    /// to; a new one will belong to `meta`. Removes what deletions have left over, in the
    /// background.
    ///
    /// # Errors
    /// See [`LogDirError`].
    pub fn open(path: &Path, meta: MetaProperties) -> Result<LogDir, LogDirError> {
        LogDir::open_with(OpenFiles::default(), path, meta)
    }

    /// As [`LogDir::open`], keeping to a limit of open files, which several directories may share.
    ///
    /// # Errors
    /// See [`LogDirError`].
    pub fn open_with(
        open_files: OpenFiles,
        path: &Path,
        meta: MetaProperties,
    ) -> Result<LogDir, LogDirError> {
        LogDir::open_on(Arc::new(OsFs::new(open_files)), path, meta)
    }

    /// As [`LogDir::open`], on another file system.
    ///
    /// # Errors
    /// See [`LogDirError`].
    pub fn open_on(
        fs: Arc<dyn Fs>,
        path: &Path,
        meta: MetaProperties,
    ) -> Result<LogDir, LogDirError> {
        fs.create_dir(path)?;
        let Some(lock) = fs.lock(&path.join(LOCK_FILE))? else {
            return Err(LogDirError::Locked {
                path: path.to_owned(),
            });
        };
        let meta = meta::read_or_write(&*fs, path, meta)?;
        let is_clean = CleanShutdown::take(&*fs, path)?;
        let log_starts = OffsetCheckpoint::open(Arc::clone(&fs), path.join(LOG_STARTS_FILE))?;
        let recovery_points =
            OffsetCheckpoint::open(Arc::clone(&fs), path.join(RECOVERY_POINTS_FILE))?;
        let cleaned = OffsetCheckpoint::open(Arc::clone(&fs), path.join(CLEANED_FILE))?;
        let dir = LogDir {
            path: path.to_owned(),
            meta,
            log_starts: Arc::new(log_starts),
            recovery_points: Arc::new(recovery_points),
            cleaned: Arc::new(cleaned),
            logs: Mutex::new(Logs::default()),
            remover: Remover::new(Arc::clone(&fs)),
            syncer: Syncer::new(),
            fs,
            _lock: lock,
        };
        for entry in dir.fs.list(path)? {
            if entry.is_dir && entry.name.ends_with(DELETE_SUFFIX) {
                dir.remover.remove(path.join(entry.name));
            } else if entry.is_dir && !is_clean {
                dir.lock_logs().unproven.insert(entry.name);
            }
        }
        Ok(dir)
    }

    /// Whom the directory belongs to.
    pub fn meta(&self) -> &MetaProperties {
        &self.meta
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The logs in the directory, open or not, by name.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn found(&self) -> io::Result<Vec<FoundLog>> {
        let mut found = Vec::new();
        for entry in self.fs.list(&self.path)? {
            if !entry.is_dir || entry.name.ends_with(DELETE_SUFFIX) {
                continue;
            }
            let metadata_path = self.path.join(&entry.name).join(PARTITION_METADATA_FILE);
            let bytes = fs::read_whole(&*self.fs, &metadata_path)?.unwrap_or_default();
            let metadata = String::from_utf8(bytes).ok();
            found.push(FoundLog {
                name: entry.name,
                metadata: metadata.filter(|text| !text.is_empty()),
            });
        }
        found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Whether everything in the directory was closed when it was last used.
    pub fn was_closed(&self) -> bool {
        self.lock_logs().unproven.is_empty()
    }

    /// Says that the directory `name` is somebody else's: it is no log that must be closed.
    pub fn leave_alone(&self, name: &str) {
        self.lock_logs().unproven.remove(name);
    }

    /// The log with that name, if it is open.
    pub fn partition(&self, name: &str) -> Option<Arc<Partition>> {
        self.lock_logs().open.get(name).cloned()
    }

    /// Opens the log `name`, which is made if there is none. `metadata` is kept beside a log that
    /// has none yet. A new log and its name last from its first durable append on; making it costs
    /// a directory and a small file.
    ///
    /// A log that went offline may be opened again, and is checked as after a crash.
    ///
    /// # Errors
    /// See [`OpenError`]; [`OpenError::AlreadyOpen`] when it is open and online.
    pub fn open_partition(
        &self,
        name: &str,
        metadata: &str,
        opening: LogOpening,
    ) -> Result<Arc<Partition>, OpenError> {
        let (is_clean, failed) = self.begin_opening(name)?;
        if let Some(failed) = failed {
            // Whoever still compacts it must not do so with the files of the one that is opened.
            failed.retire("it is opened again");
        }
        let doubtful_from = self.lock_logs().doubtful.get(name).copied();
        let opened = self.open_log(name, metadata, opening, (is_clean, doubtful_from));
        let mut logs = self.lock_logs();
        logs.opening.remove(name);
        match opened {
            Ok(partition) => {
                logs.doubtful.remove(name);
                logs.open.insert(name.to_owned(), Arc::clone(&partition));
                Ok(partition)
            }
            Err(error) => {
                // What failed may have been the sync of what was found.
                let recovery_point = self.recovery_points.offset(name).unwrap_or(Offset::ZERO);
                logs.doubtful
                    .entry(name.to_owned())
                    .or_insert(recovery_point);
                Err(error)
            }
        }
    }

    fn open_log(
        &self,
        name: &str,
        metadata: &str,
        opening: LogOpening,
        (is_clean, doubtful_from): (bool, Option<Offset>),
    ) -> Result<Arc<Partition>, OpenError> {
        let dir = self.path.join(name);
        let foundations = self.make_log_dir(&dir, metadata)?;
        let engine = DiskEngine::open(DiskOptions {
            fs: Arc::clone(&self.fs),
            dir,
            name: name.to_owned(),
            log_starts: Arc::clone(&self.log_starts),
            recovery_points: Arc::clone(&self.recovery_points),
            cleaned: Arc::clone(&self.cleaned),
            is_clean,
            doubtful_from,
            foundations,
            index_interval_bytes: opening.log.index_interval_bytes,
            now_ms: opening.now_ms,
        })?;
        Partition::open(
            Box::new(engine),
            OpenOptions {
                leader_epoch: opening.leader_epoch,
                log: opening.log,
                now_ms: opening.now_ms,
                sync_queue: self.syncer.queue(),
            },
        )
    }

    /// Closes a log; it may be opened again. One that is not open is left alone. Blocks on the
    /// disk.
    ///
    /// # Errors
    /// When the disk refused; the log will be checked when it is opened again.
    pub fn close_partition(&self, name: &str) -> io::Result<()> {
        let Some(partition) = self.lock_logs().open.remove(name) else {
            return Ok(());
        };
        if let Err(offline) = partition.close() {
            partition.retire("it could not be closed");
            return Err(io::Error::other(offline));
        }
        self.lock_logs().unproven.remove(name);
        Ok(())
    }

    /// Deletes a log. See [`LogDir::delete_partitions`].
    ///
    /// # Errors
    /// Those of the disk.
    pub fn delete_partition(&self, name: &str, unique: u128) -> io::Result<()> {
        self.delete_partitions([(name, unique)])
    }

    /// Deletes logs, open or not: their names are free, for good, when this returns; their files go
    /// in the background. The disk is waited for once, however many they are. The number with each
    /// name must be different for each deletion. A log that does not exist is left alone.
    ///
    /// # Errors
    /// Those of the disk. Logs that came before the one in trouble are deleted, perhaps not for
    /// good; those after it are not.
    pub fn delete_partitions<'a>(
        &self,
        logs: impl IntoIterator<Item = (&'a str, u128)>,
    ) -> io::Result<()> {
        let mut doomed = Vec::new();
        for (name, unique) in logs {
            doomed.extend(self.set_aside(name, unique)?);
        }
        if doomed.is_empty() {
            return Ok(());
        }
        self.fs.sync_dir(&self.path)?;
        // Otherwise a log that gets one of the names anew would start where this one did.
        self.log_starts.save()?;
        self.recovery_points.save()?;
        self.cleaned.save()?;
        for dir in doomed {
            self.remover.remove(dir);
        }
        Ok(())
    }

    /// Takes the name from a log, and returns where its files are now; none when there are none.
    fn set_aside(&self, name: &str, unique: u128) -> io::Result<Option<PathBuf>> {
        let open = {
            let mut logs = self.lock_logs();
            logs.unproven.remove(name);
            logs.doubtful.remove(name);
            logs.open.remove(name)
        };
        if let Some(partition) = open {
            partition.retire("it was deleted");
        }
        self.log_starts.remove(name);
        self.recovery_points.remove(name);
        self.cleaned.remove(name);
        let doomed = self.path.join(doomed_name(name, unique));
        match self.fs.rename(&self.path.join(name), &doomed) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            renamed => renamed.map(|()| Some(doomed)),
        }
    }

    /// Writes down what need not be checked after a crash, so that starting after one takes less
    /// time (Kafka does this every `log.flush.offset.checkpoint.interval.ms`). Blocks on the disk.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn checkpoint(&self) -> io::Result<()> {
        let open: Vec<Arc<Partition>> = self.lock_logs().open.values().cloned().collect();
        for partition in open {
            partition.checkpoint();
        }
        self.recovery_points.save()?;
        self.log_starts.save()
    }

    /// Closes all logs, and notes that they were, so that the next start believes them. Blocks on
    /// the disk.
    ///
    /// # Errors
    /// When one of them could not be closed; the next start will check.
    pub fn close(&self, broker_epoch: i64) -> io::Result<()> {
        let result = self.close_partitions();
        self.remover.finish();
        self.recovery_points.save()?;
        self.log_starts.save()?;
        result?;
        if self.lock_logs().unproven.is_empty() {
            CleanShutdown::give(&*self.fs, &self.path, broker_epoch)?;
        }
        Ok(())
    }

    /// Closes several logs at a time, because each of them waits for the disk. When there are many, everything is written
    /// first and the disk takes it in one sweep: a sync a file, of files that have just been written, takes milliseconds
    /// each.
    fn close_partitions(&self) -> io::Result<()> {
        let names: Vec<String> = self.lock_logs().open.keys().cloned().collect();
        if names.len() >= SWEEP_LOGS_MIN {
            for_each_at_once(&names, |name| {
                let partition = self.partition(name);
                // Whatever goes wrong goes wrong again when the log is closed, and is told then.
                partition.map_or(Ok(()), |it| it.prepare_close().or(Ok(())))
            })?;
            self.fs.write_back(&self.path);
        }
        for_each_at_once(&names, |name| {
            self.close_partition(name)
                .inspect_err(|error| tracing::error!(name, %error, "a log could not be closed"))
        })
    }

    /// Whether the log was closed when it was last used: from now on it was not, until it is. And
    /// the partition that went offline, if it was open until now.
    fn begin_opening(&self, name: &str) -> Result<(bool, Option<Arc<Partition>>), OpenError> {
        let mut logs = self.lock_logs();
        let is_online = |open: &Arc<Partition>| open.offline().is_none();
        if logs.open.get(name).is_some_and(is_online) || !logs.opening.insert(name.to_owned()) {
            return Err(OpenError::AlreadyOpen);
        }
        let failed = logs.open.remove(name);
        if let Some(failed) = &failed {
            logs.doubtful.insert(name.to_owned(), failed.durable_end());
        }
        Ok((logs.unproven.insert(name.to_owned()), failed))
    }

    /// Makes what is missing, and tells what must be synced before anything in the log lasts. It
    /// may be left from a process that was killed before it came to that.
    fn make_log_dir(&self, dir: &Path, metadata: &str) -> io::Result<Unsynced> {
        let path = dir.join(PARTITION_METADATA_FILE);
        let found = fs::read_whole(&*self.fs, &path)?;
        if found.is_none_or(|bytes| bytes.is_empty()) {
            self.fs.create_dir(dir)?;
            fs::write_whole(&*self.fs, &path, metadata.as_bytes())?;
        }
        Ok(Unsynced {
            files: BTreeSet::from([path]),
            dirs: BTreeSet::from([dir.to_owned(), self.path.clone()]),
        })
    }

    fn lock_logs(&self) -> MutexGuard<'_, Logs> {
        lock(&self.logs)
    }
}

/// Calls `work` for all logs, several at a time, and returns the first error, if any.
fn for_each_at_once(
    names: &[String],
    work: impl Fn(&str) -> io::Result<()> + Sync,
) -> io::Result<()> {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut result = Ok(());
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            result = result.and(work(name));
        }
        result
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (1..CLOSING_THREADS_MAX.min(names.len()))
            .map(|_| scope.spawn(run))
            .collect();
        threads.into_iter().fold(run(), |result, thread| {
            let closed = thread.join();
            result.and(closed.unwrap_or_else(|_| Err(io::Error::other("closing panicked"))))
        })
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `<name>.<32 digits>-delete`, with as much of the name as fits.
fn doomed_name(name: &str, unique: u128) -> String {
    let suffix = format!(".{unique:032x}{DELETE_SUFFIX}");
    let mut kept_bytes = name.len().min(NAME_BYTES_MAX - suffix.len());
    while !name.is_char_boundary(kept_bytes) {
        kept_bytes -= 1;
    }
    format!("{}{suffix}", &name[..kept_bytes])
}

impl fmt::Debug for LogDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogDir").field(&self.path).finish()
    }
}
