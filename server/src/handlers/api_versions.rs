//! ApiVersions, versions 0 to 4.
//!
//! Behaviour: answers the table of `api.rs`. A version above the table's gets an answer of version 0 with
//! UNSUPPORTED_VERSION that names only the range of ApiVersions, so that the client can ask again (KIP-511).
//! From version 3 a software name or version that is not made of letters, digits, dots and dashes is refused with
//! INVALID_REQUEST. Supported features whose lowest level is 0 are left out below version 4, since older clients
//! refuse them.

use kafka_protocol::messages::api_versions_response::{
    ApiVersion, FinalizedFeatureKey, SupportedFeatureKey,
};
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::StrBytes;
use klamm_codec::Segment;

use crate::api::{APIS, Ctx, Handled, Reply};
use crate::cluster::ClusterImage;
use crate::errors::ErrorCode;
use crate::features;

/// First version whose clients take a supported feature that begins at level 0.
const FIRST_LEVEL_ZERO_VERSION: i16 = 4;

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
        response = with_features(response, &ctx.broker.image(), ctx.version());
    }
    Reply::Now(response)
}

/// Adds what this node supports and what the cluster has agreed on.
fn with_features(
    response: ApiVersionsResponse,
    image: &ClusterImage,
    version: i16,
) -> ApiVersionsResponse {
    let supported = features::supported()
        .into_iter()
        .filter(|feature| version >= FIRST_LEVEL_ZERO_VERSION || feature.level_first > 0)
        .map(|feature| {
            SupportedFeatureKey::default()
                .with_name(StrBytes::from_string(feature.name))
                .with_min_version(feature.level_first)
                .with_max_version(feature.level_last)
        })
        .collect();
    let finalized = image
        .features
        .levels
        .iter()
        .map(|(name, level)| {
            FinalizedFeatureKey::default()
                .with_name(StrBytes::from_string(name.clone()))
                .with_max_version_level(*level)
                .with_min_version_level(*level)
        })
        .collect();
    response
        .with_supported_features(supported)
        .with_finalized_features(finalized)
        .with_finalized_features_epoch(image.offset)
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
