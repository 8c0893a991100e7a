//! Files that are open at the same time: no more than a limit, however many logs there are.
//!
//! A file that nobody has used for a while is closed behind its owner's back, and opened again by its path when it is
//! needed. One that was written since its last sync is synced first, since an error of the disk would be lost with the
//! handle. One whose path leads elsewhere by now, because it was renamed or replaced, is never closed.

use std::collections::VecDeque;
use std::fmt;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Looks at so many files to find one that can be closed. When all are in use the limit is exceeded, rather than anybody
/// made to wait.
const LOOKS_MAX: usize = 64;

/// The limit, shared by everybody who keeps to it. Clones share it.
#[derive(Clone)]
pub struct OpenFiles(Arc<Registry>);

struct Registry {
    count_max: usize,
    count: AtomicUsize,
    /// Open files, those that were opened or found in use last at the back.
    ring: Mutex<VecDeque<Weak<Managed>>>,
}

impl OpenFiles {
    /// Keeps to `count_max` open files, as far as there are idle ones to close.
    pub fn at_most(count_max: usize) -> OpenFiles {
        OpenFiles(Arc::new(Registry {
            count_max: count_max.max(1),
            count: AtomicUsize::new(0),
            ring: Mutex::default(),
        }))
    }

    /// How many are open now.
    pub fn count(&self) -> usize {
        self.0.count.load(Ordering::Relaxed)
    }

    /// Takes a file that was just opened at `path` into care.
    pub(super) fn manage(
        &self,
        path: &Path,
        file: File,
        is_written: bool,
    ) -> io::Result<Arc<Managed>> {
        self.make_room();
        let managed = Arc::new(Managed {
            files: self.clone(),
            path: path.to_owned(),
            id: FileId::of(&file.metadata()?),
            is_written,
            is_used: AtomicBool::new(true),
            state: Mutex::new(State {
                file: Some(Arc::new(file)),
                is_dirty: false,
                has_failed: false,
            }),
        });
        self.opened(&managed);
        Ok(managed)
    }

    fn opened(&self, managed: &Arc<Managed>) {
        self.0.count.fetch_add(1, Ordering::Relaxed);
        self.ring().push_back(Arc::downgrade(managed));
    }

    fn make_room(&self) {
        if self.count() < self.0.count_max {
            return;
        }
        let mut ring = self.ring();
        // Twice around: whoever was in use at the first look may be idle at the second.
        for _ in 0..LOOKS_MAX.min(2 * ring.len()) {
            let Some(oldest) = ring.pop_front() else {
                return;
            };
            let Some(managed) = oldest.upgrade() else {
                continue;
            };
            if managed.close_if_idle() {
                return;
            }
            ring.push_back(oldest);
        }
    }

    fn ring(&self) -> MutexGuard<'_, VecDeque<Weak<Managed>>> {
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for OpenFiles {
    fn default() -> OpenFiles {
        OpenFiles::at_most(usize::MAX)
    }
}

impl fmt::Debug for OpenFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenFiles({} of {})", self.count(), self.0.count_max)
    }
}

/// A file that may be closed while nobody uses it.
pub(super) struct Managed {
    files: OpenFiles,
    path: PathBuf,
    id: FileId,
    is_written: bool,
    /// It was used since the last look.
    is_used: AtomicBool,
    state: Mutex<State>,
}

struct State {
    file: Option<Arc<File>>,
    /// Something was written that no sync has covered.
    is_dirty: bool,
    /// A sync has failed: what was written may be lost, and no later sync may say otherwise.
    has_failed: bool,
}

impl Managed {
    /// The file, opened again if need be.
    ///
    /// # Errors
    /// Those of the disk; `NotFound` when the path leads to another file by now.
    pub(super) fn file(self: &Arc<Managed>) -> io::Result<Arc<File>> {
        self.file_of(self.lock())
    }

    fn file_of(self: &Arc<Managed>, mut state: MutexGuard<'_, State>) -> io::Result<Arc<File>> {
        self.is_used.store(true, Ordering::Relaxed);
        if let Some(file) = &state.file {
            return Ok(Arc::clone(file));
        }
        self.files.make_room();
        let file = File::options()
            .read(true)
            .write(self.is_written)
            .open(&self.path)?;
        if FileId::of(&file.metadata()?) != self.id {
            return Err(io::ErrorKind::NotFound.into());
        }
        let file = Arc::new(file);
        state.file = Some(Arc::clone(&file));
        drop(state);
        self.files.opened(self);
        Ok(file)
    }

    /// The file, to be written.
    pub(super) fn file_to_write(self: &Arc<Managed>) -> io::Result<Arc<File>> {
        let mut state = self.lock();
        // Without the file there is a write that fails, and a sync that need not cover it does no harm.
        state.is_dirty = true;
        self.file_of(state)
    }

    /// fdatasync.
    ///
    /// # Errors
    /// Those of the disk, now and for ever: what a failed sync has lost is not brought back by another one.
    pub(super) fn sync(self: &Arc<Managed>) -> io::Result<()> {
        let file = self.file()?;
        {
            let mut state = self.lock();
            if state.has_failed {
                return Err(io::Error::other("an earlier sync of the file has failed"));
            }
            // Before the sync: what is written meanwhile is dirty again.
            state.is_dirty = false;
        }
        file.sync_data().inspect_err(|_| {
            let mut state = self.lock();
            state.has_failed = true;
            state.is_dirty = true;
        })
    }

    /// Closes the file unless it is in use.
    fn close_if_idle(&self) -> bool {
        if self.is_used.swap(false, Ordering::Relaxed) {
            return false;
        }
        let Ok(mut state) = self.state.try_lock() else {
            return false;
        };
        let Some(file) = &state.file else {
            return false;
        };
        let is_there = || {
            let found = std::fs::metadata(&self.path);
            found.is_ok_and(|found| FileId::of(&found) == self.id)
        };
        if state.has_failed || Arc::strong_count(file) > 1 || !is_there() {
            return false;
        }
        if state.is_dirty && file.sync_data().is_err() {
            state.has_failed = true;
            return false;
        }
        state.is_dirty = false;
        state.file = None;
        self.files.0.count.fetch_sub(1, Ordering::Relaxed);
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        if self.lock().file.is_some() {
            self.files.0.count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Managed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())
    }
}

/// What tells one file from another that has taken its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    #[cfg(unix)]
    fn of(metadata: &Metadata) -> FileId {
        use std::os::unix::fs::MetadataExt;
        FileId {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }

    #[cfg(not(unix))]
    fn of(_metadata: &Metadata) -> FileId {
        FileId {
            device: 0,
            inode: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use super::super::fs::{Fs, OpenMode, OsFs, write_all_at};
    use super::*;

    const COUNT_MAX: usize = 8;

    fn write(file: &dyn super::super::fs::FsFile, text: &str, position: u64) {
        write_all_at(file, &mut [IoSlice::new(text.as_bytes())], position).expect("it is written");
    }

    fn read(file: &dyn super::super::fs::FsFile) -> String {
        let mut buffer = [0; 64];
        let bytes = file.read_at(&mut buffer, 0).expect("it is read");
        String::from_utf8_lossy(&buffer[..bytes]).into_owned()
    }

    #[test]
    fn many_files_are_written_through_few_handles() {
        let dir = tempfile::tempdir().expect("a directory");
        let open_files = OpenFiles::at_most(COUNT_MAX);
        let fs = OsFs::new(open_files.clone());
        let open = |name: usize| {
            let path = dir.path().join(name.to_string());
            fs.open(&path, OpenMode::Create).expect("it opens")
        };
        let files: Vec<_> = (0..10 * COUNT_MAX).map(open).collect();
        for round in 0..3 {
            for (name, file) in files.iter().enumerate() {
                write(&**file, &format!("{name:04}"), round * 4);
                assert!(open_files.count() <= COUNT_MAX);
            }
        }
        for (name, file) in files.iter().enumerate() {
            assert_eq!(read(&**file), format!("{name:04}").repeat(3));
            file.sync().expect("it is synced");
        }
        drop(files);
        assert_eq!(open_files.count(), 0);
    }

    #[test]
    fn a_slice_outlives_the_handle_and_the_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let open_files = OpenFiles::at_most(1);
        let fs = OsFs::new(open_files);
        let path = dir.path().join("log");
        let file = fs.open(&path, OpenMode::Create).expect("it opens");
        write(&*file, "kept", 0);
        let slice = file.slice(0, 4).expect("a slice");
        let other = dir.path().join("other");
        let other = fs.open(&other, OpenMode::Create).expect("it opens");
        write(&*other, "else", 0);
        fs.remove_file(&path).expect("it is removed");
        assert_eq!(&slice.read_to_bytes().expect("the bytes")[..], b"kept");
    }

    #[test]
    fn a_file_that_lost_its_name_stays_open_and_nobody_reads_another_in_its_place() {
        let dir = tempfile::tempdir().expect("a directory");
        let fs = OsFs::new(OpenFiles::at_most(1));
        let path = |name: &str| dir.path().join(name);
        let renamed = fs.open(&path("a"), OpenMode::Create).expect("it opens");
        write(&*renamed, "first", 0);
        fs.rename(&path("a"), &path("b")).expect("it is renamed");
        let closed = fs.open(&path("c"), OpenMode::Create).expect("it opens");
        write(&*closed, "closed", 0);
        for _ in 0..2 {
            let name = path("d");
            let opened = fs.open(&name, OpenMode::Create).expect("it opens");
            write(&*opened, "more", 0);
        }
        // `c` was closed; another file takes its name, and is not what its owner sees.
        fs.rename(&path("d"), &path("c")).expect("it is renamed");
        assert_eq!(read(&*renamed), "first");
        let seen = closed.read_at(&mut [0; 16], 0);
        assert_eq!(seen.expect_err("not there").kind(), io::ErrorKind::NotFound);
    }
}
