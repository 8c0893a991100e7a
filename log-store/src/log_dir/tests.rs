//! The directory itself: who may have it, what is remembered, what is removed.

use std::path::Path;
use std::sync::Arc;

use super::{FoundLog, LogDir, LogDirError, LogOpening, MetaProperties};
use crate::engine::disk::fs::{Fs, OpenMode};
use crate::engine::disk::sim_fs::SimFs;
use crate::partition::{Durability, LogOptions, OpenError};
use crate::testing::{NOW_MS, append, plain_batch};
use crate::{LeaderEpoch, Offset};

const PATH: &str = "/data";

fn meta(node_id: i32) -> MetaProperties {
    MetaProperties {
        cluster_id: "4L6g3nShT-eMCtK--X86sw".to_owned(),
        node_id,
        directory_id: "Zm9vYmFyYmF6cXV4MTIzNA".to_owned(),
    }
}

fn open(fs: &SimFs) -> LogDir {
    LogDir::open_on(Arc::new(fs.clone()), Path::new(PATH), meta(1)).expect("it opens")
}

fn opening() -> LogOpening {
    LogOpening {
        leader_epoch: LeaderEpoch(0),
        log: LogOptions::default(),
        now_ms: NOW_MS,
    }
}

fn exists(fs: &SimFs, name: &str) -> bool {
    fs.open(&Path::new(PATH).join(name), OpenMode::Read).is_ok()
}

fn dirs(fs: &SimFs) -> Vec<String> {
    let entries = fs.list(Path::new(PATH)).expect("it is there");
    let dirs = entries.into_iter().filter(|entry| entry.is_dir);
    dirs.map(|entry| entry.name).collect()
}

#[test]
fn a_real_directory_is_taken_by_one_process_only() {
    // The second one is told so; when the first one is gone, it may have it.
    let root = tempfile::tempdir().expect("made");
    let path = root.path().join("data");
    let first = LogDir::open(&path, meta(1)).expect("it opens");
    let second = LogDir::open(&path, meta(1));
    assert!(matches!(second, Err(LogDirError::Locked { .. })));
    let log = first.open_partition("orders-0", "version: 0", opening());
    let log = log.expect("it opens");
    append(&log, &plain_batch(1, NOW_MS, 10), Durability::Durable).expect("it is taken");
    first.close(1).expect("it closes");
    drop(first);
    let second = LogDir::open(&path, meta(1)).expect("it opens");
    let log = second.open_partition("orders-0", "", opening());
    assert_eq!(log.expect("it opens").log_end(), Offset(1));
}

#[test]
fn the_directory_remembers_whom_it_belongs_to() {
    // What Kafka has written counts as well; another node's directory is refused.
    let fs = SimFs::new();
    drop(open(&fs));
    let other = MetaProperties {
        cluster_id: "other".to_owned(),
        ..meta(1)
    };
    let again = LogDir::open_on(Arc::new(fs.clone()), Path::new(PATH), other);
    assert_eq!(again.expect("it opens").meta(), &meta(1));
    let stranger = LogDir::open_on(Arc::new(fs.clone()), Path::new(PATH), meta(2));
    assert!(matches!(
        stranger,
        Err(LogDirError::OtherNode {
            node_id: 1,
            expected: 2,
            ..
        })
    ));
    let file = Path::new(PATH).join("meta.properties");
    fs.damage(&file, |bytes| {
        *bytes = b"#\n#Tue Oct 14 10:00:00 UTC 2025\nnode.id=1\nversion=1\n\
            cluster.id=abc\\=\n"
            .to_vec();
    });
    let dir = open(&fs);
    assert_eq!(dir.meta().cluster_id, "abc=");
    assert_eq!(dir.meta().directory_id, meta(1).directory_id);
    drop(dir);
    assert_eq!(open(&fs).meta().directory_id, meta(1).directory_id);
    fs.damage(&file, |bytes| *bytes = b"version=0\nbroker.id=1\n".to_vec());
    let old = LogDir::open_on(Arc::new(fs), Path::new(PATH), meta(1));
    assert!(matches!(old, Err(LogDirError::MalformedMeta { .. })));
}

#[test]
fn a_clean_shutdown_is_noted_once_and_only_when_it_is_true() {
    // The note goes with the next start, and does not come while a log is unproven.
    let fs = SimFs::new();
    let dir = open(&fs);
    dir.open_partition("orders-0", "version: 0", opening())
        .expect("it opens");
    dir.close(9).expect("it closes");
    drop(dir);
    let note = fs.contents(&Path::new(PATH).join(".kafka_cleanshutdown"));
    assert_eq!(
        note.as_deref(),
        Some(br#"{"version":0,"brokerEpoch":9}"#.as_slice())
    );
    let dir = open(&fs);
    assert!(!exists(&fs, ".kafka_cleanshutdown"));
    dir.close(9).expect("it closes");
    drop(dir);
    assert!(exists(&fs, ".kafka_cleanshutdown"));
    drop(open(&fs));
    // That one was not closed. The log is not opened this time, so nobody knows how it is.
    let dir = open(&fs);
    dir.close(9).expect("it closes");
    drop(dir);
    assert!(!exists(&fs, ".kafka_cleanshutdown"));
    let dir = open(&fs);
    dir.open_partition("orders-0", "version: 0", opening())
        .expect("it opens");
    dir.close(9).expect("it closes");
    assert!(exists(&fs, ".kafka_cleanshutdown"));
}

#[test]
fn a_deleted_log_is_gone_and_its_name_is_free() {
    // A new log of that name starts at 0, whatever was known of the old one.
    let fs = SimFs::new();
    let dir = open(&fs);
    let log = dir
        .open_partition("orders-0", "old", opening())
        .expect("it opens");
    append(&log, &plain_batch(5, NOW_MS, 10), Durability::Unsynced).expect("it is taken");
    log.delete_records_before(Offset(4)).expect("it works");
    dir.checkpoint().expect("it works");
    dir.delete_partition("orders-0", 0xabc).expect("it works");
    assert!(log.offline().is_some());
    assert!(dir.partition("orders-0").is_none());
    assert_eq!(dir.found().expect("it works"), []);
    dir.delete_partition("orders-0", 0xabd)
        .expect("there is none");
    let log = dir
        .open_partition("orders-0", "new", opening())
        .expect("it opens");
    assert_eq!(log.log_start(), Offset(0));
    assert_eq!(log.log_end(), Offset(0));
    let found = FoundLog {
        name: "orders-0".to_owned(),
        metadata: Some("new".to_owned()),
    };
    assert_eq!(dir.found().expect("it works"), [found]);
    dir.close(1).expect("it closes");
    assert_eq!(dirs(&fs), ["orders-0"]);
}

#[test]
fn what_a_deletion_left_over_is_removed_at_the_next_start() {
    // Here the name of one that Apache Kafka was at.
    let fs = SimFs::new();
    let leftover = "orders-0.0123456789abcdef0123456789abcdef-delete";
    fs.create_dir(&Path::new(PATH).join(leftover))
        .expect("made");
    let dir = open(&fs);
    dir.close(1).expect("it closes");
    assert_eq!(dirs(&fs), Vec::<String>::new());
    assert!(exists(&fs, ".kafka_cleanshutdown"));
}

#[test]
fn long_names_are_cut_when_they_are_doomed() {
    // No file name is longer than 255 bytes.
    let name = format!("{}-0", "ü".repeat(120));
    let doomed = super::doomed_name(&name, 7);
    assert!(doomed.len() <= super::NAME_BYTES_MAX);
    assert!(doomed.ends_with(".00000000000000000000000000000007-delete"));
}

#[test]
fn an_open_log_is_not_opened_twice() {
    // Unless it has gone offline.
    let fs = SimFs::new();
    let dir = open(&fs);
    let log = dir
        .open_partition("orders-0", "", opening())
        .expect("it opens");
    let twice = dir.open_partition("orders-0", "", opening());
    assert!(matches!(twice, Err(OpenError::AlreadyOpen)));
    log.retire("a test");
    dir.open_partition("orders-0", "", opening())
        .expect("it opens");
}

#[test]
fn making_a_log_costs_a_directory_and_a_file_and_no_sync() {
    // Thousands of them must be cheap. The first durable batch pays.
    let fs = SimFs::new();
    let dir = open(&fs);
    let syncs = fs.sync_count();
    for index in 0..50 {
        let name = format!("orders-{index}");
        dir.open_partition(&name, "version: 0", opening())
            .expect("it opens");
        let files = fs.list(&Path::new(PATH).join(&name)).expect("it is there");
        assert_eq!(files.len(), 1);
    }
    assert_eq!(fs.sync_count(), syncs);
}
