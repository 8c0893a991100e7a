//! What the shard can be asked to do. The fields are those of Kafka's requests, freed from their versions.

use bytes::Bytes;

use crate::ids::{ProducerId, TopicId};
use crate::reply::{GroupState, GroupType};

/// A request to one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    JoinGroup(JoinGroup),
    SyncGroup(SyncGroup),
    Heartbeat(Heartbeat),
    LeaveGroup(LeaveGroup),
    CommitOffsets(CommitOffsets),
    CommitTransactionalOffsets(CommitTransactionalOffsets),
    FetchOffsets(FetchOffsets),
    /// Forget the offsets of some partitions of a group.
    DeleteOffsets {
        group_id: String,
        topics: Vec<OffsetTopic>,
    },
    DescribeGroup(DescribeGroup),
    ListGroups(ListGroups),
    /// Remove an empty group and all its offsets.
    DeleteGroup {
        group_id: String,
    },
    /// Topics were deleted: forget what groups committed for them. Goes to every shard.
    TopicsDeleted {
        topics: Vec<DeletedTopic>,
    },
}

/// Become a member of a group, or take part in its next generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinGroup {
    pub group_id: String,
    /// Empty when the member has none yet.
    pub member_id: String,
    pub instance_id: Option<String>,
    pub client_id: String,
    /// As Java prints an address: with a leading slash.
    pub client_host: String,
    pub session_timeout_ms: i32,
    /// Version 0 of the request has none; give the session timeout then.
    pub rebalance_timeout_ms: i32,
    pub protocol_type: String,
    /// In the member's order of preference.
    pub protocols: Vec<Protocol>,
    /// Why the client says it joins; for people only.
    pub reason: Option<String>,
    /// A dynamic member must come back with the id it is given before it is admitted (KIP-394, version 4 and later).
    pub requires_known_member_id: bool,
    /// The client understands `skip_assignment` (KIP-814, version 9 and later).
    pub supports_skipping_assignment: bool,
    /// A fresh random UUID; a new member's id ends with it.
    pub generated_member_uuid: String,
}

/// A way to assign partitions that a member supports, with what it tells the leader about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protocol {
    pub name: String,
    pub metadata: Bytes,
}

/// Hand in (leader) or ask for (everyone) the assignment of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncGroup {
    pub group_id: String,
    pub generation: i32,
    pub member_id: String,
    pub instance_id: Option<String>,
    /// Compared with the group's when given (version 5 and later).
    pub protocol_type: Option<String>,
    /// Compared with the group's when given (version 5 and later).
    pub protocol_name: Option<String>,
    /// Pairs of member id and assignment; only the leader's count.
    pub assignments: Vec<(String, Bytes)>,
}

/// Say that a member is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    pub group_id: String,
    pub generation: i32,
    pub member_id: String,
    pub instance_id: Option<String>,
}

/// Take members out of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaveGroup {
    pub group_id: String,
    pub members: Vec<LeavingMember>,
}

/// A member that leaves, named by member id or, by an administrator, by instance id alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeavingMember {
    pub member_id: String,
    pub instance_id: Option<String>,
    pub reason: Option<String>,
}

/// Store offsets. Partitions that do not exist, or that the client may not see, are filtered out by the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitOffsets {
    /// May be empty, for old clients.
    pub group_id: String,
    /// -1 when the caller is no member.
    pub generation: i32,
    pub member_id: String,
    pub instance_id: Option<String>,
    /// How long to keep the offsets (versions 2 to 4); `None` leaves it to the config.
    pub retention_ms: Option<i64>,
    pub topics: Vec<CommitTopic>,
}

/// Store offsets if a transaction is committed (TxnOffsetCommit). That the transaction is open, and that it has the
/// partition of the group in it, is checked by the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitTransactionalOffsets {
    pub group_id: String,
    /// The producer whose transaction it is. The step names it, see [`crate::Step::producer`].
    pub producer_id: ProducerId,
    pub producer_epoch: i16,
    /// -1 when the caller is no member, or does not say which (before version 3).
    pub generation: i32,
    pub member_id: String,
    pub instance_id: Option<String>,
    pub topics: Vec<CommitTopic>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitTopic {
    pub name: String,
    /// Stored with the offset, unless it is committed in a transaction; zero when not known.
    pub topic_id: TopicId,
    pub partitions: Vec<CommitPartition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitPartition {
    pub partition: i32,
    pub offset: i64,
    /// Negative means none.
    pub leader_epoch: i32,
    pub metadata: Option<String>,
}

/// Read committed offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchOffsets {
    pub group_id: String,
    pub topics: FetchTopics,
    /// Answer [`crate::GroupError::UnstableOffset`] for partitions with an open transactional commit.
    pub require_stable: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchTopics {
    /// Everything the group has committed.
    All,
    /// These, in this order, committed or not.
    Named(Vec<FetchTopic>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchTopic {
    pub name: String,
    /// When known, an offset that was committed for another incarnation of the topic is not returned.
    pub topic_id: TopicId,
    pub partitions: Vec<i32>,
}

/// Partitions of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetTopic {
    pub name: String,
    pub partitions: Vec<i32>,
}

/// Tell all about one classic group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribeGroup {
    pub group_id: String,
}

/// Name the groups of this shard. A filter that is `None` lets everything pass; one that is empty, nothing: a client
/// that asks for a state or a type that does not exist gets no groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListGroups {
    pub states: Option<Vec<GroupState>>,
    pub types: Option<Vec<GroupType>>,
}

/// A topic that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedTopic {
    pub name: String,
    pub topic_id: TopicId,
}

impl JoinGroup {
    /// The bytes of the longest name that a record of the group would have to hold.
    pub(crate) fn longest_name(&self) -> usize {
        let protocols = self.protocols.iter().map(|protocol| protocol.name.len());
        let names = [
            &self.group_id,
            &self.client_id,
            &self.client_host,
            &self.protocol_type,
        ];
        names
            .into_iter()
            .chain(&self.instance_id)
            .map(String::len)
            .chain(protocols)
            .max()
            .unwrap_or(0)
    }
}
