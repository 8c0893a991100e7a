//! Transactional ids: who gets them, who is fenced, and which partitions their transactions have.
//! Ideas and names from Kafka's TransactionCoordinatorTest and TransactionMetadataTest.

mod transactions_common;

use klamm_group_coordinator::txn::{
    AddPartitions, InitProducerId, ListTransactions, TransactionState, TxnCommand, TxnConfig,
    TxnError, TxnReply,
};
use klamm_group_coordinator::{ProducerId, TransactionOutcome};
use transactions_common::*;

use TransactionOutcome::{Aborted, Committed};

const EPOCH_LAST: i16 = i16::MAX - 1;

/// shouldReturnErrorWhenTransactionalIdIsEmpty and its kin: the first thing that is wrong is the one that is told.
#[test]
fn claims_are_checked_in_kafkas_order() {
    run_all_versions(|context| {
        let all_wrong = InitProducerId {
            transactional_id: String::new(),
            timeout_ms: 0,
            enable_two_phase_commit: true,
            keep_prepared: true,
            ..init()
        };
        let no_id = TxnError::EmptyTransactionalId;
        assert_eq!(context.init(all_wrong.clone()), Err(no_id));
        let two_phase = InitProducerId {
            transactional_id: ID.to_owned(),
            ..all_wrong
        };
        let disabled = TxnError::TwoPhaseCommitDisabled;
        assert_eq!(context.init(two_phase.clone()), Err(disabled));
        let kept = InitProducerId {
            enable_two_phase_commit: false,
            ..two_phase
        };
        let unsupported = TxnError::KeepPreparedUnsupported;
        assert_eq!(context.init(kept), Err(unsupported));
        for timeout_ms in [0, -1, i32::MIN, 900_001] {
            let request = InitProducerId {
                timeout_ms,
                ..init()
            };
            assert_eq!(context.init(request), Err(TxnError::InvalidTimeout));
        }
        assert!(context.log.is_empty());
        let longest = InitProducerId {
            timeout_ms: 900_000,
            ..init()
        };
        assert_eq!(context.init(longest), Ok(identity(FIRST_PRODUCER, 0)));
    });
}

/// A new id costs a producer id; without one nothing happens.
#[test]
fn a_new_id_gets_a_producer_that_nobody_has() {
    run_all_versions(|context| {
        let asked = TxnCommand::InitProducerId(init());
        assert_eq!(context.send(asked), TxnReply::NeedsProducerId);
        assert_eq!(context.describe(ID), Err(TxnError::TransactionalIdNotFound));
        assert_eq!(context.claim(), identity(FIRST_PRODUCER, 0));
        assert_eq!(context.log.len(), 1);
        let description = context.describe(ID).expect("the id is known");
        assert_eq!(description.state, TransactionState::Empty);
        assert_eq!(description.timeout_ms, TIMEOUT_MS);
        assert_eq!(description.start_time_ms, -1);
        assert_eq!(description.partitions, []);
    });
}

/// A producer of a new id may believe to be anyone (it comes back from UNKNOWN_PRODUCER_ID).
#[test]
fn a_new_id_is_given_to_whoever_says_who_it_was() {
    run_all_versions(|context| {
        let claimed = context.init(init_as(identity(77, 5)));
        assert_eq!(claimed, Ok(identity(FIRST_PRODUCER, 0)));
    });
}

/// shouldFenceProducerWhenMappingExistsWithDifferentProducerId and the rest of the zombies: whoever claims an id
/// fences the one before.
#[test]
fn a_claim_fences_the_producer_before() {
    run_all_versions(|context| {
        let old = context.claim();
        let new = context.claim();
        assert_eq!(new, identity(FIRST_PRODUCER, 1));
        let fenced = TxnError::ProducerFenced;
        assert_eq!(context.add(old, &[("t", 0)]), Err(fenced));
        assert_eq!(context.verify(old, &[("t", 0)]), Err(fenced));
        for outcome in [Committed, Aborted] {
            assert_eq!(context.end(old, outcome), Err(fenced));
        }
        assert_eq!(context.init(init_as(old)), Err(fenced));
        assert_eq!(context.add(new, &[("t", 0)]), Ok(()));
    });
}

/// testInitProducerIdWithCurrentEpochProvided, testRetryInitProducerIdAfterSuccess (expected epochs).
#[test]
fn a_producer_that_says_who_it_is_goes_on_and_may_ask_twice() {
    for version in 0..=2 {
        let mut context = Context::new(with_version(version), false);
        let first = context.claim();
        let bumped = identity(FIRST_PRODUCER, 1);
        assert_eq!(context.init(init_as(first)), Ok(bumped));
        // The answer was lost: the same again, and not a bump more.
        assert_eq!(context.init(init_as(first)), Ok(bumped));
        assert_eq!(
            context.init(init_as(bumped)),
            Ok(identity(FIRST_PRODUCER, 2))
        );
        let fenced = Err(TxnError::ProducerFenced);
        assert_eq!(context.init(init_as(first)), fenced);
        assert_eq!(context.init(init_as(identity(FIRST_PRODUCER, 9))), fenced);
        assert_eq!(context.init(init_as(identity(77, 2))), fenced);

        // Another producer in between: it is no retry any more.
        context.claim();
        assert_eq!(context.init(init_as(bumped)), fenced);

        // The log does not say who asked before, so a retry after a restart finds itself fenced, as in Kafka.
        let current = context.holder();
        context.init(init_as(current)).expect("the current holder");
        context.restart();
        assert_eq!(context.init(init_as(current)), fenced);
    }
}

/// testFenceProducerNotAllowedIfItWouldOverflow, testInitProducerIdWithExhaustedEpoch: the last epoch leads to a new
/// producer id.
#[test]
fn exhausted_epochs_lead_to_a_new_producer_id() {
    for status in [0, 4, 5] {
        run_all_versions(|context| {
            let last = identity(7, EPOCH_LAST);
            context.seed(seed(last, status));
            let asked = TxnCommand::InitProducerId(init());
            assert_eq!(context.send(asked), TxnReply::NeedsProducerId);
            assert_eq!(context.claim(), identity(FIRST_PRODUCER, 0));
            let unmapped = TxnError::InvalidProducerIdMapping;
            assert_eq!(context.add(last, &[("t", 0)]), Err(unmapped));
        });
    }
}

/// testInitProducerIdWithLastEpochProvided and the retry of a rotation: the producer names the id and the epoch that it
/// had. One retry is known; the next is taken for a zombie, as in Kafka.
#[test]
fn a_new_producer_id_may_be_asked_for_twice() {
    for version in 0..=2 {
        let mut context = Context::new(with_version(version), false);
        let last = identity(7, EPOCH_LAST);
        context.seed(seed(last, 4));
        // An epoch of somebody else is fenced, whether it could be a retry or not.
        let before = identity(7, EPOCH_LAST - 1);
        assert_eq!(context.init(init_as(before)), Err(TxnError::ProducerFenced));

        let rotated = identity(FIRST_PRODUCER, 0);
        assert_eq!(context.init(init_as(last)), Ok(rotated));
        assert_eq!(context.init(init_as(last)), Ok(rotated));
        assert_eq!(context.init(init_as(last)), Err(TxnError::ProducerFenced));
    }
}

/// shouldAbortTransactionOnHandleInitPidWhenExistingTransactionInOngoingState: the open transaction is aborted under a
/// raised epoch, and the claim must come again.
#[test]
fn a_claim_aborts_an_open_transaction_first() {
    run_all_versions(|context| {
        let old = context.claim();
        context.add(old, &[("t", 1), ("t", 0)]).expect("open");
        context.advance(5);
        for request in [init(), init_as(old)] {
            // The second claim finds the transaction on its way out.
            assert_eq!(context.init(request), Err(TxnError::ConcurrentTransactions));
        }
        assert_eq!(context.state(), TransactionState::PrepareAbort);
        let markers = &context.markers[ID];
        assert_eq!(markers.outcome, Aborted);
        assert_eq!(markers.producer_id, old.producer_id);
        assert_eq!(markers.producer_epoch, 1);
        assert_eq!(markers.transaction_version, context.client_version);
        assert_eq!(markers.partitions, named(&[("t", 0), ("t", 1)]));

        context.write_markers(ID);
        assert_eq!(context.state(), TransactionState::CompleteAbort);
        assert_eq!(context.add(old, &[("t", 0)]), Err(TxnError::ProducerFenced));
        assert_eq!(context.claim(), identity(FIRST_PRODUCER, 2));
    });
}

/// The fence takes the epoch after the last; the next claim gets a new producer id. Under `transaction.version` 2 the
/// abort itself leads to the new id.
#[test]
fn a_transaction_in_the_last_epoch_can_be_fenced() {
    run_all_versions(|context| {
        let last = identity(7, EPOCH_LAST);
        context.seed(seed(last, 1));
        let again = Err(TxnError::ConcurrentTransactions);
        assert_eq!(context.init(init()), again);
        assert_eq!(context.markers[ID].producer_epoch, i16::MAX);
        context.write_markers(ID);
        let claimed = context.claim();
        match context.client_version {
            2 => assert_eq!(claimed, identity(FIRST_PRODUCER, 1)),
            _ => assert_eq!(claimed, identity(FIRST_PRODUCER, 0)),
        }
    });
}

/// Whoever holds the highest epoch of all, which no client is given, is got rid of by an abort.
#[test]
fn the_epoch_kept_for_fencing_can_be_fenced_too() {
    run_all_versions(|context| {
        let beyond = identity(7, i16::MAX);
        context.seed(seed(beyond, 1));
        let again = Err(TxnError::ConcurrentTransactions);
        assert_eq!(context.init(init()), again);
        assert_eq!(context.markers[ID].producer_epoch, i16::MAX);
        context.write_markers(ID);
        let claimed = context.claim();
        assert_eq!(claimed.producer_id, ProducerId(FIRST_PRODUCER));
    });
}

/// Until the markers are written nobody gets the id, whatever they believe to be.
#[test]
fn an_ending_transaction_makes_every_claim_wait() {
    for status in [2, 3] {
        run_all_versions(|context| {
            context.seed_prepared(identity(7, 3), status);
            let again = Err(TxnError::ConcurrentTransactions);
            assert_eq!(context.init(init()), again);
            assert_eq!(context.init(init_as(identity(7, 3))), again);
            assert_eq!(context.init(init_as(identity(99, 0))), again);
        });
    }
}

/// shouldRespondWithSuccessOnAddPartitionsWhenStateIsOngoing and its kin: the first partitions open a transaction, more
/// join it, known ones write nothing.
#[test]
fn partitions_open_a_transaction_and_join_it() {
    run_all_versions(|context| {
        let producer = context.claim();
        assert_eq!(context.add(producer, &[("b", 1)]), Ok(()));
        assert_eq!(context.state(), TransactionState::Ongoing);
        context.advance(10);
        assert_eq!(context.add(producer, &[("a", 0), ("b", 1)]), Ok(()));
        let record_count = context.log.len();
        assert_eq!(record_count, 3);
        assert_eq!(context.add(producer, &[("b", 1)]), Ok(()));
        assert_eq!(context.add(producer, &[]), Ok(()));
        assert_eq!(context.log.len(), record_count);

        let description = context.describe(ID).expect("the id is known");
        assert_eq!(description.start_time_ms, START_MS);
        assert_eq!(description.partitions, named(&[("a", 0), ("b", 1)]));
    });
}

#[test]
fn no_partitions_at_all_open_a_transaction_too() {
    run_all_versions(|context| {
        let producer = context.claim();
        assert_eq!(context.add(producer, &[]), Ok(()));
        assert_eq!(context.state(), TransactionState::Ongoing);
    });
}

#[test]
fn partitions_of_strangers_are_refused() {
    run_all_versions(|context| {
        let unmapped = TxnError::InvalidProducerIdMapping;
        assert_eq!(context.add(identity(1, 0), &[("t", 0)]), Err(unmapped));
        let producer = context.claim();
        assert_eq!(context.add(identity(1, 0), &[("t", 0)]), Err(unmapped));
        let epochs = [-1, 1, i16::MAX].map(|epoch| identity(producer.producer_id.0, epoch));
        for other in epochs {
            let fenced = TxnError::ProducerFenced;
            assert_eq!(context.add(other, &[("t", 0)]), Err(fenced));
            assert_eq!(context.verify(other, &[("t", 0)]), Err(fenced));
        }
        let nameless = AddPartitions {
            transactional_id: String::new(),
            ..context.partitions(producer, &[("t", 0)])
        };
        let no_id = TxnError::EmptyTransactionalId;
        let reply = context.send(TxnCommand::AddPartitions(nameless.clone()));
        assert_eq!(reply, TxnReply::AddPartitions(Err(no_id)));
        let reply = context.send(TxnCommand::VerifyPartitions(nameless));
        assert_eq!(reply, TxnReply::VerifyPartitions(Err(no_id)));
        assert_eq!(context.log.len(), 1);
    });
}

/// While a transaction ends, partitions wait, whoever brings them; a question about them tells strangers apart first.
#[test]
fn an_ending_transaction_takes_no_partitions() {
    for status in [2, 3] {
        run_all_versions(|context| {
            let producer = identity(7, 3);
            context.seed_prepared(producer, status);
            let again = TxnError::ConcurrentTransactions;
            for who in [producer, identity(7, 2), identity(8, 3)] {
                assert_eq!(context.add(who, &[("t", 0)]), Err(again));
            }
            assert_eq!(context.verify(producer, &[("t", 0)]), Err(again));
            let fenced = TxnError::ProducerFenced;
            assert_eq!(context.verify(identity(7, 2), &[("t", 0)]), Err(fenced));
            let unmapped = TxnError::InvalidProducerIdMapping;
            assert_eq!(context.verify(identity(8, 3), &[("t", 0)]), Err(unmapped));
        });
    }
}

/// testPartitionVerification (KIP-890): the answers are in the order of the questions, and nothing changes.
#[test]
fn verification_tells_which_partitions_are_in_the_transaction() {
    run_all_versions(|context| {
        let producer = context.claim();
        let absent = Err(TxnError::TransactionAbortable);
        assert_eq!(context.verify(producer, &[("t", 0)]), Ok(vec![absent]));
        context.add(producer, &[("t", 0)]).expect("open");
        let record_count = context.log.len();
        let results = context.verify(producer, &[("u", 0), ("t", 0), ("t", 1)]);
        assert_eq!(results, Ok(vec![absent, Ok(()), absent]));
        assert_eq!(context.log.len(), record_count);
        // What is over has no partitions.
        context.end(producer, Committed).expect("ended");
        context.write_markers(ID);
        let holder = context.holder();
        assert_eq!(context.verify(holder, &[("t", 0)]), Ok(vec![absent]));
    });
}

/// A record that would not fit into a batch is refused and changes nothing; whatever was let in can be ended, even
/// when the end needs every optional field of the record.
#[test]
fn a_transaction_that_is_let_in_fits_its_end() {
    for batch_bytes_max in 300..340 {
        let config = TxnConfig {
            batch_bytes_max,
            ..TxnConfig::default()
        };
        run(&config, |context| {
            let last = identity(7, EPOCH_LAST);
            context.seed(seed(last, 4));
            let refused = (0..).find(|&partition| {
                let record_count = context.log.len();
                let before = context.describe(ID);
                match context.add(last, &[("some-topic", partition)]) {
                    Ok(()) => false,
                    Err(error) => {
                        assert_eq!(error, TxnError::RecordTooLarge);
                        assert_eq!(context.log.len(), record_count);
                        assert_eq!(context.describe(ID), before);
                        true
                    }
                }
            });
            assert!(refused.is_some_and(|count| count > 10));
            let next = context.end(last, Committed);
            assert_eq!(next, Ok(Some(identity(FIRST_PRODUCER, 0))));
            assert_eq!(context.markers[ID].producer_epoch, i16::MAX);
        });
    }
}

#[test]
fn names_longer_than_a_record_can_hold_are_refused() {
    let config = TxnConfig {
        batch_bytes_max: usize::MAX,
        ..TxnConfig::default()
    };
    run(&config, |context| {
        let long = "x".repeat(32_768);
        let request = InitProducerId {
            transactional_id: long.clone(),
            ..init()
        };
        assert_eq!(context.init(request), Err(TxnError::RecordTooLarge));
        let producer = context.claim();
        let too_large = TxnError::RecordTooLarge;
        assert_eq!(context.add(producer, &[(&long, 0)]), Err(too_large));
        assert_eq!(context.log.len(), 1);
    });
}

#[test]
fn descriptions_need_an_id_that_is_known() {
    run_all_versions(|context| {
        assert_eq!(context.describe(""), Err(TxnError::EmptyTransactionalId));
        assert_eq!(
            context.describe("no"),
            Err(TxnError::TransactionalIdNotFound)
        );
    });
}

/// testListTransactionsFiltering: by producer, by state, by duration, and by all of them.
#[test]
fn lists_show_what_the_filters_let_pass() {
    run_all_versions(|context| {
        let ids = ["a", "b", "c"];
        for (index, status) in [0, 1, 4].into_iter().enumerate() {
            let producer = identity(index as i64, 0);
            let start_ms = START_MS - 100 * index as i64;
            context.seed(seed_as(ids[index], producer, status, start_ms));
        }
        let listed = |context: &mut Context, request: ListTransactions| -> Vec<String> {
            let listings = context.list(request);
            listings.into_iter().map(|it| it.transactional_id).collect()
        };
        let all = ListTransactions::default();
        assert_eq!(listed(context, all.clone()), ids);
        let by_producer = ListTransactions {
            producer_ids: Some(vec![ProducerId(1), ProducerId(9)]),
            ..all.clone()
        };
        assert_eq!(listed(context, by_producer), ["b"]);
        let by_state = ListTransactions {
            states: Some(vec![TransactionState::Empty, TransactionState::Ongoing]),
            ..all.clone()
        };
        assert_eq!(listed(context, by_state.clone()), ["a", "b"]);
        let by_no_state = ListTransactions {
            states: Some(Vec::new()),
            ..all.clone()
        };
        assert!(listed(context, by_no_state).is_empty());
        // An id that never had a transaction counts as open since 1970.
        for (open_longer_than_ms, expected) in [
            (-1, vec!["a", "b", "c"]),
            (99, vec!["a", "b", "c"]),
            (100, vec!["a", "c"]),
            (200, vec!["a"]),
            (START_MS + 1, vec![]),
        ] {
            let by_duration = ListTransactions {
                open_longer_than_ms: Some(open_longer_than_ms),
                ..all.clone()
            };
            assert_eq!(listed(context, by_duration), expected);
        }
        let by_all = ListTransactions {
            producer_ids: Some(vec![ProducerId(0)]),
            open_longer_than_ms: Some(100),
            ..by_state
        };
        assert_eq!(listed(context, by_all), ["a"]);
    });
}
