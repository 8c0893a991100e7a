//! The server from outside: memory, file handles, and the files of its logs.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::soak::check::{Files, Sample};

/// The segments of a partition: base offset and bytes of each `.log` file.
pub type Segments = BTreeMap<i64, u64>;

/// Adds what has happened between two looks at a partition.
pub fn add_work(files: &mut Files, before: &Segments, after: &Segments) {
    for (base_offset, bytes) in before {
        match after.get(base_offset) {
            None => files.removed += 1,
            Some(now) if now < bytes => files.shrunk += 1,
            Some(_) => {}
        }
    }
    files.bytes_max = files.bytes_max.max(after.values().sum());
}

/// A name that marks a file as on its way out or not yet in.
const TRANSIENT: [&str; 3] = ["deleted", "cleaned", "swap"];

/// Looks at the data directory and the process.
#[derive(Debug)]
pub struct Gauge {
    data: PathBuf,
    life_began: Instant,
    pub samples: Vec<Sample>,
    /// By partition folder.
    pub files: BTreeMap<String, Files>,
    segments: BTreeMap<String, Segments>,
    /// Transient files and folders, and when this life of the server first had them.
    transient: BTreeMap<PathBuf, Instant>,
    /// Bytes in all logs, at most and last.
    pub bytes_max: u64,
    pub bytes_last: u64,
    /// How long a transient file has stayed in one life of the server, at most, and which.
    pub oldest_transient: Option<(Duration, PathBuf)>,
}

impl Gauge {
    pub fn new(data: &Path) -> Self {
        Self {
            data: data.to_owned(),
            life_began: Instant::now(),
            samples: Vec::new(),
            files: BTreeMap::new(),
            segments: BTreeMap::new(),
            transient: BTreeMap::new(),
            bytes_max: 0,
            bytes_last: 0,
            oldest_transient: None,
        }
    }

    /// The server was started again.
    pub fn begin_life(&mut self) {
        self.life_began = Instant::now();
        self.transient.clear();
    }

    /// Takes a sample of a server that runs. A process or file that goes away meanwhile is left out.
    pub fn sample(&mut self, pid: u32, life: usize) {
        // Only a look that fails as a whole is left out: the folder itself is always there.
        let Ok(segments) = self.look() else {
            return;
        };
        for (partition, now) in &segments {
            if let Some(before) = self.segments.get(partition) {
                let files = self.files.entry(partition.clone()).or_default();
                add_work(files, before, now);
            }
        }
        self.bytes_last = segments.values().flat_map(BTreeMap::values).sum();
        self.bytes_max = self.bytes_max.max(self.bytes_last);
        let segment_count = segments.values().map(BTreeMap::len).sum::<usize>();
        self.segments = segments;
        if let (Some(resident_bytes), Ok(open_files)) = (resident_bytes(pid), open_files(pid)) {
            self.samples.push(Sample {
                age: self.life_began.elapsed(),
                life,
                resident_bytes,
                open_files,
                segments: segment_count as u64,
            });
        }
    }

    fn look(&mut self) -> io::Result<BTreeMap<String, Segments>> {
        let mut partitions = BTreeMap::new();
        let mut transient = BTreeMap::new();
        let now = Instant::now();
        for folder in fs::read_dir(&self.data)? {
            let folder = folder?;
            let Ok(files) = fs::read_dir(folder.path()) else {
                continue;
            };
            let mut segments = Segments::new();
            for file in files.flatten() {
                let path = file.path();
                let suffix = path.extension().and_then(|it| it.to_str()).unwrap_or("");
                if TRANSIENT.contains(&suffix) {
                    let since = self.transient.get(&path).copied().unwrap_or(now);
                    transient.insert(path, since);
                } else if suffix == "log" {
                    let stem = path.file_stem().and_then(|it| it.to_str());
                    let base_offset = stem.and_then(|it| it.parse().ok());
                    if let (Some(base_offset), Ok(metadata)) = (base_offset, file.metadata()) {
                        segments.insert(base_offset, metadata.len());
                    }
                }
            }
            partitions.insert(folder.file_name().to_string_lossy().into_owned(), segments);
        }
        self.transient = transient;
        for (path, since) in &self.transient {
            let age = now - *since;
            if self.oldest_transient.as_ref().is_none_or(|it| it.0 < age) {
                self.oldest_transient = Some((age, path.clone()));
            }
        }
        Ok(partitions)
    }
}

fn resident_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

fn open_files(pid: u32) -> io::Result<u64> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares two looks at a partition: one file gone, one smaller, one grown, one new.
    #[test]
    fn removed_and_shrunk_segments_are_counted() {
        let before = Segments::from([(0, 100), (10, 100), (20, 100)]);
        let after = Segments::from([(10, 40), (20, 120), (30, 5)]);
        let mut files = Files::default();
        add_work(&mut files, &before, &after);
        add_work(&mut files, &after, &after);
        let expected = Files {
            removed: 1,
            shrunk: 1,
            bytes_max: 165,
        };
        assert_eq!(files, expected);
    }

    /// Looks at a folder like a partition's and at this process itself.
    #[test]
    fn a_look_sees_segments_and_transient_files() {
        let home = tempfile::tempdir().expect("a folder");
        let partition = home.path().join("events-0");
        fs::create_dir(&partition).expect("a folder");
        let log = partition.join("00000000000000000020.log");
        fs::write(&log, [0; 7]).expect("a file");
        let gone = partition.join("00000000000000000000.log.deleted");
        fs::write(&gone, []).expect("a file");
        let mut gauge = Gauge::new(home.path());
        gauge.sample(std::process::id(), 1);
        fs::write(&log, [0; 3]).expect("a file");
        gauge.sample(std::process::id(), 1);

        let sample = gauge.samples.last().expect("two samples");
        assert!(sample.resident_bytes > 0 && sample.open_files > 0);
        assert_eq!(
            (sample.segments, gauge.bytes_last, gauge.bytes_max),
            (1, 3, 7)
        );
        assert_eq!(gauge.files["events-0"].shrunk, 1);
        let (_, path) = gauge.oldest_transient.expect("one is there");
        assert_eq!(path, gone);
    }
}
