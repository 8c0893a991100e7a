//! AlterConfigs, versions 0 to 2, and IncrementalAlterConfigs, versions 0 and 1 (`ConfigAdminManager`,
//! `ConfigurationControlManager`).
//!
//! Behaviour: every resource succeeds or fails by itself and as a whole. AlterConfigs replaces all of a resource's
//! configs; IncrementalAlterConfigs sets, deletes, appends to and subtracts from single ones. What succeeds is
//! written as one change and in effect, on open logs too, when the answer leaves.
//!
//! Not yet: levels of loggers. No logger exists as far as this API is concerned.

use std::collections::BTreeSet;
use std::sync::Arc;

use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse as LegacyResponse;
use kafka_protocol::messages::incremental_alter_configs_request::AlterableConfig;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::edit::{Edit, Step};
use super::{Kind, check_is_this_broker, edit};
use crate::api::{Ctx, Reply};
use crate::broker::Broker;
use crate::cluster::{ConfigResource, ProposeError, changes};
use crate::config::Operation;
use crate::errors::ErrorCode;
use crate::handlers::refusal::{Refusal, fields};

/// Answers AlterConfigs.
pub fn alter(ctx: &Ctx<'_>, request: AlterConfigsRequest) -> Reply<AlterConfigsResponse> {
    let broker = Arc::clone(ctx.broker);
    Reply::blocking(move || {
        let resources: Vec<Wanted> = request
            .resources
            .iter()
            .map(|resource| {
                let configs = resource
                    .configs
                    .iter()
                    .map(|config| (config.name.clone(), config.value.clone()));
                Wanted::new(
                    resource.resource_type,
                    &resource.resource_name,
                    Edit::Replace(configs.collect()),
                )
            })
            .collect();
        let outcomes = apply(&broker, &resources, request.validate_only);
        let responses = resources.iter().zip(&outcomes).map(|(resource, outcome)| {
            let (code, message) = fields(outcome);
            LegacyResponse::default()
                .with_error_code(code)
                .with_error_message(message)
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.name.clone())
        });
        AlterConfigsResponse::default().with_responses(responses.collect())
    })
}

/// Answers IncrementalAlterConfigs.
pub fn incremental_alter(
    ctx: &Ctx<'_>,
    request: IncrementalAlterConfigsRequest,
) -> Reply<IncrementalAlterConfigsResponse> {
    let broker = Arc::clone(ctx.broker);
    Reply::blocking(move || {
        let resources: Vec<Wanted> = request
            .resources
            .iter()
            .map(|resource| {
                let step = |config: &AlterableConfig| Step {
                    name: config.name.clone(),
                    operation: config.config_operation,
                    value: config.value.clone(),
                };
                let steps = resource.configs.iter().map(step).collect();
                Wanted::new(
                    resource.resource_type,
                    &resource.resource_name,
                    Edit::Steps(steps),
                )
            })
            .collect();
        let outcomes = apply(&broker, &resources, request.validate_only);
        let responses = resources.iter().zip(&outcomes).map(|(resource, outcome)| {
            let (code, message) = fields(outcome);
            AlterConfigsResourceResponse::default()
                .with_error_code(code)
                .with_error_message(message)
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.name.clone())
        });
        IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
    })
}

/// What a request wants of one resource.
pub(super) struct Wanted {
    pub resource_type: i8,
    pub name: StrBytes,
    pub edit: Edit,
}

impl Wanted {
    pub(super) fn new(resource_type: i8, name: &StrBytes, edit: Edit) -> Self {
        Self {
            resource_type,
            name: name.clone(),
            edit,
        }
    }

    fn resource(&self) -> ConfigResource {
        ConfigResource {
            kind: self.resource_type,
            name: self.name.to_string(),
        }
    }
}

/// Makes the changes that can be made, all in one, and says of each resource how it went. Blocks on the disk.
pub(super) fn apply(
    broker: &Broker,
    resources: &[Wanted],
    validate_only: bool,
) -> Vec<Result<(), Refusal>> {
    let repeated = repeated(resources);
    let looked_at: Vec<Result<(), Refusal>> = resources
        .iter()
        .map(|wanted| {
            if repeated.contains(&(wanted.resource_type, wanted.name.as_str())) {
                return Err(Refusal::new(
                    ErrorCode::InvalidRequest,
                    "the resource is in the request more than once",
                ));
            }
            preprocess(broker, wanted)
        })
        .collect();
    if looked_at.iter().all(Result::is_err) {
        return looked_at;
    }
    let stumbles = |(wanted, looked_at): (&Wanted, &Result<(), Refusal>)| {
        looked_at.is_ok() && wanted.edit.has_unknown_operation()
    };
    if resources.iter().zip(&looked_at).any(stumbles) {
        // Kafka's controller falls over an operation that it does not know, with everything that the broker passed on.
        let refusal = Refusal::bare(ErrorCode::UnknownServerError);
        return looked_at
            .into_iter()
            .map(|looked_at| looked_at.and(Err(refusal.clone())))
            .collect();
    }
    if validate_only {
        let image = broker.image();
        let edited = |(wanted, looked_at): (&Wanted, Result<(), Refusal>)| {
            looked_at.and_then(|()| {
                edit::edited(&broker.configs, &image, &wanted.resource(), &wanted.edit).map(drop)
            })
        };
        return resources.iter().zip(looked_at).map(edited).collect();
    }
    let proposed = broker.propose(|proposal| {
        let mut outcomes = Vec::with_capacity(resources.len());
        for (wanted, looked_at) in resources.iter().zip(&looked_at) {
            let resource = wanted.resource();
            let edited = looked_at.clone().and_then(|()| {
                edit::edited(&broker.configs, proposal.image(), &resource, &wanted.edit)
            });
            outcomes.push(edited.map(|changes| {
                for (name, value) in changes {
                    changes::set_config(proposal, &resource, &name, value.as_deref());
                }
            }));
        }
        outcomes
    });
    match proposed {
        Ok((outcomes, _)) => outcomes,
        Err(error) => {
            let refusal = not_written(&error);
            looked_at
                .into_iter()
                .map(|looked_at| looked_at.and(Err(refusal.clone())))
                .collect()
        }
    }
}

/// The resources that a request names more than once.
fn repeated(resources: &[Wanted]) -> BTreeSet<(i8, &str)> {
    let mut seen = BTreeSet::new();
    let keys = resources
        .iter()
        .map(|wanted| (wanted.resource_type, wanted.name.as_str()));
    keys.filter(|key| !seen.insert(*key)).collect()
}

/// What a broker looks at before it asks the controller (`ConfigAdminManager.preprocess`).
fn preprocess(broker: &Broker, wanted: &Wanted) -> Result<(), Refusal> {
    let invalid = |text: String| Err(Refusal::new(ErrorCode::InvalidRequest, text));
    let mut names = BTreeSet::new();
    if let Some(name) = wanted
        .edit
        .names()
        .find(|name| !names.insert(name.as_str()))
    {
        return invalid(format!("config {name} is in the request more than once"));
    }
    if let Some(name) = wanted.edit.name_without_value() {
        return invalid(format!("config {name} has no value"));
    }
    match (Kind::of(wanted.resource_type), &wanted.edit) {
        (Some(Kind::Broker), edit) => {
            if !wanted.name.is_empty() {
                check_is_this_broker(&wanted.name, broker.node_id)?;
            }
            edit::check_broker(&broker.configs, &broker.image(), &wanted.resource(), edit)
        }
        (Some(Kind::BrokerLogger), Edit::Steps(steps)) => {
            check_is_this_broker(&wanted.name, broker.node_id)?;
            steps.first().map_or(Ok(()), no_logger)
        }
        (Some(Kind::Topic | Kind::ClientMetrics | Kind::Group), _) => Ok(()),
        (Some(Kind::BrokerLogger) | None, _) => invalid(format!(
            "configs of resources of type {} cannot be changed",
            wanted.resource_type
        )),
    }
}

/// What can be said of a step on a logger when there are none (`RuntimeLoggerManager`).
fn no_logger(step: &Step) -> Result<(), Refusal> {
    match step.operation() {
        Some(Operation::Set | Operation::Delete) => Err(Refusal::new(
            ErrorCode::InvalidConfig,
            format!("there is no logger {}", step.name),
        )),
        Some(Operation::Append | Operation::Subtract) => Err(Refusal::new(
            ErrorCode::InvalidRequest,
            "the level of a logger can only be set and deleted",
        )),
        None => Err(Refusal::bare(ErrorCode::UnknownServerError)),
    }
}

fn not_written(error: &ProposeError) -> Refusal {
    match error {
        ProposeError::TooLarge { .. } => Refusal::new(
            ErrorCode::PolicyViolation,
            "the request changes too much at once",
        ),
        ProposeError::Storage(_) | ProposeError::Failed(_) => {
            tracing::error!(%error, "a change of configs could not be written");
            Refusal::new(
                ErrorCode::KafkaStorageError,
                "the metadata log could not be written",
            )
        }
        ProposeError::Contradiction(_) => {
            tracing::error!(%error, "a change of configs was refused");
            Refusal::bare(ErrorCode::UnknownServerError)
        }
    }
}
