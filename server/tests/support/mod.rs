//! A broker in this process, and a client that speaks frames: what the integration tests share.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use klamm::config::{self, Configs, Sources};
use klamm::net::Threads;
use klamm::server::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a test waits for something that should happen at once.
pub const SOON: Duration = Duration::from_secs(20);

/// An ephemeral broker with the given configs, on a port of its own.
pub async fn broker(set: &[&str]) -> (Server, SocketAddr) {
    broker_on(Threads::current(), set).await
}

/// The same, with its connections on the given threads.
pub async fn broker_on(threads: Threads, set: &[&str]) -> (Server, SocketAddr) {
    let sources = Sources {
        listen: vec!["127.0.0.1:0".to_owned()],
        set: set.iter().map(|pair| (*pair).to_owned()).collect(),
        ephemeral: true,
        ..Sources::default()
    };
    let loaded = config::load(&sources).expect("the settings of a test are right");
    let server = Server::start(Configs::new(loaded.settings), threads)
        .await
        .expect("a broker starts");
    let address = server.addresses[0].1;
    (server, address)
}

/// A connection that sends requests and reads answers.
pub struct Client {
    pub stream: TcpStream,
    correlation_id: i32,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address)
            .await
            .expect("the broker accepts");
        stream.set_nodelay(true).expect("a socket");
        Self {
            stream,
            correlation_id: 0,
        }
    }

    /// Sends one request without waiting. Returns its correlation id.
    pub async fn send<Q: Request>(&mut self, version: i16, request: &Q) -> i32 {
        self.correlation_id += 1;
        let frame = frame(Q::KEY, version, self.correlation_id, request);
        self.stream
            .write_all(&frame)
            .await
            .expect("the broker reads");
        self.correlation_id
    }

    /// Reads the next answer and its correlation id.
    pub async fn receive<Q: Request>(&mut self, version: i16) -> (i32, Q::Response)
    where
        Q::Response: Decodable + HeaderVersion,
    {
        let mut frame = tokio::time::timeout(SOON, self.receive_frame())
            .await
            .expect("an answer comes soon")
            .expect("an answer comes");
        let header = ResponseHeader::decode(&mut frame, Q::Response::header_version(version))
            .expect("a response header");
        let response = Q::Response::decode(&mut frame, version).expect("a response");
        assert!(!frame.has_remaining(), "the whole answer is read");
        (header.correlation_id, response)
    }

    /// Sends a request and reads its answer.
    pub async fn call<Q: Request>(&mut self, version: i16, request: &Q) -> Q::Response
    where
        Q::Response: Decodable + HeaderVersion,
    {
        let sent = self.send(version, request).await;
        let (received, response) = self.receive::<Q>(version).await;
        assert_eq!(sent, received);
        response
    }

    /// The next frame without its length; `None` when the broker has closed the connection.
    pub async fn receive_frame(&mut self) -> Option<Bytes> {
        let mut prefix = [0; 4];
        self.stream.read_exact(&mut prefix).await.ok()?;
        let mut frame = vec![0; i32::from_be_bytes(prefix) as usize];
        self.stream.read_exact(&mut frame).await.ok()?;
        Some(frame.into())
    }

    /// Waits until the broker has closed the connection.
    pub async fn expect_closed(&mut self) {
        let closed = tokio::time::timeout(SOON, self.receive_frame())
            .await
            .expect("the connection ends soon");
        assert_eq!(closed, None, "the connection ends without an answer");
    }
}

/// The bytes of one request.
pub fn frame<Q: Encodable + HeaderVersion>(
    key: i16,
    version: i16,
    correlation_id: i32,
    request: &Q,
) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i32(0);
    RequestHeader::default()
        .with_request_api_key(key)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str("test")))
        .encode(
            &mut bytes,
            ApiKey::try_from(key)
                .expect("a known API")
                .request_header_version(version),
        )
        .expect("a request header");
    request.encode(&mut bytes, version).expect("a request");
    let length = i32::try_from(bytes.len() - 4).expect("a small frame");
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes.freeze()
}

/// A request frame with a body of any bytes.
pub fn raw_frame(key: i16, version: i16, body: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    let is_flexible =
        ApiKey::try_from(key).is_ok_and(|key| key.request_header_version(version) >= 2);
    bytes.put_i32((10 + usize::from(is_flexible) + body.len()) as i32);
    bytes.put_i16(key);
    bytes.put_i16(version);
    bytes.put_i32(7);
    bytes.put_i16(-1);
    if is_flexible {
        bytes.put_u8(0);
    }
    bytes.put_slice(body);
    bytes.freeze()
}
