//! Times, epochs, retention, rolling.

use super::{OnDisk, in_memory};
use crate::batch::{Batch, BatchBuilder, BatchSettings, Compression};
use crate::partition::{
    Cleanup, Durability, EpochEnd, LogOptions, OpenError, Partition, ReadLimit, TimestampOffset,
};
use crate::testing::{NOW_MS, append, plain_batch};
use crate::{LeaderEpoch, Offset};

const LIMIT: ReadLimit = ReadLimit::HighWatermark;

fn compressed(timestamps_ms: &[i64]) -> Batch {
    let mut builder = BatchBuilder::new(BatchSettings {
        compression: Compression::Lz4(1),
        ..BatchSettings::default()
    });
    for timestamp_ms in timestamps_ms {
        builder.push(*timestamp_ms, None, Some(b"value"), &[]);
    }
    builder.build().expect("a small batch")
}

fn found(offset: i64, timestamp_ms: i64) -> Option<TimestampOffset> {
    Some(TimestampOffset {
        timestamp_ms,
        offset: Offset(offset),
        leader_epoch: Some(LeaderEpoch(5)),
    })
}

#[test]
fn a_time_leads_to_the_very_record() {
    // Compressed batches in several segments, with times that go back and forth.
    let disk = OnDisk::new(LogOptions {
        segment_bytes: 300,
        index_interval_bytes: 50,
        ..LogOptions::default()
    });
    let times: [[i64; 3]; 6] = [
        [100, 120, 110],
        [90, 95, 80],
        [130, 200, 150],
        [140, 140, 210],
        [10, 20, 30],
        [220, 220, 205],
    ];
    for batch in &times {
        append(&disk.partition, &compressed(batch), Durability::Unsynced).expect("it is taken");
    }
    let flat: Vec<i64> = times.concat();
    let check = |partition: &Partition| {
        for wanted in 0..230 {
            let first = flat.iter().position(|time| *time >= wanted);
            let expected = first.and_then(|index| found(index as i64, flat[index]));
            let answer = partition.offset_for_timestamp(wanted, LIMIT);
            assert_eq!(answer, Ok(expected), "for {wanted}");
        }
        assert_eq!(partition.max_timestamp_offset(LIMIT), Ok(found(15, 220)));
    };
    assert!(disk.partition.engine.segments().len() > 2);
    check(&disk.partition);
    let disk = disk.restart();
    check(&disk.partition);
    let disk = disk.kill();
    check(&disk.partition);
    // What lies in front of the log start is not found any more.
    disk.partition
        .delete_records_before(Offset(8))
        .expect("it works");
    assert_eq!(
        disk.partition.offset_for_timestamp(0, LIMIT),
        Ok(found(8, 150))
    );
}

#[test]
fn an_empty_log_has_no_times() {
    // And its ends are where it starts.
    let log = in_memory(LogOptions::default());
    assert_eq!(log.offset_for_timestamp(0, LIMIT), Ok(None));
    assert_eq!(log.max_timestamp_offset(LIMIT), Ok(None));
    assert_eq!(log.earliest(), (Offset(0), Some(LeaderEpoch(5))));
    assert_eq!(log.latest(LIMIT), (Offset(0), LeaderEpoch(5)));
}

#[test]
fn epochs_go_on_where_they_were_and_never_back() {
    // Opened at 5, then 7; an opener of 6 is too late, also after a kill.
    let disk = OnDisk::new(LogOptions::default());
    let batch = plain_batch(2, NOW_MS, 10);
    append(&disk.partition, &batch, Durability::Unsynced).expect("it is taken");
    disk.dir.close_partition("orders-0").expect("it closes");
    let opening = |epoch| crate::log_dir::LogOpening {
        leader_epoch: LeaderEpoch(epoch),
        log: LogOptions::default(),
        now_ms: NOW_MS,
    };
    let partition = disk.dir.open_partition("orders-0", "", opening(7));
    let partition = partition.expect("it opens");
    append(&partition, &batch, Durability::Unsynced).expect("it is taken");
    let end = |epoch, end| EpochEnd {
        epoch: LeaderEpoch(epoch),
        end: Offset(end),
    };
    assert_eq!(partition.epoch_end_offset(LeaderEpoch(5)), end(5, 2));
    assert_eq!(partition.epoch_end_offset(LeaderEpoch(6)), end(5, 2));
    assert_eq!(partition.epoch_end_offset(LeaderEpoch(7)), end(7, 4));
    assert_eq!(partition.divergence(LeaderEpoch(7), Offset(4)), None);
    assert_eq!(partition.divergence(LeaderEpoch(5), Offset(2)), None);
    assert_eq!(
        partition.divergence(LeaderEpoch(5), Offset(3)),
        Some(end(5, 2))
    );
    assert_eq!(
        partition.divergence(LeaderEpoch(6), Offset(3)),
        Some(end(5, 2))
    );

    let fs = disk.fs.kill();
    let meta = disk.dir.meta().clone();
    let path = disk.dir.path().to_owned();
    let dir = crate::log_dir::LogDir::open_on(std::sync::Arc::new(fs), &path, meta);
    let dir = dir.expect("the directory opens");
    let late = dir.open_partition("orders-0", "", opening(6));
    assert!(matches!(
        late,
        Err(OpenError::EpochFenced {
            epoch: LeaderEpoch(6),
            current: LeaderEpoch(7)
        })
    ));
    let partition = dir
        .open_partition("orders-0", "", opening(7))
        .expect("it opens");
    assert_eq!(partition.epoch_end_offset(LeaderEpoch(5)), end(5, 2));
}

#[test]
fn segments_roll_by_size_by_time_and_by_index() {
    // Each for itself.
    let bases = |log: &Partition| -> Vec<i64> {
        let segments = log.engine.segments();
        segments.iter().map(|segment| segment.base.0).collect()
    };
    let fill = |log: &Partition, times: &[i64]| {
        for time in times {
            let batch = plain_batch(1, NOW_MS + time, 100);
            append(log, &batch, Durability::Unsynced).expect("it is taken");
        }
    };
    let batch_bytes = plain_batch(1, NOW_MS, 100).header().total_bytes() as u32;
    let log = in_memory(LogOptions {
        segment_bytes: 3 * batch_bytes,
        ..LogOptions::default()
    });
    fill(&log, &[0; 7]);
    assert_eq!(bases(&log), [0, 3, 6]);

    let log = in_memory(LogOptions {
        segment_ms: 100,
        ..LogOptions::default()
    });
    fill(&log, &[0, 100, 101, 150, 202]);
    assert_eq!(bases(&log), [0, 2, 4]);

    let log = in_memory(LogOptions {
        index_interval_bytes: 1,
        segment_index_bytes: 4 * 12,
        ..LogOptions::default()
    });
    fill(&log, &[0; 9]);
    // Every batch but the first one has an entry, and the fourth slot of the time index is kept.
    assert_eq!(bases(&log), [0, 4, 8]);
}

#[test]
fn retention_deletes_what_is_too_old_or_too_much() {
    // By time, by size, by log start; never by age when only compaction is allowed.
    let batch_bytes = plain_batch(1, NOW_MS, 100).header().total_bytes() as u64;
    let options = |cleanup| LogOptions {
        segment_bytes: batch_bytes as u32,
        retention_ms: Some(1000),
        cleanup,
        ..LogOptions::default()
    };
    let fill = |log: &Partition| {
        for time in [0, 500, 3000, 100, 4000] {
            let batch = plain_batch(1, NOW_MS + time, 100);
            append(log, &batch, Durability::Unsynced).expect("it is taken");
        }
    };
    let log = in_memory(options(Cleanup::Delete));
    fill(&log);
    let retained = log.apply_retention(NOW_MS + 2000).expect("it works");
    assert_eq!(retained.deleted_segments, 2);
    assert_eq!(log.log_start(), Offset(2));
    log.set_options(LogOptions {
        retention_ms: None,
        retention_bytes: Some(2 * batch_bytes),
        ..options(Cleanup::Delete)
    });
    log.apply_retention(NOW_MS).expect("it works");
    assert_eq!(log.log_start(), Offset(3));
    assert_eq!(log.size_bytes(), 2 * batch_bytes);

    let log = in_memory(options(Cleanup::Compact));
    fill(&log);
    log.apply_retention(NOW_MS + 2000).expect("it works");
    assert_eq!(log.log_start(), Offset(0));
    log.delete_records_before(Offset(2)).expect("it works");
    assert_eq!(log.engine.segments()[0].base, Offset(2));
}

#[test]
fn a_log_that_lost_everything_to_age_goes_on_at_its_end() {
    // Also after a kill: offsets are never given twice.
    let disk = OnDisk::new(LogOptions {
        retention_ms: Some(1000),
        ..LogOptions::default()
    });
    let batch = plain_batch(3, NOW_MS, 100);
    append(&disk.partition, &batch, Durability::Unsynced).expect("it is taken");
    let retained = disk
        .partition
        .apply_retention(NOW_MS + 5000)
        .expect("it works");
    assert_eq!(retained.deleted_segments, 1);
    assert_eq!(disk.partition.log_start(), Offset(3));
    assert_eq!(disk.partition.size_bytes(), 0);
    let disk = disk.kill();
    assert_eq!(disk.partition.log_start(), Offset(3));
    let appended = append(&disk.partition, &batch, Durability::Unsynced).expect("it is taken");
    assert_eq!(appended.base_offset, Offset(3));
    assert_eq!(appended.log_start_offset, Offset(3));
}
