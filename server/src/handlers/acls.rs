//! DescribeAcls, CreateAcls and DeleteAcls, versions 1 to 3.
//!
//! Behaviour: without an authorizer there are no ACLs, and every request is SECURITY_DISABLED. A request with an
//! element of the kind "unknown" ends its connection, as on Apache Kafka, which refuses to parse it.
//!
//! Not yet: an authorizer.

use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::delete_acls_response::DeleteAclsFilterResult;
use kafka_protocol::messages::{
    CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse,
    DescribeAclsRequest, DescribeAclsResponse,
};

use super::refusal::Refusal;
use crate::api::{Ctx, Reply};
use crate::errors::ErrorCode;

/// The number of "unknown" among resource types, pattern types, operations and permission types alike.
const UNKNOWN: i8 = 0;

const UNKNOWN_ELEMENT: &str = "an ACL request has an element of unknown kind";

/// Answers DescribeAcls.
pub fn describe(_ctx: &Ctx<'_>, request: DescribeAclsRequest) -> Reply<DescribeAclsResponse> {
    let kinds = [
        request.resource_type_filter,
        request.pattern_type_filter,
        request.operation,
        request.permission_type,
    ];
    if kinds.contains(&UNKNOWN) {
        return Reply::Close(UNKNOWN_ELEMENT);
    }
    let refusal = security_disabled();
    Reply::Now(
        DescribeAclsResponse::default()
            .with_error_code(refusal.code.code())
            .with_error_message(refusal.message()),
    )
}

/// Answers CreateAcls.
pub fn create(_ctx: &Ctx<'_>, request: CreateAclsRequest) -> Reply<CreateAclsResponse> {
    let has_unknown = request.creations.iter().any(|acl| {
        [
            acl.resource_type,
            acl.resource_pattern_type,
            acl.operation,
            acl.permission_type,
        ]
        .contains(&UNKNOWN)
    });
    if has_unknown {
        return Reply::Close(UNKNOWN_ELEMENT);
    }
    let refusal = security_disabled();
    let result = AclCreationResult::default()
        .with_error_code(refusal.code.code())
        .with_error_message(refusal.message());
    Reply::Now(CreateAclsResponse::default().with_results(vec![result; request.creations.len()]))
}

/// Answers DeleteAcls.
pub fn delete(_ctx: &Ctx<'_>, request: DeleteAclsRequest) -> Reply<DeleteAclsResponse> {
    let has_unknown = request.filters.iter().any(|filter| {
        [
            filter.resource_type_filter,
            filter.pattern_type_filter,
            filter.operation,
            filter.permission_type,
        ]
        .contains(&UNKNOWN)
    });
    if has_unknown {
        return Reply::Close(UNKNOWN_ELEMENT);
    }
    let refusal = security_disabled();
    let result = DeleteAclsFilterResult::default()
        .with_error_code(refusal.code.code())
        .with_error_message(refusal.message());
    Reply::Now(
        DeleteAclsResponse::default().with_filter_results(vec![result; request.filters.len()]),
    )
}

fn security_disabled() -> Refusal {
    Refusal::new(ErrorCode::SecurityDisabled, "this broker has no authorizer")
}
