//! Which batches of idempotent producers are taken. The cases are those of Kafka's
//! `ProducerStateManagerTest`.

use super::{OnDisk, in_memory};
use crate::batch::Origin;
use crate::engine::disk::sim_fs::PowerCut;
use crate::partition::{AppendError, AppendOptions, Appended, Durability, LogOptions, Partition};
use crate::testing::{NOW_MS, Random, append, idempotent_batch, plain_batch, transactional_batch};
use crate::{Offset, ProducerEpoch, ProducerId};

fn send(
    partition: &Partition,
    producer_id: i64,
    epoch: i16,
    sequence: i32,
    record_count: i32,
) -> Result<Appended, AppendError> {
    let batch = idempotent_batch(producer_id, epoch, sequence, record_count);
    append(partition, &batch, Durability::Unsynced)
}

fn base_offset(answer: Result<Appended, AppendError>) -> (i64, bool) {
    let appended = answer.expect("it is taken");
    (appended.base_offset.0, appended.is_duplicate)
}

fn out_of_order(sequence: i32, last_sequence: i32) -> Result<Appended, AppendError> {
    Err(AppendError::OutOfOrderSequence {
        producer_id: ProducerId(1),
        sequence,
        last_sequence,
    })
}

#[test]
fn sequences_must_follow_each_other() {
    // A gap and a step back are refused and change nothing.
    let log = in_memory(LogOptions::default());
    assert_eq!(base_offset(send(&log, 1, 0, 0, 3)), (0, false));
    assert_eq!(send(&log, 1, 0, 4, 1), out_of_order(4, 2));
    assert_eq!(send(&log, 1, 0, 1, 1), out_of_order(1, 2));
    assert_eq!(base_offset(send(&log, 1, 0, 3, 2)), (3, false));
    assert_eq!(log.log_end(), Offset(5));
}

#[test]
fn the_last_five_batches_are_known_again() {
    // Older ones are refused: nobody can tell any more where they are.
    let log = in_memory(LogOptions::default());
    for index in 0..6 {
        assert_eq!(
            base_offset(send(&log, 1, 0, index * 2, 2)),
            (i64::from(index) * 2, false)
        );
    }
    for index in 1..6 {
        assert_eq!(
            base_offset(send(&log, 1, 0, index * 2, 2)),
            (i64::from(index) * 2, true)
        );
    }
    assert_eq!(send(&log, 1, 0, 0, 2), out_of_order(0, 11));
    // The same first sequence with another length is no retry.
    assert_eq!(send(&log, 1, 0, 10, 1), out_of_order(10, 11));
    assert_eq!(log.log_end(), Offset(12));
}

#[test]
fn sequences_wrap_around() {
    // From 2^31 - 1 to 0, between two batches and inside of one.
    let log = in_memory(LogOptions::default());
    assert_eq!(base_offset(send(&log, 1, 0, i32::MAX - 1, 2)), (0, false));
    assert_eq!(base_offset(send(&log, 1, 0, 0, 1)), (2, false));
    assert_eq!(base_offset(send(&log, 2, 0, i32::MAX - 1, 5)), (3, false));
    assert_eq!(base_offset(send(&log, 2, 0, i32::MAX - 1, 5)), (3, true));
    assert_eq!(base_offset(send(&log, 2, 0, 3, 1)), (8, false));
}

#[test]
fn an_epoch_fences_the_ones_before_and_begins_at_zero() {
    // KIP-360.
    let log = in_memory(LogOptions::default());
    assert_eq!(base_offset(send(&log, 1, 3, 7, 2)), (0, false));
    let stale = Err(AppendError::InvalidProducerEpoch {
        producer_id: ProducerId(1),
        epoch: ProducerEpoch(2),
        current: ProducerEpoch(3),
    });
    assert_eq!(send(&log, 1, 2, 9, 1), stale);
    assert_eq!(send(&log, 1, 4, 9, 1), out_of_order(9, 8));
    assert_eq!(base_offset(send(&log, 1, 4, 0, 1)), (2, false));
    // The batches of the older epoch are forgotten: the same numbers are no retry.
    assert_eq!(send(&log, 1, 4, 7, 2), out_of_order(7, 0));
}

#[test]
fn a_producer_that_nobody_knows_may_begin_anywhere() {
    // Its state may have expired; so it does here.
    let options = LogOptions {
        producer_id_expiration_ms: 1000,
        ..LogOptions::default()
    };
    let log = in_memory(options);
    assert_eq!(base_offset(send(&log, 1, 0, 40, 1)), (0, false));
    assert_eq!(send(&log, 1, 0, 50, 1), out_of_order(50, 40));
    log.expire_producers(NOW_MS + 999);
    assert_eq!(log.active_producers().len(), 1);
    log.expire_producers(NOW_MS + 1000);
    assert_eq!(log.active_producers(), []);
    assert_eq!(base_offset(send(&log, 1, 0, 50, 1)), (1, false));
}

#[test]
fn producers_do_not_disturb_each_other() {
    // And batches without a producer id are never compared with anything.
    let log = in_memory(LogOptions::default());
    assert_eq!(base_offset(send(&log, 1, 0, 0, 1)), (0, false));
    assert_eq!(base_offset(send(&log, 2, 0, 0, 1)), (1, false));
    let plain = plain_batch(1, NOW_MS, 5);
    for offset in 2..5 {
        let answer = append(&log, &plain, Durability::Unsynced);
        assert_eq!(base_offset(answer), (offset, false));
    }
    assert_eq!(base_offset(send(&log, 1, 0, 1, 1)), (5, false));
}

#[test]
fn coordinators_are_only_asked_for_their_epoch() {
    // Offsets committed in a transaction have a producer id and no sequence.
    let log = in_memory(LogOptions::default());
    let options = AppendOptions::coordinator(NOW_MS);
    assert_eq!(options.origin, Origin::Coordinator);
    let batch = transactional_batch(1, 4, crate::batch::NO_SEQUENCE, 2);
    for _ in 0..2 {
        let appended = log.append(&batch, options).expect("it is taken");
        assert!(!appended.is_duplicate);
    }
    let stale = transactional_batch(1, 3, crate::batch::NO_SEQUENCE, 2);
    let refused = log.append(&stale, options);
    assert!(matches!(
        refused,
        Err(AppendError::InvalidProducerEpoch { .. })
    ));
}

#[test]
fn a_clean_restart_keeps_the_last_batch_of_each_producer() {
    // That is what Kafka's snapshot holds.
    let disk = OnDisk::new(LogOptions::default());
    for index in 0..3 {
        send(&disk.partition, 1, 6, index, 1).expect("it is taken");
    }
    let disk = disk.restart();
    assert_eq!(base_offset(send(&disk.partition, 1, 6, 2, 1)), (2, true));
    assert_eq!(send(&disk.partition, 1, 6, 1, 1), out_of_order(1, 2));
    assert_eq!(base_offset(send(&disk.partition, 1, 6, 3, 1)), (3, false));
    let stale = send(&disk.partition, 1, 5, 0, 1);
    assert!(matches!(
        stale,
        Err(AppendError::InvalidProducerEpoch { .. })
    ));
}

#[test]
fn a_kill_keeps_what_the_batches_tell() {
    // The batches themselves are replayed: all five are known again.
    let options = LogOptions {
        segment_bytes: 200,
        ..LogOptions::default()
    };
    let disk = OnDisk::new(options);
    for index in 0..6 {
        send(&disk.partition, 1, 0, index, 1).expect("it is taken");
    }
    assert!(disk.partition.engine.segments().len() > 2);
    let disk = disk.kill();
    for index in 1..6 {
        let answer = send(&disk.partition, 1, 0, index, 1);
        assert_eq!(base_offset(answer), (i64::from(index), true));
    }
    assert_eq!(base_offset(send(&disk.partition, 1, 0, 6, 1)), (6, false));
}

#[test]
fn trimming_never_costs_the_memory_of_a_producer() {
    // Its batch is deleted, the power goes right after: a retry is a retry all the same.
    for seed in 0..50 {
        let options = LogOptions {
            segment_bytes: 300,
            retention_bytes: Some(300),
            ..LogOptions::default()
        };
        let disk = OnDisk::new(options.clone());
        let end = send(&disk.partition, 1, 0, 0, 1)
            .expect("it is taken")
            .end_offset();
        for _ in 0..8 {
            let batch = plain_batch(1, NOW_MS, 50);
            append(&disk.partition, &batch, Durability::Unsynced).expect("it is taken");
        }
        disk.partition.apply_retention(NOW_MS).expect("it works");
        assert!(disk.partition.log_start() > end);
        let fs = disk.fs.cut_power(PowerCut::InOrder, &mut Random(seed));
        let disk = OnDisk::open(fs, options);
        let retried = send(&disk.partition, 1, 0, 0, 1);
        assert_eq!(base_offset(retried), (0, true), "seed {seed}");
    }
}

#[test]
fn a_batch_must_fit_in_a_segment() {
    // Otherwise the segment could not keep its promise.
    let options = LogOptions {
        segment_bytes: 200,
        ..LogOptions::default()
    };
    let log = in_memory(options);
    let refused = append(&log, &plain_batch(1, NOW_MS, 200), Durability::Unsynced);
    assert!(matches!(
        refused,
        Err(AppendError::TooLargeForSegment { bytes_max: 200, .. })
    ));
    assert_eq!(log.log_end(), Offset(0));
}
