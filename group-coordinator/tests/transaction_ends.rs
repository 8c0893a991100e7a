//! How transactions end: by their producer, in both protocols, and by their markers.
//! Ideas and names from Kafka's TransactionCoordinatorTest.

mod transactions_common;

use klamm_group_coordinator::txn::{
    AddPartitions, EndTransaction, InitProducerId, MarkersWritten, ProducerIdentity,
    TransactionState, TxnCommand, TxnConfig, TxnError, TxnPartition, TxnReply, TxnShard,
    WriteMarkers,
};
use klamm_group_coordinator::{Millis, ProducerId, Ticket, TransactionOutcome};
use transactions_common::*;

use TransactionOutcome::{Aborted, Committed};

const EPOCH_LAST: i16 = i16::MAX - 1;
const FENCED: Answer = Err(TxnError::ProducerFenced);
const INVALID: Answer = Err(TxnError::InvalidTxnState);
const UNMAPPED: Answer = Err(TxnError::InvalidProducerIdMapping);
const AGAIN: Answer = Err(TxnError::ConcurrentTransactions);

type Answer = Result<Option<ProducerIdentity>, TxnError>;

/// A transaction from its claim to its end: every record and every marker, old protocol.
#[test]
fn a_transaction_of_the_old_protocol_keeps_its_epoch() {
    for (outcome, prepared, complete) in [(Committed, 2, 4), (Aborted, 3, 5)] {
        for version in 0..=2 {
            run(&with_version(version), |context| {
                context.client_version = 0;
                let producer = context.claim();
                context.add(producer, &[("t", 0)]).expect("open");
                assert_eq!(context.end(producer, outcome), Ok(None));
                assert_eq!(context.markers[ID].outcome, outcome);
                assert_eq!(context.markers[ID].producer_epoch, 0);
                assert_eq!(context.markers[ID].transaction_version, 0);
                context.write_markers(ID);
                let statuses = context.log.iter().map(|it| content(it.value.as_ref()));
                let expected = [0, 1, prepared, complete].map(|it| Some((it, producer)));
                assert!(statuses.eq(expected));
                // The next one begins under the same epoch.
                assert_eq!(context.add(producer, &[("t", 0)]), Ok(()));
            });
        }
    }
}

/// The same in the new protocol: the markers carry the epoch with which the producer goes on.
#[test]
fn a_transaction_of_the_new_protocol_raises_its_epoch() {
    for (outcome, prepared, complete) in [(Committed, 2, 4), (Aborted, 3, 5)] {
        run(&with_version(2), |context| {
            let producer = context.claim();
            let next = identity(FIRST_PRODUCER, 1);
            context.add(producer, &[("t", 0)]).expect("open");
            assert_eq!(context.end(producer, outcome), Ok(Some(next)));
            assert_eq!(context.markers[ID].outcome, outcome);
            assert_eq!(context.markers[ID].producer_epoch, 1);
            assert_eq!(context.markers[ID].transaction_version, 2);
            context.write_markers(ID);
            let statuses = context.log.iter().map(|it| content(it.value.as_ref()));
            let expected = [
                Some((0, producer)),
                Some((1, producer)),
                Some((prepared, next)),
                Some((complete, next)),
            ];
            assert!(statuses.eq(expected));
            let fenced = Err(TxnError::ProducerFenced);
            assert_eq!(context.add(producer, &[("t", 0)]), fenced);
            assert_eq!(context.add(next, &[("t", 0)]), Ok(()));
        });
    }
}

/// Every state, both outcomes, every way to be wrong: the old protocol's answers.
#[test]
fn the_old_protocol_answers_like_kafka() {
    const DONE: Answer = Ok(None);
    for (status, on_commit, on_abort) in [
        (0, INVALID, INVALID),
        (1, DONE, DONE),
        (2, AGAIN, AGAIN),
        (3, AGAIN, AGAIN),
        (4, DONE, INVALID),
        (5, INVALID, DONE),
    ] {
        for (outcome, expected) in [(Committed, on_commit), (Aborted, on_abort)] {
            run_all_versions(|context| {
                context.client_version = 0;
                let holder = identity(7, 3);
                context.seed_prepared(holder, status);
                assert_eq!(context.end(identity(8, 3), outcome), UNMAPPED);
                for epoch in [-1, 2, 4, i16::MAX] {
                    assert_eq!(context.end(identity(7, epoch), outcome), FENCED);
                }
                let record_count = context.log.len();
                assert_eq!(context.end(holder, outcome), expected);
                let is_written = status == 1;
                assert_eq!(context.log.len() - record_count, usize::from(is_written));
            });
        }
    }
}

/// The table of `TransactionCoordinator.endTransaction`: state, outcome, epoch of a retry or the current one.
#[test]
fn the_new_protocol_answers_like_kafka() {
    let holder = identity(7, 3);
    let known: Answer = Ok(Some(holder));
    let bumped: Answer = Ok(Some(identity(7, 4)));
    for (status, outcome, on_retry, on_current) in [
        (0, Aborted, FENCED, bumped),
        (0, Committed, FENCED, INVALID),
        (1, Aborted, FENCED, bumped),
        (1, Committed, FENCED, bumped),
        (2, Aborted, AGAIN, AGAIN),
        (2, Committed, AGAIN, AGAIN),
        (3, Aborted, AGAIN, AGAIN),
        (3, Committed, AGAIN, AGAIN),
        (4, Aborted, INVALID, bumped),
        (4, Committed, known, INVALID),
        (5, Aborted, known, bumped),
        (5, Committed, INVALID, INVALID),
    ] {
        run(&with_version(2), |context| {
            context.seed_prepared(holder, status);
            let is_ending = matches!(status, 2 | 3);
            let (others, strangers) = match is_ending {
                true => (AGAIN, AGAIN),
                false => (FENCED, UNMAPPED),
            };
            assert_eq!(context.end(identity(8, 3), outcome), strangers);
            assert_eq!(context.end(identity(8, EPOCH_LAST), outcome), strangers);
            for epoch in [-1, 1, 4, EPOCH_LAST, i16::MAX] {
                assert_eq!(context.end(identity(7, epoch), outcome), others);
            }
            assert_eq!(context.end(identity(7, 2), outcome), on_retry, "retry");
            assert_eq!(context.end(holder, outcome), on_current, "current");
        });
    }
}

#[test]
fn ends_without_a_transactional_id_or_of_an_unknown_one_are_refused() {
    for client_version in [0, 2] {
        run_all_versions(|context| {
            context.client_version = client_version;
            let nobody = identity(7, 3);
            assert_eq!(context.end(nobody, Committed), UNMAPPED);
            let nameless = EndTransaction {
                transactional_id: String::new(),
                ..context.ending(nobody, Committed)
            };
            let answer = context.end_with(nameless);
            assert_eq!(answer, Err(TxnError::EmptyTransactionalId));
            assert!(context.log.is_empty());
        });
    }
}

/// testRetryEndTxn...: the answer of an end was lost, before the markers and after them.
#[test]
fn an_end_may_be_asked_for_twice() {
    for (outcome, opposite) in [(Committed, Aborted), (Aborted, Committed)] {
        run(&with_version(2), |context| {
            let producer = context.claim();
            context.add(producer, &[("t", 0)]).expect("open");
            let next = context.end(producer, outcome);
            assert_eq!(context.end(producer, outcome), AGAIN);
            context.write_markers(ID);
            assert_eq!(context.end(producer, outcome), next);
            assert_eq!(context.end(producer, opposite), INVALID);
            // Once the next transaction is open, the retry comes too late.
            let next = next.expect("ended").expect("an identity");
            context.add(next, &[("t", 0)]).expect("open");
            assert_eq!(context.end(producer, outcome), FENCED);
        });
    }
}

/// testEndTxnWhenEpochIsExhausted, retryOnOverflow: the last epoch leads to a new producer id, and the retry names the
/// old one.
#[test]
fn the_end_of_the_last_epoch_leads_to_a_new_producer_id() {
    for (outcome, opposite) in [(Committed, Aborted), (Aborted, Committed)] {
        run(&with_version(2), |context| {
            let before = identity(7, EPOCH_LAST - 1);
            context.seed(seed(before, 1));
            // One epoch is left.
            let last = identity(7, EPOCH_LAST);
            assert_eq!(context.end(before, outcome), Ok(Some(last)));
            context.write_markers(ID);
            context.add(last, &[("t", 0)]).expect("open");

            let asked = context.ending(last, outcome);
            let reply = context.send(TxnCommand::EndTransaction(asked));
            assert_eq!(reply, TxnReply::NeedsProducerId);
            assert_eq!(context.state(), TransactionState::Ongoing);
            let next = identity(FIRST_PRODUCER, 0);
            assert_eq!(context.end(last, outcome), Ok(Some(next)));
            // The markers still belong to the old id.
            assert_eq!(context.markers[ID].producer_id, ProducerId(7));
            assert_eq!(context.markers[ID].producer_epoch, i16::MAX);
            assert_eq!(context.holder(), identity(7, i16::MAX));
            assert_eq!(context.end(last, outcome), AGAIN);
            context.write_markers(ID);
            assert_eq!(context.holder(), next);

            assert_eq!(context.end(last, outcome), Ok(Some(next)));
            assert_eq!(context.end(last, opposite), INVALID);
            assert_eq!(context.end(identity(7, EPOCH_LAST - 1), outcome), UNMAPPED);
            // With the next transaction the old id is forgotten.
            assert_eq!(context.add(next, &[("t", 0)]), Ok(()));
            assert_eq!(context.end(last, outcome), UNMAPPED);
        });
    }
}

/// The epoch that is kept for fencing cannot be committed, in either protocol without going beyond all epochs.
#[test]
fn the_epoch_kept_for_fencing_can_only_be_aborted() {
    run(&with_version(2), |context| {
        let beyond = identity(7, i16::MAX);
        context.seed(seed(beyond, 1));
        assert_eq!(context.end(beyond, Committed), INVALID);
        let next = identity(FIRST_PRODUCER, 0);
        assert_eq!(context.end(beyond, Aborted), Ok(Some(next)));
        assert_eq!(context.markers[ID].producer_epoch, i16::MAX);
    });
}

/// An abort of nothing in the new protocol: there is no marker to write, so it is complete with its own step.
#[test]
fn an_abort_of_nothing_is_complete_at_once() {
    for status in [0, 4, 5] {
        run(&with_version(2), |context| {
            let holder = identity(7, 3);
            context.seed(seed(holder, status));
            context.advance(10);
            let next = identity(7, 4);
            assert_eq!(context.end(holder, Aborted), Ok(Some(next)));
            let statuses = context.log[1..].iter().map(|it| content(it.value.as_ref()));
            assert!(statuses.eq([Some((3, next)), Some((5, next))]));
            let description = context.describe(ID).expect("the id is known");
            assert_eq!(description.state, TransactionState::CompleteAbort);
            assert_eq!(description.start_time_ms, START_MS + 10);
        });
    }
}

/// The same for a transaction that was opened with no partition, in both protocols and for both outcomes.
#[test]
fn the_end_of_a_transaction_without_partitions_is_complete_at_once() {
    for outcome in [Committed, Aborted] {
        run_all_versions(|context| {
            let producer = context.claim();
            context.add(producer, &[]).expect("open");
            context.end(producer, outcome).expect("ended");
            assert!(context.markers.is_empty());
            let expected = match outcome {
                Committed => TransactionState::CompleteCommit,
                Aborted => TransactionState::CompleteAbort,
            };
            assert_eq!(context.state(), expected);
        });
    }
}

/// Markers count once, and only for the transaction that they end.
#[test]
fn markers_of_another_transaction_complete_nothing() {
    run_all_versions(|context| {
        let producer = context.claim();
        context.add(producer, &[("t", 0)]).expect("open");
        context.end(producer, Committed).expect("ended");
        let markers = context.markers[ID].clone();
        let strangers = [
            WriteMarkers {
                producer_id: ProducerId(99),
                ..markers.clone()
            },
            WriteMarkers {
                producer_epoch: markers.producer_epoch + 1,
                ..markers.clone()
            },
            WriteMarkers {
                transactional_id: "other".to_owned(),
                ..markers.clone()
            },
        ];
        for stranger in &strangers {
            context.report_markers(stranger);
            assert_eq!(context.state(), TransactionState::PrepareCommit);
        }
        context.write_markers(ID);
        let record_count = context.log.len();
        context.report_markers(&markers);
        assert_eq!(context.log.len(), record_count);

        // Not even for the next transaction while it is open.
        let holder = context.holder();
        context.add(holder, &[("t", 0)]).expect("open");
        context.report_markers(&markers);
        assert_eq!(context.state(), TransactionState::Ongoing);
    });
}

/// A log of Kafka's may hold an ending transaction without partitions; it is reported like any other, with nothing to
/// write.
#[test]
fn an_ending_transaction_that_is_found_is_completed() {
    let mut context = Context::new(with_version(0), false);
    let holder = identity(7, 3);
    context.seed(seed(holder, 0));
    let mut record = seed(holder, 4);
    let mut value = record.value.take().expect("not a tombstone").to_vec();
    value[16] = 2;
    record.value = Some(value.into());
    let markers = WriteMarkers {
        transactional_id: ID.to_owned(),
        producer_id: holder.producer_id,
        producer_epoch: holder.producer_epoch,
        outcome: Committed,
        coordinator_epoch: 0,
        transaction_version: 0,
        partitions: Vec::new(),
    };
    context.markers.insert(ID.to_owned(), markers);
    context.seed(record);
    context.write_markers(ID);
    assert_eq!(context.state(), TransactionState::CompleteCommit);
}

/// Some partitions have their marker, one cannot be reached: the description shows who is waited for.
#[test]
fn a_transaction_that_is_ending_names_the_partitions_it_waits_for() {
    let mut shard = TxnShard::new(TxnConfig::default(), 0);
    let mut now_ms = 0;
    let mut send = |command| {
        now_ms += 1;
        shard.handle(Millis(now_ms), Ticket(now_ms as u64), command)
    };
    send(TxnCommand::InitProducerId(InitProducerId {
        transactional_id: ID.to_owned(),
        timeout_ms: 60_000,
        enable_two_phase_commit: false,
        keep_prepared: false,
        expected: None,
        fresh_producer_id: Some(ProducerId(FIRST_PRODUCER)),
    }));
    let partitions: Vec<TxnPartition> = (0..3)
        .map(|partition| TxnPartition {
            topic: "t".to_owned(),
            partition,
        })
        .collect();
    send(TxnCommand::AddPartitions(AddPartitions {
        transactional_id: ID.to_owned(),
        producer_id: ProducerId(FIRST_PRODUCER),
        producer_epoch: 0,
        partitions: partitions.clone(),
        client_version: 2,
    }));
    let mut step = send(TxnCommand::EndTransaction(EndTransaction {
        transactional_id: ID.to_owned(),
        producer_id: ProducerId(FIRST_PRODUCER),
        producer_epoch: 0,
        outcome: Committed,
        client_version: 2,
        fresh_producer_id: None,
    }));
    let markers = step.markers.remove(0);
    assert_eq!(markers.partitions, partitions);
    let mut report = |missing: &[TxnPartition]| {
        let step = send(TxnCommand::MarkersWritten(MarkersWritten {
            transactional_id: ID.to_owned(),
            producer_id: markers.producer_id,
            producer_epoch: markers.producer_epoch,
            missing: missing.to_vec(),
        }));
        let described = send(TxnCommand::DescribeTransaction {
            transactional_id: ID.to_owned(),
        });
        match &described.replies[0].1 {
            TxnReply::DescribeTransaction(Ok(described)) => (
                step.records.len(),
                described.state,
                described.partitions.clone(),
            ),
            other => panic!("not a description: {other:?}"),
        }
    };
    let waiting = (
        0,
        TransactionState::PrepareCommit,
        partitions[1..2].to_vec(),
    );
    assert_eq!(report(&partitions[1..2]), waiting);
    // What was written once is not missed again.
    assert_eq!(report(&partitions), waiting);
    assert_eq!(
        report(&[]),
        (1, TransactionState::CompleteCommit, Vec::new())
    );
}
