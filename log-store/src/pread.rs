//! Reading at a position, without moving the file's own.

use std::fs::File;
use std::io;

use rustix::io::Errno;

/// Fills `buffer` from `position` on.
///
/// # Errors
/// Those of the file; `UnexpectedEof` when it ends first.
pub(crate) fn read_exact_at(file: &File, buffer: &mut [u8], position: u64) -> io::Result<()> {
    let read_bytes = read_at(file, buffer, position)?;
    if read_bytes < buffer.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

/// Fills as much of `buffer` as the file has from `position` on, and returns how much that is.
///
/// # Errors
/// Those of the file.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        let at = position.saturating_add(filled as u64);
        match rustix::io::pread(file, &mut buffer[filled..], at) {
            Ok(0) => break,
            Ok(read_bytes) => filled += read_bytes,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(filled)
}
