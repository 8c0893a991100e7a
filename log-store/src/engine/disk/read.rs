//! Reading: whole batches, headers, and where to look for a time.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::DiskEngine;
use super::files::Readable;
use super::scan::HeaderScan;
use super::segment::{Piece, Segment};
use crate::Offset;
use crate::batch::BatchHeader;
use crate::engine::{Engine, FirstBatch, ReadRange};
use crate::slice::Slice;

impl DiskEngine {
    pub(super) fn read_range(&self, range: ReadRange) -> io::Result<Vec<Slice>> {
        let mut slices = Vec::new();
        let mut range = range;
        let mut walk = self.walk(range.from);
        while let Some((segment, from)) = walk.step() {
            if segment.base() >= range.end {
                break;
            }
            let opened = match self.open_to_read(&segment)? {
                Readable::Batches(opened) => opened,
                Readable::Nothing => continue,
                Readable::Gone => {
                    walk.look_again(from);
                    continue;
                }
            };
            range.from = from;
            let piece = match segment.read(&opened, &range) {
                // Its file was closed meanwhile, and its name is another's.
                Err(error) if is_gone(&segment, &error) => {
                    walk.look_again(from);
                    continue;
                }
                piece => piece?,
            };
            match piece {
                Piece::Nothing => {}
                Piece::Some(slice) => {
                    range.bytes_max -= slice.len_bytes().min(range.bytes_max);
                    range.first_batch = FirstBatch::WithinLimit;
                    slices.push(slice);
                }
                Piece::Last(slice) => {
                    slices.push(slice);
                    break;
                }
                Piece::Full => break,
            }
        }
        Ok(slices)
    }

    pub(super) fn scan_headers(
        &self,
        from: Offset,
        visit: &mut dyn FnMut(&BatchHeader) -> ControlFlow<()>,
    ) -> io::Result<()> {
        let mut walk = self.walk(from);
        while let Some((segment, from)) = walk.step() {
            let opened = match self.open_to_read(&segment)? {
                Readable::Batches(opened) => opened,
                Readable::Nothing => continue,
                Readable::Gone => {
                    walk.look_again(from);
                    continue;
                }
            };
            let bytes = segment.stat().bytes;
            let floor = opened.index().position_floor(from).min(bytes);
            let mut headers = HeaderScan::new(Arc::clone(&opened.file), floor, bytes);
            let mut next = from;
            loop {
                let header = match headers.next() {
                    Ok(Some((_, header))) => header,
                    Ok(None) => break,
                    Err(error) if is_gone(&segment, &error) => {
                        walk.look_again(next);
                        break;
                    }
                    Err(error) => return Err(error),
                };
                if header.last_offset() < next {
                    continue;
                }
                if visit(&header).is_break() {
                    return Ok(());
                }
                next = header.end_offset();
            }
        }
        Ok(())
    }

    pub(super) fn find_timestamp_floor(&self, timestamp_ms: i64) -> io::Result<Offset> {
        let segments = self.read_segments().clone();
        let holds = |segment: &&Arc<Segment>| segment.stat().max_timestamp_ms >= timestamp_ms;
        let Some(segment) = segments.iter().find(holds) else {
            return Ok(self.end());
        };
        let Readable::Batches(opened) = self.open_to_read(segment)? else {
            return Ok(segment.base());
        };
        let index = opened.index();
        let next = index
            .times
            .partition_point(|entry| entry.timestamp_ms < timestamp_ms);
        Ok(next
            .checked_sub(1)
            .map_or(segment.base(), |before| index.times[before].offset.plus(1)))
    }

    pub(super) fn estimate_bytes(&self, from: Offset, end: Offset) -> u64 {
        let mut between = 0;
        let mut walk = self.walk(from);
        while let Some((segment, from)) = walk.step() {
            let stat = segment.stat();
            if stat.base >= end {
                break;
            }
            let opened = segment.opened();
            let index = opened.as_ref().map(|opened| opened.index());
            let start = index.as_ref().map_or(0, |index| index.position_floor(from));
            let stop = if end >= stat.end {
                stat.bytes
            } else {
                let above = index.as_ref().and_then(|index| index.position_above(end));
                above.unwrap_or(stat.bytes)
            };
            between += stop.saturating_sub(start);
        }
        between
    }
}

/// Whether a reader has lost the segment because it was trimmed or replaced.
fn is_gone(segment: &Segment, error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound && segment.is_gone()
}
