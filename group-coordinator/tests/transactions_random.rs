//! Random producers in random order, with restarts, timeouts and late markers, against what must hold whatever they do.
//!
//! A failing case prints the operations that led to it, shrunk, and a seed in `proptest-regressions`.

mod transactions_common;

use std::collections::BTreeMap;

use klamm_group_coordinator::txn::{
    AddPartitions, EndTransaction, InitProducerId, ProducerIdentity, TransactionState, TxnCommand,
    TxnError, TxnReply, WriteMarkers,
};
use klamm_group_coordinator::{ProducerId, TransactionOutcome};
use proptest::prelude::*;
use transactions_common::*;

const IDS: [&str; 2] = ["tx-a", "tx-b"];
/// Two producers fight for each id.
const PRODUCERS: usize = 4;
/// Where the epochs of half of the ids begin, so that they come to their end within a case.
const LATE_EPOCH: i16 = i16::MAX - 4;
/// Longer than any timeout in use.
const LONG_MS: i64 = 600_000;

#[derive(Debug, Clone)]
enum Operation {
    /// A producer claims its id: as the one it believes to be, or as a new one.
    Claim {
        producer: usize,
        is_known: bool,
    },
    Add {
        producer: usize,
        partition: i32,
    },
    Verify {
        producer: usize,
        partition: i32,
    },
    End {
        producer: usize,
        commits: bool,
    },
    /// A producer did not get the answer to its last end and asks again.
    EndAgain {
        producer: usize,
    },
    /// The oldest markers that were asked for are written.
    WriteMarkers,
    /// Markers that were asked for at any time are reported, perhaps for the second time.
    ReportOldMarkers {
        which: usize,
    },
    Wait {
        ms: i64,
    },
    Restart,
}

fn operation() -> impl Strategy<Value = Operation> {
    let producer = 0..PRODUCERS;
    prop_oneof![
        3 => (producer.clone(), any::<bool>())
            .prop_map(|(producer, is_known)| Operation::Claim { producer, is_known }),
        8 => (producer.clone(), 0..3)
            .prop_map(|(producer, partition)| Operation::Add { producer, partition }),
        2 => (producer.clone(), 0..3)
            .prop_map(|(producer, partition)| Operation::Verify { producer, partition }),
        8 => (producer.clone(), any::<bool>())
            .prop_map(|(producer, commits)| Operation::End { producer, commits }),
        3 => producer.prop_map(|producer| Operation::EndAgain { producer }),
        9 => Just(Operation::WriteMarkers),
        2 => (0..20_usize).prop_map(|which| Operation::ReportOldMarkers { which }),
        3 => prop_oneof![Just(0), Just(1_000), Just(59_000), Just(61_000)]
            .prop_map(|ms| Operation::Wait { ms }),
        2 => Just(Operation::Restart),
    ]
}

/// What a producer remembers.
#[derive(Debug, Clone, Default)]
struct Producer {
    identity: Option<ProducerIdentity>,
    /// How many claims had been granted when its own was, by which a fenced producer is told.
    claim: usize,
    last_end: Option<EndTransaction>,
}

struct World {
    context: Context,
    producers: Vec<Producer>,
    /// Claims granted so far, by id.
    claims: BTreeMap<&'static str, usize>,
    /// All markers that were ever asked for.
    markers: Vec<WriteMarkers>,
    /// The outcome that markers of a producer and an epoch have: there is one transaction for each.
    outcomes: BTreeMap<(ProducerId, i16), TransactionOutcome>,
    checked_log_end: usize,
    /// The last state and producer of each id in the log.
    last: BTreeMap<String, (i8, ProducerIdentity)>,
    /// The highest epoch of each producer id in the log.
    epochs: BTreeMap<ProducerId, i16>,
    log_owner: BTreeMap<ProducerId, String>,
}

impl World {
    fn new(server_version: i16, client_version: i16, is_late: bool) -> Self {
        let mut context = Context::new(with_version(server_version), false);
        context.client_version = client_version;
        if is_late {
            let records = IDS.iter().zip(7..);
            context
                .seed_all(records.map(|(id, producer)| {
                    seed_as(id, identity(producer, LATE_EPOCH), 0, START_MS)
                }));
        }
        Self {
            context,
            producers: vec![Producer::default(); PRODUCERS],
            claims: BTreeMap::new(),
            markers: Vec::new(),
            outcomes: BTreeMap::new(),
            checked_log_end: 0,
            last: BTreeMap::new(),
            epochs: BTreeMap::new(),
            log_owner: BTreeMap::new(),
        }
    }

    fn run(&mut self, operation: &Operation) {
        match *operation {
            Operation::Claim { producer, is_known } => self.claim(producer, is_known),
            Operation::Add {
                producer,
                partition,
            } => {
                if let Some(request) = self.partitions(producer, partition) {
                    let reply = self
                        .context
                        .send(TxnCommand::AddPartitions(request.clone()));
                    if reply == TxnReply::AddPartitions(Ok(())) {
                        self.assert_not_fenced(producer);
                        self.assert_added(&request);
                    }
                }
            }
            Operation::Verify {
                producer,
                partition,
            } => self.verify(producer, partition),
            Operation::End { producer, commits } => self.end(producer, commits),
            Operation::EndAgain { producer } => {
                if let Some(request) = self.producers[producer].last_end.clone() {
                    self.send_end(producer, request);
                }
            }
            Operation::WriteMarkers => {
                if let Some(id) = self.context.markers.keys().next().cloned() {
                    self.context.write_markers(&id);
                }
            }
            Operation::ReportOldMarkers { which } => {
                if let Some(markers) = self.markers.get(which).cloned() {
                    self.context.report_markers(&markers);
                }
            }
            Operation::Wait { ms } => self.context.advance(ms),
            Operation::Restart => self.context.restart(),
        }
        self.check();
    }

    fn claim(&mut self, producer: usize, is_known: bool) {
        let id = id_of_producer(producer);
        let expected = self.producers[producer]
            .identity
            .filter(|_| is_known)
            .map(|it| (it.producer_id, it.producer_epoch));
        let request = InitProducerId {
            transactional_id: id.to_owned(),
            expected,
            ..init()
        };
        let was_fenced = self.is_fenced(producer);
        let Ok(identity) = self.context.init(request) else {
            return;
        };
        // A fenced producer that says who it was gets nothing.
        assert!(expected.is_none() || !was_fenced);
        let description = self.context.describe(id).expect("the id was claimed");
        assert_eq!(description.state, TransactionState::Empty);
        assert_eq!(description.producer_id, identity.producer_id);
        assert_eq!(description.producer_epoch, identity.producer_epoch);
        let claims = self.claims.entry(id).or_default();
        *claims += 1;
        self.producers[producer] = Producer {
            identity: Some(identity),
            claim: *claims,
            last_end: None,
        };
    }

    fn partitions(&self, producer: usize, partition: i32) -> Option<AddPartitions> {
        let identity = self.producers[producer].identity?;
        Some(AddPartitions {
            transactional_id: id_of_producer(producer).to_owned(),
            ..self.context.partitions(identity, &[("t", partition)])
        })
    }

    /// What is answered is in the log; the replica of the context has read it.
    fn assert_added(&mut self, request: &AddPartitions) {
        let description = self.context.describe(&request.transactional_id);
        let description = description.expect("the id is known");
        assert_eq!(description.state, TransactionState::Ongoing);
        assert_eq!(description.producer_id, request.producer_id);
        assert_eq!(description.producer_epoch, request.producer_epoch);
        assert!(description.partitions.contains(&request.partitions[0]));
    }

    fn verify(&mut self, producer: usize, partition: i32) {
        let Some(request) = self.partitions(producer, partition) else {
            return;
        };
        let reply = self
            .context
            .send(TxnCommand::VerifyPartitions(request.clone()));
        if let TxnReply::VerifyPartitions(Ok(results)) = reply {
            self.assert_not_fenced(producer);
            if results == [Ok(())] {
                self.assert_added(&request);
            }
        }
    }

    fn end(&mut self, producer: usize, commits: bool) {
        let Some(identity) = self.producers[producer].identity else {
            return;
        };
        let outcome = match commits {
            true => TransactionOutcome::Committed,
            false => TransactionOutcome::Aborted,
        };
        let request = EndTransaction {
            transactional_id: id_of_producer(producer).to_owned(),
            ..self.context.ending(identity, outcome)
        };
        self.producers[producer].last_end = Some(request.clone());
        self.send_end(producer, request);
    }

    fn send_end(&mut self, producer: usize, request: EndTransaction) {
        let id = id_of_producer(producer);
        let state = self.context.describe(id).map(|it| it.state);
        let log_end = self.context.log.len();
        let Ok(next) = self.context.end_with(request.clone()) else {
            assert_eq!(self.context.log.len(), log_end, "refused and written");
            return;
        };
        self.assert_not_fenced(producer);
        if let Some(next) = next {
            self.producers[producer].identity = Some(next);
        }
        // What was open has the outcome that was asked for; what was over had it before.
        match state.expect("the id is known") {
            TransactionState::Ongoing => {
                let markers = &self.context.markers[id];
                assert_eq!(markers.outcome, request.outcome);
                assert_eq!(markers.producer_id, request.producer_id);
            }
            TransactionState::CompleteCommit if log_end == self.context.log.len() => {
                assert_eq!(request.outcome, TransactionOutcome::Committed);
            }
            TransactionState::Empty
            | TransactionState::CompleteCommit
            | TransactionState::CompleteAbort => {
                assert_eq!(request.outcome, TransactionOutcome::Aborted);
            }
            state => panic!("a transaction was ended in {state:?}"),
        }
    }

    /// Whether another producer has been granted a claim since this one was.
    fn is_fenced(&self, producer: usize) -> bool {
        let claims = self.claims.get(id_of_producer(producer)).copied();
        self.producers[producer].claim < claims.unwrap_or(0)
    }

    fn assert_not_fenced(&self, producer: usize) {
        assert!(!self.is_fenced(producer), "a fenced producer had its way");
    }

    fn check(&mut self) {
        for markers in self.context.markers.values() {
            let key = (markers.producer_id, markers.producer_epoch);
            if self.context.client_version == 2 {
                let outcome = *self.outcomes.entry(key).or_insert(markers.outcome);
                assert_eq!(outcome, markers.outcome, "one transaction, two outcomes");
            }
            if self.markers.last() != Some(markers) {
                self.markers.push(markers.clone());
            }
        }
        for index in self.checked_log_end..self.context.log.len() {
            self.check_record(index);
        }
        self.checked_log_end = self.context.log.len();
    }

    /// One record after the other is a step that Kafka's state machine knows, and no epoch goes backwards.
    fn check_record(&mut self, index: usize) {
        let record = &self.context.log[index];
        let id = id_of(record);
        let (status, identity) = content(record.value.as_ref()).expect("nothing expires here");
        let before = self.last.insert(id.clone(), (status, identity));
        let previous_states: &[i8] = match status {
            0 => &[0, 4, 5],
            1 => &[0, 1, 4, 5],
            2 => &[1],
            3 => &[0, 1, 4, 5],
            4 => &[2],
            5 => &[3],
            _ => panic!("no state: {status}"),
        };
        let is_step = before.is_none_or(|(before, _)| previous_states.contains(&before));
        assert!(is_step, "from {before:?} to {status}");
        assert!(identity.producer_epoch >= 0);
        let highest = self
            .epochs
            .entry(identity.producer_id)
            .or_insert(identity.producer_epoch);
        assert!(
            *highest <= identity.producer_epoch,
            "an epoch went backwards"
        );
        *highest = identity.producer_epoch;
        let owner = self
            .log_owner
            .entry(identity.producer_id)
            .or_insert_with(|| id.clone());
        assert_eq!(*owner, id, "a producer id of two transactional ids");
        // Whoever leaves a producer id never comes back to it: only the last of an id is in use.
        if let Some((_, before)) = before
            && before.producer_id != identity.producer_id
        {
            assert_eq!(identity.producer_epoch, 0);
        }
    }

    /// However it went, everybody comes to an end in time, and can go on.
    fn finish(&mut self) {
        self.context.advance(LONG_MS);
        while let Some(id) = self.context.markers.keys().next().cloned() {
            self.context.write_markers(&id);
        }
        self.check();
        for producer in 0..IDS.len() {
            let request = InitProducerId {
                transactional_id: id_of_producer(producer).to_owned(),
                ..init()
            };
            let identity = self.context.init(request).expect("nobody is in the way");
            let before = Producer {
                identity: Some(identity),
                ..Producer::default()
            };
            self.producers[producer] = before;
            let request = self.partitions(producer, 0).expect("a producer");
            let reply = self.context.send(TxnCommand::AddPartitions(request));
            assert_eq!(reply, TxnReply::AddPartitions(Ok(())));
        }
        self.check();
    }
}

fn id_of_producer(producer: usize) -> &'static str {
    IDS[producer % IDS.len()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Servers and clients of every version; producers that speak the new protocol speak it to a server that does.
    #[test]
    fn whatever_producers_do(
        (server_version, client_version) in prop_oneof![
            1 => Just((0, 0)), 1 => Just((1, 0)), 1 => Just((2, 0)), 3 => Just((2, 2)),
        ],
        is_late: bool,
        operations in prop::collection::vec(operation(), 1..120),
    ) {
        let mut world = World::new(server_version, client_version, is_late);
        for operation in &operations {
            world.run(operation);
        }
        world.finish();
    }
}

/// The test that producers are fenced can fail: the errors it relies on do occur.
#[test]
fn fenced_producers_are_met() {
    let mut world = World::new(2, 2, false);
    let claims = [0, 2].map(|producer| Operation::Claim {
        producer,
        is_known: false,
    });
    claims.iter().for_each(|claim| world.run(claim));
    assert!(world.is_fenced(0) && !world.is_fenced(2));
    let request = world.partitions(0, 0).expect("a producer");
    let reply = world.context.send(TxnCommand::AddPartitions(request));
    assert_eq!(
        reply,
        TxnReply::AddPartitions(Err(TxnError::ProducerFenced))
    );
}
