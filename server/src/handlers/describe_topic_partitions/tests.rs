use kafka_protocol::messages::describe_topic_partitions_request::{self as request, TopicRequest};

use super::super::testing::TestBroker;
use super::super::topics::auto_create;
use super::*;

/// Topics e0 to e3 with two partitions each.
async fn broker() -> TestBroker {
    let broker =
        TestBroker::start(&["num.partitions=2", "max.request.partition.size.limit=5"]).await;
    auto_create(
        broker.broker(),
        &["e0", "e1", "e2", "e3"].map(str::to_owned),
    );
    broker
}

fn name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

fn ask(names: &[&str], limit: i32, cursor: Option<(&str, i32)>) -> DescribeTopicPartitionsRequest {
    let cursor = cursor.map(|(topic, index)| {
        request::Cursor::default()
            .with_topic_name(name(topic))
            .with_partition_index(index)
    });
    DescribeTopicPartitionsRequest::default()
        .with_topics(
            names
                .iter()
                .map(|topic| TopicRequest::default().with_name(name(topic)))
                .collect(),
        )
        .with_response_partition_limit(limit)
        .with_cursor(cursor)
}

/// Names, error codes and partition indexes, and the next cursor.
type Answer = (Vec<(String, i16, Vec<i32>)>, Option<(String, i32)>);

async fn answer(broker: &TestBroker, request: DescribeTopicPartitionsRequest) -> Answer {
    let response = broker.call(handle, 0, request).await;
    let topics = response.topics.iter().map(|topic| {
        let indexes = topic
            .partitions
            .iter()
            .map(|partition| partition.partition_index)
            .collect();
        (
            topic
                .name
                .as_ref()
                .map(|name| name.to_string())
                .unwrap_or_default(),
            topic.error_code,
            indexes,
        )
    });
    let cursor = response
        .next_cursor
        .as_ref()
        .map(|cursor| (cursor.topic_name.to_string(), cursor.partition_index));
    (topics.collect(), cursor)
}

/// Requests and the answers of Apache Kafka 4.3.1 to them, with five partitions to an answer at most.
#[tokio::test]
async fn pages_end_and_go_on_where_kafkas_do() {
    let broker = broker().await;
    let topic = |name: &str, code, indexes: &[i32]| (name.to_owned(), code, indexes.to_vec());
    let cases = [
        (
            ask(&[], 3, None),
            vec![topic("e0", 0, &[0, 1]), topic("e1", 0, &[0])],
            Some(("e1", 1)),
        ),
        (
            ask(&[], 0, None),
            vec![topic("e0", 0, &[0])],
            Some(("e0", 1)),
        ),
        (
            ask(&[], -5, None),
            vec![topic("e0", 0, &[0])],
            Some(("e0", 1)),
        ),
        (
            ask(&[], 2000, None),
            vec![
                topic("e0", 0, &[0, 1]),
                topic("e1", 0, &[0, 1]),
                topic("e2", 0, &[0]),
            ],
            Some(("e2", 1)),
        ),
        (
            ask(&[], 4, Some(("e0", 1))),
            vec![
                topic("e0", 0, &[1]),
                topic("e1", 0, &[0, 1]),
                topic("e2", 0, &[0]),
            ],
            Some(("e2", 1)),
        ),
        (
            ask(&[], 4, Some(("e0", 5))),
            vec![
                topic("e0", 0, &[]),
                topic("e1", 0, &[0, 1]),
                topic("e2", 0, &[0, 1]),
            ],
            Some(("e3", 0)),
        ),
        (
            ask(&[], 4, Some(("dzz", 1))),
            vec![topic("e0", 0, &[0, 1]), topic("e1", 0, &[0, 1])],
            Some(("e2", 0)),
        ),
        (
            ask(&["e2", "nope", "bad name", "e0", "e0"], 3, None),
            vec![
                topic("bad name", 17, &[]),
                topic("e0", 0, &[0, 1]),
                topic("e2", 0, &[0]),
            ],
            Some(("e2", 1)),
        ),
        (
            ask(&["e2", "nope", "bad name", "e0"], 3, Some(("e2", 1))),
            vec![topic("e2", 0, &[1]), topic("nope", 3, &[])],
            None,
        ),
        (
            ask(&["e2", "nope"], 2, None),
            vec![topic("e2", 0, &[0, 1])],
            Some(("nope", 0)),
        ),
        (ask(&["e2"], 2, None), vec![topic("e2", 0, &[0, 1])], None),
        (
            ask(&["e2"], 2, Some(("e2", i32::MAX))),
            vec![topic("e2", 0, &[])],
            Some(("e2", i32::MIN + 1)),
        ),
    ];
    for (request, topics, cursor) in cases {
        let expected = (
            topics,
            cursor.map(|(topic, index)| (topic.to_owned(), index)),
        );
        assert_eq!(
            answer(&broker, request.clone()).await,
            expected,
            "{request:?}"
        );
    }
}

#[tokio::test]
async fn a_cursor_that_cannot_be_refuses_the_whole_request() {
    let broker = broker().await;
    let refused = answer(&broker, ask(&["e2", "e0"], 1, Some(("e1", 0)))).await;
    assert_eq!(
        refused,
        (
            vec![("e2".to_owned(), 42, vec![]), ("e0".to_owned(), 42, vec![])],
            None
        )
    );
    assert_eq!(
        answer(&broker, ask(&[], 1, Some(("e0", -1)))).await,
        (vec![], None)
    );
}

/// Follows the cursors to the end, one partition at a time.
#[tokio::test]
async fn the_pages_together_hold_every_partition_once() {
    let broker = broker().await;
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let from = cursor
            .as_ref()
            .map(|(topic, index): &(String, i32)| (topic.as_str(), *index));
        let (topics, next) = answer(&broker, ask(&[], 1, from)).await;
        seen.extend(topics.into_iter().flat_map(|(topic, _, indexes)| {
            indexes
                .into_iter()
                .map(move |index| (topic.clone(), index))
                .collect::<Vec<_>>()
        }));
        match next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    let all: Vec<_> = ["e0", "e1", "e2", "e3"]
        .iter()
        .flat_map(|topic| [(topic.to_string(), 0), (topic.to_string(), 1)])
        .collect();
    assert_eq!(seen, all);
}
