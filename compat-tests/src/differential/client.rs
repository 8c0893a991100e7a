//! Requests that are not compared: warm-up, waiting for effects, cleaning up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::connection::{Connection, Received};
use super::exchange::{Answer, Head, decode_response, encode_request};
use crate::schema::{Schemas, Value};

const PATIENCE: Duration = Duration::from_secs(5);

/// A connection that is opened again whenever the server closes it.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    schemas: Arc<Schemas>,
    connection: Option<Connection>,
    correlation: i32,
}

impl Client {
    pub fn new(address: SocketAddr, schemas: Arc<Schemas>) -> Self {
        Self {
            address,
            schemas,
            connection: None,
            correlation: 0,
        }
    }

    /// The answer, or `None` when there is none or none that can be read.
    pub fn call(&mut self, api_key: i16, version: i16, body: &Value) -> Option<Value> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.address).ok()?,
        };
        self.correlation = self.correlation.wrapping_add(1);
        let head = Head {
            api_key,
            version,
            correlation: self.correlation,
            client_id: Some("differential"),
            damage: None,
        };
        let request = encode_request(&self.schemas, head, body)
            .expect("requests of the fuzzer itself fit their schema");
        connection.send(&request).ok()?;
        let Received::Frame(frame) = connection.receive(PATIENCE) else {
            return None;
        };
        self.connection = Some(connection);
        match decode_response(&self.schemas, head, &frame) {
            Answer::Message(value) => Some(value),
            Answer::Closed | Answer::Nothing | Answer::Undecodable(_) | Answer::Silent => None,
        }
    }
}
