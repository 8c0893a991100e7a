use super::{Operation, Refusal, edited};
use crate::config::table::Scope;
use crate::config::{Configs, Overrides, Sources, load};

fn configs() -> Configs {
    let sources = Sources {
        set: vec!["log.dirs=/data".to_owned()],
        ..Sources::default()
    };
    Configs::new(load(&sources).expect("good settings").settings)
}

fn one(name: &str, text: &str) -> Overrides {
    Overrides::from([(name.to_owned(), text.to_owned())])
}

/// Name, value, and whether Apache Kafka 4.3.1 takes it for one broker and for all of them.
const BROKER_CHANGES: &[(&str, &str, bool, bool)] = &[
    ("num.partitions", "2", false, false),
    ("log.dirs", "/x", false, false),
    ("klamm.fsync", "never", false, false),
    ("log.retention.ms", "1000", true, true),
    ("log.retention.ms", "0", false, false),
    ("log.retention.ms", "-1", true, true),
    ("log.retention.hours", "5", false, false),
    ("log.roll.ms", "0", false, false),
    ("num.io.threads", "16", true, true),
    ("num.io.threads", "17", false, false),
    ("num.io.threads", "4", true, true),
    ("num.io.threads", "3", false, false),
    ("log.cleaner.threads", "3", false, false),
    ("log.cleaner.dedupe.buffer.size", "1000", false, false),
    (
        "log.cleaner.min.compaction.lag.ms",
        "9223372036854775807",
        true,
        true,
    ),
    ("log.cleanup.policy", "", true, true),
    ("log.cleanup.policy", "x", false, false),
    ("max.connections", "0", false, false),
    ("max.connections", "100", true, true),
    ("max.connections.per.ip", "0", false, false),
    (
        "max.connections.per.ip.overrides",
        "127.0.0.1:500",
        true,
        true,
    ),
    ("max.connections.per.ip.overrides", "x", false, false),
    ("metric.reporters", "", true, true),
    ("metric.reporters", "no.Such", false, false),
    ("principal.builder.class", "no.Such", false, false),
    ("ssl.keystore.type", "PEM", false, false),
    ("ssl.protocol", "TLSv1.2", true, false),
    (
        "listener.name.plaintext.ssl.keystore.type",
        "PEM",
        true,
        false,
    ),
    ("listener.name.plaintext.max.connections", "7", true, true),
    ("listener.name.plaintext.num.partitions", "x", false, false),
    ("unknown.config", "1", true, true),
    ("producer.id.expiration.ms", "0", false, false),
    ("log.local.retention.ms", "99999999999", false, false),
    ("leader.replication.throttled.rate", "5", true, true),
    ("leader.replication.throttled.rate", "-5", false, false),
    (
        "group.consumer.assignment.interval.ms",
        "50000",
        false,
        false,
    ),
    ("cordoned.log.dirs", "/data", true, false),
    ("cordoned.log.dirs", "/x", false, false),
    ("cordoned.log.dirs", "*", true, false),
    ("listeners", "PLAINTEXT://:1", false, false),
    ("auto.create.topics.enable", "false", false, false),
];

#[test]
fn brokers_take_what_kafkas_take_for_one_and_for_all_of_them() {
    let configs = configs();
    for &(name, text, for_one, for_all) in BROKER_CHANGES {
        let (one_broker, all) = (
            configs.check_broker(&one(name, text)),
            configs.check_cluster(&one(name, text)),
        );
        assert_eq!(
            one_broker.is_ok(),
            for_one,
            "{name}={text} for one broker: {one_broker:?}"
        );
        assert_eq!(
            all.is_ok(),
            for_all,
            "{name}={text} for all brokers: {all:?}"
        );
        for refusal in [one_broker, all].into_iter().filter_map(Result::err) {
            assert!(matches!(refusal, Refusal::InvalidRequest(_)), "{refusal:?}");
        }
    }
}

#[test]
fn a_broker_is_checked_with_both_layers_together() {
    let configs = configs();
    configs.apply(&one("log.retention.bytes", "100"), &Overrides::new());
    assert!(
        configs
            .check_broker(&one("log.local.retention.bytes", "101"))
            .is_err()
    );
    assert!(
        configs
            .check_broker(&one("log.local.retention.bytes", "100"))
            .is_ok()
    );
}

#[test]
fn topics_and_groups_are_refused_as_invalid_configs() {
    let configs = configs();
    let topic = |texts: &[(&str, &str)]| {
        let overrides = texts
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        configs.check_topic(&overrides)
    };
    assert_eq!(
        topic(&[
            ("retention.ms", " 5 "),
            ("cleanup.policy", ""),
            ("segment.bytes", "1048576")
        ]),
        Ok(())
    );
    for texts in [
        &[("nope", "1")][..],
        &[("log.retention.ms", "1")],
        &[("retention.ms", "-2")],
        &[("segment.bytes", "1048575")],
        &[("remote.storage.enable", "true")],
        &[
            ("min.compaction.lag.ms", "10"),
            ("max.compaction.lag.ms", "9"),
        ],
    ] {
        assert!(
            matches!(topic(texts), Err(Refusal::InvalidConfig(_))),
            "{texts:?}"
        );
    }
    for (name, text, fits) in [
        ("consumer.session.timeout.ms", "50000", true),
        ("consumer.session.timeout.ms", "70000", false),
        ("consumer.session.timeout.ms", "1", false),
        ("consumer.assignment.interval.ms", "20000", false),
        ("streams.num.standby.replicas", "3", false),
        ("streams.num.standby.replicas", "2", true),
        ("share.auto.offset.reset", "by_duration:PT1H", true),
        ("share.isolation.level", "READ_COMMITTED", false),
        ("nope", "1", false),
    ] {
        let checked = configs.check_group(&one(name, text));
        assert_eq!(checked.is_ok(), fits, "{name}={text}: {checked:?}");
    }
}

#[test]
fn client_metrics_have_two_ways_to_be_wrong() {
    let configs = configs();
    let check = |name: &str, text: &str| configs.check_client_metrics("c", &one(name, text));
    assert_eq!(check("interval.ms", "100"), Ok(()));
    assert_eq!(
        check("match", "client_id=x.*, client_software_name=[a-z]+"),
        Ok(())
    );
    for (name, text) in [("interval.ms", "99"), ("nope", "1")] {
        assert!(
            matches!(check(name, text), Err(Refusal::InvalidRequest(_))),
            "{name}={text}"
        );
    }
    for (name, text) in [
        ("interval.ms", "x"),
        ("metrics", "a,"),
        ("match", "client_id"),
        ("match", "foo=x"),
        ("match", "client_id=("),
    ] {
        assert!(
            matches!(check(name, text), Err(Refusal::InvalidConfig(_))),
            "{name}={text}"
        );
    }
    assert!(matches!(
        configs.check_client_metrics("", &Overrides::new()),
        Err(Refusal::InvalidRequest(_))
    ));
}

#[test]
fn entries_are_added_to_and_taken_from_lists() {
    let edit = |operation, text: &str, own: Option<&str>| {
        edited(Scope::Topic, "cleanup.policy", operation, text, own)
    };
    let is = |text: &str| Ok(Some(text.to_owned()));
    assert_eq!(
        edit(Operation::Append, "compact", None),
        is("delete,compact")
    );
    assert_eq!(
        edit(Operation::Append, "compact,delete", Some("compact")),
        is("compact,delete")
    );
    assert_eq!(edit(Operation::Subtract, "delete", None), is(""));
    assert_eq!(
        edit(Operation::Subtract, "x", Some("compact,delete")),
        is("compact,delete")
    );
    assert_eq!(edit(Operation::Set, "a", None), is("a"));
    assert_eq!(edit(Operation::Delete, "a", Some("b")), Ok(None));
    for (scope, name) in [
        (Scope::Topic, "retention.ms"),
        (Scope::Topic, "nope"),
        (Scope::ClientMetrics, "match"),
    ] {
        assert!(
            matches!(
                edited(scope, name, Operation::Append, "1", None),
                Err(Refusal::InvalidConfig(_))
            ),
            "{name}"
        );
    }
}

#[test]
fn what_an_older_version_let_in_does_not_count() {
    let configs = configs();
    let cluster_wide = Overrides::from([
        ("log.retention.ms".to_owned(), "often".to_owned()),
        ("num.partitions".to_owned(), "9".to_owned()),
        ("klamm.fsync".to_owned(), "never".to_owned()),
        ("ssl.protocol".to_owned(), "TLSv1.2".to_owned()),
        ("message.max.bytes".to_owned(), "7".to_owned()),
    ]);
    assert_eq!(
        configs.admissible(&cluster_wide, true),
        one("message.max.bytes", "7")
    );
    assert!(configs.apply(&cluster_wide, &Overrides::new()));
    assert_eq!(configs.broker().num_partitions, 1);
    assert_eq!(configs.topic(&Overrides::new()).batch_bytes_max, 7);
    assert!(!configs.apply(&cluster_wide, &Overrides::new()));
}
