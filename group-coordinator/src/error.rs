//! Why a command was refused, and why a record could not be replayed.

use std::fmt;

/// Why a command, or one part of it, was refused.
///
/// Each variant is one cause; which Kafka error code it becomes is the server's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupError {
    /// The command needs a group id and the one given is empty.
    EmptyGroupId,
    /// The session timeout lies outside what the config allows.
    SessionTimeoutOutOfRange,
    /// There is no such group.
    GroupNotFound,
    /// There is no such member, or no group in which it could be one.
    UnknownMember,
    /// The member must join again with the member id that it was given.
    MemberIdRequired,
    /// The instance id belongs to another member id by now; the caller must stop.
    FencedInstance,
    /// A join with an instance id named a member that was admitted without one. Kafka has no code for it.
    InstanceIdOfPendingMember,
    /// The protocol type differs from the group's, or no protocol is supported by every member.
    InconsistentProtocol,
    /// The group has as many members as it may have.
    GroupFull,
    /// The generation is not the group's current one.
    IllegalGeneration,
    /// The group is rebalancing; join again.
    RebalanceInProgress,
    /// The group has members, so that the command may not run.
    NonEmptyGroup,
    /// The group is subscribed to the topic, so that its offsets may not be deleted.
    SubscribedToTopic,
    /// The metadata string of a commit is longer than the config allows.
    OffsetMetadataTooLarge,
    /// A transaction that commits an offset for the partition is still open.
    UnstableOffset,
    /// A name in the command, or one made from it, is longer than a record can hold. Kafka has no code for it.
    NameTooLong,
    /// The records of the command do not fit into one batch. Kafka has no code for it.
    RecordsTooLarge,
}

impl fmt::Display for GroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmptyGroupId => "group id is empty",
            Self::SessionTimeoutOutOfRange => "session timeout is out of range",
            Self::GroupNotFound => "group does not exist",
            Self::UnknownMember => "member is not known to the group",
            Self::MemberIdRequired => "member has to join again with its new member id",
            Self::FencedInstance => "instance id belongs to another member",
            Self::InstanceIdOfPendingMember => {
                "instance id given for a member that was admitted without one"
            }
            Self::InconsistentProtocol => "no common protocol with the group",
            Self::GroupFull => "group has as many members as it may have",
            Self::IllegalGeneration => "generation is not the current one",
            Self::RebalanceInProgress => "group is rebalancing",
            Self::NonEmptyGroup => "group has members",
            Self::SubscribedToTopic => "group is subscribed to the topic",
            Self::OffsetMetadataTooLarge => "offset metadata is too long",
            Self::UnstableOffset => "offset is part of an open transaction",
            Self::NameTooLong => "name is longer than a record can hold",
            Self::RecordsTooLarge => "records do not fit into one batch",
        })
    }
}

impl std::error::Error for GroupError {}

/// Why a record cannot be replayed: its bytes are not what its type and version say. The shard is unchanged;
/// the driver must not serve a shard that misses a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayError {
    /// The bytes end before the named field does.
    Truncated { field: &'static str },
    /// The named field holds something that its type does not allow.
    Malformed { field: &'static str },
    /// A record of a known type has a value of a version that this release does not know.
    UnsupportedVersion { record: &'static str, version: i16 },
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { field } => write!(f, "record ends within field {field}"),
            Self::Malformed { field } => write!(f, "record has a malformed field {field}"),
            Self::UnsupportedVersion { record, version } => {
                write!(f, "unsupported version {version} of {record}")
            }
        }
    }
}

impl std::error::Error for ReplayError {}
