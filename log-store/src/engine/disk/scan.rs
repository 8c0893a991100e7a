//! Walking over the batches of a segment.

use std::io;
use std::sync::Arc;

use super::fs::FsFile;
use crate::batch::{BATCH_HEADER_BYTES, BatchHeader, HeaderError};

/// Bytes that are read ahead for headers. Index entries are about that far apart, so one read
/// usually finds a batch.
const READ_AHEAD_BYTES: usize = 4096 + BATCH_HEADER_BYTES;

/// The headers of a segment, from a batch boundary on.
pub(super) struct HeaderScan {
    file: Arc<dyn FsFile>,
    position: u64,
    end: u64,
    buffer: Vec<u8>,
    buffer_position: u64,
}

impl HeaderScan {
    /// `position` must be the start of a batch or `end`, and `end` where a batch ends.
    pub(super) fn new(file: Arc<dyn FsFile>, position: u64, end: u64) -> HeaderScan {
        HeaderScan {
            file,
            position,
            end,
            buffer: Vec::new(),
            buffer_position: 0,
        }
    }

    /// The next header and where its batch starts.
    ///
    /// # Errors
    /// Those of the disk; `InvalidData` when there is no whole batch.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, BatchHeader)>> {
        if self.position >= self.end {
            return Ok(None);
        }
        let at = self.position;
        let header =
            BatchHeader::parse(self.header_bytes()?).map_err(|error| self.invalid(error))?;
        let batch_bytes = header.total_bytes() as u64;
        if batch_bytes > self.end - at {
            return Err(self.invalid(HeaderError::TooShort {
                available_bytes: (self.end - at) as usize,
            }));
        }
        self.position = at + batch_bytes;
        Ok(Some((at, header)))
    }

    fn header_bytes(&mut self) -> io::Result<&[u8]> {
        let buffered_end = self.buffer_position + self.buffer.len() as u64;
        let is_buffered = self.position >= self.buffer_position
            && self.position + BATCH_HEADER_BYTES as u64 <= buffered_end;
        if !is_buffered {
            let wanted = (self.end - self.position).min(READ_AHEAD_BYTES as u64);
            self.buffer.resize(wanted as usize, 0);
            let read_bytes = self.file.read_at(&mut self.buffer, self.position)?;
            self.buffer.truncate(read_bytes);
            self.buffer_position = self.position;
        }
        let start = (self.position - self.buffer_position) as usize;
        Ok(&self.buffer[start..])
    }

    fn invalid(&self, error: HeaderError) -> io::Error {
        let reason = format!("{:?} at position {}: {error}", self.file, self.position);
        io::Error::new(io::ErrorKind::InvalidData, reason)
    }
}
