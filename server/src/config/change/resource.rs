//! Configs of topics, groups and client metrics subscriptions.

use super::Refusal;
use crate::config::resolved::ResourceValues;
use crate::config::table::{self, Scope};
use crate::config::values::BrokerValues;
use crate::config::{Overrides, java, value};

/// Checks a topic's own configs (`LogConfig.validate`).
pub(in crate::config) fn check_topic(
    broker: &BrokerValues,
    proposed: &Overrides,
) -> Result<(), Refusal> {
    let values = check_each(Scope::Topic, "topic", broker, proposed)?;
    let (lag_min, lag_max) = (
        values.integer("min.compaction.lag.ms"),
        values.integer("max.compaction.lag.ms"),
    );
    if lag_min > lag_max {
        let text = format!(
            "min.compaction.lag.ms ({lag_min}) must not be more than max.compaction.lag.ms ({lag_max})"
        );
        return Err(Refusal::InvalidConfig(text));
    }
    if values.boolean("remote.storage.enable") {
        return Err(Refusal::InvalidConfig(
            "remote.storage.enable: this broker has no tiered storage".to_owned(),
        ));
    }
    Ok(())
}

/// The bounds that the broker sets for a group's own configs: name, whether there is a lower one, and whether it
/// only counts when the group sets the config itself (`GroupConfig.validateValues`).
const GROUP_BOUNDS: &[(&str, bool, bool)] = &[
    ("consumer.heartbeat.interval.ms", true, false),
    ("consumer.session.timeout.ms", true, false),
    ("consumer.assignment.interval.ms", true, true),
    ("share.heartbeat.interval.ms", true, false),
    ("share.session.timeout.ms", true, false),
    ("share.record.lock.duration.ms", true, false),
    ("share.delivery.count.limit", true, false),
    ("share.partition.max.record.locks", true, false),
    ("share.assignment.interval.ms", true, true),
    ("streams.heartbeat.interval.ms", true, false),
    ("streams.session.timeout.ms", true, false),
    ("streams.num.standby.replicas", false, false),
    ("streams.assignment.interval.ms", true, true),
];

/// Checks a group's own configs (`GroupConfig.validate`).
pub(in crate::config) fn check_group(
    broker: &BrokerValues,
    proposed: &Overrides,
) -> Result<(), Refusal> {
    let values = check_each(Scope::Group, "group", broker, proposed)?;
    let refuse = |text: String| Err(Refusal::InvalidConfig(text));
    for &(name, has_min, only_own) in GROUP_BOUNDS {
        if only_own && !proposed.contains_key(name) {
            continue;
        }
        let number = values.integer(name);
        let (min, max) = group_bounds(name);
        if has_min && number < broker.integer(&min) {
            return refuse(format!(
                "{name}={number} must not be less than the broker's {min}"
            ));
        }
        if number > broker.integer(&max) {
            return refuse(format!(
                "{name}={number} must not be more than the broker's {max}"
            ));
        }
    }
    for protocol in ["consumer", "share", "streams"] {
        let (session, heartbeat) = (
            format!("{protocol}.session.timeout.ms"),
            format!("{protocol}.heartbeat.interval.ms"),
        );
        if values.integer(&session) <= values.integer(&heartbeat) {
            return refuse(format!("{session} must be more than {heartbeat}"));
        }
    }
    Ok(())
}

/// The broker configs that bound a group config: `share.session.timeout.ms` lies between
/// `group.share.min.session.timeout.ms` and the same with max.
fn group_bounds(name: &str) -> (String, String) {
    let (protocol, rest) = name.split_once('.').unwrap_or((name, ""));
    let rest = if rest == "num.standby.replicas" {
        "standby.replicas"
    } else {
        rest
    };
    (
        format!("group.{protocol}.min.{rest}"),
        format!("group.{protocol}.max.{rest}"),
    )
}

/// Names and values one by one, and what holds with them.
fn check_each(
    scope: Scope,
    what: &str,
    broker: &BrokerValues,
    proposed: &Overrides,
) -> Result<ResourceValues, Refusal> {
    for (name, text) in proposed {
        let Some(row) = table::find(scope, name) else {
            return Err(Refusal::InvalidConfig(format!(
                "there is no {what} config {name}"
            )));
        };
        if let Err(refused) = value::parse(row, text) {
            return Err(Refusal::InvalidConfig(format!(
                "{name}={text}: must be {refused}"
            )));
        }
    }
    Ok(ResourceValues::new(scope, broker, proposed))
}

const INTERVAL_MS_MIN: i64 = 100;
const INTERVAL_MS_MAX: i64 = 3_600_000;

/// What a client metrics subscription may match clients by.
const MATCHES: &[&str] = &[
    "client_instance_id",
    "client_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

/// Checks the configs of a client metrics subscription (`ClientMetricsConfigs.validate`). Patterns are not looked
/// into any further than Java's regular expressions and everybody else's agree.
pub(in crate::config) fn check_client_metrics(
    name: &str,
    proposed: &Overrides,
) -> Result<(), Refusal> {
    if name.is_empty() {
        return Err(Refusal::InvalidRequest(
            "a client metrics subscription needs a name".to_owned(),
        ));
    }
    if let Some(unknown) = proposed
        .keys()
        .find(|name| table::find(Scope::ClientMetrics, name).is_none())
    {
        return Err(Refusal::InvalidRequest(format!(
            "there is no client metrics config {unknown}"
        )));
    }
    let values = check_each(
        Scope::ClientMetrics,
        "client metrics",
        &BrokerValues::default(),
        proposed,
    )?;
    let interval = values.integer("interval.ms");
    if !(INTERVAL_MS_MIN..=INTERVAL_MS_MAX).contains(&interval) {
        let text =
            format!("interval.ms={interval}: must be from {INTERVAL_MS_MIN} to {INTERVAL_MS_MAX}");
        return Err(Refusal::InvalidRequest(text));
    }
    for pattern in values.list("match") {
        let parts: Vec<&str> = java::split(pattern, '=');
        let is_match = matches!(parts[..], [name, regex] if MATCHES.contains(&java::trim(name)) && is_balanced(regex));
        if !is_match {
            return Err(Refusal::InvalidConfig(format!(
                "match: {pattern} is not name=pattern"
            )));
        }
    }
    Ok(())
}

/// Whether brackets are closed and nothing is repeated that is not there.
fn is_balanced(regex: &str) -> bool {
    let regex = java::trim(regex);
    let count =
        |open: char, close: char| regex.matches(open).count() == regex.matches(close).count();
    !regex.starts_with(['*', '+', '?'])
        && count('(', ')')
        && count('[', ']')
        && !regex.ends_with('\\')
}
