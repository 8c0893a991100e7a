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

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::create_acls_request::AclCreation;
    use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;

    use super::super::testing::TestBroker;
    use super::*;

    /// The codes of "any" or of the first real kind; the last of each is one that no Kafka knows.
    const KINDS: [i8; 3] = [1, 3, 99];

    #[tokio::test]
    async fn without_an_authorizer_every_acl_request_is_refused() {
        let broker = TestBroker::start(&[]).await;
        let disabled = ErrorCode::SecurityDisabled.code();
        for version in 1..=3 {
            for kind in KINDS {
                let filter = DescribeAclsRequest::default()
                    .with_resource_type_filter(kind)
                    .with_pattern_type_filter(3)
                    .with_operation(kind)
                    .with_permission_type(kind);
                let response = broker.call(describe, version, filter).await;
                assert_eq!(
                    (response.error_code, response.error_message.is_some()),
                    (disabled, true)
                );
            }
            let acl = AclCreation::default()
                .with_resource_type(2)
                .with_resource_pattern_type(3)
                .with_operation(2)
                .with_permission_type(3);
            let request = CreateAclsRequest::default().with_creations(vec![acl; 2]);
            let response = broker.call(create, version, request).await;
            assert_eq!(
                response
                    .results
                    .iter()
                    .map(|result| result.error_code)
                    .collect::<Vec<_>>(),
                [disabled; 2]
            );
            let filter = DeleteAclsFilter::default()
                .with_resource_type_filter(1)
                .with_pattern_type_filter(3)
                .with_operation(1)
                .with_permission_type(1);
            let request = DeleteAclsRequest::default().with_filters(vec![filter; 2]);
            let response = broker.call(delete, version, request).await;
            assert_eq!(
                response
                    .filter_results
                    .iter()
                    .map(|result| result.error_code)
                    .collect::<Vec<_>>(),
                [disabled; 2]
            );
        }
    }

    #[tokio::test]
    async fn an_element_of_unknown_kind_ends_the_connection() {
        let broker = TestBroker::start(&[]).await;
        assert!(broker.closes(describe, 3, DescribeAclsRequest::default()));
        let creations = vec![
            AclCreation::default()
                .with_resource_type(2)
                .with_resource_pattern_type(3)
                .with_operation(2),
        ];
        assert!(broker.closes(
            create,
            3,
            CreateAclsRequest::default().with_creations(creations)
        ));
        let filters = vec![DeleteAclsFilter::default().with_resource_type_filter(2)];
        assert!(broker.closes(
            delete,
            3,
            DeleteAclsRequest::default().with_filters(filters)
        ));
        assert!(!broker.closes(create, 3, CreateAclsRequest::default()));
    }
}
