//! A broker to call handlers on.

use std::net::SocketAddr;
use std::sync::Arc;

use kafka_protocol::protocol::StrBytes;
use klamm_codec::{RequestHeader, ResponseBody, encode_response};

use crate::api::{ConnectionFacts, Ctx, Reply};
use crate::broker::Broker;
use crate::config::{self, Configs, Sources};
use crate::net::Threads;
use crate::server::Server;

/// An ephemeral broker with node id 1, and a client's connection to it.
pub struct TestBroker {
    server: Server,
    connection: Arc<ConnectionFacts>,
}

impl TestBroker {
    /// Starts a broker with `KEY=VALUE` settings.
    pub async fn start(settings: &[&str]) -> Self {
        let sources = Sources {
            set: settings
                .iter()
                .map(|setting| (*setting).to_owned())
                .collect(),
            listen: vec!["127.0.0.1:0".to_owned()],
            ephemeral: true,
            ..Sources::default()
        };
        let loaded = config::load(&sources).expect("the settings are valid");
        let server = Server::start(Configs::new(loaded.settings), Threads::current())
            .await
            .expect("a port of the loopback is free");
        let (listener, local) = server.addresses[0].clone();
        let peer = SocketAddr::from(([127, 0, 0, 1], 40_000));
        let connection = Arc::new(ConnectionFacts {
            peer,
            local,
            listener,
        });
        Self { server, connection }
    }

    pub fn broker(&self) -> &Arc<Broker> {
        &self.server.broker
    }

    pub fn address(&self) -> SocketAddr {
        self.connection.local
    }

    /// Calls a handler and waits for its answer, which must be one that can be encoded at the version.
    pub async fn call<Q, R>(
        &self,
        handler: impl FnOnce(&Ctx<'_>, Q) -> Reply<R>,
        version: i16,
        request: Q,
    ) -> R
    where
        R: ResponseBody,
    {
        let response = match self.reply(handler, version, request) {
            Reply::Now(response) => response,
            Reply::Later(response) => response.await,
            Reply::Silent | Reply::Close(_) => panic!("the request is answered"),
        };
        encode_response(0, version, &response)
            .expect("the answer can be encoded at the version of the request");
        response
    }

    /// Whether a handler ends the connection.
    pub fn closes<Q, R>(
        &self,
        handler: impl FnOnce(&Ctx<'_>, Q) -> Reply<R>,
        version: i16,
        request: Q,
    ) -> bool {
        matches!(self.reply(handler, version, request), Reply::Close(_))
    }

    fn reply<Q, R>(
        &self,
        handler: impl FnOnce(&Ctx<'_>, Q) -> Reply<R>,
        version: i16,
        request: Q,
    ) -> Reply<R> {
        let header = RequestHeader {
            api_key: 0,
            api_version: version,
            correlation_id: 0,
            client_id: StrBytes::from_static_str("test"),
        };
        let (broker, connection) = (self.broker(), &self.connection);
        handler(
            &Ctx {
                broker,
                connection,
                header: &header,
                now_ms: broker.clock.now_ms(),
            },
            request,
        )
    }
}
