//! The group coordinator: the driver's machine behind `__consumer_offsets`.

use std::sync::Arc;

use klamm_group_coordinator::{
    Command, GroupConfig, Millis, ProducerId, ReplayError, Replayed, Reply, Shard, Step, Ticket,
    TransactionOutcome,
};
use klamm_log_store::Offset;
use klamm_log_store::partition::{AppendError, Partition, Verification};

use super::cell::Marker;
use super::driver::{Coordinator, CoordinatorError, committed_reply};
use super::machine::{Decision, LoadedRecord, Machine};
use crate::broker::Broker;
use crate::cluster::topic_name::GROUP_METADATA_TOPIC_NAME;
use crate::errors::{self, ErrorCode};

/// The group coordinator of one broker.
pub type GroupCoordinator = Coordinator<Shard>;

/// Why offsets were not committed in a transaction.
#[derive(Debug)]
pub enum TransactionalCommitError {
    Coordinator(CoordinatorError),
    /// The offsets partition does not take records of this producer's transaction.
    Refused(AppendError),
}

impl TransactionalCommitError {
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Coordinator(error) => error.code(),
            Self::Refused(error) => errors::of_append_error(error).0,
        }
    }
}

impl Coordinator<Shard> {
    /// Carries out a command whose records belong to the transaction of `producer`. `verification` is what the offsets
    /// partition of the group gave for it.
    pub async fn submit_in_transaction(
        &self,
        broker: &Arc<Broker>,
        group_id: &str,
        command: Command,
        producer: (ProducerId, i16),
        verification: Verification,
    ) -> Result<Reply, TransactionalCommitError> {
        let cell = self
            .cell_of(broker, group_id)
            .await
            .map_err(TransactionalCommitError::Coordinator)?;
        let receiver = cell
            .submit_in_transaction(broker, command, producer, verification)
            .map_err(TransactionalCommitError::Refused)?;
        committed_reply(receiver)
            .await
            .map_err(TransactionalCommitError::Coordinator)
    }

    /// Ends a transaction in one offsets partition: what it committed becomes visible, or is forgotten. Returns what
    /// must be committed for the marker to count.
    ///
    /// # Errors
    /// The partition is not led here, or does not take the marker.
    pub(super) async fn append_marker(
        &self,
        broker: &Arc<Broker>,
        index: i32,
        marker: &Marker,
        keeps_append_time: bool,
    ) -> Result<(Arc<Partition>, Offset), ErrorCode> {
        let cell = self
            .cell_at(broker, index)
            .await
            .map_err(|_| ErrorCode::NotLeaderOrFollower)?;
        cell.append_marker(marker, keeps_append_time, broker.clock.now_ms())
            .ok_or(ErrorCode::NotLeaderOrFollower)?
            .map_err(|error| errors::of_append_error(&error).0)
    }
}

impl Machine for Shard {
    const TOPIC: &'static str = GROUP_METADATA_TOPIC_NAME;
    const NAME: &'static str = "group coordinator";

    type Config = GroupConfig;
    type Command = Command;
    type Reply = Reply;
    type Effect = std::convert::Infallible;

    fn config(broker: &Broker) -> GroupConfig {
        broker.group_config()
    }

    fn new(config: GroupConfig, _leader_epoch: i32) -> Self {
        Shard::new(config)
    }

    fn replay(&mut self, record: LoadedRecord<'_>) -> Result<Replayed, ReplayError> {
        Shard::replay(
            self,
            record.key,
            record.value,
            record.offset,
            record.producer,
        )
    }

    fn replay_marker(&mut self, producer: ProducerId, outcome: TransactionOutcome) {
        Shard::replay_marker(self, producer, outcome);
    }

    fn loaded(&mut self, now: Millis) -> Decision<Self> {
        Shard::loaded(self, now);
        Decision::none()
    }

    fn handle(&mut self, now: Millis, ticket: Ticket, command: Command) -> Decision<Self> {
        decision(Shard::handle(self, now, ticket, command))
    }

    fn tick(&mut self, now: Millis) -> Decision<Self> {
        decision(Shard::tick(self, now))
    }

    fn next_deadline(&self) -> Option<Millis> {
        Shard::next_deadline(self)
    }

    fn set_config(&mut self, config: GroupConfig) {
        Shard::set_config(self, config);
    }

    /// Groups have no producers of their own.
    fn needs_producer_id(&self) -> bool {
        false
    }

    fn reserve_producer_id(&mut self, _id: ProducerId) {}

    /// Groups ask for nothing outside their partition.
    async fn perform(_broker: Arc<Broker>, _partition: i32, _effects: Vec<Self::Effect>) {}
}

fn decision(step: Step) -> Decision<Shard> {
    Decision {
        records: step.records,
        producer: step.producer,
        replies: step.replies,
        ..Decision::none()
    }
}
