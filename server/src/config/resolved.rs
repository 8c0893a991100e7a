//! What holds for one topic or one group: its own configs over the broker's over the defaults.

use std::collections::BTreeMap;

use super::def::Definition;
use super::table::{self, Scope};
use super::value::{self, Value};
use super::values::BrokerValues;

/// The value in force of every config of a resource (`LogConfig.fromProps`, `GroupConfig.fromProps`).
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceValues {
    values: BTreeMap<&'static str, Value>,
}

/// The value in force of every config of a topic.
pub type TopicValues = ResourceValues;

/// The value in force of every config of a group.
pub type GroupValues = ResourceValues;

impl ResourceValues {
    /// `overrides` are the resource's own configs. One that does not fit its row counts as not there, as a record
    /// that an older version wrote must not stop the broker.
    pub fn new(scope: Scope, broker: &BrokerValues, overrides: &BTreeMap<String, String>) -> Self {
        let value = |row: &'static Definition| {
            let own = overrides
                .get(row.name)
                .and_then(|text| value::parse(row, text).ok());
            Some((row.name, own.or_else(|| inherited(row, broker))?))
        };
        Self {
            values: table::rows(scope).filter_map(value).collect(),
        }
    }

    /// `None` where the config is unset and has no default.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// A whole number that has a default.
    pub fn integer(&self, name: &str) -> i64 {
        self.optional_integer(name)
            .unwrap_or_else(|| panic!("{name} is a number with a default"))
    }

    pub fn optional_integer(&self, name: &str) -> Option<i64> {
        match self.get(name) {
            Some(Value::Integer(value)) => Some(*value),
            _ => None,
        }
    }

    pub fn boolean(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Boolean(true)))
    }

    pub fn double(&self, name: &str) -> f64 {
        match self.get(name) {
            Some(Value::Double(value)) => *value,
            _ => panic!("{name} is a number with a default"),
        }
    }

    pub fn text(&self, name: &str) -> &str {
        match self.get(name) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    pub fn list(&self, name: &str) -> &[String] {
        match self.get(name) {
            Some(Value::List(entries)) => entries,
            _ => &[],
        }
    }
}

/// What holds where the resource says nothing: the first broker config that stands in, else the row's default.
fn inherited(row: &Definition, broker: &BrokerValues) -> Option<Value> {
    let from_broker = row.synonyms.iter().find_map(|synonym| {
        let value = broker.value(synonym.name)?;
        Some(match value {
            Value::Integer(number) => Value::Integer(number.saturating_mul(synonym.factor)),
            other => other,
        })
    });
    let value = from_broker.or_else(|| {
        row.default
            .text()
            .and_then(|text| value::parse(row, text).ok())
    })?;
    match value {
        // Any retention below zero means for ever.
        Value::Integer(number) if row.name == "retention.ms" => {
            Some(Value::Integer(number.max(-1)))
        }
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::TopicValues;
    use crate::config::table::Scope;
    use crate::config::values::BrokerValues;

    fn topic(broker: &[(&str, &str)], own: &[(&str, &str)]) -> TopicValues {
        let text = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let overrides: BTreeMap<String, String> = own.iter().map(text).collect();
        TopicValues::new(
            Scope::Topic,
            &BrokerValues::from_texts(broker.iter().map(text)),
            &overrides,
        )
    }

    #[test]
    fn a_topics_own_value_goes_before_the_brokers_and_that_before_the_default() {
        assert_eq!(topic(&[], &[]).integer("retention.ms"), 604_800_000);
        assert_eq!(
            topic(&[("log.retention.hours", "2")], &[]).integer("retention.ms"),
            7_200_000
        );
        assert_eq!(
            topic(&[("log.retention.hours", "2")], &[("retention.ms", "5")])
                .integer("retention.ms"),
            5
        );
        assert_eq!(
            topic(&[("log.retention.hours", "-5")], &[]).integer("retention.ms"),
            -1
        );
        assert_eq!(
            topic(&[("log.roll.jitter.hours", "1")], &[]).integer("segment.jitter.ms"),
            3_600_000
        );
        assert_eq!(
            topic(&[("message.max.bytes", "10")], &[]).integer("max.message.bytes"),
            10
        );
        assert_eq!(
            topic(&[], &[("cleanup.policy", "compact, delete")]).list("cleanup.policy"),
            ["compact", "delete"]
        );
        assert_eq!(
            topic(&[], &[]).optional_integer("internal.segment.bytes"),
            None
        );
    }
}
