use kafka_protocol::messages::alter_configs_request::{
    AlterConfigsResource as LegacyResource, AlterableConfig as LegacyConfig,
};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResult;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::{
    AlterConfigsRequest, CreateTopicsRequest, DescribeConfigsRequest,
    IncrementalAlterConfigsRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::{alter, describe, incremental_alter};
use crate::config::Overrides;
use crate::handlers::testing::TestBroker;
use crate::handlers::topics::create_topics;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

const UNKNOWN_SERVER_ERROR: i16 = -1;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const INVALID_TOPIC_EXCEPTION: i16 = 17;
const INVALID_CONFIG: i16 = 40;
const INVALID_REQUEST: i16 = 42;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A broker with the topics t1 and t2.
async fn broker() -> TestBroker {
    let broker = TestBroker::start(&[]).await;
    let topic = |name: &str| {
        CreatableTopic::default()
            .with_name(TopicName(text(name)))
            .with_num_partitions(1)
            .with_replication_factor(1)
    };
    let request = CreateTopicsRequest::default()
        .with_topics(vec![topic("t1"), topic("t2")])
        .with_timeout_ms(5_000);
    broker.call(create_topics, 7, request).await;
    broker
}

async fn described(
    broker: &TestBroker,
    version: i16,
    resources: &[(i8, &str)],
) -> Vec<DescribeConfigsResult> {
    let resource = |(kind, name): &(i8, &str)| {
        DescribeConfigsResource::default()
            .with_resource_type(*kind)
            .with_resource_name(text(name))
            .with_configuration_keys(None)
    };
    let request = DescribeConfigsRequest::default()
        .with_resources(resources.iter().map(resource).collect())
        .with_include_synonyms(true)
        .with_include_documentation(version >= 3);
    broker.call(describe, version, request).await.results
}

/// The value of one config.
async fn value(broker: &TestBroker, kind: i8, name: &str, config: &str) -> String {
    let results = described(broker, 4, &[(kind, name)]).await;
    let config = results[0]
        .configs
        .iter()
        .find(|entry| entry.name.as_str() == config)
        .expect("the config is described");
    config
        .value
        .as_ref()
        .map_or_else(String::new, StrBytes::to_string)
}

type Step<'a> = (&'a str, i8, Option<&'a str>);

fn resource(kind: i8, name: &str, steps: &[Step<'_>]) -> AlterConfigsResource {
    let config = |(name, operation, value): &Step<'_>| {
        AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(*operation)
            .with_value(value.map(text))
    };
    AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configs(steps.iter().map(config).collect())
}

/// The codes of an incremental change, and whether each comes with a text.
async fn stepped(broker: &TestBroker, resources: Vec<AlterConfigsResource>) -> Vec<(i16, bool)> {
    let request = IncrementalAlterConfigsRequest::default().with_resources(resources);
    let responses = broker.call(incremental_alter, 1, request).await.responses;
    responses
        .iter()
        .map(|response| (response.error_code, response.error_message.is_some()))
        .collect()
}

async fn replaced(
    broker: &TestBroker,
    kind: i8,
    name: &str,
    configs: &[(&str, Option<&str>)],
) -> i16 {
    let config = |(name, value): &(&str, Option<&str>)| {
        LegacyConfig::default()
            .with_name(text(name))
            .with_value(value.map(text))
    };
    let resource = LegacyResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configs(configs.iter().map(config).collect());
    let request = AlterConfigsRequest::default().with_resources(vec![resource]);
    broker.call(alter, 2, request).await.responses[0].error_code
}

#[tokio::test]
async fn resources_are_described_one_by_one_at_every_version() {
    let broker = broker().await;
    for version in 1..=4 {
        let resources = [
            (TOPIC, "t1"),
            (TOPIC, "nope"),
            (TOPIC, "a b"),
            (BROKER, "1"),
            (BROKER, "2"),
            (BROKER, "x"),
        ];
        let results = described(&broker, version, &resources).await;
        let codes: Vec<i16> = results.iter().map(|result| result.error_code).collect();
        let expected = [
            0,
            UNKNOWN_TOPIC_OR_PARTITION,
            INVALID_TOPIC_EXCEPTION,
            0,
            INVALID_REQUEST,
            INVALID_REQUEST,
        ];
        assert_eq!(codes, expected, "version {version}");
        assert_eq!(results[0].configs.len(), 33);
        let policy = results[0]
            .configs
            .iter()
            .find(|entry| entry.name.as_str() == "cleanup.policy")
            .expect("known");
        assert_eq!(
            (policy.config_type, policy.documentation.is_some()),
            (7, version >= 3),
            "version {version}"
        );
        assert_eq!(policy.synonyms.len(), 1);
    }
    let nameless = [
        (BROKER, ""),
        (BROKER_LOGGER, ""),
        (CLIENT_METRICS, ""),
        (GROUP, ""),
        (TOPIC, ""),
    ];
    let results = described(&broker, 4, &nameless).await;
    let codes: Vec<i16> = results.iter().map(|result| result.error_code).collect();
    assert_eq!(
        codes,
        [
            0,
            INVALID_REQUEST,
            INVALID_REQUEST,
            INVALID_REQUEST,
            INVALID_TOPIC_EXCEPTION
        ]
    );
    // A new cluster pins min.insync.replicas for all brokers.
    assert_eq!(
        results[0]
            .configs
            .iter()
            .map(|entry| entry.name.as_str())
            .collect::<Vec<_>>(),
        ["min.insync.replicas"]
    );
    let results = described(
        &broker,
        4,
        &[
            (BROKER_LOGGER, "1"),
            (GROUP, "any"),
            (CLIENT_METRICS, "any"),
        ],
    )
    .await;
    let counts: Vec<(i16, usize)> = results
        .iter()
        .map(|result| (result.error_code, result.configs.len()))
        .collect();
    assert_eq!(counts, [(0, 0), (0, 17), (0, 3)]);
}

#[tokio::test]
async fn a_type_that_does_not_exist_spoils_the_whole_description() {
    let broker = broker().await;
    let results = described(&broker, 4, &[(TOPIC, "t1"), (3, "x")]).await;
    assert!(
        results
            .iter()
            .all(|result| result.error_code == INVALID_REQUEST && result.configs.is_empty())
    );
}

#[tokio::test]
async fn only_the_configs_that_were_asked_for_are_described() {
    let broker = broker().await;
    let keys = ["retention.ms", "nope"].map(text).to_vec();
    let resource = DescribeConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text("t1"));
    let request = DescribeConfigsRequest::default().with_resources(vec![
        resource.clone().with_configuration_keys(Some(keys)),
        resource.with_configuration_keys(Some(Vec::new())),
    ]);
    let results = broker.call(describe, 4, request).await.results;
    assert_eq!(
        results
            .iter()
            .map(|result| result.configs.len())
            .collect::<Vec<_>>(),
        [1, 33]
    );
    let entry = &results[0].configs[0];
    assert!(entry.synonyms.is_empty() && entry.documentation.is_none());
}

#[tokio::test]
async fn each_resource_changes_as_a_whole_or_not_at_all() {
    let broker = broker().await;
    let outcomes = stepped(
        &broker,
        vec![
            resource(TOPIC, "t1", &[("retention.ms", SET, Some(" 5000 "))]),
            resource(
                TOPIC,
                "t2",
                &[
                    ("retention.ms", SET, Some("7")),
                    ("max.message.bytes", SET, Some("-1")),
                ],
            ),
            resource(TOPIC, "nope", &[("retention.ms", SET, Some("1"))]),
        ],
    )
    .await;
    assert_eq!(
        outcomes,
        [
            (0, false),
            (INVALID_CONFIG, true),
            (UNKNOWN_TOPIC_OR_PARTITION, true)
        ]
    );
    assert_eq!(value(&broker, TOPIC, "t1", "retention.ms").await, "5000");
    assert_eq!(
        value(&broker, TOPIC, "t2", "retention.ms").await,
        "604800000"
    );
}

#[tokio::test]
async fn lists_grow_and_shrink_by_entries() {
    let broker = broker().await;
    for (operation, entries, expected) in [
        (APPEND, Some("compact"), "delete,compact"),
        (SUBTRACT, Some("delete"), "compact"),
        (SUBTRACT, Some("compact,delete"), ""),
        (DELETE, None, "delete"),
    ] {
        let step = resource(TOPIC, "t1", &[("cleanup.policy", operation, entries)]);
        assert_eq!(stepped(&broker, vec![step]).await, [(0, false)]);
        assert_eq!(
            value(&broker, TOPIC, "t1", "cleanup.policy").await,
            expected
        );
    }
    let step = resource(TOPIC, "t1", &[("retention.ms", APPEND, Some("5"))]);
    assert_eq!(stepped(&broker, vec![step]).await, [(INVALID_CONFIG, true)]);
}

/// Apache Kafka 4.3.1's answers to the same requests, one resource each.
#[tokio::test]
async fn steps_are_refused_with_kafkas_errors() {
    let broker = broker().await;
    let too_long = "0:1,".repeat(8191) + "0:1";
    let throttled = "leader.replication.throttled.replicas";
    let cases: &[(i8, &str, &[Step<'_>], i16)] = &[
        (
            TOPIC,
            "",
            &[("retention.ms", SET, Some("1"))],
            INVALID_REQUEST,
        ),
        (
            TOPIC,
            "a b",
            &[("nope", SET, Some("1"))],
            INVALID_TOPIC_EXCEPTION,
        ),
        (TOPIC, "nope", &[("nope", SET, Some("1"))], INVALID_CONFIG),
        (TOPIC, "t1", &[("retention.ms", SET, None)], INVALID_REQUEST),
        (
            TOPIC,
            "t1",
            &[
                ("retention.ms", SET, Some("1")),
                ("retention.ms", DELETE, None),
            ],
            INVALID_REQUEST,
        ),
        (
            TOPIC,
            "t1",
            &[("retention.ms", 4, Some("1"))],
            UNKNOWN_SERVER_ERROR,
        ),
        (TOPIC, "t1", &[(throttled, SET, Some(&too_long))], 0),
        (
            TOPIC,
            "t1",
            &[(throttled, APPEND, Some("7:1"))],
            INVALID_CONFIG,
        ),
        (TOPIC, "t1", &[("nope", DELETE, None)], 0),
        (TOPIC, "t1", &[], 0),
        (
            BROKER,
            "2",
            &[("log.retention.ms", SET, Some("1"))],
            INVALID_REQUEST,
        ),
        (
            BROKER,
            "x",
            &[("log.retention.ms", SET, Some("1"))],
            INVALID_REQUEST,
        ),
        (
            BROKER,
            "1",
            &[("num.partitions", SET, Some("2"))],
            INVALID_REQUEST,
        ),
        (
            BROKER,
            "1",
            &[("log.retention.ms", 5, Some("1"))],
            INVALID_REQUEST,
        ),
        (
            BROKER,
            "1",
            &[("log.retention.ms", APPEND, Some("1"))],
            INVALID_CONFIG,
        ),
        (BROKER, "1", &[("nope", APPEND, Some("1"))], INVALID_CONFIG),
        (
            BROKER,
            "1",
            &[("min.insync.replicas", SET, Some("1"))],
            INVALID_CONFIG,
        ),
        (
            BROKER,
            "",
            &[("min.insync.replicas", DELETE, None)],
            INVALID_CONFIG,
        ),
        (
            GROUP,
            "",
            &[("consumer.session.timeout.ms", SET, Some("50000"))],
            INVALID_REQUEST,
        ),
        (
            GROUP,
            "g",
            &[("consumer.session.timeout.ms", SET, Some("70000"))],
            INVALID_CONFIG,
        ),
        (
            CLIENT_METRICS,
            "",
            &[("interval.ms", SET, Some("100"))],
            INVALID_REQUEST,
        ),
        (
            CLIENT_METRICS,
            "c",
            &[("interval.ms", SET, Some("99"))],
            INVALID_REQUEST,
        ),
        (
            CLIENT_METRICS,
            "c",
            &[("match", APPEND, Some("client_id=y"))],
            INVALID_CONFIG,
        ),
        (
            BROKER_LOGGER,
            "1",
            &[("no.such.logger", SET, Some("INFO"))],
            INVALID_CONFIG,
        ),
        (
            BROKER_LOGGER,
            "1",
            &[("root", APPEND, Some("INFO"))],
            INVALID_REQUEST,
        ),
        (
            BROKER_LOGGER,
            "2",
            &[("root", SET, Some("INFO"))],
            INVALID_REQUEST,
        ),
        (0, "x", &[("a", SET, Some("1"))], INVALID_REQUEST),
    ];
    for (kind, name, steps, code) in cases {
        let outcome = stepped(&broker, vec![resource(*kind, name, steps)]).await;
        let has_text = *code != 0 && *code != UNKNOWN_SERVER_ERROR;
        assert_eq!(
            outcome,
            [(*code, has_text)],
            "type {kind}, name {name:?}, {steps:.60?}"
        );
    }
}

#[tokio::test]
async fn a_resource_that_is_there_twice_is_refused_twice() {
    let broker = broker().await;
    let step = |value| resource(TOPIC, "t1", &[("retention.ms", SET, Some(value))]);
    let outcomes = stepped(
        &broker,
        vec![step("1"), step("2"), resource(TOPIC, "t2", &[])],
    )
    .await;
    assert_eq!(
        outcomes,
        [(INVALID_REQUEST, true), (INVALID_REQUEST, true), (0, false)]
    );
    // An operation that does not exist takes everything with it that got as far as the controller.
    let outcomes = stepped(
        &broker,
        vec![
            resource(TOPIC, "t2", &[("retention.ms", 9, Some("5"))]),
            step("6"),
            resource(BROKER, "2", &[]),
        ],
    )
    .await;
    assert_eq!(
        outcomes,
        [
            (UNKNOWN_SERVER_ERROR, false),
            (UNKNOWN_SERVER_ERROR, false),
            (INVALID_REQUEST, true)
        ]
    );
    assert_eq!(
        value(&broker, TOPIC, "t1", "retention.ms").await,
        "604800000"
    );
}

#[tokio::test]
async fn what_is_only_validated_changes_nothing() {
    let broker = broker().await;
    let before = broker.broker().image().offset;
    let resources = vec![
        resource(TOPIC, "t1", &[("retention.ms", SET, Some("5"))]),
        resource(TOPIC, "t2", &[("retention.ms", SET, Some("x"))]),
    ];
    let request = IncrementalAlterConfigsRequest::default()
        .with_resources(resources)
        .with_validate_only(true);
    let responses = broker.call(incremental_alter, 1, request).await.responses;
    assert_eq!(
        responses
            .iter()
            .map(|response| response.error_code)
            .collect::<Vec<_>>(),
        [0, INVALID_CONFIG]
    );
    assert_eq!(broker.broker().image().offset, before);
}

#[tokio::test]
async fn a_replacement_takes_away_what_it_does_not_name() {
    let broker = broker().await;
    assert_eq!(
        replaced(
            &broker,
            TOPIC,
            "t1",
            &[("segment.ms", Some("1000")), ("retention.ms", Some("5"))]
        )
        .await,
        0
    );
    assert_eq!(
        replaced(&broker, TOPIC, "t1", &[("segment.ms", Some("1000"))]).await,
        0
    );
    assert_eq!(value(&broker, TOPIC, "t1", "segment.ms").await, "1000");
    assert_eq!(
        value(&broker, TOPIC, "t1", "retention.ms").await,
        "604800000"
    );
    assert_eq!(
        replaced(&broker, TOPIC, "t1", &[("segment.ms", None)]).await,
        INVALID_REQUEST
    );
    assert_eq!(
        replaced(&broker, BROKER_LOGGER, "1", &[("root", Some("INFO"))]).await,
        INVALID_REQUEST
    );
    // It would take away the cluster's min.insync.replicas.
    assert_eq!(replaced(&broker, BROKER, "", &[]).await, INVALID_CONFIG);
}

#[tokio::test]
async fn dynamic_broker_configs_reach_the_broker_and_its_topics_at_once() {
    let broker = broker().await;
    let cluster_wide = [
        ("message.max.bytes", SET, Some("3000")),
        ("max.connections", SET, Some("77")),
    ];
    let outcomes = stepped(
        &broker,
        vec![
            resource(BROKER, "", &cluster_wide),
            resource(BROKER, "1", &[("message.max.bytes", SET, Some("2000"))]),
        ],
    )
    .await;
    assert_eq!(outcomes, [(0, false), (0, false)]);
    let configs = &broker.broker().configs;
    assert_eq!(configs.broker().net.connections_max, Some(77));
    assert_eq!(configs.topic(&Overrides::new()).batch_bytes_max, 2000);
    assert_eq!(
        value(&broker, TOPIC, "t1", "max.message.bytes").await,
        "2000"
    );
    let step = resource(BROKER, "1", &[("message.max.bytes", DELETE, None)]);
    assert_eq!(stepped(&broker, vec![step]).await, [(0, false)]);
    assert_eq!(configs.topic(&Overrides::new()).batch_bytes_max, 3000);
}
