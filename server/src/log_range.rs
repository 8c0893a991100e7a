//! A range of a log file inside an answer.

use klamm_codec::FileRange;
use klamm_log_store::FileSlice;

/// Bytes of a log that go from the page cache to the socket.
#[derive(Debug, Clone)]
pub struct LogRange(pub FileSlice);

impl FileRange for LogRange {
    fn length_bytes(&self) -> usize {
        self.0.bytes
    }
}
