//! A file system in memory that can be made to fail, and to lose its power.
//!
//! It keeps two states: what programs see, and what is on the disk. Between them is a journal of
//! changes that have not been synced, in the order in which they were made. A sync of a file
//! applies the file's changes to the disk; a sync of a directory applies the names' changes. When
//! the power goes, a random part of the journal has reached the disk:
//!
//! - [`PowerCut::InOrder`]: the oldest changes, the last one perhaps in part;
//! - [`PowerCut::AnySectors`]: the oldest changes, and some of the sectors that were written later,
//!   so that the others are as they were, or zeros;
//! - [`PowerCut::NamesFirst`]: the oldest changes of names, and some of the sectors of any age, as a
//!   file system leaves them that keeps a journal of names only.

mod image;

use std::collections::BTreeSet;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use self::image::{Change, Image, Node};
use super::fs::{DirEntry, Fs, FsFile, LockGuard, OpenMode};
use crate::slice::Slice;
use crate::testing::Random;

/// What a power cut leaves of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PowerCut {
    InOrder,
    AnySectors,
    NamesFirst,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct SimFs {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    seen: Image,
    disk: Image,
    journal: Vec<Change>,
    last_id: u64,
    locked: BTreeSet<PathBuf>,
    /// Writes that still succeed.
    writes_left: Option<u64>,
    /// Syncs that still succeed.
    syncs_left: Option<u64>,
    /// Calls that still succeed of those that change anything, or make it last.
    calls_left: Option<u64>,
    sync_count: u64,
}

impl State {
    fn change(&mut self, change: Change) {
        self.seen.apply(&change);
        self.journal.push(change);
    }

    /// One call that changes something.
    fn call(&mut self) -> io::Result<()> {
        match &mut self.calls_left {
            Some(0) => Err(io::Error::other("injected failure")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn sync(&mut self, is_covered: impl Fn(&Change) -> bool) -> io::Result<()> {
        self.call()?;
        if let Some(left) = &mut self.syncs_left {
            if *left == 0 {
                // The kernel takes what it could not write for written; later syncs pass it over.
                self.journal.retain(|change| {
                    !matches!(change, Change::Write { .. }) || !is_covered(change)
                });
                return Err(io::Error::other("injected sync failure"));
            }
            *left -= 1;
        }
        self.sync_count += 1;
        let (covered, kept) = self
            .journal
            .drain(..)
            .partition(|change| is_covered(change));
        self.journal = kept;
        let covered: Vec<Change> = covered;
        for change in &covered {
            self.disk.apply(change);
        }
        Ok(())
    }
}

impl SimFs {
    pub(crate) fn new() -> SimFs {
        SimFs::default()
    }

    /// Lets `count` more writes succeed; the next one writes a half and fails, and so do all after
    /// it.
    pub(crate) fn fail_writes_after(&self, count: u64) {
        self.lock_state().writes_left = Some(count);
    }

    /// Lets `count` more syncs succeed, and no more. What a failed one should have made last is seen
    /// by programs until the power goes, and never gets to the disk.
    pub(crate) fn fail_syncs_after(&self, count: u64) {
        self.lock_state().syncs_left = Some(count);
    }

    /// Lets `count` more calls succeed that change anything or make it last, and no more.
    pub(crate) fn fail_calls_after(&self, count: u64) {
        self.lock_state().calls_left = Some(count);
    }

    pub(crate) fn heal(&self) {
        let mut state = self.lock_state();
        state.writes_left = None;
        state.syncs_left = None;
        state.calls_left = None;
    }

    /// Syncs that succeeded.
    pub(crate) fn sync_count(&self) -> u64 {
        self.lock_state().sync_count
    }

    /// The process dies: what it has written stays, its locks go. Returns the file system as the
    /// next process sees it; handles of the old one no longer matter.
    pub(crate) fn kill(&self) -> SimFs {
        let state = self.lock_state();
        SimFs {
            state: Arc::new(Mutex::new(State {
                seen: state.seen.clone(),
                disk: state.disk.clone(),
                journal: state.journal.clone(),
                last_id: state.last_id,
                ..State::default()
            })),
        }
    }

    /// The power goes and comes back.
    pub(crate) fn cut_power(&self, cut: PowerCut, random: &mut Random) -> SimFs {
        let state = self.lock_state();
        let mut disk = state.disk.clone();
        let kept = match cut {
            // Often all of them: the last ones tell the most.
            PowerCut::NamesFirst if random.one_in(2) => state.journal.len(),
            PowerCut::InOrder | PowerCut::AnySectors | PowerCut::NamesFirst => {
                random.below(state.journal.len() as u64 + 1) as usize
            }
        };
        for change in &state.journal[..kept] {
            if cut != PowerCut::NamesFirst || change.file().is_none() {
                disk.apply(change);
            }
        }
        match cut {
            PowerCut::InOrder => {
                if let Some(torn) = state.journal.get(kept) {
                    disk.apply_part(torn, random);
                }
            }
            PowerCut::AnySectors => {
                disk.copy_some_sectors(&state.seen, &state.journal[kept..], random);
            }
            PowerCut::NamesFirst => disk.copy_some_sectors(&state.seen, &state.journal, random),
        }
        disk.drop_orphans();
        SimFs {
            state: Arc::new(Mutex::new(State {
                seen: disk.clone(),
                disk,
                last_id: state.last_id,
                ..State::default()
            })),
        }
    }

    /// The bytes of a file, as programs see them.
    pub(crate) fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.lock_state();
        match state.seen.names.get(path)? {
            Node::File(id) => Some(state.seen.files.get(id).cloned().unwrap_or_default()),
            Node::Dir => None,
        }
    }

    /// Replaces a file's bytes, on the disk as well: damage.
    pub(crate) fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.lock_state();
        let Some(Node::File(id)) = state.seen.names.get(path).copied() else {
            panic!("{} is no file", path.display());
        };
        let mut bytes = state.seen.files.get(&id).cloned().unwrap_or_default();
        change(&mut bytes);
        state.seen.files.insert(id, bytes.clone());
        state.disk.files.insert(id, bytes);
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, path.display().to_string())
}

impl Fs for SimFs {
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.lock_state();
        if state.seen.names.get(dir) != Some(&Node::Dir) {
            return Err(not_found(dir));
        }
        Ok(state
            .seen
            .names
            .iter()
            .filter(|(name, _)| name.parent() == Some(dir))
            .filter_map(|(name, node)| {
                Some(DirEntry {
                    name: name.file_name()?.to_str()?.to_owned(),
                    is_dir: *node == Node::Dir,
                })
            })
            .collect())
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock_state();
        let mut missing: Vec<PathBuf> = dir
            .ancestors()
            .filter(|path| !path.as_os_str().is_empty())
            .filter(|path| !state.seen.names.contains_key(*path))
            .map(Path::to_owned)
            .collect();
        missing.reverse();
        for path in missing {
            state.change(Change::Name {
                path,
                node: Some(Node::Dir),
            });
        }
        Ok(())
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn FsFile>> {
        let mut state = self.lock_state();
        let found = match state.seen.names.get(path) {
            Some(Node::File(id)) => Some(*id),
            Some(Node::Dir) => return Err(io::ErrorKind::IsADirectory.into()),
            None => None,
        };
        let id = match (found, mode) {
            (Some(id), OpenMode::Replace) => {
                state.call()?;
                state.change(Change::SetLen { id, bytes: 0 });
                id
            }
            (Some(id), _) => id,
            (None, OpenMode::Read | OpenMode::Update) => return Err(not_found(path)),
            (None, OpenMode::Create | OpenMode::Replace) => {
                let parent = path.parent().and_then(|dir| state.seen.names.get(dir));
                if parent != Some(&Node::Dir) {
                    return Err(not_found(path));
                }
                state.call()?;
                state.last_id += 1;
                let id = state.last_id;
                state.seen.files.insert(id, Vec::new());
                state.disk.files.insert(id, Vec::new());
                state.change(Change::Name {
                    path: path.to_owned(),
                    node: Some(Node::File(id)),
                });
                id
            }
        };
        Ok(Arc::new(SimFile {
            id,
            path: path.to_owned(),
            fs: self.clone(),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock_state();
        if !state.seen.names.contains_key(from) {
            return Err(not_found(from));
        }
        state.call()?;
        state.change(Change::Rename {
            from: from.to_owned(),
            to: to.to_owned(),
        });
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock_state();
        if !state.seen.names.contains_key(path) {
            return Err(not_found(path));
        }
        state.call()?;
        state.change(Change::Name {
            path: path.to_owned(),
            node: None,
        });
        Ok(())
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.remove_file(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.lock_state().sync(|change| change.is_in(dir))
    }

    fn write_back(&self, _dir: &Path) {}

    fn lock(&self, path: &Path) -> io::Result<Option<LockGuard>> {
        if !self.lock_state().locked.insert(path.to_owned()) {
            return Ok(None);
        }
        Ok(Some(Box::new(SimLock {
            fs: self.clone(),
            path: path.to_owned(),
        })))
    }
}

struct SimLock {
    fs: SimFs,
    path: PathBuf,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.fs.lock_state().locked.remove(&self.path);
    }
}

#[derive(Debug)]
struct SimFile {
    id: u64,
    path: PathBuf,
    fs: SimFs,
}

impl SimFile {
    fn read(&self, position: u64, bytes_max: usize) -> Vec<u8> {
        let state = self.fs.lock_state();
        let file = &state.seen.files[&self.id];
        let start = (position as usize).min(file.len());
        let end = start.saturating_add(bytes_max).min(file.len());
        file[start..end].to_vec()
    }
}

impl FsFile for SimFile {
    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.fs.lock_state().seen.files[&self.id].len() as u64)
    }

    fn modified_ms(&self) -> io::Result<i64> {
        Ok(0)
    }

    fn set_modified_ms(&self, _modified_ms: i64) -> io::Result<()> {
        Ok(())
    }

    fn write_at(&self, pieces: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        let mut bytes: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| piece.iter().copied())
            .collect();
        let mut state = self.fs.lock_state();
        state.call()?;
        let fails = state.writes_left == Some(0);
        if let Some(left) = &mut state.writes_left {
            *left = left.saturating_sub(1);
        }
        if fails {
            bytes.truncate(bytes.len() / 2);
        } else if bytes.len() > 4096 {
            // Short writes are nothing to be surprised of.
            bytes.truncate(bytes.len() * 3 / 4);
        }
        let written_bytes = bytes.len();
        state.change(Change::Write {
            id: self.id,
            position,
            bytes,
        });
        if fails {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                format!("{}: injected write failure", self.path.display()),
            ));
        }
        Ok(written_bytes)
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let bytes = self.read(position, buffer.len());
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.fs.lock_state();
        state.call()?;
        if state.writes_left == Some(0) {
            return Err(io::Error::other("injected failure"));
        }
        let id = self.id;
        state.change(Change::SetLen { id, bytes });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let id = self.id;
        self.fs
            .lock_state()
            .sync(|change| change.file() == Some(id))
    }

    fn slice(&self, position: u64, bytes: usize) -> io::Result<Slice> {
        Ok(Slice::Bytes(Bytes::from(self.read(position, bytes))))
    }
}
