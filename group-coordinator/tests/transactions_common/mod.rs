//! A transaction shard with a clock of its own, a log, the markers it asked for, and an eye on what must always hold.

// Every test binary uses its own part of this module.
#![allow(dead_code)]

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use klamm_group_coordinator::txn::{
    AddPartitions, EndTransaction, InitProducerId, ListTransactions, MarkersWritten,
    ProducerIdentity, TransactionDescription, TransactionListing, TransactionState, TxnCommand,
    TxnConfig, TxnError, TxnPartition, TxnReply, TxnShard, TxnStep, WriteMarkers,
};
use klamm_group_coordinator::{Millis, ProducerId, Record, Ticket, TransactionOutcome};

/// The transactional id of most tests.
pub const ID: &str = "tx";
/// Where the clock of every test starts.
pub const START_MS: i64 = 1_700_000_000_000;
pub const TIMEOUT_MS: i32 = 60_000;
/// The first producer id that is handed out.
pub const FIRST_PRODUCER: i64 = 1000;
/// More ticks than any test needs for one moment.
const TICKS_MAX: usize = 200;

/// Runs a scenario twice: as it is, and with a restart after every step.
pub fn run(config: &TxnConfig, scenario: impl Fn(&mut Context)) {
    scenario(&mut Context::new(config.clone(), false));
    scenario(&mut Context::new(config.clone(), true));
}

/// Runs a scenario under every level of `transaction.version`; see [`run`].
pub fn run_all_versions(scenario: impl Fn(&mut Context)) {
    for transaction_version in 0..=2 {
        run(&with_version(transaction_version), &scenario);
    }
}

pub fn with_version(transaction_version: i16) -> TxnConfig {
    TxnConfig {
        transaction_version,
        ..TxnConfig::default()
    }
}

/// A shard and its surroundings.
///
/// After every step it checks that the step answers its ticket and no other, and that a second shard that only ever
/// saw the records tells the same of every transactional id. After every restart it checks that the shard asks for
/// exactly those markers again that have been asked for and are not yet written.
pub struct Context {
    pub shard: TxnShard,
    pub log: Vec<Record>,
    /// The markers asked for and not yet written, by transactional id.
    pub markers: BTreeMap<String, WriteMarkers>,
    /// The level of `transaction.version` that clients speak: 2 if the server does, else 0.
    pub client_version: i16,
    /// Whether the driver gives the shard a producer id when it lacks one for timeouts.
    pub supplies_reserve: bool,
    now_ms: i64,
    config: TxnConfig,
    restarts: bool,
    coordinator_epoch: i32,
    replica: TxnShard,
    /// The transactional id that the shard is being told of that its markers are written.
    reported: Option<String>,
    last_ticket: u64,
    next_producer_id: i64,
}

impl Context {
    pub fn new(config: TxnConfig, restarts: bool) -> Self {
        let mut shard = TxnShard::new(config.clone(), 1);
        assert_eq!(shard.loaded(Millis(START_MS)), TxnStep::default());
        Self {
            shard,
            log: Vec::new(),
            markers: BTreeMap::new(),
            client_version: if config.transaction_version < 2 { 0 } else { 2 },
            supplies_reserve: true,
            now_ms: START_MS,
            replica: TxnShard::new(config.clone(), 0),
            reported: None,
            config,
            restarts,
            coordinator_epoch: 1,
            last_ticket: 0,
            next_producer_id: FIRST_PRODUCER,
        }
    }

    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// Hands a command to the shard and takes its answer.
    pub fn send(&mut self, command: TxnCommand) -> TxnReply {
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        let mut step = self.shard.handle(Millis(self.now_ms), ticket, command);
        let replies = std::mem::take(&mut step.replies);
        let [(answered, reply)] = <[(Ticket, TxnReply); 1]>::try_from(replies)
            .expect("a command is answered at once and alone");
        assert_eq!(answered, ticket);
        if reply == TxnReply::NeedsProducerId {
            assert_eq!(step, TxnStep::default());
        }
        self.take(step);
        reply
    }

    /// Sends an InitProducerId, with a fresh producer id only if the shard asks for one.
    pub fn init(&mut self, request: InitProducerId) -> Result<ProducerIdentity, TxnError> {
        let mut reply = self.send(TxnCommand::InitProducerId(request.clone()));
        if reply == TxnReply::NeedsProducerId {
            let fresh_producer_id = Some(self.fresh_producer_id());
            reply = self.send(TxnCommand::InitProducerId(InitProducerId {
                fresh_producer_id,
                ..request
            }));
        }
        match reply {
            TxnReply::InitProducerId(result) => result,
            other => panic!("not an answer to a claim: {other:?}"),
        }
    }

    /// Claims [`ID`] as a producer that has just started.
    pub fn claim(&mut self) -> ProducerIdentity {
        self.init(init()).expect("nobody is in the way")
    }

    pub fn add(
        &mut self,
        identity: ProducerIdentity,
        partitions: &[(&str, i32)],
    ) -> Result<(), TxnError> {
        let request = self.partitions(identity, partitions);
        match self.send(TxnCommand::AddPartitions(request)) {
            TxnReply::AddPartitions(result) => result,
            other => panic!("not an answer to added partitions: {other:?}"),
        }
    }

    pub fn verify(
        &mut self,
        identity: ProducerIdentity,
        partitions: &[(&str, i32)],
    ) -> Result<Vec<Result<(), TxnError>>, TxnError> {
        let request = self.partitions(identity, partitions);
        match self.send(TxnCommand::VerifyPartitions(request)) {
            TxnReply::VerifyPartitions(result) => result,
            other => panic!("not an answer to a verification: {other:?}"),
        }
    }

    pub fn partitions(
        &self,
        identity: ProducerIdentity,
        partitions: &[(&str, i32)],
    ) -> AddPartitions {
        AddPartitions {
            transactional_id: ID.to_owned(),
            producer_id: identity.producer_id,
            producer_epoch: identity.producer_epoch,
            partitions: named(partitions),
            client_version: self.client_version,
        }
    }

    pub fn end(
        &mut self,
        identity: ProducerIdentity,
        outcome: TransactionOutcome,
    ) -> Result<Option<ProducerIdentity>, TxnError> {
        let request = self.ending(identity, outcome);
        self.end_with(request)
    }

    pub fn ending(
        &self,
        identity: ProducerIdentity,
        outcome: TransactionOutcome,
    ) -> EndTransaction {
        EndTransaction {
            transactional_id: ID.to_owned(),
            producer_id: identity.producer_id,
            producer_epoch: identity.producer_epoch,
            outcome,
            client_version: self.client_version,
            fresh_producer_id: None,
        }
    }

    /// Sends an EndTxn, with a fresh producer id only if the shard asks for one.
    pub fn end_with(
        &mut self,
        request: EndTransaction,
    ) -> Result<Option<ProducerIdentity>, TxnError> {
        let mut reply = self.send(TxnCommand::EndTransaction(request.clone()));
        if reply == TxnReply::NeedsProducerId {
            let fresh_producer_id = Some(self.fresh_producer_id());
            reply = self.send(TxnCommand::EndTransaction(EndTransaction {
                fresh_producer_id,
                ..request
            }));
        }
        match reply {
            TxnReply::EndTransaction(result) => result,
            other => panic!("not an answer to the end of a transaction: {other:?}"),
        }
    }

    /// The markers of a transactional id are written to all partitions.
    pub fn write_markers(&mut self, transactional_id: &str) {
        let markers = self.markers[transactional_id].clone();
        self.report_markers(&markers);
        assert!(!self.markers.contains_key(transactional_id));
    }

    /// Tells the shard of markers that were written, at whatever time.
    pub fn report_markers(&mut self, markers: &WriteMarkers) {
        let written = MarkersWritten {
            transactional_id: markers.transactional_id.clone(),
            producer_id: markers.producer_id,
            producer_epoch: markers.producer_epoch,
            missing: Vec::new(),
        };
        self.reported = Some(markers.transactional_id.clone());
        let reply = self.send(TxnCommand::MarkersWritten(written));
        self.reported = None;
        assert_eq!(reply, TxnReply::MarkersWritten);
    }

    pub fn describe(&mut self, transactional_id: &str) -> Result<TransactionDescription, TxnError> {
        describe(&mut self.shard, Millis(self.now_ms), transactional_id)
    }

    pub fn state(&mut self) -> TransactionState {
        self.describe(ID).expect("the id is known").state
    }

    /// Who may use [`ID`] now.
    pub fn holder(&mut self) -> ProducerIdentity {
        let description = self.describe(ID).expect("the id is known");
        identity(description.producer_id.0, description.producer_epoch)
    }

    pub fn list(&mut self, request: ListTransactions) -> Vec<TransactionListing> {
        list(&mut self.shard, Millis(self.now_ms), request)
    }

    /// Lets time pass, from deadline to deadline.
    pub fn advance(&mut self, ms: i64) {
        let end_ms = self.now_ms + ms;
        let mut ticks_count = 0;
        while let Some(Millis(deadline)) = self.shard.next_deadline() {
            if deadline > end_ms {
                break;
            }
            if deadline > self.now_ms {
                self.now_ms = deadline;
                ticks_count = 0;
            }
            ticks_count += 1;
            assert!(ticks_count < TICKS_MAX, "timers fire without end");
            self.tick();
        }
        self.now_ms = end_ms;
    }

    /// One tick at the present moment.
    pub fn tick(&mut self) {
        let step = self.shard.tick(Millis(self.now_ms));
        assert_eq!(step.replies, []);
        self.take(step);
        if self.shard.needs_producer_id() && self.supplies_reserve {
            let producer_id = self.fresh_producer_id();
            self.shard.reserve_producer_id(producer_id);
            assert!(!self.shard.needs_producer_id());
        }
    }

    /// A new shard from the log, as after a crash.
    pub fn restart(&mut self) {
        self.coordinator_epoch += 1;
        self.shard = TxnShard::new(self.config.clone(), self.coordinator_epoch);
        for record in &self.log {
            replay(&mut self.shard, record);
        }
        let step = self.shard.loaded(Millis(self.now_ms));
        assert_eq!(step.records, []);
        assert_eq!(step.replies, []);
        for markers in self.markers.values_mut() {
            markers.coordinator_epoch = self.coordinator_epoch;
            // The version of the client is not among what a record of version 0 can say.
            if self.config.transaction_version == 0 {
                markers.transaction_version = 0;
            }
        }
        let waiting: Vec<WriteMarkers> = self.markers.values().cloned().collect();
        assert_eq!(
            step.markers, waiting,
            "other markers than before the restart"
        );
    }

    pub fn set_config(&mut self, config: TxnConfig) {
        self.config = config.clone();
        self.shard.set_config(config);
    }

    /// Adds a record to the log, as Kafka may have written it, and starts anew from there.
    pub fn seed(&mut self, record: Record) {
        self.seed_all(std::iter::once(record));
    }

    /// Adds records to the log, and starts anew from there.
    pub fn seed_all(&mut self, records: impl Iterator<Item = Record>) {
        for record in records {
            replay(&mut self.replica, &record);
            self.log.push(record);
        }
        self.restart();
    }

    /// Lets time pass without a look at the timers.
    pub fn step_clock(&mut self, ms: i64) {
        self.now_ms += ms;
    }

    /// Like [`Context::seed`], with a record about [`ID`] that may say that a transaction is ending.
    pub fn seed_prepared(&mut self, holder: ProducerIdentity, status: i8) {
        let outcome = match status {
            2 => Some(TransactionOutcome::Committed),
            3 => Some(TransactionOutcome::Aborted),
            _ => None,
        };
        if let Some(outcome) = outcome {
            let markers = WriteMarkers {
                transactional_id: ID.to_owned(),
                producer_id: holder.producer_id,
                producer_epoch: holder.producer_epoch,
                outcome,
                coordinator_epoch: self.coordinator_epoch,
                transaction_version: 0,
                partitions: named(&[("t", 0)]),
            };
            self.markers.insert(ID.to_owned(), markers);
        }
        self.seed(seed(holder, status));
    }

    pub fn fresh_producer_id(&mut self) -> ProducerId {
        let producer_id = ProducerId(self.next_producer_id);
        self.next_producer_id += 1;
        producer_id
    }

    fn take(&mut self, step: TxnStep) {
        for record in step.records {
            replay(&mut self.replica, &record);
            self.log.push(record);
        }
        for markers in step.markers {
            assert_eq!(markers.coordinator_epoch, self.coordinator_epoch);
            assert!(!markers.partitions.is_empty(), "there is nothing to write");
            assert!(markers.partitions.is_sorted());
            let before = self
                .markers
                .insert(markers.transactional_id.clone(), markers);
            assert_eq!(before, None, "two transactions of an id end at once");
        }
        self.compare_with_replica();
        if self.restarts {
            self.restart();
        }
    }

    fn compare_with_replica(&mut self) {
        let now = Millis(self.now_ms);
        let own = list(&mut self.shard, now, ListTransactions::default());
        let logged = list(&mut self.replica, now, ListTransactions::default());
        assert_eq!(own, logged, "the log has other transactional ids");
        for listing in own {
            let transactional_id = &listing.transactional_id;
            let own = describe(&mut self.shard, now, transactional_id);
            let logged = describe(&mut self.replica, now, transactional_id);
            assert_eq!(own, logged, "the log tells something else");
            let is_ending = matches!(
                listing.state,
                TransactionState::PrepareCommit | TransactionState::PrepareAbort
            );
            if !is_ending && self.reported.as_ref() == Some(transactional_id) {
                self.markers.remove(transactional_id);
            }
            assert_eq!(
                is_ending,
                self.markers.contains_key(transactional_id),
                "a transaction ends without markers, or by itself"
            );
        }
    }
}

pub fn init() -> InitProducerId {
    InitProducerId {
        transactional_id: ID.to_owned(),
        timeout_ms: TIMEOUT_MS,
        enable_two_phase_commit: false,
        keep_prepared: false,
        expected: None,
        fresh_producer_id: None,
    }
}

/// A claim by a producer that says who it is.
pub fn init_as(identity: ProducerIdentity) -> InitProducerId {
    InitProducerId {
        expected: Some((identity.producer_id, identity.producer_epoch)),
        ..init()
    }
}

pub fn identity(producer_id: i64, producer_epoch: i16) -> ProducerIdentity {
    ProducerIdentity {
        producer_id: ProducerId(producer_id),
        producer_epoch,
    }
}

pub fn named(partitions: &[(&str, i32)]) -> Vec<TxnPartition> {
    partitions
        .iter()
        .map(|&(topic, partition)| TxnPartition {
            topic: topic.to_owned(),
            partition,
        })
        .collect()
}

/// A record of version 0 about [`ID`], with the partition `t-0` if there may be one. `status` is Kafka's number of the
/// state.
pub fn seed(identity: ProducerIdentity, status: i8) -> Record {
    seed_as(ID, identity, status, START_MS)
}

/// The same for any transactional id, begun and last used at a time.
pub fn seed_as(
    transactional_id: &str,
    identity: ProducerIdentity,
    status: i8,
    time_ms: i64,
) -> Record {
    let mut key = BytesMut::new();
    key.put_i16(0);
    put_string(&mut key, transactional_id);
    let mut value = BytesMut::new();
    value.put_i16(0);
    value.put_i64(identity.producer_id.0);
    value.put_i16(identity.producer_epoch);
    value.put_i32(TIMEOUT_MS);
    value.put_i8(status);
    match status {
        0 => value.put_i32(-1),
        1..=3 => {
            value.put_i32(1);
            put_string(&mut value, "t");
            value.put_i32(1);
            value.put_i32(0);
        }
        _ => value.put_i32(0),
    }
    value.put_i64(time_ms);
    value.put_i64(if status == 0 { -1 } else { time_ms });
    Record {
        key: key.freeze(),
        value: Some(value.freeze()),
    }
}

fn put_string(out: &mut BytesMut, text: &str) {
    out.put_i16(i16::try_from(text.len()).expect("a short text"));
    out.put_slice(text.as_bytes());
}

/// The transactional id that a record is about.
pub fn id_of(record: &Record) -> String {
    String::from_utf8(record.key[4..].to_vec()).expect("an id of a test is UTF-8")
}

/// The number of the state in a record, and the producer with its epoch; none for a tombstone.
pub fn content(value: Option<&Bytes>) -> Option<(i8, ProducerIdentity)> {
    let value = value?;
    let producer_id = i64::from_be_bytes(value[2..10].try_into().expect("eight bytes"));
    let producer_epoch = i16::from_be_bytes(value[10..12].try_into().expect("two bytes"));
    Some((value[16] as i8, identity(producer_id, producer_epoch)))
}

fn replay(shard: &mut TxnShard, record: &Record) {
    shard
        .replay(&record.key, record.value.as_deref())
        .expect("a record of the shard's own can be replayed");
}

fn question(shard: &mut TxnShard, now: Millis, command: TxnCommand) -> TxnReply {
    let ticket = Ticket(u64::MAX);
    let mut step = shard.handle(now, ticket, command);
    let (answered, reply) = step.replies.pop().expect("a question is answered");
    assert_eq!(answered, ticket);
    assert_eq!(step, TxnStep::default(), "a question changes nothing");
    reply
}

fn describe(
    shard: &mut TxnShard,
    now: Millis,
    transactional_id: &str,
) -> Result<TransactionDescription, TxnError> {
    let command = TxnCommand::DescribeTransaction {
        transactional_id: transactional_id.to_owned(),
    };
    match question(shard, now, command) {
        TxnReply::DescribeTransaction(result) => result,
        other => panic!("not a description: {other:?}"),
    }
}

fn list(shard: &mut TxnShard, now: Millis, request: ListTransactions) -> Vec<TransactionListing> {
    match question(shard, now, TxnCommand::ListTransactions(request)) {
        TxnReply::ListTransactions(listings) => listings,
        other => panic!("not a list: {other:?}"),
    }
}
