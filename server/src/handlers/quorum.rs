//! DescribeQuorum, versions 0 to 2 (KIP-595, KIP-836 times from 1 on, KIP-853 nodes from 2 on).
//!
//! Behaviour: a single node is the leader and the only voter of its metadata quorum, and has always caught up with
//! itself. Asked for anything but partition 0 of `__cluster_metadata`, and that alone, the answer is
//! UNKNOWN_TOPIC_OR_PARTITION for everything asked for.
//!
//! Version notes: Apache Kafka names the endpoints of the controllers from version 2 on; this node has them only
//! where a controller is registered.

use kafka_protocol::messages::describe_quorum_request;
use kafka_protocol::messages::describe_quorum_response::{
    Listener, Node, PartitionData, ReplicaState, TopicData,
};
use kafka_protocol::messages::{BrokerId, DescribeQuorumRequest, DescribeQuorumResponse};
use kafka_protocol::protocol::StrBytes;

use crate::api::{Ctx, Reply};
use crate::cluster::ClusterImage;
use crate::cluster::topic_name::CLUSTER_METADATA_TOPIC_NAME;
use crate::errors::ErrorCode;

/// First version with the nodes of the quorum.
const FIRST_NODES_VERSION: i16 = 2;

/// Answers DescribeQuorum.
pub fn handle(ctx: &Ctx<'_>, request: DescribeQuorumRequest) -> Reply<DescribeQuorumResponse> {
    let is_known = matches!(&*request.topics, [topic] if topic.topic_name.as_str() == CLUSTER_METADATA_TOPIC_NAME
        && matches!(&*topic.partitions, [partition] if partition.partition_index == 0));
    if !is_known {
        let topics = request.topics.iter().map(unknown).collect();
        return Reply::Now(
            DescribeQuorumResponse::default()
                .with_error_message(Some(StrBytes::new()))
                .with_topics(topics),
        );
    }
    let image = ctx.broker.image();
    let log_end_offset = image.offset + 1;
    let node_id = BrokerId(ctx.broker.node_id);
    let voter = ReplicaState::default()
        .with_replica_id(node_id)
        .with_log_end_offset(log_end_offset)
        .with_last_fetch_timestamp(ctx.now_ms)
        .with_last_caught_up_timestamp(ctx.now_ms);
    let partition = PartitionData::default()
        .with_error_message(Some(StrBytes::new()))
        .with_leader_id(node_id)
        .with_leader_epoch(image.epoch)
        .with_high_watermark(log_end_offset)
        .with_current_voters(vec![voter]);
    let topic = TopicData::default()
        .with_topic_name(request.topics[0].topic_name.clone())
        .with_partitions(vec![partition]);
    let nodes = if ctx.version() >= FIRST_NODES_VERSION {
        nodes(&image)
    } else {
        Vec::new()
    };
    Reply::Now(
        DescribeQuorumResponse::default()
            .with_error_message(Some(StrBytes::new()))
            .with_topics(vec![topic])
            .with_nodes(nodes),
    )
}

fn unknown(topic: &describe_quorum_request::TopicData) -> TopicData {
    let partitions = topic.partitions.iter().map(|partition| {
        PartitionData::default()
            .with_partition_index(partition.partition_index)
            .with_error_code(ErrorCode::UnknownTopicOrPartition.code())
            .with_error_message(Some(StrBytes::from_static_str(
                "only the metadata log has a quorum",
            )))
    });
    TopicData::default()
        .with_topic_name(topic.topic_name.clone())
        .with_partitions(partitions.collect())
}

fn nodes(image: &ClusterImage) -> Vec<Node> {
    let controllers = image.controllers.values().map(|controller| {
        let listeners = controller.listeners.iter().map(|endpoint| {
            Listener::default()
                .with_name(StrBytes::from_string(endpoint.name.clone()))
                .with_host(StrBytes::from_string(endpoint.host.clone()))
                .with_port(endpoint.port)
        });
        Node::default()
            .with_node_id(BrokerId(controller.id))
            .with_listeners(listeners.collect())
    });
    controllers.collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::TestBroker;
    use super::*;

    fn ask(topics: &[(&'static str, &[i32])]) -> DescribeQuorumRequest {
        let partition = |index: &i32| {
            describe_quorum_request::PartitionData::default().with_partition_index(*index)
        };
        let topic = |(name, indexes): &(&'static str, &[i32])| {
            describe_quorum_request::TopicData::default()
                .with_topic_name(StrBytes::from_static_str(name).into())
                .with_partitions(indexes.iter().map(partition).collect())
        };
        DescribeQuorumRequest::default().with_topics(topics.iter().map(topic).collect())
    }

    #[tokio::test]
    async fn the_node_leads_its_own_metadata() {
        let broker = TestBroker::start(&[]).await;
        for version in 0..=2 {
            let response = broker
                .call(handle, version, ask(&[(CLUSTER_METADATA_TOPIC_NAME, &[0])]))
                .await;
            let [topic] = &response.topics[..] else {
                panic!("one topic")
            };
            let [partition] = &topic.partitions[..] else {
                panic!("one partition")
            };
            assert_eq!(
                (
                    partition.error_code,
                    partition.leader_id.0,
                    partition.leader_epoch
                ),
                (0, 1, 1)
            );
            assert_eq!(partition.high_watermark, broker.broker().image().offset + 1);
            let [voter] = &partition.current_voters[..] else {
                panic!("one voter")
            };
            assert_eq!(
                (voter.replica_id.0, voter.log_end_offset),
                (1, partition.high_watermark)
            );
            assert!(voter.last_caught_up_timestamp > 0 && partition.observers.is_empty());
            assert_eq!(
                response.nodes.len(),
                usize::from(version >= FIRST_NODES_VERSION)
            );
        }
    }

    #[tokio::test]
    async fn nothing_else_has_a_quorum() {
        let broker = TestBroker::start(&[]).await;
        let cases: [&[(&str, &[i32])]; 5] = [
            &[],
            &[("a", &[0, 1])],
            &[(CLUSTER_METADATA_TOPIC_NAME, &[1])],
            &[(CLUSTER_METADATA_TOPIC_NAME, &[0, 1])],
            &[(CLUSTER_METADATA_TOPIC_NAME, &[0]), ("a", &[])],
        ];
        for topics in cases {
            let response = broker.call(handle, 2, ask(topics)).await;
            assert_eq!((response.error_code, response.nodes.len()), (0, 0));
            let answered: Vec<_> = response
                .topics
                .iter()
                .map(|topic| {
                    (
                        topic.topic_name.as_str(),
                        topic
                            .partitions
                            .iter()
                            .map(|partition| partition.error_code),
                    )
                })
                .map(|(name, codes)| (name, codes.collect::<Vec<_>>()))
                .collect();
            let expected: Vec<_> = topics
                .iter()
                .map(|(name, indexes)| (*name, vec![3; indexes.len()]))
                .collect();
            assert_eq!(answered, expected);
        }
    }
}
