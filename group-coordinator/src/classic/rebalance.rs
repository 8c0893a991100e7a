//! From one generation to the next.
//!
//! ```text
//!              first join                     time is up, or all have joined
//!    Empty ──────────────▶ PreparingRebalance ─────────────▶ CompletingRebalance
//!      ▲                    │    ▲     ▲                        │          │
//!      └── all have left ───┘    │     └── a member changes ────┘          │ leader syncs
//!                                └──────── a member changes ── Stable ◀────┘
//! ```

use bytes::Bytes;

use super::group::ClassicGroup;
use crate::error::GroupError;
use crate::reply::{GroupState, Synced};
use crate::timers::{Alarm, TimerKey};
use crate::turn::Turn;

/// How long a generation that nobody joined waits at least before it looks again.
const JOIN_RETRY_DELAY_MS_MIN: i32 = 100;

impl ClassicGroup {
    /// The group has changed: starts a rebalance, or sees whether the one that runs can end.
    pub(super) fn rebalance_or_complete_join(&mut self, turn: &mut Turn<'_>) {
        match self.state {
            GroupState::Empty | GroupState::CompletingRebalance | GroupState::Stable => {
                self.prepare_rebalance(turn);
            }
            GroupState::PreparingRebalance | GroupState::Dead => {
                self.complete_join_if_all_joined(turn);
            }
        }
    }

    /// Ends the time for joining if everyone is there. The first rebalance of a group waits for its timer: it
    /// cannot know who else is about to come.
    pub(super) fn complete_join_if_all_joined(&mut self, turn: &mut Turn<'_>) {
        if self.state == GroupState::PreparingRebalance
            && self.previous_state != GroupState::Empty
            && self.has_all_joined()
        {
            self.complete_join(turn);
        }
    }

    /// Starts a rebalance: members have to join again, up to the largest rebalance timeout.
    pub(super) fn prepare_rebalance(&mut self, turn: &mut Turn<'_>) {
        if self.state == GroupState::CompletingRebalance {
            for member_id in self.members.ids() {
                self.members
                    .update(&member_id, |member| member.assignment = Bytes::new());
            }
            self.propagate_assignment(turn, Err(GroupError::RebalanceInProgress));
        }
        self.pending_syncs.clear();
        turn.timers.cancel(&self.sync_key());

        let is_initial = self.is_empty();
        self.transition(GroupState::PreparingRebalance, turn.now);
        if is_initial {
            let delay_ms = turn.config.initial_rebalance_delay_ms;
            let remaining_ms = self
                .members
                .rebalance_timeout_ms()
                .saturating_sub(delay_ms)
                .max(0);
            let alarm = Alarm::InitialJoin {
                delay_ms,
                remaining_ms,
            };
            turn.schedule(self.join_key(), delay_ms, alarm);
        } else if self.has_all_joined() {
            self.complete_join(turn);
        } else {
            let delay_ms = self.members.rebalance_timeout_ms();
            turn.schedule(self.join_key(), delay_ms, Alarm::Plain);
        }
    }

    /// The time for joining is over: makes the next generation out of those who are there. Dynamic members that
    /// did not come back are out; static ones keep their place until their session ends.
    pub(super) fn complete_join(&mut self, turn: &mut Turn<'_>) {
        turn.timers.cancel(&self.join_key());
        let absent: Vec<String> = self
            .members
            .iter()
            .filter(|member| member.join.is_none() && !member.is_static())
            .map(|member| member.member_id.clone())
            .collect();
        for member_id in absent {
            self.remove(turn, &member_id);
            turn.cancel_session(&self.group_id, &member_id);
        }

        if self.members.is_empty() {
            self.become_empty(turn);
        } else if self.elect_joined_leader() {
            self.begin_generation(turn);
        } else {
            // Only absent static members are left. Wait until their sessions end or they come back; a rebalance
            // timeout of zero must not make that a busy loop.
            let delay_ms = self.members.rebalance_timeout_ms();
            let delay_ms = delay_ms.max(JOIN_RETRY_DELAY_MS_MIN);
            turn.schedule(self.join_key(), delay_ms, Alarm::Plain);
        }
    }

    /// Makes sure that the leader is one of those who joined. False if nobody did.
    fn elect_joined_leader(&mut self) -> bool {
        let has_joined = |member_id: &String| {
            self.members
                .member(member_id)
                .is_some_and(|member| member.join.is_some())
        };
        if self.leader.as_ref().is_some_and(has_joined) {
            return true;
        }
        let successor = self.members.iter().find(|member| member.join.is_some());
        match successor.map(|member| member.member_id.clone()) {
            Some(leader) => {
                self.leader = Some(leader);
                true
            }
            None => false,
        }
    }

    fn become_empty(&mut self, turn: &mut Turn<'_>) {
        self.generation = next_generation(self.generation);
        self.protocol_name = None;
        self.leader = None;
        self.pending_syncs.clear();
        self.transition(GroupState::Empty, turn.now);
        let value = self.to_record(|_| Bytes::new());
        self.write(turn, &value)
            .expect("a group without members fits into any batch");
    }

    fn begin_generation(&mut self, turn: &mut Turn<'_>) {
        self.generation = next_generation(self.generation);
        self.protocol_name = self.select_protocol();
        assert!(self.protocol_name.is_some());
        self.read_subscriptions();
        self.transition(GroupState::CompletingRebalance, turn.now);

        self.pending_syncs.clear();
        for member_id in self.members.ids() {
            if let Some(ticket) = self.settle_join(&member_id) {
                turn.reply_joined(ticket, self.joined(&member_id));
            }
            let session_timeout_ms = self.members.update(&member_id, |member| {
                member.is_new = false;
                member.session_timeout_ms
            });
            turn.arm_session(&self.group_id, &member_id, session_timeout_ms);
            self.pending_syncs.insert(member_id);
        }
        let alarm = Alarm::Sync {
            generation: self.generation,
        };
        turn.schedule(self.sync_key(), self.members.rebalance_timeout_ms(), alarm);
    }

    /// Answers everyone who waits in SyncGroup, each with its own assignment or all with the same refusal.
    pub(super) fn propagate_assignment(
        &mut self,
        turn: &mut Turn<'_>,
        outcome: Result<(), GroupError>,
    ) {
        for member_id in self.members.ids() {
            let (ticket, assignment, session_timeout_ms) =
                self.members.update(&member_id, |member| {
                    (
                        member.sync.take(),
                        member.assignment.clone(),
                        member.session_timeout_ms,
                    )
                });
            let Some(ticket) = ticket else {
                continue;
            };
            turn.reply_sync(ticket, outcome.map(|()| self.synced(assignment)));
            // A session that ended while the member waited was overlooked, so it starts anew.
            turn.arm_session(&self.group_id, &member_id, session_timeout_ms);
        }
    }

    pub(super) fn synced(&self, assignment: Bytes) -> Synced {
        Synced {
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            assignment,
        }
    }

    /// The timer of the first rebalance fired: waits on if the group has grown and there is time left.
    pub fn initial_join_expired(&mut self, turn: &mut Turn<'_>, delay_ms: i32, remaining_ms: i32) {
        if !self.is_grown || remaining_ms == 0 {
            self.complete_join(turn);
            return;
        }
        self.is_grown = false;
        let next_delay_ms = turn.config.initial_rebalance_delay_ms.min(remaining_ms);
        let alarm = Alarm::InitialJoin {
            delay_ms: next_delay_ms,
            remaining_ms: remaining_ms.saturating_sub(delay_ms).max(0),
        };
        turn.schedule(self.join_key(), next_delay_ms, alarm);
    }

    /// The time for joining is over.
    pub fn join_expired(&mut self, turn: &mut Turn<'_>) {
        self.complete_join(turn);
    }

    /// The time for syncing is over: whoever has not done so is out.
    pub fn sync_expired(&mut self, turn: &mut Turn<'_>, generation: i32) {
        let is_syncing = matches!(
            self.state,
            GroupState::CompletingRebalance | GroupState::Stable
        );
        if generation != self.generation || !is_syncing || self.pending_syncs.is_empty() {
            return;
        }
        for member_id in std::mem::take(&mut self.pending_syncs) {
            self.remove(turn, &member_id);
            turn.cancel_session(&self.group_id, &member_id);
        }
        self.prepare_rebalance(turn);
    }

    /// The session of a member ended, or a pending member did not come back in time.
    pub fn session_expired(&mut self, turn: &mut Turn<'_>, member_id: &str) {
        if self.pending_joins.contains(member_id) {
            self.remove(turn, member_id);
        } else {
            match self.members.member(member_id) {
                Some(member) if !member.has_satisfied_heartbeat() => {}
                Some(_) | None => return,
            }
            self.remove(turn, member_id);
            if matches!(
                self.state,
                GroupState::Stable | GroupState::CompletingRebalance
            ) {
                self.prepare_rebalance(turn);
                return;
            }
        }
        if self.state == GroupState::PreparingRebalance && self.has_all_joined() {
            self.complete_join(turn);
        }
    }

    /// The group was loaded from the log: everyone gets a full session to come back (`onLoaded`).
    pub fn loaded(&mut self, turn: &mut Turn<'_>) {
        for member in self.members.iter() {
            turn.arm_session(&self.group_id, &member.member_id, member.session_timeout_ms);
        }
        // The limit may have been lowered. Members get to commit their offsets before some of them are left out.
        if self.members.len() > usize::try_from(turn.config.members_max).unwrap_or(0) {
            self.prepare_rebalance(turn);
        }
    }

    pub(super) fn join_key(&self) -> TimerKey {
        TimerKey::Join {
            group_id: self.group_id.clone(),
        }
    }

    pub(super) fn sync_key(&self) -> TimerKey {
        TimerKey::Sync {
            group_id: self.group_id.clone(),
        }
    }
}

/// Generations count up from 1. After the last one they start over, where Kafka's would become negative, which
/// means "no member" on the wire.
fn next_generation(generation: i32) -> i32 {
    generation.checked_add(1).unwrap_or(1)
}
