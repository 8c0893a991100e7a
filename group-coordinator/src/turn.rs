//! What a group may use while it carries out a command.

use crate::config::GroupConfig;
use crate::error::GroupError;
use crate::ids::{Millis, Ticket};
use crate::reply::{JoinRefusal, Joined, Reply, Synced};
use crate::step::{Record, Step};
use crate::timers::{Alarm, TimerKey, Timers};

/// One call of the shard, as its parts see it: the time, the settings, and where timers, records and replies go.
#[derive(Debug)]
pub struct Turn<'a> {
    pub now: Millis,
    pub config: &'a GroupConfig,
    pub timers: &'a mut Timers,
    pub step: &'a mut Step,
}

impl Turn<'_> {
    /// Emits a record. The caller applies it to the state in the same breath.
    pub fn write(&mut self, record: Record) {
        self.step.records.push(record);
    }

    pub fn reply(&mut self, ticket: Ticket, reply: Reply) {
        self.step.replies.push((ticket, reply));
    }

    pub fn reply_joined(&mut self, ticket: Ticket, joined: Joined) {
        self.reply(ticket, Reply::JoinGroup(Ok(joined)));
    }

    pub fn refuse_join(&mut self, ticket: Ticket, error: GroupError, member_id: &str) {
        let refusal = JoinRefusal {
            error,
            member_id: member_id.to_owned(),
        };
        self.reply(ticket, Reply::JoinGroup(Err(refusal)));
    }

    pub fn reply_sync(&mut self, ticket: Ticket, result: Result<Synced, GroupError>) {
        self.reply(ticket, Reply::SyncGroup(result));
    }

    /// Starts the session of a member anew.
    pub fn arm_session(&mut self, group_id: &str, member_id: &str, timeout_ms: i32) {
        self.schedule(session_key(group_id, member_id), timeout_ms, Alarm::Plain);
    }

    pub fn cancel_session(&mut self, group_id: &str, member_id: &str) {
        self.timers.cancel(&session_key(group_id, member_id));
    }

    /// Fires a timer after `delay_ms`; at the next tick if that is zero or negative.
    pub fn schedule(&mut self, key: TimerKey, delay_ms: i32, alarm: Alarm) {
        let deadline = self.now.plus(i64::from(delay_ms.max(0)));
        self.timers.schedule(key, deadline, alarm);
    }
}

fn session_key(group_id: &str, member_id: &str) -> TimerKey {
    TimerKey::Session {
        group_id: group_id.to_owned(),
        member_id: member_id.to_owned(),
    }
}
