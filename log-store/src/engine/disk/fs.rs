//! The file system as this crate uses it: a seam, so that tests can make it fail, run out of space
//! and lose its power.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::open_files::{Managed, OpenFiles};
use crate::pread;
use crate::slice::{FileSlice, Slice};

/// Bytes of a file that is read as a whole: a checkpoint, a producer snapshot, an index.
const WHOLE_FILE_BYTES_MAX: u64 = 1 << 30;

/// Pieces that one system call writes (`IOV_MAX` on Linux and macOS).
const PIECES_PER_WRITE: usize = 1024;

/// Directories and files. Nothing lasts through a power cut until it is synced: bytes by
/// [`FsFile::sync`], names by [`Fs::sync_dir`].
pub trait Fs: Send + Sync + fmt::Debug {
    /// What is in `dir`, in no particular order.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// Makes `dir` and the directories above it, where they are missing.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn FsFile>>;

    /// Replaces what has the name `to`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    fn remove_file(&self, path: &Path) -> io::Result<()>;

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Makes the names in `dir` last.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Has the kernel write everything on the file system of `dir` that is not on the disk yet, in
    /// the order that suits it. It only saves time: many files that are synced afterwards have little
    /// to wait for. Whether their bytes last is for those syncs to say.
    fn write_back(&self, dir: &Path);

    /// Takes the file at `path` for this process, until the guard is dropped. `None` when another
    /// has it.
    fn lock(&self, path: &Path) -> io::Result<Option<LockGuard>>;
}

/// Keeps a lock.
pub type LockGuard = Box<dyn Send + Sync>;

/// An open file. Reading and writing name their position.
pub trait FsFile: Send + Sync + fmt::Debug {
    fn len_bytes(&self) -> io::Result<u64>;

    /// When it was last written, in milliseconds since 1970.
    fn modified_ms(&self) -> io::Result<i64>;

    /// Pretends that it was last written then.
    fn set_modified_ms(&self, modified_ms: i64) -> io::Result<()>;

    /// Writes a prefix of `pieces` and returns how many bytes that was; not 0 unless there are
    /// none.
    fn write_at(&self, pieces: &[IoSlice<'_>], position: u64) -> io::Result<usize>;

    /// Reads until `buffer` is full or the file ends, and returns how many bytes that was.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;

    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// fdatasync: makes the bytes and the length last.
    fn sync(&self) -> io::Result<()>;

    /// A piece of the file, for whoever sends it on.
    fn slice(&self, position: u64, bytes: usize) -> io::Result<Slice>;
}

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    Read,
    /// To read and write.
    Update,
    /// To read and write; made when it is missing.
    Create,
    /// As `Create`, and emptied.
    Replace,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    pub name: String,
    pub is_dir: bool,
}

/// Writes all of `pieces`.
pub(crate) fn write_all_at(
    file: &dyn FsFile,
    pieces: &mut [IoSlice<'_>],
    position: u64,
) -> io::Result<()> {
    let mut pieces = pieces;
    let mut position = position;
    // Skips pieces without bytes, which would look like a full disk.
    IoSlice::advance_slices(&mut pieces, 0);
    while !pieces.is_empty() {
        let written_bytes = file.write_at(pieces, position)?;
        if written_bytes == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        position += written_bytes as u64;
        IoSlice::advance_slices(&mut pieces, written_bytes);
    }
    Ok(())
}

/// The bytes of a small file; `None` when there is no such file.
pub(crate) fn read_whole(fs: &dyn Fs, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match fs.open(path, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let len_bytes = file.len_bytes()?;
    if len_bytes > WHOLE_FILE_BYTES_MAX {
        let reason = format!("{} has {len_bytes} bytes", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    let mut bytes = vec![0; len_bytes as usize];
    let read_bytes = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read_bytes);
    Ok(Some(bytes))
}

/// Writes a file anew. The caller syncs it, if it must last.
pub(crate) fn write_whole(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> io::Result<Arc<dyn FsFile>> {
    let file = fs.open(path, OpenMode::Replace)?;
    write_all_at(&*file, &mut [IoSlice::new(bytes)], 0)?;
    Ok(file)
}

/// Replaces a file by another one, so that after a power cut there is the old one or the new one.
pub(crate) fn replace_whole(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = with_suffix(path, TEMPORARY_SUFFIX);
    write_whole(fs, &temporary, bytes)?.sync()?;
    fs.rename(&temporary, path)?;
    match path.parent() {
        Some(dir) => fs.sync_dir(dir),
        None => Ok(()),
    }
}

/// What files are called before they take the place of another one.
pub(crate) const TEMPORARY_SUFFIX: &str = ".tmp";

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Removes a file that may be gone already.
pub(crate) fn remove_if_there(fs: &dyn Fs, path: &Path) -> io::Result<()> {
    match fs.remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The file system of the machine.
#[derive(Clone, Debug, Default)]
pub struct OsFs {
    open_files: OpenFiles,
}

impl OsFs {
    /// Keeps to a limit of open files.
    pub fn new(open_files: OpenFiles) -> OsFs {
        OsFs { open_files }
    }
}

impl Fs for OsFs {
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            // A name that is no UTF-8 is none of ours.
            if let Ok(name) = entry.file_name().into_string() {
                let is_dir = entry.file_type()?.is_dir();
                entries.push(DirEntry { name, is_dir });
            }
        }
        Ok(entries)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn FsFile>> {
        let mut options = File::options();
        options.read(true);
        match mode {
            OpenMode::Read => &mut options,
            OpenMode::Update => options.write(true),
            OpenMode::Create => options.write(true).create(true),
            OpenMode::Replace => options.write(true).create(true).truncate(true),
        };
        let file = options.open(path).map_err(|error| named(path, error))?;
        let is_written = mode != OpenMode::Read;
        let managed = self.open_files.manage(path, file, is_written)?;
        Ok(Arc::new(OsFile(managed)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to).map_err(|error| named(from, error))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path).map_err(|error| named(path, error))
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir_all(dir).map_err(|error| named(dir, error))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let opened = File::open(dir).map_err(|error| named(dir, error))?;
        opened.sync_all().map_err(|error| named(dir, error))
    }

    fn write_back(&self, dir: &Path) {
        // An error is told again to whoever syncs the file that it is about.
        #[cfg(target_os = "linux")]
        if let Ok(opened) = File::open(dir) {
            let _ = rustix::fs::syncfs(&opened);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = dir;
    }

    fn lock(&self, path: &Path) -> io::Result<Option<LockGuard>> {
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        let file = options.open(path).map_err(|error| named(path, error))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(named(path, errno.into())),
        }
    }
}

/// The same error, with the path that it is about.
fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[derive(Debug)]
struct OsFile(Arc<Managed>);

impl FsFile for OsFile {
    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.0.file()?.metadata()?.len())
    }

    fn modified_ms(&self) -> io::Result<i64> {
        let modified = self.0.file()?.metadata()?.modified()?;
        let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn set_modified_ms(&self, modified_ms: i64) -> io::Result<()> {
        let since = Duration::from_millis(u64::try_from(modified_ms).unwrap_or(0));
        self.0.file()?.set_modified(UNIX_EPOCH + since)
    }

    fn write_at(&self, pieces: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        let pieces = &pieces[..pieces.len().min(PIECES_PER_WRITE)];
        let file = self.0.file_to_write()?;
        loop {
            match rustix::io::pwritev(&*file, pieces, position) {
                Ok(written_bytes) => return Ok(written_bytes),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        pread::read_at(&*self.0.file()?, buffer, position)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.file_to_write()?.set_len(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn slice(&self, position: u64, bytes: usize) -> io::Result<Slice> {
        Ok(Slice::File(FileSlice {
            file: self.0.file()?,
            position,
            bytes,
        }))
    }
}
