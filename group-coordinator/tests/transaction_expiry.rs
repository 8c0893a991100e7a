//! The end by age: transactions that stay open, and transactional ids that nobody uses.
//! Ideas and names from Kafka's TransactionCoordinatorTest and TransactionStateManagerTest.

mod transactions_common;

use klamm_group_coordinator::txn::{
    InitProducerId, ListTransactions, TransactionState, TxnConfig, TxnError,
};
use klamm_group_coordinator::{ProducerId, TransactionOutcome};
use transactions_common::*;

use TransactionOutcome::{Aborted, Committed};

const EPOCH_LAST: i16 = i16::MAX - 1;
const HOUR_MS: i64 = 60 * 60 * 1000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// shouldAbortExpiredTransactionsInOngoingStateAndBumpEpoch, to the millisecond.
#[test]
fn an_open_transaction_is_aborted_when_its_time_is_up() {
    run_all_versions(|context| {
        let producer = context.claim();
        context.advance(500);
        context.add(producer, &[("t", 0)]).expect("open");
        // More partitions do not give it more time.
        context.advance(i64::from(TIMEOUT_MS) - 1);
        context.add(producer, &[("t", 1)]).expect("still open");
        assert_eq!(context.state(), TransactionState::Ongoing);
        context.advance(1);
        assert_eq!(context.state(), TransactionState::PrepareAbort);
        let markers = &context.markers[ID];
        assert_eq!(markers.outcome, Aborted);
        assert_eq!(markers.producer_epoch, 1);
        assert_eq!(markers.transaction_version, context.client_version);
        let fenced = TxnError::ProducerFenced;
        let again = TxnError::ConcurrentTransactions;
        let early = context.end(producer, Committed);
        match context.client_version {
            2 => assert_eq!(early, Err(again)),
            _ => assert_eq!(early, Err(fenced)),
        }
        context.write_markers(ID);
        // Kafka takes a commit that comes too late for a retry of the abort with the wrong outcome.
        let late = context.end(producer, Committed);
        match context.client_version {
            2 => assert_eq!(late, Err(TxnError::InvalidTxnState)),
            _ => assert_eq!(late, Err(fenced)),
        }
        assert_eq!(context.add(producer, &[("t", 0)]), Err(fenced));
        assert_eq!(context.claim(), identity(FIRST_PRODUCER, 2));
    });
}

/// A transaction that has ended in time has no timer left, and the next one has one of its own.
#[test]
fn transactions_that_end_in_time_are_left_alone() {
    run_all_versions(|context| {
        let mut producer = context.claim();
        for outcome in [Committed, Aborted] {
            context.add(producer, &[("t", 0)]).expect("open");
            context.advance(i64::from(TIMEOUT_MS) - 1);
            context.end(producer, outcome).expect("ended");
            context.advance(10 * i64::from(TIMEOUT_MS));
            context.write_markers(ID);
            context.advance(10 * i64::from(TIMEOUT_MS));
            producer = context.holder();
        }
        let epoch = if context.client_version == 2 { 2 } else { 0 };
        assert_eq!(producer, identity(FIRST_PRODUCER, epoch));
    });
}

/// shouldNotAbortExpiredDistributedTwoPhaseCommitTransactions (KIP-939).
#[test]
fn a_two_phase_transaction_stays_open() {
    let config = TxnConfig {
        two_phase_commit_enabled: true,
        ..TxnConfig::default()
    };
    run(&config, |context| {
        // The timeout that comes with the request does not count, not even if it is out of range.
        let request = InitProducerId {
            enable_two_phase_commit: true,
            timeout_ms: -1,
            ..init()
        };
        let producer = context.init(request).expect("enabled");
        context.add(producer, &[("t", 0)]).expect("open");
        context.advance(100 * DAY_MS);
        assert_eq!(context.state(), TransactionState::Ongoing);
        let description = context.describe(ID).expect("the id is known");
        assert_eq!(description.timeout_ms, i32::MAX);
        context.end(producer, Committed).expect("ended");
    });
}

/// The reserve comes too late for the first try and in time for the second. It serves one transaction.
#[test]
fn a_timeout_in_the_last_epoch_takes_a_producer_id_from_the_reserve() {
    let mut context = Context::new(with_version(2), false);
    let records = ["a", "b"]
        .into_iter()
        .zip(7..)
        .map(|(id, producer)| seed_as(id, identity(producer, EPOCH_LAST), 1, START_MS));
    context.seed_all(records);
    context.advance(i64::from(TIMEOUT_MS));
    assert!(context.markers.is_empty());
    context.advance(9_999);
    assert!(context.markers.is_empty());
    context.advance(1);
    assert_eq!(context.markers.len(), 1);
    context.advance(10_000);
    for (id, old, new) in [("a", 7, FIRST_PRODUCER), ("b", 8, FIRST_PRODUCER + 1)] {
        assert_eq!(context.markers[id].producer_id, ProducerId(old));
        assert_eq!(context.markers[id].producer_epoch, i16::MAX);
        context.write_markers(id);
        let description = context.describe(id).expect("the id is known");
        assert_eq!(description.producer_id, ProducerId(new));
        assert_eq!(description.producer_epoch, 0);
    }
}

#[test]
fn without_a_reserve_a_timeout_waits_for_one() {
    let mut context = Context::new(with_version(2), false);
    context.supplies_reserve = false;
    let last = identity(7, EPOCH_LAST);
    context.seed(seed(last, 1));
    assert!(!context.shard.needs_producer_id());
    context.advance(i64::from(TIMEOUT_MS));
    assert!(context.shard.needs_producer_id());
    context.advance(HOUR_MS);
    assert_eq!(context.state(), TransactionState::Ongoing);
    // Nobody else is kept from going on.
    assert_eq!(
        context.end(last, Committed),
        Ok(Some(identity(FIRST_PRODUCER, 0)))
    );
}

/// Thousands of transactions whose time is up at one moment: no tick does more than its share, all are ended.
#[test]
fn many_timeouts_are_spread_over_ticks() {
    let mut context = Context::new(with_version(2), false);
    const COUNT: usize = 2_500;
    context.seed_all((0..COUNT).map(|index| {
        seed_as(
            &format!("tx{index}"),
            identity(index as i64, 0),
            1,
            START_MS,
        )
    }));
    context.step_clock(i64::from(TIMEOUT_MS));
    for expected in [1_000, 2_000, COUNT] {
        context.tick();
        assert_eq!(context.markers.len(), expected);
    }
}

/// A batch with room for a few records only: every tick writes at most one such batch, and comes back for the rest.
#[test]
fn timeouts_fill_one_batch_a_tick() {
    let config = TxnConfig {
        batch_bytes_max: 300,
        ..with_version(0)
    };
    run(&config, |context| {
        for index in 0..20 {
            let record = seed_as(&format!("tx{index}"), identity(index, 0), 1, START_MS);
            context.seed(record);
        }
        context.advance(i64::from(TIMEOUT_MS) - 1);
        assert!(context.markers.is_empty());
        let mut log_end = context.log.len();
        context.step_clock(1);
        while context.markers.len() < 20 {
            context.tick();
            let added = context.log.len() - log_end;
            assert!((1..=4).contains(&added), "{added} records in one batch");
            log_end = context.log.len();
        }
    });
}

/// A record that fits into no batch, since the limit was lowered, does not keep the shard busy.
#[test]
fn a_timeout_that_fits_nowhere_is_tried_again_later() {
    let mut context = Context::new(with_version(2), false);
    context.seed(seed(identity(7, 0), 1));
    let narrow = TxnConfig {
        batch_bytes_max: 70,
        ..with_version(2)
    };
    context.set_config(narrow);
    context.advance(i64::from(TIMEOUT_MS) + HOUR_MS / 2);
    assert_eq!(context.state(), TransactionState::Ongoing);
    context.set_config(with_version(2));
    context.advance(10_000);
    assert_eq!(context.state(), TransactionState::PrepareAbort);
}

/// shouldRemoveEmptyExpiredTransactionalIds, ...CompleteCommitExpired..., ...CompleteAbortExpired...,
/// shouldNotRemoveOngoing..., shouldNotRemovePrepare...: seven days after its last use an id is forgotten, unless a
/// transaction holds it.
#[test]
fn ids_that_nobody_uses_are_forgotten() {
    for (status, is_forgotten) in [
        (0, true),
        (1, false),
        (2, false),
        (3, false),
        (4, true),
        (5, true),
    ] {
        let config = TxnConfig {
            transaction_timeout_ms_max: i32::MAX,
            ..with_version(0)
        };
        let mut context = Context::new(config, false);
        context.seed_prepared(identity(7, 3), status);
        context.advance(7 * DAY_MS - 1);
        let is_known = context.describe(ID).is_ok();
        assert!(is_known, "too early");
        context.advance(HOUR_MS);
        assert_eq!(context.describe(ID).is_err(), is_forgotten, "{status}");
        if is_forgotten {
            let tombstone = context.log.last().expect("a record");
            assert_eq!(tombstone.value, None);
            assert_eq!(id_of(tombstone), ID);
            // Whoever comes back is new.
            let unmapped = Err(TxnError::InvalidProducerIdMapping);
            assert_eq!(context.add(identity(7, 3), &[("t", 0)]), unmapped);
            assert_eq!(context.claim(), identity(FIRST_PRODUCER, 0));
        }
    }
}

/// An id that is used now and then lives on.
#[test]
fn every_use_keeps_an_id_alive() {
    run_all_versions(|context| {
        context.claim();
        for _ in 0..3 {
            context.advance(6 * DAY_MS);
            let holder = context.holder();
            context.add(holder, &[("t", 0)]).expect("open");
            context.end(holder, Committed).expect("ended");
            context.write_markers(ID);
        }
        assert_eq!(context.state(), TransactionState::CompleteCommit);
    });
}

/// removeExpiredTransactionalIds by the batch: each batch of tombstones fits, and all ids go at the same check.
#[test]
fn expired_ids_are_forgotten_batch_by_batch() {
    let config = TxnConfig {
        batch_bytes_max: 150,
        ..TxnConfig::default()
    };
    run(&config, |context| {
        for index in 0..20 {
            let record = seed_as(&format!("tx{index:02}"), identity(index, 0), 0, START_MS);
            context.seed(record);
        }
        context.step_clock(8 * DAY_MS);
        let mut log_end = context.log.len();
        while !context.list(ListTransactions::default()).is_empty() {
            context.tick();
            let added = context.log.len() - log_end;
            assert!((1..=6).contains(&added), "{added} tombstones in one batch");
            log_end = context.log.len();
            // A restart begins the interval anew.
            context.step_clock(HOUR_MS);
        }
        assert_eq!(context.log.len(), 40);
    });
}

/// The check comes at its interval and finds by the settings of that moment.
#[test]
fn settings_count_from_the_next_check_on() {
    let mut context = Context::new(TxnConfig::default(), false);
    context.claim();
    let impatient = TxnConfig {
        transactional_id_expiration_ms: 1_000,
        transactional_id_expiration_check_interval_ms: 500,
        ..TxnConfig::default()
    };
    context.set_config(impatient);
    context.advance(HOUR_MS - 1);
    assert_eq!(context.state(), TransactionState::Empty);
    context.advance(1);
    assert_eq!(context.describe(ID), Err(TxnError::TransactionalIdNotFound));
    context.claim();
    context.advance(999);
    assert_eq!(context.state(), TransactionState::Empty);
    context.advance(501);
    assert_eq!(context.describe(ID), Err(TxnError::TransactionalIdNotFound));
}
