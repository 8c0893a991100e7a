//! Forgetting the old end of a log.

use std::sync::{Arc, MutexGuard, PoisonError};

use super::writer::Turn;
use super::{DeleteRecordsError, LogOptions, Offline, Partition};
use crate::Offset;
use crate::engine::SegmentStat;

/// What a retention pass removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    pub deleted_segments: usize,
    pub deleted_bytes: u64,
}

impl Partition {
    /// Makes `offset` the first one that can be read, and returns the log start: `offset`, or what
    /// it was when it already lay above. The new start lasts when this returns. Blocks on the disk.
    ///
    /// # Errors
    /// [`DeleteRecordsError::OffsetOutOfRange`] below 0 and above the high watermark.
    pub fn delete_records_before(&self, offset: Offset) -> Result<Offset, DeleteRecordsError> {
        let high_watermark = self.high_watermark();
        if offset < Offset::ZERO || offset > high_watermark {
            return Err(DeleteRecordsError::OffsetOutOfRange {
                offset,
                high_watermark,
            });
        }
        let _trimming = self.lock_trimming();
        self.check_online()?;
        if offset <= self.log_start() {
            return Ok(self.log_start());
        }
        if let Err(error) = self.engine.save_log_start(offset) {
            return Err(self
                .go_offline(format!("saving the log start failed: {error}"))
                .into());
        }
        self.start_at(offset)?;
        let deletable = whole_segments_before(&self.engine.segments(), self.log_start());
        self.delete_segments(&deletable)?;
        Ok(self.log_start())
    }

    /// Deletes the segments that are too old, too many or before the log start. Only what is
    /// committed is deleted. When that is everything, a new segment is begun first. Blocks on the
    /// disk.
    ///
    /// # Errors
    /// When the partition is, or thereby goes, offline.
    pub fn apply_retention(&self, now_ms: i64) -> Result<Retained, Offline> {
        let _trimming = self.lock_trimming();
        let options = Arc::clone(&self.lock_state()?.options);
        let mut segments = self.engine.segments();
        let mut deletable = self.deletable(&segments, &options, now_ms);
        if deletable.len() == segments.len() {
            self.roll(now_ms)?;
            segments = self.engine.segments();
            deletable = self.deletable(&segments, &options, now_ms);
            deletable.truncate(segments.len() - 1);
        }
        if let Some(last) = deletable.last() {
            self.start_at(last.end)?;
        }
        self.delete_segments(&deletable)
    }

    fn lock_trimming(&self) -> MutexGuard<'_, ()> {
        self.trimming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deletable(
        &self,
        segments: &[SegmentStat],
        options: &LogOptions,
        now_ms: i64,
    ) -> Vec<SegmentStat> {
        deletable(
            segments,
            options,
            self.log_start(),
            self.high_watermark(),
            now_ms,
        )
    }

    /// Begins a new segment, unless the active one is empty.
    pub(super) fn roll(&self, now_ms: i64) -> Result<(), Offline> {
        let mut state = self.lock_state()?;
        if state.plan.is_empty() {
            return Ok(());
        }
        state.queue_roll(self.log_end(), now_ms);
        let becomes_writer = state.queue.start_writing();
        drop(state);
        if becomes_writer {
            self.write_out(Turn::Queue);
        }
        drop(self.lock_drained()?);
        Ok(())
    }

    fn start_at(&self, log_start: Offset) -> Result<(), Offline> {
        let mut state = self.lock_state()?;
        if log_start <= self.log_start() {
            return Ok(());
        }
        let moved = self.ends.trimmed(log_start);
        state.epochs.trim(log_start);
        drop(state);
        self.lock_aborted()
            .retain(|txn| txn.last_offset >= log_start);
        self.moved(moved);
        self.waiters.wake_all();
        Ok(())
    }

    fn delete_segments(&self, deletable: &[SegmentStat]) -> Result<Retained, Offline> {
        let Some(last) = deletable.last() else {
            return Ok(Retained::default());
        };
        if let Err(error) = self.engine.trim(last.end) {
            return Err(self.go_offline(format!("deleting segments failed: {error}")));
        }
        let deleted_bytes = deletable.iter().map(|segment| segment.bytes).sum();
        tracing::info!(
            segments = deletable.len(),
            bytes = deleted_bytes,
            before = last.end.0,
            log = ?self.engine,
            "deleted segments"
        );
        Ok(Retained {
            deleted_segments: deletable.len(),
            deleted_bytes,
        })
    }
}

/// The oldest segments that may go, as `UnifiedLog.deleteOldSegments` chooses them: by log start,
/// and where the policy deletes, by size and age.
fn deletable(
    segments: &[SegmentStat],
    options: &LogOptions,
    log_start: Offset,
    high_watermark: Offset,
    now_ms: i64,
) -> Vec<SegmentStat> {
    let mut deletable = whole_segments_before(segments, log_start);
    if !options.cleanup.deletes() {
        return deletable;
    }
    let mut excess_bytes = options.retention_bytes.map_or(0, |retention_bytes| {
        let kept = &segments[deletable.len()..];
        let size_bytes: u64 = kept.iter().map(|segment| segment.bytes).sum();
        size_bytes.saturating_sub(retention_bytes)
    });
    for segment in &segments[deletable.len()..] {
        let is_active_and_empty = segment.bytes == 0;
        if is_active_and_empty || segment.end > high_watermark {
            break;
        }
        let is_excess = segment.bytes <= excess_bytes;
        let is_expired = options
            .retention_ms
            .is_some_and(|retention_ms| now_ms.saturating_sub(segment.latest_ms()) > retention_ms);
        if !is_excess && !is_expired {
            break;
        }
        excess_bytes = excess_bytes.saturating_sub(segment.bytes);
        deletable.push(*segment);
    }
    deletable
}

fn whole_segments_before(segments: &[SegmentStat], log_start: Offset) -> Vec<SegmentStat> {
    // The last segment is the active one, which its end does not bound.
    let sealed = &segments[..segments.len().saturating_sub(1)];
    sealed
        .iter()
        .take_while(|segment| segment.end <= log_start)
        .copied()
        .collect()
}
