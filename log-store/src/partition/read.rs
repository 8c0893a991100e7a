//! Reading whole batches up to a limit.

use super::ends::{Ends, ReadLimit};
use super::{Partition, ReadError};
use crate::Offset;
use crate::engine::{FirstBatch, ReadRange};
use crate::slice::Slice;

/// What a read found, and the ends of the log as they were at that moment.
#[derive(Clone, Debug)]
pub struct ReadSlices {
    /// Whole batches in offset order; the first one contains the asked offset or follows it, and
    /// may begin before it.
    pub slices: Vec<Slice>,
    /// Bytes of all slices.
    pub bytes: usize,
    pub ends: Ends,
}

impl Partition {
    /// Reads batches from the one that contains `from` on, as far as `limit` allows and as many as
    /// fit in `bytes_max`. Reading from the limit itself, or between it and the log end, gives
    /// nothing.
    ///
    /// Touches the page cache or the disk for headers only; the bytes stay in the file until the
    /// slices are sent.
    ///
    /// # Errors
    /// [`ReadError::OffsetOutOfRange`] below the log start and above the log end.
    pub fn read(
        &self,
        from: Offset,
        bytes_max: usize,
        first_batch: FirstBatch,
        limit: ReadLimit,
    ) -> Result<ReadSlices, ReadError> {
        self.check_online()?;
        let ends = self.ends();
        check_range(from, ends.log_start, ends.log_end)?;
        let end = ends.at(limit);
        let slices = if from >= end {
            Vec::new()
        } else {
            self.engine().read(ReadRange {
                from,
                end,
                bytes_max,
                first_batch,
            })?
        };
        // The batches may have been trimmed while they were being looked for.
        check_range(from, self.log_start(), self.log_end())?;
        let bytes = slices.iter().map(Slice::len_bytes).sum();
        Ok(ReadSlices {
            slices,
            bytes,
            ends,
        })
    }

    /// About how many bytes a reader at `from` could read up to `limit`: an estimate without IO,
    /// for deciding whether a fetch must wait. It is 0 only when there is nothing.
    pub fn available_bytes(&self, from: Offset, limit: ReadLimit) -> u64 {
        let end = self.limit_end(limit);
        if from >= end {
            return 0;
        }
        self.engine().bytes_between(from, end).max(1)
    }
}

fn check_range(from: Offset, start: Offset, end: Offset) -> Result<(), ReadError> {
    if from < start || from > end {
        return Err(ReadError::OffsetOutOfRange {
            offset: from,
            start,
            end,
        });
    }
    Ok(())
}
