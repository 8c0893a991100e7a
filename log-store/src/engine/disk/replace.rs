//! Putting one segment in the place of several: what compaction does to the files. Kafka's
//! `LocalLog.replaceSegments`.
//!
//! ```text
//! 1  <base>.log.cleaned, and its indexes, are written and synced
//! 2  .cleaned becomes .swap, and the names are synced: from here on a crash does not undo it
//! 3  readers see the new segment
//! 4  the old files are removed, .swap goes from the names, and the names are synced
//! ```
//! [`swap::finish`](super::swap::finish) is what opening does when a crash came in between.

use std::io::{self, IoSlice};
use std::ops::{Bound, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fs::{self, Fs, FsFile, OpenMode};
use super::index::Index;
use super::names::{self, CLEANED_SUFFIX, SWAP_SUFFIX};
use super::segment::{Opened, Segment};
use super::{DiskEngine, lock, txn_index};
use crate::batch::Batch;
use crate::engine::{
    Fill, Filled, IndexPace, ReplaceError, Replaced, SegmentRange, SegmentSink, SegmentStat,
};
use crate::partition::AbortedTxn;

/// Bytes that are collected before they are written.
const WRITE_BYTES: usize = 1 << 20;

/// No segment is longer, or its positions would not fit in an index as Kafka reads it.
const SEGMENT_BYTES_MAX: u64 = i32::MAX as u64;

impl DiskEngine {
    pub(super) fn replace_segments(
        &self,
        range: SegmentRange,
        pace: IndexPace,
        fill: &mut Fill<'_>,
    ) -> Result<Replaced, ReplaceError> {
        let Some(old) = self.sealed_segments(range) else {
            return Ok(Replaced::NotNow);
        };
        let staged = match self.stage(range, pace, &old, fill) {
            Ok(Some(staged)) => staged,
            Ok(None) => {
                self.discard(range);
                return Ok(Replaced::NotNow);
            }
            Err(error) => {
                self.discard(range);
                return Err(ReplaceError::Unchanged(error));
            }
        };
        let reshaping = lock(&self.reshaping);
        if reshaping.is_retired {
            // The files may be another's by now; opening the log removes what is left over.
            return Ok(Replaced::NotNow);
        }
        let is_unchanged = self.sealed_segments(range).is_some_and(|now| {
            now.len() == old.len() && now.iter().zip(&old).all(|(a, b)| Arc::ptr_eq(a, b))
        });
        if !is_unchanged {
            drop(reshaping);
            self.discard(range);
            return Ok(Replaced::NotNow);
        }
        self.change();
        self.swap(staged, &old, range)
            .map_err(ReplaceError::Unknown)?;
        Ok(Replaced::Done)
    }

    /// The sealed segments of `range`; `None` when it does not begin or end where segments do.
    fn sealed_segments(&self, range: SegmentRange) -> Option<Vec<Arc<Segment>>> {
        let segments = self.read_segments();
        let places = places(&segments, range)?;
        Some(segments[places].to_vec())
    }

    /// Writes the new segment beside the old ones. `None` when it is not wanted any more.
    fn stage(
        &self,
        range: SegmentRange,
        pace: IndexPace,
        old: &[Arc<Segment>],
        fill: &mut Fill<'_>,
    ) -> io::Result<Option<Staged>> {
        let modified_ms = old.last().map_or(0, |last| last.stat().modified_ms);
        let mut staged = Staged::begin(&*self.fs, &self.dir, range, pace, modified_ms)?;
        let Filled::Completely { aborted } = fill(&mut staged)? else {
            return Ok(None);
        };
        staged.finish(&*self.fs, &self.dir, &aborted)?;
        Ok(Some(staged))
    }

    fn swap(&self, staged: Staged, old: &[Arc<Segment>], range: SegmentRange) -> io::Result<()> {
        let fs = &*self.fs;
        for path in &staged.paths {
            fs.rename(
                &fs::with_suffix(path, CLEANED_SUFFIX),
                &fs::with_suffix(path, SWAP_SUFFIX),
            )?;
        }
        self.sync_directory()?;

        let new = Arc::new(Segment::new(&self.dir, staged.stat));
        // Open until its files have the names by which they are opened.
        new.set_opened(Opened::new(staged.file, staged.index));
        {
            let mut segments = self.write_segments();
            let places = places(&segments, range).expect("nobody else changes sealed segments");
            segments.splice(places, [Arc::clone(&new)]);
            for segment in old {
                segment.leave();
            }
        }
        lock(&self.sealed_open).retain(|open| !open.is_gone());

        for segment in old {
            segment.remove(fs)?;
        }
        for path in &staged.paths {
            fs.rename(&fs::with_suffix(path, SWAP_SUFFIX), path)?;
        }
        self.sync_directory()?;
        self.remove_snapshots((Bound::Excluded(range.base), Bound::Excluded(range.end)))?;
        new.close();
        Ok(())
    }

    /// Not the names alone: that of the active segment must not last before what precedes it does.
    fn sync_directory(&self) -> io::Result<()> {
        self.sync_later([]);
        self.sync_written().map(|_| ())
    }

    /// Removes what was staged. What cannot be removed now is, when the log is opened again or the
    /// range compacted once more.
    fn discard(&self, range: SegmentRange) {
        let reshaping = lock(&self.reshaping);
        if reshaping.is_retired {
            return;
        }
        for path in names::segment_paths(&self.dir, range.base) {
            let _ = fs::remove_if_there(&*self.fs, &fs::with_suffix(&path, CLEANED_SUFFIX));
        }
    }
}

/// Where the sealed segments of `range` are among all segments.
fn places(segments: &[Arc<Segment>], range: SegmentRange) -> Option<Range<usize>> {
    let sealed = &segments[..segments.len() - 1];
    let first = sealed
        .binary_search_by_key(&range.base, |segment| segment.base())
        .ok()?;
    let after = sealed.partition_point(|segment| segment.base() < range.end);
    let ends_there = sealed[..after].last()?.stat().end == range.end;
    (ends_there && first < after).then_some(first..after)
}

/// A segment that is being made.
struct Staged {
    range: SegmentRange,
    pace: IndexPace,
    file: Arc<dyn FsFile>,
    index: Index,
    /// Counts what is in the buffer as well.
    stat: SegmentStat,
    buffer: Vec<u8>,
    /// Of its files, under the names that they will have; the batches first.
    paths: Vec<PathBuf>,
}

impl Staged {
    fn begin(
        fs: &dyn Fs,
        dir: &Path,
        range: SegmentRange,
        pace: IndexPace,
        modified_ms: i64,
    ) -> io::Result<Staged> {
        let path = names::log_path(dir, range.base);
        let staged_path = fs::with_suffix(&path, CLEANED_SUFFIX);
        Ok(Staged {
            range,
            pace,
            file: fs.open(&staged_path, OpenMode::Replace)?,
            index: Index::new(range.base),
            stat: SegmentStat::empty(range.base, modified_ms),
            buffer: Vec::new(),
            paths: vec![path],
        })
    }

    /// Writes everything else that belongs to the segment, and makes all of it last but the names.
    fn finish(&mut self, fs: &dyn Fs, dir: &Path, aborted: &[AbortedTxn]) -> io::Result<()> {
        self.write_buffer()?;
        self.index.seal();
        self.index.describe(&mut self.stat);
        self.stat.end = self.range.end;
        self.file.sync()?;
        self.file.set_modified_ms(self.stat.modified_ms)?;
        let base = self.range.base;
        let txns: Vec<u8> = aborted.iter().flat_map(txn_index::encode).collect();
        let mut others = vec![
            (
                names::offset_index_path(dir, base),
                self.index.offset_bytes(),
            ),
            (names::time_index_path(dir, base), self.index.time_bytes()),
        ];
        if !txns.is_empty() {
            others.push((names::txn_index_path(dir, base), txns));
        }
        for (path, bytes) in others {
            fs::write_whole(fs, &fs::with_suffix(&path, CLEANED_SUFFIX), &bytes)?.sync()?;
            self.paths.push(path);
        }
        Ok(())
    }

    fn write_buffer(&mut self) -> io::Result<()> {
        let position = self.stat.bytes - self.buffer.len() as u64;
        fs::write_all_at(&*self.file, &mut [IoSlice::new(&self.buffer)], position)?;
        self.buffer.clear();
        Ok(())
    }
}

impl SegmentSink for Staged {
    fn push(&mut self, batch: &Batch) -> io::Result<()> {
        let header = batch.header();
        assert!(header.base_offset >= self.stat.end);
        assert!(header.end_offset() <= self.range.end);
        let batch_bytes = header.total_bytes() as u64;
        if self.stat.bytes + batch_bytes > SEGMENT_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if self.stat.bytes == 0 {
            self.stat.first_timestamp_ms = header.max_timestamp_ms;
        }
        self.index.add(header, self.stat.bytes, self.pace);
        self.stat.bytes += batch_bytes;
        self.stat.end = header.end_offset();
        self.buffer.extend_from_slice(batch.bytes());
        if self.buffer.len() >= WRITE_BYTES {
            self.write_buffer()?;
        }
        Ok(())
    }
}
