use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::cluster::changes;
use crate::cluster::view::{ConfigResource, PartitionImage};

mod snapshots;

const NODE_ID: i32 = 1;
/// When everything happens here, unless a test says otherwise.
const NOW_MS: i64 = 1_000;

/// Bounds that no test reaches by chance.
const UNBOUNDED: MetadataLogConfig = MetadataLogConfig {
    segment_bytes: u64::MAX,
    segment_ms: i64::MAX,
    snapshot_bytes: u64::MAX,
    snapshot_interval: None,
    retention_bytes: None,
    retention_ms: None,
};

fn open(data_dir: &Path) -> Result<LocalMetadataStore, OpenError> {
    open_with(data_dir, UNBOUNDED)
}

fn open_with(data_dir: &Path, config: MetadataLogConfig) -> Result<LocalMetadataStore, OpenError> {
    LocalMetadataStore::open(
        data_dir,
        "AAAAAAAAAAAAAAAAAAAAAQ",
        NODE_ID,
        Durability::Disk,
        config,
        Box::new(|| NOW_MS),
    )
}

fn place(base_offset: i64, epoch: i32) -> Place {
    Place {
        base_offset,
        epoch,
        now_ms: NOW_MS,
    }
}

fn segment(data_dir: &Path) -> PathBuf {
    data_dir
        .join(METADATA_DIRECTORY)
        .join("00000000000000000000.log")
}

/// A log of a cluster with the newest features, as every cluster has them that was made here.
fn open_bootstrapped(data_dir: &Path) -> LocalMetadataStore {
    bootstrapped(open(data_dir).unwrap())
}

fn bootstrapped(store: LocalMetadataStore) -> LocalMetadataStore {
    let level = MetadataRecord::FeatureLevel {
        name: "metadata.version".to_owned(),
        level: 30,
    };
    changes::bootstrap(&store, &[level]).unwrap();
    store
}

fn create(store: &dyn MetadataStore, name: &str, id: u128) {
    let configs = BTreeMap::from([("retention.ms".to_owned(), "1000".to_owned())]);
    store
        .propose(&mut |proposal| {
            let partition = changes::new_partition(proposal.image(), &[NODE_ID], &[NODE_ID]);
            changes::create_topic(
                proposal,
                name,
                Uuid::from_u128(id),
                &configs,
                &[partition.clone(), partition],
            );
        })
        .unwrap();
}

/// What of an image must survive a restart.
fn contents(image: &ClusterImage) -> (Vec<String>, Vec<PartitionImage>, i64, i64) {
    let names = image.topics().map(|topic| topic.name.to_string()).collect();
    let partitions = image
        .topics()
        .flat_map(|topic| topic.partitions.clone())
        .collect();
    (names, partitions, image.next_producer_id, image.offset)
}

#[test]
fn a_reopened_log_has_everything_that_was_acknowledged() {
    let directory = TempDir::new().unwrap();
    let store = open_bootstrapped(directory.path());
    create(&store, "a.b", 1);
    create(&store, "c", 2);
    changes::next_producer_ids(&store, NODE_ID).unwrap();
    store
        .propose(&mut |proposal| changes::delete_topic(proposal, Uuid::from_u128(2)))
        .unwrap();
    let before = store.image();
    drop(store);

    let after = open(directory.path()).unwrap().image();
    let (names, partitions, next_producer_id, offset) = contents(&after);
    assert_eq!(names, ["a.b"]);
    assert_eq!(partitions, contents(&before).1);
    assert_eq!(next_producer_id, 1000);
    // One control batch begins the epoch of the second open.
    assert_eq!(offset, before.offset + 1);
    let configs = after.configs(&ConfigResource::topic("a.b")).unwrap();
    assert_eq!(
        configs.get("retention.ms").map(String::as_str),
        Some("1000")
    );
    assert!(
        after.configs(&ConfigResource::topic("c")).is_none(),
        "configs of a deleted topic"
    );
    assert_eq!(
        after.topic_colliding_with("a_b").map(|name| &**name),
        Some("a.b")
    );
}

/// Cuts the log at every byte of its last batch, as a crash may: the proposal before it stays, the last one is gone in full.
#[test]
fn a_torn_append_is_cut_off_and_nothing_else() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path()).unwrap();
    create(&store, "kept", 1);
    let whole_bytes = fs::metadata(segment(directory.path())).unwrap().len();
    let offset = store.image().offset;
    create(&store, "torn", 2);
    drop(store);
    let log = fs::read(segment(directory.path())).unwrap();

    for length in whole_bytes as usize..log.len() {
        // The same length in zeros is what a file system leaves that had grown the file before it wrote the bytes.
        for fill in [0, log.len() - length] {
            let torn = [&log[..length], &vec![0; fill]].concat();
            // The batch ends with a zero, so its last byte cannot be missed.
            if torn == log {
                continue;
            }
            fs::write(segment(directory.path()), torn).unwrap();
            let image = open(directory.path()).unwrap().image();
            assert_eq!(contents(&image).0, ["kept"], "{length} bytes");
            assert_eq!(image.offset, offset + 1, "{length} bytes");
        }
    }
    // What was cut off makes room for a batch with the same offsets.
    let store = open(directory.path()).unwrap();
    create(&store, "new", 3);
    drop(store);
    assert_eq!(
        contents(&open(directory.path()).unwrap().image()).0,
        ["kept", "new"]
    );
}

#[test]
fn a_changed_byte_before_the_last_batch_is_damage_and_not_a_torn_append() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path()).unwrap();
    let position = fs::metadata(segment(directory.path())).unwrap().len();
    create(&store, "first", 1);
    create(&store, "second", 2);
    drop(store);
    let mut log = fs::read(segment(directory.path())).unwrap();
    log[position as usize + 70] ^= 1;
    fs::write(segment(directory.path()), &log).unwrap();

    match open(directory.path()) {
        Err(OpenError::Damaged {
            position: found, ..
        }) => assert_eq!(found, position),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        fs::read(segment(directory.path())).unwrap(),
        log,
        "the log is left as it was found"
    );
}

#[test]
fn a_missing_batch_is_damage() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path()).unwrap();
    let position = fs::metadata(segment(directory.path())).unwrap().len() as usize;
    create(&store, "first", 1);
    let next = fs::metadata(segment(directory.path())).unwrap().len() as usize;
    create(&store, "second", 2);
    drop(store);
    let log = fs::read(segment(directory.path())).unwrap();
    fs::write(
        segment(directory.path()),
        [&log[..position], &log[next..]].concat(),
    )
    .unwrap();
    assert!(matches!(
        open(directory.path()),
        Err(OpenError::Damaged { .. })
    ));
}

/// Writes what Kafka's controller writes, one batch for each record, and leaves the log where a crash may have left it.
#[test]
fn an_open_transaction_is_taken_back() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path()).unwrap();
    create(&store, "before", 1);
    let begin = MetadataRecord::BeginTransaction { name: None };
    store
        .propose(&mut |proposal| proposal.push(begin.clone()))
        .unwrap();
    create(&store, "inside", 2);
    let offset = store.image().offset;
    drop(store);

    let store = open(directory.path()).unwrap();
    assert_eq!(contents(&store.image()).0, ["before"]);
    // The control batch of the new epoch and the record that aborts.
    assert_eq!(store.image().offset, offset + 2);
    create(&store, "inside", 3);
    drop(store);
    assert_eq!(
        contents(&open(directory.path()).unwrap().image()).0,
        ["before", "inside"]
    );
}

#[test]
fn a_refused_proposal_leaves_no_trace() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path()).unwrap();
    create(&store, "a", 1);
    let (image, log) = (store.image(), fs::read(segment(directory.path())).unwrap());

    let refused = store.propose(&mut |proposal| {
        proposal.push(MetadataRecord::Topic {
            name: "b".to_owned(),
            topic_id: Uuid::from_u128(2),
        });
        proposal.push(MetadataRecord::Topic {
            name: "a".to_owned(),
            topic_id: Uuid::from_u128(3),
        });
    });
    assert!(
        matches!(refused, Err(ProposeError::Contradiction(_))),
        "{refused:?}"
    );
    let too_large = store.propose(&mut |proposal| {
        let value = "x".repeat(METADATA_BATCH_BYTES_MAX);
        changes::set_config(proposal, &ConfigResource::topic("a"), "x", Some(&value));
    });
    assert!(
        matches!(too_large, Err(ProposeError::TooLarge { .. })),
        "{too_large:?}"
    );
    assert!(
        Arc::ptr_eq(&store.propose(&mut |_| ()).unwrap(), &image),
        "an empty proposal changes nothing"
    );

    assert!(Arc::ptr_eq(&store.image(), &image));
    assert_eq!(fs::read(segment(directory.path())).unwrap(), log);
}

#[test]
fn a_watcher_sees_the_image_after_each_proposal() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path()).unwrap();
    let mut watcher = store.watch();
    assert!(!watcher.has_changed().unwrap());
    create(&store, "a", 1);
    assert!(watcher.has_changed().unwrap());
    assert!(watcher.borrow_and_update().topic("a").is_some());
}
