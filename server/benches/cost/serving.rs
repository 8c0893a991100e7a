//! Whole requests on a broker, from the frame to the answer, without the sockets.

use std::future::Future;
use std::hint::black_box;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::{CreateTopicsRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use klamm::api::{self, CloseReason, ConnectionFacts, Ctx, Frame, Handled};
use klamm::config::{self, Configs, Sources};
use klamm::net::Threads;
use klamm::server::Server;
use klamm_log_store::batch::Compression;
use tokio::runtime::Runtime;

use crate::harness::{Benchmark, Step};
use crate::records::Shape;
use crate::wire::{self, fetch_request, produce_request};

pub const BENCHMARKS: &[Benchmark] = &[
    Benchmark {
        name: "serve Produce, 1 x 1 KB",
        prepare: || produce(1, Shape::plain(1, 1000)),
    },
    Benchmark {
        name: "serve Produce, 100 x 100 B",
        prepare: || produce(1, Shape::hundred(Compression::None)),
    },
    Benchmark {
        name: "serve Produce, 100 partitions x 10 x 100 B",
        prepare: || produce(PARTITION_COUNT, Shape::plain(10, 100)),
    },
    Benchmark {
        name: "serve Fetch, 1 x 1 KB",
        prepare: fetch_last,
    },
    Benchmark {
        name: "serve Fetch, 2 partitions x 1 MB",
        prepare: fetch_much,
    },
    Benchmark {
        name: "serve Produce to a waiting Fetch, 1 x 1 KB",
        prepare: hand_over,
    },
];

const TOPIC: &str = "topic";
const PARTITION_COUNT: i32 = 100;
const CREATE_TOPICS_VERSION: i16 = 7;
/// Stands in a request for an offset that is filled in later.
const SOME_OFFSET: i64 = 0x5eed_5eed_5eed_5eed;

type Later = Pin<Box<dyn Future<Output = Result<Frame, CloseReason>> + Send>>;

fn produce(partition_count: i32, shape: Shape) -> Step {
    let broker = BenchedBroker::start();
    let request = produce_request(TOPIC, partition_count, &shape.bytes());
    let frame = wire::frame(wire::VERSION, &request);
    Box::new(move || {
        black_box(broker.answer(black_box(frame.clone())));
    })
}

fn fetch_last() -> Step {
    let broker = BenchedBroker::start();
    let end = broker.fill(1, 2000, Shape::plain(1, 1000));
    let frame = wire::frame(wire::VERSION, &fetch_request(TOPIC, 1, end - 1));
    Box::new(move || {
        black_box(broker.answer(black_box(frame.clone())));
    })
}

fn fetch_much() -> Step {
    let broker = BenchedBroker::start();
    broker.fill(2, 200, Shape::plain(10, 1000));
    let frame = wire::frame(wire::VERSION, &fetch_request(TOPIC, 2, 0));
    Box::new(move || {
        black_box(broker.answer(black_box(frame.clone())));
    })
}

/// One record, and a consumer who waits for it.
fn hand_over() -> Step {
    let broker = BenchedBroker::start();
    let record = Shape::plain(1, 1000);
    let produce = wire::frame(wire::VERSION, &produce_request(TOPIC, 1, &record.bytes()));
    let fetch = wire::frame(wire::VERSION, &fetch_request(TOPIC, 1, SOME_OFFSET));
    let offset_at = fetch
        .windows(8)
        .position(|window| window == SOME_OFFSET.to_be_bytes())
        .expect("the offset is in the request");
    let mut next_offset: i64 = 0;
    Box::new(move || {
        let mut fetch = BytesMut::from(&fetch[..]);
        fetch[offset_at..][..8].copy_from_slice(&next_offset.to_be_bytes());
        let mut waiting = broker.waiting(fetch.freeze());
        assert!(broker.poll(&mut waiting).is_pending());
        black_box(broker.answer(produce.clone()));
        let Poll::Ready(answer) = broker.poll(&mut waiting) else {
            panic!("the record has come");
        };
        black_box(answer.expect("the fetch is answered"));
        next_offset += 1;
    })
}

/// A broker with a topic, in a directory of its own and without syncs.
struct BenchedBroker {
    runtime: Runtime,
    server: Server,
    connection: Arc<ConnectionFacts>,
}

impl BenchedBroker {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let sources = Sources {
            listen: vec!["127.0.0.1:0".to_owned()],
            ephemeral: true,
            ..Sources::default()
        };
        let settings = config::load(&sources)
            .expect("the settings are valid")
            .settings;
        let server = runtime
            .block_on(async { Server::start(Configs::new(settings), Threads::current()).await })
            .expect("the broker starts");
        let (listener, local) = server.addresses[0].clone();
        let connection = Arc::new(ConnectionFacts {
            peer: SocketAddr::from(([127, 0, 0, 1], 40_000)),
            local,
            listener,
        });
        let broker = Self {
            runtime,
            server,
            connection,
        };
        broker.create_topic();
        broker
    }

    fn create_topic(&self) {
        let request = CreateTopicsRequest::default()
            .with_timeout_ms(30_000)
            .with_topics(vec![
                CreatableTopic::default()
                    .with_name(TopicName(StrBytes::from_static_str(TOPIC)))
                    .with_num_partitions(PARTITION_COUNT)
                    .with_replication_factor(1),
            ]);
        let frame = wire::frame(CREATE_TOPICS_VERSION, &request);
        let created = self.waiting(frame);
        self.runtime
            .block_on(created)
            .expect("the topic is created");
    }

    /// Writes to the first partitions. Returns where they end.
    fn fill(&self, partition_count: i32, batch_count: usize, shape: Shape) -> i64 {
        let request = produce_request(TOPIC, partition_count, &shape.bytes());
        let frame = wire::frame(wire::VERSION, &request);
        for _ in 0..batch_count {
            self.answer(frame.clone());
        }
        (batch_count * shape.record_count) as i64
    }

    /// The answer to a request that is answered at once.
    fn answer(&self, frame: Bytes) -> Frame {
        match self.handle(frame) {
            Handled::Now(answer) => answer,
            Handled::Later(_) | Handled::Alone(_) => panic!("the answer takes time"),
            Handled::Silent => panic!("there is no answer"),
            Handled::Close(reason) => panic!("the request is refused: {reason}"),
        }
    }

    /// The answer to a request that has to wait.
    fn waiting(&self, frame: Bytes) -> Later {
        match self.handle(frame) {
            Handled::Later(answer) => answer,
            Handled::Now(_) | Handled::Alone(_) | Handled::Silent => {
                panic!("the answer takes no time")
            }
            Handled::Close(reason) => panic!("the request is refused: {reason}"),
        }
    }

    fn poll(&self, waiting: &mut Later) -> Poll<Result<Frame, CloseReason>> {
        // A fetch that waits has a timer of the runtime.
        let _entered = self.runtime.enter();
        waiting
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
    }

    fn handle(&self, frame: Bytes) -> Handled {
        let _entered = self.runtime.enter();
        let (header, body) =
            klamm_codec::decode_request_header(frame).expect("the header is well-formed");
        let broker = &self.server.broker;
        let ctx = Ctx {
            broker,
            connection: &self.connection,
            header: &header,
            now_ms: broker.clock.now_ms(),
        };
        api::find(header.api_key)
            .expect("the API is served")
            .run(&ctx, body)
    }
}
