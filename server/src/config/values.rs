//! The settings of a broker after all layers have been put over each other.

use std::collections::BTreeMap;

use super::java;
use super::table::{self, Scope};
use super::value::{self, Value};

/// Names and texts of the broker settings in force, and the rows' defaults behind them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrokerValues {
    texts: BTreeMap<String, String>,
}

/// Configs of which only the one that was set last and highest counts (`DynamicBrokerConfig.brokerConfigSynonyms`),
/// in the order of their precedence within one layer.
const ALTERNATIVES: &[&[&str]] = &[
    &["log.roll.ms", "log.roll.hours"],
    &["log.roll.jitter.ms", "log.roll.jitter.hours"],
    &[
        "log.retention.ms",
        "log.retention.minutes",
        "log.retention.hours",
    ],
];

/// The configs that describe the same thing as `name`, itself among them, the one that goes before the others first.
pub fn alternatives(name: &str) -> Vec<&str> {
    if name == "log.flush.interval.ms" {
        // The scheduler's interval stands in for it, but not the other way round.
        return vec![name, "log.flush.scheduler.interval.ms"];
    }
    match ALTERNATIVES.iter().find(|names| names.contains(&name)) {
        Some(names) => names.to_vec(),
        None => vec![name],
    }
}

impl BrokerValues {
    pub fn from_texts(texts: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            texts: texts.into_iter().collect(),
        }
    }

    /// Puts a layer over what is there: a name also covers its alternatives (`DynamicBrokerConfig.overrideProps`).
    pub fn overlay<'a>(&mut self, layer: impl IntoIterator<Item = (&'a str, &'a str)>) {
        for (name, text) in layer {
            for alternative in alternatives(name) {
                self.texts.remove(alternative);
            }
            self.texts.insert(name.to_owned(), text.to_owned());
        }
    }

    /// Brings the dynamic configs of the group coordinator between their static bounds
    /// (`GroupCoordinatorConfig.clampDynamicConfigs`).
    pub fn clamp_dynamic(&mut self) {
        for protocol in ["consumer", "share", "streams"] {
            let name = format!("group.{protocol}.assignment.interval.ms");
            let min = self.integer(&format!("group.{protocol}.min.assignment.interval.ms"));
            let max = self.integer(&format!("group.{protocol}.max.assignment.interval.ms"));
            if self.is_set(&name) {
                let clamped = self.integer(&name).max(min).min(max);
                if clamped != self.integer(&name) {
                    self.texts.insert(name, clamped.to_string());
                }
            }
        }
    }

    /// Everything that is set, by name.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
    }

    pub fn is_set(&self, name: &str) -> bool {
        self.texts.contains_key(name)
    }

    /// The value in force; `None` where nothing is set and nothing is the default.
    ///
    /// A text that does not fit its row counts as not there: static ones are refused when the broker starts, dynamic
    /// ones when they are set, and one that an older version let through must not stop the broker.
    pub fn value(&self, name: &str) -> Option<Value> {
        let row = table::find(Scope::Broker, name)?;
        let default = || {
            row.default
                .text()
                .and_then(|text| value::parse(row, text).ok())
        };
        self.texts
            .get(name)
            .and_then(|text| value::parse(row, text).ok())
            .or_else(default)
    }

    /// A whole number of any width; `None` where it is unset.
    pub fn optional_integer(&self, name: &str) -> Option<i64> {
        match self.value(name) {
            Some(Value::Integer(value)) => Some(value),
            _ => None,
        }
    }

    /// A whole number that has a default, or an implied value.
    pub fn integer(&self, name: &str) -> i64 {
        self.optional_integer(name)
            .unwrap_or_else(|| panic!("{name} is a number with a default"))
    }

    /// A whole number that may be set for one listener: `name` behind `prefix`, else `name` itself.
    pub fn prefixed_integer(&self, prefix: &str, name: &str) -> i64 {
        let own = self
            .texts
            .get(&format!("{prefix}{name}"))
            .and_then(|text| java::trim(text).parse().ok());
        own.unwrap_or_else(|| self.integer(name))
    }

    pub fn boolean(&self, name: &str) -> bool {
        matches!(self.value(name), Some(Value::Boolean(true)))
    }

    pub fn double(&self, name: &str) -> f64 {
        match self.value(name) {
            Some(Value::Double(value)) => value,
            _ => panic!("{name} is a number with a default"),
        }
    }

    pub fn text(&self, name: &str) -> Option<String> {
        match self.value(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The entries of a list; none where it is unset.
    pub fn list(&self, name: &str) -> Vec<String> {
        match self.value(name) {
            Some(Value::List(entries)) => entries,
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::BrokerValues;

    #[test]
    fn a_layer_covers_the_alternatives_below_it() {
        let mut values = BrokerValues::default();
        values.overlay([("log.retention.ms", "1000"), ("num.partitions", "3")]);
        values.overlay([("log.retention.hours", "2")]);
        assert!(!values.is_set("log.retention.ms"));
        assert_eq!(values.integer("log.retention.hours"), 2);
        assert_eq!(values.integer("num.partitions"), 3);
        assert_eq!(values.integer("message.max.bytes"), 1_048_588);
    }

    #[test]
    fn a_text_that_does_not_fit_gives_way_to_the_default() {
        let mut values = BrokerValues::default();
        values.overlay([("num.partitions", "many")]);
        assert_eq!(values.integer("num.partitions"), 1);
        assert_eq!(values.optional_integer("log.retention.ms"), None);
    }
}
