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
