//! The files of the metadata log: segments, of which the last one grows, and the snapshots that stand for old ones.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use klamm_log_store::batch::Batch;

use super::directory::{self, Listing, SnapshotId};
use super::replay::Replay;
use super::scan::{Refusal, Scan, cut, scan};
use super::snapshot::{self, SnapshotFile};
use super::{Durability, OpenError};
use crate::config::MetadataLogConfig;

/// The directory of the log, open for appending to its last segment.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    durability: Durability,
    config: MetadataLogConfig,
    /// The segments that take no more batches, in the order of their offsets.
    closed: Vec<ClosedSegment>,
    active: ActiveSegment,
    /// In order of age.
    snapshots: Vec<SnapshotFile>,
    /// Records below this offset are only there because they share a segment with later ones.
    start_offset: i64,
}

#[derive(Debug)]
struct ClosedSegment {
    base_offset: i64,
    bytes: u64,
}

#[derive(Debug)]
struct ActiveSegment {
    file: File,
    base_offset: i64,
    /// Where the next batch goes: the end of the last whole batch.
    position_end: u64,
    /// The time of the first batch; none while there is none.
    first_timestamp_ms: Option<i64>,
}

/// Why a batch was not appended.
#[derive(Debug)]
pub(super) enum AppendError {
    /// Nothing of it is in the log.
    TakenBack(io::Error),
    /// It is not known what of it is in the log.
    Unknown(io::Error),
}

impl From<AppendError> for io::Error {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::TakenBack(error) | AppendError::Unknown(error) => error,
        }
    }
}

/// Bytes of a memory page on every machine that matters.
const PAGE_BYTES_MAX: u64 = 64 * 1024;

/// Files that retention no longer keeps.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Expired {
    pub(super) snapshots: Vec<SnapshotId>,
    /// Base offsets.
    pub(super) segments: Vec<i64>,
}

impl Files {
    /// Reads the directory into `replay` and opens its last segment, having cut off what a crash left half-written.
    pub(super) fn open(
        directory: &Path,
        durability: Durability,
        config: MetadataLogConfig,
        replay: &mut Replay<'_>,
    ) -> Result<Self, OpenError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| OpenError::Io { path, error }
        };
        fs::create_dir_all(directory).map_err(at(directory))?;
        let Listing {
            mut segments,
            snapshots,
        } = directory::list(directory).map_err(at(directory))?;
        let snapshots = open_snapshots(directory, snapshots, replay)?;
        let Some(last) = segments.pop() else {
            return Self::begin(directory, durability, config, snapshots, replay);
        };
        let mut closed = Vec::new();
        for (index, base_offset) in segments.iter().enumerate() {
            let end_offset = segments.get(index + 1).copied().unwrap_or(last);
            let path = directory::segment_path(directory, *base_offset);
            // A snapshot stands for the whole of the segment.
            let bytes = if end_offset <= replay.next_offset() {
                fs::metadata(&path).map_err(at(&path))?.len()
            } else {
                scan(&path, |batch| log_batch(batch, replay))?
                    .whole(&path)?
                    .position_end
            };
            closed.push(ClosedSegment {
                base_offset: *base_offset,
                bytes,
            });
        }
        let (active, end_offset) = open_active(directory, last, replay)?;
        let start_offset = closed.first().map_or(last, |first| first.base_offset);
        let mut files = Self {
            directory: directory.to_owned(),
            durability,
            config,
            closed,
            active,
            snapshots,
            start_offset,
        };
        if end_offset < replay.next_offset() {
            files
                .start_after_snapshot(replay.next_offset())
                .map_err(at(directory))?;
        }
        files.forget_unusable_snapshots().map_err(at(directory))?;
        Ok(files)
    }

    /// A log without a segment begins where its snapshot ends.
    fn begin(
        directory: &Path,
        durability: Durability,
        config: MetadataLogConfig,
        snapshots: Vec<SnapshotFile>,
        replay: &Replay<'_>,
    ) -> Result<Self, OpenError> {
        let base_offset = replay.next_offset();
        let create = || -> io::Result<File> {
            let file = create_segment(directory, base_offset)?;
            // The same holds for the directory as for the file in it: it is there after a crash when its parent is synced.
            directory
                .parent()
                .map_or(Ok(()), directory::sync_directory)?;
            Ok(file)
        };
        let file = create().map_err(|error| OpenError::Io {
            path: directory.to_owned(),
            error,
        })?;
        Ok(Self {
            directory: directory.to_owned(),
            durability,
            config,
            closed: Vec::new(),
            active: ActiveSegment::new(file, base_offset),
            snapshots,
            start_offset: base_offset,
        })
    }

    /// The newest snapshot is ahead of the log, which has nothing to add to it: a follower has fetched the one and was
    /// stopped before it could cut the other.
    fn start_after_snapshot(&mut self, offset: i64) -> io::Result<()> {
        let file = create_segment(&self.directory, offset)?;
        let behind = std::mem::replace(&mut self.active, ActiveSegment::new(file, offset));
        for segment in self.closed.drain(..) {
            directory::remove_segment(&self.directory, segment.base_offset)?;
        }
        directory::remove_segment(&self.directory, behind.base_offset)?;
        self.start_offset = offset;
        Ok(())
    }

    /// A snapshot that ends before the log begins leads nowhere.
    fn forget_unusable_snapshots(&mut self) -> io::Result<()> {
        let start_offset = self.start_offset;
        let is_unusable = |file: &SnapshotFile| file.id.offset_end < start_offset;
        for file in self.snapshots.iter().filter(|file| is_unusable(file)) {
            fs::remove_file(file.id.path(&self.directory))?;
        }
        self.snapshots.retain(|file| !is_unusable(file));
        Ok(())
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn durability(&self) -> Durability {
        self.durability
    }

    /// Appends one batch; when this returns it is durable.
    pub(super) fn append(&mut self, batch: &Batch) -> Result<(), AppendError> {
        if self.is_time_to_roll(batch) {
            self.roll(batch.header().base_offset.0)
                .map_err(AppendError::TakenBack)?;
        }
        let bytes = batch.bytes();
        let written = self
            .active
            .file
            .write_all_at(bytes, self.active.position_end)
            .and_then(|()| self.sync_active());
        if let Err(error) = written {
            return Err(match self.take_back() {
                Ok(()) => AppendError::TakenBack(error),
                Err(_) => AppendError::Unknown(error),
            });
        }
        let active = &mut self.active;
        active.position_end += bytes.len() as u64;
        active
            .first_timestamp_ms
            .get_or_insert(batch.header().max_timestamp_ms);
        Ok(())
    }

    /// Cuts off what came of an append that failed. After a failed sync the kernel takes the pages of the batch for
    /// written, and the page in which the log ended before is one of them: it is written again.
    pub(super) fn take_back(&self) -> io::Result<()> {
        let ActiveSegment {
            file, position_end, ..
        } = &self.active;
        file.set_len(*position_end)?;
        let page_start = position_end - position_end % PAGE_BYTES_MAX;
        let mut page = vec![0; (position_end - page_start) as usize];
        file.read_exact_at(&mut page, page_start)?;
        file.write_all_at(&page, page_start)?;
        self.sync_active()
    }

    fn sync_active(&self) -> io::Result<()> {
        match self.durability {
            Durability::Disk => self.active.file.sync_data(),
            Durability::PageCache => Ok(()),
        }
    }

    /// Whether the active segment is too large or too old for another batch (`LogSegment.shouldRoll`).
    fn is_time_to_roll(&self, batch: &Batch) -> bool {
        let Some(first_ms) = self.active.first_timestamp_ms else {
            return false;
        };
        let bytes = self.active.position_end + batch.bytes().len() as u64;
        let age_ms = batch.header().max_timestamp_ms.saturating_sub(first_ms);
        bytes > self.config.segment_bytes || age_ms > self.config.segment_ms
    }

    /// Begins a new segment. The old one is complete and, with every batch of it, durable.
    fn roll(&mut self, base_offset: i64) -> io::Result<()> {
        let file = create_segment(&self.directory, base_offset)?;
        let full = std::mem::replace(&mut self.active, ActiveSegment::new(file, base_offset));
        self.closed.push(ClosedSegment {
            base_offset: full.base_offset,
            bytes: full.position_end,
        });
        Ok(())
    }

    pub(super) fn has_snapshot(&self, id: SnapshotId) -> bool {
        self.snapshots.iter().any(|file| file.id == id)
    }

    /// Enters a snapshot that has been written. It is the newest.
    pub(super) fn add_snapshot(&mut self, file: SnapshotFile) {
        self.snapshots.push(file);
    }

    /// When the oldest snapshot will be too old, in milliseconds since the Unix epoch; none while it is the only one.
    pub(super) fn retention_ends_ms(&self) -> Option<i64> {
        let retention_ms = self.config.retention_ms?;
        match self.snapshots.as_slice() {
            [oldest, _, ..] => Some(oldest.log_timestamp_ms.saturating_add(retention_ms)),
            _ => None,
        }
    }

    /// Takes files off the books that are too many or too old, for [`Expired::remove`] to delete. The newest snapshot
    /// and all that is behind it always stay, and the log goes only up to a snapshot (`KafkaRaftLog.maybeClean`).
    pub(super) fn expire(&mut self, now_ms: i64) -> Expired {
        let mut expired = Expired::default();
        while let [oldest, next, ..] = self.snapshots.as_slice() {
            let (oldest, next) = (*oldest, *next);
            let is_too_large = self
                .config
                .retention_bytes
                .is_some_and(|bytes_max| self.bytes() > bytes_max);
            let is_too_old = self
                .config
                .retention_ms
                .is_some_and(|age_ms| now_ms.saturating_sub(oldest.log_timestamp_ms) > age_ms);
            if !(is_too_large || is_too_old) {
                break;
            }
            self.snapshots.remove(0);
            expired.snapshots.push(oldest.id);
            self.start_offset = self.start_offset.max(next.id.offset_end);
            while let Some(end_offset) = self.first_closed_end()
                && end_offset <= self.start_offset
            {
                expired.segments.push(self.closed.remove(0).base_offset);
            }
        }
        expired
    }

    /// Where the first segment ends, unless it is the active one.
    fn first_closed_end(&self) -> Option<i64> {
        match self.closed.as_slice() {
            [] => None,
            [_] => Some(self.active.base_offset),
            [_, second, ..] => Some(second.base_offset),
        }
    }

    /// Segments and snapshots together.
    fn bytes(&self) -> u64 {
        let segments: u64 = self.closed.iter().map(|segment| segment.bytes).sum();
        let snapshots: u64 = self.snapshots.iter().map(|file| file.bytes).sum();
        segments + self.active.position_end + snapshots
    }
}

impl Expired {
    /// Deletes the files, the oldest first: what a crash leaves is again a log without a gap.
    pub(super) fn remove(&self, directory: &Path) -> io::Result<()> {
        for id in &self.snapshots {
            directory::remove_if_there(&id.path(directory))?;
        }
        for base_offset in &self.segments {
            directory::remove_segment(directory, *base_offset)?;
        }
        Ok(())
    }
}

impl ActiveSegment {
    fn new(file: File, base_offset: i64) -> Self {
        Self {
            file,
            base_offset,
            position_end: 0,
            first_timestamp_ms: None,
        }
    }
}

/// Reads the newest snapshot, and looks at the others.
fn open_snapshots(
    directory: &Path,
    mut ids: Vec<SnapshotId>,
    replay: &mut Replay<'_>,
) -> Result<Vec<SnapshotFile>, OpenError> {
    let Some(newest) = ids.pop() else {
        return Ok(Vec::new());
    };
    let mut files = Vec::new();
    for id in ids {
        let file = snapshot::glance(directory, id).map_err(|error| OpenError::Io {
            path: id.path(directory),
            error,
        })?;
        files.push(file);
    }
    files.push(snapshot::read(directory, newest, replay)?);
    Ok(files)
}

/// Opens the last segment and returns where the log ends.
fn open_active(
    directory: &Path,
    base_offset: i64,
    replay: &mut Replay<'_>,
) -> Result<(ActiveSegment, i64), OpenError> {
    let path = directory::segment_path(directory, base_offset);
    let (mut first_timestamp_ms, mut end_offset) = (None, base_offset);
    let Scan {
        position_end,
        bad_tail,
    } = scan(&path, |batch| {
        first_timestamp_ms.get_or_insert(batch.header().max_timestamp_ms);
        end_offset = batch.header().end_offset().0;
        log_batch(batch, replay)
    })?;
    let io = |error| OpenError::Io {
        path: path.clone(),
        error,
    };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .map_err(io)?;
    if let Some(reason) = bad_tail {
        cut(&file, &path, position_end, &reason)?;
    }
    // They end before what will be appended here, or are longer than they should be after a crash of Kafka.
    directory::remove_side_files(directory, base_offset).map_err(io)?;
    let active = ActiveSegment {
        file,
        base_offset,
        position_end,
        first_timestamp_ms,
    };
    Ok((active, end_offset))
}

/// Makes an empty segment, durably.
fn create_segment(directory: &Path, base_offset: i64) -> io::Result<File> {
    // One that an earlier attempt has left is empty.
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(directory::segment_path(directory, base_offset))?;
    directory::sync_directory(directory)?;
    Ok(file)
}

fn log_batch(batch: &Batch, replay: &mut Replay<'_>) -> Result<(), Refusal> {
    let next_offset = replay.next_offset();
    if batch.header().base_offset.0 > next_offset {
        return Err(Refusal::Gap(format!(
            "expected offset {next_offset}, found {}",
            batch.header().base_offset
        )));
    }
    replay.log_batch(batch).map_err(Refusal::from)
}
