//! Whether a change of dynamic configs is allowed, and why not.

mod broker;
mod resource;
#[cfg(test)]
mod tests;

use std::fmt;

pub(super) use broker::{admissible, check_broker};
pub(super) use resource::{check_client_metrics, check_group, check_topic};

use super::def::{Exposure, Kind};
use super::java;
use super::table::{self, Scope};

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
