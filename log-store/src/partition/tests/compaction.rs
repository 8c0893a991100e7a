//! What compaction keeps and what it drops. The cases are those of Kafka's `LogCleanerTest` and
//! `LogCleanerManagerTest`.

use std::sync::Arc;

use super::{OnDisk, in_memory};
use crate::batch::{Codec, Compression, EndMarker, NO_SEQUENCE, TimestampType};
use crate::engine::FirstBatch;
use crate::partition::{
    AppendOptions, CleanError, CleanReport, Cleaner, CleanerSettings, Cleanup, Compaction,
    Durability, LogOptions, Partition, ReadLimit, Throttle,
};
use crate::testing::records::{self, Seen, Write};
use crate::testing::{NOW_MS, append, headers_of, plain_batch};
use crate::{Offset, ProducerEpoch, ProducerId};
const RETENTION_MS: i64 = 1000;

fn options() -> LogOptions {
    LogOptions {
        cleanup: Cleanup::Compact,
        segment_bytes: 1 << 20,
        index_interval_bytes: 100,
        compaction: Compaction {
            dirty_ratio_min: 0.0,
            delete_retention_ms: RETENTION_MS,
            ..Compaction::default()
        },
        ..LogOptions::default()
    }
}

fn cleaner() -> Cleaner {
    Cleaner {
        settings: CleanerSettings {
            hash_seed: 1,
            ..CleanerSettings::default()
        },
        throttle: Arc::new(Throttle::new(f64::INFINITY)),
    }
}

fn clean(log: &Partition, now_ms: i64) -> CleanReport {
    log.clean(&cleaner(), now_ms).expect("it is compacted")
}

/// Seals the active segment, and commits what is in it: it may be compacted.
fn roll(log: &Partition) {
    log.roll(NOW_MS).expect("it rolls");
    log.flush().expect("it is synced");
}

fn put(log: &Partition, key: &str, value: &str) {
    write(log, &Write::plain(&[(key, Some(value))]));
}

fn write(log: &Partition, write: &Write<'_>) {
    let options = AppendOptions::client(Durability::Unsynced, NOW_MS);
    log.append(&write.batch(), options).expect("it is taken");
}

fn end(log: &Partition, producer_id: i64, epoch: i16, marker: EndMarker) {
    let batch = marker.batch(ProducerId(producer_id), ProducerEpoch(epoch), 3, NOW_MS);
    let options = AppendOptions::coordinator(NOW_MS);
    log.append(&batch, options).expect("it ends");
}

/// Offset, key and value of everything that a plain reader sees.
fn all(log: &Partition) -> Vec<(i64, String, Option<String>)> {
    let seen = records::read(log, Offset(0), ReadLimit::LogEnd);
    seen.into_iter().map(Seen::into_text).collect()
}

fn rows(rows: &[(i64, &str, Option<&str>)]) -> Vec<(i64, String, Option<String>)> {
    rows.iter()
        .map(|(offset, key, value)| (*offset, (*key).to_owned(), value.map(str::to_owned)))
        .collect()
}

#[test]
fn the_last_record_of_every_key_stays_where_it_was() {
    // Over several segments, which become one; the active one is left alone.
    let log = in_memory(options());
    for round in 0..3 {
        for key in ["a", "b", "c"] {
            put(&log, key, &format!("{key}{round}"));
        }
        roll(&log);
    }
    put(&log, "b", "last");
    assert_eq!(log.engine.segments().len(), 4);
    let report = clean(&log, NOW_MS);
    assert_eq!((report.segments_before, report.segments_after), (3, 1));
    assert_eq!(report.keys, 3);
    assert_eq!(report.cleaned_to, Offset(9));
    assert_eq!(
        all(&log),
        rows(&[
            (6, "a", Some("a2")),
            (7, "b", Some("b2")),
            (8, "c", Some("c2")),
            (9, "b", Some("last")),
        ])
    );
    assert_eq!(log.log_start(), Offset(0));
    assert_eq!(log.log_end(), Offset(10));
    // From an offset that is gone the next one is read.
    let seen = records::read(&log, Offset(2), ReadLimit::HighWatermark);
    assert_eq!(seen[0].offset, Offset(6));
    // Once more when there is more; what was compacted before counts as clean.
    assert_eq!(
        log.cleanable(NOW_MS).map(|found| found.dirty_ratio()),
        Some(0.0)
    );
    roll(&log);
    clean(&log, NOW_MS);
    assert_eq!(
        all(&log),
        rows(&[
            (6, "a", Some("a2")),
            (8, "c", Some("c2")),
            (9, "b", Some("last")),
        ])
    );
}

#[test]
fn a_tombstone_stays_for_its_retention_after_it_was_compacted_first() {
    // And not for a moment less: the delete horizon is in the batch (KIP-534).
    let log = in_memory(options());
    put(&log, "a", "value");
    write(&log, &Write::plain(&[("a", None), ("b", Some("value"))]));
    put(&log, "c", "value");
    roll(&log);
    let later_ms = NOW_MS + 5000;
    clean(&log, later_ms);
    let kept = rows(&[
        (1, "a", None),
        (2, "b", Some("value")),
        (3, "c", Some("value")),
    ]);
    assert_eq!(all(&log), kept);
    let headers = records::headers(&log);
    assert_eq!(
        headers[0].delete_horizon_ms(),
        Some(later_ms + RETENTION_MS)
    );
    assert_eq!(headers[1].delete_horizon_ms(), None);
    let times: Vec<i64> = records::read(&log, Offset(0), ReadLimit::LogEnd)
        .iter()
        .map(|record| record.timestamp_ms)
        .collect();
    assert_eq!(times, [NOW_MS, NOW_MS, NOW_MS]);
    let again = |now_ms| {
        put(&log, "d", "value");
        roll(&log);
        clean(&log, now_ms);
        all(&log).iter().any(|(_, key, _)| key == "a")
    };
    assert!(again(later_ms + RETENTION_MS - 1));
    assert!(!again(later_ms + RETENTION_MS));
}

#[test]
fn aborted_records_go_and_never_hide_older_ones() {
    // The abort marker stays until nothing of its transaction is left, and then for the retention.
    let log = in_memory(options());
    put(&log, "a", "first");
    write(
        &log,
        &Write::of_txn(1, 0, 0, &[("a", Some("void")), ("b", Some("void"))]),
    );
    end(&log, 1, 0, EndMarker::Abort);
    write(&log, &Write::of_txn(1, 0, 2, &[("c", Some("good"))]));
    end(&log, 1, 0, EndMarker::Commit);
    roll(&log);
    let expected = rows(&[(0, "a", Some("first")), (4, "c", Some("good"))]);
    let committed = |log: &Partition| -> Vec<_> {
        records::read_committed(log, Offset(0))
            .into_iter()
            .map(Seen::into_text)
            .collect()
    };
    assert_eq!(committed(&log), expected);
    clean(&log, NOW_MS);
    assert_eq!(all(&log), expected);
    assert_eq!(committed(&log), expected);
    // The marker was the end of batches that were there a moment ago.
    assert_eq!(log.aborted_txns(Offset(0), log.log_end()).len(), 1);
    assert_eq!(records::control_offsets(&log), [3, 5]);
    let again = |now_ms| {
        put(&log, "d", "value");
        roll(&log);
        clean(&log, now_ms);
        assert_eq!(committed(&log)[..2], expected);
        records::control_offsets(&log)
    };
    // Nothing is left of it: nobody needs to be told, and its time begins.
    assert_eq!(again(NOW_MS), [3, 5]);
    assert_eq!(log.aborted_txns(Offset(0), log.log_end()), []);
    assert_eq!(again(NOW_MS + RETENTION_MS - 1), [3, 5]);
    // The marker of the transaction that was committed stays as long as its records do.
    assert_eq!(again(NOW_MS + RETENTION_MS), [5]);
}

#[test]
fn an_open_transaction_is_not_touched() {
    // Nor anything behind its beginning: the segment that the last stable offset is in, and those
    // that follow.
    let log = in_memory(options());
    put(&log, "a", "0");
    put(&log, "a", "1");
    roll(&log);
    put(&log, "a", "2");
    write(&log, &Write::of_txn(1, 0, 0, &[("a", Some("3"))]));
    roll(&log);
    put(&log, "a", "4");
    roll(&log);
    let found = log.cleanable(NOW_MS).expect("there is something");
    assert_eq!(found.first_uncleanable, Offset(2));
    clean(&log, NOW_MS);
    assert_eq!(
        all(&log),
        rows(&[
            (1, "a", Some("1")),
            (2, "a", Some("2")),
            (3, "a", Some("3")),
            (4, "a", Some("4")),
        ])
    );
    end(&log, 1, 0, EndMarker::Commit);
    roll(&log);
    clean(&log, NOW_MS);
    assert_eq!(all(&log), rows(&[(4, "a", Some("4"))]));
}

#[test]
fn the_last_batch_of_a_producer_stays_without_its_records() {
    // Its sequence is known after a restart that finds nothing but batches, and a retry is one.
    let disk = OnDisk::new(options());
    let log = &disk.partition;
    let first = Write::idempotent(1, 0, 0, &[("a", Some("0"))]).batch();
    let last = Write::idempotent(1, 0, 1, &[("a", Some("1")), ("b", Some("1"))]).batch();
    let appended = append(log, &first, Durability::Unsynced).expect("it is taken");
    assert!(!appended.is_duplicate);
    append(log, &last, Durability::Unsynced).expect("it is taken");
    put(log, "a", "2");
    put(log, "b", "2");
    roll(log);
    clean(log, NOW_MS);
    assert_eq!(all(log), rows(&[(3, "a", Some("2")), (4, "b", Some("2"))]));
    let headers = records::headers(log);
    assert_eq!(headers[0].record_count, 0);
    assert_eq!(headers[0].base_offset, Offset(1));
    assert_eq!(headers[0].last_offset(), Offset(2));
    assert_eq!(headers[0].last_sequence(), 2);
    let before = log.active_producers();
    let disk = disk.kill();
    assert_eq!(disk.partition.active_producers(), before);
    let again = append(&disk.partition, &last, Durability::Unsynced).expect("it is known");
    assert!(again.is_duplicate);
    assert_eq!(again.base_offset, Offset(1));
}

#[test]
fn a_producer_that_only_has_a_marker_keeps_its_epoch() {
    // For fencing: the marker of the newest epoch stays although it ends nothing.
    let disk = OnDisk::new(options());
    end(&disk.partition, 1, 5, EndMarker::Abort);
    put(&disk.partition, "a", "0");
    roll(&disk.partition);
    for now_ms in [NOW_MS, NOW_MS + RETENTION_MS - 1] {
        put(&disk.partition, "a", "1");
        roll(&disk.partition);
        clean(&disk.partition, now_ms);
    }
    let disk = disk.kill();
    let producers = disk.partition.active_producers();
    assert_eq!(producers.len(), 1);
    assert_eq!(producers[0].epoch, ProducerEpoch(5));
    assert_eq!(producers[0].last_sequence, NO_SEQUENCE);
}

#[test]
fn records_keep_every_byte_and_batches_their_codec() {
    // Headers that repeat and that are no text, null values in them, any codec and both kinds of
    // time.
    let codecs = Codec::ALL.map(Compression::default_of);
    for compression in codecs {
        for timestamp_type in [TimestampType::CreateTime, TimestampType::LogAppendTime] {
            let log = in_memory(options());
            let stays = Write {
                compression,
                timestamp_type,
                headers: &[
                    (b"h", Some(b"1")),
                    (b"h", Some(b"2")),
                    (b"\xff\xfe", None),
                    (b"", Some(b"\x00")),
                ],
                ..Write::plain(&[("gone", Some("x")), ("a", Some("y")), ("b", Some("z"))])
            };
            write(&log, &stays);
            let before = records::read(&log, Offset(0), ReadLimit::LogEnd);
            put(&log, "gone", "later");
            roll(&log);
            clean(&log, NOW_MS);
            let after = records::read(&log, Offset(0), ReadLimit::LogEnd);
            assert_eq!(after[..2], before[1..3]);
            assert_eq!(after[0].headers.len(), 4);
            let header = records::headers(&log)[0];
            assert_eq!(header.attributes.compression(), Ok(compression.codec()));
            assert_eq!(header.attributes.timestamp_type(), timestamp_type);
            assert_eq!(header.record_count, 2);
            assert_eq!(header.base_offset, Offset(0));
            assert_eq!(header.last_offset(), Offset(2));
        }
    }
}

#[test]
fn what_does_not_fit_in_the_map_waits_for_the_next_time() {
    // Room for four keys: the rest stays dirty, and nothing of it is lost.
    let log = in_memory(options());
    for round in 0..2 {
        for key in 0..10 {
            put(&log, &format!("key {key}"), &format!("{round}"));
        }
    }
    roll(&log);
    let mut small = cleaner();
    small.settings.dedupe_buffer_bytes = 5 * 24;
    let mut cleaned_to = Offset(0);
    for _ in 0..5 {
        let report = log.clean(&small, NOW_MS).expect("it is compacted");
        assert_eq!(report.keys, 4);
        assert_eq!(report.cleaned_to, cleaned_to.plus(4));
        cleaned_to = report.cleaned_to;
    }
    let left: Vec<(i64, String, Option<String>)> = (0..10)
        .map(|key| (10 + key, format!("key {key}"), Some("1".to_owned())))
        .collect();
    assert_eq!(all(&log), left);
}

#[test]
fn a_log_is_due_by_its_dirt_or_by_its_age() {
    // Ratio, both lags, and what the policy says.
    let log = in_memory(LogOptions {
        compaction: Compaction {
            dirty_ratio_min: 0.5,
            ..options().compaction
        },
        ..options()
    });
    assert_eq!(log.cleanable(NOW_MS), None);
    for _ in 0..4 {
        put(&log, "a", "0");
    }
    assert_eq!(log.cleanable(NOW_MS), None);
    roll(&log);
    let found = log.cleanable(NOW_MS).expect("there is something");
    assert_eq!(found.dirty_ratio(), 1.0);
    assert!(found.is_due());
    clean(&log, NOW_MS);
    put(&log, "b", "0");
    roll(&log);
    let found = log.cleanable(NOW_MS).expect("there is something");
    assert_eq!(found.dirty_ratio(), 0.5);
    assert!(!found.is_due());

    // Its oldest dirty record has waited for longer than it may.
    let with = |compaction| LogOptions {
        compaction,
        ..options()
    };
    let impatient = Compaction {
        dirty_ratio_min: 0.5,
        lag_ms_max: Some(500),
        ..options().compaction
    };
    log.set_options(with(impatient));
    let delay_ms = |now_ms| {
        log.cleanable(now_ms)
            .map(|found| (found.delay_ms, found.is_due()))
    };
    assert_eq!(delay_ms(NOW_MS + 500), Some((0, false)));
    assert_eq!(delay_ms(NOW_MS + 507), Some((7, true)));

    // Its records are too young.
    let patient = Compaction {
        lag_ms_min: 500,
        ..options().compaction
    };
    log.set_options(with(patient));
    let cleanable_bytes = |now_ms| log.cleanable(now_ms).map(|found| found.cleanable_bytes);
    assert_eq!(cleanable_bytes(NOW_MS + 499), Some(0));
    assert!(cleanable_bytes(NOW_MS + 500) > Some(0));

    log.set_options(LogOptions::default());
    assert_eq!(log.cleanable(NOW_MS), None);
    assert_eq!(log.clean(&cleaner(), NOW_MS), Err(CleanError::Stopped));
}

#[test]
fn segments_are_joined_as_far_as_they_fit() {
    // By bytes, and never over more offsets than an index can name.
    let log = in_memory(LogOptions {
        segment_bytes: 500,
        ..options()
    });
    for key in 0..20 {
        put(&log, &format!("key {key}"), "value");
    }
    let before = log.engine.segments();
    for key in 0..15 {
        put(&log, &format!("key {key}"), "value");
    }
    roll(&log);
    clean(&log, NOW_MS);
    let after = log.engine.segments();
    assert!(after.len() > 3);
    assert!(after.iter().all(|segment| segment.bytes <= 500));
    assert_eq!(after[0].base, before[0].base);
    assert!(after.windows(2).all(|pair| pair[0].end == pair[1].base));
    // Half of the bytes are gone, and now two fit where one was.
    put(&log, "another", "value");
    roll(&log);
    clean(&log, NOW_MS);
    assert!(log.engine.segments().len() < after.len());
    assert_eq!(all(&log).len(), 21);
}

#[test]
fn what_was_read_before_stays_readable() {
    // Slices of segments that are gone, and a reader that goes on where it was.
    let disk = OnDisk::new(LogOptions {
        segment_bytes: 400,
        ..options()
    });
    for round in 0..30 {
        put(&disk.partition, &format!("key {}", round % 7), "value");
    }
    roll(&disk.partition);
    let read = |from| {
        disk.partition
            .read(Offset(from), 1 << 20, FirstBatch::Always, ReadLimit::LogEnd)
            .expect("it can be read")
    };
    let before = read(0);
    let headers = headers_of(&before.slices);
    assert_eq!(headers.len(), 30);
    clean(&disk.partition, NOW_MS);
    assert_eq!(headers_of(&before.slices), headers);
    for from in 0..30 {
        let seen = headers_of(&read(from).slices);
        let expected: Vec<_> = headers[23..]
            .iter()
            .filter(|header| header.last_offset() >= Offset(from))
            .copied()
            .collect();
        // The last batch below what was not touched may be there as well.
        let seen: Vec<_> = seen
            .into_iter()
            .filter(|header| header.record_count > 0)
            .collect();
        assert_eq!(seen, expected, "from {from}");
    }
}

#[test]
fn a_compacted_log_is_the_same_after_a_restart_and_after_a_kill() {
    // Contents, ends, where it was compacted to, and times.
    let disk = OnDisk::new(LogOptions {
        segment_bytes: 600,
        ..options()
    });
    for round in 0..40 {
        put(&disk.partition, &format!("key {}", round % 9), "value");
    }
    write(
        &disk.partition,
        &Write::of_txn(4, 0, 0, &[("t", Some("void"))]),
    );
    end(&disk.partition, 4, 0, EndMarker::Abort);
    roll(&disk.partition);
    clean(&disk.partition, NOW_MS);
    let state = |disk: &OnDisk| {
        let log = &disk.partition;
        (
            all(log),
            log.ends(),
            log.aborted_txns(Offset(0), log.log_end()),
            log.cleanable(NOW_MS).map(|found| found.first_dirty),
            log.offset_for_timestamp(NOW_MS, ReadLimit::LogEnd),
            log.engine.segments().len(),
        )
    };
    let before = state(&disk);
    assert_eq!(before.0.len(), 9);
    let disk = disk.restart();
    assert_eq!(state(&disk), before);
    let disk = disk.kill();
    assert_eq!(state(&disk), before);
    let disk = disk.restart().kill();
    assert_eq!(state(&disk), before);
}

#[test]
fn compaction_ends_when_it_is_told_to() {
    // By the throttle, by the policy, or because the log is closed; and the log is as it was.
    let log = in_memory(options());
    put(&log, "a", "0");
    put(&log, "a", "1");
    roll(&log);
    let stopped = cleaner();
    stopped.throttle.stop();
    assert_eq!(log.clean(&stopped, NOW_MS), Err(CleanError::Stopped));
    assert_eq!(all(&log).len(), 2);
    log.retire("it was deleted");
    assert!(matches!(
        log.clean(&cleaner(), NOW_MS),
        Err(CleanError::Offline(_))
    ));
    assert_eq!(log.cleanable(NOW_MS), None);
}

#[test]
fn a_failing_disk_costs_the_compaction_and_not_the_log() {
    // No room for the new segment: the log goes on, and is compacted when there is room again.
    let disk = OnDisk::new(options());
    for round in 0..10 {
        put(&disk.partition, "a", &format!("{round}"));
    }
    roll(&disk.partition);
    disk.fs.fail_writes_after(0);
    let refused = disk.partition.clean(&cleaner(), NOW_MS);
    assert!(matches!(refused, Err(CleanError::Io(_))), "{refused:?}");
    disk.fs.heal();
    assert_eq!(disk.partition.offline(), None);
    assert_eq!(all(&disk.partition).len(), 10);
    append(
        &disk.partition,
        &plain_batch(1, NOW_MS, 1),
        Durability::Unsynced,
    )
    .expect("it is taken");
    clean(&disk.partition, NOW_MS);
    assert_eq!(all(&disk.partition).len(), 2);
}

#[test]
fn damage_ends_compaction_for_good_and_nothing_else() {
    // A batch that fails its checksum: the log stays as it is.
    let disk = OnDisk::new(options());
    for round in 0..4 {
        put(&disk.partition, "a", &format!("{round}"));
    }
    roll(&disk.partition);
    let path = std::path::Path::new("/data/orders-0/00000000000000000000.log");
    disk.fs.damage(path, |bytes| {
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
    });
    let refused = disk.partition.clean(&cleaner(), NOW_MS);
    assert!(
        matches!(refused, Err(CleanError::Uncleanable(_))),
        "{refused:?}"
    );
    assert!(disk.partition.uncleanable().is_some());
    assert_eq!(disk.partition.cleanable(NOW_MS), None);
    assert_eq!(disk.partition.offline(), None);
    put(&disk.partition, "b", "more");
    assert_eq!(disk.partition.log_end(), Offset(5));
}
