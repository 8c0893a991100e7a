use kafka_protocol::messages::metadata_request::MetadataRequestTopic;

use super::super::testing::TestBroker;
use super::*;

fn named(name: &str) -> MetadataRequestTopic {
    MetadataRequestTopic::default()
        .with_name(Some(TopicName(StrBytes::from_string(name.to_owned()))))
}

fn by_id(id: Uuid) -> MetadataRequestTopic {
    MetadataRequestTopic::default()
        .with_name(None)
        .with_topic_id(id)
}

fn request(topics: Option<Vec<MetadataRequestTopic>>) -> MetadataRequest {
    MetadataRequest::default()
        .with_topics(topics)
        .with_allow_auto_topic_creation(false)
}

/// Names, error codes and partition counts.
fn entries(response: &MetadataResponse) -> Vec<(Option<&str>, i16, usize)> {
    let topics = response.topics.iter();
    topics
        .map(|topic| {
            (
                topic.name.as_ref().map(|name| name.as_str()),
                topic.error_code,
                topic.partitions.len(),
            )
        })
        .collect()
}

async fn with_topics(names: &[&str]) -> TestBroker {
    let broker = TestBroker::start(&["num.partitions=2", "broker.rack=here"]).await;
    auto_create(
        broker.broker(),
        &names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>(),
    );
    broker
}

#[tokio::test]
async fn every_version_tells_of_the_broker_and_its_topics() {
    let broker = with_topics(&["a", "b"]).await;
    let image = broker.broker().image();
    for version in 0..=13 {
        // Version 0 asks for all topics with an empty list, later ones with none.
        let all = if version == 0 { Some(Vec::new()) } else { None };
        let request = request(all)
            .with_include_cluster_authorized_operations(
                CLUSTER_OPERATIONS_VERSIONS.contains(&version),
            )
            .with_include_topic_authorized_operations(version >= 8);
        let response = broker.call(handle, version, request).await;
        assert_eq!(entries(&response), [(Some("a"), 0, 2), (Some("b"), 0, 2)]);
        let [node] = &response.brokers[..] else {
            panic!("one broker")
        };
        assert_eq!(
            (node.node_id.0, node.host.as_str(), node.port),
            (1, "127.0.0.1", i32::from(broker.address().port()))
        );
        assert_eq!(node.rack.as_deref(), Some("here"));
        assert_eq!(response.controller_id.0, 1);
        assert_eq!(response.cluster_id.as_deref(), Some(&*image.cluster_id));
        // The bit fields of Apache Kafka 4.3.1 without an authorizer.
        let operations = if (8..=10).contains(&version) {
            8096
        } else {
            i32::MIN
        };
        assert_eq!(response.cluster_authorized_operations, operations);
        let topic = &response.topics[0];
        assert_eq!(
            topic.topic_authorized_operations,
            if version >= 8 { 3576 } else { i32::MIN }
        );
        assert_eq!(topic.topic_id, image.topic("a").unwrap().id);
        let partition = &topic.partitions[1];
        assert_eq!(
            (
                partition.error_code,
                partition.partition_index,
                partition.leader_id.0
            ),
            (0, 1, 1)
        );
        assert_eq!(
            (
                partition.replica_nodes.len(),
                partition.isr_nodes.len(),
                partition.offline_replicas.len()
            ),
            (1, 1, 0)
        );
    }
}

#[tokio::test]
async fn topics_are_answered_once_in_kafkas_order() {
    let broker = with_topics(&["a", "b"]).await;
    let names = ["missing", "b", "bad name", "a", "b", "__consumer_offsets"]
        .map(named)
        .to_vec();
    let response = broker.call(handle, 9, request(Some(names))).await;
    let expected = [
        (Some("b"), 0, 2),
        (Some("a"), 0, 2),
        (Some("bad name"), 17, 0),
        (Some("missing"), 3, 0),
        (Some("__consumer_offsets"), 3, 0),
    ];
    assert_eq!(entries(&response), expected);
    assert!(response.topics[4].is_internal);
    let response = broker.call(handle, 9, request(Some(Vec::new()))).await;
    assert!(response.topics.is_empty() && response.brokers.len() == 1);
}

#[tokio::test]
async fn ids_come_before_names() {
    let broker = with_topics(&["a", "b"]).await;
    let id = broker.broker().image().topic("b").unwrap().id;
    let unknown = Uuid::from_u128(7);
    let topics = vec![
        by_id(id),
        named("a"),
        by_id(unknown),
        by_id(id),
        by_id(Uuid::nil()),
    ];
    let response = broker.call(handle, 12, request(Some(topics))).await;
    assert_eq!(entries(&response), [(None, 100, 0), (Some("b"), 0, 2)]);
    assert_eq!(
        (response.topics[0].topic_id, response.topics[1].topic_id),
        (unknown, id)
    );
}

/// The answers of Apache Kafka 4.3.1 to entries without a name and to ids before version 12.
#[tokio::test]
async fn requests_that_fail_as_a_whole_tell_nothing_of_the_cluster() {
    let broker = with_topics(&["a"]).await;
    let id = broker.broker().image().topic("a").unwrap().id;
    let nameless = || vec![by_id(Uuid::nil()), named("a")];
    for (version, topics, error) in [
        (10, nameless(), ErrorCode::InvalidRequest),
        (
            11,
            vec![named("a").with_topic_id(id), named("b")],
            ErrorCode::InvalidRequest,
        ),
        (12, nameless(), ErrorCode::UnknownServerError),
        (13, nameless(), ErrorCode::UnknownServerError),
    ] {
        let response = broker
            .call(handle, version, request(Some(topics.clone())))
            .await;
        assert_eq!(response.error_code, error.code());
        assert!(
            response.brokers.is_empty()
                && response.cluster_id.is_none()
                && response.controller_id.0 == -1
        );
        for (asked, answered) in topics.iter().zip(&response.topics) {
            assert_eq!(
                answered.name.as_deref(),
                Some(&asked.name.clone().unwrap_or_default().0)
            );
            assert_eq!(
                (answered.topic_id, answered.error_code),
                (asked.topic_id, error.code())
            );
        }
    }
}

#[tokio::test]
async fn a_topic_that_is_asked_for_is_made_when_client_and_broker_allow_it() {
    let broker = TestBroker::start(&["num.partitions=3"]).await;
    let names = || {
        Some(
            ["new", "bad name", "__cluster_metadata"]
                .map(named)
                .to_vec(),
        )
    };
    let response = broker.call(handle, 4, request(names())).await;
    assert_eq!(entries(&response)[1], (Some("new"), 3, 0));
    assert_eq!(broker.broker().image().topic_count(), 0);

    let allowed = request(names()).with_allow_auto_topic_creation(true);
    let response = broker.call(handle, 4, allowed.clone()).await;
    // The first answer says what was there when the request came.
    assert_eq!(
        entries(&response),
        [
            (Some("bad name"), 17, 0),
            (Some("new"), 3, 0),
            (Some("__cluster_metadata"), 3, 0)
        ]
    );
    assert_eq!(
        entries(&broker.call(handle, 4, allowed.clone()).await)[0],
        (Some("new"), 0, 3)
    );
    assert_eq!(broker.broker().image().topic_count(), 1);

    let unwilling = TestBroker::start(&["auto.create.topics.enable=false"]).await;
    unwilling.call(handle, 4, allowed).await;
    assert_eq!(unwilling.broker().image().topic_count(), 0);
}
