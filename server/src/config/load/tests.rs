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
    assert_eq!(broker.net.request_memory_bytes_max, 128 << 20);
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
