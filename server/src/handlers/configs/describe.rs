//! DescribeConfigs, versions 1 to 4 (`ConfigHelper`).
//!
//! Behaviour: every resource is answered by itself, in the order of the request. Topics must exist; groups and client
//! metrics subscriptions need not. A broker answers for itself and, under the empty name, with the dynamic configs
//! of all brokers. A request with a resource of an unknown type is refused as a whole.
//!
//! Versions: 3 adds types and texts.
//!
//! Not yet: loggers of a broker; the answer lists none.

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Kind, check_is_this_broker};
use crate::api::{Ctx, Reply};
use crate::broker::Broker;
use crate::cluster::{ConfigResource, topic_name};
use crate::config::{self, Entry, Overrides, SynonymEntry};
use crate::errors::ErrorCode;
use crate::handlers::refusal::Refusal;

/// Answers DescribeConfigs.
pub fn handle(ctx: &Ctx<'_>, request: DescribeConfigsRequest) -> Reply<DescribeConfigsResponse> {
    Reply::Now(answer(ctx.broker, &request))
}

pub(super) fn answer(broker: &Broker, request: &DescribeConfigsRequest) -> DescribeConfigsResponse {
    let unknown = request
        .resources
        .iter()
        .find(|resource| Kind::of(resource.resource_type).is_none());
    let results = match unknown {
        Some(unknown) => {
            let text = format!("there are no resources of type {}", unknown.resource_type);
            let refusal = Refusal::new(ErrorCode::InvalidRequest, text);
            request
                .resources
                .iter()
                .map(|resource| refused(resource, &refusal))
                .collect()
        }
        None => request
            .resources
            .iter()
            .map(|resource| described(broker, resource, request))
            .collect(),
    };
    DescribeConfigsResponse::default().with_results(results)
}

fn described(
    broker: &Broker,
    resource: &DescribeConfigsResource,
    request: &DescribeConfigsRequest,
) -> DescribeConfigsResult {
    let entries = match entries(broker, resource) {
        Ok(entries) => entries,
        Err(refusal) => return refused(resource, &refusal),
    };
    let is_wanted = |entry: &Entry| match &resource.configuration_keys {
        Some(keys) if !keys.is_empty() => keys.iter().any(|key| key.as_str() == entry.name),
        _ => true,
    };
    let configs = entries
        .into_iter()
        .filter(is_wanted)
        .map(|entry| {
            config_result(
                entry,
                request.include_synonyms,
                request.include_documentation,
            )
        })
        .collect();
    DescribeConfigsResult::default()
        // Kafka's broker leaves the text empty, not null, where all is well.
        .with_error_message(Some(StrBytes::new()))
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone())
        .with_configs(configs)
}

fn refused(resource: &DescribeConfigsResource, refusal: &Refusal) -> DescribeConfigsResult {
    // An unknown topic is the one error that Kafka leaves without a text, which its encoder makes an empty one.
    DescribeConfigsResult::default()
        .with_error_code(refusal.code.code())
        .with_error_message(Some(refusal.message().unwrap_or_default()))
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone())
}

/// Every config of a resource.
fn entries(broker: &Broker, resource: &DescribeConfigsResource) -> Result<Vec<Entry>, Refusal> {
    let name = resource.resource_name.as_str();
    let invalid = |text: &str| Err(Refusal::new(ErrorCode::InvalidRequest, text));
    let image = broker.image();
    let none = Overrides::new();
    let overrides = |resource: ConfigResource| {
        image
            .configs(&resource)
            .map_or(&none, |overrides| &**overrides)
    };
    match Kind::of(resource.resource_type) {
        Some(Kind::Topic) => {
            topic_name::check(name).map_err(|reason| {
                Refusal::new(ErrorCode::InvalidTopicException, reason.to_string())
            })?;
            match image.topic(name) {
                Some(_) => Ok(broker
                    .configs
                    .describe_topic(overrides(ConfigResource::topic(name)))),
                None => Err(Refusal::bare(ErrorCode::UnknownTopicOrPartition)),
            }
        }
        Some(Kind::Broker) if name.is_empty() => Ok(broker.configs.describe_cluster()),
        Some(Kind::Broker) => {
            check_is_this_broker(name, broker.node_id)?;
            Ok(broker.configs.describe_broker())
        }
        Some(Kind::BrokerLogger) if name.is_empty() => {
            invalid("loggers belong to a broker, whose id is missing")
        }
        Some(Kind::BrokerLogger) => check_is_this_broker(name, broker.node_id).map(|()| Vec::new()),
        Some(Kind::ClientMetrics) if name.is_empty() => {
            invalid("a client metrics subscription has a name")
        }
        Some(Kind::ClientMetrics) => Ok(broker
            .configs
            .describe_client_metrics(overrides(ConfigResource::client_metrics(name)))),
        Some(Kind::Group) if name.is_empty() => invalid("a group has a name"),
        Some(Kind::Group) => Ok(broker
            .configs
            .describe_group(overrides(ConfigResource::group(name)))),
        None => invalid("there are no resources of this type"),
    }
}

fn config_result(
    entry: Entry,
    with_synonyms: bool,
    with_doc: bool,
) -> DescribeConfigsResourceResult {
    let synonyms = if with_synonyms {
        entry.synonyms.into_iter().map(synonym).collect()
    } else {
        Vec::new()
    };
    DescribeConfigsResourceResult::default()
        .with_name(StrBytes::from_string(entry.name))
        .with_value(entry.value.map(StrBytes::from_string))
        .with_read_only(entry.is_read_only)
        .with_config_source(entry.source as i8)
        .with_is_sensitive(entry.is_sensitive)
        .with_synonyms(synonyms)
        .with_config_type(entry.kind.map_or(UNKNOWN_KIND, kind_code))
        .with_documentation(
            entry
                .doc
                .filter(|_| with_doc)
                .map(StrBytes::from_static_str),
        )
}

fn synonym(synonym: SynonymEntry) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym::default()
        .with_name(StrBytes::from_string(synonym.name))
        .with_value(synonym.value.map(StrBytes::from_string))
        .with_source(synonym.source as i8)
}

const UNKNOWN_KIND: i8 = 0;

/// `DescribeConfigsResponse.ConfigType`
fn kind_code(kind: config::Kind) -> i8 {
    match kind {
        config::Kind::Boolean => 1,
        config::Kind::String => 2,
        config::Kind::Int => 3,
        config::Kind::Short => 4,
        config::Kind::Long => 5,
        config::Kind::Double => 6,
        config::Kind::List => 7,
        config::Kind::Class => 8,
        config::Kind::Password => 9,
    }
}
