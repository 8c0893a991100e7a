//! DescribeGroups 0 to 6, ListGroups 0 to 5 and DeleteGroups 0 to 2.
//!
//! Version notes: a group that does not exist is described as dead, from DescribeGroups 6 on with GROUP_ID_NOT_FOUND
//! (KIP-1043). ListGroups filters by state from 4 on (KIP-518) and by type from 5 on (KIP-848); a filter of names that
//! mean nothing finds nothing.

use std::collections::HashSet;
use std::sync::Arc;

use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    GroupId, ListGroupsRequest, ListGroupsResponse,
};
use kafka_protocol::protocol::StrBytes;
use klamm_group_coordinator::{
    Command, DescribeGroup, GroupDescription, GroupError, GroupListing, GroupState, GroupType,
    ListGroups, MemberDescription, Reply as GroupReply,
};

use super::{ask, code_of, order};
use crate::api::{Ctx, Reply};
use crate::broker::Broker;
use crate::cluster::topic_name::GROUP_METADATA_TOPIC_NAME;
use crate::errors::{self, ErrorCode};
use crate::handlers::authorized::{GROUP_OPERATIONS, NOT_ASKED};

const FIRST_OPERATIONS_VERSION: i16 = 3;
const FIRST_NOT_FOUND_VERSION: i16 = 6;

/// Answers DescribeGroups.
pub fn describe_groups(
    ctx: &Ctx<'_>,
    request: DescribeGroupsRequest,
) -> Reply<DescribeGroupsResponse> {
    let (broker, version) = (Arc::clone(ctx.broker), ctx.version());
    let asks_operations =
        version >= FIRST_OPERATIONS_VERSION && request.include_authorized_operations;
    Reply::later(async move {
        let mut groups = Vec::with_capacity(request.groups.len());
        for group_id in order::by_partition(request.groups, partition_count(&broker)) {
            let mut group = describe(&broker, &group_id, version).await;
            if asks_operations && group.error_code == errors::NONE {
                group.authorized_operations = GROUP_OPERATIONS;
            }
            groups.push(group.with_group_id(group_id));
        }
        DescribeGroupsResponse::default().with_groups(groups)
    })
}

async fn describe(broker: &Arc<Broker>, group_id: &GroupId, version: i16) -> DescribedGroup {
    let command = Command::DescribeGroup(DescribeGroup {
        group_id: group_id.to_string(),
    });
    let group = DescribedGroup::default().with_authorized_operations(NOT_ASKED);
    match ask(broker, group_id, command).await {
        Ok(GroupReply::DescribeGroup(Ok(description))) => described(group, description),
        Ok(GroupReply::DescribeGroup(Err(GroupError::GroupNotFound))) => {
            let group = group.with_group_state(StrBytes::from_static_str(GroupState::Dead.name()));
            if version < FIRST_NOT_FOUND_VERSION {
                return group;
            }
            let message =
                StrBytes::from_string(format!("group {} does not exist", group_id.as_str()));
            group
                .with_error_code(ErrorCode::GroupIdNotFound.code())
                .with_error_message(Some(message))
        }
        Ok(GroupReply::DescribeGroup(Err(error))) => {
            group.with_error_code(errors::of_group_error(error).code())
        }
        Ok(_) => group.with_error_code(ErrorCode::UnknownServerError.code()),
        Err(error) => group.with_error_code(error.code()),
    }
}

fn described(group: DescribedGroup, description: GroupDescription) -> DescribedGroup {
    group
        .with_group_state(StrBytes::from_static_str(description.state.name()))
        .with_protocol_type(StrBytes::from_string(description.protocol_type))
        .with_protocol_data(StrBytes::from_string(description.protocol_name))
        .with_members(
            description
                .members
                .into_iter()
                .map(described_member)
                .collect(),
        )
}

fn described_member(member: MemberDescription) -> DescribedGroupMember {
    DescribedGroupMember::default()
        .with_member_id(StrBytes::from_string(member.member_id))
        .with_group_instance_id(member.instance_id.map(StrBytes::from_string))
        .with_client_id(StrBytes::from_string(member.client_id))
        .with_client_host(StrBytes::from_string(member.client_host))
        .with_member_metadata(member.metadata)
        .with_member_assignment(member.assignment)
}

/// Answers ListGroups.
pub fn list_groups(ctx: &Ctx<'_>, request: ListGroupsRequest) -> Reply<ListGroupsResponse> {
    let broker = Arc::clone(ctx.broker);
    let command = ListGroups {
        states: filter(&request.states_filter, GroupState::from_name),
        types: filter(&request.types_filter, GroupType::from_name),
    };
    Reply::later(async move {
        match broker
            .groups
            .submit_to_all(&broker, Command::ListGroups(command))
            .await
        {
            Ok(replies) => {
                let groups = replies.into_iter().flat_map(listings).map(listed).collect();
                ListGroupsResponse::default().with_groups(groups)
            }
            Err(error) => ListGroupsResponse::default().with_error_code(error.code().code()),
        }
    })
}

/// No names let everything pass; names that mean nothing let nothing pass.
fn filter<T>(names: &[StrBytes], parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    (!names.is_empty()).then(|| names.iter().filter_map(|name| parse(name)).collect())
}

fn listings(reply: GroupReply) -> Vec<GroupListing> {
    match reply {
        GroupReply::ListGroups(listings) => listings,
        _ => Vec::new(),
    }
}

fn listed(listing: GroupListing) -> ListedGroup {
    ListedGroup::default()
        .with_group_id(GroupId(StrBytes::from_string(listing.group_id)))
        .with_protocol_type(StrBytes::from_string(listing.protocol_type))
        .with_group_state(StrBytes::from_static_str(listing.state.name()))
        .with_group_type(StrBytes::from_static_str(listing.group_type.name()))
}

/// Answers DeleteGroups. A group that is named twice is deleted, and answered, once.
pub fn delete_groups(ctx: &Ctx<'_>, request: DeleteGroupsRequest) -> Reply<DeleteGroupsResponse> {
    let broker = Arc::clone(ctx.broker);
    Reply::later(async move {
        let mut seen = HashSet::new();
        let mut group_ids = request.groups_names;
        group_ids.retain(|group_id| seen.insert(group_id.clone()));
        let mut results = Vec::with_capacity(group_ids.len());
        for group_id in order::by_partition_and_hash(group_ids, partition_count(&broker)) {
            let command = Command::DeleteGroup {
                group_id: group_id.to_string(),
            };
            let code = match ask(&broker, &group_id, command).await {
                Ok(GroupReply::DeleteGroup(result)) => code_of(&result),
                Ok(_) => ErrorCode::UnknownServerError.code(),
                Err(error) => error.code(),
            };
            results.push(
                DeletableGroupResult::default()
                    .with_group_id(group_id)
                    .with_error_code(code),
            );
        }
        DeleteGroupsResponse::default().with_results(results)
    })
}

/// How many partitions groups are spread over; none before the first group is looked for.
fn partition_count(broker: &Broker) -> usize {
    broker
        .image()
        .topic(GROUP_METADATA_TOPIC_NAME)
        .map_or(0, |topic| topic.partitions.len())
}
