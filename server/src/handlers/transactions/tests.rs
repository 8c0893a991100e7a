use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, DescribeTransactionsRequest, EndTxnRequest, InitProducerIdRequest,
    InitProducerIdResponse, TopicName, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use klamm_log_store::partition::ReadLimit;

use super::{add_partitions, describe_transactions, end_txn, init_producer_id};
use crate::errors::ErrorCode;
use crate::handlers::testing::TestBroker;
use crate::handlers::topics::auto_create;

const TOPIC: &str = "orders";
const ID: &str = "copier";

fn id() -> TransactionalId {
    TransactionalId(StrBytes::from_static_str(ID))
}

/// A broker with a topic of three partitions.
async fn broker() -> TestBroker {
    let broker = TestBroker::start(&["num.partitions=3"]).await;
    auto_create(broker.broker(), &[TOPIC.to_owned()]);
    broker
}

async fn init(broker: &TestBroker) -> InitProducerIdResponse {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(Some(id()))
        .with_transaction_timeout_ms(60_000);
    broker.call(init_producer_id, 4, request).await
}

async fn add(broker: &TestBroker, producer: &InitProducerIdResponse, partitions: &[i32]) -> i16 {
    let topic = AddPartitionsToTxnTopic::default()
        .with_name(TopicName(StrBytes::from_static_str(TOPIC)))
        .with_partitions(partitions.to_vec());
    let request = AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(id())
        .with_v3_and_below_producer_id(producer.producer_id)
        .with_v3_and_below_producer_epoch(producer.producer_epoch)
        .with_v3_and_below_topics(vec![topic]);
    let response = broker.call(add_partitions, 3, request).await;
    response.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
}

async fn end(broker: &TestBroker, producer: &InitProducerIdResponse, committed: bool) -> i16 {
    let request = EndTxnRequest::default()
        .with_transactional_id(id())
        .with_producer_id(producer.producer_id)
        .with_producer_epoch(producer.producer_epoch)
        .with_committed(committed);
    broker.call(end_txn, 4, request).await.error_code
}

async fn state(broker: &TestBroker) -> String {
    let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![id()]);
    let response = broker.call(describe_transactions, 0, request).await;
    response.transaction_states[0].transaction_state.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_transaction_has_ended_its_markers_are_there() {
    let broker = broker().await;
    let producer = init(&broker).await;
    assert_eq!(producer.error_code, 0);
    for (round, committed) in [(1, true), (2, false)] {
        assert_eq!(add(&broker, &producer, &[0, 2]).await, 0);
        assert_eq!(state(&broker).await, "Ongoing");
        assert_eq!(end(&broker, &producer, committed).await, 0);
        let complete = if committed {
            "CompleteCommit"
        } else {
            "CompleteAbort"
        };
        assert_eq!(state(&broker).await, complete);
        for (index, markers) in [(0, round), (1, 0), (2, round)] {
            let log = broker.broker().partition_by_name(TOPIC, index);
            let log = log.expect("the partition is there");
            assert_eq!(log.limit_end(ReadLimit::LastStable).0, markers);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_takes_over_ends_what_is_open_and_fences_whoever_was_there() {
    let broker = broker().await;
    let first = init(&broker).await;
    assert_eq!(add(&broker, &first, &[1]).await, 0);
    // The open transaction is aborted before anybody gets the id.
    let refused = init(&broker).await;
    assert_eq!(refused.error_code, ErrorCode::ConcurrentTransactions.code());
    let second = init(&broker).await;
    assert_eq!(second.error_code, 0);
    assert_eq!(second.producer_id, first.producer_id);
    assert!(second.producer_epoch > first.producer_epoch);
    let fenced = ErrorCode::ProducerFenced.code();
    assert_eq!(add(&broker, &first, &[1]).await, fenced);
    assert_eq!(end(&broker, &first, true).await, fenced);
    assert_eq!(add(&broker, &second, &[1]).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_partition_that_does_not_exist_fails_the_others() {
    let broker = broker().await;
    let producer = init(&broker).await;
    let not_attempted = ErrorCode::OperationNotAttempted.code();
    assert_eq!(add(&broker, &producer, &[0, 7]).await, not_attempted);
    assert_eq!(state(&broker).await, "Empty");
}
