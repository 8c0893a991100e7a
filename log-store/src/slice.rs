//! Pieces of a log as they go to a socket.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::pread;

/// Consecutive bytes of a log: whole batches, in one piece.
#[derive(Clone, Debug)]
pub enum Slice {
    Bytes(Bytes),
    File(FileSlice),
}

impl Slice {
    /// Never 0.
    pub fn len_bytes(&self) -> usize {
        match self {
            Slice::Bytes(bytes) => bytes.len(),
            Slice::File(slice) => slice.bytes,
        }
    }

    /// The bytes in memory. Reads (and may block on) the file when they are not there yet.
    ///
    /// # Errors
    /// Those of the file; `UnexpectedEof` when it was truncated after the slice was made.
    pub fn read_to_bytes(&self) -> io::Result<Bytes> {
        match self {
            Slice::Bytes(bytes) => Ok(bytes.clone()),
            Slice::File(slice) => slice.read_to_bytes(),
        }
    }
}

/// Bytes of a file that nobody changes while the slice lives, for `sendfile` or a plain read.
///
/// The file stays readable when it is deleted meanwhile.
#[derive(Clone, Debug)]
pub struct FileSlice {
    pub file: Arc<File>,
    pub position: u64,
    pub bytes: usize,
}

impl FileSlice {
    /// Reads the slice into memory, on any platform.
    ///
    /// # Errors
    /// Those of the file; `UnexpectedEof` when it ends before the slice does.
    pub fn read_to_bytes(&self) -> io::Result<Bytes> {
        let mut buffer = vec![0; self.bytes];
        pread::read_exact_at(&self.file, &mut buffer, self.position)?;
        Ok(Bytes::from(buffer))
    }
}
