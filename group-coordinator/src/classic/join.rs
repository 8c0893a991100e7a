//! JoinGroup: becoming a member, or taking part in the next generation.

use bytes::Bytes;

use super::group::ClassicGroup;
use super::member::Member;
use crate::command::JoinGroup;
use crate::error::GroupError;
use crate::ids::Ticket;
use crate::record::STRING_BYTES_MAX;
use crate::reply::{GroupState, Joined};
use crate::turn::Turn;

impl ClassicGroup {
    /// Carries out a join (`GroupMetadataManager.classicGroupJoinToClassicGroup`). The answer may have to wait.
    pub fn join(&mut self, turn: &mut Turn<'_>, ticket: Ticket, request: &JoinGroup) {
        if !self.has_room_for(&request.member_id, turn.config.members_max) {
            self.remove(turn, &request.member_id);
            turn.refuse_join(ticket, GroupError::GroupFull, "");
        } else if !self.supports(&request.protocol_type, &request.protocols) {
            turn.refuse_join(ticket, GroupError::InconsistentProtocol, &request.member_id);
        } else if request.member_id.is_empty() {
            self.join_new_member(turn, ticket, request);
        } else {
            self.join_known_member(turn, ticket, request);
        }
    }

    /// Whether a join fits. While a generation is being made, those who wait for it count, so that after a
    /// reduction of the limit the last ones to come back are left out; otherwise the members count.
    fn has_room_for(&self, member_id: &str, members_max: i32) -> bool {
        let members_max = usize::try_from(members_max).unwrap_or(0);
        let member = self.members.member(member_id);
        match self.state {
            GroupState::Empty | GroupState::Dead => true,
            GroupState::PreparingRebalance => {
                member.is_some_and(|member| member.join.is_some())
                    || self.members.joining_count() < members_max
            }
            GroupState::CompletingRebalance | GroupState::Stable => {
                member.is_some() || self.members.len() < members_max
            }
        }
    }

    fn join_new_member(&mut self, turn: &mut Turn<'_>, ticket: Ticket, request: &JoinGroup) {
        let owner = request.instance_id.as_deref().unwrap_or(&request.client_id);
        let member_id = format!("{owner}-{}", request.generated_member_uuid);
        if member_id.len() > STRING_BYTES_MAX {
            turn.refuse_join(ticket, GroupError::NameTooLong, "");
            return;
        }
        let Some(instance_id) = request.instance_id.as_deref() else {
            if request.requires_known_member_id {
                self.pending_joins.insert(member_id.clone());
                turn.arm_session(&self.group_id, &member_id, request.session_timeout_ms);
                turn.refuse_join(ticket, GroupError::MemberIdRequired, &member_id);
            } else {
                self.add_joining_member(turn, ticket, request, member_id);
            }
            return;
        };
        match self.members.instance(instance_id).map(str::to_owned) {
            Some(old_id) => self.replace_static_member(turn, ticket, request, &old_id, &member_id),
            None => self.add_joining_member(turn, ticket, request, member_id),
        }
    }

    fn join_known_member(&mut self, turn: &mut Turn<'_>, ticket: Ticket, request: &JoinGroup) {
        let member_id = &request.member_id;
        if self.pending_joins.contains(member_id) {
            if request.instance_id.is_some() {
                turn.refuse_join(ticket, GroupError::InstanceIdOfPendingMember, "");
            } else {
                self.add_joining_member(turn, ticket, request, member_id.clone());
            }
            return;
        }
        if let Err(error) = self.check_member(member_id, request.instance_id.as_deref()) {
            turn.refuse_join(ticket, error, member_id);
            return;
        }
        let member = self
            .members
            .member(member_id)
            .expect("the member was just checked");
        let is_unchanged = member.protocols == request.protocols;
        match self.state {
            // The member has probably missed the answer that it got already.
            GroupState::CompletingRebalance if is_unchanged => {
                turn.reply_joined(ticket, self.joined(member_id));
            }
            // A follower with nothing new. The leader may know something new that its metadata does not show,
            // such as a topic that got more partitions.
            GroupState::Stable if is_unchanged && !self.is_leader(member_id) => {
                turn.reply_joined(ticket, self.joined(member_id));
            }
            GroupState::PreparingRebalance
            | GroupState::CompletingRebalance
            | GroupState::Stable => {
                self.update_joining_member(turn, ticket, request, member_id);
                self.rebalance_or_complete_join(turn);
            }
            GroupState::Empty | GroupState::Dead => {
                turn.refuse_join(ticket, GroupError::UnknownMember, member_id);
            }
        }
    }

    fn add_joining_member(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        request: &JoinGroup,
        member_id: String,
    ) {
        if self.state == GroupState::PreparingRebalance && self.previous_state == GroupState::Empty
        {
            self.is_grown = true;
        }
        // A new member cannot send heartbeats before it knows its id, and nobody sees its connection break while
        // the join is parked; so it has a time limit of its own.
        turn.arm_session(
            &self.group_id,
            &member_id,
            turn.config.new_member_join_timeout_ms,
        );
        let member = Member {
            member_id,
            instance_id: request.instance_id.clone(),
            client_id: request.client_id.clone(),
            client_host: request.client_host.clone(),
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            session_timeout_ms: request.session_timeout_ms,
            protocols: request.protocols.clone(),
            assignment: Bytes::new(),
            join: Some(ticket),
            sync: None,
            is_new: true,
        };
        self.add(member, &request.protocol_type);
        self.rebalance_or_complete_join(turn);
    }

    /// A static member that lost its id came back: it takes over under a new id, and the old id is fenced
    /// (`updateStaticMemberThenRebalanceOrCompleteJoin`, KIP-345).
    fn replace_static_member(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        request: &JoinGroup,
        old_id: &str,
        new_id: &str,
    ) {
        let old_leader = self.leader.clone().unwrap_or_default();
        let former = self
            .members
            .member(old_id)
            .expect("an instance has a member")
            .clone();
        self.rename_static_member(turn, old_id, new_id);
        turn.arm_session(&self.group_id, new_id, former.session_timeout_ms);
        self.update_joining_member(turn, ticket, request, new_id);

        match self.state {
            GroupState::Stable if self.protocol_name == self.select_protocol() => {
                self.settle_join(new_id);
                let value = self.to_record(|member| member.assignment.clone());
                match self.write(turn, &value) {
                    Ok(()) => {
                        let joined = self.rejoined(new_id, &old_leader, request);
                        turn.reply_joined(ticket, joined);
                    }
                    Err(error) => {
                        self.restore_static_member(turn, &former, new_id);
                        turn.refuse_join(ticket, error, "");
                    }
                }
            }
            GroupState::Stable => self.rebalance_or_complete_join(turn),
            // The leader may be assigning partitions to the old id just now, so it has to start again.
            GroupState::CompletingRebalance => self.prepare_rebalance(turn),
            GroupState::PreparingRebalance => self.complete_join_if_all_joined(turn),
            GroupState::Empty | GroupState::Dead => {
                unreachable!("a group with a static member is not empty")
            }
        }
    }

    /// Gives a static member its new id. Whoever still waits under the old one is fenced.
    fn rename_static_member(&mut self, turn: &mut Turn<'_>, old_id: &str, new_id: &str) {
        let (join, sync) = self
            .members
            .update(old_id, |member| (member.join.take(), member.sync.take()));
        if let Some(ticket) = join {
            turn.refuse_join(ticket, GroupError::FencedInstance, old_id);
        }
        if let Some(ticket) = sync {
            turn.reply_sync(ticket, Err(GroupError::FencedInstance));
        }
        self.members.rename(old_id, new_id);
        if self.is_leader(old_id) {
            self.leader = Some(new_id.to_owned());
        }
        self.members.update(new_id, |member| member.is_new = false);
        turn.cancel_session(&self.group_id, old_id);
    }

    /// Undoes a replacement that could not be written.
    fn restore_static_member(&mut self, turn: &mut Turn<'_>, former: &Member, new_id: &str) {
        self.set_protocols(new_id, &former.protocols);
        self.members.update(new_id, |member| {
            member.rebalance_timeout_ms = former.rebalance_timeout_ms;
            member.session_timeout_ms = former.session_timeout_ms;
        });
        self.rename_static_member(turn, new_id, &former.member_id);
        turn.arm_session(&self.group_id, &former.member_id, former.session_timeout_ms);
    }

    /// The answer to a static member that came back without a rebalance. A leader that can be told so skips the
    /// assignment (KIP-814); an older one is led to believe that the id which is gone still leads.
    fn rejoined(&self, member_id: &str, old_leader: &str, request: &JoinGroup) -> Joined {
        let mut joined = self.joined(member_id);
        if request.supports_skipping_assignment {
            joined.skip_assignment = self.is_leader(member_id);
        } else {
            joined.leader = old_leader.to_owned();
            joined.members.clear();
        }
        joined
    }

    /// Takes over what a member says in a join, and parks the join.
    fn update_joining_member(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        request: &JoinGroup,
        member_id: &str,
    ) {
        self.set_protocols(member_id, &request.protocols);
        let overtaken = self.members.update(member_id, |member| {
            member.rebalance_timeout_ms = request.rebalance_timeout_ms;
            member.session_timeout_ms = request.session_timeout_ms;
            member.join.replace(ticket)
        });
        // Kafka forgets the earlier request of a member that asks twice; here it gets an answer.
        if let Some(overtaken) = overtaken {
            turn.refuse_join(overtaken, GroupError::RebalanceInProgress, member_id);
        }
    }

    /// Takes the parked join out of a member.
    pub(super) fn settle_join(&mut self, member_id: &str) -> Option<Ticket> {
        self.members.update(member_id, |member| member.join.take())
    }

    /// The answer for a member of the current generation.
    pub(super) fn joined(&self, member_id: &str) -> Joined {
        let protocol = self.protocol_name.as_deref().unwrap_or_default();
        let members = match self.is_leader(member_id) {
            true => self
                .members
                .iter()
                .map(|member| member.as_joined(protocol))
                .collect(),
            false => Vec::new(),
        };
        Joined {
            member_id: member_id.to_owned(),
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment: false,
            members,
        }
    }
}
