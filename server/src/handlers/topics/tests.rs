use std::collections::BTreeMap;

use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::{
    BrokerId, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::super::testing::TestBroker;
use super::*;
use crate::broker::Broker;

const TIMEOUT_MS: i32 = 5_000;

fn name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

fn topic(of: &str, partitions: i32, replicas: i16) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(name(of))
        .with_num_partitions(partitions)
        .with_replication_factor(replicas)
}

fn assigned(of: &str, assignments: &[(i32, &[i32])]) -> CreatableTopic {
    let assignment = |(index, brokers): &(i32, &[i32])| {
        CreatableReplicaAssignment::default()
            .with_partition_index(*index)
            .with_broker_ids(brokers.iter().map(|id| BrokerId(*id)).collect())
    };
    topic(of, -1, -1).with_assignments(assignments.iter().map(assignment).collect())
}

fn config(name: &'static str, value: Option<&'static str>) -> CreatableTopicConfig {
    CreatableTopicConfig::default()
        .with_name(StrBytes::from_static_str(name))
        .with_value(value.map(StrBytes::from_static_str))
}

fn create(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest::default()
        .with_topics(topics)
        .with_timeout_ms(TIMEOUT_MS)
}

async fn created(broker: &TestBroker, request: CreateTopicsRequest) -> Vec<CreatableTopicResult> {
    broker.call(create_topics, 7, request).await.topics
}

fn codes(results: &[CreatableTopicResult]) -> BTreeMap<String, i16> {
    results
        .iter()
        .map(|result| (result.name.to_string(), result.error_code))
        .collect()
}

fn topic_names(broker: &Broker) -> Vec<String> {
    broker
        .image()
        .topics()
        .map(|topic| topic.name.to_string())
        .collect()
}

/// The answers of Apache Kafka 4.3.1 to the same topics, one request each, on a broker with the topic "taken.name".
#[tokio::test]
async fn topics_are_refused_with_kafkas_errors_in_kafkas_order() {
    let broker = TestBroker::start(&[]).await;
    created(&broker, create(vec![topic("taken.name", 1, 1)])).await;
    let long = "x".repeat(250);
    let cases = [
        (topic("taken.name", 0, 0), ErrorCode::TopicAlreadyExists),
        (topic("taken_name", 0, 0), ErrorCode::InvalidTopicException),
        (topic("", 0, 0), ErrorCode::InvalidTopicException),
        (topic("..", 1, 1), ErrorCode::InvalidTopicException),
        (topic(&long, 1, 1), ErrorCode::InvalidTopicException),
        (topic("__cluster_metadata", 1, 1), ErrorCode::InvalidRequest),
        (
            topic("a", 0, 1).with_configs(vec![config("retention.ms", None)]),
            ErrorCode::InvalidConfig,
        ),
        (
            topic("a", 0, 1).with_configs(vec![config("retention.ms", Some("x"))]),
            ErrorCode::InvalidConfig,
        ),
        (
            topic("a", 0, 1).with_configs(vec![config("no.such", Some("1"))]),
            ErrorCode::InvalidConfig,
        ),
        (topic("a", 0, 0), ErrorCode::InvalidReplicationFactor),
        (topic("a", 1, -2), ErrorCode::InvalidReplicationFactor),
        (topic("a", 0, 2), ErrorCode::InvalidPartitions),
        (topic("a", 1, 2), ErrorCode::InvalidReplicationFactor),
        (
            assigned("a", &[(0, &[1])]).with_num_partitions(1),
            ErrorCode::InvalidRequest,
        ),
        (
            assigned("a", &[(0, &[9])]).with_replication_factor(1),
            ErrorCode::InvalidRequest,
        ),
        (
            assigned("a", &[(0, &[1]), (0, &[1])]),
            ErrorCode::InvalidReplicaAssignment,
        ),
        (
            assigned("a", &[(1, &[1])]),
            ErrorCode::InvalidReplicaAssignment,
        ),
        (
            assigned("a", &[(0, &[])]),
            ErrorCode::InvalidReplicaAssignment,
        ),
        (
            assigned("a", &[(0, &[1, 1])]),
            ErrorCode::InvalidReplicaAssignment,
        ),
        (
            assigned("a", &[(0, &[2])]),
            ErrorCode::InvalidReplicaAssignment,
        ),
    ];
    for (topic, error) in cases {
        let results = created(&broker, create(vec![topic.clone()])).await;
        assert_eq!(
            codes(&results),
            BTreeMap::from([(topic.name.to_string(), error.code())]),
            "{topic:?}"
        );
        assert!(results[0].error_message.is_some(), "{topic:?}");
        assert_eq!(
            (results[0].topic_id, results[0].num_partitions),
            (Uuid::nil(), -1),
            "{topic:?}"
        );
    }
    assert_eq!(topic_names(broker.broker()), ["taken.name"]);
}

#[tokio::test]
async fn a_created_topic_is_described_from_version_5_on() {
    let broker = TestBroker::start(&["num.partitions=3"]).await;
    for version in 2..=7 {
        let of = format!("v{version}");
        let topic = topic(&of, -1, -1).with_configs(vec![
            config("retention.ms", Some("1")),
            config("retention.ms", Some("2")),
        ]);
        let response = broker
            .call(create_topics, version, create(vec![topic]))
            .await;
        let image = broker.broker().image();
        let created = image
            .topic(&of)
            .expect("the topic is there when the answer is");
        let [result] = &response.topics[..] else {
            panic!("one topic")
        };
        assert_eq!((result.error_code, &result.error_message), (0, &None));
        if version < 5 {
            assert_eq!(
                *result,
                CreatableTopicResult::default()
                    .with_name(name(&of))
                    .with_error_message(None)
            );
            continue;
        }
        assert_eq!(
            (
                result.topic_id,
                result.num_partitions,
                result.replication_factor
            ),
            (created.id, 3, 1)
        );
        let configs = result
            .configs
            .as_ref()
            .expect("everybody may see the configs");
        let sources: Vec<_> = configs.iter().map(|config| config.config_source).collect();
        assert!(configs.is_sorted_by(|a, b| a.name.as_str() < b.name.as_str()));
        let own = configs
            .iter()
            .find(|config| config.config_source == 1)
            .expect("retention.ms is the topic's own");
        assert_eq!(
            (own.name.as_str(), own.value.as_deref()),
            ("retention.ms", Some("2"))
        );
        // min.insync.replicas is pinned for the whole cluster; everything else is a default.
        assert_eq!(sources.iter().filter(|source| **source == 3).count(), 1);
        assert_eq!(
            sources.iter().filter(|source| **source == 5).count(),
            sources.len() - 2
        );
    }
}

#[tokio::test]
async fn a_name_that_occurs_twice_is_refused_once_and_the_others_are_created() {
    let broker = TestBroker::start(&[]).await;
    let request = create(vec![
        topic("a", 1, 1),
        topic("b", 1, 1),
        topic("a", 2, 1),
        topic("b.c", 1, 1),
        topic("b_c", 1, 1),
    ]);
    let results = created(&broker, request).await;
    // Two new names that collide with each other are both created, as by Kafka.
    let expected =
        [("a", 42), ("b", 0), ("b.c", 0), ("b_c", 0)].map(|(name, code)| (name.to_owned(), code));
    assert_eq!(codes(&results), BTreeMap::from(expected));
    assert_eq!(results.len(), 4);
    assert_eq!(topic_names(broker.broker()), ["b", "b.c", "b_c"]);
}

#[tokio::test]
async fn requests_that_fail_as_a_whole_name_every_topic_and_create_none() {
    let broker = TestBroker::start(&[]).await;
    let twice = |partitions| {
        vec![
            topic("a", partitions, 1),
            topic("b", 1, 1),
            topic("b", 1, 1),
        ]
    };
    let no_time = create(twice(1)).with_timeout_ms(0);
    let too_many_partitions = create(twice(10_001));
    let too_many_records = create(vec![topic("a", 10_000, 1)]);
    for (request, error, has_text) in [
        (no_time, ErrorCode::RequestTimedOut, false),
        (too_many_partitions, ErrorCode::PolicyViolation, true),
        (too_many_records, ErrorCode::PolicyViolation, true),
    ] {
        let names: Vec<_> = request
            .topics
            .iter()
            .map(|topic| topic.name.clone())
            .collect();
        let results = created(&broker, request).await;
        assert_eq!(
            results
                .iter()
                .map(|result| result.name.clone())
                .collect::<Vec<_>>(),
            names
        );
        for result in &results {
            assert_eq!(
                (result.error_code, result.error_message.is_some()),
                (error.code(), has_text)
            );
        }
    }
    // What is refused without the controller does not time out.
    let results = created(
        &broker,
        create(vec![topic("b", 1, 1); 2]).with_timeout_ms(0),
    )
    .await;
    assert_eq!(codes(&results), BTreeMap::from([("b".to_owned(), 42)]));
    assert!(topic_names(broker.broker()).is_empty());
}

#[tokio::test]
async fn validation_alone_answers_as_creation_does_and_creates_nothing() {
    let broker = TestBroker::start(&[]).await;
    let request = create(vec![topic("a", 2, 1)]).with_validate_only(true);
    let results = created(&broker, request).await;
    assert_eq!((results[0].error_code, results[0].num_partitions), (0, 2));
    assert!(!results[0].topic_id.is_nil());
    assert!(topic_names(broker.broker()).is_empty());
}

fn delete(topics: Vec<(Option<&str>, Uuid)>) -> DeleteTopicsRequest {
    let state = |(of, id): (Option<&str>, Uuid)| {
        DeleteTopicState::default()
            .with_name(of.map(name))
            .with_topic_id(id)
    };
    DeleteTopicsRequest::default()
        .with_topics(topics.into_iter().map(state).collect())
        .with_timeout_ms(TIMEOUT_MS)
}

/// The answers of Apache Kafka 4.3.1 to the same entries, whose order it leaves to chance.
#[tokio::test]
async fn entries_of_a_deletion_that_contradict_each_other_are_all_refused() {
    let broker = TestBroker::start(&[]).await;
    created(
        &broker,
        create(["a", "b", "c", "d", "e"].map(|of| topic(of, 1, 1)).to_vec()),
    )
    .await;
    let image = broker.broker().image();
    let id = |of: &str| image.topic(of).expect("it was created").id;
    let unknown = Uuid::from_u128(7);
    let none = Uuid::nil();
    let request = delete(vec![
        (None, none),
        (Some("a"), id("a")),
        (Some("b"), none),
        (None, id("b")),
        (Some("c"), none),
        (Some("c"), none),
        (None, id("d")),
        (None, id("d")),
        (Some("d"), none),
        (None, unknown),
        (Some("gone"), none),
        (None, id("e")),
    ]);
    let response = broker.call(delete_topics, 6, request).await;
    let mut results: Vec<_> = response
        .responses
        .iter()
        .map(|result| {
            (
                result.name.as_ref().map(|name| name.to_string()),
                result.topic_id,
                result.error_code,
            )
        })
        .collect();
    results.sort();
    let mut expected = vec![
        (None, none, 42),
        (Some("a"), id("a"), 42),
        (Some("b"), id("b"), 42),
        (Some("c"), none, 42),
        (None, id("d"), 42),
        (Some("d"), id("d"), 42),
        (None, unknown, 100),
        (Some("gone"), none, 3),
        (Some("e"), id("e"), 0),
    ]
    .into_iter()
    .map(|(name, id, code)| (name.map(str::to_owned), id, code))
    .collect::<Vec<_>>();
    expected.sort();
    assert_eq!(results, expected);
    for result in &response.responses {
        assert_eq!(result.error_message.is_some(), result.error_code != 0);
    }
    assert_eq!(topic_names(broker.broker()), ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn a_topic_that_is_made_again_has_a_new_id_and_an_empty_log() {
    let broker = TestBroker::start(&[]).await;
    for version in 1..=6 {
        created(&broker, create(vec![topic("a", 2, 1)])).await;
        let image = broker.broker().image();
        let made = image.topic("a").expect("it was created");
        let log = broker
            .broker()
            .partition_by_name("a", 1)
            .expect("its log is open");
        assert_eq!(log.log_end().0, 0);
        let request = match version {
            6 => delete(vec![(None, made.id)]),
            _ => DeleteTopicsRequest::default()
                .with_topic_names(vec![name("a")])
                .with_timeout_ms(TIMEOUT_MS),
        };
        let response = broker.call(delete_topics, version, request).await;
        assert_eq!(response.responses[0].error_code, 0);
        assert!(
            log.offline().is_some(),
            "nobody appends to the log of a deleted topic"
        );
        assert!(broker.broker().image().topic_by_id(made.id).is_none());
        assert!(broker.broker().partitions.directory_of("a", 0).is_none());
    }
}

#[tokio::test]
async fn deletion_can_be_forbidden_and_can_be_late() {
    let broker = TestBroker::start(&["delete.topic.enable=false"]).await;
    for (version, error) in [
        (1, ErrorCode::InvalidRequest),
        (2, ErrorCode::InvalidRequest),
        (3, ErrorCode::TopicDeletionDisabled),
    ] {
        let request = DeleteTopicsRequest::default()
            .with_topic_names(vec![name("a")])
            .with_timeout_ms(TIMEOUT_MS);
        let response = broker.call(delete_topics, version, request).await;
        assert_eq!(response.responses[0].error_code, error.code());
    }
    let broker = TestBroker::start(&[]).await;
    let response = broker
        .call(
            delete_topics,
            6,
            delete(vec![(Some("a"), Uuid::nil())]).with_timeout_ms(-1),
        )
        .await;
    assert_eq!(
        response.responses[0].error_code,
        ErrorCode::RequestTimedOut.code()
    );
    assert_eq!(response.responses[0].error_message, None);
}

fn grow(of: &str, count: i32, assignments: Option<&[&[i32]]>) -> CreatePartitionsTopic {
    let assignment = |brokers: &&[i32]| {
        CreatePartitionsAssignment::default()
            .with_broker_ids(brokers.iter().map(|id| BrokerId(*id)).collect())
    };
    CreatePartitionsTopic::default()
        .with_name(name(of))
        .with_count(count)
        .with_assignments(
            assignments.map(|assignments| assignments.iter().map(assignment).collect()),
        )
}

/// The answers of Apache Kafka 4.3.1 to the same changes of a topic with two partitions, but for the last one.
#[tokio::test]
async fn partitions_are_refused_with_kafkas_errors() {
    let broker = TestBroker::start(&[]).await;
    created(&broker, create(vec![topic("a", 2, 1)])).await;
    let cases = [
        (
            grow("gone", 1, None),
            ErrorCode::UnknownTopicOrPartition,
            false,
        ),
        (grow("a", 2, None), ErrorCode::InvalidPartitions, true),
        (
            grow("a", 1, Some(&[&[9]])),
            ErrorCode::InvalidPartitions,
            true,
        ),
        (grow("a", -1, None), ErrorCode::InvalidPartitions, true),
        (
            grow("a", 3, Some(&[])),
            ErrorCode::InvalidReplicaAssignment,
            true,
        ),
        (
            grow("a", 3, Some(&[&[]])),
            ErrorCode::InvalidReplicaAssignment,
            true,
        ),
        (
            grow("a", 3, Some(&[&[1, 1]])),
            ErrorCode::InvalidReplicaAssignment,
            true,
        ),
        (
            grow("a", 3, Some(&[&[2]])),
            ErrorCode::InvalidReplicaAssignment,
            true,
        ),
        (grow("a", i32::MAX, None), ErrorCode::PolicyViolation, true),
    ];
    for (topic, error, has_text) in cases {
        let request = CreatePartitionsRequest::default()
            .with_topics(vec![topic.clone()])
            .with_timeout_ms(TIMEOUT_MS);
        let response = broker.call(create_partitions, 3, request).await;
        let [result] = &response.results[..] else {
            panic!("one topic")
        };
        assert_eq!(
            (result.error_code, result.error_message.is_some()),
            (error.code(), has_text),
            "{topic:?}"
        );
    }
    assert_eq!(
        broker
            .broker()
            .image()
            .topic("a")
            .map(|topic| topic.partitions.len()),
        Some(2)
    );
}

#[tokio::test]
async fn new_partitions_can_be_used_when_the_answer_is_there() {
    let broker = TestBroker::start(&[]).await;
    created(&broker, create(vec![topic("a", 1, 1), topic("b", 1, 1)])).await;
    for version in 0..=3 {
        let count = i32::from(version) + 2;
        let topics = vec![
            grow("a", count, None),
            grow("b", count, None),
            grow("b", count, None),
        ];
        let request = CreatePartitionsRequest::default()
            .with_topics(topics)
            .with_timeout_ms(TIMEOUT_MS);
        let validation = request.clone().with_validate_only(true);
        for (request, partition_count) in [(validation, count - 1), (request, count)] {
            let response = broker.call(create_partitions, version, request).await;
            let mut codes: Vec<_> = response
                .results
                .iter()
                .map(|result| (result.name.to_string(), result.error_code))
                .collect();
            codes.sort();
            assert_eq!(codes, [("a".to_owned(), 0), ("b".to_owned(), 42)]);
            let image = broker.broker().image();
            assert_eq!(
                image.topic("a").map(|topic| topic.partitions.len()),
                usize::try_from(partition_count).ok()
            );
            assert_eq!(
                image.topic("b").map(|topic| topic.partitions.len()),
                Some(1)
            );
        }
        assert!(broker.broker().partition_by_name("a", count - 1).is_ok());
    }
}
