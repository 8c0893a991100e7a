//! How clients find this node.

use kafka_protocol::protocol::StrBytes;

use crate::api::ConnectionFacts;
use crate::config::Listener;

/// A broker as an answer names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub id: i32,
    pub host: StrBytes,
    pub port: i32,
}

impl Node {
    /// What stands where there is no node.
    pub fn none() -> Self {
        Self {
            id: -1,
            host: StrBytes::new(),
            port: -1,
        }
    }

    /// This node as a client on `connection` can reach it: what is advertised for the listener that the client came
    /// through, else the address at which its connection arrived, which is right for loopback, LAN and containers.
    pub fn for_connection(id: i32, listeners: &[Listener], connection: &ConnectionFacts) -> Self {
        let advertised = listeners
            .iter()
            .find(|listener| listener.name == connection.listener)
            .and_then(|listener| listener.advertised.as_ref());
        match advertised {
            Some(advertised) => Self {
                id,
                host: StrBytes::from_string(advertised.host.clone()),
                // Port 0 is advertised by a listener that let the system choose.
                port: i32::from(if advertised.port == 0 {
                    connection.local.port()
                } else {
                    advertised.port
                }),
            },
            None => Self {
                id,
                host: StrBytes::from_string(connection.local.ip().to_canonical().to_string()),
                port: i32::from(connection.local.port()),
            },
        }
    }
}
