//! What Klamm knows about a name that somebody set: a config of this table, one of an older Kafka or of a plug-in,
//! or nothing, and then what may have been meant.

use super::def::Definition;
use super::table::{self, Scope};

/// What a name is.
#[derive(Debug, Clone, Copy)]
pub enum Standing {
    Row(&'static Definition),
    /// Not in the table, but nothing to worry about either: the reason why it does nothing.
    Inert(&'static str),
    Unknown {
        meant: Option<&'static str>,
    },
}

const FORMER: &str = "Kafka 4 no longer has it";
const PLUG_IN: &str = "it belongs to a plug-in, which Klamm cannot run";
const LISTENER: &str = "settings of single listeners are not used yet";

/// Configs of Kafka before 4.0 that old files and compose files still hold.
const FORMER_NAMES: &[&str] = &[
    "advertised.host.name",
    "advertised.port",
    "auto.leader.rebalance.enabled",
    "broker.id.generation.enable",
    "control.plane.listener.name",
    "controller.quota.window.enabled",
    "delegation.token.master.key",
    "eligible.leader.replicas.enable",
    "group.coordinator.new.enable",
    "group.share.enable",
    "host.name",
    "inter.broker.protocol.version",
    "log.cleaner.min.cleanable.dirty.ratio",
    "log.message.downconversion.enable",
    "log.message.format.version",
    "log.message.timestamp.difference.max.ms",
    "offsets.commit.required.acks",
    "port",
    "quota.consumer.default",
    "quota.producer.default",
    "reserved.broker.max.id",
    "unclean.leader.election.enabled",
];

const FORMER_PREFIXES: &[&str] = &["zookeeper.", "password.encoder."];

const PLUG_IN_PREFIXES: &[&str] = &[
    "confluent.",
    "config.providers.",
    "rsm.config.",
    "rlmm.config.",
    "super.users",
];

/// How many letters a name may be off and still be what was meant.
const TYPOS_MAX: usize = 3;

pub fn standing(name: &str) -> Standing {
    let begins_with = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if let Some(row) = table::find(Scope::Broker, name) {
        Standing::Row(row)
    } else if FORMER_NAMES.contains(&name) || begins_with(FORMER_PREFIXES) {
        Standing::Inert(FORMER)
    } else if begins_with(PLUG_IN_PREFIXES) {
        Standing::Inert(PLUG_IN)
    } else if name.starts_with("listener.name.") {
        Standing::Inert(LISTENER)
    } else {
        Standing::Unknown { meant: meant(name) }
    }
}

/// The broker config that stands in for a topic config of this name, else the name that is fewest letters off.
fn meant(name: &str) -> Option<&'static str> {
    if let Some(synonym) = table::find(Scope::Topic, name).and_then(|row| row.synonyms.first()) {
        return Some(synonym.name);
    }
    table::rows(Scope::Broker)
        .map(|row| (distance(name, row.name), row.name))
        .filter(|(distance, candidate)| *distance <= TYPOS_MAX.min(candidate.len() / 3))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance: letters to insert, delete or replace.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{Standing, distance, standing};

    fn meant(name: &str) -> Option<&'static str> {
        match standing(name) {
            Standing::Unknown { meant } => meant,
            other => panic!("{name} is {other:?}"),
        }
    }

    #[test]
    fn a_typo_is_answered_with_what_was_meant() {
        assert_eq!(meant("num.partition"), Some("num.partitions"));
        assert_eq!(
            meant("auto.create.topic.enable"),
            Some("auto.create.topics.enable")
        );
        assert_eq!(meant("message.max.byte"), Some("message.max.bytes"));
        assert_eq!(meant("something.else.entirely"), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn a_topic_config_is_answered_with_its_broker_config() {
        assert_eq!(meant("retention.ms"), Some("log.retention.ms"));
        assert_eq!(meant("max.message.bytes"), Some("message.max.bytes"));
    }

    #[test]
    fn what_older_kafkas_and_plug_ins_have_is_no_cause_for_alarm() {
        for name in [
            "zookeeper.connect",
            "inter.broker.protocol.version",
            "confluent.metrics.reporter.bootstrap.servers",
            "listener.name.internal.ssl.keystore.location",
        ] {
            assert!(matches!(standing(name), Standing::Inert(_)), "{name}");
        }
        assert!(matches!(standing("num.partitions"), Standing::Row(_)));
    }
}
