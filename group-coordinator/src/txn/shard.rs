//! One partition of `__transaction_state`: its transactional ids and the transactions that they are in.

use std::collections::BTreeMap;

use super::record::{self, Key};
use super::transaction::{Phase, Transaction};
use super::turn::Turn;
use crate::error::ReplayError;
use crate::ids::{Millis, ProducerId, Ticket};
use crate::record::STRING_BYTES_MAX;
use crate::step::Replayed;
use crate::timers::Timers;
use crate::txn::{
    MarkersWritten, TxnCommand, TxnConfig, TxnError, TxnReply, TxnStep, WriteMarkers,
};

/// The state machine behind one partition of `__transaction_state`.
///
/// All state is that of the records, whether they were read from the log or made a moment ago; what is not in them
/// (see `Transaction::last_epoch`, [`MarkersWritten::missing`] and [`TxnShard::reserve_producer_id`]) may be lost at any
/// time.
#[derive(Debug)]
pub struct TxnShard {
    pub(super) config: TxnConfig,
    /// The leader epoch of the partition; it goes into every marker.
    coordinator_epoch: i32,
    pub(super) transactions: BTreeMap<String, Transaction>,
    pub(super) timers: Timers<TxnTimer, ()>,
    /// For a transaction that times out when the epochs of its producer are exhausted.
    pub(super) reserved_producer_id: Option<ProducerId>,
    /// Such a transaction has met an empty reserve.
    pub(super) lacks_producer_id: bool,
}

/// By how many bytes the record of an open transaction can grow when its outcome is decided: the tagged fields that
/// it may gain, and the lengths around them. A transaction that is let in can always be ended.
const END_GROWTH_BYTES_MAX: usize = 32;

/// What is due when.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TxnTimer {
    /// A transaction has been open for as long as it may be.
    Timeout { transactional_id: String },
    /// The next search for expired transactional ids.
    Expiry,
}

impl TxnShard {
    /// An empty shard. `coordinator_epoch` is the leader epoch of the partition.
    pub fn new(config: TxnConfig, coordinator_epoch: i32) -> Self {
        Self {
            config,
            coordinator_epoch,
            transactions: BTreeMap::new(),
            timers: Timers::default(),
            reserved_producer_id: None,
            lacks_producer_id: false,
        }
    }

    /// Takes one record of the log, in log order and before [`TxnShard::loaded`].
    ///
    /// # Errors
    /// The record is damaged or of a later release; the shard is unchanged.
    pub fn replay(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<Replayed, ReplayError> {
        match Key::decode(key)? {
            Key::Transaction { transactional_id } => {
                match value.map(record::decode).transpose()? {
                    Some(transaction) => self.transactions.insert(transactional_id, transaction),
                    None => self.transactions.remove(&transactional_id),
                };
                Ok(Replayed::Applied)
            }
            Key::Other { record_type } => Ok(Replayed::Skipped { record_type }),
        }
    }

    /// The log has been replayed to its end. The step asks for the markers of the transactions that were ending;
    /// those that are open get the rest of their time.
    pub fn loaded(&mut self, now: Millis) -> TxnStep {
        let mut markers = Vec::new();
        for (transactional_id, transaction) in &self.transactions {
            if let Some(deadline) = transaction.deadline() {
                let transactional_id = transactional_id.clone();
                let timer = TxnTimer::Timeout { transactional_id };
                self.timers.schedule(timer, deadline, ());
            }
            markers.extend(self.markers_of(transactional_id, transaction));
        }
        self.schedule_expiry(now);
        TxnStep {
            markers,
            ..TxnStep::default()
        }
    }

    /// Carries out a command. The reply with this ticket is in the step, whose records fit into one batch of
    /// `batch_bytes_max`.
    pub fn handle(&mut self, now: Millis, ticket: Ticket, command: TxnCommand) -> TxnStep {
        let mut turn = Turn::new(now);
        let reply = match command {
            TxnCommand::InitProducerId(request) => self.init_producer_id(&mut turn, &request),
            TxnCommand::AddPartitions(request) => {
                TxnReply::AddPartitions(self.add_partitions(&mut turn, &request))
            }
            TxnCommand::VerifyPartitions(request) => {
                TxnReply::VerifyPartitions(self.verify_partitions(&request))
            }
            TxnCommand::EndTransaction(request) => self.end_transaction(&mut turn, &request),
            TxnCommand::MarkersWritten(written) => {
                self.complete(&mut turn, &written).expect(
                    "a completion is never too large, and names what a record named before",
                );
                TxnReply::MarkersWritten
            }
            TxnCommand::DescribeTransaction { transactional_id } => {
                TxnReply::DescribeTransaction(self.describe(&transactional_id))
            }
            TxnCommand::ListTransactions(request) => {
                TxnReply::ListTransactions(self.list(now, &request))
            }
        };
        turn.step.replies.push((ticket, reply));
        turn.step
    }

    /// When [`TxnShard::tick`] is due next. Every call that changes the shard may change it.
    pub fn next_deadline(&self) -> Option<Millis> {
        self.timers.next_deadline()
    }

    /// Settings for everything that happens from now on. Timers that run keep their deadlines.
    pub fn set_config(&mut self, config: TxnConfig) {
        self.config = config;
    }

    /// Whether a transaction that has timed out waits for [`TxnShard::reserve_producer_id`]: the epochs of its
    /// producer are exhausted, and under `transaction.version` 2 its end needs a new id. To be asked after every
    /// [`TxnShard::tick`].
    pub fn needs_producer_id(&self) -> bool {
        self.lacks_producer_id
    }

    /// Gives the shard an id that nobody has, for transactions that time out.
    pub fn reserve_producer_id(&mut self, producer_id: ProducerId) {
        self.reserved_producer_id = Some(producer_id);
        self.lacks_producer_id = false;
    }

    /// Moves a transactional id to its next state: writes the record, and asks for the markers if it has decided an
    /// outcome. Nothing that has an outcome and no partitions waits for markers; it is complete at once.
    ///
    /// # Errors
    /// The records do not fit into what is left of the batch, or a name does not fit into a record; nothing has
    /// changed.
    pub(super) fn advance(
        &mut self,
        turn: &mut Turn,
        transactional_id: &str,
        next: Transaction,
    ) -> Result<(), TxnError> {
        let to_record = |transaction: &Transaction| {
            record::transaction(
                transactional_id,
                transaction,
                self.config.transaction_version,
            )
        };
        check_names(transactional_id, &next)?;
        let mut records = vec![to_record(&next)];
        let mut reached = next;
        let mut bytes_max = self.config.batch_bytes_max;
        match reached.phase {
            Phase::Ongoing => bytes_max = bytes_max.saturating_sub(END_GROWTH_BYTES_MAX),
            Phase::Prepared(outcome) if reached.partitions.is_empty() => {
                reached = reached.completed(outcome, turn.now);
                records.push(to_record(&reached));
            }
            // Without its completion a transaction would stay open forever.
            Phase::Complete(_) => bytes_max = usize::MAX,
            Phase::Empty | Phase::Prepared(_) => {}
        }
        turn.write(records, bytes_max)?;

        let markers = self.markers_of(transactional_id, &reached);
        turn.step.markers.extend(markers);
        let timer = TxnTimer::Timeout {
            transactional_id: transactional_id.to_owned(),
        };
        match reached.deadline() {
            Some(deadline) => self.timers.schedule(timer, deadline, ()),
            None => self.timers.cancel(&timer),
        }
        self.transactions
            .insert(transactional_id.to_owned(), reached);
        Ok(())
    }

    /// The markers that a transaction waits for, if it is ending.
    fn markers_of(
        &self,
        transactional_id: &str,
        transaction: &Transaction,
    ) -> Option<WriteMarkers> {
        let Phase::Prepared(outcome) = transaction.phase else {
            return None;
        };
        Some(WriteMarkers {
            transactional_id: transactional_id.to_owned(),
            producer_id: transaction.producer_id,
            producer_epoch: transaction.producer_epoch,
            outcome,
            coordinator_epoch: self.coordinator_epoch,
            transaction_version: transaction.client_version,
            partitions: transaction.partitions.iter().cloned().collect(),
        })
    }

    /// Markers are written. Whatever has happened to the transaction since they were asked for, it is not theirs
    /// to complete unless it still waits for exactly them.
    fn complete(&mut self, turn: &mut Turn, written: &MarkersWritten) -> Result<(), TxnError> {
        let MarkersWritten {
            transactional_id,
            producer_id,
            producer_epoch,
            missing,
        } = written;
        let Some(transaction) = self.transactions.get_mut(transactional_id) else {
            return Ok(());
        };
        let is_theirs = transaction.producer_id == *producer_id
            && transaction.producer_epoch == *producer_epoch;
        match transaction.phase {
            // No record tells of this: a coordinator that starts over writes all markers again.
            Phase::Prepared(_) if is_theirs && !missing.is_empty() => {
                transaction
                    .partitions
                    .retain(|partition| missing.contains(partition));
                Ok(())
            }
            Phase::Prepared(outcome) if is_theirs => {
                let completed = transaction.completed(outcome, turn.now);
                self.advance(turn, transactional_id, completed)
            }
            Phase::Empty | Phase::Ongoing | Phase::Prepared(_) | Phase::Complete(_) => Ok(()),
        }
    }
}

/// Checks that a record can hold every name in it.
fn check_names(transactional_id: &str, transaction: &Transaction) -> Result<(), TxnError> {
    let topics = transaction.partitions.iter().map(|one| one.topic.len());
    let longest = topics.chain([transactional_id.len()]).max().unwrap_or(0);
    if longest > STRING_BYTES_MAX {
        return Err(TxnError::RecordTooLarge);
    }
    Ok(())
}
