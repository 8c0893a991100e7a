//! Finding out what a log directory holds.
//!
//! After a clean shutdown the files are believed. Otherwise every batch from the recovery point on is
//! read and its checksum compared; from the start of its segment on, unless the index that was saved
//! last leads to the recovery point. What a crash leaves behind the last whole
//! batch is cut off; damage that a crash cannot have done is reported and nothing is changed.
//!
//! What a crash can do: a kill ends the file somewhere, possibly inside of a batch. A power cut
//! also loses pages that were never synced, which then read as zeros; since a sync covers
//! everything before it, nothing behind such a hole was ever promised. A batch that fails its
//! checksum without a hole while valid batches follow is neither.

use std::collections::BTreeSet;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use super::check::{self, Checked, Damage, Invalid};
use super::fs::{DirEntry, Fs, FsFile, OpenMode};
use super::index::{Index, OffsetEntry, TimeEntry};
use super::names::{self, LogFile};
use super::scan::HeaderScan;
use super::segment::{self, Opened, Segment};
use super::swap;
use crate::Offset;
use crate::engine::{IndexPace, SegmentStat};
use crate::partition::OpenError;

/// Bytes that are read and written again at once.
const WRITE_AGAIN_BYTES: u64 = 1 << 20;

/// What is known about a log before its files are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// Whether it was closed before the process ended.
    pub(super) is_clean: bool,
    /// See [`DiskOptions::doubtful_from`](super::DiskOptions::doubtful_from).
    pub(super) doubtful_from: Option<Offset>,
    /// Everything below has been synced, indexes included.
    pub(super) recovery_point: Offset,
    /// Where the log was said to start.
    pub(super) log_start: Offset,
    pub(super) pace: IndexPace,
    pub(super) now_ms: i64,
}

/// What a log directory holds.
#[derive(Debug)]
pub(super) struct Loaded {
    /// Oldest first, at least one.
    pub(super) segments: Vec<Arc<Segment>>,
    pub(super) snapshots: BTreeSet<Offset>,
    /// The first offset whose batch was checked.
    pub(super) recovered_from: Option<Offset>,
    /// Bytes of the last segment that its index on the disk covers.
    pub(super) indexed_bytes: u64,
}

/// Looks at the files, and cuts off what a crash left behind.
///
/// # Errors
/// [`OpenError::Corrupt`] for damage that no crash explains.
pub(super) fn load(fs: &dyn Fs, dir: &Path, known: Known) -> Result<Loaded, OpenError> {
    let entries = swap::finish(fs, dir)?;
    let Listed {
        bases,
        mut snapshots,
    } = sort(fs, dir, entries)?;
    let mut segments = Vec::with_capacity(bases.len());
    let mut recovered_from = None;
    let recover_from = if known.is_clean {
        None
    } else {
        let floor = bases.range(..=known.recovery_point).next_back();
        floor.or_else(|| bases.first()).copied()
    };
    let all: Vec<Offset> = bases.into_iter().collect();
    let mut is_cut = false;
    let mut indexed_bytes = 0;
    for (index, &base) in all.iter().enumerate() {
        let next = all.get(index + 1).copied();
        let file = fs.open(&names::log_path(dir, base), OpenMode::Update)?;
        let segment = if recover_from.is_some_and(|from| base >= from) {
            let later = &all[index + 1..];
            let recovered = recover(fs, dir, base, &file, later, known)?;
            recovered_from = recovered_from.or(Some(recovered.from));
            is_cut = recovered.is_cut;
            indexed_bytes = recovered.indexed_bytes;
            recovered.segment
        } else {
            let segment = believe(fs, dir, base, next, &file, known)?;
            indexed_bytes = segment.stat().bytes;
            segment
        };
        if let Some(next) = next
            && !is_cut
        {
            segment.set_end(next);
        }
        segments.push(Arc::new(segment));
        if is_cut {
            for &later in &all[index + 1..] {
                Segment::empty(dir, later, known.now_ms).remove(fs)?;
            }
            break;
        }
    }
    let end = segments.last().map(|segment| segment.stat().end);
    if end.is_none_or(|end| end < known.log_start) {
        // What was deleted up to there had not been synced before the power went.
        for segment in segments.drain(..) {
            segment.remove(fs)?;
        }
        segments.push(Arc::new(Segment::empty(dir, known.log_start, known.now_ms)));
    }
    remove_useless_snapshots(fs, dir, &segments, recovered_from, &mut snapshots)?;
    if let (Some(_), Some(base)) = (recovered_from, recover_from) {
        make_last(fs, dir, &segments, base)?;
    }
    Ok(Loaded {
        segments,
        snapshots,
        recovered_from,
        indexed_bytes,
    })
}

struct Listed {
    bases: BTreeSet<Offset>,
    snapshots: BTreeSet<Offset>,
}

/// The segments and snapshots in `dir`; removes what is left over.
fn sort(fs: &dyn Fs, dir: &Path, entries: Vec<DirEntry>) -> Result<Listed, OpenError> {
    let mut listed = Listed {
        bases: BTreeSet::new(),
        snapshots: BTreeSet::new(),
    };
    let mut indexes = Vec::new();
    for entry in entries {
        if entry.is_dir {
            continue;
        }
        match LogFile::of(&entry.name) {
            LogFile::Log(base) => {
                listed.bases.insert(base);
            }
            LogFile::Snapshot(at) => {
                listed.snapshots.insert(at);
            }
            LogFile::Index(base) => indexes.push((base, entry.name)),
            LogFile::Leftover => fs.remove_file(&dir.join(&entry.name))?,
            LogFile::Cleaned(_) | LogFile::Swap(_) | LogFile::Other => {}
        }
    }
    for (base, name) in indexes {
        if !listed.bases.contains(&base) {
            tracing::warn!(dir = %dir.display(), name, "removing an index without a segment");
            fs.remove_file(&dir.join(name))?;
        }
    }
    Ok(listed)
}

/// A segment whose batches are known to be whole: only its index and its last batches are read.
fn believe(
    fs: &dyn Fs,
    dir: &Path,
    base: Offset,
    next: Option<Offset>,
    file: &Arc<dyn FsFile>,
    known: Known,
) -> Result<Segment, OpenError> {
    let bytes = file.len_bytes()?;
    let mut stat = SegmentStat {
        bytes,
        ..SegmentStat::empty(base, file.modified_ms()?)
    };
    if bytes == 0 {
        return Ok(Segment::new(dir, stat));
    }
    let saved = segment::read_index(fs, dir, base, bytes)?;
    let has_saved_index = saved.is_some();
    let mut index = match saved {
        Some(index) => index,
        None => {
            tracing::warn!(dir = %dir.display(), base = base.0, "making a missing index anew");
            segment::load_index(fs, dir, &stat, file, known.pace)?
        }
    };
    let mut first = HeaderScan::new(Arc::clone(file), 0, bytes);
    stat.first_timestamp_ms = match first.next()? {
        Some((_, header)) => header.max_timestamp_ms,
        None => stat.first_timestamp_ms,
    };
    if let Some(next) = next {
        stat.end = next;
    } else {
        read_tail(file, bytes, &mut index, &mut stat)?;
    }
    let segment = Segment::new(dir, stat);
    if !has_saved_index {
        index.seal();
        segment.save_index(fs, &index)?;
    }
    index.describe(&mut stat);
    segment.reset(stat);
    Ok(segment)
}

/// What lies behind the last index entry: the end of the log, and perhaps a larger timestamp.
fn read_tail(
    file: &Arc<dyn FsFile>,
    bytes: u64,
    index: &mut Index,
    stat: &mut SegmentStat,
) -> io::Result<()> {
    let from = index.offsets.last().map_or(0, |entry| entry.position);
    let mut scan = HeaderScan::new(Arc::clone(file), from, bytes);
    while let Some((_, header)) = scan.next()? {
        stat.end = header.end_offset();
        if header.max_timestamp_ms > index.largest.timestamp_ms {
            index.largest = TimeEntry {
                timestamp_ms: header.max_timestamp_ms,
                offset: header.last_offset(),
            };
        }
    }
    index.bytes_since_entry = bytes - from;
    Ok(())
}

/// A segment that was checked.
struct Recovered {
    segment: Segment,
    /// The first offset whose batch was checked.
    from: Offset,
    /// Something was cut off, so that no segment may follow.
    is_cut: bool,
    indexed_bytes: u64,
}

/// A segment that may have suffered: every batch from the recovery point on is checked, and the
/// index made anew.
fn recover(
    fs: &dyn Fs,
    dir: &Path,
    base: Offset,
    file: &Arc<dyn FsFile>,
    later: &[Offset],
    known: Known,
) -> Result<Recovered, OpenError> {
    let begin = believed(fs, dir, base, file, known)?;
    let (from, indexed_bytes) = match &begin {
        Some((_, stat)) => (stat.end, stat.bytes),
        None => (base, 0),
    };
    let Checked {
        mut index,
        mut stat,
        damage,
    } = check::check(file, base, known.pace, begin)?;
    stat.modified_ms = file.modified_ms()?;
    if let Some(damage) = &damage {
        if !is_left_by_crash(fs, dir, file, damage, stat.end, later)? {
            return Err(OpenError::Corrupt {
                reason: format!(
                    "{} at position {}: {}, and valid batches follow",
                    names::log_path(dir, base).display(),
                    damage.position,
                    damage.reason
                ),
            });
        }
        tracing::warn!(
            path = %names::log_path(dir, base).display(),
            reason = %damage.reason,
            position = damage.position,
            cut_bytes = damage.file_bytes - damage.position,
            log_end = stat.end.0,
            "cutting off what was not completely written"
        );
        file.set_len(damage.position)?;
    }
    if let Some(doubtful_from) = known.doubtful_from {
        write_again(&**file, index.position_floor(doubtful_from), stat.bytes)?;
    }
    let segment = Segment::new(dir, stat);
    let is_last = damage.is_some() || later.is_empty();
    if is_last {
        // What it says about the batches in front of the recovery point stays true.
        if damage.is_some() || indexed_bytes == 0 {
            segment.remove_index(fs)?;
        }
    } else {
        index.seal();
        for path in segment.save_index(fs, &index)? {
            fs.open(&path, OpenMode::Update)?.sync()?;
        }
    }
    index.describe(&mut stat);
    segment.reset(stat);
    if is_last {
        segment.set_opened(Opened::new(Arc::clone(file), index));
    }
    Ok(Recovered {
        segment,
        from,
        is_cut: damage.is_some(),
        indexed_bytes: if damage.is_some() { 0 } else { indexed_bytes },
    })
}

/// The part of a segment in front of the recovery point, which is known to be whole, when the index
/// on the disk leads there.
fn believed(
    fs: &dyn Fs,
    dir: &Path,
    base: Offset,
    file: &Arc<dyn FsFile>,
    known: Known,
) -> io::Result<Option<(Index, SegmentStat)>> {
    let bytes = file.len_bytes()?;
    if known.recovery_point <= base || bytes == 0 {
        return Ok(None);
    }
    let Some(mut index) = segment::read_index(fs, dir, base, bytes)? else {
        return Ok(None);
    };
    index.cut(known.recovery_point);
    let Some(entry) = index.offsets.last().copied() else {
        return Ok(None);
    };
    match follow(file, bytes, entry, &mut index, known) {
        // It leads nowhere.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
        followed => followed.map(|stat| stat.map(|stat| (index, stat))),
    }
}

/// Reads the headers from an index entry up to the recovery point.
fn follow(
    file: &Arc<dyn FsFile>,
    bytes: u64,
    entry: OffsetEntry,
    index: &mut Index,
    known: Known,
) -> io::Result<Option<SegmentStat>> {
    let mut stat = SegmentStat::empty(index.base(), known.now_ms);
    let mut first = HeaderScan::new(Arc::clone(file), 0, bytes);
    if let Some((_, header)) = first.next()? {
        stat.first_timestamp_ms = header.max_timestamp_ms;
    }
    let mut scan = HeaderScan::new(Arc::clone(file), entry.position, bytes);
    // What is behind the recovery point need not be what its header says.
    while stat.end < known.recovery_point
        && let Some((position, header)) = scan.next()?
    {
        if position == entry.position {
            if header.last_offset() != entry.last_offset {
                return Ok(None);
            }
            index.bytes_since_entry = header.total_bytes() as u64;
        } else if header.base_offset < stat.end || header.end_offset() > known.recovery_point {
            break;
        } else {
            index.add(&header, position, known.pace);
        }
        stat.bytes = position + header.total_bytes() as u64;
        stat.end = header.end_offset();
    }
    Ok(Some(stat))
}

/// Makes the kernel take the bytes from `position` to `end` for changed. After a failed sync it takes them for written,
/// though they may never have reached the disk: the next sync would pass them over and succeed.
fn write_again(file: &dyn FsFile, position: u64, end: u64) -> io::Result<()> {
    let mut window = vec![0; end.saturating_sub(position).min(WRITE_AGAIN_BYTES) as usize];
    let mut at = position;
    while at < end {
        let wanted_bytes = (end - at).min(WRITE_AGAIN_BYTES) as usize;
        let read_bytes = file.read_at(&mut window[..wanted_bytes], at)?;
        if read_bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        super::fs::write_all_at(file, &mut [IoSlice::new(&window[..read_bytes])], at)?;
        at += read_bytes as u64;
    }
    Ok(())
}

/// Whether nothing but a crash is needed to explain the damage: nothing valid follows it, or there
/// is something that was never written.
fn is_left_by_crash(
    fs: &dyn Fs,
    dir: &Path,
    file: &Arc<dyn FsFile>,
    damage: &Damage,
    log_end: Offset,
    later: &[Offset],
) -> io::Result<bool> {
    if let Some(next) = check::valid_after(file, damage.position, log_end)? {
        return check::has_hole(file, log_end, damage.position, next);
    }
    for &base in later {
        let later_file = fs.open(&names::log_path(dir, base), OpenMode::Read)?;
        if check::valid_at(&later_file, 0, base)? {
            let is_cut_short = matches!(damage.reason, Invalid::Incomplete);
            return Ok(
                is_cut_short || check::has_hole(file, log_end, damage.position, damage.file_bytes)?
            );
        }
    }
    Ok(true)
}

/// Snapshots beyond the end speak of batches that are gone. Of the others, those with which a
/// segment begins, the newest one, and the newest one in front of what was checked are of use.
fn remove_useless_snapshots(
    fs: &dyn Fs,
    dir: &Path,
    segments: &[Arc<Segment>],
    recovered_from: Option<Offset>,
    snapshots: &mut BTreeSet<Offset>,
) -> io::Result<()> {
    let end = segments.last().map(|segment| segment.stat().end);
    let newest = snapshots
        .iter()
        .rev()
        .find(|at| end.is_some_and(|end| **at <= end))
        .copied();
    let bases: BTreeSet<Offset> = segments.iter().map(|segment| segment.base()).collect();
    let newest_proven =
        recovered_from.and_then(|from| snapshots.range(..=from).next_back().copied());
    let is_useful = |at: &Offset| {
        end.is_some_and(|end| *at <= end)
            && (bases.contains(at) || newest == Some(*at) || newest_proven == Some(*at))
    };
    for &at in snapshots.iter().filter(|at| !is_useful(at)) {
        super::fs::remove_if_there(fs, &names::snapshot_path(dir, at))?;
    }
    snapshots.retain(is_useful);
    Ok(())
}

/// What is found after a crash is served and acknowledged from now on, so it must last.
fn make_last(fs: &dyn Fs, dir: &Path, segments: &[Arc<Segment>], from: Offset) -> io::Result<()> {
    for segment in segments.iter().filter(|segment| segment.base() >= from) {
        if segment.stat().bytes > 0 {
            fs.open(&segment.log_path(), OpenMode::Update)?.sync()?;
        }
    }
    fs.sync_dir(dir)
}
