//! The place of one machine: one step at a time, written in the order in which it was decided.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use klamm_group_coordinator::{Millis, ProducerId, Ticket, TransactionOutcome};
use klamm_log_store::batch::{BatchBuilder, BatchSettings, EndMarker};
use klamm_log_store::partition::{AppendError, AppendOptions, Partition, Verification};
use klamm_log_store::{Offset, ProducerEpoch};
use tokio::sync::oneshot;
use tracing::error;

use super::loader::{key_and_value, load};
use super::machine::{Decision, Machine};
use crate::broker::Broker;

/// Stands for "no deadline" in a cell.
pub(super) const NO_DEADLINE_MS: i64 = i64::MAX;
/// How long an answer waits for the work outside the partition that its step asked for. The work goes on afterwards.
const EFFECTS_WAIT_MAX: Duration = Duration::from_millis(500);

/// One partition of a coordinator.
#[derive(Debug)]
pub(super) struct Cell<M: Machine> {
    pub index: i32,
    /// Deadline of the machine, in milliseconds since the Unix epoch.
    deadline_ms: AtomicI64,
    pub loading: tokio::sync::Mutex<()>,
    live: Mutex<Option<Live<M>>>,
}

/// A machine that serves.
#[derive(Debug)]
pub(super) struct Live<M: Machine> {
    pub machine: M,
    log: Arc<Partition>,
    next_ticket: u64,
    /// Who waits for which ticket. A waiter that has gone is kept until its answer comes, as the member itself is.
    waiting: HashMap<Ticket, oneshot::Sender<Answer<M>>>,
    /// The clock as the machine last saw it; it never sees an earlier time.
    now_ms: i64,
}

/// An answer, and the end of the log that must be committed before it may leave.
#[derive(Debug)]
pub(super) struct Answer<M: Machine> {
    pub reply: M::Reply,
    pub log: Arc<Partition>,
    pub end: Offset,
}

/// The end of a transaction in one partition.
#[derive(Debug, Clone, Copy)]
pub struct Marker {
    pub producer_id: ProducerId,
    pub producer_epoch: i16,
    pub outcome: TransactionOutcome,
    pub coordinator_epoch: i32,
    /// The level of `transaction.version` that the marker is written at.
    pub transaction_version: i16,
}

impl<M: Machine> Cell<M> {
    pub fn new(index: i32) -> Self {
        Self {
            index,
            deadline_ms: AtomicI64::new(NO_DEADLINE_MS),
            loading: tokio::sync::Mutex::default(),
            live: Mutex::default(),
        }
    }

    pub fn deadline_ms(&self) -> i64 {
        self.deadline_ms.load(Ordering::Acquire)
    }

    pub fn is_loaded(&self) -> bool {
        self.lock().is_some()
    }

    /// Builds the machine from its partition. Blocks on the disk.
    ///
    /// # Errors
    /// A text for the log.
    pub fn load(&self, broker: &Arc<Broker>) -> Result<(), String> {
        let log = broker
            .partition_by_name(M::TOPIC, self.index)
            .map_err(|error| error.to_string())?;
        let now_ms = broker.clock.now_ms();
        let mut machine = load::<M>(&log, M::config(broker))?;
        let decision = machine.loaded(Millis(now_ms));
        let mut live = Live {
            machine,
            log,
            next_ticket: 0,
            waiting: HashMap::new(),
            now_ms,
        };
        let mut cell = self.lock();
        live.carry_out(broker, self.index, decision)?;
        self.deadline_ms
            .store(live.deadline_ms(), Ordering::Release);
        *cell = Some(live);
        Ok(())
    }

    /// Hands a command to the machine; the receiver gets the answer. The flag says whether the deadline came nearer.
    pub fn submit(
        &self,
        broker: &Arc<Broker>,
        command: M::Command,
    ) -> (oneshot::Receiver<Answer<M>>, bool) {
        let (sender, receiver) = oneshot::channel();
        let is_earlier = self.run(broker, |live, now| {
            let ticket = live.ticket(sender);
            live.machine.handle(now, ticket, command)
        });
        (receiver, is_earlier)
    }

    /// Like [`Cell::submit`], for a command whose records belong to a producer's transaction.
    ///
    /// # Errors
    /// The partition does not take the transaction's records: the machine has not seen the command.
    pub fn submit_in_transaction(
        &self,
        broker: &Arc<Broker>,
        command: M::Command,
        producer: (ProducerId, i16),
        verification: Verification,
    ) -> Result<oneshot::Receiver<Answer<M>>, AppendError> {
        let (sender, receiver) = oneshot::channel();
        let mut refusal = None;
        self.run(broker, |live, now| {
            if let Err(error) = live.check(producer, verification) {
                refusal = Some(error);
                return Decision::none();
            }
            let ticket = live.ticket(sender);
            let decision = live.machine.handle(now, ticket, command);
            Decision {
                verification,
                ..decision
            }
        });
        match refusal {
            Some(error) => Err(error),
            None => Ok(receiver),
        }
    }

    /// Writes the end of a transaction and lets the machine know. `None`: the machine is not loaded.
    ///
    /// # Errors
    /// The partition does not take the marker; nothing has changed.
    pub fn append_marker(
        &self,
        marker: &Marker,
        keeps_append_time: bool,
        now_ms: i64,
    ) -> Option<Result<(Arc<Partition>, Offset), AppendError>> {
        let mut cell = self.lock();
        let live = cell.as_mut()?;
        let appended = append_marker(
            &live.log,
            marker,
            keeps_append_time,
            now_ms.max(live.now_ms),
        );
        if appended.is_ok() {
            live.machine
                .replay_marker(marker.producer_id, marker.outcome);
        }
        Some(appended.map(|end| (Arc::clone(&live.log), end)))
    }

    /// Fires the timers that are due. Returns whether they need a producer id to go on.
    pub fn tick(&self, broker: &Arc<Broker>) -> bool {
        self.run(broker, |live, now| live.machine.tick(now));
        self.lock()
            .as_ref()
            .is_some_and(|live| live.machine.needs_producer_id())
    }

    pub fn reserve_producer_id(&self, id: ProducerId) {
        if let Some(live) = self.lock().as_mut() {
            live.machine.reserve_producer_id(id);
        }
    }

    pub fn set_config(&self, config: M::Config) {
        if let Some(live) = self.lock().as_mut() {
            live.machine.set_config(config);
        }
    }

    /// Runs one call of the machine and writes its step. A machine whose step cannot be written is dropped, and
    /// everybody who waits for it is told so by the drop.
    ///
    /// Returns whether the deadline has come nearer than it was when the call began. The comparison belongs under the
    /// lock: a tick that runs just before would otherwise hide the new deadline from the timer.
    fn run(
        &self,
        broker: &Arc<Broker>,
        call: impl FnOnce(&mut Live<M>, Millis) -> Decision<M>,
    ) -> bool {
        let now_ms = broker.clock.now_ms();
        let mut cell = self.lock();
        let before_ms = self.deadline_ms();
        let Some(live) = cell.as_mut() else {
            return false;
        };
        live.now_ms = live.now_ms.max(now_ms);
        let decision = call(live, Millis(live.now_ms));
        match live.carry_out(broker, self.index, decision) {
            Ok(()) => {
                let deadline_ms = live.deadline_ms();
                self.deadline_ms.store(deadline_ms, Ordering::Release);
                deadline_ms < before_ms
            }
            Err(reason) => {
                error!(
                    partition = self.index,
                    reason,
                    "{} could not write and starts over",
                    M::NAME
                );
                self.deadline_ms.store(NO_DEADLINE_MS, Ordering::Release);
                *cell = None;
                false
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Live<M>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M: Machine> Live<M> {
    fn ticket(&mut self, waiter: oneshot::Sender<Answer<M>>) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.waiting.insert(ticket, waiter);
        ticket
    }

    fn deadline_ms(&self) -> i64 {
        self.machine
            .next_deadline()
            .map_or(NO_DEADLINE_MS, |deadline| deadline.0)
    }

    fn carry_out(
        &mut self,
        broker: &Arc<Broker>,
        index: i32,
        decision: Decision<M>,
    ) -> Result<(), String> {
        self.append(&decision)?;
        let end = self.log.log_end();
        let mut answers = Vec::with_capacity(decision.replies.len());
        for (ticket, reply) in decision.replies {
            if let Some(waiter) = self.waiting.remove(&ticket) {
                let log = Arc::clone(&self.log);
                answers.push((waiter, Answer { reply, log, end }));
            }
        }
        if decision.effects.is_empty() {
            send(answers);
            return Ok(());
        }
        let (worker, log) = (Arc::clone(broker), Arc::clone(&self.log));
        broker.spawn(async move {
            // Without the commit there is nothing to act upon: whoever loads the partition again finds out.
            if log.committed(end).await.is_err() {
                return;
            }
            let mut work = std::pin::pin!(M::perform(worker, index, decision.effects));
            let performed = tokio::time::timeout(EFFECTS_WAIT_MAX, work.as_mut()).await;
            send(answers);
            if performed.is_err() {
                work.await;
            }
        });
        Ok(())
    }

    /// Whether the log takes records of this producer's transaction now. Only this cell writes data to the log, so that
    /// the answer holds until the step is written.
    fn check(
        &self,
        producer: (ProducerId, i16),
        verification: Verification,
    ) -> Result<(), AppendError> {
        let mut builder = BatchBuilder::new(settings(Some(producer)));
        builder.push(self.now_ms, None, None, &[]);
        let batch = builder.build().expect("an empty record fits into a batch");
        let options = AppendOptions::coordinator(self.now_ms).with_verification(verification);
        self.log.check(batch.header(), options)
    }

    /// Writes the records of a step as one batch, so that a crash leaves all of them or none. The machine makes no step
    /// that is larger than a batch may be.
    fn append(&mut self, decision: &Decision<M>) -> Result<(), String> {
        if decision.records.is_empty() {
            return Ok(());
        }
        let mut builder = BatchBuilder::new(settings(decision.producer));
        for record in &decision.records {
            let (key, value) = key_and_value(record);
            builder.push(self.now_ms, key, value, &[]);
        }
        let batch = builder.build().map_err(|error| error.to_string())?;
        let options =
            AppendOptions::coordinator(self.now_ms).with_verification(decision.verification);
        self.log
            .append(&batch, options)
            .map_err(|error| error.to_string())?;
        Ok(())
    }
}

/// What the batch of a step is marked with: the producer in whose transaction it is, if any.
fn settings(producer: Option<(ProducerId, i16)>) -> BatchSettings {
    let Some((producer_id, producer_epoch)) = producer else {
        return BatchSettings::default();
    };
    BatchSettings {
        producer_id: klamm_log_store::ProducerId(producer_id.0),
        producer_epoch: ProducerEpoch(producer_epoch),
        is_transactional: true,
        ..BatchSettings::default()
    }
}

/// Writes the end of a transaction to a log and returns what must be committed for the marker to count.
/// `keeps_append_time`: the topic's `message.timestamp.type` is LogAppendTime.
///
/// # Errors
/// The log does not take it; nothing has changed.
pub(super) fn append_marker(
    log: &Partition,
    marker: &Marker,
    keeps_append_time: bool,
    now_ms: i64,
) -> Result<Offset, AppendError> {
    let end = match marker.outcome {
        TransactionOutcome::Committed => EndMarker::Commit,
        TransactionOutcome::Aborted => EndMarker::Abort,
    };
    let build = if keeps_append_time {
        EndMarker::batch_at_append_time
    } else {
        EndMarker::batch
    };
    let batch = build(
        end,
        klamm_log_store::ProducerId(marker.producer_id.0),
        ProducerEpoch(marker.producer_epoch),
        marker.coordinator_epoch,
        now_ms,
    );
    let options = AppendOptions {
        transaction_version: marker.transaction_version,
        ..AppendOptions::coordinator(now_ms)
    };
    Ok(log.append(&batch, options)?.end_offset())
}

fn send<M: Machine>(answers: Vec<(oneshot::Sender<Answer<M>>, Answer<M>)>) {
    for (waiter, answer) in answers {
        // The client may have gone; its answer is of no use to anybody else.
        let _ = waiter.send(answer);
    }
}
