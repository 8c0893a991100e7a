//! What the shard answers.

use std::fmt;

use bytes::Bytes;

use crate::error::GroupError;
use crate::ids::TopicId;

/// The answer to a [`crate::Command`], variant by variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    JoinGroup(Result<Joined, JoinRefusal>),
    SyncGroup(Result<Synced, GroupError>),
    Heartbeat(Result<(), GroupError>),
    /// One entry per leaving member, in the order of the command.
    LeaveGroup(Result<Vec<LeftMember>, GroupError>),
    /// Topics and partitions in the order of the command.
    CommitOffsets(Result<Vec<CommittedTopic>, GroupError>),
    /// Topics and partitions in the order of the command.
    CommitTransactionalOffsets(Result<Vec<CommittedTopic>, GroupError>),
    /// Named topics in the order of the command; all topics by name and partition.
    FetchOffsets(Result<Vec<FetchedTopic>, GroupError>),
    /// Topics and partitions in the order of the command.
    DeleteOffsets(Result<Vec<DeletedTopicOffsets>, GroupError>),
    DescribeGroup(Result<GroupDescription, GroupError>),
    /// By group id.
    ListGroups(Vec<GroupListing>),
    DeleteGroup(Result<(), GroupError>),
    TopicsDeleted,
}

/// The member is part of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    pub member_id: String,
    pub generation: i32,
    pub protocol_type: Option<String>,
    pub protocol_name: Option<String>,
    /// The leader's member id.
    pub leader: String,
    /// The leader need not compute an assignment: the group keeps the one it has.
    pub skip_assignment: bool,
    /// Everyone, if the answer is for the leader; else empty.
    pub members: Vec<JoinedMember>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMember {
    pub member_id: String,
    pub instance_id: Option<String>,
    pub metadata: Bytes,
}

/// The member is not part of a generation. `member_id` is the one to print in the answer; with
/// [`GroupError::MemberIdRequired`] it is the one to join again with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRefusal {
    pub error: GroupError,
    pub member_id: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    pub protocol_type: Option<String>,
    pub protocol_name: Option<String>,
    pub assignment: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftMember {
    pub member_id: String,
    pub instance_id: Option<String>,
    pub result: Result<(), GroupError>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedTopic {
    pub name: String,
    pub topic_id: TopicId,
    pub partitions: Vec<CommittedPartition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedPartition {
    pub partition: i32,
    pub result: Result<(), GroupError>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedTopic {
    pub name: String,
    /// As asked for; zero when all topics were asked for.
    pub topic_id: TopicId,
    pub partitions: Vec<FetchedPartition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedPartition {
    pub partition: i32,
    /// `Ok(None)`: nothing is committed.
    pub result: Result<Option<OffsetValue>, GroupError>,
}

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetValue {
    pub offset: i64,
    pub leader_epoch: Option<i32>,
    pub metadata: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedTopicOffsets {
    pub name: String,
    pub partitions: Vec<DeletedPartition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedPartition {
    pub partition: i32,
    pub result: Result<(), GroupError>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    pub group_id: String,
    pub state: GroupState,
    /// Empty for a group that only keeps offsets.
    pub protocol_type: String,
    /// The chosen protocol of a stable group; else empty.
    pub protocol_name: String,
    pub members: Vec<MemberDescription>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberDescription {
    pub member_id: String,
    pub instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    /// What the member said for the chosen protocol; empty unless the group is stable.
    pub metadata: Bytes,
    pub assignment: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    pub group_id: String,
    pub protocol_type: String,
    pub state: GroupState,
    pub group_type: GroupType,
}

/// What a group is doing. A group that does not exist counts as dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupState {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
    Dead,
}

impl GroupState {
    /// The state of this name, whatever its case and the white space around it, as in Kafka's filters.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.trim_matches(|character| character <= ' ');
        [
            Self::Empty,
            Self::PreparingRebalance,
            Self::CompletingRebalance,
            Self::Stable,
            Self::Dead,
        ]
        .into_iter()
        .find(|state| state.name().eq_ignore_ascii_case(name))
    }

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which protocol a group speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupType {
    Classic,
}

impl GroupType {
    /// The type of this name, whatever its case; none for the types that this crate does not know.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Classic]
            .into_iter()
            .find(|group_type| group_type.name().eq_ignore_ascii_case(name))
    }

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
        }
    }
}

impl fmt::Display for GroupType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
