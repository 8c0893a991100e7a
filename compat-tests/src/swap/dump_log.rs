//! kafka-dump-log over every file of a data directory.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::suites::{Failure, Outcome};
use crate::swap::program::Program;

/// Complaints that a failure shows.
const COMPLAINTS_SHOWN: usize = 20;

/// Has the tool read every file that it can read. Fails on the first complaint; returns the number of files.
pub fn check(program: &mut Program, data: &Path) -> Outcome<usize> {
    let mut by_options: BTreeMap<&str, Vec<PathBuf>> = BTreeMap::new();
    for partition in fs::read_dir(data)? {
        let partition = partition?.path();
        if !partition.is_dir() {
            continue;
        }
        for file in fs::read_dir(&partition)? {
            let file = file?.path();
            for options in options(&partition, &file) {
                by_options.entry(options).or_default().push(file.clone());
            }
        }
    }
    let mut complaints = Vec::new();
    let mut file_count = 0;
    for (options, mut files) in by_options {
        files.sort();
        let answer = program.dump_log(options, &files)?;
        let read = answer.iter().filter(|line| line.starts_with("lines "));
        assert_eq!(read.count(), files.len(), "each file has its line");
        file_count += files.len();
        let said = answer
            .into_iter()
            .filter(|line| line.starts_with("complaint "));
        complaints.extend(said.map(|line| format!("--{options}: {line}")));
    }
    if complaints.is_empty() {
        return Ok(file_count);
    }
    let count = complaints.len();
    complaints.truncate(COMPLAINTS_SHOWN);
    Err(Failure::new(format!(
        "kafka-dump-log has {count} complaints:\n{}",
        complaints.join("\n")
    )))
}

/// The options, separated by commas, with which the tool reads a file; several when there are several ways to look at it.
fn options(partition: &Path, file: &Path) -> Vec<&'static str> {
    let extension = file.extension().and_then(|extension| extension.to_str());
    let topic = partition.file_name().and_then(|name| name.to_str());
    let topic = topic.and_then(|name| name.rsplit_once('-'));
    match extension.unwrap_or_default() {
        "log" | "checkpoint" => match topic.map(|(topic, _)| topic) {
            Some("__consumer_offsets") => vec!["offsets-decoder"],
            Some("__transaction_state") => vec!["transaction-log-decoder"],
            Some("__cluster_metadata") => vec!["cluster-metadata-decoder"],
            _ => vec!["deep-iteration,print-data-log"],
        },
        "index" | "timeindex" => vec!["none", "index-sanity-check"],
        "txnindex" | "snapshot" => vec!["none"],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_file_is_read_in_its_own_way() {
        let options = |partition, file| options(Path::new(partition), Path::new(file));
        assert_eq!(
            options("__consumer_offsets-3", "0.log"),
            ["offsets-decoder"]
        );
        assert_eq!(
            options("__cluster_metadata-0", "1-2.checkpoint"),
            ["cluster-metadata-decoder"]
        );
        assert_eq!(options("a-b-0", "0.log"), ["deep-iteration,print-data-log"]);
        assert_eq!(
            options("a-0", "0.timeindex"),
            ["none", "index-sanity-check"]
        );
        assert!(options("a-0", "partition.metadata").is_empty());
    }
}
