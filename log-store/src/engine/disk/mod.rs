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
pub mod fs;
mod index;
mod names;
mod recovery;
mod scan;
mod segment;
#[cfg(test)]
pub(crate) mod sim_fs;
#[cfg(test)]
mod tests;
mod txn_index;

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::io::{self, IoSlice};
use std::ops::{Bound, ControlFlow};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use self::checkpoint::OffsetCheckpoint;
use self::fs::{Fs, FsFile, OpenMode};
use self::index::Index;
use self::recovery::Known;
use self::scan::HeaderScan;
use self::segment::{Opened, Piece, Segment};
use super::{Engine, IndexPace, ReadRange, SegmentStat};
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
    /// Whether the log was closed before the process that last had it ended.
    pub is_clean: bool,
    /// Files and directories outside of the log's own that must last with the first batch, because
    /// they have just been made for it.
    pub unsynced: Unsynced,
    pub index_interval_bytes: u32,
    pub now_ms: i64,
}

/// What was made for a new log and not synced yet.
#[derive(Clone, Debug, Default)]
pub struct Unsynced {
    pub files: Vec<Arc<dyn FsFile>>,
    pub dirs: Vec<PathBuf>,
}

/// The engine on disk.
pub struct DiskEngine {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    name: String,
    log_starts: Arc<OffsetCheckpoint>,
    recovery_points: Arc<OffsetCheckpoint>,
    pace: IndexPace,
    recovered_from: Option<Offset>,
    /// Oldest first; the last one is active. Never empty.
    segments: RwLock<Vec<Arc<Segment>>>,
    end: AtomicI64,
    durable_end: AtomicI64,
    unsaved: Mutex<Unsaved>,
    /// One sync at a time: a second one would not know what the first is still at.
    syncing: Mutex<()>,
    snapshots: Mutex<BTreeSet<Offset>>,
    sealed_open: Mutex<VecDeque<Arc<Segment>>>,
    /// Whether anything was changed since the log was opened cleanly.
    is_changed: AtomicBool,
}

/// What the next sync must cover besides the active segment's bytes.
#[derive(Debug, Default)]
struct Unsaved {
    files: Vec<Arc<dyn FsFile>>,
    /// Directories whose names have changed.
    dirs: Vec<PathBuf>,
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
            recovery_point: recovery_point.unwrap_or(Offset::ZERO),
            log_start: log_start.unwrap_or(Offset::ZERO),
            pace,
            now_ms: options.now_ms,
        };
        let loaded = recovery::load(&*options.fs, &options.dir, known)?;
        let active = loaded.segments.last().expect("loading makes a segment");
        let end = active.stat().end;
        Ok(DiskEngine {
            fs: options.fs,
            dir: options.dir,
            name: options.name,
            log_starts: options.log_starts,
            recovery_points: options.recovery_points,
            pace,
            recovered_from: loaded.recovered_from,
            end: AtomicI64::new(end.0),
            durable_end: AtomicI64::new(end.0),
            unsaved: Mutex::new(Unsaved {
                files: options.unsynced.files,
                dirs: options.unsynced.dirs,
                epochs: None,
            }),
            syncing: Mutex::new(()),
            snapshots: Mutex::new(loaded.snapshots),
            sealed_open: Mutex::new(VecDeque::new()),
            is_changed: AtomicBool::new(loaded.recovered_from.is_some()),
            segments: RwLock::new(loaded.segments),
        })
    }

    fn active(&self) -> Arc<Segment> {
        let segments = self.read_segments();
        Arc::clone(segments.last().expect("there is always an active segment"))
    }

    /// The segments that may have batches at or above `from`.
    fn segments_from(&self, from: Offset) -> Vec<Arc<Segment>> {
        let segments = self.read_segments();
        let next = segments.partition_point(|segment| segment.base() <= from);
        segments[next.saturating_sub(1)..].to_vec()
    }

    /// The segment's file, for reading, and its size; `None` when it has no batches or has been
    /// trimmed meanwhile. Lets go of the sealed file that was used longest ago.
    fn open_to_read(&self, segment: &Arc<Segment>) -> io::Result<Option<Arc<Opened>>> {
        if segment.stat().bytes == 0 {
            return Ok(None);
        }
        if let Some(opened) = segment.opened() {
            return Ok(Some(opened));
        }
        let opened = match segment.open(&*self.fs, self.pace) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let is_trimmed = segment.stat().end <= self.start();
                return if is_trimmed { Ok(None) } else { Err(error) };
            }
            Err(error) => return Err(error),
        };
        let is_active = Arc::ptr_eq(segment, &self.active());
        if !is_active {
            self.keep_open(Arc::clone(segment));
        }
        Ok(Some(opened))
    }

    fn keep_open(&self, segment: Arc<Segment>) {
        let mut open = lock(&self.sealed_open);
        open.retain(|other| !Arc::ptr_eq(other, &segment));
        open.push_back(segment);
        while open.len() > SEALED_OPEN_MAX
            && let Some(oldest) = open.pop_front()
        {
            oldest.close();
        }
    }

    /// The active segment's file, made now if it is missing.
    fn open_to_write(&self, segment: &Segment) -> io::Result<Arc<Opened>> {
        if let Some(opened) = segment.opened() {
            return Ok(opened);
        }
        let is_new = segment.stat().bytes == 0;
        let opened = segment.open(&*self.fs, self.pace)?;
        if is_new {
            lock(&self.unsaved).dirs.push(self.dir.clone());
        }
        Ok(opened)
    }

    fn save_snapshot(&self, at: Offset, producers: &[u8]) -> io::Result<Arc<dyn FsFile>> {
        let path = names::snapshot_path(&self.dir, at);
        let file = fs::write_whole(&*self.fs, &path, producers)?;
        lock(&self.snapshots).insert(at);
        Ok(file)
    }

    fn remove_snapshots(&self, range: (Bound<Offset>, Bound<Offset>)) -> io::Result<()> {
        let removed: Vec<Offset> = {
            let mut snapshots = lock(&self.snapshots);
            let removed: Vec<Offset> = snapshots.range(range).copied().collect();
            snapshots.retain(|at| !removed.contains(at));
            removed
        };
        for at in removed {
            fs::remove_if_there(&*self.fs, &names::snapshot_path(&self.dir, at))?;
        }
        Ok(())
    }

    fn read_segments(&self) -> RwLockReadGuard<'_, Vec<Arc<Segment>>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_segments(&self) -> RwLockWriteGuard<'_, Vec<Arc<Segment>>> {
        self.segments
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) {
        self.is_changed.store(true, Ordering::Release);
    }

    /// Closes the index of what is the active segment and writes it.
    fn save_active_index(&self, segment: &Segment) -> io::Result<()> {
        let Some(opened) = segment.opened() else {
            return Ok(());
        };
        if segment.stat().bytes == 0 {
            return Ok(());
        }
        let files = {
            let mut index: Index = opened.index().clone();
            index.seal();
            segment.save_index(&*self.fs, &index)?
        };
        let mut unsaved = lock(&self.unsaved);
        unsaved.files.push(Arc::clone(&opened.file));
        unsaved.files.extend(files);
        unsaved.dirs.push(self.dir.clone());
        Ok(())
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
        let (Some(first), Some(last)) = (batches.first(), batches.last()) else {
            return Ok(());
        };
        assert!(first.header().base_offset >= self.end());
        self.change();
        let segment = self.active();
        let opened = self.open_to_write(&segment)?;
        let position = segment.stat().bytes;
        let mut pieces = Vec::with_capacity(batches.len() * 2);
        for batch in batches {
            pieces.push(IoSlice::new(batch.prefix()));
            pieces.push(IoSlice::new(batch.rest()));
        }
        if let Err(error) = fs::write_all_at(&*opened.file, &mut pieces, position) {
            // Whatever was written of it goes again, if the disk lets it; opening looks anyway.
            let _ = opened.file.set_len(position);
            return Err(error);
        }
        let headers = batches.iter().map(StampedBatch::header);
        segment.grew(&opened, headers, pace);
        let end = last.header().end_offset();
        self.end.store(end.0, Ordering::Release);
        Ok(())
    }

    fn roll(&self, base: Offset, producers: &[u8], now_ms: i64) -> io::Result<()> {
        assert!(base >= self.end());
        self.change();
        let sealed = self.active();
        if sealed.base() == base {
            return Ok(());
        }
        let snapshot = self.save_snapshot(base, producers)?;
        let new = Arc::new(Segment::empty(&self.dir, base, now_ms));
        new.open(&*self.fs, self.pace)?;
        self.save_active_index(&sealed)?;
        sealed.set_end(base);
        {
            // Together, so that a sync sees the sealed segment here or as the active one.
            let mut unsaved = lock(&self.unsaved);
            unsaved.files.push(snapshot);
            unsaved.dirs.push(self.dir.clone());
            self.write_segments().push(new);
        }
        self.end.store(base.0, Ordering::Release);
        if sealed.opened().is_some() {
            self.keep_open(sealed);
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<Offset> {
        let _one_at_a_time = lock(&self.syncing);
        let end = self.end();
        let (unsaved, active) = {
            let mut unsaved = lock(&self.unsaved);
            (std::mem::take(&mut *unsaved), self.active())
        };
        for file in &unsaved.files {
            file.sync()?;
        }
        if self.durable_end() < end
            && let Some(opened) = active.opened()
        {
            opened.file.sync()?;
        }
        for dir in unsaved.dirs.into_iter().collect::<BTreeSet<PathBuf>>() {
            self.fs.sync_dir(&dir)?;
        }
        if let Some(epochs) = unsaved.epochs {
            let path = self.dir.join(names::EPOCHS_FILE);
            checkpoint::write_epochs(&*self.fs, &path, &epochs)?;
        }
        self.durable_end.fetch_max(end.0, Ordering::AcqRel);
        Ok(end)
    }

    fn read(&self, range: ReadRange) -> io::Result<Vec<Slice>> {
        let mut slices = Vec::new();
        let mut range = range;
        for segment in self.segments_from(range.from) {
            if segment.base() >= range.end {
                break;
            }
            let Some(opened) = self.open_to_read(&segment)? else {
                continue;
            };
            match segment.read(&opened, &range)? {
                Piece::Nothing => {}
                Piece::Some(slice) => {
                    range.bytes_max -= slice.len_bytes().min(range.bytes_max);
                    range.first_batch = super::FirstBatch::WithinLimit;
                    slices.push(slice);
                }
                Piece::Last(slice) => {
                    slices.push(slice);
                    break;
                }
                Piece::Full => break,
            }
        }
        Ok(slices)
    }

    fn scan(
        &self,
        from: Offset,
        visit: &mut dyn FnMut(&BatchHeader) -> ControlFlow<()>,
    ) -> io::Result<()> {
        for segment in self.segments_from(from) {
            let Some(opened) = self.open_to_read(&segment)? else {
                continue;
            };
            let bytes = segment.stat().bytes;
            let floor = opened.index().position_floor(from).min(bytes);
            let mut headers = HeaderScan::new(Arc::clone(&opened.file), floor, bytes);
            while let Some((_, header)) = headers.next()? {
                if header.last_offset() >= from && visit(&header).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn timestamp_floor(&self, timestamp_ms: i64) -> io::Result<Offset> {
        let segments = self.read_segments().clone();
        let holds = |segment: &&Arc<Segment>| segment.stat().max_timestamp_ms >= timestamp_ms;
        let Some(segment) = segments.iter().find(holds) else {
            return Ok(self.end());
        };
        let Some(opened) = self.open_to_read(segment)? else {
            return Ok(segment.base());
        };
        let index = opened.index();
        let next = index
            .times
            .partition_point(|entry| entry.timestamp_ms < timestamp_ms);
        Ok(next
            .checked_sub(1)
            .map_or(segment.base(), |before| index.times[before].offset.plus(1)))
    }

    fn bytes_between(&self, from: Offset, end: Offset) -> u64 {
        let mut between = 0;
        for segment in self.segments_from(from) {
            let stat = segment.stat();
            if stat.base >= end {
                break;
            }
            let opened = segment.opened();
            let index = opened.as_ref().map(|opened| opened.index());
            let start = index.as_ref().map_or(0, |index| index.position_floor(from));
            let stop = if end >= stat.end {
                stat.bytes
            } else {
                let above = index.as_ref().and_then(|index| index.position_above(end));
                above.unwrap_or(stat.bytes)
            };
            between += stop.saturating_sub(start);
        }
        between
    }

    fn segments(&self) -> Vec<SegmentStat> {
        self.read_segments()
            .iter()
            .map(|segment| segment.stat())
            .collect()
    }

    fn trim(&self, before: Offset) -> io::Result<()> {
        let removed: Vec<Arc<Segment>> = {
            let mut segments = self.write_segments();
            let sealed = segments.len() - 1;
            let gone = segments[..sealed].partition_point(|segment| segment.stat().end <= before);
            segments.drain(..gone).collect()
        };
        if removed.is_empty() {
            return Ok(());
        }
        self.change();
        {
            let mut open = lock(&self.sealed_open);
            open.retain(|segment| !removed.iter().any(|gone| Arc::ptr_eq(gone, segment)));
        }
        // What takes their place must be there for good before they go: the segment that begins
        // where they end, and the producers who wrote them.
        self.sync()?;
        for segment in removed {
            segment.remove(&*self.fs)?;
            segment.close();
        }
        self.remove_snapshots((Bound::Unbounded, Bound::Excluded(self.start())))
    }

    fn truncate(&self, end: Offset) -> io::Result<()> {
        if end >= self.end() {
            return Ok(());
        }
        self.change();
        let _no_sync = lock(&self.syncing);
        let mut segments = self.write_segments();
        while segments.len() > 1
            && let Some(last) = segments.last()
            && last.base() >= end
        {
            last.remove(&*self.fs)?;
            segments.pop();
        }
        let active = Arc::clone(segments.last().expect("one is kept"));
        lock(&self.sealed_open).retain(|segment| !Arc::ptr_eq(segment, &active));
        self.cut(&active, end)?;
        drop(segments);
        self.remove_snapshots((Bound::Excluded(end), Bound::Unbounded))?;
        let end = active.stat().end;
        self.end.store(end.0, Ordering::Release);
        self.durable_end.fetch_min(end.0, Ordering::AcqRel);
        Ok(())
    }

    fn producers(&self, at_most: Offset) -> io::Result<Option<(Offset, Vec<u8>)>> {
        let newest = lock(&self.snapshots).range(..=at_most).next_back().copied();
        let Some(at) = newest else {
            return Ok(None);
        };
        let bytes = fs::read_whole(&*self.fs, &names::snapshot_path(&self.dir, at))?;
        Ok(Some((at, bytes.unwrap_or_default())))
    }

    fn save_producers(&self, at: Offset, producers: &[u8]) -> io::Result<()> {
        self.change();
        let file = self.save_snapshot(at, producers)?;
        let mut unsaved = lock(&self.unsaved);
        unsaved.files.push(file);
        unsaved.dirs.push(self.dir.clone());
        Ok(())
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
        let mut aborted = Vec::new();
        for stat in self.segments() {
            let path = names::txn_index_path(&self.dir, stat.base);
            if let Some(bytes) = fs::read_whole(&*self.fs, &path)? {
                aborted.extend(txn_index::decode(&bytes));
            }
        }
        Ok(aborted)
    }

    fn save_aborted(&self, txn: AbortedTxn) -> io::Result<()> {
        self.change();
        let segments = self.segments_from(txn.last_offset);
        let base = segments[0].base();
        let path = names::txn_index_path(&self.dir, base);
        let file = self.fs.open(&path, OpenMode::Create)?;
        let entry_bytes = txn_index::ENTRY_BYTES as u64;
        let position = file.len_bytes()? / entry_bytes * entry_bytes;
        let entry = txn_index::encode(&txn);
        fs::write_all_at(&*file, &mut [IoSlice::new(&entry)], position)?;
        let mut unsaved = lock(&self.unsaved);
        unsaved.files.push(file);
        unsaved.dirs.push(self.dir.clone());
        Ok(())
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

    fn close(&self, producers: &[u8]) -> io::Result<()> {
        if self.is_changed.load(Ordering::Acquire) {
            let active = self.active();
            self.save_active_index(&active)?;
            self.save_producers(self.end(), producers)?;
        }
        self.sync()?;
        self.checkpoint();
        for segment in self.read_segments().iter() {
            segment.close();
        }
        lock(&self.sealed_open).clear();
        Ok(())
    }
}

impl DiskEngine {
    /// Cuts everything from `end` on off the segment that becomes the active one.
    fn cut(&self, segment: &Segment, end: Offset) -> io::Result<()> {
        let opened = segment.open(&*self.fs, self.pace)?;
        let mut stat = segment.stat();
        let position = match Segment::locate(&opened, stat.bytes, end)? {
            Some((position, _)) => position,
            None => stat.bytes,
        };
        opened.file.set_len(position)?;
        opened.file.sync()?;
        segment.remove_index(&*self.fs)?;
        self.cut_txn_index(segment.base(), end)?;
        let mut index = Index::new(stat.base);
        stat = SegmentStat::empty(stat.base, stat.modified_ms);
        let mut headers = HeaderScan::new(Arc::clone(&opened.file), 0, position);
        while let Some((at, header)) = headers.next()? {
            if at == 0 {
                stat.first_timestamp_ms = header.max_timestamp_ms;
            }
            index.add(&header, at, self.pace);
            stat.end = header.end_offset();
        }
        stat.bytes = position;
        index.describe(&mut stat);
        *opened.index_mut() = index;
        segment.reset(stat);
        Ok(())
    }

    fn cut_txn_index(&self, base: Offset, end: Offset) -> io::Result<()> {
        let path = names::txn_index_path(&self.dir, base);
        let Some(bytes) = fs::read_whole(&*self.fs, &path)? else {
            return Ok(());
        };
        let kept: Vec<u8> = txn_index::decode(&bytes)
            .iter()
            .filter(|txn| txn.last_offset < end)
            .flat_map(txn_index::encode)
            .collect();
        fs::write_whole(&*self.fs, &path, &kept)?.sync()
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
