//! One partition of `__consumer_offsets`: its groups, their offsets, and who waits for what.

use crate::command::Command;
use crate::config::GroupConfig;
use crate::error::ReplayError;
use crate::ids::{Millis, ProducerId, Ticket};
use crate::step::{Replayed, Step, TransactionOutcome};

/// The state machine behind one partition of `__consumer_offsets`.
#[derive(Debug)]
pub struct Shard {
    config: GroupConfig,
}

impl Shard {
    pub fn new(config: GroupConfig) -> Self {
        Self { config }
    }

    /// Takes one record of the log. Records must come in log order, before [`Shard::loaded`].
    /// `offset` is the record's; `producer` the one of its batch when that batch is transactional.
    pub fn replay(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        offset: i64,
        producer: Option<ProducerId>,
    ) -> Result<Replayed, ReplayError> {
        let _ = (value, offset, producer);
        Ok(Replayed::Skipped {
            record_type: i16::from(key.first().copied().unwrap_or_default()),
        })
    }

    /// Takes one transaction marker of the log, in log order.
    pub fn replay_marker(&mut self, producer: ProducerId, outcome: TransactionOutcome) {
        let _ = (producer, outcome);
    }

    /// The log has been replayed to its end: starts the timers of what was found.
    pub fn loaded(&mut self, now: Millis) {
        let _ = now;
    }

    /// Carries out a command. Its reply is in the step, or in a later one.
    pub fn handle(&mut self, now: Millis, ticket: Ticket, command: Command) -> Step {
        let _ = (now, ticket, command);
        Step::default()
    }

    /// Fires every timer that is due.
    pub fn tick(&mut self, now: Millis) -> Step {
        let _ = now;
        Step::default()
    }

    /// When [`Shard::tick`] is due next; changes with every call that takes `&mut self`.
    pub fn next_deadline(&self) -> Option<Millis> {
        None
    }

    /// Settings for everything that happens from now on. Timers that run keep their deadlines.
    pub fn set_config(&mut self, config: GroupConfig) {
        self.config = config;
    }
}
