//! The transaction coordinator: the driver's machine behind `__transaction_state`.

use std::sync::Arc;

use klamm_group_coordinator::txn::{
    EndTransaction, InitProducerId, TxnCommand, TxnConfig, TxnReply, TxnShard, TxnStep,
    WriteMarkers,
};
use klamm_group_coordinator::{
    Millis, ProducerId, ReplayError, Replayed, Ticket, TransactionOutcome,
};
use tokio::task::JoinSet;

use super::driver::{Coordinator, CoordinatorError};
use super::machine::{Decision, LoadedRecord, Machine};
use super::markers;
use crate::broker::Broker;
use crate::cluster::topic_name::TRANSACTION_STATE_TOPIC_NAME;
use crate::errors::ErrorCode;

/// The transaction coordinator of one broker.
pub type TransactionCoordinator = Coordinator<TxnShard>;

impl Coordinator<TxnShard> {
    /// Has the coordinator of a transactional id carry out a command, and waits until the answer may leave.
    pub async fn ask(
        &self,
        broker: &Arc<Broker>,
        transactional_id: &str,
        command: TxnCommand,
    ) -> Result<TxnReply, ErrorCode> {
        self.submit(broker, transactional_id, command)
            .await
            .map_err(CoordinatorError::code)
    }

    /// Claims a transactional id, with a fresh producer id if it takes one.
    pub async fn init_producer_id(
        &self,
        broker: &Arc<Broker>,
        command: InitProducerId,
    ) -> Result<TxnReply, ErrorCode> {
        self.ask_with_id(broker, &command.transactional_id, |fresh_producer_id| {
            TxnCommand::InitProducerId(InitProducerId {
                fresh_producer_id,
                ..command.clone()
            })
        })
        .await
    }

    /// Ends a transaction, with a fresh producer id if the producer's epochs are used up.
    pub async fn end_transaction(
        &self,
        broker: &Arc<Broker>,
        command: EndTransaction,
    ) -> Result<TxnReply, ErrorCode> {
        self.ask_with_id(broker, &command.transactional_id, |fresh_producer_id| {
            TxnCommand::EndTransaction(EndTransaction {
                fresh_producer_id,
                ..command.clone()
            })
        })
        .await
    }

    /// Asks without a fresh producer id, since few commands need one, and again with one where it is needed.
    async fn ask_with_id(
        &self,
        broker: &Arc<Broker>,
        transactional_id: &str,
        command: impl Fn(Option<ProducerId>) -> TxnCommand,
    ) -> Result<TxnReply, ErrorCode> {
        match self.ask(broker, transactional_id, command(None)).await? {
            TxnReply::NeedsProducerId => {
                let id = ProducerId(broker.fresh_producer_id().await?);
                self.ask(broker, transactional_id, command(Some(id))).await
            }
            reply => Ok(reply),
        }
    }
}

impl Machine for TxnShard {
    const TOPIC: &'static str = TRANSACTION_STATE_TOPIC_NAME;
    const NAME: &'static str = "transaction coordinator";

    type Config = TxnConfig;
    type Command = TxnCommand;
    type Reply = TxnReply;
    type Effect = WriteMarkers;

    fn config(broker: &Broker) -> TxnConfig {
        broker.txn_config()
    }

    fn new(config: TxnConfig, leader_epoch: i32) -> Self {
        TxnShard::new(config, leader_epoch)
    }

    fn replay(&mut self, record: LoadedRecord<'_>) -> Result<Replayed, ReplayError> {
        TxnShard::replay(self, record.key, record.value)
    }

    /// The state of transactions is not itself written in transactions.
    fn replay_marker(&mut self, _producer: ProducerId, _outcome: TransactionOutcome) {}

    fn loaded(&mut self, now: Millis) -> Decision<Self> {
        decision(TxnShard::loaded(self, now))
    }

    fn handle(&mut self, now: Millis, ticket: Ticket, command: TxnCommand) -> Decision<Self> {
        decision(TxnShard::handle(self, now, ticket, command))
    }

    fn tick(&mut self, now: Millis) -> Decision<Self> {
        decision(TxnShard::tick(self, now))
    }

    fn next_deadline(&self) -> Option<Millis> {
        TxnShard::next_deadline(self)
    }

    fn set_config(&mut self, config: TxnConfig) {
        TxnShard::set_config(self, config);
    }

    fn needs_producer_id(&self) -> bool {
        TxnShard::needs_producer_id(self)
    }

    fn reserve_producer_id(&mut self, id: ProducerId) {
        TxnShard::reserve_producer_id(self, id);
    }

    async fn perform(broker: Arc<Broker>, partition: i32, effects: Vec<WriteMarkers>) {
        let mut endings = JoinSet::new();
        for ending in effects {
            endings.spawn(markers::end_transaction(
                Arc::clone(&broker),
                partition,
                ending,
            ));
        }
        endings.join_all().await;
    }
}

fn decision(step: TxnStep) -> Decision<TxnShard> {
    Decision {
        records: step.records,
        replies: step.replies,
        effects: step.markers,
        ..Decision::none()
    }
}
