//! Writing: batches behind batches, segments behind segments, and making all of it last.

use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::fs;
use super::index::Index;
use super::segment::Segment;
use super::{DiskEngine, Unsaved, checkpoint, lock, names};
use crate::Offset;
use crate::batch::StampedBatch;
use crate::engine::{Engine, IndexPace};

impl DiskEngine {
    pub(super) fn write_batches(
        &self,
        batches: &[StampedBatch],
        pace: IndexPace,
    ) -> io::Result<()> {
        let (Some(first), Some(last)) = (batches.first(), batches.last()) else {
            return Ok(());
        };
        assert!(first.header().base_offset >= self.end());
        self.change();
        let segment = self.active();
        let opened = self.open_to_write(&segment)?;
        let position = segment.stat().bytes;
        let written = match batches {
            // What nobody else's batch goes out with needs no list.
            [only] => fs::write_all_at(&*opened.file, &mut pieces_of(only), position),
            batches => {
                let mut pieces: Vec<IoSlice<'_>> = batches.iter().flat_map(pieces_of).collect();
                fs::write_all_at(&*opened.file, &mut pieces, position)
            }
        };
        if let Err(error) = written {
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

    pub(super) fn begin_segment(
        &self,
        base: Offset,
        producers: &[u8],
        now_ms: i64,
    ) -> io::Result<()> {
        assert!(base >= self.end());
        self.change();
        let sealed = self.active();
        if sealed.base() == base {
            return Ok(());
        }
        let _naming = lock(&self.naming);
        self.write_snapshot(base, producers)?;
        let new = Arc::new(Segment::empty(&self.dir, base, now_ms));
        new.open(&*self.fs, self.pace)?;
        self.save_active_index(&sealed)?;
        sealed.set_end(base);
        // Only now: a sync finds the sealed segment as the active one, or among the files above.
        self.write_segments().push(new);
        self.end.store(base.0, Ordering::Release);
        if sealed.opened().is_some() {
            self.keep_open(sealed);
        }
        Ok(())
    }

    pub(super) fn sync_written(&self) -> io::Result<Offset> {
        let _one_at_a_time = lock(&self.syncing);
        let end = self.end();
        let (unsaved, active) = {
            let mut unsaved = lock(&self.unsaved);
            (std::mem::take(&mut *unsaved), self.active())
        };
        unsaved.names.sync_files(&*self.fs)?;
        if self.durable_end() < end
            && let Some(opened) = active.opened()
        {
            opened.file.sync()?;
        }
        if !unsaved.names.dirs.is_empty() || unsaved.epochs.is_some() {
            self.sync_names(unsaved)?;
        }
        self.durable_end.fetch_max(end.0, Ordering::AcqRel);
        Ok(end)
    }

    /// Makes the names in the log's directory last, once the bytes are that must last before them.
    fn sync_names(&self, mut unsaved: Unsaved) -> io::Result<()> {
        let _naming = lock(&self.naming);
        // A segment may have been sealed since.
        let late = std::mem::take(&mut *lock(&self.unsaved));
        late.names.sync_files(&*self.fs)?;
        unsaved.names.dirs.extend(late.names.dirs);
        unsaved.names.sync_dirs(&*self.fs)?;
        if let Some(epochs) = late.epochs.or(unsaved.epochs) {
            let path = self.dir.join(names::EPOCHS_FILE);
            checkpoint::write_epochs(&*self.fs, &path, &epochs)?;
        }
        Ok(())
    }

    /// The next sync covers these files, and the names in the log's directory.
    pub(super) fn sync_later(&self, files: impl IntoIterator<Item = PathBuf>) {
        let mut unsaved = lock(&self.unsaved);
        unsaved.names.files.extend(files);
        unsaved.names.dirs.insert(self.dir.clone());
    }

    pub(super) fn change(&self) {
        self.is_changed.store(true, Ordering::Release);
    }

    pub(super) fn is_changed(&self) -> bool {
        self.is_changed.load(Ordering::Acquire)
    }

    /// Closes the index of what is the active segment and writes it.
    pub(super) fn save_active_index(&self, segment: &Segment) -> io::Result<()> {
        let Some(opened) = segment.opened() else {
            return Ok(());
        };
        if segment.stat().bytes == 0 {
            return Ok(());
        }
        let mut index: Index = opened.index().clone();
        index.seal();
        let files = segment.save_index(&*self.fs, &index)?;
        self.sync_later(files);
        self.sync_later([segment.log_path()]);
        Ok(())
    }
}

fn pieces_of(batch: &StampedBatch) -> [IoSlice<'_>; 2] {
    [IoSlice::new(batch.prefix()), IoSlice::new(batch.rest())]
}
