//! Transactional batches are taken when somebody vouches for their transaction (KIP-890). The cases
//! are those of Kafka's `UnifiedLogTest` and `ProducerStateManagerTest`.

use super::{OnDisk, in_memory};
use crate::batch::{EndMarker, NO_SEQUENCE};
use crate::partition::{
    AppendError, AppendOptions, Appended, Durability, LogOptions, Partition, Verification,
    VerificationGuard,
};
use crate::testing::{NOW_MS, append, idempotent_batch, transactional_batch};
use crate::{Offset, ProducerEpoch, ProducerId};

const PRODUCER: ProducerId = ProducerId(1);

/// Transaction version 1: the epoch stays from one transaction to the next.
const OLD: bool = false;
/// Transaction version 2: every transaction has an epoch of its own.
const NEW: bool = true;

fn ask(
    log: &Partition,
    epoch: i16,
    sequence: i32,
    supports_epoch_bump: bool,
) -> Result<Option<VerificationGuard>, AppendError> {
    log.start_verification(
        PRODUCER,
        ProducerEpoch(epoch),
        sequence,
        supports_epoch_bump,
        NOW_MS,
    )
}

fn guard(
    log: &Partition,
    epoch: i16,
    sequence: i32,
    supports_epoch_bump: bool,
) -> VerificationGuard {
    ask(log, epoch, sequence, supports_epoch_bump)
        .expect("it begins")
        .expect("no transaction is open")
}

fn send(
    log: &Partition,
    epoch: i16,
    sequence: i32,
    shown: Option<VerificationGuard>,
) -> Result<Appended, AppendError> {
    let options = AppendOptions::client(Durability::Unsynced, NOW_MS)
        .with_verification(Verification::Required(shown));
    log.append(&transactional_batch(1, epoch, sequence, 2), options)
}

fn end(log: &Partition, epoch: i16, transaction_version: i16) {
    let batch = EndMarker::Abort.batch(PRODUCER, ProducerEpoch(epoch), 7, NOW_MS);
    let options = AppendOptions {
        transaction_version,
        ..AppendOptions::coordinator(NOW_MS)
    };
    log.append(&batch, options).expect("it ends");
}

const UNVERIFIED: Result<Appended, AppendError> = Err(AppendError::UnverifiedTxn {
    producer_id: PRODUCER,
});

fn out_of_order(sequence: i32, last_sequence: i32) -> Result<Appended, AppendError> {
    Err(AppendError::OutOfOrderSequence {
        producer_id: PRODUCER,
        sequence,
        last_sequence,
    })
}

#[test]
fn the_first_batch_of_a_transaction_needs_its_guard() {
    // Nothing, and a guard of another log, do not do. Once the transaction is open none is needed.
    let log = in_memory(LogOptions::default());
    assert_eq!(send(&log, 0, 0, None), UNVERIFIED);
    let shown = guard(&log, 0, 0, OLD);
    assert_eq!(guard(&log, 0, 0, OLD), shown);
    let other = guard(&in_memory(LogOptions::default()), 0, 0, OLD);
    assert_eq!(send(&log, 0, 0, Some(other)), UNVERIFIED);
    assert_eq!(send(&log, 0, 0, None), UNVERIFIED);
    send(&log, 0, 0, Some(shown)).expect("it is vouched for");
    assert_eq!(ask(&log, 0, 2, OLD), Ok(None));
    send(&log, 0, 2, None).expect("the transaction is open");
    assert_eq!(log.log_end(), Offset(4));
}

#[test]
fn a_marker_takes_the_guard_back() {
    // A batch that was delayed until after the abort begins no transaction that nobody ends.
    let log = in_memory(LogOptions::default());
    let shown = guard(&log, 0, 0, OLD);
    end(&log, 0, 1);
    assert_eq!(send(&log, 0, 0, Some(shown)), UNVERIFIED);
    let next = guard(&log, 0, 0, OLD);
    assert_ne!(next, shown);
    assert_eq!(send(&log, 0, 0, Some(shown)), UNVERIFIED);
    send(&log, 0, 0, Some(next)).expect("it is vouched for");
    assert_eq!(log.last_stable(), Offset(1));
}

#[test]
fn the_marker_before_leaves_the_guard_of_the_next_transaction() {
    // In version 2 the marker has the epoch of the next transaction, which may be verified already;
    // a marker of any other epoch takes the guard back.
    let log = in_memory(LogOptions::default());
    let first = guard(&log, 0, 0, NEW);
    send(&log, 0, 0, Some(first)).expect("it is vouched for");
    let next = guard(&log, 1, 0, NEW);
    end(&log, 1, 2);
    send(&log, 1, 0, Some(next)).expect("it is vouched for");
    let later = guard(&log, 2, 0, NEW);
    end(&log, 3, 2);
    assert!(matches!(
        send(&log, 2, 0, Some(later)),
        Err(AppendError::InvalidProducerEpoch { .. })
    ));
    assert_eq!(send(&log, 3, 0, Some(later)), UNVERIFIED);
}

#[test]
fn epochs_are_compared_before_anybody_is_asked() {
    // And once more when the batch comes, before the guard is.
    let log = in_memory(LogOptions::default());
    end(&log, 4, 2);
    let stale = AppendError::InvalidProducerEpoch {
        producer_id: PRODUCER,
        epoch: ProducerEpoch(3),
        current: ProducerEpoch(4),
    };
    assert_eq!(ask(&log, 3, 0, NEW), Err(stale.clone()));
    assert_eq!(send(&log, 3, 0, None), Err(stale));
    // A newer epoch does not belong to the transaction that is open.
    append(&log, &transactional_batch(1, 4, 0, 1), Durability::Unsynced).expect("it is taken");
    assert_eq!(ask(&log, 4, 1, NEW), Ok(None));
    assert!(ask(&log, 5, 0, NEW).expect("it begins").is_some());
    assert_eq!(send(&log, 5, 0, None), UNVERIFIED);
}

#[test]
fn the_lowest_sequence_that_was_asked_for_comes_first() {
    // Or else it would be out of order for ever. A newer epoch counts anew.
    let log = in_memory(LogOptions::default());
    let shown = guard(&log, 0, 6, OLD);
    assert_eq!(guard(&log, 0, 4, OLD), shown);
    assert_eq!(guard(&log, 0, 9, OLD), shown);
    assert_eq!(send(&log, 0, 6, Some(shown)), out_of_order(6, -1));
    assert_eq!(guard(&log, 1, 5, OLD), shown);
    assert_eq!(guard(&log, 0, 0, OLD), shown);
    assert_eq!(send(&log, 1, 6, Some(shown)), out_of_order(6, -1));
    send(&log, 1, 5, Some(shown)).expect("an unknown producer begins anywhere");
    send(&log, 1, 7, None).expect("the transaction is open");
}

#[test]
fn a_producer_of_version_2_begins_at_zero() {
    // Nothing that the log has forgotten is taken for its beginning; in the older protocol a state
    // that has expired may be.
    let log = in_memory(LogOptions::default());
    let shown = guard(&log, 0, 3, NEW);
    assert_eq!(send(&log, 0, 3, Some(shown)), out_of_order(3, -1));
    assert_eq!(guard(&log, 0, 0, NEW), shown);
    send(&log, 0, 0, Some(shown)).expect("it begins at 0");
    send(&log, 0, 2, None).expect("it goes on");
}

#[test]
fn a_retry_is_a_retry_with_or_without_a_guard() {
    // Also when its transaction is over: the answer is where the batch is.
    let log = in_memory(LogOptions::default());
    let shown = guard(&log, 0, 0, OLD);
    let first = send(&log, 0, 0, Some(shown)).expect("it is vouched for");
    for _ in 0..2 {
        let again = send(&log, 0, 0, None).expect("it is known");
        assert!(again.is_duplicate);
        assert_eq!(again.base_offset, first.base_offset);
        if log.last_stable() == Offset(0) {
            end(&log, 0, 1);
        }
    }
    assert_eq!(log.log_end(), Offset(3));
    assert_eq!(log.last_stable(), Offset(3));
}

#[test]
fn coordinators_show_their_guard_too() {
    // Offsets that are committed in a transaction; their batches have no sequence.
    let log = in_memory(LogOptions::default());
    let batch = transactional_batch(1, 0, NO_SEQUENCE, 1);
    let options = AppendOptions::coordinator(NOW_MS);
    let unverified = options.with_verification(Verification::Required(None));
    assert_eq!(log.append(&batch, unverified), UNVERIFIED);
    let shown = guard(&log, 0, NO_SEQUENCE, NEW);
    let verified = options.with_verification(Verification::Required(Some(shown)));
    log.append(&batch, verified).expect("it is vouched for");
    log.append(&batch, unverified)
        .expect("the transaction is open");
    // Without the switch nobody is asked.
    let other = transactional_batch(2, 0, NO_SEQUENCE, 1);
    log.append(&other, options).expect("nothing is required");
}

#[test]
fn verifications_expire_with_idle_producers() {
    // A producer with an open transaction never does.
    let options = LogOptions {
        producer_id_expiration_ms: 1000,
        ..LogOptions::default()
    };
    let log = in_memory(options);
    append(&log, &transactional_batch(2, 0, 0, 1), Durability::Unsynced).expect("it is taken");
    append(&log, &idempotent_batch(3, 0, 0, 1), Durability::Unsynced).expect("it is taken");
    let shown = guard(&log, 0, 0, OLD);
    log.expire_producers(NOW_MS + 999);
    assert_eq!(guard(&log, 0, 0, OLD), shown);
    log.expire_producers(NOW_MS + 1000);
    assert_eq!(send(&log, 0, 0, Some(shown)), UNVERIFIED);
    let left: Vec<ProducerId> = log
        .active_producers()
        .iter()
        .map(|producer| producer.producer_id)
        .collect();
    assert_eq!(left, [ProducerId(2)]);
}

#[test]
fn open_transactions_need_no_guard_after_a_restart() {
    // Neither from a snapshot nor from the batches; guards themselves do not survive.
    let disk = OnDisk::new(LogOptions::default());
    let shown = guard(&disk.partition, 0, 0, NEW);
    send(&disk.partition, 0, 0, Some(shown)).expect("it is vouched for");
    let disk = disk.restart();
    assert_eq!(ask(&disk.partition, 0, 2, NEW), Ok(None));
    send(&disk.partition, 0, 2, None).expect("the transaction is open");
    let disk = disk.kill();
    send(&disk.partition, 0, 4, None).expect("the transaction is open");
    end(&disk.partition, 1, 2);
    let next = guard(&disk.partition, 1, 0, NEW);
    let disk = disk.restart();
    assert_eq!(send(&disk.partition, 1, 0, Some(next)), UNVERIFIED);
}
