//! What clients see of the configs: values, where they come from, and what stands behind them.
//!
//! Follows Kafka's `ConfigHelper` and `KafkaConfigSchema` field by field. Klamm's own configs are not among it.

use super::def::{Definition, Exposure, Kind, Update};
use super::resolved::ResourceValues;
use super::table::{self, Scope};
use super::values::{BrokerValues, alternatives};
use super::{Current, Overrides, StaticSettings, java, listener_prefixed};

/// One config of a resource as clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    /// `None` where it is unset or must not be shown.
    pub value: Option<String>,
    pub source: Source,
    pub is_read_only: bool,
    pub is_sensitive: bool,
    /// `None` where nobody knows the config.
    pub kind: Option<Kind>,
    /// Everything that is set or holds by default, what is in force first.
    pub synonyms: Vec<SynonymEntry>,
    pub doc: Option<&'static str>,
}

/// One of the places that give a config its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SynonymEntry {
    pub name: String,
    /// `None` where it must not be shown.
    pub value: Option<String>,
    pub source: Source,
}

/// Where a value comes from. The numbers are Kafka's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Topic = 1,
    DynamicBroker = 2,
    DynamicDefaultBroker = 3,
    StaticBroker = 4,
    Default = 5,
    ClientMetrics = 7,
    Group = 8,
}

/// The layers under one broker, as [`Entry::synonyms`] lists them.
pub(super) struct Layers<'a> {
    values: &'a BrokerValues,
    this_broker: &'a Overrides,
    cluster_wide: &'a Overrides,
    settings: &'a StaticSettings,
}

impl<'a> Layers<'a> {
    pub(super) fn new(settings: &'a StaticSettings, current: &'a Current) -> Self {
        let Current {
            values,
            this_broker,
            cluster_wide,
            ..
        } = current;
        Self {
            values,
            this_broker,
            cluster_wide,
            settings,
        }
    }

    /// Every config of this broker.
    pub(super) fn broker(&self) -> Vec<Entry> {
        let is_public =
            |name: &str| broker_row(name).is_some_and(|row| row.exposure == Exposure::Public);
        let others = self
            .values
            .texts()
            .filter(|(name, _)| !is_public(name) && !is_klamms(name));
        let others =
            others.map(|(name, text)| self.broker_entry(name, Some(text.to_owned()), true));
        let public = table::rows(Scope::Broker)
            .filter(|row| row.exposure == Exposure::Public)
            .filter_map(|row| {
                let value = self.values.value(row.name).map(|value| value.text());
                // Kafka does not start without these, so an answer without them cannot be.
                let is_there = value.is_some() || row.default != super::def::DefaultValue::Required;
                is_there.then(|| self.broker_entry(row.name, value, true))
            });
        others.chain(public).collect()
    }

    /// The dynamic configs of the whole cluster.
    pub(super) fn cluster(&self) -> Vec<Entry> {
        let entry =
            |(name, text): (&String, &String)| self.broker_entry(name, Some(text.clone()), false);
        self.cluster_wide.iter().map(entry).collect()
    }

    fn broker_entry(&self, name: &str, value: Option<String>, is_one_broker: bool) -> Entry {
        let row = kind_row(name);
        let is_sensitive = row.is_none_or(Definition::is_sensitive);
        let mut synonyms = self.synonyms(name, is_sensitive);
        if !is_one_broker {
            synonyms.retain(|synonym| synonym.source == Source::DynamicDefaultBroker);
        }
        Entry {
            name: name.to_owned(),
            value: value.filter(|_| !is_sensitive),
            source: source(&synonyms),
            is_read_only: broker_row(name).is_none_or(|row| row.update == Update::ReadOnly),
            is_sensitive,
            kind: row.map(|row| row.kind),
            synonyms,
            doc: broker_row(name)
                .filter(|row| row.exposure != Exposure::DynamicOnly)
                .map(|row| row.doc),
        }
    }

    /// The values of a broker config in all layers, beginning with the first that has its own name.
    fn synonyms(&self, name: &str, is_sensitive: bool) -> Vec<SynonymEntry> {
        let names = match listener_prefixed(name) {
            Some(base) => vec![name, mechanism_config(base).unwrap_or(base)],
            None => alternatives(name),
        };
        let mut synonyms = Vec::new();
        for source in [
            Source::DynamicBroker,
            Source::DynamicDefaultBroker,
            Source::StaticBroker,
            Source::Default,
        ] {
            for name in &names {
                if let Some(text) = self.text(source, name) {
                    let value = (!is_sensitive).then(|| text.to_owned());
                    synonyms.push(SynonymEntry {
                        name: (*name).to_owned(),
                        value,
                        source,
                    });
                }
            }
        }
        let first = synonyms
            .iter()
            .position(|synonym| synonym.name == name)
            .unwrap_or(synonyms.len());
        synonyms.split_off(first)
    }

    /// What one layer under the broker says of a broker config.
    fn text(&self, layer: Source, name: &str) -> Option<&str> {
        match layer {
            Source::DynamicBroker => self.this_broker.get(name).map(String::as_str),
            Source::DynamicDefaultBroker => self.cluster_wide.get(name).map(String::as_str),
            Source::StaticBroker => self
                .settings
                .get(name)
                .map(|setting| setting.value.as_str()),
            Source::Default => {
                let row = broker_row(name).filter(|row| row.exposure != Exposure::DynamicOnly);
                row.and_then(|row| row.default.text())
            }
            Source::Topic | Source::ClientMetrics | Source::Group => None,
        }
    }

    /// Every config of a topic or a group whose own configs are `overrides`.
    pub(super) fn resource(&self, scope: Scope, overrides: &Overrides) -> Vec<Entry> {
        let values = ResourceValues::new(scope, self.values, overrides);
        let is_there = |row: &&Definition| {
            row.exposure == Exposure::Public || overrides.contains_key(row.name)
        };
        let entry = |row: &Definition| {
            let value = values.get(row.name).map(|value| value.text());
            let mut synonyms = self.inherited_synonyms(scope, row);
            if overrides.contains_key(row.name) {
                let name = row.name.to_owned();
                synonyms.insert(
                    0,
                    SynonymEntry {
                        name,
                        value: value.clone(),
                        source: own_source(scope),
                    },
                );
            }
            Entry {
                name: row.name.to_owned(),
                value,
                source: source(&synonyms),
                is_read_only: false,
                is_sensitive: false,
                kind: Some(row.kind),
                synonyms,
                doc: Some(row.doc),
            }
        };
        table::rows(scope).filter(is_there).map(entry).collect()
    }

    fn inherited_synonyms(&self, scope: Scope, row: &Definition) -> Vec<SynonymEntry> {
        match (row.synonyms.first(), scope, row.default.text()) {
            (Some(first), _, _) => self.synonyms(first.name, false),
            // Only groups list their own default behind a value.
            (None, Scope::Group, Some(text)) => {
                vec![SynonymEntry {
                    name: row.name.to_owned(),
                    value: Some(text.to_owned()),
                    source: Source::Default,
                }]
            }
            (None, _, _) => Vec::new(),
        }
    }

    /// Every config of a topic that is being created with `overrides`, by name, without what stands behind the
    /// values (`KafkaConfigSchema.resolveEffectiveTopicConfigs`): the answer to CreateTopics.
    pub(super) fn new_topic(&self, overrides: &Overrides) -> Vec<Entry> {
        let is_there = |row: &&Definition| {
            row.exposure == Exposure::Public || overrides.contains_key(row.name)
        };
        let mut entries: Vec<Entry> = table::rows(Scope::Topic)
            .filter(is_there)
            .map(|row| {
                let (value, source) = self.new_topic_value(row, overrides);
                Entry {
                    name: row.name.to_owned(),
                    value,
                    source,
                    is_read_only: false,
                    is_sensitive: false,
                    kind: Some(row.kind),
                    synonyms: Vec::new(),
                    doc: Some(row.doc),
                }
            })
            .collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries
    }

    fn new_topic_value(&self, row: &Definition, overrides: &Overrides) -> (Option<String>, Source) {
        if let Some(text) = overrides.get(row.name) {
            return (Some(text.clone()), Source::Topic);
        }
        for source in [
            Source::DynamicBroker,
            Source::DynamicDefaultBroker,
            Source::StaticBroker,
        ] {
            for synonym in row.synonyms {
                if let Some(text) = self.text(source, synonym.name) {
                    let converted = || {
                        java::trim(text)
                            .parse::<i64>()
                            .unwrap_or(0)
                            .saturating_mul(synonym.factor)
                    };
                    let text = if synonym.factor == 1 {
                        text.to_owned()
                    } else {
                        converted().to_string()
                    };
                    return (Some(text), source);
                }
            }
        }
        (row.default.text().map(str::to_owned), Source::Default)
    }
}

/// Every config of a client metrics subscription.
pub(super) fn client_metrics(overrides: &Overrides) -> Vec<Entry> {
    let values = ResourceValues::new(Scope::ClientMetrics, &BrokerValues::default(), overrides);
    let entry = |row: &Definition| {
        let value = values.get(row.name).map(|value| value.text());
        let own = SynonymEntry {
            name: row.name.to_owned(),
            value: value.clone(),
            source: Source::ClientMetrics,
        };
        let synonyms: Vec<_> = overrides
            .contains_key(row.name)
            .then_some(own)
            .into_iter()
            .collect();
        Entry {
            name: row.name.to_owned(),
            value,
            source: source(&synonyms),
            is_read_only: false,
            is_sensitive: false,
            kind: Some(row.kind),
            synonyms,
            doc: Some(row.doc),
        }
    };
    table::rows(Scope::ClientMetrics).map(entry).collect()
}

fn own_source(scope: Scope) -> Source {
    match scope {
        Scope::Topic => Source::Topic,
        Scope::Group => Source::Group,
        Scope::ClientMetrics => Source::ClientMetrics,
        Scope::Broker => Source::DynamicBroker,
    }
}

fn source(synonyms: &[SynonymEntry]) -> Source {
    synonyms
        .first()
        .map_or(Source::Default, |synonym| synonym.source)
}

/// The row of a broker config that Kafka has too.
pub(super) fn broker_row(name: &str) -> Option<&'static Definition> {
    table::find(Scope::Broker, name).filter(|row| row.exposure != Exposure::Klamm)
}

/// The row that tells the kind of a name, which may have a listener's prefix.
fn kind_row(name: &str) -> Option<&'static Definition> {
    let base = || listener_prefixed(name).map(|base| mechanism_config(base).unwrap_or(base));
    broker_row(name).or_else(|| broker_row(base()?))
}

fn is_klamms(name: &str) -> bool {
    name.starts_with("klamm.")
}

/// Behind a listener's prefix these come after the name of a SASL mechanism.
fn mechanism_config(name: &str) -> Option<&'static str> {
    const MECHANISM_CONFIGS: [&str; 5] = [
        "sasl.jaas.config",
        "sasl.login.callback.handler.class",
        "sasl.login.class",
        "sasl.server.callback.handler.class",
        "connections.max.reauth.ms",
    ];
    MECHANISM_CONFIGS
        .into_iter()
        .find(|config| name.ends_with(config))
}

#[cfg(test)]
mod tests {
    use super::{Entry, Source, SynonymEntry};
    use crate::config::{Configs, Kind, Overrides, Sources, load};

    fn configs(set: &[&str]) -> Configs {
        let set = set
            .iter()
            .map(|&assignment| assignment.to_owned())
            .collect();
        Configs::new(
            load(&Sources {
                set,
                ..Sources::default()
            })
            .expect("good settings")
            .settings,
        )
    }

    fn overrides(texts: &[(&str, &str)]) -> Overrides {
        texts
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect()
    }

    fn entry(entries: &[Entry], name: &str) -> Entry {
        entries
            .iter()
            .find(|entry| entry.name == name)
            .cloned()
            .unwrap_or_else(|| panic!("{name} is described"))
    }

    /// Name, value and source of everything behind a config.
    fn behind(entry: &Entry) -> Vec<(&str, &str, Source)> {
        let mut seen = Vec::new();
        for SynonymEntry {
            name,
            value,
            source,
        } in &entry.synonyms
        {
            seen.push((name.as_str(), value.as_deref().unwrap_or_default(), *source));
        }
        seen
    }

    #[test]
    fn the_layers_of_a_broker_config_are_listed_from_the_top() {
        // Apache Kafka's answers to the same settings.
        let configs = configs(&["log.retention.hours=24"]);
        configs.apply(
            &overrides(&[("log.retention.ms", "5")]),
            &overrides(&[("log.retention.ms", "6")]),
        );
        let entries = configs.describe_broker();
        let retention = entry(&entries, "log.retention.ms");
        assert_eq!(
            (retention.value.as_deref(), retention.source),
            (Some("6"), Source::DynamicBroker)
        );
        let expected = [
            ("log.retention.ms", "6", Source::DynamicBroker),
            ("log.retention.ms", "5", Source::DynamicDefaultBroker),
            ("log.retention.hours", "24", Source::StaticBroker),
            ("log.retention.hours", "168", Source::Default),
        ];
        assert_eq!(behind(&retention), expected);
        // Seen from the hours, what goes before them is left out.
        let hours = entry(&entries, "log.retention.hours");
        assert_eq!(behind(&hours), expected[2..]);
        assert!(hours.is_read_only && !retention.is_read_only);
        // A topic without a value of its own lists the broker's.
        let topic = entry(&configs.describe_topic(&overrides(&[])), "retention.ms");
        assert_eq!(
            (topic.value.as_deref(), topic.source),
            (Some("6"), Source::DynamicBroker)
        );
        assert_eq!(behind(&topic), expected);
    }

    #[test]
    fn a_topics_own_value_goes_first_and_odd_defaults_have_nothing_behind_them() {
        let configs = configs(&[]);
        let entries = configs.describe_topic(&overrides(&[("cleanup.policy", "compact , delete")]));
        let policy = entry(&entries, "cleanup.policy");
        let expected = [
            ("cleanup.policy", "compact,delete", Source::Topic),
            ("log.cleanup.policy", "delete", Source::Default),
        ];
        assert_eq!(behind(&policy), expected);
        // log.roll.ms has no default of its own, so that even the default of log.roll.hours is dropped.
        let age = entry(&entries, "segment.ms");
        assert_eq!(
            (age.value.as_deref(), age.source, age.synonyms.len()),
            (Some("604800000"), Source::Default, 0)
        );
        assert_eq!(entries.len(), 33);
        let with_internal = configs.describe_topic(&overrides(&[("internal.segment.bytes", "9")]));
        assert_eq!(
            entry(&with_internal, "internal.segment.bytes").source,
            Source::Topic
        );
    }

    #[test]
    fn secrets_and_what_nobody_knows_are_not_shown() {
        let configs = configs(&[
            "ssl.key.password=secret",
            "my.own.key=value",
            "klamm.fsync=never",
        ]);
        let prefixed = overrides(&[("listener.name.inside.ssl.keystore.password", "secret")]);
        configs.apply(&overrides(&[]), &prefixed);
        let entries = configs.describe_broker();
        for (name, kind, is_read_only) in [
            ("ssl.key.password", Some(Kind::Password), false),
            ("my.own.key", None, true),
            (
                "listener.name.inside.ssl.keystore.password",
                Some(Kind::Password),
                true,
            ),
        ] {
            let entry = entry(&entries, name);
            assert_eq!(
                (entry.value.as_deref(), entry.is_sensitive),
                (None, true),
                "{name}"
            );
            assert_eq!(
                (entry.kind, entry.is_read_only),
                (kind, is_read_only),
                "{name}"
            );
            assert!(
                entry.synonyms.iter().all(|synonym| synonym.value.is_none()),
                "{name}"
            );
        }
        assert!(
            entries
                .iter()
                .all(|entry| !entry.name.starts_with("klamm."))
        );
        // Apache Kafka 4.3.1 describes 340 configs of a broker with nothing but known settings.
        assert_eq!(entries.len(), 340 + 2);
    }

    #[test]
    fn the_cluster_shows_what_was_set_for_all_brokers_and_nothing_else() {
        let configs = configs(&["log.retention.ms=1"]);
        configs.apply(
            &overrides(&[("log.retention.ms", "2")]),
            &overrides(&[("log.retention.ms", "3")]),
        );
        let entries = configs.describe_cluster();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].value.as_deref(), Some("2"));
        assert_eq!(
            behind(&entries[0]),
            [("log.retention.ms", "2", Source::DynamicDefaultBroker)]
        );
    }

    #[test]
    fn groups_list_their_brokers_default_or_their_own() {
        let entries =
            configs(&[]).describe_group(&overrides(&[("consumer.session.timeout.ms", "46000")]));
        let timeout = entry(&entries, "consumer.session.timeout.ms");
        let expected = [
            ("consumer.session.timeout.ms", "46000", Source::Group),
            (
                "group.consumer.session.timeout.ms",
                "45000",
                Source::Default,
            ),
        ];
        assert_eq!(behind(&timeout), expected);
        let reset = entry(&entries, "share.auto.offset.reset");
        assert_eq!(
            behind(&reset),
            [("share.auto.offset.reset", "latest", Source::Default)]
        );
    }

    #[test]
    fn a_new_topic_is_answered_by_name_and_with_converted_hours() {
        let configs = configs(&["log.retention.hours=2", "log.roll.hours=3"]);
        configs.apply(&overrides(&[("log.roll.ms", "4")]), &overrides(&[]));
        let entries = configs.describe_new_topic(&overrides(&[("flush.ms", " 9 ")]));
        let seen = |name: &str| {
            let entry = entry(&entries, name);
            (entry.value.unwrap_or_default(), entry.source)
        };
        assert_eq!(
            seen("retention.ms"),
            ("7200000".to_owned(), Source::StaticBroker)
        );
        assert_eq!(
            seen("segment.ms"),
            ("4".to_owned(), Source::DynamicDefaultBroker)
        );
        assert_eq!(seen("flush.ms"), (" 9 ".to_owned(), Source::Topic));
        assert_eq!(
            seen("cleanup.policy"),
            ("delete".to_owned(), Source::Default)
        );
        assert!(entries.is_sorted_by(|a, b| a.name < b.name));
    }
}
