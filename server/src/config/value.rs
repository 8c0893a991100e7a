//! Values: from the text that somebody wrote to what it means, by the rules of a row.

use std::fmt;

use super::def::{Check, Definition, Kind};
use super::java;

/// A value that has passed its row's check.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Boolean(bool),
    /// Strings, classes and passwords, white space around them removed.
    Text(String),
    /// Ints, shorts and longs; in the range of their kind.
    Integer(i64),
    Double(f64),
    List(Vec<String>),
}

impl Value {
    /// The text that Kafka shows of the value (`ConfigDef.convertToString`).
    pub fn text(&self) -> String {
        match self {
            Self::Boolean(value) => value.to_string(),
            Self::Text(value) => value.clone(),
            Self::Integer(value) => value.to_string(),
            Self::Double(value) => java::double_text(*value),
            Self::List(entries) => entries.join(","),
        }
    }
}

/// A value was refused. It displays what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub allowed: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.allowed)
    }
}

/// Reads `text` as a value of `row` (`ConfigDef.parseType` and the row's validator).
pub fn parse(row: &Definition, text: &str) -> Result<Value, Refused> {
    let refused = || Refused {
        allowed: allowed(row),
    };
    let value = read(row.kind, text)
        .map(|value| without_repeats(row, value))
        .ok_or_else(refused)?;
    if fits(&row.check, &value) {
        Ok(value)
    } else {
        Err(refused())
    }
}

/// What a row takes, for error texts and for the reference.
pub fn allowed(row: &Definition) -> String {
    let kind = match row.kind {
        Kind::Boolean => "true or false",
        Kind::String | Kind::Password => "any text",
        Kind::Int => "a 32-bit whole number",
        Kind::Short => "a 16-bit whole number",
        Kind::Long => "a 64-bit whole number",
        Kind::Double => "a number",
        Kind::List => "a comma-separated list",
        Kind::Class => "the name of a Java class",
    };
    match row.check {
        Check::Any => kind.to_owned(),
        Check::AtLeast(min) => format!("{kind} of at least {min}"),
        Check::Between(min, max) => format!("{kind} from {min} to {max}"),
        Check::Ratio(min, max) => format!("{kind} from {min} to {max}"),
        Check::GzipLevel => "-1 or a whole number from 1 to 9".to_owned(),
        Check::OneOf(values) => format!("one of {}", values.join(", ")),
        Check::AnyCaseOf(values) => format!("one of {}, in upper or lower case", values.join(", ")),
        Check::NotEmpty => "a text that is not empty".to_owned(),
        Check::Entries {
            allowed: [],
            may_be_empty: true,
        } => format!("{kind} without empty entries"),
        Check::Entries {
            allowed: [],
            may_be_empty: false,
        } => {
            format!("{kind} of at least one entry, none of them empty")
        }
        Check::Entries {
            allowed,
            may_be_empty: true,
        } => format!("{kind} of any of {}", allowed.join(", ")),
        Check::Entries {
            allowed,
            may_be_empty: false,
        } => {
            format!("{kind} of at least one of {}", allowed.join(", "))
        }
        Check::ThrottledReplicas => "* or a comma-separated list of partition:broker".to_owned(),
        Check::OffsetReset => {
            "latest, earliest or by_duration: with a duration like PT1H30M".to_owned()
        }
        Check::Voters => "a comma-separated list of id@host:port".to_owned(),
        Check::HostPorts => "a comma-separated list of host:port".to_owned(),
    }
}

fn read(kind: Kind, text: &str) -> Option<Value> {
    let text = java::trim(text);
    match kind {
        Kind::Boolean if text.eq_ignore_ascii_case("true") => Some(Value::Boolean(true)),
        Kind::Boolean if text.eq_ignore_ascii_case("false") => Some(Value::Boolean(false)),
        Kind::Boolean => None,
        Kind::String | Kind::Class | Kind::Password => Some(Value::Text(text.to_owned())),
        Kind::Int => text
            .parse::<i32>()
            .ok()
            .map(|value| Value::Integer(value.into())),
        Kind::Short => text
            .parse::<i16>()
            .ok()
            .map(|value| Value::Integer(value.into())),
        Kind::Long => text.parse().ok().map(Value::Integer),
        Kind::Double => java::parse_double(text).map(Value::Double),
        Kind::List => Some(Value::List(java::split_list(text))),
    }
}

/// Lists of distinct entries lose their repeated ones before the check (KIP-1161).
fn without_repeats(row: &Definition, value: Value) -> Value {
    match (row.check, value) {
        (Check::Entries { .. }, Value::List(entries)) => {
            let mut distinct: Vec<String> = Vec::with_capacity(entries.len());
            for entry in entries {
                if !distinct.contains(&entry) {
                    distinct.push(entry);
                }
            }
            Value::List(distinct)
        }
        (_, value) => value,
    }
}

fn fits(check: &Check, value: &Value) -> bool {
    match (*check, value) {
        (Check::AtLeast(min), Value::Integer(value)) => *value >= min,
        (Check::AtLeast(min), Value::Double(value)) => *value >= min as f64,
        (Check::Between(min, max), Value::Integer(value)) => (min..=max).contains(value),
        // Written so that NaN passes, as it does in Kafka.
        (Check::Ratio(min, max), Value::Double(value)) => !(*value < min || *value > max),
        (Check::GzipLevel, Value::Integer(value)) => *value == -1 || (1..=9).contains(value),
        (Check::OneOf(values), Value::Text(value)) => values.contains(&value.as_str()),
        (Check::AnyCaseOf(values), Value::Text(value)) => values
            .iter()
            .any(|allowed| allowed.eq_ignore_ascii_case(value)),
        (Check::NotEmpty, Value::Text(value)) => !value.is_empty(),
        (
            Check::Entries {
                allowed,
                may_be_empty,
            },
            Value::List(entries),
        ) => {
            (may_be_empty || !entries.is_empty())
                && entries.iter().all(|entry| {
                    !entry.is_empty() && (allowed.is_empty() || allowed.contains(&entry.as_str()))
                })
        }
        (Check::ThrottledReplicas, Value::List(entries)) => {
            entries.concat() == "*"
                || entries
                    .iter()
                    .all(|entry| entry.is_empty() || is_replica(entry))
        }
        (Check::OffsetReset, Value::Text(value)) => {
            matches!(value.as_str(), "latest" | "earliest")
                || value
                    .strip_prefix("by_duration:")
                    .is_some_and(java::is_duration)
        }
        (Check::Voters, Value::List(entries)) => entries.iter().all(|entry| is_voter(entry)),
        (Check::HostPorts, Value::List(entries)) => entries.iter().all(|entry| is_host_port(entry)),
        (_, _) => true,
    }
}

/// `partition:broker`
fn is_replica(entry: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    entry
        .split_once(':')
        .is_some_and(|(partition, broker)| is_digits(partition) && is_digits(broker))
}

/// `id@host:port`
fn is_voter(entry: &str) -> bool {
    entry
        .split_once('@')
        .is_some_and(|(id, address)| id.parse::<i32>().is_ok() && is_host_port(address))
}

/// `host:port`, the host being a name, an IPv4 address or an IPv6 one in brackets.
fn is_host_port(entry: &str) -> bool {
    let address = entry
        .split_once("://")
        .map_or(entry, |(_, address)| address);
    address.rsplit_once(':').is_some_and(|(host, port)| {
        let host = host.strip_prefix('[').unwrap_or(host);
        let host = host.strip_suffix(']').unwrap_or(host);
        is_host(host)
            && port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<i32>().is_ok()
    })
}

/// Whether every character may stand in a host name or an address (`Utils.validHostPattern`).
pub fn is_host(host: &str) -> bool {
    host.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-%._:".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::{Value, allowed, parse};
    use crate::config::def::Kind::{Boolean, Double, Int, List, Short, String};
    use crate::config::def::def;

    fn text(row: &crate::config::def::Definition, value: &str) -> Option<std::string::String> {
        parse(row, value).ok().map(|value| value.text())
    }

    #[test]
    fn values_are_trimmed_and_shown_in_one_way() {
        assert_eq!(
            text(&def("b", Boolean, "true"), " TRUE "),
            Some("true".to_owned())
        );
        assert_eq!(text(&def("i", Int, "1"), "+5\t"), Some("5".to_owned()));
        assert_eq!(
            text(&def("l", List, "").distinct(), "a , b,a"),
            Some("a,b".to_owned())
        );
        assert_eq!(
            text(&def("d", Double, "1"), "1e9"),
            Some("1.0E9".to_owned())
        );
        assert_eq!(text(&def("s", String, ""), " x y "), Some("x y".to_owned()));
    }

    #[test]
    fn numbers_stay_in_the_range_of_their_kind() {
        assert_eq!(text(&def("i", Int, "1"), "2147483648"), None);
        assert_eq!(text(&def("s", Short, "1"), "32768"), None);
        assert_eq!(text(&def("i", Int, "1").at_least(1), "0"), None);
        assert_eq!(text(&def("i", Int, "1").between(1, 17), "18"), None);
        assert_eq!(text(&def("i", Int, "1"), "1.0"), None);
        assert_eq!(text(&def("i", Int, "1"), ""), None);
        assert_eq!(text(&def("z", Int, "-1").gzip_level(), "0"), None);
        assert_eq!(text(&def("r", Double, "0.5").ratio(0.0, 1.0), "1.1"), None);
    }

    #[test]
    fn lists_are_checked_entry_by_entry() {
        let policy = def("p", List, "delete").each_of(&["compact", "delete"]);
        assert_eq!(text(&policy, ""), Some(std::string::String::new()));
        assert_eq!(
            text(&policy, "compact,delete"),
            Some("compact,delete".to_owned())
        );
        assert_eq!(text(&policy, "Compact"), None);
        assert_eq!(text(&policy, "compact,"), None);
        assert_eq!(text(&def("l", List, "x").some(), ""), None);
        let replicas = def("r", List, "").throttled_replicas();
        assert_eq!(text(&replicas, "*"), Some("*".to_owned()));
        assert_eq!(text(&replicas, "0:1,,2:3"), Some("0:1,,2:3".to_owned()));
        assert_eq!(text(&replicas, "0"), None);
        let voters = def("v", List, "").voters();
        assert_eq!(
            text(&voters, "1@[::1]:9093"),
            Some("1@[::1]:9093".to_owned())
        );
        assert_eq!(text(&voters, "localhost:9093"), None);
    }

    #[test]
    fn a_refusal_says_what_is_allowed() {
        let refused = parse(&def("i", Int, "1").at_least(1), "x").expect_err("not a number");
        assert_eq!(refused.to_string(), "a 32-bit whole number of at least 1");
        assert_eq!(
            allowed(&def("s", String, "a").one_of(&["a", "b"])),
            "one of a, b"
        );
        assert_eq!(
            parse(&def("b", Boolean, "true"), "false"),
            Ok(Value::Boolean(false))
        );
    }
}
