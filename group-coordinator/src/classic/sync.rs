//! SyncGroup, Heartbeat and LeaveGroup: a member within its generation.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::group::ClassicGroup;
use crate::command::{Heartbeat, LeaveGroup, LeavingMember, SyncGroup};
use crate::error::GroupError;
use crate::ids::Ticket;
use crate::reply::{GroupState, LeftMember, Reply};
use crate::turn::Turn;

impl ClassicGroup {
    /// Carries out a sync (`classicGroupSyncToClassicGroup`). A follower's waits for the leader's.
    pub fn sync(&mut self, turn: &mut Turn<'_>, ticket: Ticket, request: &SyncGroup) {
        if let Err(error) = self.check_sync(request) {
            turn.reply_sync(ticket, Err(error));
            return;
        }
        let member_id = &request.member_id;
        match self.state {
            GroupState::PreparingRebalance => {
                turn.reply_sync(ticket, Err(GroupError::RebalanceInProgress));
            }
            GroupState::CompletingRebalance => {
                let overtaken = self
                    .members
                    .update(member_id, |member| member.sync.replace(ticket));
                // Kafka forgets the earlier request of a member that asks twice; here it gets an answer.
                if let Some(overtaken) = overtaken {
                    turn.reply_sync(overtaken, Err(GroupError::RebalanceInProgress));
                }
                self.note_sync(turn, member_id);
                if self.is_leader(member_id) {
                    self.assign(turn, &request.assignments);
                }
            }
            GroupState::Stable => {
                self.note_sync(turn, member_id);
                let member = self
                    .members
                    .member(member_id)
                    .expect("the member was just checked");
                let synced = self.synced(member.assignment.clone());
                turn.reply_sync(ticket, Ok(synced));
            }
            GroupState::Empty | GroupState::Dead => {
                turn.reply_sync(ticket, Err(GroupError::UnknownMember));
            }
        }
    }

    fn check_sync(&self, request: &SyncGroup) -> Result<(), GroupError> {
        self.check_member(&request.member_id, request.instance_id.as_deref())?;
        if request.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        let contradicts = |given: &Option<String>, own: &Option<String>| {
            given.is_some() && own.is_some() && given != own
        };
        if contradicts(&request.protocol_type, &self.protocol_type)
            || contradicts(&request.protocol_name, &self.protocol_name)
        {
            return Err(GroupError::InconsistentProtocol);
        }
        Ok(())
    }

    fn note_sync(&mut self, turn: &mut Turn<'_>, member_id: &str) {
        self.pending_syncs.remove(member_id);
        if self.pending_syncs.is_empty() {
            turn.timers.cancel(&self.sync_key());
        }
    }

    /// The leader's assignment makes the group stable. Members that it leaves out get nothing; of two
    /// assignments for the same member the later counts.
    fn assign(&mut self, turn: &mut Turn<'_>, assignments: &[(String, Bytes)]) {
        let assignments: BTreeMap<&str, &Bytes> = assignments
            .iter()
            .map(|(member_id, assignment)| (member_id.as_str(), assignment))
            .collect();
        let value = self.to_record(|member| {
            assignments
                .get(member.member_id.as_str())
                .copied()
                .cloned()
                .unwrap_or_default()
        });
        match self.write(turn, &value) {
            Ok(()) => {
                // What was written says when the generation began; the group is stable only now.
                self.state_since = Some(turn.now);
                self.propagate_assignment(turn, Ok(()));
            }
            Err(error) => {
                self.propagate_assignment(turn, Err(error));
                self.prepare_rebalance(turn);
            }
        }
    }

    pub fn heartbeat(
        &mut self,
        turn: &mut Turn<'_>,
        request: &Heartbeat,
    ) -> Result<(), GroupError> {
        self.check_member(&request.member_id, request.instance_id.as_deref())?;
        if request.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        self.renew_session(turn, &request.member_id);
        match self.state {
            GroupState::PreparingRebalance => Err(GroupError::RebalanceInProgress),
            GroupState::CompletingRebalance | GroupState::Stable => Ok(()),
            GroupState::Empty | GroupState::Dead => Err(GroupError::UnknownMember),
        }
    }

    pub(super) fn renew_session(&self, turn: &mut Turn<'_>, member_id: &str) {
        if let Some(member) = self.members.member(member_id) {
            turn.arm_session(&self.group_id, member_id, member.session_timeout_ms);
        }
    }

    /// Takes members out, then rebalances once for all of them (`classicGroupLeaveToClassicGroup`).
    pub fn leave(&mut self, turn: &mut Turn<'_>, ticket: Ticket, request: &LeaveGroup) {
        let left: Vec<LeftMember> = request
            .members
            .iter()
            .map(|leaving| LeftMember {
                member_id: leaving.member_id.clone(),
                instance_id: leaving.instance_id.clone(),
                result: self.leave_one(turn, leaving),
            })
            .collect();
        let has_left = left.iter().any(|member| member.result.is_ok());
        turn.reply(ticket, Reply::LeaveGroup(Ok(left)));
        if has_left && !self.is_empty() {
            self.rebalance_or_complete_join(turn);
        }
    }

    fn leave_one(
        &mut self,
        turn: &mut Turn<'_>,
        leaving: &LeavingMember,
    ) -> Result<(), GroupError> {
        let instance_id = leaving.instance_id.as_deref();
        let member_id = if leaving.member_id.is_empty() {
            // An administrator names a static member by its instance id alone.
            instance_id
                .and_then(|instance_id| self.members.instance(instance_id))
                .ok_or(GroupError::UnknownMember)?
                .to_owned()
        } else {
            if !self.pending_joins.contains(&leaving.member_id) {
                self.check_member(&leaving.member_id, instance_id)?;
            }
            leaving.member_id.clone()
        };
        turn.cancel_session(&self.group_id, &member_id);
        self.remove(turn, &member_id);
        Ok(())
    }
}
