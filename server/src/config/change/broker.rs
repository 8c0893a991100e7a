//! Dynamic configs of brokers (KIP-226, `DynamicBrokerConfig`).

use super::Refusal;
use crate::config::def::{Definition, Kind, Update};
use crate::config::effective::broker_row;
use crate::config::table::{self, Scope};
use crate::config::values::BrokerValues;
use crate::config::{
    Current, Overrides, StaticSettings, listener_prefixed, listeners, relations, texts, value,
};

/// Configs of a listener that may be changed for the whole cluster (`CLUSTER_LEVEL_LISTENER_CONFIGS`).
const CLUSTER_WIDE_LISTENER_CONFIGS: &[&str] = &[
    "max.connections",
    "max.connection.creation.rate",
    "num.network.threads",
];

/// Sizes of thread pools. A change may at most halve or double them, as in Kafka, although Klamm has no such pools.
const THREAD_COUNTS: &[&str] = &[
    "num.io.threads",
    "num.network.threads",
    "num.replica.fetchers",
    "num.recovery.threads.per.data.dir",
    "background.threads",
    "log.cleaner.threads",
    "remote.log.reader.threads",
    "remote.log.manager.copier.thread.pool.size",
    "remote.log.manager.expiration.thread.pool.size",
    "remote.log.manager.follower.thread.pool.size",
];

/// Checks the dynamic broker configs `proposed`, which replace those of the whole cluster or of this broker
/// (`DynamicBrokerConfig.validate`).
pub(in crate::config) fn check_broker(
    settings: &StaticSettings,
    current: &Current,
    proposed: &Overrides,
    is_cluster_wide: bool,
) -> Result<(), Refusal> {
    let refuse = |text: String| Err(Refusal::InvalidRequest(text));
    for name in proposed.keys() {
        match table::find(Scope::Broker, name).map(|row| row.update) {
            Some(Update::ReadOnly) => return refuse(format!("{name} only changes with a restart")),
            Some(Update::PerListener) => {
                return refuse(format!(
                    "{name} only changes per listener, as listener.name.<listener>.{name}"
                ));
            }
            Some(Update::PerBroker | Update::ClusterWide) | None => {}
        }
    }
    for (name, text) in proposed {
        if let Some(row) = base_row(name)
            && let Err(refused) = parse_dynamic(row, text)
        {
            return refuse(format!("{name}={text}: must be {refused}"));
        }
    }
    if is_cluster_wide && let Some(name) = proposed.keys().find(|name| is_per_broker(name)) {
        return refuse(format!(
            "{name} cannot be set for the whole cluster, only for a broker by its id"
        ));
    }
    let mut values = settings.values();
    let (below, above) = if is_cluster_wide {
        (proposed, &current.this_broker)
    } else {
        (&current.cluster_wide, proposed)
    };
    values.overlay(texts(below));
    values.overlay(texts(above));
    check_together(settings, &current.values, &values).map_err(Refusal::InvalidRequest)
}

/// What the broker as a whole has to say about its new settings.
fn check_together(
    settings: &StaticSettings,
    old: &BrokerValues,
    new: &BrokerValues,
) -> Result<(), String> {
    if let Some(conflict) = relations::conflicts(new).first() {
        return Err(format!("{} {}", conflict.key, conflict.reason));
    }
    for name in THREAD_COUNTS {
        let (from, to) = (old.integer(name), new.integer(name));
        if from != to && (to < 1 || to < from / 2 || to > from * 2) {
            return Err(format!(
                "{name}={to}: one change can at most halve or double the {from} there are"
            ));
        }
    }
    for listener in &settings.listeners.listeners {
        let prefix = format!("listener.name.{}.", listener.name.to_lowercase());
        for name in ["max.connections", "max.connection.creation.rate"] {
            let of_listener = new.prefixed_integer(&prefix, name);
            if of_listener == 0 && of_listener != old.prefixed_integer(&prefix, name) {
                return Err(format!(
                    "{name} of listener {} must be at least 1",
                    listener.name
                ));
            }
        }
    }
    check_local_retention(new)?;
    let directories = if new.is_set("log.dirs") {
        new.list("log.dirs")
    } else {
        new.list("log.dir")
    };
    let cordoned = new.list("cordoned.log.dirs");
    let is_known = |directory: &String| {
        directories.contains(directory) || (directory == "*" && cordoned.len() == 1)
    };
    if let Some(unknown) = cordoned.iter().find(|directory| !is_known(directory)) {
        return Err(format!(
            "cordoned.log.dirs: {unknown} is not one of log.dirs"
        ));
    }
    match listeners::plan(new, true) {
        Ok(plan) if plan == settings.listeners => Ok(()),
        Ok(_) => Err("listeners only change with a restart".to_owned()),
        Err(bad) => Err(format!("{}: {}", bad.key, bad.reason)),
    }
}

/// What stays on local disk of a tiered log cannot be more than what stays at all (`DynamicLogConfig`).
fn check_local_retention(values: &BrokerValues) -> Result<(), String> {
    let is_too_long =
        |whole: i64, local: i64| whole > -1 && local != -2 && (local == -1 || local > whole);
    if is_too_long(
        relations::retention_ms(values),
        values.integer("log.local.retention.ms"),
    ) {
        return Err("log.local.retention.ms must not be more than log.retention.ms".to_owned());
    }
    if is_too_long(
        values.integer("log.retention.bytes"),
        values.integer("log.local.retention.bytes"),
    ) {
        return Err(
            "log.local.retention.bytes must not be more than log.retention.bytes".to_owned(),
        );
    }
    Ok(())
}

/// The row of a broker config, a listener's prefix taken off.
fn base_row(name: &str) -> Option<&'static Definition> {
    broker_row(listener_prefixed(name).unwrap_or(name))
}

/// Reads a dynamic value. Kafka loads the classes that it names; Klamm has those that are the defaults, and no others.
fn parse_dynamic(row: &Definition, text: &str) -> Result<value::Value, value::Refused> {
    let parsed = value::parse(row, text)?;
    let unloadable = || value::Refused {
        allowed: "a class that klamm knows".to_owned(),
    };
    let is_known = |class: &str| row.default.text().is_some_and(|default| default == class);
    match &parsed {
        value::Value::Text(class) if row.kind == Kind::Class && !is_known(class) => {
            Err(unloadable())
        }
        value::Value::List(classes)
            if row.name == "metric.reporters" && !classes.iter().all(|class| is_known(class)) =>
        {
            Err(unloadable())
        }
        _ => Ok(parsed),
    }
}

fn is_per_broker(name: &str) -> bool {
    match listener_prefixed(name) {
        Some(base) => !CLUSTER_WIDE_LISTENER_CONFIGS.contains(&base),
        None => broker_row(name)
            .is_some_and(|row| matches!(row.update, Update::PerBroker | Update::PerListener)),
    }
}

/// The dynamic broker configs of `overrides` that count (`DynamicBrokerConfig.fromPersistentProps`): what was let in
/// under other rules is left out, so that it cannot keep a broker from starting or another change from being made.
pub(in crate::config) fn admissible(overrides: &Overrides, is_cluster_wide: bool) -> Overrides {
    let counts = |name: &str, text: &str| {
        let is_dynamic = match table::find(Scope::Broker, name).map(|row| row.update) {
            Some(Update::ReadOnly | Update::PerListener) => false,
            Some(Update::PerBroker | Update::ClusterWide) | None => true,
        };
        let fits = base_row(name).is_none_or(|row| value::parse(row, text).is_ok());
        is_dynamic && fits && !(is_cluster_wide && is_per_broker(name))
    };
    let counting = overrides.iter().filter(|(name, text)| counts(name, text));
    counting
        .map(|(name, text)| (name.clone(), text.clone()))
        .collect()
}
