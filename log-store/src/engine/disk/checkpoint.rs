//! Kafka's checkpoint files: a version, a count, and one entry a line.
//!
//! ```text
//! 0
//! 2
//! orders 0 1200
//! orders 1 34
//! ```
//! Written beside and renamed, so that there is always a whole one. `CheckpointFile`,
//! `OffsetCheckpointFile` and `LeaderEpochCheckpointFile`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fs::{self, Fs};
use crate::partition::EpochStart;
use crate::{LeaderEpoch, Offset};

const VERSION: &str = "0";

/// Entries of a checkpoint file.
const ENTRIES_MAX: usize = 1 << 24;

/// An offset for each log of a directory, by the log's name. The file has the name in two parts,
/// as Kafka reads it: what is before the last dash and what is behind.
#[derive(Debug)]
pub struct OffsetCheckpoint {
    fs: Arc<dyn Fs>,
    path: PathBuf,
    offsets: Mutex<BTreeMap<String, Offset>>,
    /// Held while the file is written, so that an older state never replaces a newer one.
    file: Mutex<()>,
}

impl OffsetCheckpoint {
    /// Reads the file at `path`, if there is one. One that makes no sense counts as empty: offsets
    /// are only ever hints about how much need not be looked at.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn open(fs: Arc<dyn Fs>, path: PathBuf) -> io::Result<OffsetCheckpoint> {
        let offsets = match fs::read_whole(&*fs, &path)? {
            None => BTreeMap::new(),
            Some(bytes) => parse(&bytes, offset_entry).unwrap_or_else(|| {
                tracing::warn!(path = %path.display(), "ignoring a malformed checkpoint file");
                BTreeMap::new()
            }),
        };
        Ok(OffsetCheckpoint {
            fs,
            path,
            offsets: Mutex::new(offsets),
            file: Mutex::new(()),
        })
    }

    pub fn offset(&self, name: &str) -> Option<Offset> {
        self.lock().get(name).copied()
    }

    /// Changes what the next [`OffsetCheckpoint::save`] writes.
    pub fn set(&self, name: &str, offset: Offset) {
        self.lock().insert(name.to_owned(), offset);
    }

    /// As [`OffsetCheckpoint::set`].
    pub fn remove(&self, name: &str) {
        self.lock().remove(name);
    }

    /// Writes the file; it lasts when this returns.
    ///
    /// # Errors
    /// Those of the disk; the old file is still there then.
    pub fn save(&self) -> io::Result<()> {
        let _writing = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<String> = {
            let offsets = self.lock();
            let line = |(name, offset): (&String, &Offset)| {
                let (topic, partition) = name.rsplit_once('-')?;
                Some(format!("{topic} {partition} {offset}"))
            };
            offsets.iter().filter_map(line).collect()
        };
        fs::replace_whole(&*self.fs, &self.path, format(&lines).as_bytes())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Offset>> {
        self.offsets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The leader epochs in the file at `path`; none when it is missing or makes no sense.
pub(super) fn read_epochs(fs: &dyn Fs, path: &Path) -> io::Result<Vec<EpochStart>> {
    let Some(bytes) = fs::read_whole(fs, path)? else {
        return Ok(Vec::new());
    };
    Ok(parse(&bytes, epoch_entry).unwrap_or_else(|| {
        tracing::warn!(path = %path.display(), "ignoring a malformed checkpoint file");
        Vec::new()
    }))
}

/// Replaces the leader epochs at `path`; they last when this returns.
pub(super) fn write_epochs(fs: &dyn Fs, path: &Path, epochs: &[EpochStart]) -> io::Result<()> {
    let lines: Vec<String> = epochs
        .iter()
        .map(|start| format!("{} {}", start.epoch, start.start))
        .collect();
    fs::replace_whole(fs, path, format(&lines).as_bytes())
}

fn offset_entry(line: &str) -> Option<(String, Offset)> {
    let mut fields = line.split_whitespace();
    let (topic, partition, offset) = (fields.next()?, fields.next()?, fields.next()?);
    let offset = offset.parse().ok()?;
    let is_whole = fields.next().is_none();
    is_whole.then(|| (format!("{topic}-{partition}"), Offset(offset)))
}

fn epoch_entry(line: &str) -> Option<EpochStart> {
    let mut fields = line.split_whitespace();
    let epoch = LeaderEpoch(fields.next()?.parse().ok()?);
    let start = Offset(fields.next()?.parse().ok()?);
    let is_whole = fields.next().is_none();
    is_whole.then_some(EpochStart { epoch, start })
}

fn format(lines: &[String]) -> String {
    let mut text = String::new();
    let count = lines.len();
    writeln!(text, "{VERSION}\n{count}").expect("a string takes everything");
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text
}

fn parse<T, C: FromIterator<T>>(bytes: &[u8], entry: impl Fn(&str) -> Option<T>) -> Option<C> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.lines();
    if lines.next()?.trim() != VERSION {
        return None;
    }
    let count: usize = lines.next()?.trim().parse().ok()?;
    if count > ENTRIES_MAX || lines.clone().count() != count {
        return None;
    }
    lines.map(entry).collect()
}
