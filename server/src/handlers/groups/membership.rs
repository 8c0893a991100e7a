//! JoinGroup 0 to 9, SyncGroup 0 to 5, Heartbeat 0 to 4 and LeaveGroup 0 to 5.
//!
//! Behaviour: a join waits for the next generation and a sync for the leader's, however long that takes; a client
//! that goes away meanwhile stays a member until its session ends.
//!
//! Version notes: JoinGroup 0 has no rebalance timeout and uses the session timeout. From 4 on a new member must come
//! back with the id it is given (KIP-394), unless it has an instance id (5 on, KIP-345). The protocol name of a refused
//! join is empty below 7 and null from 7 on. From 9 on a static leader can be told to skip the assignment (KIP-814).
//! SyncGroup 5 must name protocol type and name. LeaveGroup below 3 has one member, whose error is the request's.

use std::sync::Arc;

use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;
use klamm_group_coordinator::{
    Command, GroupError, Heartbeat, JoinGroup, JoinRefusal, Joined, LeaveGroup, LeavingMember,
    LeftMember, Protocol, Reply as GroupReply, SyncGroup, Synced,
};
use uuid::Uuid;

use super::{ask, client_host, code_of, optional};
use crate::api::{Ctx, Reply};
use crate::errors::{self, ErrorCode};

const FIRST_REBALANCE_TIMEOUT_VERSION: i16 = 1;
const FIRST_KNOWN_MEMBER_ID_VERSION: i16 = 4;
const FIRST_NULL_PROTOCOL_NAME_VERSION: i16 = 7;
const FIRST_SKIP_ASSIGNMENT_VERSION: i16 = 9;
const FIRST_MANDATORY_PROTOCOL_VERSION: i16 = 5;
const FIRST_LEAVING_MEMBERS_VERSION: i16 = 3;

/// Answers JoinGroup.
pub fn join_group(ctx: &Ctx<'_>, request: JoinGroupRequest) -> Reply<JoinGroupResponse> {
    let (broker, version) = (Arc::clone(ctx.broker), ctx.version());
    let command = join_command(ctx, request);
    Reply::later(async move {
        let group_id = command.group_id.clone();
        match ask(&broker, &group_id, Command::JoinGroup(command)).await {
            Ok(GroupReply::JoinGroup(Ok(joined))) => joined_response(joined, version),
            Ok(GroupReply::JoinGroup(Err(refusal))) => refused_response(refusal, version),
            Ok(_) => join_error(ErrorCode::UnknownServerError, version),
            Err(error) => join_error(error, version),
        }
    })
}

fn join_command(ctx: &Ctx<'_>, request: JoinGroupRequest) -> JoinGroup {
    let version = ctx.version();
    let rebalance_timeout_ms = match version {
        FIRST_REBALANCE_TIMEOUT_VERSION.. => request.rebalance_timeout_ms,
        _ => request.session_timeout_ms,
    };
    let protocols = request
        .protocols
        .into_iter()
        .map(|protocol| Protocol {
            name: protocol.name.to_string(),
            metadata: protocol.metadata,
        })
        .collect();
    JoinGroup {
        group_id: request.group_id.to_string(),
        member_id: request.member_id.to_string(),
        instance_id: optional(request.group_instance_id),
        client_id: ctx.client_id().to_owned(),
        client_host: client_host(&ctx.connection.peer),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms,
        protocol_type: request.protocol_type.to_string(),
        protocols,
        reason: optional(request.reason),
        requires_known_member_id: version >= FIRST_KNOWN_MEMBER_ID_VERSION,
        supports_skipping_assignment: version >= FIRST_SKIP_ASSIGNMENT_VERSION,
        generated_member_uuid: Uuid::new_v4().to_string(),
    }
}

fn joined_response(joined: Joined, version: i16) -> JoinGroupResponse {
    let members = joined
        .members
        .into_iter()
        .map(|member| {
            JoinGroupResponseMember::default()
                .with_member_id(StrBytes::from_string(member.member_id))
                .with_group_instance_id(member.instance_id.map(StrBytes::from_string))
                .with_metadata(member.metadata)
        })
        .collect();
    JoinGroupResponse::default()
        .with_generation_id(joined.generation)
        .with_protocol_type(joined.protocol_type.map(StrBytes::from_string))
        .with_protocol_name(protocol_name(joined.protocol_name, version))
        .with_leader(StrBytes::from_string(joined.leader))
        .with_skip_assignment(joined.skip_assignment)
        .with_member_id(StrBytes::from_string(joined.member_id))
        .with_members(members)
}

fn refused_response(refusal: JoinRefusal, version: i16) -> JoinGroupResponse {
    join_error(errors::of_group_error(refusal.error), version)
        .with_member_id(StrBytes::from_string(refusal.member_id))
}

fn join_error(error: ErrorCode, version: i16) -> JoinGroupResponse {
    JoinGroupResponse::default()
        .with_error_code(error.code())
        .with_generation_id(-1)
        .with_protocol_type(None)
        .with_protocol_name(protocol_name(None, version))
}

/// No protocol name is an empty one below version 7, and an empty one is none from there on.
fn protocol_name(name: Option<String>, version: i16) -> Option<StrBytes> {
    let name = name
        .filter(|name| !name.is_empty())
        .map(StrBytes::from_string);
    match version {
        FIRST_NULL_PROTOCOL_NAME_VERSION.. => name,
        _ => Some(name.unwrap_or_default()),
    }
}

/// Answers SyncGroup.
pub fn sync_group(ctx: &Ctx<'_>, request: SyncGroupRequest) -> Reply<SyncGroupResponse> {
    let names_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
    if ctx.version() >= FIRST_MANDATORY_PROTOCOL_VERSION && !names_protocol {
        return Reply::Now(sync_error(ErrorCode::InconsistentGroupProtocol));
    }
    let broker = Arc::clone(ctx.broker);
    let command = SyncGroup {
        group_id: request.group_id.to_string(),
        generation: request.generation_id,
        member_id: request.member_id.to_string(),
        instance_id: optional(request.group_instance_id),
        protocol_type: optional(request.protocol_type),
        protocol_name: optional(request.protocol_name),
        assignments: request
            .assignments
            .into_iter()
            .map(|assigned| (assigned.member_id.to_string(), assigned.assignment))
            .collect(),
    };
    Reply::later(async move {
        let group_id = command.group_id.clone();
        match ask(&broker, &group_id, Command::SyncGroup(command)).await {
            Ok(GroupReply::SyncGroup(Ok(synced))) => synced_response(synced),
            Ok(GroupReply::SyncGroup(Err(error))) => sync_error(errors::of_group_error(error)),
            Ok(_) => sync_error(ErrorCode::UnknownServerError),
            Err(error) => sync_error(error),
        }
    })
}

fn synced_response(synced: Synced) -> SyncGroupResponse {
    SyncGroupResponse::default()
        .with_protocol_type(synced.protocol_type.map(StrBytes::from_string))
        .with_protocol_name(synced.protocol_name.map(StrBytes::from_string))
        .with_assignment(synced.assignment)
}

fn sync_error(error: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse::default()
        .with_error_code(error.code())
        .with_protocol_type(None)
        .with_protocol_name(None)
}

/// Answers Heartbeat.
pub fn heartbeat(ctx: &Ctx<'_>, request: HeartbeatRequest) -> Reply<HeartbeatResponse> {
    let broker = Arc::clone(ctx.broker);
    let command = Heartbeat {
        group_id: request.group_id.to_string(),
        generation: request.generation_id,
        member_id: request.member_id.to_string(),
        instance_id: optional(request.group_instance_id),
    };
    Reply::later(async move {
        let group_id = command.group_id.clone();
        let code = match ask(&broker, &group_id, Command::Heartbeat(command)).await {
            Ok(GroupReply::Heartbeat(result)) => code_of(&result),
            Ok(_) => ErrorCode::UnknownServerError.code(),
            Err(error) => error.code(),
        };
        HeartbeatResponse::default().with_error_code(code)
    })
}

/// Answers LeaveGroup.
pub fn leave_group(ctx: &Ctx<'_>, request: LeaveGroupRequest) -> Reply<LeaveGroupResponse> {
    let (broker, version) = (Arc::clone(ctx.broker), ctx.version());
    let members = match version {
        FIRST_LEAVING_MEMBERS_VERSION.. => request.members.into_iter().map(leaving).collect(),
        _ => vec![LeavingMember {
            member_id: request.member_id.to_string(),
            instance_id: None,
            reason: None,
        }],
    };
    let command = LeaveGroup {
        group_id: request.group_id.to_string(),
        members,
    };
    Reply::later(async move {
        let group_id = command.group_id.clone();
        match ask(&broker, &group_id, Command::LeaveGroup(command)).await {
            Ok(GroupReply::LeaveGroup(result)) => left_response(result, version),
            Ok(_) => leave_error(ErrorCode::UnknownServerError.code()),
            Err(error) => leave_error(error.code()),
        }
    })
}

fn leaving(member: MemberIdentity) -> LeavingMember {
    LeavingMember {
        member_id: member.member_id.to_string(),
        instance_id: optional(member.group_instance_id),
        reason: optional(member.reason),
    }
}

fn left_response(result: Result<Vec<LeftMember>, GroupError>, version: i16) -> LeaveGroupResponse {
    let left = match result {
        Ok(left) => left,
        Err(error) => return leave_error(errors::of_group_error(error).code()),
    };
    if version < FIRST_LEAVING_MEMBERS_VERSION {
        return leave_error(
            left.first()
                .map_or(errors::NONE, |member| code_of(&member.result)),
        );
    }
    let members = left
        .into_iter()
        .map(|member| {
            MemberResponse::default()
                .with_error_code(code_of(&member.result))
                .with_member_id(StrBytes::from_string(member.member_id))
                .with_group_instance_id(member.instance_id.map(StrBytes::from_string))
        })
        .collect();
    LeaveGroupResponse::default().with_members(members)
}

fn leave_error(code: i16) -> LeaveGroupResponse {
    LeaveGroupResponse::default().with_error_code(code)
}
