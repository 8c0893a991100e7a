//! The environment variables of Kafka's container images.
//!
//! Apache's image turns `KAFKA_NUM_PARTITIONS` into `num.partitions`: `_` is a dot, `__` an underscore and `___` a
//! dash (`KafkaDockerWrapper`). Confluent's image reads `__` as a dash and `___` as an underscore; where only that
//! reading gives a config that exists, it is taken. `KLAMM_FSYNC` is `klamm.fsync`.

use super::setting::{Origin, Setting};
use super::table::{self, Scope};

/// Variables that begin with `KAFKA_` or `KLAMM_` and set no config.
const NOT_CONFIGS: &[&str] = &[
    "KAFKA_CLASSPATH",
    "KAFKA_DEBUG",
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_HEAP_OPTS",
    "KAFKA_HOME",
    "KAFKA_JMX_HOSTNAME",
    "KAFKA_JMX_OPTS",
    "KAFKA_JMX_PORT",
    "KAFKA_JVM_PERFORMANCE_OPTS",
    "KAFKA_LOG4J_LOGGERS",
    "KAFKA_LOG4J_OPTS",
    "KAFKA_LOG4J_ROOT_LOGLEVEL",
    "KAFKA_OPTS",
    "KAFKA_TOOLS_LOG4J_LOGLEVEL",
    "KAFKA_VERSION",
    // Read by Klamm's own tests.
    "KLAMM_BIN",
    "KLAMM_COMPAT_CACHE",
    "KLAMM_KAFKA_SCHEMAS",
    "KLAMM_NO_SCHEMAS",
];

/// The settings among `variables`, by name of the variable.
///
/// Confluent's image needs no `KAFKA_LISTENERS`: it listens on every interface at the ports of
/// `KAFKA_ADVERTISED_LISTENERS`. So does Klamm when only the latter is there.
pub fn settings(variables: impl IntoIterator<Item = (String, String)>) -> Vec<Setting> {
    let mut settings: Vec<Setting> = variables
        .into_iter()
        .filter_map(|(variable, value)| {
            let key = key(&variable)?;
            Some(Setting {
                key,
                value,
                origin: Origin::Environment { variable },
            })
        })
        .collect();
    settings.sort_by(|a, b| a.key.cmp(&b.key));
    let value_of = |key: &str| settings.iter().find(|setting| setting.key == key);
    if let (Some(advertised), None) = (value_of("advertised.listeners"), value_of("listeners")) {
        let listeners = Setting {
            key: "listeners".to_owned(),
            value: on_every_interface(&advertised.value),
            origin: advertised.origin.clone(),
        };
        settings.push(listeners);
    }
    settings
}

/// The config that a variable sets, if any.
fn key(variable: &str) -> Option<String> {
    if variable == "CLUSTER_ID" {
        return Some("klamm.cluster.id".to_owned());
    }
    if NOT_CONFIGS.contains(&variable) {
        return None;
    }
    if let Some(name) = variable.strip_prefix("KLAMM_") {
        return Some(format!("klamm.{}", name.to_lowercase().replace('_', ".")));
    }
    let name = variable
        .strip_prefix("KAFKA_")
        .filter(|name| !name.is_empty())?;
    let name = name.to_lowercase();
    let apache = name
        .replace('_', ".")
        .replace("...", "-")
        .replace("..", "_");
    let confluent = name
        .replace("___", "\0")
        .replace("__", "-")
        .replace('_', ".")
        .replace('\0', "_");
    let is_config = |key: &str| table::find(Scope::Broker, key).is_some();
    Some(if !is_config(&apache) && is_config(&confluent) {
        confluent
    } else {
        apache
    })
}

/// `NAME://host:port` entries with the hosts left out.
fn on_every_interface(advertised: &str) -> String {
    let without_host = |entry: &str| {
        let parts = entry
            .split_once("://")
            .and_then(|(name, address)| Some((name, address.rsplit_once(':')?.1)));
        parts.map_or_else(
            || entry.to_owned(),
            |(name, port)| format!("{name}://:{port}"),
        )
    };
    advertised
        .split(',')
        .map(|entry| without_host(entry.trim()))
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    use super::settings;

    fn read(variables: &[(&str, &str)]) -> Vec<(String, String)> {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        settings(variables)
            .into_iter()
            .map(|setting| (setting.key, setting.value))
            .collect()
    }

    fn key(variable: &str) -> Option<String> {
        read(&[(variable, "x")]).pop().map(|(key, _)| key)
    }

    #[test]
    fn underscores_become_dots_underscores_and_dashes() {
        // The pairs that Apache's KafkaDockerWrapper tests with.
        assert_eq!(
            key("KAFKA_NUM_PARTITIONS").as_deref(),
            Some("num.partitions")
        );
        assert_eq!(
            key("KAFKA_UNKNOWN__SCORE").as_deref(),
            Some("unknown_score")
        );
        assert_eq!(key("KAFKA_UNKNOWN___DASH").as_deref(), Some("unknown-dash"));
        assert_eq!(key("KLAMM_FSYNC").as_deref(), Some("klamm.fsync"));
        assert_eq!(key("CLUSTER_ID").as_deref(), Some("klamm.cluster.id"));
    }

    #[test]
    fn variables_of_the_scripts_and_of_others_are_left_alone() {
        for variable in [
            "KAFKA_HEAP_OPTS",
            "KAFKA_VERSION",
            "KAFKA_LOG4J_LOGGERS",
            "KAFKA_",
            "PATH",
            "kafka_num_partitions",
        ] {
            assert_eq!(key(variable), None, "{variable}");
        }
    }

    #[test]
    fn advertised_listeners_alone_say_where_to_listen() {
        let advertised = (
            "KAFKA_ADVERTISED_LISTENERS",
            "PLAINTEXT://broker:29092, HOST://localhost:9092",
        );
        let listeners = |variables: &[(&str, &str)]| {
            read(variables)
                .into_iter()
                .find(|(key, _)| key == "listeners")
                .map(|(_, value)| value)
        };
        assert_eq!(
            listeners(&[advertised]).as_deref(),
            Some("PLAINTEXT://:29092,HOST://:9092")
        );
        assert_eq!(
            listeners(&[advertised, ("KAFKA_LISTENERS", "A://:1")]).as_deref(),
            Some("A://:1")
        );
        assert_eq!(listeners(&[]), None);
    }
}
