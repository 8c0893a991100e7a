//! What a crash has left of a replacement of segments: finished or undone when the log is opened.
//! Kafka's `LogLoader.load`, its first three passes.

use std::collections::BTreeSet;
use std::path::Path;

use super::fs::{self, DirEntry, Fs, OpenMode};
use super::names::{self, LogFile, SWAP_SUFFIX};
use super::scan::HeaderScan;
use crate::Offset;
use crate::partition::OpenError;

/// Completes the replacements whose files are all complete, and removes what is left of others.
///
/// A segment with a file that is still called `.cleaned` was not ready. One whose files are all
/// called `.swap` was, and so were those below it: segments that were split into several are
/// renamed from the last to the first.
///
/// Returns what is in the directory then.
///
/// # Errors
/// Those of the disk; [`OpenError::Corrupt`] when a complete segment cannot be read.
pub(super) fn finish(fs: &dyn Fs, dir: &Path) -> Result<Vec<DirEntry>, OpenError> {
    let mut cleaned = BTreeSet::new();
    let mut swaps = BTreeSet::new();
    let mut others = Vec::new();
    let entries = fs.list(dir)?;
    for DirEntry { name, .. } in entries.iter().filter(|entry| !entry.is_dir) {
        match LogFile::of(name) {
            LogFile::Cleaned(base) => {
                cleaned.insert((base, name.clone()));
            }
            LogFile::Swap(base) => {
                swaps.insert((base, name.clone()));
            }
            LogFile::Log(base) | LogFile::Index(base) => others.push((base, name)),
            // Those that have no segment any more are removed with all others that have none.
            LogFile::Snapshot(_) | LogFile::Leftover | LogFile::Other => {}
        }
    }
    if cleaned.is_empty() && swaps.is_empty() {
        return Ok(entries);
    }
    tracing::info!(
        dir = %dir.display(),
        unfinished = cleaned.len(),
        finished = swaps.len(),
        "a compaction was interrupted"
    );
    let first_unfinished = cleaned.first().map(|(base, _)| *base);
    let (undone, done): (BTreeSet<_>, BTreeSet<_>) = swaps
        .into_iter()
        .partition(|(base, _)| first_unfinished.is_some_and(|first| *base >= first));
    // First those that look finished: without the others, they would.
    for (_, name) in undone.into_iter().chain(cleaned) {
        fs.remove_file(&dir.join(name))?;
    }
    let mut replaced = Vec::new();
    for (base, name) in &done {
        if *name == swap_name(dir, *base) {
            replaced.push((*base, end_of(fs, &dir.join(name), *base)?));
        }
    }
    for (offset, name) in others {
        let is_replaced =
            |(base, end): &(Offset, Offset)| offset == *base || (*base <= offset && offset < *end);
        if replaced.iter().any(is_replaced) {
            fs.remove_file(&dir.join(name))?;
        }
    }
    for (_, name) in &done {
        let path = dir.join(name);
        let place = name.strip_suffix(SWAP_SUFFIX).expect("it is a swap file");
        fs.rename(&path, &dir.join(place))?;
    }
    fs.sync_dir(dir)?;
    Ok(fs.list(dir)?)
}

fn swap_name(dir: &Path, base: Offset) -> String {
    let path = fs::with_suffix(&names::log_path(dir, base), SWAP_SUFFIX);
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Where the batches in the file at `path` end. Segments behind that, which the same replacement
/// would have removed, stay: they hold nothing but what the next compaction removes again.
fn end_of(fs: &dyn Fs, path: &Path, base: Offset) -> Result<Offset, OpenError> {
    let file = fs.open(path, OpenMode::Read)?;
    let bytes = file.len_bytes()?;
    let mut end = base;
    let mut headers = HeaderScan::new(file, 0, bytes);
    loop {
        match headers.next() {
            Ok(Some((_, header))) => end = header.end_offset(),
            Ok(None) => return Ok(end),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                return Err(OpenError::Corrupt {
                    reason: format!("a compacted segment cannot be read: {error}"),
                });
            }
            Err(error) => return Err(error.into()),
        }
    }
}
