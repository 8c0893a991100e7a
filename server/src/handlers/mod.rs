//! One file for each family of APIs: from Kafka messages to the rooms that do the work, and back.
//!
//! A handler is `pub fn handle(ctx: &Ctx<'_>, request: XRequest) -> Reply<XResponse>`. What must be ordered with
//! other requests of the connection happens before it returns; what takes time goes into `Reply::Later`. Produce and
//! Fetch decode and encode for themselves, so that record bytes are not copied.
//! Each file starts with the versions it serves, what it does, and what it does not do yet.

pub mod acls;
pub mod api_versions;
mod authorized;
pub mod cluster;
pub mod configs;
pub mod delete_records;
pub mod describe_topic_partitions;
pub mod elections;
pub mod fetch;
pub mod find_coordinator;
pub mod groups;
pub mod list_offsets;
pub mod log_dirs;
pub mod metadata;
pub mod offset_for_leader_epoch;
pub mod offsets;
pub mod produce;
pub mod quorum;
mod reach;
pub mod reassignments;
mod refusal;
#[cfg(test)]
pub(crate) mod testing;
pub mod topics;
pub mod transactions;
pub mod update_features;
