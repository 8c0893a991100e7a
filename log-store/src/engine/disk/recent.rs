//! Where the batches lie that were written last: whoever reads at the end of a log, as a consumer does who keeps up,
//! need not look for them in the file.

use std::collections::VecDeque;

use crate::Offset;
use crate::batch::BatchHeader;

/// Batches that are remembered for each open segment, in 32 bytes each.
const BATCHES_REMEMBERED: usize = 8;

/// A batch and its place in the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlacedBatch {
    pub(super) position: u64,
    pub(super) bytes: u64,
    pub(super) base_offset: Offset,
    pub(super) last_offset: Offset,
}

impl PlacedBatch {
    pub(super) fn new(header: &BatchHeader, position: u64) -> PlacedBatch {
        PlacedBatch {
            position,
            bytes: header.total_bytes() as u64,
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
        }
    }
}

/// The newest batches of a segment that somebody has written since it was opened, without a gap between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RecentBatches {
    /// The newest last.
    batches: VecDeque<PlacedBatch>,
}

impl RecentBatches {
    /// `batch` was written behind all others.
    pub(super) fn add(&mut self, batch: PlacedBatch) {
        if self.batches.len() == BATCHES_REMEMBERED {
            self.batches.pop_front();
        }
        self.batches.push_back(batch);
    }

    /// The first batch that contains `offset` or follows it. `None` when that is an older one, or when there is none.
    pub(super) fn find(&self, offset: Offset) -> Option<PlacedBatch> {
        let oldest = self.batches.front()?;
        if offset < oldest.base_offset {
            return None;
        }
        let contains_or_follows = |batch: &&PlacedBatch| batch.last_offset >= offset;
        self.batches.iter().find(contains_or_follows).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(base_offset: i64, last_offset: i64) -> PlacedBatch {
        PlacedBatch {
            position: base_offset as u64 * 100,
            bytes: 100,
            base_offset: Offset(base_offset),
            last_offset: Offset(last_offset),
        }
    }

    #[test]
    fn only_batches_that_are_certainly_the_first_ones_are_found() {
        // Nine batches of ten offsets are written, the last of them behind a gap: the oldest is forgotten, and what may be
        // in it is not found.
        let mut recent = RecentBatches::default();
        assert_eq!(recent.find(Offset(0)), None);
        for base in 0..8 {
            recent.add(batch(base * 10, base * 10 + 9));
        }
        assert_eq!(recent.find(Offset(0)), Some(batch(0, 9)));
        recent.add(batch(100, 109));
        assert_eq!(recent.find(Offset(0)), None);
        assert_eq!(recent.find(Offset(9)), None);
        assert_eq!(recent.find(Offset(10)), Some(batch(10, 19)));
        assert_eq!(recent.find(Offset(79)), Some(batch(70, 79)));
        assert_eq!(recent.find(Offset(80)), Some(batch(100, 109)));
        assert_eq!(recent.find(Offset(109)), Some(batch(100, 109)));
        assert_eq!(recent.find(Offset(110)), None);
    }
}
