//! A classic group: its members, its state, and how a record changes it.
//!
//! The log knows a group only as Empty or Stable, as of its last `GroupMetadata` record, and [`ClassicGroup::apply`]
//! is the one way into these two states, for a record of the log and for one just made alike. PreparingRebalance and
//! CompletingRebalance, with the generation that is being made, live in memory alone, as in Kafka.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::member::Member;
use super::members::Members;
use super::subscription::{CONSUMER_PROTOCOL_TYPE, subscribed_topics};
use super::vote::{Supporters, select_protocol};
use crate::command::Protocol;
use crate::error::{GroupError, ReplayError};
use crate::ids::Millis;
use crate::record::{self, GroupMetadataValue};
use crate::reply::{GroupDescription, GroupListing, GroupState, GroupType};
use crate::turn::Turn;

/// A group whose members assign partitions among themselves.
#[derive(Debug, Clone)]
pub struct ClassicGroup {
    pub(super) group_id: String,
    pub(super) state: GroupState,
    pub(super) previous_state: GroupState,
    /// When the group came into its state, if that is known.
    pub(super) state_since: Option<Millis>,
    /// None for a group that only keeps offsets.
    pub(super) protocol_type: Option<String>,
    pub(super) protocol_name: Option<String>,
    pub(super) generation: i32,
    pub(super) leader: Option<String>,
    pub(super) members: Members,
    /// Ids that were given to members which have not come back with them yet (KIP-394).
    pub(super) pending_joins: BTreeSet<String>,
    /// Members of this generation that have not synced yet.
    pub(super) pending_syncs: BTreeSet<String>,
    supporters: Supporters,
    /// What the consumers of the group read, as far as the broker understands it.
    subscribed_topics: Option<BTreeSet<String>>,
    /// A member joined while the first rebalance waited for more.
    pub(super) is_grown: bool,
}

impl ClassicGroup {
    /// An empty group that no record tells of: it keeps offsets, and nothing else yet.
    pub fn new(group_id: &str) -> Self {
        Self {
            group_id: group_id.to_owned(),
            state: GroupState::Empty,
            previous_state: GroupState::Dead,
            state_since: None,
            protocol_type: None,
            protocol_name: None,
            generation: 0,
            leader: None,
            members: Members::default(),
            pending_joins: BTreeSet::new(),
            pending_syncs: BTreeSet::new(),
            supporters: Supporters::default(),
            subscribed_topics: None,
            is_grown: false,
        }
    }

    /// Makes the group what a record says. What members wait for survives, if the record still has them.
    ///
    /// # Errors
    /// The record contradicts itself; the group is unchanged.
    pub fn apply(&mut self, value: &GroupMetadataValue) -> Result<(), ReplayError> {
        check_members(value)?;
        let mut former = std::mem::take(&mut self.members);
        for metadata in &value.members {
            let protocol = value.protocol.as_deref().unwrap_or_default();
            let mut member = Member::from_record(metadata, protocol);
            if let Some(live) = former.remove(&metadata.member_id) {
                member.join = live.join;
                member.sync = live.sync;
                member.is_new = live.is_new;
                // The record has one protocol only; keep the others of a member that has not changed its mind.
                if live.protocols.contains(&member.protocols[0]) {
                    member.protocols = live.protocols;
                }
            }
            self.members.insert(member);
        }
        assert!(
            former
                .iter()
                .all(|left| left.join.is_none() && left.sync.is_none())
        );

        self.previous_state = self.state;
        self.state = if value.members.is_empty() {
            GroupState::Empty
        } else {
            GroupState::Stable
        };
        self.state_since = value.current_state_timestamp_ms.map(Millis);
        self.protocol_type =
            Some(value.protocol_type.clone()).filter(|protocol_type| !protocol_type.is_empty());
        self.protocol_name = value.protocol.clone();
        self.generation = value.generation;
        self.leader = value
            .leader
            .clone()
            .filter(|leader| self.members.contains(leader));
        if self.leader.is_none() {
            self.elect_oldest();
        }
        self.pending_syncs
            .retain(|member_id| self.members.contains(member_id));
        self.supporters = Supporters::of(self.members.iter());
        self.read_subscriptions();
        Ok(())
    }

    /// The group as a record, with the assignments that `assignment_of` gives its members.
    pub(super) fn to_record(&self, assignment_of: impl Fn(&Member) -> Bytes) -> GroupMetadataValue {
        let protocol = self.protocol_name.as_deref().unwrap_or_default();
        GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol_name.clone(),
            leader: self.leader.clone(),
            current_state_timestamp_ms: self.state_since.map(|since| since.0),
            members: self
                .members
                .iter()
                .map(|member| member.to_record(protocol, assignment_of(member)))
                .collect(),
        }
    }

    /// Writes a record of the group and makes the group what it says.
    ///
    /// # Errors
    /// The record is too large for the log; nothing is written and the group is unchanged.
    pub(super) fn write(
        &mut self,
        turn: &mut Turn<'_>,
        value: &GroupMetadataValue,
    ) -> Result<(), GroupError> {
        let record = record::group_metadata(&self.group_id, value);
        if record.batch_bytes() > turn.config.batch_bytes_max {
            return Err(GroupError::RecordsTooLarge);
        }
        self.apply(value)
            .expect("the group's own record does not contradict itself");
        turn.write(record);
        Ok(())
    }

    /// Writes the record of a group that is created by a join, before its first member has come.
    pub fn write_new(&mut self, turn: &mut Turn<'_>) {
        let value = GroupMetadataValue {
            protocol_type: String::new(),
            generation: 0,
            protocol: None,
            leader: None,
            current_state_timestamp_ms: Some(turn.now.0),
            members: Vec::new(),
        };
        self.write(turn, &value)
            .expect("a group without members fits into any batch");
    }

    pub fn is_empty(&self) -> bool {
        self.state == GroupState::Empty
    }

    /// The ids that timers may be running for.
    pub fn session_ids(&self) -> Vec<String> {
        let mut ids = self.members.ids();
        ids.extend(self.pending_joins.iter().cloned());
        ids
    }

    pub fn describe(&self) -> GroupDescription {
        let is_stable = self.state == GroupState::Stable;
        let protocol = self.protocol_name.as_deref().filter(|_| is_stable);
        GroupDescription {
            group_id: self.group_id.clone(),
            state: self.state,
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol_name: protocol.unwrap_or_default().to_owned(),
            members: self
                .members
                .iter()
                .map(|member| member.describe(protocol))
                .collect(),
        }
    }

    pub fn listing(&self) -> GroupListing {
        GroupListing {
            group_id: self.group_id.clone(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            state: self.state,
            group_type: GroupType::Classic,
        }
    }

    /// Whether the member exists and, if an instance id is given, is the one with that instance id.
    pub(super) fn check_member(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<(), GroupError> {
        if let Some(instance_id) = instance_id {
            match self.members.instance(instance_id) {
                None => return Err(GroupError::UnknownMember),
                Some(current_id) if current_id != member_id => {
                    return Err(GroupError::FencedInstance);
                }
                Some(_) => {}
            }
        }
        if self.members.contains(member_id) {
            Ok(())
        } else {
            Err(GroupError::UnknownMember)
        }
    }

    pub(super) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// Whether all known members, and those who were asked to come back, wait for the next generation.
    pub(super) fn has_all_joined(&self) -> bool {
        self.members.len() == self.members.joining_count() && self.pending_joins.is_empty()
    }

    /// Whether a member with these protocols could join.
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.is_empty() {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols
                .iter()
                .any(|protocol| self.supporters.count(&protocol.name) == self.members.len())
    }

    /// Adds a member. The first one decides about the protocol type, and leads.
    pub(super) fn add(&mut self, member: Member, protocol_type: &str) {
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.to_owned());
        }
        if self.leader.is_none() {
            self.leader = Some(member.member_id.clone());
        }
        self.pending_joins.remove(&member.member_id);
        self.supporters.add(&member);
        self.members.insert(member);
    }

    /// Removes a member or a pending one. What it waits for is refused; if it led, the oldest member leads.
    pub(super) fn remove(&mut self, turn: &mut Turn<'_>, member_id: &str) {
        if let Some(member) = self.members.remove(member_id) {
            self.supporters.remove(&member);
            if let Some(ticket) = member.join {
                turn.refuse_join(ticket, GroupError::UnknownMember, "");
            }
            if let Some(ticket) = member.sync {
                turn.reply_sync(ticket, Err(GroupError::UnknownMember));
            }
        }
        if self.is_leader(member_id) {
            self.elect_oldest();
        }
        self.pending_joins.remove(member_id);
        self.pending_syncs.remove(member_id);
    }

    pub(super) fn elect_oldest(&mut self) {
        self.leader = self
            .members
            .iter()
            .next()
            .map(|oldest| oldest.member_id.clone());
    }

    pub(super) fn transition(&mut self, state: GroupState, now: Millis) {
        self.previous_state = self.state;
        self.state = state;
        self.state_since = Some(now);
    }

    /// What a member supports from now on.
    pub(super) fn set_protocols(&mut self, member_id: &str, protocols: &[Protocol]) {
        let supporters = &mut self.supporters;
        self.members.update(member_id, |member| {
            supporters.remove(member);
            member.protocols = protocols.to_vec();
            supporters.add(member);
        });
    }

    pub(super) fn select_protocol(&self) -> Option<String> {
        select_protocol(&self.members, &self.supporters)
    }

    pub(super) fn read_subscriptions(&mut self) {
        self.subscribed_topics = self.parse_subscriptions();
    }

    fn parse_subscriptions(&self) -> Option<BTreeSet<String>> {
        if !self.uses_consumer_protocol() {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol = self.protocol_name.as_deref()?;
        let mut topics = BTreeSet::new();
        for member in self.members.iter() {
            topics.extend(subscribed_topics(&member.metadata(protocol))?);
        }
        Some(topics)
    }

    pub(super) fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL_TYPE)
    }

    /// Whether the group reads the topic. A group of consumers whose subscriptions are not known reads everything.
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed_topics {
            Some(topics) => topics.contains(topic),
            None => self.uses_consumer_protocol(),
        }
    }

    pub(super) fn knows_subscriptions(&self) -> bool {
        self.subscribed_topics.is_some()
    }
}

/// A record must not name a member or an instance twice, nor have members without a protocol.
fn check_members(value: &GroupMetadataValue) -> Result<(), ReplayError> {
    if value.protocol.is_none() && !value.members.is_empty() {
        return Err(ReplayError::Malformed { field: "protocol" });
    }
    let mut member_ids = BTreeSet::new();
    let mut instance_ids = BTreeSet::new();
    for member in &value.members {
        if !member_ids.insert(member.member_id.as_str()) {
            return Err(ReplayError::Malformed { field: "member id" });
        }
        if member
            .instance_id
            .as_deref()
            .is_some_and(|id| !instance_ids.insert(id))
        {
            return Err(ReplayError::Malformed {
                field: "group instance id",
            });
        }
    }
    Ok(())
}
