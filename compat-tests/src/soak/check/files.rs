//! The files of a log over a run: whether retention and the cleaner have done their work.

use crate::soak::anomaly::{Anomaly, Kind};

/// What was seen of the files of a partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Files {
    /// Segments that went away: deleted, or merged into others.
    pub removed: u64,
    /// Segments that became smaller.
    pub shrunk: u64,
    /// All segments together, at their largest.
    pub bytes_max: u64,
}

/// Judges a run that was long enough for retention and the cleaner to have work.
pub fn check_files(name: &str, is_compacted: bool, bytes_max: u64, files: Files) -> Vec<Anomaly> {
    let mut anomalies = Vec::new();
    let work = if is_compacted {
        files.shrunk
    } else {
        files.removed
    };
    if work == 0 {
        let story = format!("{name}: no segment was cleaned, {files:?}");
        anomalies.push(Anomaly::new(Kind::NotCleaned, story));
    }
    if files.bytes_max > bytes_max {
        let story = format!("{name}: grew to {} bytes", files.bytes_max);
        anomalies.push(Anomaly::new(Kind::NotCleaned, story));
    }
    anomalies
}
