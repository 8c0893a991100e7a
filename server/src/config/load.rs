//! From files, variables and flags to the static settings of a broker.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::def::{Effect, Exposure};
use super::listeners::{self, ListenerPlan};
use super::setting::{Origin, Problem, Setting};
use super::table::{self, Scope};
use super::values::BrokerValues;
use super::{known, layers, relations, value};

#[cfg(test)]
mod tests;

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
    let settings = layers::collect(sources, &mut problems)?;
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
        problems.extend(conflicts.map(|conflict| problem(&conflict.key, conflict.reason)));
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
