//! What a request does to the configs of one resource, and whether it may.

use kafka_protocol::protocol::StrBytes;

use crate::cluster::{ClusterImage, ConfigResource, topic_name};
use crate::config::table::Scope;
use crate::config::{self, Configs, Operation, Overrides};
use crate::errors::ErrorCode;
use crate::handlers::refusal::Refusal;

/// The longest value of a config, in UTF-16 units as Java counts them (`Short.MAX_VALUE`).
const VALUE_UNITS_MAX: usize = 32_767;

const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

/// The configs of one resource in a request.
pub(super) enum Edit {
    /// These and no others.
    Replace(Vec<(StrBytes, Option<StrBytes>)>),
    /// One after the other, each of another config.
    Steps(Vec<Step>),
}

pub(super) struct Step {
    pub name: StrBytes,
    /// `AlterConfigOp.OpType`, as the client sent it.
    pub operation: i8,
    pub value: Option<StrBytes>,
}

impl Step {
    /// `None` for a number that means nothing.
    pub(super) fn operation(&self) -> Option<Operation> {
        match self.operation {
            0 => Some(Operation::Set),
            1 => Some(Operation::Delete),
            2 => Some(Operation::Append),
            3 => Some(Operation::Subtract),
            _ => None,
        }
    }

    fn text(&self) -> &str {
        self.value.as_ref().map_or("", StrBytes::as_str)
    }
}

impl Edit {
    pub(super) fn names(&self) -> Box<dyn Iterator<Item = &StrBytes> + '_> {
        match self {
            Self::Replace(configs) => Box::new(configs.iter().map(|(name, _)| name)),
            Self::Steps(steps) => Box::new(steps.iter().map(|step| &step.name)),
        }
    }

    /// Whether a step is none of the operations there are.
    pub(super) fn has_unknown_operation(&self) -> bool {
        matches!(self, Self::Steps(steps) if steps.iter().any(|step| step.operation().is_none()))
    }

    /// A config that needs a value and has none.
    pub(super) fn name_without_value(&self) -> Option<&StrBytes> {
        match self {
            Self::Replace(configs) => configs
                .iter()
                .find(|(_, value)| value.is_none())
                .map(|(name, _)| name),
            Self::Steps(steps) => {
                let needs_value = |step: &&Step| {
                    step.operation() != Some(Operation::Delete) && step.value.is_none()
                };
                steps.iter().find(needs_value).map(|step| &step.name)
            }
        }
    }
}

/// Records to write: names, and values or `None` to delete.
type Changes = Vec<(String, Option<String>)>;

/// What the broker says of a change of its own configs or those of all brokers
/// (`ConfigAdminManager.validateBrokerConfigChange`).
pub(super) fn check_broker(
    configs: &Configs,
    image: &ClusterImage,
    resource: &ConfigResource,
    edit: &Edit,
) -> Result<(), Refusal> {
    let is_cluster_wide = resource.name.is_empty();
    let proposed = match edit {
        Edit::Replace(configs) => replaced(configs),
        Edit::Steps(steps) => {
            let none = Overrides::new();
            let own = image
                .configs(resource)
                .map_or(&none, |overrides| &**overrides);
            let mut proposed = configs.admissible(own, is_cluster_wide);
            for step in steps {
                let Some(operation) = step.operation() else {
                    let text = format!("there is no operation {}", step.operation);
                    return Err(Refusal::new(ErrorCode::InvalidRequest, text));
                };
                let own = proposed.get(step.name.as_str()).map(String::as_str);
                match config::edited(Scope::Broker, &step.name, operation, step.text(), own)? {
                    Some(value) => proposed.insert(step.name.to_string(), value),
                    None => proposed.remove(step.name.as_str()),
                };
            }
            proposed
        }
    };
    let checked = if is_cluster_wide {
        configs.check_cluster(&proposed)
    } else {
        configs.check_broker(&proposed)
    };
    checked.map_err(Refusal::from)
}

/// What the controller makes of an edit (`ConfigurationControlManager`): the records that differ from what there is.
pub(super) fn edited(
    configs: &Configs,
    image: &ClusterImage,
    resource: &ConfigResource,
    edit: &Edit,
) -> Result<Changes, Refusal> {
    let none = Overrides::new();
    let own = image
        .configs(resource)
        .map_or(&none, |overrides| &**overrides);
    let proposed = match edit {
        Edit::Replace(configs) => replaced(configs),
        Edit::Steps(steps) => stepped(resource, own, steps)?,
    };
    let named: Vec<&StrBytes> = edit.names().collect();
    let mut changes: Changes = Vec::new();
    for name in own.keys().filter(|name| !proposed.contains_key(*name)) {
        changes.push((name.clone(), None));
    }
    for (name, value) in &proposed {
        if own.get(name) != Some(value) {
            changes.push((name.clone(), Some(value.clone())));
        }
    }
    check_insync_replicas(image, resource, &named, &proposed)?;
    let is_too_long = |value: &str| {
        value.len() > VALUE_UNITS_MAX && value.encode_utf16().count() > VALUE_UNITS_MAX
    };
    if let Some((name, _)) = changes
        .iter()
        .find(|(_, value)| value.as_deref().is_some_and(is_too_long))
    {
        let text = format!("the value of config {name} is longer than {VALUE_UNITS_MAX}");
        return Err(Refusal::new(ErrorCode::InvalidConfig, text));
    }
    check(configs, image, resource, &proposed)?;
    Ok(changes)
}

fn replaced(configs: &[(StrBytes, Option<StrBytes>)]) -> Overrides {
    let text = |(name, value): &(StrBytes, Option<StrBytes>)| {
        Some((name.to_string(), value.as_ref()?.to_string()))
    };
    configs.iter().filter_map(text).collect()
}

fn stepped(
    resource: &ConfigResource,
    own: &Overrides,
    steps: &[Step],
) -> Result<Overrides, Refusal> {
    let scope = match resource.kind {
        ConfigResource::TOPIC => Scope::Topic,
        ConfigResource::BROKER => Scope::Broker,
        ConfigResource::CLIENT_METRICS => Scope::ClientMetrics,
        _ => Scope::Group,
    };
    let mut proposed = own.clone();
    for step in steps {
        let Some(operation) = step.operation() else {
            return Err(Refusal::bare(ErrorCode::UnknownServerError));
        };
        let own = own.get(step.name.as_str()).map(String::as_str);
        match config::edited(scope, &step.name, operation, step.text(), own)? {
            Some(value) => proposed.insert(step.name.to_string(), value),
            None => proposed.remove(step.name.as_str()),
        };
    }
    Ok(proposed)
}

/// Once `min.insync.replicas` is set for the cluster, as it is from the first start on, it cannot be taken away again
/// nor be set for one broker: what is committed must not depend on who leads (KIP-966).
fn check_insync_replicas(
    image: &ClusterImage,
    resource: &ConfigResource,
    named: &[&StrBytes],
    proposed: &Overrides,
) -> Result<(), Refusal> {
    let has_it = |resource: &ConfigResource| {
        image
            .configs(resource)
            .is_some_and(|own| own.contains_key(MIN_INSYNC_REPLICAS))
    };
    if resource.kind != ConfigResource::BROKER || !has_it(&ConfigResource::default_broker()) {
        return Ok(());
    }
    let is_named = named
        .iter()
        .any(|name| name.as_str() == MIN_INSYNC_REPLICAS);
    let is_removed = !proposed.contains_key(MIN_INSYNC_REPLICAS) && (is_named || has_it(resource));
    let refuse = |text: &str| Err(Refusal::new(ErrorCode::InvalidConfig, text));
    match resource.name.is_empty() {
        true if is_removed => {
            refuse("min.insync.replicas of the cluster can be changed, but not taken away")
        }
        false if is_named || is_removed => {
            refuse("min.insync.replicas is set for the cluster, not for a broker")
        }
        _ => Ok(()),
    }
}

/// Whether a resource may have exactly these configs, and exists (`ControllerConfigurationValidator`).
fn check(
    configs: &Configs,
    image: &ClusterImage,
    resource: &ConfigResource,
    proposed: &Overrides,
) -> Result<(), Refusal> {
    let name = resource.name.as_str();
    let invalid = |text: &str| Err(Refusal::new(ErrorCode::InvalidRequest, text));
    match resource.kind {
        ConfigResource::TOPIC if name.is_empty() => invalid("there are no configs for all topics"),
        ConfigResource::TOPIC => {
            topic_name::check(name).map_err(|reason| {
                Refusal::new(ErrorCode::InvalidTopicException, reason.to_string())
            })?;
            configs.check_topic(proposed)?;
            if image.topic(name).is_none() {
                let text = format!("there is no topic {name}");
                return Err(Refusal::new(ErrorCode::UnknownTopicOrPartition, text));
            }
            Ok(())
        }
        ConfigResource::GROUP if name.is_empty() => invalid("there are no configs for all groups"),
        ConfigResource::GROUP => Ok(configs.check_group(proposed)?),
        ConfigResource::CLIENT_METRICS => Ok(configs.check_client_metrics(name, proposed)?),
        // The broker itself has looked at them already.
        _ => Ok(()),
    }
}
