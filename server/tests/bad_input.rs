//! Whatever a peer sends costs at most its own connection.

mod support;

use std::time::Duration;

use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::{
    ApiVersionsRequest, FindCoordinatorRequest, GroupId, JoinGroupRequest, MetadataRequest,
};
use kafka_protocol::protocol::StrBytes;
use support::{Client, SOON, broker, raw_frame};
use tokio::io::AsyncWriteExt;

/// A second client asks for ApiVersions: the broker is alive.
async fn assert_alive(address: std::net::SocketAddr) {
    let mut client = Client::connect(address).await;
    let response = client.call(0, &ApiVersionsRequest::default()).await;
    assert_eq!(response.error_code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_speak_something_else_are_disconnected() {
    // A TLS hello, an HTTP request, a negative length, length zero, an oversized length: all end the connection.
    let (server, address) = broker(&[]).await;
    let openings: [&[u8]; 6] = [
        &[
            0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03,
        ],
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        &[0xff, 0xff, 0xff, 0xff],
        &[0, 0, 0, 0],
        &[0x7f, 0xff, 0xff, 0xff],
        &[0x06, 0x40, 0x00, 0x01],
    ];
    for opening in openings {
        let mut client = Client::connect(address).await;
        client
            .stream
            .write_all(opening)
            .await
            .expect("the bytes leave");
        client.expect_closed().await;
    }
    assert_alive(address).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_array_lengths_end_the_connection_and_nothing_else() {
    // For every served API and version: a body of 0x7fffffff, and one of compact lengths near 2^32.
    let (server, address) = broker(&[]).await;
    for api in klamm::api::APIS {
        for version in api.min..=api.max {
            for body in [
                &[0x7f, 0xff, 0xff, 0xff].repeat(8)[..],
                &[0xff, 0xff, 0xff, 0xff, 0x0f].repeat(8)[..],
            ] {
                let mut client = Client::connect(address).await;
                client
                    .stream
                    .write_all(&raw_frame(api.key as i16, version, body))
                    .await
                    .expect("the bytes leave");
                client.stream.shutdown().await.expect("a socket");
                // An API whose body these bytes happen to fit may answer; what matters is that the connection ends.
                while tokio::time::timeout(SOON, client.receive_frame())
                    .await
                    .expect("the connection ends soon")
                    .is_some()
                {}
            }
        }
    }
    assert_alive(address).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_apis_and_versions_end_the_connection() {
    let (server, address) = broker(&[]).await;
    for (key, version) in [(9999, 0), (-1, 0), (3, 99), (0, 2), (4, 0)] {
        let mut client = Client::connect(address).await;
        client
            .stream
            .write_all(&raw_frame(key, version, &[]))
            .await
            .expect("the bytes leave");
        client.expect_closed().await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_api_versions_is_told_what_is_served() {
    // KIP-511: an answer of version 0 with UNSUPPORTED_VERSION and the range of ApiVersions alone.
    use kafka_protocol::messages::{ApiVersionsResponse, ResponseHeader};
    use kafka_protocol::protocol::Decodable;
    let (server, address) = broker(&[]).await;
    let mut client = Client::connect(address).await;
    client
        .stream
        .write_all(&raw_frame(18, 77, &[1, 2, 3]))
        .await
        .expect("the bytes leave");
    let mut answer = client.receive_frame().await.expect("an answer");
    assert_eq!(
        ResponseHeader::decode(&mut answer, 0)
            .expect("a header")
            .correlation_id,
        7
    );
    let response = ApiVersionsResponse::decode(&mut answer, 0).expect("version 0");
    assert_eq!(
        (
            response.error_code,
            response.api_keys.len(),
            response.api_keys[0].api_key
        ),
        (35, 1, 18)
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn announced_bytes_take_no_memory_until_they_come() {
    // 300 connections announce a frame of 50 MB and send a kilobyte. The budget counts what has arrived, a request of
    // somebody else is answered at once, and hanging up gives everything back.
    let (server, address) = broker(&["queued.max.request.bytes=104857600"]).await;
    let mut hogs = Vec::new();
    for _ in 0..300 {
        let mut hog = Client::connect(address).await;
        hog.stream
            .write_all(&50_000_000_i32.to_be_bytes())
            .await
            .expect("the length leaves");
        hog.stream
            .write_all(&[0; 1024])
            .await
            .expect("a kilobyte leaves");
        hogs.push(hog);
    }
    assert_alive(address).await;
    let used = server.broker.request_memory.bytes_used();
    assert!(
        used <= 300 * 8 * 1024,
        "{used} bytes are held for 300 kilobytes"
    );
    drop(hogs);
    let given_back = async {
        while server.broker.request_memory.bytes_used() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, given_back)
        .await
        .expect("the memory comes back");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_never_end_do_not_keep_others_out() {
    // Four connections fill a budget of 4 MB with frames that they never finish; a request that needs memory is served
    // because the largest of them is evicted.
    let (server, address) = broker(&[
        "queued.max.request.bytes=4194304",
        "socket.request.max.bytes=4194304",
    ])
    .await;
    let mut hogs = Vec::new();
    for _ in 0..4 {
        let mut hog = Client::connect(address).await;
        hog.stream
            .write_all(&4_000_000_i32.to_be_bytes())
            .await
            .expect("the length leaves");
        hog.stream.write_all(&vec![0; 1_100_000]).await.ok();
        hogs.push(hog);
    }
    assert_alive(address).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_pipelines_and_never_reads_is_held_back() {
    // The broker stops reading what it cannot answer: the peer's own socket fills up, nothing grows here.
    let (server, address) = broker(&[]).await;
    let mut flood = Client::connect(address).await;
    let request = support::frame(3, 1, 1, &MetadataRequest::default().with_topics(None));
    let mut sent_bytes = 0_usize;
    let stuck = async {
        loop {
            flood
                .stream
                .write_all(&request)
                .await
                .expect("the broker keeps the connection");
            sent_bytes += request.len();
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(2), stuck)
            .await
            .is_err()
    );
    let used = server.broker.request_memory.bytes_used();
    assert!(
        used < 1 << 20,
        "{used} bytes are held for a peer that does not read, after {sent_bytes} bytes sent"
    );
    assert_alive(address).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_behind_one_that_waits_takes_no_memory() {
    // Four megabytes behind a JoinGroup that waits for the first rebalance to end.
    let (server, address) = broker(&["group.initial.rebalance.delay.ms=3000"]).await;
    let mut client = Client::connect(address).await;
    let protocol = JoinGroupRequestProtocol::default().with_name(StrBytes::from_static_str("p"));
    let join = JoinGroupRequest::default()
        .with_group_id(GroupId(StrBytes::from_static_str("g")))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(10_000)
        .with_protocol_type(StrBytes::from_static_str("consumer"))
        .with_protocols(vec![protocol]);
    // Makes the internal topic.
    let find = FindCoordinatorRequest::default().with_key(StrBytes::from_static_str("g"));
    client.call(0, &find).await;
    client.send(1, &join).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let large = raw_frame(18, 0, &vec![0; 4 << 20]);
    let mut most_bytes = 0;
    let watch = async {
        loop {
            most_bytes = most_bytes.max(server.broker.request_memory.bytes_used());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let write = async {
        client.stream.write_all(&large).await.ok();
        std::future::pending::<()>().await;
    };
    let both = async { tokio::join!(watch, write) };
    assert!(
        tokio::time::timeout(Duration::from_secs(1), both)
            .await
            .is_err()
    );
    assert!(most_bytes < 1 << 20, "{most_bytes} bytes were held");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_limit_are_refused() {
    let (server, address) = broker(&["max.connections.per.ip=2"]).await;
    let mut first = Client::connect(address).await;
    let mut second = Client::connect(address).await;
    first.call(0, &ApiVersionsRequest::default()).await;
    second.call(0, &ApiVersionsRequest::default()).await;
    let mut third = Client::connect(address).await;
    third.expect_closed().await;
    drop(first);
    let admitted = async {
        loop {
            let mut fourth = Client::connect(address).await;
            fourth.send(0, &ApiVersionsRequest::default()).await;
            if fourth.receive_frame().await.is_some() {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, admitted)
        .await
        .expect("a place becomes free");
    server.stop().await;
}
