//! A log in Kafka's own files, byte for byte.
//!
//! ```text
//! 00000000000000000000.log         batches, one after the other
//! 00000000000000000000.index       where they are, by offset      (written when sealed)
//! 00000000000000000000.timeindex   and by time                    (written when sealed)
//! 00000000000000000000.txnindex    aborted transactions           (when there are any)
//! 00000000000000001234.snapshot    the producers below offset 1234
//! leader-epoch-checkpoint          which leader epoch began where
//! ```
//!
//! A log without batches has no files. The file of the active segment is opened by the first
//! append, the others by whoever reads them, and only the ones used last stay open.

mod check;
pub(crate) mod checkpoint;
mod files;
pub mod fs;
mod index;
mod landmarks;
mod names;
pub(crate) mod open_files;
mod read;
mod recent;
mod recovery;
mod replace;
mod scan;
mod segment;
mod side_files;
#[cfg(test)]
pub(crate) mod sim_fs;
mod swap;
#[cfg(test)]
mod swap_tests;
#[cfg(test)]
mod tests;
mod trim;
mod txn_index;
mod write;

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::ops::{Bound, ControlFlow};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use self::checkpoint::OffsetCheckpoint;
use self::fs::{Fs, OpenMode};
use self::landmarks::SavedLandmarks;
use self::recovery::Known;
use self::segment::Segment;
use super::{
    Engine, Fill, IndexPace, Landmarks, ReadRange, ReplaceError, Replaced, SegmentRange,
    SegmentStat,
};
use crate::Offset;
use crate::batch::{BatchHeader, StampedBatch};
use crate::partition::{AbortedTxn, EpochStart, OpenError};
use crate::slice::Slice;

/// Sealed segments of one log whose files stay open for the next reader.
const SEALED_OPEN_MAX: usize = 2;

/// What a disk engine needs to know.
#[derive(Clone, Debug)]
pub struct DiskOptions {
    pub fs: Arc<dyn Fs>,
    /// The log's own directory, which exists.
    pub dir: PathBuf,
    /// The log's name in the checkpoints.
    pub name: String,
    /// `log-start-offset-checkpoint`.
    pub log_starts: Arc<OffsetCheckpoint>,
    /// `recovery-point-offset-checkpoint`.
    pub recovery_points: Arc<OffsetCheckpoint>,
    /// `cleaner-offset-checkpoint`.
    pub cleaned: Arc<OffsetCheckpoint>,
    /// Whether the log was closed before the process that last had it ended.
    pub is_clean: bool,
    /// From here on a sync may have failed since the process began. What the page cache has of it
    /// need not be on the disk, and another sync would not put it there: it is written again.
    pub doubtful_from: Option<Offset>,
    /// What the log's own directory stands on, and must last with its first batch.
    pub foundations: Unsynced,
    pub index_interval_bytes: u32,
    pub now_ms: i64,
}

/// Files whose bytes, and directories whose names, are not synced yet.
#[derive(Clone, Debug, Default)]
pub struct Unsynced {
    pub files: BTreeSet<PathBuf>,
    pub dirs: BTreeSet<PathBuf>,
}

/// The engine on disk.
pub struct DiskEngine {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    name: String,
    log_starts: Arc<OffsetCheckpoint>,
    recovery_points: Arc<OffsetCheckpoint>,
    cleaned: Arc<OffsetCheckpoint>,
    pace: IndexPace,
    recovered_from: Option<Offset>,
    /// Oldest first; the last one is active. Never empty.
    segments: RwLock<Vec<Arc<Segment>>>,
    end: AtomicI64,
    durable_end: AtomicI64,
    unsaved: Mutex<Unsaved>,
    /// Held by whoever removes or replaces sealed segments.
    reshaping: Mutex<Reshaping>,
    /// One sync at a time: a second one would not know what the first is still at.
    syncing: Mutex<()>,
    /// Held while a segment is begun, and while names are made to last: the name of a segment must
    /// not, unless the bytes before it do.
    naming: Mutex<()>,
    snapshots: Mutex<BTreeSet<Offset>>,
    landmarks: Mutex<SavedLandmarks>,
    sealed_open: Mutex<VecDeque<Arc<Segment>>>,
    /// Whether anything was changed since the log was opened cleanly.
    is_changed: AtomicBool,
}

impl Unsynced {
    /// Syncs all of it.
    fn sync(&self, fs: &dyn Fs) -> io::Result<()> {
        self.sync_files(fs)?;
        self.sync_dirs(fs)
    }

    /// A file that has been trimmed meanwhile needs no sync.
    fn sync_files(&self, fs: &dyn Fs) -> io::Result<()> {
        for path in &self.files {
            match fs.open(path, OpenMode::Update) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                opened => opened?.sync()?,
            }
        }
        Ok(())
    }

    fn sync_dirs(&self, fs: &dyn Fs) -> io::Result<()> {
        self.dirs.iter().try_for_each(|dir| fs.sync_dir(dir))
    }
}

#[derive(Debug, Default)]
struct Reshaping {
    /// The files are not the engine's any more.
    is_retired: bool,
}

/// What the next sync must cover besides the active segment's bytes. Kept by name, so that no file
/// stays open for it: without syncs there may be many.
#[derive(Debug, Default)]
struct Unsaved {
    names: Unsynced,
    epochs: Option<Vec<EpochStart>>,
}

impl DiskEngine {
    /// Opens what is in the directory; after anything but a clean close, checks it first.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(options: DiskOptions) -> Result<DiskEngine, OpenError> {
        let pace = IndexPace {
            interval_bytes: options.index_interval_bytes,
        };
        let log_start = options.log_starts.offset(&options.name);
        let recovery_point = options.recovery_points.offset(&options.name);
        let known = Known {
            is_clean: options.is_clean,
            doubtful_from: options.doubtful_from,
            recovery_point: recovery_point.unwrap_or(Offset::ZERO),
            log_start: log_start.unwrap_or(Offset::ZERO),
            pace,
            now_ms: options.now_ms,
        };
        let loaded = recovery::load(&*options.fs, &options.dir, known)?;
        let active = loaded.segments.last().expect("loading makes a segment");
        let end = active.stat().end;
        if recovery_point.is_some_and(|point| point > end) {
            // What takes the place of the batches that are gone is not proven.
            options.recovery_points.set(&options.name, end);
            options.recovery_points.save()?;
        }
        let landmarks = SavedLandmarks::of(active.base(), loaded.indexed_bytes);
        // A log with batches that was closed has had them synced, and all beneath them. What was
        // found after a crash has just been synced, as it is acknowledged from now on.
        let mut names = options.foundations;
        if end > Offset::ZERO {
            let names = std::mem::take(&mut names);
            if !options.is_clean {
                names.sync(&*options.fs)?;
            }
        }
        Ok(DiskEngine {
            fs: options.fs,
            dir: options.dir,
            name: options.name,
            log_starts: options.log_starts,
            recovery_points: options.recovery_points,
            cleaned: options.cleaned,
            pace,
            recovered_from: loaded.recovered_from,
            end: AtomicI64::new(end.0),
            durable_end: AtomicI64::new(end.0),
            unsaved: Mutex::new(Unsaved {
                names,
                epochs: None,
            }),
            reshaping: Mutex::new(Reshaping::default()),
            syncing: Mutex::new(()),
            naming: Mutex::new(()),
            snapshots: Mutex::new(loaded.snapshots),
            landmarks: Mutex::new(landmarks),
            sealed_open: Mutex::new(VecDeque::new()),
            is_changed: AtomicBool::new(loaded.recovered_from.is_some()),
            segments: RwLock::new(loaded.segments),
        })
    }
}

impl Engine for DiskEngine {
    fn start(&self) -> Offset {
        self.read_segments()[0].base()
    }

    fn end(&self) -> Offset {
        Offset(self.end.load(Ordering::Acquire))
    }

    fn durable_end(&self) -> Offset {
        Offset(self.durable_end.load(Ordering::Acquire))
    }

    fn recovered_from(&self) -> Option<Offset> {
        self.recovered_from
    }

    fn write(&self, batches: &[StampedBatch], pace: IndexPace) -> io::Result<()> {
        self.write_batches(batches, pace)
    }

    fn roll(&self, base: Offset, producers: &[u8], now_ms: i64) -> io::Result<()> {
        self.begin_segment(base, producers, now_ms)
    }

    fn sync(&self) -> io::Result<Offset> {
        self.sync_written()
    }

    fn read(&self, range: ReadRange) -> io::Result<Vec<Slice>> {
        self.read_range(range)
    }

    fn scan(
        &self,
        from: Offset,
        visit: &mut dyn FnMut(&BatchHeader) -> ControlFlow<()>,
    ) -> io::Result<()> {
        self.scan_headers(from, visit)
    }

    fn timestamp_floor(&self, timestamp_ms: i64) -> io::Result<Offset> {
        self.find_timestamp_floor(timestamp_ms)
    }

    fn bytes_between(&self, from: Offset, end: Offset) -> u64 {
        self.estimate_bytes(from, end)
    }

    fn segments(&self) -> Vec<SegmentStat> {
        self.read_segments()
            .iter()
            .map(|segment| segment.stat())
            .collect()
    }

    fn trim(&self, before: Offset) -> io::Result<()> {
        self.remove_segments(before)
    }

    fn truncate(&self, end: Offset) -> io::Result<()> {
        self.cut_batches(end)
    }

    fn replace(
        &self,
        range: SegmentRange,
        pace: IndexPace,
        fill: &mut Fill<'_>,
    ) -> Result<Replaced, ReplaceError> {
        self.replace_segments(range, pace, fill)
    }

    fn cleaned_to(&self) -> Option<Offset> {
        self.cleaned.offset(&self.name)
    }

    fn save_cleaned_to(&self, cleaned_to: Offset) -> io::Result<()> {
        if lock(&self.reshaping).is_retired {
            return Ok(());
        }
        self.cleaned.set(&self.name, cleaned_to);
        self.cleaned.save()
    }

    fn retire(&self) {
        lock(&self.reshaping).is_retired = true;
    }

    fn producers(&self, at_most: Offset) -> io::Result<Option<(Offset, Vec<u8>)>> {
        self.newest_snapshot(at_most)
    }

    fn save_producers(&self, at: Offset, producers: &[u8]) -> io::Result<()> {
        self.change();
        self.write_snapshot(at, producers)
    }

    fn epochs(&self) -> io::Result<Vec<EpochStart>> {
        checkpoint::read_epochs(&*self.fs, &self.dir.join(names::EPOCHS_FILE))
    }

    fn save_epochs(&self, epochs: &[EpochStart]) -> io::Result<()> {
        self.change();
        lock(&self.unsaved).epochs = Some(epochs.to_vec());
        Ok(())
    }

    fn aborted(&self) -> io::Result<Vec<AbortedTxn>> {
        self.read_aborted()
    }

    fn save_aborted(&self, txn: AbortedTxn) -> io::Result<()> {
        self.write_aborted(txn)
    }

    fn forget_from(&self, from: Offset) -> io::Result<()> {
        self.remove_snapshots((Bound::Excluded(from), Bound::Unbounded))?;
        self.forget_aborted(from)
    }

    fn log_start(&self) -> Offset {
        let saved = self.log_starts.offset(&self.name);
        saved.map_or(self.start(), |saved| saved.max(self.start()))
    }

    fn save_log_start(&self, log_start: Offset) -> io::Result<()> {
        self.log_starts.set(&self.name, log_start);
        self.log_starts.save()
    }

    fn checkpoint(&self) {
        self.recovery_points.set(&self.name, self.durable_end());
    }

    fn landmarks_due(&self) -> Option<Offset> {
        let active = self.active().stat();
        lock(&self.landmarks)
            .are_due(&active)
            .then_some(active.base)
    }

    fn save_landmarks(&self, landmarks: Landmarks) -> io::Result<()> {
        self.write_landmarks(landmarks)
    }

    fn prepare_close(&self, producers: &[u8]) -> io::Result<()> {
        self.retire();
        // What was opened as it should be and not touched, and what is new and empty, needs nothing.
        if self.is_changed() {
            self.save_active_index(&self.active())?;
            self.write_snapshot(self.end(), producers)?;
        }
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        if self.is_changed() {
            self.sync_written()?;
        }
        self.checkpoint();
        for segment in self.read_segments().iter() {
            segment.close();
        }
        lock(&self.sealed_open).clear();
        Ok(())
    }
}

impl fmt::Debug for DiskEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DiskEngine").field(&self.dir).finish()
    }
}

/// What these locks guard is changed in one step each.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
