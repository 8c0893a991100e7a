//! Where settings come from, and how the layers lie over each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::load::{LoadError, Sources};
use super::setting::{Origin, Problem, Setting};
use super::table::{self, Scope};
use super::{environment, listeners, properties, values};

/// Every setting of `sources`, by key. What is no setting at all goes into `problems`.
pub(super) fn collect(
    sources: &Sources,
    problems: &mut Vec<Problem>,
) -> Result<BTreeMap<String, Setting>, LoadError> {
    let file = sources.file.as_deref().map(read_file).transpose()?;
    Ok(merge([
        implied(sources.ephemeral),
        file.unwrap_or_default(),
        environment::settings(sources.variables.iter().cloned()),
        assignments(&sources.set, problems),
        flags(sources),
    ]))
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
