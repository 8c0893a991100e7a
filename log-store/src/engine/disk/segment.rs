//! One segment: a `.log` file, its indexes, and what is known of it without opening it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::fs::{self, Fs, FsFile, OpenMode};
use super::index::Index;
use super::names;
use super::recent::PlacedBatch;
use super::scan::HeaderScan;
use crate::Offset;
use crate::batch::BatchHeader;
use crate::engine::{FirstBatch, IndexPace, ReadRange, SegmentStat};
use crate::slice::Slice;

/// A segment of a log directory. Only the active one is written.
#[derive(Debug)]
pub(super) struct Segment {
    base: Offset,
    dir: PathBuf,
    /// What is known without opening. `bytes` and `end` change together, after the bytes are
    /// there.
    stat: Mutex<SegmentStat>,
    handle: Mutex<Handle>,
}

/// Whether the file of a segment is open.
#[derive(Debug)]
enum Handle {
    Closed,
    Open(Arc<Opened>),
    /// The segment is not part of the log any more, and its file's name may be another's.
    Gone,
}

/// The file of a segment and its index.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: Arc<dyn FsFile>,
    index: RwLock<Index>,
}

impl Opened {
    pub(super) fn new(file: Arc<dyn FsFile>, index: Index) -> Opened {
        Opened {
            file,
            index: RwLock::new(index),
        }
    }

    pub(super) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Segment {
    pub(super) fn new(dir: &Path, stat: SegmentStat) -> Segment {
        Segment {
            base: stat.base,
            dir: dir.to_owned(),
            stat: Mutex::new(stat),
            handle: Mutex::new(Handle::Closed),
        }
    }

    /// A segment without batches, whose file need not exist yet.
    pub(super) fn empty(dir: &Path, base: Offset, now_ms: i64) -> Segment {
        Segment::new(dir, SegmentStat::empty(base, now_ms))
    }

    pub(super) fn stat(&self) -> SegmentStat {
        *self.lock_stat()
    }

    pub(super) fn base(&self) -> Offset {
        self.base
    }

    /// The next segment begins at `end`; batches that would lie between were never written, or
    /// were compacted away.
    pub(super) fn set_end(&self, end: Offset) {
        self.lock_stat().end = end;
    }

    pub(super) fn log_path(&self) -> PathBuf {
        names::log_path(&self.dir, self.base())
    }

    /// The file and the index, opened now if need be.
    ///
    /// # Errors
    /// Those of the disk; `NotFound` when the segment is gone.
    pub(super) fn open(&self, fs: &dyn Fs, pace: IndexPace) -> io::Result<Arc<Opened>> {
        let mut handle = self.lock_handle();
        match &*handle {
            Handle::Closed => {}
            Handle::Open(opened) => return Ok(Arc::clone(opened)),
            Handle::Gone => return Err(io::ErrorKind::NotFound.into()),
        }
        let stat = self.stat();
        let mode = if stat.bytes == 0 {
            OpenMode::Create
        } else {
            OpenMode::Update
        };
        let file = fs.open(&self.log_path(), mode)?;
        let mut index = load_index(fs, &self.dir, &stat, &file, pace)?;
        index.recall(&stat);
        let new = Arc::new(Opened::new(file, index));
        *handle = Handle::Open(Arc::clone(&new));
        Ok(new)
    }

    /// What is open, if anything is.
    pub(super) fn opened(&self) -> Option<Arc<Opened>> {
        match &*self.lock_handle() {
            Handle::Open(opened) => Some(Arc::clone(opened)),
            Handle::Closed | Handle::Gone => None,
        }
    }

    pub(super) fn set_opened(&self, opened: Opened) {
        *self.lock_handle() = Handle::Open(Arc::new(opened));
    }

    /// Lets go of the file. Readers that are at it finish.
    pub(super) fn close(&self) {
        let mut handle = self.lock_handle();
        if !matches!(*handle, Handle::Gone) {
            *handle = Handle::Closed;
        }
    }

    /// The segment is not part of the log any more. Readers that are at it finish; nobody opens it
    /// again.
    pub(super) fn leave(&self) {
        *self.lock_handle() = Handle::Gone;
    }

    pub(super) fn is_gone(&self) -> bool {
        matches!(*self.lock_handle(), Handle::Gone)
    }

    /// Batches were written behind the others.
    pub(super) fn grew<'a>(
        &self,
        opened: &Opened,
        headers: impl Iterator<Item = &'a BatchHeader>,
        pace: IndexPace,
    ) {
        let mut index = opened.index_mut();
        let mut stat = self.lock_stat();
        for header in headers {
            if stat.bytes == 0 {
                stat.first_timestamp_ms = header.max_timestamp_ms;
            }
            index.add(header, stat.bytes, pace);
            stat.bytes += header.total_bytes() as u64;
            stat.end = header.end_offset();
        }
        index.describe(&mut stat);
    }

    /// Replaces everything that is known, after the file was cut.
    pub(super) fn reset(&self, stat: SegmentStat) {
        *self.lock_stat() = stat;
    }

    /// Writes the index files, trimmed. They are not synced: they are made anew when they are lost
    /// before the segment is.
    pub(super) fn save_index(&self, fs: &dyn Fs, index: &Index) -> io::Result<[PathBuf; 2]> {
        let base = self.base();
        let offsets = names::offset_index_path(&self.dir, base);
        let times = names::time_index_path(&self.dir, base);
        fs::write_whole(fs, &offsets, &index.offset_bytes())?;
        fs::write_whole(fs, &times, &index.time_bytes())?;
        Ok([offsets, times])
    }

    pub(super) fn remove_index(&self, fs: &dyn Fs) -> io::Result<()> {
        let base = self.base();
        fs::remove_if_there(fs, &names::offset_index_path(&self.dir, base))?;
        fs::remove_if_there(fs, &names::time_index_path(&self.dir, base))
    }

    /// Removes all files of the segment.
    pub(super) fn remove(&self, fs: &dyn Fs) -> io::Result<()> {
        let base = self.base();
        fs::remove_if_there(fs, &self.log_path())?;
        self.remove_index(fs)?;
        fs::remove_if_there(fs, &names::txn_index_path(&self.dir, base))
    }

    /// The first batch in front of `end` that contains `offset` or follows it.
    pub(super) fn locate(
        opened: &Opened,
        end: u64,
        offset: Offset,
    ) -> io::Result<Option<PlacedBatch>> {
        let floor = {
            let index = opened.index();
            if let Some(batch) = index.recent.find(offset) {
                return Ok((batch.position < end).then_some(batch));
            }
            index.position_floor(offset)
        };
        let mut scan = HeaderScan::new(Arc::clone(&opened.file), floor.min(end), end);
        while let Some((position, header)) = scan.next()? {
            if header.last_offset() >= offset {
                return Ok(Some(PlacedBatch::new(&header, position)));
            }
        }
        Ok(None)
    }

    /// The batches of `range` that are in this segment, in one piece. [`Piece::Full`] when the
    /// reader wants no more.
    pub(super) fn read(&self, opened: &Opened, range: &ReadRange) -> io::Result<Piece> {
        let stat = self.stat();
        let Some(first) = Segment::locate(opened, stat.bytes, range.from)? else {
            return Ok(Piece::Nothing);
        };
        let start = first.position;
        if first.last_offset >= range.end {
            return Ok(Piece::Full);
        }
        let stop = if range.end >= stat.end {
            stat.bytes
        } else {
            Segment::locate(opened, stat.bytes, range.end)?
                .map_or(stat.bytes, |batch| batch.position)
        };
        let wanted = start.saturating_add(range.bytes_max as u64);
        if wanted >= stop {
            let slice = opened.file.slice(start, (stop - start) as usize)?;
            return Ok(Piece::Some(slice));
        }
        let mut cut = Segment::boundary_at_or_before(opened, start, stop, wanted)?;
        if cut == start {
            match range.first_batch {
                FirstBatch::Always => cut = start + first.bytes,
                FirstBatch::WithinLimit => return Ok(Piece::Full),
            }
        }
        let slice = opened.file.slice(start, (cut - start) as usize)?;
        Ok(Piece::Last(slice))
    }

    /// The last batch boundary not above `wanted`, from the batch at `start` on.
    fn boundary_at_or_before(
        opened: &Opened,
        start: u64,
        stop: u64,
        wanted: u64,
    ) -> io::Result<u64> {
        let floor = opened.index().batch_floor(wanted).max(start);
        let mut scan = HeaderScan::new(Arc::clone(&opened.file), floor, stop);
        let mut boundary = floor;
        while let Some((position, header)) = scan.next()? {
            let batch_end = position + header.total_bytes() as u64;
            if batch_end > wanted {
                break;
            }
            boundary = batch_end;
        }
        Ok(boundary)
    }

    fn lock_stat(&self) -> MutexGuard<'_, SegmentStat> {
        self.stat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_handle(&self) -> MutexGuard<'_, Handle> {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a segment has for a reader.
#[derive(Debug)]
pub(super) enum Piece {
    /// Nothing at or above the offset: look in the next segment.
    Nothing,
    Some(Slice),
    /// As `Some`, and the reader wants no more.
    Last(Slice),
    /// Nothing more for this reader.
    Full,
}

/// The index from its files, or from the batches when the files are no good.
pub(super) fn load_index(
    fs: &dyn Fs,
    dir: &Path,
    stat: &SegmentStat,
    file: &Arc<dyn FsFile>,
    pace: IndexPace,
) -> io::Result<Index> {
    if let Some(index) = read_index(fs, dir, stat.base, stat.bytes)? {
        return Ok(index);
    }
    let mut index = Index::new(stat.base);
    let mut scan = HeaderScan::new(Arc::clone(file), 0, stat.bytes);
    while let Some((position, header)) = scan.next()? {
        index.add(&header, position, pace);
    }
    Ok(index)
}

/// The index from its files, when both are there and make sense.
pub(super) fn read_index(
    fs: &dyn Fs,
    dir: &Path,
    base: Offset,
    bytes: u64,
) -> io::Result<Option<Index>> {
    if bytes == 0 {
        return Ok(Some(Index::new(base)));
    }
    let offsets = fs::read_whole(fs, &names::offset_index_path(dir, base))?;
    let times = fs::read_whole(fs, &names::time_index_path(dir, base))?;
    let (Some(offsets), Some(times)) = (offsets, times) else {
        return Ok(None);
    };
    Ok(Index::parse(base, &offsets, &times, bytes))
}
