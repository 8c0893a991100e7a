//! Hands commands to the machines, writes what they decide, and lets answers go when it is committed.
//!
//! A step of a machine and the append of its records happen under one lock, so the log holds them in the order in
//! which they were decided. An answer carries the end of the log as it was after its step; whoever waits for the
//! answer then waits for that end to be committed, so that no answer precedes what it rests on. When an append
//! fails, the machine is thrown away and loaded again.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use klamm_group_coordinator::ProducerId;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::cell::{Answer, Cell, NO_DEADLINE_MS};
use super::machine::Machine;
use crate::broker::Broker;
use crate::errors::ErrorCode;

/// The longest sleep of the timer: a deadline further away is looked at again.
const SLEEP_MAX: Duration = Duration::from_secs(3600);

/// Why a command was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoordinatorError {
    /// The internal topic is not there and could not be made: COORDINATOR_NOT_AVAILABLE.
    NotAvailable,
    /// The machine could not be loaded, or was lost with a failed append: NOT_COORDINATOR, ask again.
    Lost,
}

impl CoordinatorError {
    pub fn code(self) -> ErrorCode {
        match self {
            Self::NotAvailable => ErrorCode::CoordinatorNotAvailable,
            Self::Lost => ErrorCode::NotCoordinator,
        }
    }
}

/// A coordinator of one broker: the machines of one internal topic.
#[derive(Debug)]
pub struct Coordinator<M: Machine> {
    /// One cell for each partition of the topic, once there is one.
    cells: OnceLock<Vec<Arc<Cell<M>>>>,
    /// Woken when a deadline may have come nearer.
    deadline_moved: Notify,
    creating: tokio::sync::Mutex<()>,
}

impl<M: Machine> Default for Coordinator<M> {
    fn default() -> Self {
        Self {
            cells: OnceLock::new(),
            deadline_moved: Notify::new(),
            creating: tokio::sync::Mutex::default(),
        }
    }
}

impl<M: Machine> Coordinator<M> {
    /// Carries out a command on what `key` names (a group, a transactional id), and waits until its answer may leave.
    pub async fn submit(
        &self,
        broker: &Arc<Broker>,
        key: &str,
        command: M::Command,
    ) -> Result<M::Reply, CoordinatorError> {
        let cell = self.cell_of(broker, key).await?;
        self.submit_to(broker, &cell, command).await
    }

    /// Carries out the same command on every machine, in the order of the partitions.
    pub async fn submit_to_all(
        &self,
        broker: &Arc<Broker>,
        command: M::Command,
    ) -> Result<Vec<M::Reply>, CoordinatorError> {
        // Without the topic there is nothing to ask about, and asking makes none.
        let Some(cells) = self.cells.get() else {
            return Ok(Vec::new());
        };
        let mut replies = Vec::with_capacity(cells.len());
        for cell in cells {
            replies.push(self.submit_to(broker, cell, command.clone()).await?);
        }
        Ok(replies)
    }

    /// The partition of what `key` names; the topic is made if need be.
    pub async fn partition_of(
        &self,
        broker: &Arc<Broker>,
        key: &str,
    ) -> Result<i32, CoordinatorError> {
        self.ensure_topic(broker).await?;
        let cells = self.cells.get().ok_or(CoordinatorError::NotAvailable)?;
        Ok(cells[partition_for(key, cells.len())].index)
    }

    /// Hands a command to the machine of a partition and does not wait for an answer. A machine that is lost finds out
    /// for itself when it is loaded again.
    pub(super) async fn tell(&self, broker: &Arc<Broker>, index: i32, command: M::Command) {
        if let Ok(cell) = self.cell_at(broker, index).await {
            let (_answer, is_earlier) = cell.submit(broker, command);
            if is_earlier {
                self.deadline_moved.notify_one();
            }
        }
    }

    /// Makes the internal topic if there is none yet.
    pub async fn ensure_topic(&self, broker: &Arc<Broker>) -> Result<(), CoordinatorError> {
        if self.cells.get().is_some() {
            return Ok(());
        }
        let _creating = self.creating.lock().await;
        if self.cells.get().is_some() {
            return Ok(());
        }
        let creator = Arc::clone(broker);
        let created =
            tokio::task::spawn_blocking(move || creator.ensure_internal_topic(M::TOPIC)).await;
        match created {
            Ok(Ok(partition_count)) => {
                self.open(partition_count);
                Ok(())
            }
            Ok(Err(reason)) => {
                error!(
                    reason,
                    topic = M::TOPIC,
                    "internal topic could not be created"
                );
                Err(CoordinatorError::NotAvailable)
            }
            Err(_) => Err(CoordinatorError::NotAvailable),
        }
    }

    /// Prepares the machines of a topic that exists, and loads them so that their timers run.
    pub async fn load_all(&self, broker: &Arc<Broker>) {
        let Some(count) = broker
            .metadata
            .image()
            .topic(M::TOPIC)
            .map(|topic| topic.partitions.len())
        else {
            return;
        };
        self.open(count);
        for cell in self.cells.get().into_iter().flatten() {
            // A machine that fails to load says so in the log, and tries again when it is asked.
            let _ = self.ensure_loaded(broker, cell).await;
        }
    }

    /// Hands new settings to all machines.
    pub fn set_config(&self, config: &M::Config) {
        for cell in self.cells.get().into_iter().flatten() {
            cell.set_config(config.clone());
        }
    }

    /// Fires timers until `shutdown`.
    pub async fn run_timers(&self, broker: Arc<Broker>, shutdown: CancellationToken) {
        loop {
            let moved = self.deadline_moved.notified();
            let now_ms = broker.clock.now_ms();
            let next_ms = self
                .cells
                .get()
                .into_iter()
                .flatten()
                .map(|cell| cell.deadline_ms())
                .min();
            let sleep = match next_ms {
                Some(next_ms) if next_ms != NO_DEADLINE_MS => {
                    Duration::from_millis(u64::try_from(next_ms - now_ms).unwrap_or(0))
                }
                Some(_) | None => SLEEP_MAX,
            };
            tokio::select! {
                () = tokio::time::sleep(sleep.min(SLEEP_MAX)) => self.tick(&broker).await,
                () = moved => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    async fn tick(&self, broker: &Arc<Broker>) {
        let now_ms = broker.clock.now_ms();
        for cell in self.cells.get().into_iter().flatten() {
            if cell.deadline_ms() > now_ms || !cell.tick(broker) {
                continue;
            }
            // Without one the timers come back, and ask again.
            if let Ok(id) = broker.fresh_producer_id().await {
                cell.reserve_producer_id(ProducerId(id));
                cell.tick(broker);
            }
        }
    }

    /// The loaded cell of what `key` names; the topic is made if need be.
    pub(super) async fn cell_of(
        &self,
        broker: &Arc<Broker>,
        key: &str,
    ) -> Result<Arc<Cell<M>>, CoordinatorError> {
        self.ensure_topic(broker).await?;
        let cells = self.cells.get().ok_or(CoordinatorError::NotAvailable)?;
        let cell = &cells[partition_for(key, cells.len())];
        self.ensure_loaded(broker, cell).await?;
        Ok(Arc::clone(cell))
    }

    /// The loaded cell of a partition of the topic.
    pub(super) async fn cell_at(
        &self,
        broker: &Arc<Broker>,
        index: i32,
    ) -> Result<Arc<Cell<M>>, CoordinatorError> {
        let cell = self
            .cells
            .get()
            .and_then(|cells| cells.get(usize::try_from(index).ok()?))
            .ok_or(CoordinatorError::NotAvailable)?;
        self.ensure_loaded(broker, cell).await?;
        Ok(Arc::clone(cell))
    }

    async fn submit_to(
        &self,
        broker: &Arc<Broker>,
        cell: &Arc<Cell<M>>,
        command: M::Command,
    ) -> Result<M::Reply, CoordinatorError> {
        self.ensure_loaded(broker, cell).await?;
        let (receiver, is_earlier) = cell.submit(broker, command);
        if is_earlier {
            self.deadline_moved.notify_one();
        }
        committed_reply(receiver).await
    }

    async fn ensure_loaded(
        &self,
        broker: &Arc<Broker>,
        cell: &Arc<Cell<M>>,
    ) -> Result<(), CoordinatorError> {
        if cell.is_loaded() {
            return Ok(());
        }
        let _loading = cell.loading.lock().await;
        if cell.is_loaded() {
            return Ok(());
        }
        let (loaded_broker, loaded_cell) = (Arc::clone(broker), Arc::clone(cell));
        let loaded = tokio::task::spawn_blocking(move || loaded_cell.load(&loaded_broker)).await;
        match loaded {
            Ok(Ok(())) => {
                self.deadline_moved.notify_one();
                Ok(())
            }
            Ok(Err(reason)) => {
                error!(
                    partition = cell.index,
                    reason,
                    "{} could not load its partition",
                    M::NAME
                );
                Err(CoordinatorError::Lost)
            }
            Err(_) => Err(CoordinatorError::Lost),
        }
    }

    fn open(&self, partition_count: usize) {
        self.cells.get_or_init(|| {
            (0..)
                .take(partition_count)
                .map(|index| Arc::new(Cell::new(index)))
                .collect()
        });
    }
}

/// The answer of a step, once everything that it rests on is committed.
pub(super) async fn committed_reply<M: Machine>(
    receiver: oneshot::Receiver<Answer<M>>,
) -> Result<M::Reply, CoordinatorError> {
    let answer = receiver.await.map_err(|_| CoordinatorError::Lost)?;
    answer
        .log
        .committed(answer.end)
        .await
        .map_err(|_| CoordinatorError::Lost)?;
    Ok(answer.reply)
}

/// The partition of an internal topic that a group or a transactional id lives in: Java's hash of the name, made
/// non-negative, modulo the number of partitions (`GroupCoordinatorService.partitionFor`,
/// `TransactionStateManager.partitionFor`).
pub fn partition_for(key: &str, partition_count: usize) -> usize {
    let hash = key.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    // Utils.abs: the smallest number has no opposite and becomes 0.
    let positive = hash.checked_abs().unwrap_or(0);
    usize::try_from(positive).unwrap_or(0) % partition_count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_live_where_kafka_puts_them() {
        // Java: "my-group".hashCode() = 1500033404, "".hashCode() = 0; a name whose hash is Integer.MIN_VALUE goes to 0.
        assert_eq!(partition_for("", 50), 0);
        assert_eq!(partition_for("a", 50), 97 % 50);
        assert_eq!(partition_for("polygenelubricants", 50), 0);
    }
}
