//! What the driver needs of a state machine: the group coordinator's shard and the transaction coordinator's alike.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use klamm_group_coordinator::{
    Millis, ProducerId, Record, ReplayError, Replayed, Ticket, TransactionOutcome,
};
use klamm_log_store::partition::Verification;

use crate::broker::Broker;

/// A pure state machine whose state is one partition of an internal topic.
pub trait Machine: fmt::Debug + Send + Sized + 'static {
    /// The internal topic.
    const TOPIC: &'static str;
    /// How the log speaks of it.
    const NAME: &'static str;

    type Config: Clone;
    type Command: Clone + Send + 'static;
    type Reply: fmt::Debug + Send + 'static;
    /// Work outside the partition that a step asks for.
    type Effect: fmt::Debug + Send + 'static;

    fn config(broker: &Broker) -> Self::Config;
    /// An empty machine for a partition that is led at `leader_epoch`.
    fn new(config: Self::Config, leader_epoch: i32) -> Self;
    /// Takes one record of the partition, in order.
    ///
    /// # Errors
    /// The record makes no sense: the machine must not serve.
    fn replay(&mut self, record: LoadedRecord<'_>) -> Result<Replayed, ReplayError>;
    /// Takes the end of a transaction, in its place among the records.
    fn replay_marker(&mut self, producer: ProducerId, outcome: TransactionOutcome);
    /// The partition has been replayed to its end.
    fn loaded(&mut self, now: Millis) -> Decision<Self>;
    fn handle(&mut self, now: Millis, ticket: Ticket, command: Self::Command) -> Decision<Self>;
    fn tick(&mut self, now: Millis) -> Decision<Self>;
    fn next_deadline(&self) -> Option<Millis>;
    fn set_config(&mut self, config: Self::Config);
    /// Whether a tick could not do all for want of a producer id; [`Machine::reserve_producer_id`] brings one.
    fn needs_producer_id(&self) -> bool;
    fn reserve_producer_id(&mut self, id: ProducerId);

    /// Does what a step asked for, after its records are committed. Ends when it is done, or when the broker stops.
    fn perform(
        broker: Arc<Broker>,
        partition: i32,
        effects: Vec<Self::Effect>,
    ) -> impl Future<Output = ()> + Send;
}

/// A record as it comes out of the partition.
#[derive(Debug, Clone, Copy)]
pub struct LoadedRecord<'a> {
    pub key: &'a [u8],
    pub value: Option<&'a [u8]>,
    pub offset: i64,
    /// The producer of its batch if the batch is transactional.
    pub producer: Option<ProducerId>,
}

/// What one call of a machine decided: see [`klamm_group_coordinator::Step`].
#[derive(Debug)]
pub struct Decision<M: Machine> {
    pub records: Vec<Record>,
    /// The producer in whose transaction the records are written, with its epoch.
    pub producer: Option<(ProducerId, i16)>,
    /// What the partition is to be shown for such records.
    pub verification: Verification,
    pub replies: Vec<(Ticket, M::Reply)>,
    pub effects: Vec<M::Effect>,
}

impl<M: Machine> Decision<M> {
    /// Nothing to do.
    pub fn none() -> Self {
        Self {
            records: Vec::new(),
            producer: None,
            verification: Verification::NotRequired,
            replies: Vec::new(),
            effects: Vec::new(),
        }
    }
}
