//! Commands to groups, and what is checked before they reach one (`GroupCoordinatorService`).

use super::{Groups, Shard};
use crate::classic::ClassicGroup;
use crate::command::{Heartbeat, JoinGroup, LeaveGroup, ListGroups, SyncGroup};
use crate::config::GroupConfig;
use crate::error::GroupError;
use crate::ids::{Millis, Ticket};
use crate::record;
use crate::reply::{GroupDescription, GroupListing, GroupType, LeftMember, Reply};
use crate::step::Step;

impl Shard {
    pub(super) fn join(
        &mut self,
        now: Millis,
        ticket: Ticket,
        request: &JoinGroup,
        step: &mut Step,
    ) {
        let refusal = self.check_join(request).err();
        let (groups, mut turn) = self.turn(now, step);
        if let Some(error) = refusal {
            turn.refuse_join(ticket, error, &request.member_id);
            return;
        }
        let group = groups.entry(request.group_id.clone()).or_insert_with(|| {
            let mut group = ClassicGroup::new(&request.group_id);
            group.write_new(&mut turn);
            group
        });
        group.join(&mut turn, ticket, request);
    }

    /// What Kafka checks before a join reaches the group (`GroupCoordinatorService.joinGroup`), and what a record
    /// could not hold. Only members without an id can create a group.
    fn check_join(&self, request: &JoinGroup) -> Result<(), GroupError> {
        let GroupConfig {
            session_timeout_ms_min,
            session_timeout_ms_max,
            ..
        } = self.config;
        if request.group_id.is_empty() {
            return Err(GroupError::EmptyGroupId);
        }
        if !(session_timeout_ms_min..=session_timeout_ms_max).contains(&request.session_timeout_ms)
        {
            return Err(GroupError::SessionTimeoutOutOfRange);
        }
        if request.longest_name() > record::STRING_BYTES_MAX {
            return Err(GroupError::NameTooLong);
        }
        if !request.member_id.is_empty() && !self.groups.contains_key(&request.group_id) {
            return Err(GroupError::UnknownMember);
        }
        Ok(())
    }

    pub(super) fn sync(
        &mut self,
        now: Millis,
        ticket: Ticket,
        request: &SyncGroup,
        step: &mut Step,
    ) {
        let (groups, mut turn) = self.turn(now, step);
        match group_of_member(groups, &request.group_id) {
            Ok(group) => group.sync(&mut turn, ticket, request),
            Err(error) => turn.reply_sync(ticket, Err(error)),
        }
    }

    pub(super) fn heartbeat(
        &mut self,
        now: Millis,
        request: &Heartbeat,
        step: &mut Step,
    ) -> Result<(), GroupError> {
        let (groups, mut turn) = self.turn(now, step);
        group_of_member(groups, &request.group_id)?.heartbeat(&mut turn, request)
    }

    pub(super) fn leave(
        &mut self,
        now: Millis,
        ticket: Ticket,
        request: &LeaveGroup,
        step: &mut Step,
    ) {
        let (groups, mut turn) = self.turn(now, step);
        if request.group_id.is_empty() {
            turn.reply(ticket, Reply::LeaveGroup(Err(GroupError::EmptyGroupId)));
            return;
        }
        match groups.get_mut(&request.group_id) {
            Some(group) => group.leave(&mut turn, ticket, request),
            None => {
                let left = request.members.iter().map(|leaving| LeftMember {
                    member_id: leaving.member_id.clone(),
                    instance_id: leaving.instance_id.clone(),
                    result: Err(GroupError::UnknownMember),
                });
                turn.reply(ticket, Reply::LeaveGroup(Ok(left.collect())));
            }
        }
    }

    pub(super) fn describe(&self, group_id: &str) -> Result<GroupDescription, GroupError> {
        match self.groups.get(group_id) {
            Some(group) if !self.unlisted.contains(group_id) => Ok(group.describe()),
            Some(_) | None => Err(GroupError::GroupNotFound),
        }
    }

    pub(super) fn list(&self, request: &ListGroups) -> Vec<GroupListing> {
        let is_wanted = |listing: &GroupListing| {
            request
                .states
                .as_ref()
                .is_none_or(|states| states.contains(&listing.state))
                && request
                    .types
                    .as_ref()
                    .is_none_or(|types| types.contains(&GroupType::Classic))
        };
        self.groups
            .iter()
            .filter(|(group_id, _)| !self.unlisted.contains(*group_id))
            .map(|(_, group)| group.listing())
            .filter(is_wanted)
            .collect()
    }

    pub(super) fn delete_group(
        &mut self,
        group_id: &str,
        step: &mut Step,
    ) -> Result<(), GroupError> {
        self.groups
            .get(group_id)
            .ok_or(GroupError::GroupNotFound)?
            .check_delete()?;
        for key in self.offsets.keys_of_group(group_id) {
            self.forget_offset(&key, step);
        }
        self.bury_group(group_id, step);
        Ok(())
    }

    /// Writes the tombstone of a group, and takes it to heart.
    pub(super) fn bury_group(&mut self, group_id: &str, step: &mut Step) {
        step.records
            .push(record::group_metadata_tombstone(group_id));
        self.forget_group(group_id);
    }
}

/// The group that a member means. Members of groups that do not exist are not known.
fn group_of_member<'a>(
    groups: &'a mut Groups,
    group_id: &str,
) -> Result<&'a mut ClassicGroup, GroupError> {
    if group_id.is_empty() {
        return Err(GroupError::EmptyGroupId);
    }
    groups.get_mut(group_id).ok_or(GroupError::UnknownMember)
}
