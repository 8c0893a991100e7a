//! The classic group APIs: what members say ([`membership`]) and what administrators ask ([`admin`]).
//!
//! The work is done by the group coordinator, one command for each group; here requests of every version become
//! commands, and replies become responses, as in `KafkaApis` and `GroupCoordinatorService`.

mod admin;
mod membership;
mod order;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

pub use admin::{delete_groups, describe_groups, list_groups};
use kafka_protocol::protocol::StrBytes;
use klamm_group_coordinator::{Command, GroupError, Reply};
pub use membership::{heartbeat, join_group, leave_group, sync_group};

use crate::broker::Broker;
use crate::errors::{self, ErrorCode};

/// Has the coordinator of a group carry out a command, and waits until the answer may leave.
pub(super) async fn ask(
    broker: &Arc<Broker>,
    group_id: &str,
    command: Command,
) -> Result<Reply, ErrorCode> {
    broker
        .groups
        .submit(broker, group_id, command)
        .await
        .map_err(|error| error.code())
}

/// The error field of a result.
pub(super) fn code_of<T>(result: &Result<T, GroupError>) -> i16 {
    match result {
        Ok(_) => errors::NONE,
        Err(error) => errors::of_group_error(*error).code(),
    }
}

pub(super) fn optional(text: Option<StrBytes>) -> Option<String> {
    text.map(|text| text.to_string())
}

/// A client's address as Java prints it: a slash, and IPv6 in eight groups without any shortening.
fn client_host(peer: &SocketAddr) -> String {
    match peer.ip().to_canonical() {
        IpAddr::V4(address) => format!("/{address}"),
        IpAddr::V6(address) => {
            let groups = address.segments().map(|group| format!("{group:x}"));
            format!("/{}", groups.join(":"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As java.net.InetAddress.toString prints these addresses, the mapped one included.
    #[test]
    fn hosts_are_printed_as_java_prints_them() {
        for (peer, host) in [
            ("127.0.0.1:5", "/127.0.0.1"),
            ("[::1]:5", "/0:0:0:0:0:0:0:1"),
            ("[fe80::a0:b]:5", "/fe80:0:0:0:0:0:a0:b"),
            ("[::ffff:10.0.0.1]:5", "/10.0.0.1"),
        ] {
            let peer: SocketAddr = peer.parse().expect("an address");
            assert_eq!(client_host(&peer), host);
        }
    }
}
