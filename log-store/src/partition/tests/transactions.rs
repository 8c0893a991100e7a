//! The last stable offset, aborted transactions, and who may end one.

use super::{OnDisk, in_memory};
use crate::batch::EndMarker;
use crate::partition::{
    AbortedTxn, ActiveProducer, AppendError, AppendOptions, Appended, Durability, LogOptions,
    Partition,
};
use crate::testing::{NOW_MS, append, idempotent_batch, plain_batch, transactional_batch};
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
