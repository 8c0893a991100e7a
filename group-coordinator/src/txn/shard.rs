//! One partition of `__transaction_state`: its transactional ids and the transactions that they are in.

use std::collections::BTreeMap;

use crate::error::ReplayError;
use crate::ids::{Millis, Ticket};
use crate::step::Replayed;
use crate::txn::{TxnCommand, TxnConfig, TxnError, TxnReply, TxnStep};

/// The state machine behind one partition of `__transaction_state`.
#[derive(Debug)]
pub struct TxnShard {
    config: TxnConfig,
    /// The leader epoch of the partition; it goes into every marker.
    coordinator_epoch: i32,
    transactions: BTreeMap<String, ()>,
}

impl TxnShard {
    /// An empty shard. `coordinator_epoch` is the leader epoch of the partition.
    pub fn new(config: TxnConfig, coordinator_epoch: i32) -> Self {
        Self {
            config,
            coordinator_epoch,
            transactions: BTreeMap::new(),
        }
    }

    /// Takes one record of the log, in log order and before [`TxnShard::loaded`].
    ///
    /// # Errors
    /// The record is damaged or of a later release; the shard is unchanged.
    pub fn replay(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<Replayed, ReplayError> {
        let _ = (key, value);
        Ok(Replayed::Applied)
    }

    /// The log has been replayed to its end. The step asks for the markers of transactions that were ending.
    pub fn loaded(&mut self, now: Millis) -> TxnStep {
        let _ = now;
        TxnStep::default()
    }

    /// Carries out a command. The reply with this ticket is in the step.
    pub fn handle(&mut self, now: Millis, ticket: Ticket, command: TxnCommand) -> TxnStep {
        let _ = (now, self.coordinator_epoch, &self.transactions, &self.config);
        let unknown = TxnError::TransactionalIdNotFound;
        let reply = match command {
            TxnCommand::InitProducerId(_) => TxnReply::InitProducerId(Err(unknown)),
            TxnCommand::AddPartitions(_) => TxnReply::AddPartitions(Err(unknown)),
            TxnCommand::VerifyPartitions(_) => TxnReply::VerifyPartitions(Err(unknown)),
            TxnCommand::EndTransaction(_) => TxnReply::EndTransaction(Err(unknown)),
            TxnCommand::MarkersWritten(_) => TxnReply::MarkersWritten,
            TxnCommand::DescribeTransaction { .. } => TxnReply::DescribeTransaction(Err(unknown)),
            TxnCommand::ListTransactions(_) => TxnReply::ListTransactions(Vec::new()),
        };
        TxnStep {
            replies: vec![(ticket, reply)],
            ..TxnStep::default()
        }
    }

    /// Ends transactions that have been open for too long and forgets expired ids. Call it when
    /// [`TxnShard::next_deadline`] has come; earlier calls do no harm.
    pub fn tick(&mut self, now: Millis) -> TxnStep {
        let _ = now;
        TxnStep::default()
    }

    /// When [`TxnShard::tick`] is due next. Every call that changes the shard may change it.
    pub fn next_deadline(&self) -> Option<Millis> {
        None
    }

    /// Settings for everything that happens from now on.
    pub fn set_config(&mut self, config: TxnConfig) {
        self.config = config;
    }
}
