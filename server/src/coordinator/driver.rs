//! Hands commands to the shards, writes what they decide, and lets answers go when it is committed.
//!
//! A step of a shard and the append of its records happen under one lock, so the log holds them in the order in
//! which they were decided. An answer carries the end of the log as it was after its step; whoever waits for the
//! answer then waits for that end to be committed, so that no answer precedes what it rests on. When an append
//! fails, the shard is thrown away and loaded again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use klamm_group_coordinator::{Command, GroupConfig, Millis, Record, Reply, Shard, Step, Ticket};
use klamm_log_store::Offset;
use klamm_log_store::batch::{BatchBuilder, BatchSettings};
use klamm_log_store::partition::{AppendOptions, Partition};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::loader::{key_and_value, load};
use crate::broker::Broker;
use crate::cluster::topic_name::GROUP_METADATA_TOPIC_NAME;
use crate::errors::ErrorCode;

/// Stands for "no deadline" in a shard's cell.
const NO_DEADLINE_MS: i64 = i64::MAX;
/// The longest sleep of the timer: a deadline further away is looked at again.
const SLEEP_MAX: Duration = Duration::from_secs(3600);

/// Why a command was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoordinatorError {
    /// The offsets topic is not there and could not be made: COORDINATOR_NOT_AVAILABLE.
    NotAvailable,
    /// The shard could not be loaded, or was lost with a failed append: NOT_COORDINATOR, ask again.
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

/// The group coordinator of one broker.
#[derive(Debug, Default)]
pub struct GroupCoordinator {
    /// One cell for each partition of the offsets topic, once there is one.
    cells: OnceLock<Vec<Arc<Cell>>>,
    /// Woken when a deadline may have come nearer.
    deadline_moved: Notify,
    creating: tokio::sync::Mutex<()>,
}

/// The place of one shard.
#[derive(Debug)]
struct Cell {
    index: i32,
    /// Deadline of the shard, in milliseconds since the Unix epoch.
    deadline_ms: AtomicI64,
    loading: tokio::sync::Mutex<()>,
    live: Mutex<Option<Live>>,
}

/// A shard that serves.
#[derive(Debug)]
struct Live {
    shard: Shard,
    log: Arc<Partition>,
    next_ticket: u64,
    /// Who waits for which ticket. A waiter that has gone is kept until its answer comes, as the member itself is.
    waiting: HashMap<Ticket, oneshot::Sender<Answer>>,
    /// The clock as the shard last saw it; it never sees an earlier time.
    now_ms: i64,
}

/// An answer, and the end of the log that must be committed before it may leave.
#[derive(Debug)]
struct Answer {
    reply: Reply,
    log: Arc<Partition>,
    end: Offset,
}

impl GroupCoordinator {
    /// Carries out a command of one group and waits until its answer may leave.
    pub async fn submit(
        &self,
        broker: &Arc<Broker>,
        group_id: &str,
        command: Command,
    ) -> Result<Reply, CoordinatorError> {
        self.ensure_topic(broker).await?;
        let cells = self.cells()?;
        let cell = &cells[partition_for(group_id, cells.len())];
        self.submit_to(broker, cell, command).await
    }

    /// Carries out the same command on every shard.
    pub async fn submit_to_all(
        &self,
        broker: &Arc<Broker>,
        command: Command,
    ) -> Result<Vec<Reply>, CoordinatorError> {
        // Without an offsets topic there are no groups, and asking for them makes none.
        let Ok(cells) = self.cells() else {
            return Ok(Vec::new());
        };
        let mut replies = Vec::with_capacity(cells.len());
        for cell in cells {
            replies.push(self.submit_to(broker, cell, command.clone()).await?);
        }
        Ok(replies)
    }

    /// Makes the offsets topic if there is none yet.
    pub async fn ensure_topic(&self, broker: &Arc<Broker>) -> Result<(), CoordinatorError> {
        if self.cells.get().is_some() {
            return Ok(());
        }
        let _creating = self.creating.lock().await;
        if self.cells.get().is_some() {
            return Ok(());
        }
        let creator = Arc::clone(broker);
        let created = tokio::task::spawn_blocking(move || {
            creator.ensure_internal_topic(GROUP_METADATA_TOPIC_NAME)
        })
        .await;
        match created {
            Ok(Ok(partition_count)) => {
                self.open(partition_count);
                Ok(())
            }
            Ok(Err(reason)) => {
                error!(
                    reason,
                    topic = GROUP_METADATA_TOPIC_NAME,
                    "internal topic could not be created"
                );
                Err(CoordinatorError::NotAvailable)
            }
            Err(_) => Err(CoordinatorError::NotAvailable),
        }
    }

    /// Prepares the shards of an offsets topic that exists, and loads them so that their timers run.
    pub async fn load_all(&self, broker: &Arc<Broker>) {
        let Some(count) = broker
            .metadata
            .image()
            .topic(GROUP_METADATA_TOPIC_NAME)
            .map(|topic| topic.partitions.len())
        else {
            return;
        };
        self.open(count);
        for cell in self.cells.get().into_iter().flatten() {
            // A shard that fails to load says so in the log, and tries again when it is asked.
            let _ = self.ensure_loaded(broker, cell).await;
        }
    }

    /// Hands new settings to all shards.
    pub fn set_config(&self, config: &GroupConfig) {
        for cell in self.cells.get().into_iter().flatten() {
            if let Some(live) = cell.lock().as_mut() {
                live.shard.set_config(config.clone());
            }
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
                .map(|cell| cell.deadline_ms.load(Ordering::Acquire))
                .min();
            let sleep = match next_ms {
                Some(next_ms) if next_ms != NO_DEADLINE_MS => {
                    Duration::from_millis(u64::try_from(next_ms - now_ms).unwrap_or(0))
                }
                Some(_) | None => SLEEP_MAX,
            };
            tokio::select! {
                () = tokio::time::sleep(sleep.min(SLEEP_MAX)) => self.tick(&broker),
                () = moved => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    fn tick(&self, broker: &Arc<Broker>) {
        let now_ms = broker.clock.now_ms();
        for cell in self.cells.get().into_iter().flatten() {
            if cell.deadline_ms.load(Ordering::Acquire) <= now_ms {
                cell.run(now_ms, |live, now| live.shard.tick(now));
            }
        }
    }

    async fn submit_to(
        &self,
        broker: &Arc<Broker>,
        cell: &Arc<Cell>,
        command: Command,
    ) -> Result<Reply, CoordinatorError> {
        self.ensure_loaded(broker, cell).await?;
        let (sender, receiver) = oneshot::channel();
        let is_earlier = cell.run(broker.clock.now_ms(), |live, now| {
            let ticket = Ticket(live.next_ticket);
            live.next_ticket += 1;
            live.waiting.insert(ticket, sender);
            live.shard.handle(now, ticket, command)
        });
        if is_earlier {
            self.deadline_moved.notify_one();
        }
        let answer = receiver.await.map_err(|_| CoordinatorError::Lost)?;
        answer
            .log
            .committed(answer.end)
            .await
            .map_err(|_| CoordinatorError::Lost)?;
        Ok(answer.reply)
    }

    async fn ensure_loaded(
        &self,
        broker: &Arc<Broker>,
        cell: &Arc<Cell>,
    ) -> Result<(), CoordinatorError> {
        if cell.lock().is_some() {
            return Ok(());
        }
        let _loading = cell.loading.lock().await;
        if cell.lock().is_some() {
            return Ok(());
        }
        let (broker, loaded_cell) = (Arc::clone(broker), Arc::clone(cell));
        let loaded = tokio::task::spawn_blocking(move || loaded_cell.load(&broker)).await;
        match loaded {
            Ok(Ok(())) => {
                self.deadline_moved.notify_one();
                Ok(())
            }
            Ok(Err(reason)) => {
                error!(
                    partition = cell.index,
                    reason, "group coordinator could not load its partition"
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

    fn cells(&self) -> Result<&Vec<Arc<Cell>>, CoordinatorError> {
        self.cells.get().ok_or(CoordinatorError::NotAvailable)
    }
}

impl Cell {
    fn new(index: i32) -> Self {
        Self {
            index,
            deadline_ms: AtomicI64::new(NO_DEADLINE_MS),
            loading: tokio::sync::Mutex::default(),
            live: Mutex::default(),
        }
    }

    fn load(&self, broker: &Broker) -> Result<(), String> {
        let log = broker
            .partition_by_name(GROUP_METADATA_TOPIC_NAME, self.index)
            .map_err(|error| error.to_string())?;
        let now_ms = broker.clock.now_ms();
        let shard = load(&log, broker.group_config(), now_ms)?;
        let live = Live {
            shard,
            log,
            next_ticket: 0,
            waiting: HashMap::new(),
            now_ms,
        };
        self.deadline_ms
            .store(live.deadline_ms(), Ordering::Release);
        *self.lock() = Some(live);
        Ok(())
    }

    /// Runs one call of the shard and writes its step. A shard whose step cannot be written is dropped, and everybody
    /// who waits for it is told so by the drop.
    ///
    /// Returns whether the deadline has come nearer than it was when the call began. The comparison belongs under the
    /// lock: a tick that runs just before would otherwise hide the new deadline from the timer.
    fn run(&self, now_ms: i64, call: impl FnOnce(&mut Live, Millis) -> Step) -> bool {
        let mut cell = self.lock();
        let before_ms = self.deadline_ms.load(Ordering::Acquire);
        let Some(live) = cell.as_mut() else {
            return false;
        };
        live.now_ms = live.now_ms.max(now_ms);
        let now = Millis(live.now_ms);
        let step = call(live, now);
        match live.carry_out(step) {
            Ok(()) => {
                let deadline_ms = live.deadline_ms();
                self.deadline_ms.store(deadline_ms, Ordering::Release);
                deadline_ms < before_ms
            }
            Err(reason) => {
                error!(
                    partition = self.index,
                    reason, "group coordinator could not write and starts over"
                );
                self.deadline_ms.store(NO_DEADLINE_MS, Ordering::Release);
                *cell = None;
                false
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    fn deadline_ms(&self) -> i64 {
        self.shard
            .next_deadline()
            .map_or(NO_DEADLINE_MS, |deadline| deadline.0)
    }

    fn carry_out(&mut self, step: Step) -> Result<(), String> {
        self.append(&step.records)?;
        let end = self.log.log_end();
        for (ticket, reply) in step.replies {
            if let Some(waiter) = self.waiting.remove(&ticket) {
                // The client may have gone; its answer is of no use to anybody else.
                let _ = waiter.send(Answer {
                    reply,
                    log: Arc::clone(&self.log),
                    end,
                });
            }
        }
        Ok(())
    }

    /// Writes the records of a step as one batch, so that a crash leaves all of them or none. The shard makes no step
    /// that is larger than a batch may be.
    fn append(&mut self, records: &[Record]) -> Result<(), String> {
        if records.is_empty() {
            return Ok(());
        }
        let mut builder = BatchBuilder::new(BatchSettings::default());
        for record in records {
            let (key, value) = key_and_value(record);
            builder.push(self.now_ms, key, value, &[]);
        }
        let batch = builder.build().map_err(|error| error.to_string())?;
        self.log
            .append(&batch, AppendOptions::coordinator(self.now_ms))
            .map_err(|error| error.to_string())?;
        Ok(())
    }
}

/// The partition of the offsets topic that a group lives in: Java's hash of the name, made non-negative, modulo the
/// number of partitions (`GroupCoordinatorService.partitionFor`).
pub fn partition_for(group_id: &str, partition_count: usize) -> usize {
    let hash = group_id.encode_utf16().fold(0_i32, |hash, unit| {
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
