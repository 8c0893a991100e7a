//! From files, variables and flags to the static settings of a broker.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::def::{Effect, Exposure};
use super::listeners::{self, ListenerPlan};
use super::relations;
use super::setting::{Origin, Problem, Setting};
use super::table::{self, Scope};
use super::values::{self, BrokerValues};
use super::{environment, known, properties, value};

/// Where settings come from, the weakest first: Klamm's own, `file`, `variables`, `set`, the flags.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A file in the syntax of Kafka's `server.properties`.
    pub file: Option<PathBuf>,
    /// The environment.
    pub variables: Vec<(String, String)>,
    /// `KEY=VALUE`, the last of a key counting.
    pub set: Vec<String>,
    /// `host:port`, `:port` or `NAME://host:port`.
    pub listen: Vec<String>,
    pub data_dir: Option<PathBuf>,
    pub ephemeral: bool,
    pub fsync: Option<String>,
}

/// The static settings of a broker, checked one by one and against each other.
#[derive(Debug, Clone)]
pub struct StaticSettings {
    settings: BTreeMap<String, Setting>,
    pub(super) listeners: ListenerPlan,
    pub ephemeral: bool,
}

/// Settings, and what the person who wrote them should hear.
#[derive(Debug)]
pub struct Loaded {
    pub settings: StaticSettings,
    pub notices: Vec<Notice>,
}

/// Something about the settings that is worth a line in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Set and without effect: name and reason.
    Inert(Vec<(String, &'static str)>),
    /// Nobody knows them: name, origin and the name that may have been meant.
    Unknown(Vec<(String, Origin, Option<&'static str>)>),
    /// Listeners of a KRaft controller, which are not bound.
    ControllerListeners(Vec<String>),
}

impl Notice {
    /// Writes the notice to the log: unknown names as a warning, the rest for information.
    pub fn log(&self) {
        match self {
            Self::Inert(names) => {
                let names = names
                    .iter()
                    .map(|(name, _)| name.as_str())
                    .collect::<Vec<_>>()
                    .join(", ");
                tracing::info!(
                    "these settings have no effect in klamm (see `klamm configs`): {names}"
                );
            }
            Self::Unknown(names) => {
                let one = |(name, origin, meant): &(String, Origin, Option<&str>)| match meant {
                    Some(meant) => format!("{name} ({origin}; did you mean {meant}?)"),
                    None => format!("{name} ({origin})"),
                };
                let names = names.iter().map(one).collect::<Vec<_>>().join(", ");
                tracing::warn!("unknown settings are ignored: {names}");
            }
            Self::ControllerListeners(names) => {
                let names = names.join(", ");
                tracing::info!("klamm needs no controller listener and does not bind {names}");
            }
        }
    }
}

/// Nothing was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadError {
    /// The file cannot be read.
    Unreadable { path: PathBuf, reason: String },
    /// Every setting that cannot be, at least one.
    Refused(Vec<Problem>),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, reason } => {
                write!(f, "cannot read {}: {reason}", path.display())
            }
            Self::Refused(problems) if problems.len() == 1 => {
                write!(f, "a setting cannot be:\n  {}", problems[0])
            }
            Self::Refused(problems) => {
                write!(f, "{} settings cannot be:", problems.len())?;
                problems
                    .iter()
                    .try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl std::error::Error for LoadError {}

/// Reads and checks every source. All that is wrong is reported at once.
pub fn load(sources: &Sources) -> Result<Loaded, LoadError> {
    let mut problems = Vec::new();
    let layers = [
        implied(sources.ephemeral),
        sources
            .file
            .as_deref()
            .map(read_file)
            .transpose()?
            .unwrap_or_default(),
        environment::settings(sources.variables.iter().cloned()),
        assignments(&sources.set, &mut problems),
        flags(sources),
    ];
    let settings = merge(layers);
    problems.extend(settings.values().filter_map(refusal));
    let values = values_of(&settings);
    let problem = |key: &str, reason: String| {
        let setting = settings.get(key);
        let value = setting
            .map(|setting| setting.value.clone())
            .or_else(|| default_text(key));
        let origin = setting.map_or(Origin::Implied, |setting| setting.origin.clone());
        Problem {
            key: key.to_owned(),
            value,
            origin,
            reason,
        }
    };
    if problems.is_empty() {
        let conflicts = relations::conflicts(&values)
            .into_iter()
            .chain(relations::conflict_at_start(&values));
        problems.extend(conflicts.map(|conflict| problem(conflict.key, conflict.reason)));
    }
    let from_flag = settings
        .get("listeners")
        .is_some_and(|setting| matches!(setting.origin, Origin::Flag(_)));
    match listeners::plan(&values, from_flag) {
        Ok(listeners) if problems.is_empty() => {
            let notices = notices(&settings, &listeners);
            Ok(Loaded {
                settings: StaticSettings {
                    settings,
                    listeners,
                    ephemeral: sources.ephemeral,
                },
                notices,
            })
        }
        Ok(_) => Err(LoadError::Refused(problems)),
        Err(bad) => {
            problems.push(problem(bad.key, bad.reason));
            Err(LoadError::Refused(problems))
        }
    }
}

impl StaticSettings {
    /// Names and texts, Klamm's own keys among them.
    pub fn values(&self) -> BrokerValues {
        values_of(&self.settings)
    }

    /// The setting of a key, if anybody set it.
    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.get(key)
    }
}

/// Klamm's own choices over Kafka's defaults.
fn implied(ephemeral: bool) -> Vec<Setting> {
    let setting = |key: &str, value: &str, origin| Setting {
        key: key.to_owned(),
        value: value.to_owned(),
        origin,
    };
    let rows = table::rows(Scope::Broker).filter_map(|row| Some((row.name, row.implied?)));
    let mut settings: Vec<Setting> = rows
        .map(|(key, value)| setting(key, value, Origin::Implied))
        .collect();
    if ephemeral {
        let flag = || Origin::Flag("--ephemeral");
        settings.push(setting("group.initial.rebalance.delay.ms", "0", flag()));
        settings.push(setting("klamm.fsync", "never", flag()));
    }
    settings
}

fn read_file(path: &Path) -> Result<Vec<Setting>, LoadError> {
    let unreadable = |reason: String| LoadError::Unreadable {
        path: path.to_owned(),
        reason,
    };
    let bytes = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    // Kafka reads the file as ISO 8859-1; most people write UTF-8, and ASCII is both.
    let text = String::from_utf8(bytes).unwrap_or_else(|error| {
        error
            .into_bytes()
            .iter()
            .map(|&byte| char::from(byte))
            .collect()
    });
    let properties = properties::parse(&text).map_err(|error| unreadable(error.to_string()))?;
    let path = Arc::new(path.to_owned());
    let setting = |property: properties::Property| Setting {
        key: property.key,
        value: property.value,
        origin: Origin::File {
            path: Arc::clone(&path),
            line: property.line,
        },
    };
    Ok(properties.into_iter().map(setting).collect())
}

fn assignments(set: &[String], problems: &mut Vec<Problem>) -> Vec<Setting> {
    let mut settings = Vec::with_capacity(set.len());
    for assignment in set {
        match assignment.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                settings.push(Setting {
                    key: key.trim().to_owned(),
                    value: value.to_owned(),
                    origin: Origin::Set,
                });
            }
            _ => problems.push(Problem {
                key: assignment.clone(),
                value: Some(String::new()),
                origin: Origin::Set,
                reason: "must be KEY=VALUE".to_owned(),
            }),
        }
    }
    settings
}

fn flags(sources: &Sources) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut flag = |key: &str, value: String, flag| {
        settings.push(Setting {
            key: key.to_owned(),
            value,
            origin: Origin::Flag(flag),
        });
    };
    if !sources.listen.is_empty() {
        flag(
            "listeners",
            listeners::listeners_from_flags(&sources.listen),
            "--listen",
        );
    }
    if let Some(directory) = &sources.data_dir {
        flag("log.dirs", directory.display().to_string(), "--data-dir");
    }
    if let Some(fsync) = &sources.fsync {
        flag("klamm.fsync", fsync.clone(), "--fsync");
    }
    settings
}

/// Puts the layers over each other. A setting covers those of lower layers that mean the same: milliseconds given
/// on the command line go before hours in a file, and `log.dir` there before `log.dirs` in a variable.
fn merge(layers: impl IntoIterator<Item = Vec<Setting>>) -> BTreeMap<String, Setting> {
    let mut merged: BTreeMap<String, Setting> = BTreeMap::new();
    for layer in layers {
        let keys: BTreeSet<&str> = layer.iter().map(|setting| setting.key.as_str()).collect();
        for key in &keys {
            for covered in covered_by(key) {
                if !keys.contains(covered) {
                    merged.remove(covered);
                }
            }
        }
        // A file whose only listener setting is what it advertises listens where Kafka would: everywhere.
        let opens_up = keys.contains("advertised.listeners") && !keys.contains("listeners");
        if opens_up
            && merged
                .get("listeners")
                .is_some_and(|setting| setting.origin == Origin::Implied)
        {
            merged.remove("listeners");
        }
        for setting in layer {
            merged.insert(setting.key.clone(), setting);
        }
    }
    for (id, other) in [("node.id", "broker.id"), ("broker.id", "node.id")] {
        if let (Some(setting), false) = (merged.get(id), merged.contains_key(other)) {
            let copy = Setting {
                key: other.to_owned(),
                ..setting.clone()
            };
            merged.insert(other.to_owned(), copy);
        }
    }
    merged
}

fn covered_by(key: &str) -> Vec<&str> {
    match key {
        "node.id" | "broker.id" => vec!["node.id", "broker.id"],
        "log.dir" | "log.dirs" => vec!["log.dir", "log.dirs"],
        _ => values::alternatives(key),
    }
}

fn values_of(settings: &BTreeMap<String, Setting>) -> BrokerValues {
    BrokerValues::from_texts(
        settings
            .iter()
            .map(|(key, setting)| (key.clone(), setting.value.clone())),
    )
}

fn refusal(setting: &Setting) -> Option<Problem> {
    let row = table::find(Scope::Broker, &setting.key)?;
    let refused = value::parse(row, &setting.value).err()?;
    Some(Problem {
        key: setting.key.clone(),
        value: (!row.is_sensitive()).then(|| setting.value.clone()),
        origin: setting.origin.clone(),
        reason: format!("must be {refused}"),
    })
}

fn default_text(key: &str) -> Option<String> {
    table::find(Scope::Broker, key)?
        .default
        .text()
        .map(str::to_owned)
}

fn notices(settings: &BTreeMap<String, Setting>, listeners: &ListenerPlan) -> Vec<Notice> {
    let (mut inert, mut unknown) = (Vec::new(), Vec::new());
    for (key, setting) in settings
        .iter()
        .filter(|(_, setting)| setting.origin != Origin::Implied)
    {
        match known::standing(key) {
            known::Standing::Row(row) => match row.effect {
                Effect::Inert(reason) => inert.push((key.clone(), reason)),
                Effect::Active if row.exposure == Exposure::DynamicOnly => {
                    inert.push((key.clone(), "it can only be set dynamically"))
                }
                Effect::Active => {}
            },
            known::Standing::Inert(reason) => inert.push((key.clone(), reason)),
            known::Standing::Unknown { meant } => {
                unknown.push((key.clone(), setting.origin.clone(), meant))
            }
        }
    }
    let mut notices = Vec::new();
    if !inert.is_empty() {
        notices.push(Notice::Inert(inert));
    }
    if !unknown.is_empty() {
        notices.push(Notice::Unknown(unknown));
    }
    let is_implied = settings
        .get("listeners")
        .is_none_or(|setting| setting.origin == Origin::Implied);
    if !listeners.controllers.is_empty() && !is_implied {
        notices.push(Notice::ControllerListeners(listeners.controllers.clone()));
    }
    notices
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{LoadError, Notice, Sources, load};
    use crate::config::{BrokerConfig, Configs, FsyncPolicy, StorageRoot};

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|&text| text.to_owned()).collect()
    }

    fn variables(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn broker(sources: &Sources) -> BrokerConfig {
        let loaded = load(sources).expect("good settings");
        (*Configs::new(loaded.settings).broker()).clone()
    }

    fn refusal(sources: &Sources) -> String {
        load(sources).expect_err("a bad setting").to_string()
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("written");
        file
    }

    #[test]
    fn without_any_settings_klamm_serves_loopback_and_writes_here() {
        let broker = broker(&Sources::default());
        assert_eq!(broker.node_id, 1);
        assert_eq!(broker.listeners.len(), 1);
        assert_eq!(broker.listeners[0].host.as_deref(), Some("127.0.0.1"));
        assert_eq!(
            (broker.listeners[0].port, &broker.listeners[0].advertised),
            (9092, &None)
        );
        assert_eq!(
            broker.storage,
            StorageRoot::Directories(vec!["./klamm-data".into()])
        );
        assert_eq!(broker.fsync, FsyncPolicy::AcksAll);
        assert_eq!(broker.offsets.replication_factor, 1);
        assert_eq!(broker.net.connections_max, None);
        assert_eq!(broker.net.request_memory_bytes_max, 32 << 20);
        assert_eq!(broker.group.initial_rebalance_delay.as_millis(), 3000);
    }

    #[test]
    fn an_ephemeral_broker_hurries_unless_told_otherwise() {
        let ephemeral = Sources {
            ephemeral: true,
            ..Sources::default()
        };
        let broker_of = |set: &[&str]| {
            broker(&Sources {
                set: strings(set),
                ..ephemeral.clone()
            })
        };
        let hurried = broker_of(&[]);
        assert_eq!(hurried.storage, StorageRoot::Ephemeral);
        assert_eq!(hurried.fsync, FsyncPolicy::Never);
        assert_eq!(hurried.group.initial_rebalance_delay.as_millis(), 0);
        let patient = broker_of(&["klamm.fsync=always", "group.initial.rebalance.delay.ms=70"]);
        assert_eq!(patient.fsync, FsyncPolicy::Always);
        assert_eq!(patient.group.initial_rebalance_delay.as_millis(), 70);
    }

    #[test]
    fn flags_go_before_set_before_variables_before_the_file() {
        let file = file(
            "num.partitions=2\nlog.dirs=/file\nlisteners=PLAINTEXT://:1\nlog.retention.ms=1\nbroker.id=5\n",
        );
        let sources = Sources {
            file: Some(file.path().to_owned()),
            variables: variables(&[
                ("KAFKA_NUM_PARTITIONS", "3"),
                ("KAFKA_LOG_DIR", "/variable"),
            ]),
            set: strings(&[
                "num.partitions=4",
                "listeners=PLAINTEXT://:2",
                "log.retention.hours=7",
            ]),
            listen: strings(&[":3"]),
            ..Sources::default()
        };
        let loaded = load(&sources).expect("good settings");
        let configs = Configs::new(loaded.settings);
        let broker = configs.broker();
        assert_eq!(broker.num_partitions, 4);
        assert_eq!(broker.listeners[0].port, 3);
        // Names that mean the same cover each other.
        assert_eq!(
            broker.storage,
            StorageRoot::Directories(vec!["/variable".into()])
        );
        assert_eq!(
            configs
                .topic(&Default::default())
                .retention
                .map(|age| age.as_secs()),
            Some(7 * 3600)
        );
        assert_eq!(broker.node_id, 5);
    }

    #[test]
    fn every_bad_value_is_named_with_its_place_and_what_is_allowed() {
        let file = file(
            "num.partitions = none\n\nlog.cleanup.policy=delete,shrink\nssl.key.password=secret\n",
        );
        let sources = Sources {
            file: Some(file.path().to_owned()),
            variables: variables(&[("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "yes")]),
            set: strings(&["message.max.bytes=-1", "num.partitions"]),
            listen: strings(&["localhost"]),
            ..Sources::default()
        };
        let path = file.path().display();
        let expected = format!(
            "6 settings cannot be:
  num.partitions= (--set): must be KEY=VALUE
  auto.create.topics.enable=yes (environment variable KAFKA_AUTO_CREATE_TOPICS_ENABLE): must be true or false
  log.cleanup.policy=delete,shrink ({path}, line 3): must be a comma-separated list of any of compact, delete
  message.max.bytes=-1 (--set): must be a 32-bit whole number of at least 0
  num.partitions=none ({path}, line 1): must be a 32-bit whole number of at least 1
  listeners=PLAINTEXT://localhost (--listen): PLAINTEXT://localhost is not NAME://host:port"
        );
        assert_eq!(refusal(&sources), expected);
    }

    #[test]
    fn values_that_contradict_each_other_are_refused() {
        let sources = Sources {
            set: strings(&["log.retention.minutes=0"]),
            ..Sources::default()
        };
        assert!(
            refusal(&sources).contains("log.retention.ms"),
            "{}",
            refusal(&sources)
        );
        let sources = Sources {
            listen: strings(&["SSL://:9093"]),
            ..Sources::default()
        };
        let expected = "a setting cannot be:\n  listeners=SSL://:9093 (--listen): the listener SSL asks for SSL, but klamm \
                        serves PLAINTEXT only so far";
        assert_eq!(refusal(&sources), expected);
        let sources = Sources {
            file: Some("/nowhere/server.properties".into()),
            ..Sources::default()
        };
        assert!(matches!(load(&sources), Err(LoadError::Unreadable { .. })));
    }

    #[test]
    fn what_has_no_effect_and_what_is_unknown_is_named_once() {
        let file = file(
            "num.network.threads=3\nnum.partition=2\nzookeeper.connect=z:2181\nnum.partitions=2\n",
        );
        let loaded = load(&Sources {
            file: Some(file.path().to_owned()),
            ..Sources::default()
        })
        .expect("good settings");
        let [Notice::Inert(inert), Notice::Unknown(unknown)] = &loaded.notices[..] else {
            panic!("{:?}", loaded.notices);
        };
        assert_eq!(
            inert
                .iter()
                .map(|(name, _)| name.as_str())
                .collect::<Vec<_>>(),
            ["num.network.threads", "zookeeper.connect"]
        );
        assert_eq!(
            (unknown[0].0.as_str(), unknown[0].2),
            ("num.partition", Some("num.partitions"))
        );
        assert_eq!(unknown.len(), 1);
    }

    #[test]
    fn kafkas_own_sample_file_starts_a_broker() {
        // The settings of config/server.properties in the archive of Apache Kafka 4.3.1.
        let file = file(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.bootstrap.servers=localhost:9093\n\
             listeners=PLAINTEXT://:9092,CONTROLLER://:9093\ninter.broker.listener.name=PLAINTEXT\n\
             advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n\
             controller.listener.names=CONTROLLER\nlistener.security.protocol.map=CONTROLLER:PLAINTEXT,\
             PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL\nnum.network.threads=3\n\
             log.dirs=/tmp/kraft-combined-logs\nnum.partitions=1\noffsets.topic.replication.factor=1\n\
             log.retention.hours=168\nlog.segment.bytes=1073741824\nlog.retention.check.interval.ms=300000\n",
        );
        let loaded = load(&Sources {
            file: Some(file.path().to_owned()),
            ..Sources::default()
        })
        .expect("good settings");
        assert!(
            loaded
                .notices
                .contains(&Notice::ControllerListeners(vec!["CONTROLLER".to_owned()]))
        );
        let broker = Configs::new(loaded.settings).broker();
        assert_eq!(broker.listeners.len(), 1);
        assert_eq!(
            broker.listeners[0]
                .advertised
                .as_ref()
                .map(|advertised| advertised.host.as_str()),
            Some("localhost")
        );
    }

    #[test]
    fn advertised_listeners_alone_open_the_broker_up() {
        let listener = |sources: &Sources| broker(sources).listeners.remove(0);
        let set = Sources {
            set: strings(&["advertised.listeners=PLAINTEXT://example:9092"]),
            ..Sources::default()
        };
        assert_eq!((listener(&set).host, listener(&set).port), (None, 9092));
        let image = Sources {
            variables: variables(&[("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://localhost:29092")]),
            ..Sources::default()
        };
        assert_eq!(
            (listener(&image).host, listener(&image).port),
            (None, 29092)
        );
    }
}
