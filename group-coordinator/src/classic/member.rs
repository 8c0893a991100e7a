//! A member of a classic group.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::command::Protocol;
use crate::ids::Ticket;
use crate::record::MemberMetadata;
use crate::reply::{JoinedMember, MemberDescription};

/// A member: what the log knows of it, and what it waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub member_id: String,
    pub instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    /// In the member's order of preference. After loading only the chosen one is known.
    pub protocols: Vec<Protocol>,
    pub assignment: Bytes,
    /// The join that waits for the next generation.
    pub join: Option<Ticket>,
    /// The sync that waits for the leader's.
    pub sync: Option<Ticket>,
    /// The member has not been part of a generation yet.
    pub is_new: bool,
}

impl Member {
    /// The member that a record tells of, in a group that chose `protocol`.
    pub fn from_record(metadata: &MemberMetadata, protocol: &str) -> Self {
        Self {
            member_id: metadata.member_id.clone(),
            instance_id: metadata.instance_id.clone(),
            client_id: metadata.client_id.clone(),
            client_host: metadata.client_host.clone(),
            rebalance_timeout_ms: metadata.rebalance_timeout_ms,
            session_timeout_ms: metadata.session_timeout_ms,
            protocols: vec![Protocol {
                name: protocol.to_owned(),
                metadata: metadata.subscription.clone(),
            }],
            assignment: metadata.assignment.clone(),
            join: None,
            sync: None,
            is_new: false,
        }
    }

    /// The member as the record of its group tells of it.
    pub fn to_record(&self, protocol: &str, assignment: Bytes) -> MemberMetadata {
        MemberMetadata {
            member_id: self.member_id.clone(),
            instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            session_timeout_ms: self.session_timeout_ms,
            subscription: self.metadata(protocol),
            assignment,
        }
    }

    pub fn is_static(&self) -> bool {
        self.instance_id.is_some()
    }

    /// Members that wait for an answer need not send heartbeats. New ones are given up in the end all the same:
    /// nobody sees their connection break while the join is parked.
    pub fn has_satisfied_heartbeat(&self) -> bool {
        !self.is_new && (self.join.is_some() || self.sync.is_some())
    }

    /// What the member said for a protocol; empty if it does not support it.
    pub fn metadata(&self, protocol: &str) -> Bytes {
        self.protocols
            .iter()
            .find(|supported| supported.name == protocol)
            .map(|supported| supported.metadata.clone())
            .unwrap_or_default()
    }

    /// The protocols' names, each once, even where the member repeats itself.
    pub fn protocol_names(&self) -> BTreeSet<&str> {
        self.protocols
            .iter()
            .map(|protocol| protocol.name.as_str())
            .collect()
    }

    pub fn as_joined(&self, protocol: &str) -> JoinedMember {
        JoinedMember {
            member_id: self.member_id.clone(),
            instance_id: self.instance_id.clone(),
            metadata: self.metadata(protocol),
        }
    }

    /// `protocol`: the one whose metadata to show, if any.
    pub fn describe(&self, protocol: Option<&str>) -> MemberDescription {
        MemberDescription {
            member_id: self.member_id.clone(),
            instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            metadata: protocol
                .map(|protocol| self.metadata(protocol))
                .unwrap_or_default(),
            assignment: self.assignment.clone(),
        }
    }
}
