//! ApiVersions, versions 0 to 4.
//!
//! Behaviour: answers the table of `api.rs`. A version above the table's gets an answer of version 0 with
//! UNSUPPORTED_VERSION that names only the range of ApiVersions, so that the client can ask again (KIP-511).
//! From version 3 a software name or version that is not made of letters, digits, dots and dashes is refused with
//! INVALID_REQUEST. Supported features whose lowest level is 0 are left out below version 4, since older clients
//! refuse them.

use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse};
use klamm_codec::Segment;

use crate::api::{APIS, Ctx, Handled, Reply};
use crate::errors::ErrorCode;

/// Answers ApiVersions.
pub fn handle(ctx: &Ctx<'_>, request: ApiVersionsRequest) -> Reply<ApiVersionsResponse> {
    if ctx.version() >= 3
        && !(is_software_name(&request.client_software_name)
            && is_software_name(&request.client_software_version))
    {
        return Reply::Now(
            ApiVersionsResponse::default().with_error_code(ErrorCode::InvalidRequest.code()),
        );
    }
    let ranges = APIS
        .iter()
        .map(|api| {
            ApiVersion::default()
                .with_api_key(api.key as i16)
                .with_min_version(api.advertised_min)
                .with_max_version(api.max)
        })
        .collect();
    let mut response = ApiVersionsResponse::default().with_api_keys(ranges);
    if ctx.version() >= 3 {
        response = response.with_finalized_features_epoch(-1);
    }
    Reply::Now(response)
}

/// The answer to a version of ApiVersions that is not served: always of version 0.
pub fn unsupported_version(correlation_id: i32) -> Handled {
    let range = APIS
        .iter()
        .find(|api| api.key == ApiKey::ApiVersions)
        .map(|api| {
            ApiVersion::default()
                .with_api_key(api.key as i16)
                .with_min_version(api.advertised_min)
                .with_max_version(api.max)
        });
    let response = ApiVersionsResponse::default()
        .with_error_code(ErrorCode::UnsupportedVersion.code())
        .with_api_keys(range.into_iter().collect());
    match klamm_codec::encode_response(correlation_id, 0, &response) {
        Ok(frame) => Handled::Now(vec![Segment::Bytes(frame)]),
        Err(error) => Handled::Close(error.to_string()),
    }
}

/// Letters and digits, with dots and dashes inside (ApiVersionsRequest.isValid).
fn is_software_name(name: &str) -> bool {
    let is_edge = |c: char| c.is_ascii_alphanumeric();
    name.starts_with(is_edge)
        && name.ends_with(is_edge)
        && name.chars().all(|c| is_edge(c) || c == '.' || c == '-')
}
