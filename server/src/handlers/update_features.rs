//! UpdateFeatures, versions 0 to 2 (KIP-584, KIP-1022).
//!
//! Behaviour: all features of a request change, or none. One that may not change fails the request as a whole with
//! INVALID_UPDATE_VERSION and says why.
//!
//! Version notes: 0 has no kinds of update, every one is an upgrade; 1 adds `validate_only`; 2 leaves out the results of
//! single features.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::update_features_request::FeatureUpdateKey;
use kafka_protocol::messages::update_features_response::UpdatableFeatureResult;
use kafka_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};
use kafka_protocol::protocol::StrBytes;

use super::refusal::{self, Refusal};
use crate::api::{Ctx, Reply};
use crate::broker::Broker;
use crate::cluster::record::MetadataRecord;
use crate::errors::ErrorCode;
use crate::features::{self, Update, UpdateKind};

const LAST_RESULTS_VERSION: i16 = 1;
/// What Kafka writes into the message of a result without an error.
const NO_ERROR_MESSAGE: &str = "NONE";

/// Answers UpdateFeatures.
pub fn handle(ctx: &Ctx<'_>, request: UpdateFeaturesRequest) -> Reply<UpdateFeaturesResponse> {
    let (broker, version) = (Arc::clone(ctx.broker), ctx.version());
    Reply::blocking(move || {
        let outcome = update(&broker, &request);
        let (code, message) = refusal::fields(&outcome);
        let response = UpdateFeaturesResponse::default()
            .with_error_code(code)
            .with_error_message(message);
        if outcome.is_err() || version > LAST_RESULTS_VERSION {
            return response;
        }
        let results = request.feature_updates.iter().map(|update| {
            UpdatableFeatureResult::default()
                .with_feature(update.feature.clone())
                .with_error_message(Some(StrBytes::from_static_str(NO_ERROR_MESSAGE)))
        });
        response.with_results(results.collect())
    })
}

fn update(broker: &Broker, request: &UpdateFeaturesRequest) -> Result<(), Refusal> {
    // Of two updates of one feature the later counts.
    let updates: BTreeMap<String, Update> = request
        .feature_updates
        .iter()
        .map(|key| (key.feature.to_string(), requested(key)))
        .collect();
    if request.validate_only {
        return features::check(&broker.image().features.levels, &updates).map_err(refused);
    }
    let (outcome, _) = broker
        .propose(|proposal| {
            features::check(&proposal.image().features.levels, &updates)?;
            for (name, update) in &updates {
                proposal.push(MetadataRecord::FeatureLevel {
                    name: name.clone(),
                    level: update.level,
                });
            }
            Ok(())
        })
        .map_err(|error| Refusal::new(ErrorCode::KafkaStorageError, error.to_string()))?;
    outcome.map_err(refused)
}

fn requested(key: &FeatureUpdateKey) -> Update {
    Update {
        level: key.max_version_level,
        kind: match key.upgrade_type {
            1 => Some(UpdateKind::Upgrade),
            2 => Some(UpdateKind::SafeDowngrade),
            3 => Some(UpdateKind::UnsafeDowngrade),
            _ => None,
        },
    }
}

fn refused(reason: String) -> Refusal {
    Refusal::new(ErrorCode::InvalidUpdateVersion, reason)
}
