//! Whether a change of dynamic configs is allowed, and why not.

use std::fmt;

use super::def::{Definition, Exposure, Kind, Update};
use super::effective::broker_row;
use super::resolved::ResourceValues;
use super::table::{self, Scope};
use super::values::BrokerValues;
use super::{
    Current, Overrides, StaticSettings, java, listener_prefixed, listeners, relations, texts, value,
};

/// Why a change is refused. The variants are Kafka's two error codes; the text is for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// INVALID_REQUEST: broker configs, and what is wrong with a request as a whole.
    InvalidRequest(String),
    /// INVALID_CONFIG: everything else.
    InvalidConfig(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidRequest(text) | Self::InvalidConfig(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Refusal {}

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
pub(super) fn check_broker(
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
    for name in ["max.connections", "max.connection.creation.rate"] {
        if old.integer(name) != new.integer(name) && new.integer(name) == 0 {
            return Err(format!("{name} must be at least 1"));
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
pub(super) fn admissible(overrides: &Overrides, is_cluster_wide: bool) -> Overrides {
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

/// Checks a topic's own configs (`LogConfig.validate`).
pub(super) fn check_topic(broker: &BrokerValues, proposed: &Overrides) -> Result<(), Refusal> {
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
pub(super) fn check_group(broker: &BrokerValues, proposed: &Overrides) -> Result<(), Refusal> {
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
pub(super) fn check_client_metrics(name: &str, proposed: &Overrides) -> Result<(), Refusal> {
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

/// One step of an incremental change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Set,
    Delete,
    Append,
    Subtract,
}

/// The value of a config after one step of an incremental change (`ConfigurationControlManager`): `text` is what
/// the request holds, `own` what the resource has so far; `None` takes the config away.
///
/// # Errors
/// Entries are added to and taken from lists of brokers and topics only.
pub fn edited(
    scope: Scope,
    name: &str,
    operation: Operation,
    text: &str,
    own: Option<&str>,
) -> Result<Option<String>, Refusal> {
    let row = table::find(scope, name).filter(|row| row.exposure != Exposure::Klamm);
    let start = || own.or_else(|| row?.default.text()).unwrap_or_default();
    let mut entries: Vec<&str> = match operation {
        Operation::Set => return Ok(Some(text.to_owned())),
        Operation::Delete => return Ok(None),
        Operation::Append | Operation::Subtract => {
            let is_list = matches!(scope, Scope::Broker | Scope::Topic)
                && row.is_some_and(|row| row.kind == Kind::List);
            if !is_list {
                let text = format!(
                    "{name} is not a list: it can be set and deleted, not appended to or subtracted from"
                );
                return Err(Refusal::InvalidConfig(text));
            }
            start()
                .split(',')
                .filter(|entry| !entry.is_empty())
                .collect()
        }
    };
    for entry in java::split(text, ',') {
        let position = entries.iter().position(|existing| *existing == entry);
        match (operation, position) {
            (Operation::Append, None) => entries.push(entry),
            (Operation::Subtract, Some(position)) => drop(entries.remove(position)),
            _ => {}
        }
    }
    Ok(Some(entries.join(",")))
}

#[cfg(test)]
mod tests {
    use super::{Operation, Refusal, edited};
    use crate::config::table::Scope;
    use crate::config::{Configs, Overrides, Sources, load};

    fn configs() -> Configs {
        let sources = Sources {
            set: vec!["log.dirs=/data".to_owned()],
            ..Sources::default()
        };
        Configs::new(load(&sources).expect("good settings").settings)
    }

    fn one(name: &str, text: &str) -> Overrides {
        Overrides::from([(name.to_owned(), text.to_owned())])
    }

    /// Name, value, and whether Apache Kafka 4.3.1 takes it for one broker and for all of them.
    const BROKER_CHANGES: &[(&str, &str, bool, bool)] = &[
        ("num.partitions", "2", false, false),
        ("log.dirs", "/x", false, false),
        ("klamm.fsync", "never", false, false),
        ("log.retention.ms", "1000", true, true),
        ("log.retention.ms", "0", false, false),
        ("log.retention.ms", "-1", true, true),
        ("log.retention.hours", "5", false, false),
        ("log.roll.ms", "0", false, false),
        ("num.io.threads", "16", true, true),
        ("num.io.threads", "17", false, false),
        ("num.io.threads", "4", true, true),
        ("num.io.threads", "3", false, false),
        ("log.cleaner.threads", "3", false, false),
        ("log.cleaner.dedupe.buffer.size", "1000", false, false),
        (
            "log.cleaner.min.compaction.lag.ms",
            "9223372036854775807",
            true,
            true,
        ),
        ("log.cleanup.policy", "", true, true),
        ("log.cleanup.policy", "x", false, false),
        ("max.connections", "0", false, false),
        ("max.connections", "100", true, true),
        ("max.connections.per.ip", "0", false, false),
        (
            "max.connections.per.ip.overrides",
            "127.0.0.1:500",
            true,
            true,
        ),
        ("max.connections.per.ip.overrides", "x", false, false),
        ("metric.reporters", "", true, true),
        ("metric.reporters", "no.Such", false, false),
        ("principal.builder.class", "no.Such", false, false),
        ("ssl.keystore.type", "PEM", false, false),
        ("ssl.protocol", "TLSv1.2", true, false),
        (
            "listener.name.plaintext.ssl.keystore.type",
            "PEM",
            true,
            false,
        ),
        ("listener.name.plaintext.max.connections", "7", true, true),
        ("listener.name.plaintext.num.partitions", "x", false, false),
        ("unknown.config", "1", true, true),
        ("producer.id.expiration.ms", "0", false, false),
        ("log.local.retention.ms", "99999999999", false, false),
        ("leader.replication.throttled.rate", "5", true, true),
        ("leader.replication.throttled.rate", "-5", false, false),
        (
            "group.consumer.assignment.interval.ms",
            "50000",
            false,
            false,
        ),
        ("cordoned.log.dirs", "/data", true, false),
        ("cordoned.log.dirs", "/x", false, false),
        ("cordoned.log.dirs", "*", true, false),
        ("listeners", "PLAINTEXT://:1", false, false),
        ("auto.create.topics.enable", "false", false, false),
    ];

    #[test]
    fn brokers_take_what_kafkas_take_for_one_and_for_all_of_them() {
        let configs = configs();
        for &(name, text, for_one, for_all) in BROKER_CHANGES {
            let (one_broker, all) = (
                configs.check_broker(&one(name, text)),
                configs.check_cluster(&one(name, text)),
            );
            assert_eq!(
                one_broker.is_ok(),
                for_one,
                "{name}={text} for one broker: {one_broker:?}"
            );
            assert_eq!(
                all.is_ok(),
                for_all,
                "{name}={text} for all brokers: {all:?}"
            );
            for refusal in [one_broker, all].into_iter().filter_map(Result::err) {
                assert!(matches!(refusal, Refusal::InvalidRequest(_)), "{refusal:?}");
            }
        }
    }

    #[test]
    fn a_broker_is_checked_with_both_layers_together() {
        let configs = configs();
        configs.apply(&one("log.retention.bytes", "100"), &Overrides::new());
        assert!(
            configs
                .check_broker(&one("log.local.retention.bytes", "101"))
                .is_err()
        );
        assert!(
            configs
                .check_broker(&one("log.local.retention.bytes", "100"))
                .is_ok()
        );
    }

    #[test]
    fn topics_and_groups_are_refused_as_invalid_configs() {
        let configs = configs();
        let topic = |texts: &[(&str, &str)]| {
            let overrides = texts
                .iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                .collect();
            configs.check_topic(&overrides)
        };
        assert_eq!(
            topic(&[
                ("retention.ms", " 5 "),
                ("cleanup.policy", ""),
                ("segment.bytes", "1048576")
            ]),
            Ok(())
        );
        for texts in [
            &[("nope", "1")][..],
            &[("log.retention.ms", "1")],
            &[("retention.ms", "-2")],
            &[("segment.bytes", "1048575")],
            &[("remote.storage.enable", "true")],
            &[
                ("min.compaction.lag.ms", "10"),
                ("max.compaction.lag.ms", "9"),
            ],
        ] {
            assert!(
                matches!(topic(texts), Err(Refusal::InvalidConfig(_))),
                "{texts:?}"
            );
        }
        for (name, text, fits) in [
            ("consumer.session.timeout.ms", "50000", true),
            ("consumer.session.timeout.ms", "70000", false),
            ("consumer.session.timeout.ms", "1", false),
            ("consumer.assignment.interval.ms", "20000", false),
            ("streams.num.standby.replicas", "3", false),
            ("streams.num.standby.replicas", "2", true),
            ("share.auto.offset.reset", "by_duration:PT1H", true),
            ("share.isolation.level", "READ_COMMITTED", false),
            ("nope", "1", false),
        ] {
            let checked = configs.check_group(&one(name, text));
            assert_eq!(checked.is_ok(), fits, "{name}={text}: {checked:?}");
        }
    }

    #[test]
    fn client_metrics_have_two_ways_to_be_wrong() {
        let configs = configs();
        let check = |name: &str, text: &str| configs.check_client_metrics("c", &one(name, text));
        assert_eq!(check("interval.ms", "100"), Ok(()));
        assert_eq!(
            check("match", "client_id=x.*, client_software_name=[a-z]+"),
            Ok(())
        );
        for (name, text) in [("interval.ms", "99"), ("nope", "1")] {
            assert!(
                matches!(check(name, text), Err(Refusal::InvalidRequest(_))),
                "{name}={text}"
            );
        }
        for (name, text) in [
            ("interval.ms", "x"),
            ("metrics", "a,"),
            ("match", "client_id"),
            ("match", "foo=x"),
            ("match", "client_id=("),
        ] {
            assert!(
                matches!(check(name, text), Err(Refusal::InvalidConfig(_))),
                "{name}={text}"
            );
        }
        assert!(matches!(
            configs.check_client_metrics("", &Overrides::new()),
            Err(Refusal::InvalidRequest(_))
        ));
    }

    #[test]
    fn entries_are_added_to_and_taken_from_lists() {
        let edit = |operation, text: &str, own: Option<&str>| {
            edited(Scope::Topic, "cleanup.policy", operation, text, own)
        };
        let is = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(
            edit(Operation::Append, "compact", None),
            is("delete,compact")
        );
        assert_eq!(
            edit(Operation::Append, "compact,delete", Some("compact")),
            is("compact,delete")
        );
        assert_eq!(edit(Operation::Subtract, "delete", None), is(""));
        assert_eq!(
            edit(Operation::Subtract, "x", Some("compact,delete")),
            is("compact,delete")
        );
        assert_eq!(edit(Operation::Set, "a", None), is("a"));
        assert_eq!(edit(Operation::Delete, "a", Some("b")), Ok(None));
        for (scope, name) in [
            (Scope::Topic, "retention.ms"),
            (Scope::Topic, "nope"),
            (Scope::ClientMetrics, "match"),
        ] {
            assert!(
                matches!(
                    edited(scope, name, Operation::Append, "1", None),
                    Err(Refusal::InvalidConfig(_))
                ),
                "{name}"
            );
        }
    }

    #[test]
    fn what_an_older_version_let_in_does_not_count() {
        let configs = configs();
        let cluster_wide = Overrides::from([
            ("log.retention.ms".to_owned(), "often".to_owned()),
            ("num.partitions".to_owned(), "9".to_owned()),
            ("klamm.fsync".to_owned(), "never".to_owned()),
            ("ssl.protocol".to_owned(), "TLSv1.2".to_owned()),
            ("message.max.bytes".to_owned(), "7".to_owned()),
        ]);
        assert_eq!(
            configs.admissible(&cluster_wide, true),
            one("message.max.bytes", "7")
        );
        assert!(configs.apply(&cluster_wide, &Overrides::new()));
        assert_eq!(configs.broker().num_partitions, 1);
        assert_eq!(configs.topic(&Overrides::new()).batch_bytes_max, 7);
        assert!(!configs.apply(&cluster_wide, &Overrides::new()));
    }
}
