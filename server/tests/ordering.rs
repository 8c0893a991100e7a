//! Order on a connection, and several brokers in one process.

mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, BrokerId, CreateTopicsRequest, FetchRequest, FetchResponse,
    ProduceRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use klamm::net::NetworkThreads;
use klamm_log_store::batch::{BatchBuilder, BatchSettings};
use support::{Client, SOON, broker, broker_on, frame};
use tokio::io::AsyncWriteExt;

fn topic() -> TopicName {
    TopicName(StrBytes::from_static_str("orders"))
}

async fn create_topic(client: &mut Client) {
    let topic = CreatableTopic::default()
        .with_name(topic())
        .with_num_partitions(1)
        .with_replication_factor(1);
    let response = client
        .call(
            5,
            &CreateTopicsRequest::default()
                .with_topics(vec![topic])
                .with_timeout_ms(10_000),
        )
        .await;
    assert_eq!(response.topics[0].error_code, 0);
}

fn batch(value: &str) -> Bytes {
    let mut builder = BatchBuilder::new(BatchSettings::default());
    builder.push(1_000, None, Some(value.as_bytes()), &[]);
    builder.build().expect("a batch").into_bytes()
}

fn produce(value: &str, acks: i16) -> ProduceRequest {
    let partition = PartitionProduceData::default()
        .with_index(0)
        .with_records(Some(batch(value)));
    let topic = TopicProduceData::default()
        .with_name(topic())
        .with_partition_data(vec![partition]);
    ProduceRequest::default()
        .with_acks(acks)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![topic])
}

fn fetch(offset: i64, wait_ms_max: i32) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_partition(0)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default()
        .with_topic(topic())
        .with_partitions(vec![partition]);
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(wait_ms_max)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_topics(vec![topic])
}

fn record_bytes(response: &FetchResponse) -> usize {
    response
        .responses
        .iter()
        .flat_map(|topic| &topic.partitions)
        .filter_map(|partition| partition.records.as_ref())
        .map(Bytes::len)
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_requests_are_answered_in_order_and_see_what_came_before() {
    // Eight produce requests, a fetch from the start and ApiVersions leave in one go: answers come in that order, offsets
    // count up, and the fetch sees all eight batches.
    let (server, address) = broker(&[]).await;
    let mut client = Client::connect(address).await;
    create_topic(&mut client).await;
    let mut sent = Vec::new();
    for index in 0..8 {
        sent.push(client.send(7, &produce(&format!("v{index}"), -1)).await);
    }
    let fetched = client.send(4, &fetch(0, 10_000)).await;
    let versions = client.send(0, &ApiVersionsRequest::default()).await;
    for (offset, sent) in (0..).zip(sent) {
        let (received, response) = client.receive::<ProduceRequest>(7).await;
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(
            (received, partition.error_code, partition.base_offset),
            (sent, 0, offset)
        );
    }
    let (received, response) = client.receive::<FetchRequest>(4).await;
    assert_eq!(received, fetched);
    assert_eq!(record_bytes(&response), 8 * batch("v0").len());
    assert_eq!(client.receive::<ApiVersionsRequest>(0).await.0, versions);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_fetch_is_woken_by_an_append() {
    // The fetch would wait for a minute; the append of another connection answers it.
    let (server, address) = broker(&[]).await;
    let (mut consumer, mut producer) = (
        Client::connect(address).await,
        Client::connect(address).await,
    );
    create_topic(&mut producer).await;
    let started = Instant::now();
    consumer.send(4, &fetch(0, 60_000)).await;
    producer.call(7, &produce("wake up", 1)).await;
    let (_, response) = consumer.receive::<FetchRequest>(4).await;
    assert_eq!(record_bytes(&response), batch("wake up").len());
    assert!(started.elapsed() < SOON);
    server.stop().await;
}

/// Consumers that each have two fetches on their way, for the records at `offset` and after it, and a producer that brings
/// them: each consumer gets its answers, in order, whoever finishes them.
async fn feed_waiting_consumers(address: SocketAddr, consumers: &mut [Client], rounds: i64) {
    let mut producer = Client::connect(address).await;
    for round in 0..rounds {
        let (first, second) = (2 * round, 2 * round + 1);
        let mut sent = Vec::new();
        for consumer in &mut *consumers {
            sent.push((
                consumer.send(4, &fetch(first, 60_000)).await,
                consumer.send(4, &fetch(second, 60_000)).await,
            ));
        }
        producer.call(7, &produce("the first", 1)).await;
        for (consumer, (sent, _)) in consumers.iter_mut().zip(&sent) {
            let (received, response) = consumer.receive::<FetchRequest>(4).await;
            assert_eq!(received, *sent);
            assert_eq!(record_bytes(&response), batch("the first").len());
        }
        producer.call(7, &produce("and another", -1)).await;
        for (consumer, (_, sent)) in consumers.iter_mut().zip(&sent) {
            let (received, response) = consumer.receive::<FetchRequest>(4).await;
            assert_eq!(received, *sent);
            assert_eq!(record_bytes(&response), batch("and another").len());
        }
    }
}

#[test]
fn an_append_answers_every_waiting_fetch_on_every_thread() {
    // More consumers than an appending connection answers itself, spread over three network threads.
    let network = NetworkThreads::start(3).expect("threads");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let (server, address) = broker_on(network.threads(), &[]).await;
        let mut consumers = Vec::new();
        for _ in 0..30 {
            consumers.push(Client::connect(address).await);
        }
        create_topic(&mut consumers[0]).await;
        feed_waiting_consumers(address, &mut consumers, 20).await;
        server.stop().await;
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_hung_up_while_it_waited_hurts_nobody() {
    let (server, address) = broker(&[]).await;
    let mut consumers = vec![Client::connect(address).await];
    create_topic(&mut consumers[0]).await;
    let mut gone = Client::connect(address).await;
    gone.send(4, &fetch(0, 60_000)).await;
    drop(gone);
    feed_waiting_consumers(address, &mut consumers, 3).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_fetch_whose_client_will_send_no_more_is_still_answered() {
    // The client closes its side for writing while the fetch waits.
    let (server, address) = broker(&[]).await;
    let (mut consumer, mut producer) = (
        Client::connect(address).await,
        Client::connect(address).await,
    );
    create_topic(&mut producer).await;
    consumer.send(4, &fetch(0, 60_000)).await;
    consumer.stream.shutdown().await.expect("half a close");
    producer.call(7, &produce("the last", 1)).await;
    let (_, response) = consumer.receive::<FetchRequest>(4).await;
    assert_eq!(record_bytes(&response), batch("the last").len());
    consumer.expect_closed().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_waits_keeps_no_buffer_that_is_much_larger() {
    // After a request of half a megabyte the next one is expected to be as large; it is a small fetch, which waits.
    let (server, address) = broker(&[]).await;
    let mut client = Client::connect(address).await;
    create_topic(&mut client).await;
    let large = "large".repeat(100_000);
    client.call(7, &produce(&large, 1)).await;
    let fetched = client.send(4, &fetch(1, 60_000)).await;
    let fetch_waits = async {
        // The buffer of the fetch has come and gone when only the fetch itself is left.
        loop {
            let used = server.broker.request_memory.bytes_used();
            if (1..1024).contains(&used) {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, fetch_waits)
        .await
        .expect("the buffer goes back");
    let mut producer = Client::connect(address).await;
    producer.call(7, &produce("at last", 1)).await;
    assert_eq!(client.receive::<FetchRequest>(4).await.0, fetched);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_fetch_gets_a_large_answer_in_full() {
    // Too large to be copied, and larger than the socket takes at once while nobody reads.
    let (server, address) = broker(&["socket.send.buffer.bytes=16384"]).await;
    let (mut consumer, mut producer) = (
        Client::connect(address).await,
        Client::connect(address).await,
    );
    create_topic(&mut producer).await;
    consumer.send(4, &fetch(0, 60_000)).await;
    let value = "large".repeat(100_000);
    producer.call(7, &produce(&value, 1)).await;
    let (_, response) = consumer.receive::<FetchRequest>(4).await;
    assert_eq!(record_bytes(&response), batch(&value).len());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_ends_though_its_last_answer_was_sent_by_another() {
    let (server, address) = broker(&["connections.max.idle.ms=300"]).await;
    let (mut consumer, mut producer) = (
        Client::connect(address).await,
        Client::connect(address).await,
    );
    create_topic(&mut producer).await;
    consumer.send(4, &fetch(0, 60_000)).await;
    producer.call(7, &produce("only one", 1)).await;
    consumer.receive::<FetchRequest>(4).await;
    consumer.expect_closed().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_leave_before_a_bad_request_ends_the_connection() {
    // Three good requests and one of an unknown API arrive together.
    let (server, address) = broker(&[]).await;
    let mut client = Client::connect(address).await;
    create_topic(&mut client).await;
    let mut together = Vec::new();
    for id in 1..=3 {
        together.extend(frame(ApiKey::Produce as i16, 7, id, &produce("good", 1)));
    }
    let mut unknown = frame(
        ApiKey::ApiVersions as i16,
        0,
        4,
        &ApiVersionsRequest::default(),
    )
    .to_vec();
    unknown[4..6].copy_from_slice(&9_999_i16.to_be_bytes());
    together.extend(unknown);
    client.stream.write_all(&together).await.expect("it leaves");
    for id in 1..=3 {
        let (received, response) = client.receive::<ProduceRequest>(7).await;
        assert_eq!(received, id);
        assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    }
    client.expect_closed().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_without_data_is_answered_when_its_time_is_up() {
    let (server, address) = broker(&[]).await;
    let mut client = Client::connect(address).await;
    create_topic(&mut client).await;
    let started = Instant::now();
    let response = client.call(4, &fetch(0, 200)).await;
    assert_eq!(record_bytes(&response), 0);
    assert!(started.elapsed() >= Duration::from_millis(200));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn produce_without_acks_gets_no_answer_and_a_failure_ends_the_connection() {
    let (server, address) = broker(&[]).await;
    let mut client = Client::connect(address).await;
    create_topic(&mut client).await;
    client.send(7, &produce("silent", 0)).await;
    let response = client.call(4, &fetch(0, 10_000)).await;
    assert_eq!(record_bytes(&response), batch("silent").len());
    let mut unknown = produce("lost", 0);
    unknown.topic_data[0].name = TopicName(StrBytes::from_static_str("nobody-knows-me"));
    client.send(7, &unknown).await;
    client.expect_closed().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_in_one_process_share_nothing() {
    let (first, first_address) = broker(&[]).await;
    let (second, second_address) = broker(&[]).await;
    let mut client = Client::connect(first_address).await;
    create_topic(&mut client).await;
    client.call(7, &produce("here", -1)).await;
    let mut other = Client::connect(second_address).await;
    let response = other.call(4, &fetch(0, 0)).await;
    assert_eq!(response.responses[0].partitions[0].error_code, 3);
    first.stop().await;
    other.call(0, &ApiVersionsRequest::default()).await;
    second.stop().await;
}

/// A produce request whose answer is large, because it names many topics that nobody knows.
fn produce_with_large_answer(value: &str) -> ProduceRequest {
    let mut request = produce(value, 1);
    for index in 0..100 {
        let name = format!("unknown-{index:0>200}");
        let mut unknown = request.topic_data[0].clone();
        unknown.name = TopicName(StrBytes::from_string(name));
        request.topic_data.push(unknown);
    }
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_that_does_not_read_holds_up_no_waiting_fetch() {
    // Until its answers fill the socket, and with the append whose answer no longer fits.
    let (server, address) = broker(&["socket.send.buffer.bytes=16384"]).await;
    let (mut consumer, mut producer) = (
        Client::connect(address).await,
        Client::connect(address).await,
    );
    create_topic(&mut consumer).await;
    let log = server
        .broker
        .partition_by_name("orders", 0)
        .expect("its log");
    for offset in 0..10_000 {
        consumer.send(4, &fetch(offset, 60_000)).await;
        let request = produce_with_large_answer("unread");
        let sending = producer.send(7, &request);
        let appended = async {
            sending.await;
            while log.log_end().0 <= offset {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(2), appended)
            .await
            .is_err()
        {
            assert!(offset > 0);
            server.stop().await;
            return;
        }
        let (_, response) = consumer.receive::<FetchRequest>(4).await;
        assert_eq!(record_bytes(&response), batch("unread").len());
    }
    panic!("the producer's socket never filled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_connections_whose_fetch_waits() {
    // One client waits, another one has closed its side for writing as well.
    let (server, address) = broker(&[]).await;
    let (mut waiting, mut half_closed) = (
        Client::connect(address).await,
        Client::connect(address).await,
    );
    create_topic(&mut waiting).await;
    waiting.send(4, &fetch(0, 60_000)).await;
    half_closed.send(4, &fetch(0, 60_000)).await;
    half_closed.stream.shutdown().await.expect("half a close");
    tokio::time::sleep(Duration::from_millis(200)).await;
    let broker = std::sync::Arc::downgrade(&server.broker);
    let started = Instant::now();
    server.stop().await;
    assert!(started.elapsed() < Duration::from_secs(4));
    waiting.expect_closed().await;
    half_closed.expect_closed().await;
    assert!(broker.upgrade().is_none(), "nothing of the broker is left");
}

/// Produce requests without acks, `count` of them, that take `frame_bytes` each.
fn silent_requests(count: usize, frame_bytes: usize) -> Vec<u8> {
    let key = ApiKey::Produce as i16;
    // Its length is a varint of two bytes from 64 on.
    let overhead = frame(key, 7, 1, &produce(&"x".repeat(100), 0)).len() - 100;
    let request = produce(&"x".repeat(frame_bytes - overhead), 0);
    let request = frame(key, 7, 1, &request);
    assert_eq!(request.len(), frame_bytes);
    request.repeat(count)
}

#[test]
fn requests_that_fill_every_read_leave_the_thread_to_others() {
    // Sixteen requests fill the buffer to its last byte, again and again.
    let network = NetworkThreads::start(1).expect("threads");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let is_answered = runtime.block_on(async {
        let (server, address) = broker_on(network.threads(), &[]).await;
        let mut flood = Client::connect(address).await;
        create_topic(&mut flood).await;
        let requests = silent_requests(8 * 1024, 512);
        let work = async {
            flood.stream.write_all(&requests).await.expect("they leave");
            flood.call(0, &ApiVersionsRequest::default()).await;
        };
        let is_answered = tokio::time::timeout(SOON, work).await.is_ok();
        if is_answered {
            server.stop().await;
        }
        is_answered
    });
    if !is_answered {
        // Its thread would never end.
        std::mem::forget(network);
    }
    assert!(is_answered);
}

#[tokio::test]
async fn a_flood_of_requests_lets_other_connections_of_its_thread_have_a_turn() {
    // On one thread: when the other client is answered, most of the flood is still to come.
    let (server, address) = broker(&[]).await;
    let (mut flood, mut other) = (
        Client::connect(address).await,
        Client::connect(address).await,
    );
    create_topic(&mut flood).await;
    other.call(0, &ApiVersionsRequest::default()).await;
    let log = server
        .broker
        .partition_by_name("orders", 0)
        .expect("its log");
    // Not a part of the size of a buffer.
    let requests = silent_requests(1_000, 210);
    flood.stream.write_all(&requests).await.expect("they leave");
    let began = log.log_end().0;
    other.call(0, &ApiVersionsRequest::default()).await;
    let meanwhile = log.log_end().0 - began;
    assert!(meanwhile < 700, "{meanwhile} requests were served first");
    server.stop().await;
}
