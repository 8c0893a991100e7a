//! Typed requests over one connection that is opened again whenever it is lost.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

use crate::differential::connection::{Connection, Received};

/// How long an answer may take before the connection is given up.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);

/// Why a request has no answer that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// The server is not there, or went away with the request.
    Gone,
    /// Connected, and no answer within [`ANSWER_PATIENCE`].
    Silent,
    /// Bytes that are no answer to the request.
    Undecodable(String),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the connection is gone"),
            Self::Silent => write!(f, "no answer within {ANSWER_PATIENCE:?}"),
            Self::Undecodable(why) => write!(f, "the answer is not readable: {why}"),
        }
    }
}

#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    client_id: StrBytes,
    connection: Option<Connection>,
    correlation: i32,
}

impl Link {
    pub fn new(address: SocketAddr, client_id: &str) -> Self {
        Self {
            address,
            client_id: StrBytes::from_string(client_id.to_owned()),
            connection: None,
            correlation: 0,
        }
    }

    pub fn call<R: Request>(
        &mut self,
        version: i16,
        request: &R,
    ) -> Result<R::Response, CallError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.address).map_err(|_| CallError::Gone)?,
        };
        self.correlation = self.correlation.wrapping_add(1);
        connection
            .send(&self.frame(version, request))
            .map_err(|_| CallError::Gone)?;
        let frame = match connection.receive(ANSWER_PATIENCE) {
            Received::Frame(frame) => frame,
            Received::Closed => return Err(CallError::Gone),
            Received::Nothing => return Err(CallError::Silent),
        };
        let answer = self.read::<R>(version, frame.into())?;
        self.connection = Some(connection);
        Ok(answer)
    }

    fn frame<R: Request>(&self, version: i16, request: &R) -> BytesMut {
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(self.client_id.clone()));
        let mut frame = BytesMut::new();
        header
            .encode(&mut frame, R::header_version(version))
            .and_then(|()| request.encode(&mut frame, version))
            .expect("the soak's requests fit their versions");
        frame
    }

    fn read<R: Request>(&self, version: i16, mut frame: Bytes) -> Result<R::Response, CallError> {
        let unreadable = |why: &dyn fmt::Display| CallError::Undecodable(why.to_string());
        let header_version = R::Response::header_version(version);
        let header = ResponseHeader::decode(&mut frame, header_version)
            .map_err(|error| unreadable(&error))?;
        if header.correlation_id != self.correlation {
            return Err(unreadable(&"the correlation id of another request"));
        }
        let answer =
            R::Response::decode(&mut frame, version).map_err(|error| unreadable(&error))?;
        if !frame.is_empty() {
            return Err(unreadable(&"bytes are left over"));
        }
        Ok(answer)
    }
}
