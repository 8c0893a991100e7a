//! The one table of everything that can be set.
//!
//! Names, types, defaults, checks, update modes and synonyms are those of Apache Kafka 4.3.1 (`AbstractKafkaConfig`,
//! `LogConfig`, `GroupConfig`, `ClientMetricsConfigs`, `DynamicBrokerConfig`, `ServerTopicConfigSynonyms`); the
//! texts are Klamm's own. [`klamm`] holds what Kafka does not have.

mod client_metrics;
mod group;
mod groups;
mod klamm;
mod logs;
mod metadata;
mod operations;
mod replication;
mod security;
mod server;
mod share_and_streams;
mod sockets;
mod tiered;
mod topic;
mod transactions;

use std::collections::HashMap;
use std::sync::LazyLock;

use super::def::Definition;

/// What a config belongs to. The numbers are Kafka's resource types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    Topic = 2,
    Broker = 4,
    ClientMetrics = 16,
    Group = 32,
}

/// The rows of a scope, section by section.
pub fn sections(scope: Scope) -> &'static [(&'static str, &'static [Definition])] {
    match scope {
        Scope::Topic => TOPIC_SECTIONS,
        Scope::Broker => BROKER_SECTIONS,
        Scope::ClientMetrics => CLIENT_METRICS_SECTIONS,
        Scope::Group => GROUP_SECTIONS,
    }
}

/// Every row of a scope.
pub fn rows(scope: Scope) -> impl Iterator<Item = &'static Definition> {
    sections(scope).iter().flat_map(|(_, rows)| rows.iter())
}

/// The row of a config, by its exact name.
pub fn find(scope: Scope, name: &str) -> Option<&'static Definition> {
    BY_NAME.get(&(scope, name)).copied()
}

static BY_NAME: LazyLock<HashMap<(Scope, &'static str), &'static Definition>> =
    LazyLock::new(|| {
        [
            Scope::Topic,
            Scope::Broker,
            Scope::ClientMetrics,
            Scope::Group,
        ]
        .into_iter()
        .flat_map(|scope| rows(scope).map(move |row| ((scope, row.name), row)))
        .collect()
    });

static BROKER_SECTIONS: &[(&str, &[Definition])] = &[
    ("Klamm's own", klamm::KLAMM),
    ("Listeners and connections", sockets::SOCKETS),
    ("Server", server::SERVER),
    ("Logs", logs::LOGS),
    ("Groups and offsets", groups::GROUPS),
    ("Transactions and producers", transactions::TRANSACTIONS),
    ("Metadata and controllers", metadata::METADATA),
    ("Replication", replication::REPLICATION),
    ("Metrics and quotas", operations::OPERATIONS),
    ("Security", security::SECURITY),
    (
        "Share groups and streams groups",
        share_and_streams::SHARE_AND_STREAMS,
    ),
    ("Tiered storage", tiered::TIERED),
];

static TOPIC_SECTIONS: &[(&str, &[Definition])] = &[("Topics", topic::TOPIC)];

static GROUP_SECTIONS: &[(&str, &[Definition])] = &[("Groups", group::GROUP)];

static CLIENT_METRICS_SECTIONS: &[(&str, &[Definition])] =
    &[("Client metrics", client_metrics::CLIENT_METRICS)];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Scope, find, rows};
    use crate::config::def::{DefaultValue, Exposure, Kind, Update};
    use crate::config::value;

    const SCOPES: [Scope; 4] = [
        Scope::Topic,
        Scope::Broker,
        Scope::ClientMetrics,
        Scope::Group,
    ];

    #[test]
    fn every_name_is_there_once_and_has_a_text() {
        for scope in SCOPES {
            let mut names = HashSet::new();
            for row in rows(scope) {
                assert!(names.insert(row.name), "{} is there twice", row.name);
                assert!(
                    row.doc.ends_with('.') && row.doc.len() > 10,
                    "{} says what it is for",
                    row.name
                );
                assert_eq!(
                    row.name.starts_with("klamm."),
                    row.exposure == Exposure::Klamm,
                    "{}",
                    row.name
                );
            }
        }
        // Apache Kafka 4.3.1 has 360 broker configs and 3 that are dynamic only, 34 of topics, 17 of groups and 3 of
        // client metrics.
        let kafkas = |scope| {
            rows(scope)
                .filter(|row| row.exposure != Exposure::Klamm)
                .count()
        };
        assert_eq!(SCOPES.map(kafkas), [34, 363, 3, 17]);
    }

    #[test]
    fn every_default_passes_its_own_check() {
        for row in SCOPES.into_iter().flat_map(rows) {
            for text in row.default.text().into_iter().chain(row.implied) {
                let value = value::parse(row, text);
                assert_eq!(
                    value.map(|value| value.text()).as_deref(),
                    Ok(text),
                    "{}",
                    row.name
                );
            }
            if row.default == DefaultValue::Required {
                assert!(
                    row.implied.is_some(),
                    "{} must be implied, as Kafka does not start without it",
                    row.name
                );
            }
        }
    }

    #[test]
    fn every_synonym_is_a_broker_config_of_the_same_kind() {
        for row in [Scope::Topic, Scope::Group].into_iter().flat_map(rows) {
            for synonym in row.synonyms {
                let broker = find(Scope::Broker, synonym.name).expect(synonym.name);
                let is_wider = row.kind == Kind::Long && broker.kind == Kind::Int;
                assert!(
                    broker.kind == row.kind || is_wider,
                    "{} and {}",
                    row.name,
                    synonym.name
                );
            }
            if let Some(first) = row
                .synonyms
                .first()
                .filter(|_| row.name != "flush.ms" && find(Scope::Topic, row.name).is_some())
            {
                // What stands in for a topic config can be changed without a restart.
                let broker = find(Scope::Broker, first.name).expect(first.name);
                assert_eq!(broker.update, Update::ClusterWide, "{}", first.name);
            }
        }
    }

    #[test]
    fn every_password_is_sensitive_and_nothing_else() {
        for row in SCOPES.into_iter().flat_map(rows) {
            assert_eq!(
                row.is_sensitive(),
                row.kind == Kind::Password,
                "{}",
                row.name
            );
        }
    }
}
