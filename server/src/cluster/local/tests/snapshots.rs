//! Snapshots, retention, and logs that begin with a snapshot.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::cluster::record::{RegisterBrokerRecord, RegisterControllerRecord, SupportedFeature};
use crate::cluster::restate;

fn metadata_dir(data_dir: &Path) -> PathBuf {
    data_dir.join(METADATA_DIRECTORY)
}

/// The names in the directory of the log with one of the endings.
fn names(data_dir: &Path, endings: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(metadata_dir(data_dir))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| endings.iter().any(|ending| name.ends_with(ending)))
        .collect();
    names.sort();
    names
}

fn other(api_key: u16, body: &[u8]) -> MetadataRecord {
    MetadataRecord::Other {
        api_key,
        version: 0,
        body: body.to_vec(),
    }
}

/// A client quota of 1024 for one user.
fn quota(user: &str, is_removed: bool) -> MetadataRecord {
    let mut body = vec![2, 5];
    body.extend(b"user");
    body.push(user.len() as u8 + 1);
    body.extend(user.as_bytes());
    body.extend([0, 4]);
    body.extend(b"key");
    body.extend(1024.0_f64.to_be_bytes());
    body.extend([u8::from(is_removed), 0]);
    other(14, &body)
}

fn acl(id: u8) -> Vec<u8> {
    [&[id; 16][..], &[2, 2, b't', 3, 0]].concat()
}

fn election(voters: &[i32]) -> ControlRecord {
    ControlRecord::LeaderChange {
        leader: voters[0],
        voters: voters.to_vec(),
    }
}

fn register(store: &LocalMetadataStore) {
    let features = vec![SupportedFeature {
        name: "metadata.version".to_owned(),
        level_first: 7,
        level_last: 30,
    }];
    let broker = RegisterBrokerRecord {
        broker_id: NODE_ID,
        is_migrating_zk_broker: true,
        incarnation_id: Uuid::from_u128(0xb),
        broker_epoch: -1,
        endpoints: Vec::new(),
        features: features.clone(),
        rack: Some("r".to_owned()),
        is_fenced: false,
        is_in_controlled_shutdown: false,
        log_dirs: vec![Uuid::from_u128(0xd)],
        cordoned_log_dirs: Some(Vec::new()),
    };
    changes::register_broker(store, &broker).unwrap();
    let controller = RegisterControllerRecord {
        controller_id: NODE_ID,
        incarnation_id: Uuid::from_u128(0xc),
        is_zk_migration_ready: true,
        endpoints: Vec::new(),
        features,
    };
    changes::register_controller(store, &controller).unwrap();
}

/// Everything that one store can know, some of it set, changed and removed again.
fn fill(store: &LocalMetadataStore) {
    register(store);
    create(store, "a.b", 1);
    create(store, "gone", 2);
    changes::next_producer_ids(store, NODE_ID).unwrap();
    store
        .propose(&mut |proposal| {
            changes::delete_topic(proposal, Uuid::from_u128(2));
            changes::set_config(
                proposal,
                &ConfigResource::default_broker(),
                "log.retention.ms",
                Some("5"),
            );
            proposal.push(quota("kept", false));
            proposal.push(quota("removed", false));
            proposal.push(quota("removed", true));
            proposal.push(other(18, &acl(1)));
            proposal.push(other(18, &acl(2)));
            proposal.push(other(19, &[&[1; 16][..], &[0]].concat()));
            // Credentials of one user: the second ones count.
            proposal.push(other(11, &[2, b'u', 1, 9, 9]));
            proposal.push(other(11, &[2, b'u', 1, 8, 8]));
            // Types of a later release.
            proposal.push(other(99, &[1]));
            proposal.push(other(99, &[1]));
        })
        .unwrap();
}

fn restated(image: &ClusterImage) -> Vec<MetadataRecord> {
    restate::records(image).collect()
}

/// The log is thrown away once the snapshot is there: whatever comes back comes from the snapshot.
#[test]
fn a_snapshot_holds_all_that_the_log_said() {
    let directory = TempDir::new().unwrap();
    let store = open_bootstrapped(directory.path());
    fill(&store);
    store.write_snapshot().unwrap();
    let before = store.image();
    assert_eq!(store.growth().bytes_since_snapshot, 0);
    drop(store);
    fs::remove_file(segment(directory.path())).unwrap();

    let store = open(directory.path()).unwrap();
    let after = store.image();
    assert_eq!(restated(&after), restated(&before));
    assert_eq!(after.brokers, before.brokers);
    assert_eq!(after.controllers, before.controllers);
    assert_eq!(contents(&after).1, contents(&before).1);
    assert_eq!(after.next_producer_id, 1000);
    assert_eq!(
        (after.epoch, after.offset),
        (before.epoch + 1, before.offset + 1)
    );
    assert!(store.had_metadata());
    let kept: Vec<MetadataRecord> = restated(&after)
        .into_iter()
        .filter(|record| matches!(record, MetadataRecord::Other { .. }))
        .collect();
    let expected = [
        quota("kept", false),
        other(18, &acl(2)),
        other(11, &[2, b'u', 1, 8, 8]),
        other(99, &[1]),
        other(99, &[1]),
    ];
    assert_eq!(kept, expected);

    // The log goes on where the snapshot ends.
    create(&store, "new", 3);
    let image = store.image();
    drop(store);
    assert_eq!(
        restated(&open(directory.path()).unwrap().image()),
        restated(&image)
    );
    assert_eq!(
        names(directory.path(), &[".log"]),
        [format!("{:020}.log", before.offset + 1)]
    );
}

#[test]
fn the_same_image_makes_the_same_snapshot_once() {
    let directory = TempDir::new().unwrap();
    let store = open_bootstrapped(directory.path());
    fill(&store);
    store.write_snapshot().unwrap();
    let snapshots = names(directory.path(), &[".checkpoint"]);
    let offset_end = store.image().offset + 1;
    assert_eq!(
        snapshots,
        [format!("{offset_end:020}-0000000001.checkpoint")]
    );
    let path = metadata_dir(directory.path()).join(&snapshots[0]);
    let first = fs::read(&path).unwrap();
    fs::write(&path, b"not written again").unwrap();
    store.write_snapshot().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"not written again");

    let again = snapshot::write(
        &metadata_dir(directory.path()),
        Durability::Disk,
        &store.image(),
        &Provenance {
            id: SnapshotId {
                offset_end,
                epoch: 1,
            },
            log_timestamp_ms: NOW_MS,
            quorum: Quorum::default(),
        },
        NOW_MS,
    )
    .unwrap();
    assert_eq!(fs::read(&path).unwrap(), first);
    assert_eq!(again.bytes, first.len() as u64);
}

/// Cuts a snapshot at every byte: none of them passes for a whole one.
#[test]
fn half_a_snapshot_is_refused() {
    let directory = TempDir::new().unwrap();
    let store = open_bootstrapped(directory.path());
    create(&store, "a", 1);
    store.write_snapshot().unwrap();
    drop(store);
    let name = names(directory.path(), &[".checkpoint"]).remove(0);
    let path = metadata_dir(directory.path()).join(name);
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(
            matches!(open(directory.path()), Err(OpenError::Damaged { .. })),
            "{length} bytes"
        );
    }
}

/// What a crash leaves while a snapshot is written or deleted is cleared away and does not count.
#[test]
fn leftovers_of_snapshots_are_cleared_away() {
    let directory = TempDir::new().unwrap();
    let store = open_bootstrapped(directory.path());
    create(&store, "a", 1);
    let before = store.image();
    drop(store);
    for name in [
        "00000000000000000009-0000000001.checkpoint.part",
        "00000000000000000009-0000000001-4711.checkpoint.part",
        "00000000000000000003-0000000001.checkpoint.deleted",
    ] {
        fs::write(metadata_dir(directory.path()).join(name), b"half").unwrap();
    }
    let store = open(directory.path()).unwrap();
    assert_eq!(restated(&store.image()), restated(&before));
    assert!(names(directory.path(), &[".part", ".deleted"]).is_empty());
}

/// A log whose beginning was deleted in favour of a snapshot, as Kafka's controller leaves it, snapshot offsets included.
#[test]
fn a_snapshot_stands_for_the_log_before_it() {
    let directory = TempDir::new().unwrap();
    let metadata = metadata_dir(directory.path());
    fs::create_dir_all(&metadata).unwrap();
    let record = |name: &str, id| {
        encode(
            &MetadataRecord::Topic {
                name: name.to_owned(),
                topic_id: Uuid::from_u128(id),
            },
            30,
        )
    };
    let write_snapshot = |name: &str, epoch, record: Vec<u8>| {
        let header = ControlRecord::SnapshotHeader {
            log_timestamp_ms: NOW_MS,
        };
        let batches = [
            batch::control(place(0, epoch), &[header]),
            batch::records(place(1, epoch), &[record]),
            batch::control(place(2, epoch), &[ControlRecord::SnapshotFooter]),
        ];
        let bytes: Vec<u8> = batches
            .iter()
            .flat_map(|batch| batch.bytes().to_vec())
            .collect();
        fs::write(metadata.join(name), bytes).unwrap();
    };
    write_snapshot(
        "00000000000000000001-0000000003.checkpoint",
        3,
        record("old", 9),
    );
    write_snapshot(
        "00000000000000000040-0000000004.checkpoint",
        4,
        record("snapshot", 1),
    );
    let skipped = [record("skipped", 2), record("skipped too", 3)];
    let skipped = batch::records(place(38, 4), &skipped);
    let log = batch::records(place(40, 5), &[record("log", 4)]);
    fs::write(
        metadata.join("00000000000000000038.log"),
        [&skipped.bytes()[..], &log.bytes()[..]].concat(),
    )
    .unwrap();

    let store = open(directory.path()).unwrap();
    assert_eq!(contents(&store.image()).0, ["log", "snapshot"]);
    assert_eq!(store.image().offset, 41);
    drop(store);
    let written = fs::read(metadata.join("00000000000000000038.log")).unwrap();
    let change = batch::control(place(41, 6), &[election(&[NODE_ID])]);
    assert!(
        written.ends_with(change.bytes()),
        "the next epoch is one above the last"
    );
    assert_eq!(
        names(directory.path(), &[".checkpoint"]),
        ["00000000000000000040-0000000004.checkpoint"],
        "the old snapshot ends before the log begins"
    );
}

/// A follower that was stopped after it had fetched a snapshot has a log that ends before the snapshot does.
#[test]
fn a_log_that_ends_before_its_snapshot_begins_anew_behind_it() {
    let directory = TempDir::new().unwrap();
    let store = open_bootstrapped(directory.path());
    create(&store, "a", 1);
    let short = fs::read(segment(directory.path())).unwrap();
    create(&store, "b", 2);
    store.write_snapshot().unwrap();
    let before = store.image();
    drop(store);
    fs::write(segment(directory.path()), short).unwrap();

    let store = open(directory.path()).unwrap();
    assert_eq!(restated(&store.image()), restated(&before));
    create(&store, "c", 3);
    drop(store);
    assert_eq!(
        names(directory.path(), &[".log"]),
        [format!("{:020}.log", before.offset + 1)]
    );
    assert_eq!(
        contents(&open(directory.path()).unwrap().image()).0,
        ["a", "b", "c"]
    );
}

/// Segments of one batch each: after every snapshot only what retention keeps is left, and it always opens.
#[test]
fn retention_by_bytes_keeps_the_newest_snapshot_and_what_follows_it() {
    let directory = TempDir::new().unwrap();
    let config = MetadataLogConfig {
        segment_bytes: 1,
        retention_bytes: Some(0),
        ..UNBOUNDED
    };
    let store = bootstrapped(open_with(directory.path(), config).unwrap());
    for (id, name) in (1..).zip(["a", "b", "c"]) {
        create(&store, name, id);
    }
    assert_eq!(names(directory.path(), &[".log"]).len(), 5);
    store.write_snapshot().unwrap();
    // The only snapshot, so the log is still needed for those who have none.
    assert_eq!(names(directory.path(), &[".log"]).len(), 5);
    create(&store, "d", 4);
    let kafkas_index = metadata_dir(directory.path()).join("00000000000000000000.index");
    fs::write(&kafkas_index, b"").unwrap();
    store.write_snapshot().unwrap();
    assert_eq!(names(directory.path(), &[".checkpoint"]).len(), 1);
    assert_eq!(names(directory.path(), &[".log"]).len(), 1);
    assert!(!kafkas_index.exists());
    create(&store, "e", 5);
    let before = store.image();
    drop(store);
    let store = open_with(directory.path(), config).unwrap();
    assert_eq!(restated(&store.image()), restated(&before));
    assert_eq!(contents(&before).0, ["a", "b", "c", "d", "e"]);
}

/// A crash anywhere in a deletion leaves some of the files: every state of the directory opens to the same image.
#[test]
fn a_deletion_that_was_cut_short_loses_nothing() {
    let directory = TempDir::new().unwrap();
    let config = MetadataLogConfig {
        segment_bytes: 1,
        ..UNBOUNDED
    };
    let store = bootstrapped(open_with(directory.path(), config).unwrap());
    for (id, name) in (1..).zip(["a", "b", "c", "d"]) {
        create(&store, name, id);
        store.write_snapshot().unwrap();
    }
    let before = restated(&store.image());
    let expired = {
        let mut log = store.lock();
        log.files = {
            let mut image = ClusterImage::empty("", NODE_ID);
            let config = MetadataLogConfig {
                retention_bytes: Some(0),
                ..config
            };
            let mut replay = Replay::new(&mut image);
            Files::open(
                &metadata_dir(directory.path()),
                Durability::Disk,
                config,
                &mut replay,
            )
            .unwrap()
        };
        log.files.expire(NOW_MS)
    };
    drop(store);
    assert_eq!((expired.snapshots.len(), expired.segments.len()), (3, 5));
    let steps: Vec<files::Expired> = expired
        .snapshots
        .iter()
        .map(|id| files::Expired {
            snapshots: vec![*id],
            ..files::Expired::default()
        })
        .chain(expired.segments.iter().map(|segment| files::Expired {
            segments: vec![*segment],
            ..files::Expired::default()
        }))
        .collect();
    for step in steps {
        step.remove(&metadata_dir(directory.path())).unwrap();
        let store = open(directory.path()).unwrap();
        assert_eq!(restated(&store.image()), before);
    }
}

#[test]
fn an_old_segment_is_closed() {
    let directory = TempDir::new().unwrap();
    let config = MetadataLogConfig {
        segment_ms: 10,
        ..UNBOUNDED
    };
    let open_at = |now_ms: i64| {
        LocalMetadataStore::open(
            directory.path(),
            "AAAAAAAAAAAAAAAAAAAAAQ",
            NODE_ID,
            Durability::PageCache,
            config,
            Box::new(move || now_ms),
        )
        .unwrap()
    };
    create(&open_at(100), "a", 1);
    create(&open_at(110), "b", 2);
    assert_eq!(names(directory.path(), &[".log"]).len(), 1);
    drop(open_at(111));
    assert_eq!(names(directory.path(), &[".log"]).len(), 2);
    assert_eq!(contents(&open_at(111).image()).0, ["a", "b"]);
}

/// The directory as `kafka-storage format --standalone` leaves it: a snapshot of nothing that names the voters.
#[test]
fn voters_go_from_the_first_snapshot_to_the_log_and_to_later_snapshots() {
    let directory = TempDir::new().unwrap();
    let metadata = metadata_dir(directory.path());
    fs::create_dir_all(&metadata).unwrap();
    let voters = |node_id: u8| {
        let mut value = vec![0, 0, 2, 0, 0, 0, node_id];
        value.extend([7; 16]);
        value.extend([1, 0, 0, 0, 1, 0, 0, 0]);
        ControlRecord::decode(&[0, 0, 0, 6], &value).unwrap()
    };
    let format = |node_id| {
        let header = [
            ControlRecord::SnapshotHeader {
                log_timestamp_ms: NOW_MS,
            },
            ControlRecord::KraftVersion(1),
            voters(node_id),
        ];
        let header = batch::control(place(0, 0), &header);
        let footer = batch::control(place(3, 0), &[ControlRecord::SnapshotFooter]);
        fs::write(
            metadata.join("00000000000000000000-0000000000.checkpoint"),
            [&header.bytes()[..], &footer.bytes()[..]].concat(),
        )
        .unwrap();
    };
    format(2);
    assert!(matches!(
        open(directory.path()),
        Err(OpenError::OtherVoters { node_id: 1, voters }) if voters == [2]
    ));
    format(1);

    let store = open(directory.path()).unwrap();
    let expected = [election(&[1]), ControlRecord::KraftVersion(1), voters(1)];
    let first = batch::control(place(0, 1), &expected);
    assert_eq!(
        fs::read(segment(directory.path())).unwrap(),
        first.bytes()[..]
    );
    assert!(!store.had_metadata());
    create(&store, "a", 1);
    store.write_snapshot().unwrap();
    drop(store);
    for name in [
        "00000000000000000000-0000000000.checkpoint",
        "00000000000000000000.log",
    ] {
        fs::remove_file(metadata.join(name)).unwrap();
    }

    let store = open(directory.path()).unwrap();
    assert_eq!(store.lock().quorum.kraft_version, 1);
    assert_eq!(store.lock().quorum.begin_epoch(NODE_ID), expected[..1]);
    assert_eq!(store.image().features.level("kraft.version"), 1);
    let voters_kept = store
        .lock()
        .quorum
        .voters
        .clone()
        .map(ControlRecord::Voters);
    assert_eq!(voters_kept, Some(voters(1)));
}

/// A data directory of a larger cluster: of one of its controllers, or of a broker that votes for nothing.
#[test]
fn a_log_that_others_vote_on_is_left_alone() {
    for electorate in [&[1, 2, 3][..], &[3000]] {
        let directory = TempDir::new().unwrap();
        fs::create_dir_all(metadata_dir(directory.path())).unwrap();
        let log = batch::control(place(0, 1), &[election(electorate)]);
        fs::write(segment(directory.path()), log.bytes()).unwrap();
        assert!(matches!(
            open(directory.path()),
            Err(OpenError::OtherVoters { node_id: 1, voters }) if voters == electorate
        ));
        assert_eq!(
            fs::read(segment(directory.path())).unwrap(),
            log.bytes()[..]
        );
    }
}

/// Kafka's controller may have voted in an epoch that never came to write a batch.
#[test]
fn an_epoch_is_above_the_one_in_the_quorum_state() {
    let directory = TempDir::new().unwrap();
    drop(open(directory.path()).unwrap());
    let path = metadata_dir(directory.path()).join("quorum-state");
    let state = fs::read_to_string(&path).unwrap();
    assert!(state.contains("\"leaderEpoch\":1,"), "{state}");
    fs::write(
        &path,
        state.replace("\"leaderEpoch\":1,", "\"leaderEpoch\":7,"),
    )
    .unwrap();
    assert_eq!(open(directory.path()).unwrap().image().epoch, 8);
    fs::remove_file(&path).unwrap();
    assert_eq!(open(directory.path()).unwrap().image().epoch, 9);
}

async fn wait_for_snapshots(data_dir: &Path, count: usize) {
    for _ in 0..10_000 {
        if names(data_dir, &[".checkpoint"]).len() == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{:?}", names(data_dir, &[".checkpoint"]));
}

/// Time stands still but for the sleeps of the test.
#[tokio::test(start_paused = true)]
async fn snapshots_come_after_so_many_bytes_or_so_long_a_time() {
    let directory = TempDir::new().unwrap();
    let config = MetadataLogConfig {
        snapshot_bytes: 2_000,
        snapshot_interval: Some(Duration::from_secs(3600)),
        ..UNBOUNDED
    };
    let store = Arc::new(open_with(directory.path(), config).unwrap());
    let shutdown = CancellationToken::new();
    let upkeep = tokio::spawn(upkeep::run(Arc::clone(&store), shutdown.clone()));

    create(&*store, "few bytes", 1);
    tokio::time::sleep(Duration::from_secs(3599)).await;
    assert!(names(directory.path(), &[".checkpoint"]).is_empty());
    tokio::time::sleep(Duration::from_secs(2)).await;
    wait_for_snapshots(directory.path(), 1).await;
    // Nothing has changed since, so there is nothing to write.
    tokio::time::sleep(Duration::from_secs(7200)).await;
    assert_eq!(names(directory.path(), &[".checkpoint"]).len(), 1);

    for id in 2..12 {
        create(&*store, &format!("many bytes {id}"), id);
    }
    wait_for_snapshots(directory.path(), 2).await;
    assert!(store.growth().bytes_since_snapshot < 2_000);
    shutdown.cancel();
    upkeep.await.unwrap();
}
