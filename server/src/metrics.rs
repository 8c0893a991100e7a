//! Numbers for whoever watches the broker: Prometheus' text format over HTTP, on `klamm.metrics.listener`.
//!
//! Everything but the counts of requests is looked up when somebody asks. The endpoint answers `GET /metrics` and nothing
//! else, and closes the connection after it.

use std::fmt::{Display, Write as _};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::debug;

use crate::api::{APIS, Api};
use crate::broker::Broker;
use crate::clock::millis;

/// Askers that are served at the same time; others wait to be accepted.
const CONNECTIONS_MAX: usize = 16;
/// An HTTP request head that is longer is refused.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// An asker that takes longer to ask or to read is cut off.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is counted as it happens.
#[derive(Debug)]
pub struct Metrics {
    /// By the place of the API in the table.
    requests: Vec<AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: APIS.iter().map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Metrics {
    /// A request of an API has come in.
    pub fn request(&self, api: &Api) {
        if let Some(count) = self.requests.get(api.place()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Everything, in Prometheus' text format.
pub fn exposition(broker: &Broker) -> String {
    let mut text = Exposition::default();
    let partitions = broker.partitions.health(
        broker.clock.now_ms(),
        millis(broker.config().transaction.timeout_max),
    );
    text.gauge(
        "klamm_partitions_open",
        "Partitions whose log is open.",
        partitions.open,
    );
    text.gauge(
        "klamm_partitions_offline",
        "Partitions whose log the disk has failed, or that is damaged.",
        partitions.offline,
    );
    text.gauge(
        "klamm_partitions_uncleanable",
        "Partitions that are not compacted any more, because something in them cannot be read.",
        partitions.uncleanable,
    );
    text.gauge(
        "klamm_partitions_with_late_transactions",
        "Partitions with a transaction that has been open for longer than any may be (kafka-transactions find-hanging).",
        partitions.with_late_txns,
    );
    text.gauge(
        "klamm_log_bytes",
        "Bytes of all open logs.",
        partitions.bytes,
    );
    text.gauge(
        "klamm_open_files",
        "Log files that are open, of at most klamm.open.files.max.",
        broker.partitions.storage.open_files_count(),
    );
    text.gauge(
        "klamm_topics",
        "Topics of the cluster.",
        broker.image().topic_count(),
    );
    text.head(
        "klamm_requests_total",
        "counter",
        "Requests that have come in, by API.",
    );
    for (api, count) in APIS.iter().zip(&broker.metrics.requests) {
        text.line(
            &format!("klamm_requests_total{{api=\"{:?}\"}}", api.key),
            count.load(Ordering::Relaxed),
        );
    }
    text.0
}

#[derive(Debug, Default)]
struct Exposition(String);

impl Exposition {
    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "gauge", help);
        self.line(name, value);
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, value: impl Display) {
        let _ = writeln!(self.0, "{name} {value}");
    }
}

/// Answers askers. Runs for as long as the broker does.
pub async fn serve(listener: TcpListener, broker: Arc<Broker>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let asked = Arc::clone(&broker);
                broker.spawn(async move {
                    let answered = tokio::time::timeout(PATIENCE, answer(stream, &asked)).await;
                    if !matches!(answered, Ok(Ok(()))) {
                        debug!(%peer, "a request for metrics was not answered");
                    }
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn answer(mut stream: TcpStream, broker: &Broker) -> io::Result<()> {
    let head = read_head(&mut stream).await?;
    let (status, body) = match target(&head) {
        Some(("GET", "/metrics")) => ("200 OK", exposition(broker)),
        Some(("GET", _)) => ("404 Not Found", "Ask for /metrics.\n".to_owned()),
        Some(_) => ("405 Method Not Allowed", "Ask with GET.\n".to_owned()),
        None => (
            "400 Bad Request",
            "This is Klamm's metrics endpoint: GET /metrics.\n".to_owned(),
        ),
    };
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await
}

/// The bytes up to the empty line that ends the head, or as many as are taken.
async fn read_head(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < HEAD_BYTES_MAX {
        let bytes = stream.read(&mut buffer).await?;
        if bytes == 0 {
            break;
        }
        head.extend_from_slice(&buffer[..bytes]);
    }
    Ok(head)
}

/// Method and path of an HTTP request; none when it is not one.
fn target(head: &[u8]) -> Option<(&str, &str)> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let path = target.split('?').next()?;
    (version.starts_with("HTTP/1.") && words.next().is_none()).then_some((method, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::testing::TestBroker;
    use crate::handlers::topics::auto_create;

    async fn ask(address: std::net::SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream
            .write_all(request.as_bytes())
            .await
            .expect("it reads");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .await
            .expect("it answers and closes");
        answer
    }

    #[tokio::test]
    async fn whoever_asks_over_http_gets_the_numbers() {
        let broker = TestBroker::start(&["num.partitions=3"]).await;
        auto_create(broker.broker(), &["a".to_owned()]);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        broker
            .broker()
            .spawn(serve(listener, Arc::clone(broker.broker())));
        let answer = ask(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\nklamm_partitions_open 3\n"), "{answer}");
        assert!(
            answer.contains("\nklamm_partitions_offline 0\n"),
            "{answer}"
        );
        let log = broker.broker().partition_by_name("a", 1);
        log.expect("the log is open")
            .retire("a test took it offline");
        let answer = ask(address, "GET /metrics?x=1 HTTP/1.0\r\n\r\n").await;
        assert!(answer.contains("\nklamm_partitions_open 2\n"), "{answer}");
        assert!(
            answer.contains("\nklamm_partitions_offline 1\n"),
            "{answer}"
        );
    }

    #[tokio::test]
    async fn whatever_else_is_asked_is_refused() {
        let broker = TestBroker::start(&[]).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        broker
            .broker()
            .spawn(serve(listener, Arc::clone(broker.broker())));
        for (request, status) in [
            ("GET / HTTP/1.1\r\n\r\n", "404"),
            ("POST /metrics HTTP/1.1\r\n\r\n", "405"),
            ("\0\0\0\u{1}\r\n\r\n", "400"),
        ] {
            let answer = ask(address, request).await;
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{answer}"
            );
        }
    }
}
