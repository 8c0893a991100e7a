//! Configuration: one table of everything that can be set, and typed views for those who read it.
//!
//! Static settings come from a properties file, the environment and the command line ([`load`]); dynamic ones are
//! records of the cluster's metadata and are put over them whenever they change ([`Configs::apply`]). A config
//! exists only as a row of [`table`].

mod change;
mod def;
mod effective;
mod environment;
mod java;
mod known;
mod layers;
mod listeners;
mod load;
mod properties;
mod reference;
mod relations;
mod resolved;
mod setting;
pub mod table;
mod typed;
mod value;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

pub use change::{Operation, Refusal, edited};
pub use def::{Definition, Effect, Kind, Update};
pub use effective::{Entry, Source, SynonymEntry};
pub use listeners::{Advertised, Listener};
pub use load::{LoadError, Loaded, Notice, Sources, StaticSettings, load};
pub use reference::reference;
pub use setting::{Origin, Problem, Setting};
pub use typed::{
    BrokerConfig, CleanerConfig, CleanupPolicy, CompressionLevels, ConsumerGroupDefaults,
    FsyncPolicy, GroupConfig, GroupCoordinatorConfig, LogTimers, MetadataLogConfig, NetworkConfig,
    OffsetsConfig, StorageRoot, TimestampType, TopicCompression, TopicConfig, TransactionConfig,
};
pub use value::Value;

use effective::Layers;
use resolved::{GroupValues, TopicValues};
use table::Scope;
use values::BrokerValues;

/// The configs that a client set on one resource, by name.
pub type Overrides = BTreeMap<String, String>;

/// The settings of one broker: the static ones, the dynamic ones over them, and the views made of both.
#[derive(Debug)]
pub struct Configs {
    settings: StaticSettings,
    current: watch::Sender<Arc<Current>>,
}

/// What is in force between two changes.
#[derive(Debug)]
struct Current {
    cluster_wide: Overrides,
    this_broker: Overrides,
    values: BrokerValues,
    broker: Arc<BrokerConfig>,
}

impl Current {
    /// Both layers hold admissible configs only.
    fn new(settings: &StaticSettings, cluster_wide: Overrides, this_broker: Overrides) -> Self {
        let mut values = settings.values();
        values.overlay(texts(&cluster_wide));
        values.overlay(texts(&this_broker));
        values.clamp_dynamic();
        let broker = Arc::new(BrokerConfig::new(settings, &values));
        Self {
            cluster_wide,
            this_broker,
            values,
            broker,
        }
    }
}

/// The name behind `listener.name.<listener>.`, if there is such a prefix.
fn listener_prefixed(name: &str) -> Option<&str> {
    let (_listener, base) = name.strip_prefix("listener.name.")?.split_once('.')?;
    Some(base)
}

fn texts(overrides: &Overrides) -> impl Iterator<Item = (&str, &str)> {
    overrides
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
}

impl Configs {
    pub fn new(settings: StaticSettings) -> Self {
        let current = Current::new(&settings, Overrides::new(), Overrides::new());
        Self {
            settings,
            current: watch::Sender::new(Arc::new(current)),
        }
    }

    /// What the broker runs with right now. Cheap; hold it no longer than one piece of work takes.
    pub fn broker(&self) -> Arc<BrokerConfig> {
        Arc::clone(&self.current.borrow().broker)
    }

    /// The effective configs of a topic whose own configs are `overrides`.
    pub fn topic(&self, overrides: &Overrides) -> TopicConfig {
        let current = self.current();
        TopicConfig::new(&TopicValues::new(Scope::Topic, &current.values, overrides))
    }

    /// The effective configs of a group whose own configs are `overrides`.
    pub fn group(&self, overrides: &Overrides) -> GroupConfig {
        let current = self.current();
        GroupConfig::new(
            &GroupValues::new(Scope::Group, &current.values, overrides),
            &current.values,
        )
    }

    /// Puts the dynamic broker configs of a new cluster image in force: those of the whole cluster (the resource with
    /// the empty name) and this broker's own. To be called after every change of the image, before topics are looked
    /// at. True if anything changed; then the views of every open topic and group are to be made anew.
    pub fn apply(&self, cluster_wide: &Overrides, this_broker: &Overrides) -> bool {
        let cluster_wide = change::admissible(cluster_wide, true);
        let this_broker = change::admissible(this_broker, false);
        let current = self.current();
        if current.cluster_wide == cluster_wide && current.this_broker == this_broker {
            return false;
        }
        self.current.send_replace(Arc::new(Current::new(
            &self.settings,
            cluster_wide,
            this_broker,
        )));
        true
    }

    /// Completes whenever [`Self::apply`] has changed something.
    pub fn watch(&self) -> ConfigWatch {
        ConfigWatch {
            changes: self.current.subscribe(),
        }
    }

    /// Every config of this broker as clients see it, in no particular order.
    pub fn describe_broker(&self) -> Vec<Entry> {
        Layers::new(&self.settings, &self.current()).broker()
    }

    /// The dynamic configs of the whole cluster as clients see them.
    pub fn describe_cluster(&self) -> Vec<Entry> {
        Layers::new(&self.settings, &self.current()).cluster()
    }

    /// Every config of a topic whose own configs are `overrides`.
    pub fn describe_topic(&self, overrides: &Overrides) -> Vec<Entry> {
        Layers::new(&self.settings, &self.current()).resource(Scope::Topic, overrides)
    }

    /// Every config of a group whose own configs are `overrides`. Groups need not exist to have configs.
    pub fn describe_group(&self, overrides: &Overrides) -> Vec<Entry> {
        Layers::new(&self.settings, &self.current()).resource(Scope::Group, overrides)
    }

    /// Every config of a client metrics subscription whose own configs are `overrides`.
    pub fn describe_client_metrics(&self, overrides: &Overrides) -> Vec<Entry> {
        effective::client_metrics(overrides)
    }

    /// What the answer to CreateTopics says of the configs of a topic created with `overrides`: by name, and without
    /// what stands behind the values.
    pub fn describe_new_topic(&self, overrides: &Overrides) -> Vec<Entry> {
        Layers::new(&self.settings, &self.current()).new_topic(overrides)
    }

    /// Whether `proposed` may replace the dynamic configs of the whole cluster.
    pub fn check_cluster(&self, proposed: &Overrides) -> Result<(), Refusal> {
        change::check_broker(&self.settings, &self.current(), proposed, true)
    }

    /// Whether `proposed` may replace the dynamic configs of this broker.
    pub fn check_broker(&self, proposed: &Overrides) -> Result<(), Refusal> {
        change::check_broker(&self.settings, &self.current(), proposed, false)
    }

    /// Whether `proposed` may replace a topic's own configs, or be those of a new one.
    pub fn check_topic(&self, proposed: &Overrides) -> Result<(), Refusal> {
        change::check_topic(&self.current().values, proposed)
    }

    /// Whether `proposed` may replace a group's own configs.
    pub fn check_group(&self, proposed: &Overrides) -> Result<(), Refusal> {
        change::check_group(&self.current().values, proposed)
    }

    /// Whether `proposed` may replace the configs of the client metrics subscription `name`.
    pub fn check_client_metrics(&self, name: &str, proposed: &Overrides) -> Result<(), Refusal> {
        change::check_client_metrics(name, proposed)
    }

    /// The dynamic broker configs of `overrides` that count; an incremental change starts from them.
    pub fn admissible(&self, overrides: &Overrides, is_cluster_wide: bool) -> Overrides {
        change::admissible(overrides, is_cluster_wide)
    }

    fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.borrow())
    }
}

/// Waits for changes of the broker's configs.
#[derive(Debug)]
pub struct ConfigWatch {
    changes: watch::Receiver<Arc<Current>>,
}

impl ConfigWatch {
    /// The configs in force after the next change; `None` once the broker is gone.
    pub async fn changed(&mut self) -> Option<Arc<BrokerConfig>> {
        self.changes.changed().await.ok()?;
        Some(Arc::clone(&self.changes.borrow_and_update().broker))
    }
}
