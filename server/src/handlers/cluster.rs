//! DescribeCluster, versions 0 to 2 (KIP-700, KIP-919 endpoint types from 1 on, KIP-1073 fenced brokers from 2 on).
//!
//! Behaviour: names the brokers that have the client's listener, fenced ones only when they are asked for. This is an
//! endpoint of brokers: asking for controllers is MISMATCHED_ENDPOINT_TYPE, for anything else
//! UNSUPPORTED_ENDPOINT_TYPE.

use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{BrokerId, DescribeClusterRequest, DescribeClusterResponse};
use kafka_protocol::protocol::StrBytes;

use super::authorized::{CLUSTER_OPERATIONS, NOT_ASKED};
use super::reach::{Reach, ReachableBroker};
use crate::api::{Ctx, Reply};
use crate::errors::ErrorCode;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;
const NO_CONTROLLER: BrokerId = BrokerId(-1);

/// First version that marks fenced brokers.
const FIRST_FENCED_VERSION: i16 = 2;

/// Answers DescribeCluster.
pub fn handle(ctx: &Ctx<'_>, request: DescribeClusterRequest) -> Reply<DescribeClusterResponse> {
    let refusal = match request.endpoint_type {
        BROKERS => None,
        CONTROLLERS => Some((
            ErrorCode::MismatchedEndpointType,
            "controllers are not described at this endpoint",
        )),
        _ => Some((
            ErrorCode::UnsupportedEndpointType,
            "the endpoint type is unknown",
        )),
    };
    if let Some((error, text)) = refusal {
        return Reply::Now(
            DescribeClusterResponse::default()
                .with_error_code(error.code())
                .with_error_message(Some(StrBytes::from_static_str(text)))
                .with_controller_id(NO_CONTROLLER),
        );
    }
    let image = ctx.broker.image();
    let reach = Reach::new(ctx.broker, ctx.connection, &image);
    let asks_for_fenced = request.include_fenced_brokers && ctx.version() >= FIRST_FENCED_VERSION;
    let brokers = reach
        .brokers()
        .filter(|broker| !broker.is_fenced || asks_for_fenced)
        .map(entry)
        .collect();
    let asks_for_operations = request.include_cluster_authorized_operations;
    Reply::Now(
        DescribeClusterResponse::default()
            .with_cluster_id(StrBytes::from_string(image.cluster_id.to_string()))
            .with_controller_id(
                reach
                    .online()
                    .next()
                    .map_or(NO_CONTROLLER, |broker| BrokerId(broker.node.id)),
            )
            .with_brokers(brokers)
            .with_cluster_authorized_operations(if asks_for_operations {
                CLUSTER_OPERATIONS
            } else {
                NOT_ASKED
            }),
    )
}

fn entry(broker: &ReachableBroker) -> DescribeClusterBroker {
    DescribeClusterBroker::default()
        .with_broker_id(BrokerId(broker.node.id))
        .with_host(broker.node.host.clone())
        .with_port(broker.node.port)
        .with_rack(broker.rack.clone())
        .with_is_fenced(broker.is_fenced)
}

#[cfg(test)]
mod tests {
    use super::super::testing::TestBroker;
    use super::*;

    #[tokio::test]
    async fn the_broker_is_described_at_its_address() {
        let broker = TestBroker::start(&["broker.rack=here"]).await;
        for version in 0..=2 {
            let request = DescribeClusterRequest::default()
                .with_include_cluster_authorized_operations(version > 0)
                .with_include_fenced_brokers(version > 1);
            let response = broker.call(handle, version, request).await;
            let [node] = &response.brokers[..] else {
                panic!("one broker")
            };
            assert_eq!(
                (node.broker_id.0, node.host.as_str(), node.port),
                (1, "127.0.0.1", i32::from(broker.address().port()))
            );
            assert_eq!(
                (node.rack.as_deref(), node.is_fenced),
                (Some("here"), false)
            );
            assert_eq!(
                response.cluster_id.as_str(),
                &*broker.broker().image().cluster_id
            );
            assert_eq!((response.controller_id.0, response.error_code), (1, 0));
            assert_eq!(
                response.cluster_authorized_operations,
                if version > 0 { 8096 } else { i32::MIN }
            );
        }
    }

    /// The answers of Apache Kafka 4.3.1 at a broker's listener.
    #[tokio::test]
    async fn only_brokers_are_described_here() {
        let broker = TestBroker::start(&[]).await;
        for (endpoint_type, error) in [(2, 114), (0, 115), (3, 115), (-1, 115)] {
            for version in 1..=2 {
                let request = DescribeClusterRequest::default().with_endpoint_type(endpoint_type);
                let response = broker.call(handle, version, request).await;
                assert_eq!(
                    (response.error_code, response.error_message.is_some()),
                    (error, true)
                );
                assert!(
                    response.brokers.is_empty()
                        && response.cluster_id.is_empty()
                        && response.controller_id.0 == -1
                );
            }
        }
    }
}
