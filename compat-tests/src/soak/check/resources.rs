//! Memory and file handles of the server over time.

use std::time::Duration;

use crate::soak::anomaly::{Anomaly, Kind};

/// The server process at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Since the process was started.
    pub age: Duration,
    /// Which life of the server it is.
    pub life: usize,
    pub resident_bytes: u64,
    pub open_files: u64,
    /// Log segments of all partitions on the disk.
    pub segments: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub resident_bytes_max: u64,
    /// Handles that do not depend on the number of segments: sockets, metadata, checkpoints.
    pub open_files_base: u64,
    pub open_files_per_segment: u64,
    /// A life is judged for growth from this age on.
    pub settled: Duration,
    /// How much more memory the end of a life may need than its settled beginning.
    pub growth_bytes_max: u64,
}

/// Judges every sample against the bounds, and the last of each life against its settled beginning.
pub fn check_resources(bounds: Bounds, samples: &[Sample]) -> Vec<Anomaly> {
    let mut anomalies = Vec::new();
    for sample in samples {
        if sample.resident_bytes > bounds.resident_bytes_max {
            let story = format!("{} bytes resident", sample.resident_bytes);
            anomalies.push(Anomaly::new(Kind::Leak, story));
        }
        let files_max = bounds.open_files_base + bounds.open_files_per_segment * sample.segments;
        if sample.open_files > files_max {
            let story = format!(
                "{} open files with {} segments",
                sample.open_files, sample.segments
            );
            anomalies.push(Anomaly::new(Kind::Leak, story));
        }
    }
    for life in samples.chunk_by(|left, right| left.life == right.life) {
        let settled = life.iter().find(|sample| sample.age >= bounds.settled);
        let (Some(first), Some(last)) = (settled, life.last()) else {
            continue;
        };
        if last.resident_bytes > first.resident_bytes + bounds.growth_bytes_max {
            let story = format!(
                "from {} to {} bytes resident in {:?}",
                first.resident_bytes,
                last.resident_bytes,
                last.age - first.age
            );
            anomalies.push(Anomaly::new(Kind::Leak, story));
        }
    }
    anomalies
}
