//! Consumer groups, offsets and transactions as pure state machines over records.
//!
//! A [`Shard`] is what one partition of `__consumer_offsets` says, plus what its members are waiting for.
//! It has no clock, no IO and no randomness: the same calls with the same arguments give the same bytes.
//!
//! ```text
//!   loading   log ──▶ replay, replay, ... ──▶ loaded(now)
//!   serving   command ──▶ handle(now, ticket, command) ──▶ Step { records, replies }
//!             clock   ──▶ tick(now)                    ──▶ Step { records, replies }
//!             Step.records ──▶ log; when they are durable, Step.replies ──▶ clients
//! ```
//!
//! The driver owes the shard four things:
//! 1. `now` never goes backwards between two calls.
//! 2. Steps reach the log in the order in which they were made.
//! 3. The replies of a step leave only when its records and those of all earlier steps are durable.
//! 4. When the append of a step fails, the shard is dropped and a new one is built by replay.
//!
//! [`txn`] holds the same for transactions and `__transaction_state`. The two know nothing of each other: offsets that
//! are committed in a transaction reach their [`Shard`] as a command, and the end of the transaction as a marker.

mod classic;
mod command;
mod config;
mod error;
mod ids;
mod offsets;
mod record;
mod reply;
mod shard;
mod step;
mod timers;
mod turn;
pub mod txn;

pub use command::{
    Command, CommitOffsets, CommitPartition, CommitTopic, CommitTransactionalOffsets, DeletedTopic,
    DescribeGroup, FetchOffsets, FetchTopic, FetchTopics, Heartbeat, JoinGroup, LeaveGroup,
    LeavingMember, ListGroups, OffsetTopic, Protocol, SyncGroup,
};
pub use config::GroupConfig;
pub use error::{GroupError, ReplayError};
pub use ids::{Millis, ProducerId, Ticket, TopicId};
pub use reply::{
    CommittedPartition, CommittedTopic, DeletedPartition, DeletedTopicOffsets, FetchedPartition,
    FetchedTopic, GroupDescription, GroupListing, GroupState, GroupType, JoinRefusal, Joined,
    JoinedMember, LeftMember, MemberDescription, OffsetValue, Reply, Synced,
};
pub use shard::Shard;
pub use step::{Record, Replayed, Step, TransactionOutcome};
