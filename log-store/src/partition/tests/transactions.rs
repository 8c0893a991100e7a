//! The last stable offset, aborted transactions, and who may end one.

use std::path::Path;

use super::{OnDisk, in_memory};
use crate::batch::EndMarker;
use crate::engine::disk::fs::Fs;
use crate::engine::disk::sim_fs::PowerCut;
use crate::partition::{
    AbortedTxn, ActiveProducer, AppendError, AppendOptions, Appended, Durability, LogOptions,
    Partition,
};
use crate::testing::{
    NOW_MS, Random, append, block_on, idempotent_batch, plain_batch, transactional_batch,
};
use crate::{Offset, ProducerEpoch, ProducerId};

fn begin(partition: &Partition, producer_id: i64, sequence: i32) -> Appended {
    let batch = transactional_batch(producer_id, 0, sequence, 2);
    append(partition, &batch, Durability::Unsynced).expect("it is taken")
}

fn end(
    partition: &Partition,
    producer_id: i64,
    epoch: i16,
    marker: EndMarker,
) -> Result<Appended, AppendError> {
    end_as(partition, producer_id, epoch, marker, 7, 1)
}

fn end_as(
    partition: &Partition,
    producer_id: i64,
    epoch: i16,
    marker: EndMarker,
    coordinator_epoch: i32,
    transaction_version: i16,
) -> Result<Appended, AppendError> {
    let batch = marker.batch(
        ProducerId(producer_id),
        ProducerEpoch(epoch),
        coordinator_epoch,
        NOW_MS,
    );
    let options = AppendOptions {
        durability: Durability::Unsynced,
        transaction_version,
        ..AppendOptions::coordinator(NOW_MS)
    };
    partition.append(&batch, options)
}

fn aborted(producer_id: i64, first: i64, last: i64, last_stable: i64) -> AbortedTxn {
    AbortedTxn {
        producer_id: ProducerId(producer_id),
        first_offset: Offset(first),
        last_offset: Offset(last),
        last_stable_offset: Offset(last_stable),
    }
}

#[test]
fn the_last_stable_offset_waits_for_the_earliest_open_transaction() {
    // Two overlapping ones, and plain records between.
    let log = in_memory(LogOptions::default());
    append(&log, &plain_batch(1, NOW_MS, 1), Durability::Unsynced).expect("it is taken");
    assert_eq!(log.last_stable(), Offset(1));
    begin(&log, 1, 0);
    begin(&log, 2, 0);
    append(&log, &plain_batch(1, NOW_MS, 1), Durability::Unsynced).expect("it is taken");
    assert_eq!(log.high_watermark(), Offset(6));
    assert_eq!(log.last_stable(), Offset(1));
    end(&log, 1, 0, EndMarker::Commit).expect("it ends");
    assert_eq!(log.last_stable(), Offset(3));
    end(&log, 2, 0, EndMarker::Abort).expect("it ends");
    assert_eq!(log.last_stable(), Offset(8));
    assert_eq!(
        log.aborted_txns(Offset(0), Offset(8)),
        [aborted(2, 3, 7, 8)]
    );
}

#[test]
fn aborted_transactions_are_told_to_whom_they_concern() {
    // Those that begin before the end of what is read and end at or behind its start, by marker,
    // as `.txnindex` has them.
    let log = in_memory(LogOptions::default());
    begin(&log, 1, 0);
    begin(&log, 2, 0);
    end(&log, 2, 0, EndMarker::Abort).expect("it ends");
    end(&log, 1, 0, EndMarker::Abort).expect("it ends");
    let (first, second) = (aborted(1, 0, 5, 6), aborted(2, 2, 4, 0));
    assert_eq!(log.aborted_txns(Offset(0), Offset(6)), [second, first]);
    assert_eq!(log.aborted_txns(Offset(0), Offset(2)), [first]);
    assert_eq!(log.aborted_txns(Offset(5), Offset(6)), [first]);
    assert_eq!(log.aborted_txns(Offset(6), Offset(9)), []);
}

#[test]
fn a_producer_with_an_open_transaction_writes_nothing_else() {
    // INVALID_TXN_STATE.
    let log = in_memory(LogOptions::default());
    begin(&log, 1, 0);
    let refused = append(&log, &idempotent_batch(1, 0, 2, 1), Durability::Unsynced);
    let producer_id = ProducerId(1);
    assert_eq!(refused, Err(AppendError::InvalidTxnState { producer_id }));
    end(&log, 1, 0, EndMarker::Commit).expect("it ends");
    append(&log, &idempotent_batch(1, 0, 2, 1), Durability::Unsynced).expect("it is taken");
}

#[test]
fn stale_coordinators_and_stale_epochs_end_nothing() {
    // The older protocol takes a marker of the same epoch, the newer one wants a greater one
    // (KIP-890) or a repetition.
    let log = in_memory(LogOptions::default());
    begin(&log, 1, 0);
    end_as(&log, 1, 0, EndMarker::Commit, 7, 1).expect("it ends");
    begin(&log, 1, 2);
    let fenced = end_as(&log, 1, 0, EndMarker::Commit, 6, 1);
    assert!(matches!(
        fenced,
        Err(AppendError::CoordinatorFenced { current: 7, .. })
    ));
    let same = end_as(&log, 1, 0, EndMarker::Commit, 7, 2);
    assert!(matches!(
        same,
        Err(AppendError::InvalidProducerEpoch { .. })
    ));
    assert_eq!(log.last_stable(), Offset(3));
    end_as(&log, 1, 1, EndMarker::Commit, 7, 2).expect("it ends");
    end_as(&log, 1, 1, EndMarker::Commit, 7, 2).expect("a repetition is taken");
    let zombie = append(&log, &transactional_batch(1, 0, 4, 1), Durability::Unsynced);
    assert!(matches!(
        zombie,
        Err(AppendError::InvalidProducerEpoch { .. })
    ));
    assert_eq!(log.last_stable(), log.log_end());
}

#[test]
fn transactions_survive_restarts_and_kills() {
    // One open, one aborted, in segments of their own.
    let options = LogOptions {
        segment_bytes: 350,
        ..LogOptions::default()
    };
    let disk = OnDisk::new(options);
    begin(&disk.partition, 1, 0);
    begin(&disk.partition, 2, 0);
    end(&disk.partition, 2, 0, EndMarker::Abort).expect("it ends");
    for sequence in 0..5 {
        let batch = idempotent_batch(3, 0, sequence, 1);
        append(&disk.partition, &batch, Durability::Unsynced).expect("it is taken");
    }
    let check = |disk: &OnDisk| {
        assert_eq!(disk.partition.log_end(), Offset(10));
        assert_eq!(disk.partition.last_stable(), Offset(0));
        assert_eq!(
            disk.partition.aborted_txns(Offset(0), Offset(10)),
            [aborted(2, 2, 4, 0)]
        );
    };
    check(&disk);
    let disk = disk.kill();
    check(&disk);
    let disk = disk.kill().restart();
    check(&disk);
    let disk = disk.restart().kill();
    check(&disk);
    end(&disk.partition, 1, 0, EndMarker::Commit).expect("it ends");
    assert_eq!(disk.partition.last_stable(), Offset(11));
    let disk = disk.kill();
    assert_eq!(disk.partition.last_stable(), Offset(11));
    assert_eq!(disk.partition.active_producers().len(), 3);
}

#[test]
fn a_transaction_is_late_when_its_coordinator_must_have_ended_it() {
    // The longest timeout and five minutes after the last batch of the earliest open one
    // (`ProducerStateManager.hasLateTransaction`).
    const TIMEOUT_MS: i64 = 900_000;
    const LATE_FROM_MS: i64 = NOW_MS + 1 + TIMEOUT_MS + 300_000;
    let log = in_memory(LogOptions::default());
    assert!(!log.has_late_txn(i64::MAX, TIMEOUT_MS));
    begin(&log, 1, 0);
    assert!(!log.has_late_txn(LATE_FROM_MS, TIMEOUT_MS));
    assert!(log.has_late_txn(LATE_FROM_MS + 1, TIMEOUT_MS));
    end(&log, 1, 0, EndMarker::Abort).expect("it ends");
    assert!(!log.has_late_txn(LATE_FROM_MS + 1, TIMEOUT_MS));
}

#[test]
fn a_producer_is_described_as_its_batches_left_it() {
    // KIP-664: in a transaction, after its marker, and with a marker alone; the same after a
    // restart and after a kill.
    let disk = OnDisk::new(LogOptions::default());
    begin(&disk.partition, 1, 0);
    begin(&disk.partition, 2, 5);
    end_as(&disk.partition, 2, 0, EndMarker::Commit, 7, 1).expect("it ends");
    end_as(&disk.partition, 3, 4, EndMarker::Abort, 8, 2).expect("it is taken");
    let described =
        |producer_id, epoch, last_sequence, coordinator_epoch, first: Option<i64>| ActiveProducer {
            producer_id: ProducerId(producer_id),
            epoch: ProducerEpoch(epoch),
            last_sequence,
            last_timestamp_ms: if first.is_some() { NOW_MS + 1 } else { NOW_MS },
            coordinator_epoch,
            txn_first_offset: first.map(Offset),
        };
    let expected = [
        described(1, 0, 1, -1, Some(0)),
        described(2, 0, 6, 7, None),
        described(3, 4, -1, 8, None),
    ];
    assert_eq!(disk.partition.active_producers(), expected);
    let disk = disk.kill();
    assert_eq!(disk.partition.active_producers(), expected);
    let disk = disk.restart();
    assert_eq!(disk.partition.active_producers(), expected);
    // The marker that comes again after a restart is a repetition, as before it.
    end_as(&disk.partition, 3, 4, EndMarker::Abort, 8, 2).expect("a repetition is taken");
}

/// What a log knows beside its batches.
fn known(disk: &OnDisk) -> (Offset, Offset, Vec<AbortedTxn>, Vec<ActiveProducer>) {
    let log = &disk.partition;
    let aborted = log.aborted_txns(Offset(0), log.log_end());
    (
        log.log_end(),
        log.last_stable(),
        aborted,
        log.active_producers(),
    )
}

/// Writes for a while: transactions that overlap, end and stay open, rolls, checkpoints, restarts.
fn live(disk: OnDisk, random: &mut Random) -> OnDisk {
    let mut disk = disk;
    let mut sequences = [0; 4];
    let mut are_open = [false; 4];
    for _ in 0..random.below(150) {
        let producer = random.below(4) as usize;
        let producer_id = producer as i64 + 1;
        match random.below(16) {
            0..8 => {
                let batch = transactional_batch(producer_id, 0, sequences[producer], 1);
                let durability = if random.one_in(3) {
                    Durability::Durable
                } else {
                    Durability::Unsynced
                };
                let appended = append(&disk.partition, &batch, durability).expect("it is taken");
                if random.one_in(3) && durability == Durability::Durable {
                    block_on(disk.partition.committed(appended.end_offset())).expect("it is");
                }
                sequences[producer] += 1;
                are_open[producer] = true;
            }
            8..11 if are_open[producer] => {
                let outcome = if random.one_in(4) {
                    EndMarker::Abort
                } else {
                    EndMarker::Commit
                };
                end(&disk.partition, producer_id, 0, outcome).expect("it ends");
                are_open[producer] = false;
            }
            11..14 => disk.dir.checkpoint().expect("it works"),
            14 => disk.partition.flush().expect("it works"),
            15 if random.one_in(4) => disk = disk.restart(),
            15 if random.one_in(4) => disk = disk.kill(),
            _ => {}
        }
    }
    disk
}

#[test]
fn a_check_from_the_recovery_point_finds_what_one_from_the_start_finds() {
    // After a kill that is what was known before; after a power cut, what the log says when nobody
    // remembers where to begin.
    let options = LogOptions {
        segment_bytes: 6_000,
        index_interval_bytes: 200,
        ..LogOptions::default()
    };
    for seed in (0..300).chain([1726, 1890, 8331]) {
        let mut random = Random(seed);
        let disk = live(OnDisk::new(options.clone()), &mut random);
        let (log_end, _, aborted, producers) = known(&disk);
        let cut = [
            PowerCut::InOrder,
            PowerCut::AnySectors,
            PowerCut::NamesFirst,
        ];
        let cut = cut[random.below(3) as usize];
        let after_cut = disk.fs.cut_power(cut, &mut random);
        let after_kill = disk.fs.kill();

        for (fs, what) in [(&after_kill, "kill"), (&after_cut, "power cut")] {
            let checked = OnDisk::open(fs.kill(), options.clone());
            let from_start = fs.kill();
            let recovery_points = Path::new("/data/recovery-point-offset-checkpoint");
            if from_start.contents(recovery_points).is_some() {
                from_start.remove_file(recovery_points).expect("it goes");
            }
            let from_start = known(&OnDisk::open(from_start, options.clone()));
            assert_eq!(known(&checked), from_start, "seed {seed}, {what} {cut:?}");
            // What was found lasts, so that it is found again.
            let again = OnDisk::open(checked.fs.kill(), options.clone());
            assert_eq!(
                known(&again),
                from_start,
                "seed {seed}, {what} {cut:?}, again"
            );
        }
        let killed = OnDisk::open(after_kill, options.clone());
        let (end_now, _, aborted_now, producers_now) = known(&killed);
        assert_eq!(
            (end_now, aborted_now, producers_now),
            (log_end, aborted, producers),
            "seed {seed}"
        );
    }
}
