//! ElectLeaders, versions 0 to 2 (KIP-460 unclean elections from 1 on).
//!
//! Behaviour: a partition whose preferred replica leads it (preferred election), or that has any leader (unclean
//! election), is ELECTION_NOT_NEEDED. On one node that is every partition, as every partition is led from the moment
//! the broker starts; a partition without a leader has no replica here and is PREFERRED_LEADER_NOT_AVAILABLE or
//! ELIGIBLE_LEADERS_NOT_AVAILABLE. Asked for all partitions, the answer lists every topic but only those partitions
//! that could not be given their leader.

use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::refusal::Refusal;
use crate::api::{Ctx, Reply};
use crate::cluster::view::NO_LEADER;
use crate::cluster::{ClusterImage, TopicImage};
use crate::errors::ErrorCode;

/// First version with an error of the whole request.
const FIRST_ERROR_VERSION: i16 = 1;

/// Who shall lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Election {
    Preferred,
    Unclean,
}

/// Answers ElectLeaders.
pub fn handle(ctx: &Ctx<'_>, request: ElectLeadersRequest) -> Reply<ElectLeadersResponse> {
    if request.topic_partitions.as_ref().is_some_and(Vec::is_empty) {
        return Reply::Now(ElectLeadersResponse::default());
    }
    if request.timeout_ms <= 0 {
        return Reply::Now(refused(
            &request,
            &Refusal::bare(ErrorCode::RequestTimedOut),
            ctx.version(),
        ));
    }
    let election = match request.election_type {
        0 => Election::Preferred,
        1 => Election::Unclean,
        _ => {
            let refusal = Refusal::new(
                ErrorCode::InvalidRequest,
                "elections are preferred (0) or unclean (1)",
            );
            return Reply::Now(refused(&request, &refusal, ctx.version()));
        }
    };
    let image = ctx.broker.image();
    let results = match &request.topic_partitions {
        None => image
            .topics()
            .map(|topic| all_of(topic, election))
            .collect(),
        Some(topics) => topics
            .iter()
            .map(|topic| some_of(&image, topic, election))
            .collect(),
    };
    Reply::Now(ElectLeadersResponse::default().with_replica_election_results(results))
}

fn refused(request: &ElectLeadersRequest, refusal: &Refusal, version: i16) -> ElectLeadersResponse {
    let results = request.topic_partitions.iter().flatten().map(|topic| {
        let partitions = topic
            .partitions
            .iter()
            .map(|index| result(*index, refusal))
            .collect();
        ReplicaElectionResult::default()
            .with_topic(topic.topic.clone())
            .with_partition_result(partitions)
    });
    let response = ElectLeadersResponse::default().with_replica_election_results(results.collect());
    if version >= FIRST_ERROR_VERSION {
        response.with_error_code(refusal.code.code())
    } else {
        response
    }
}

fn all_of(topic: &TopicImage, election: Election) -> ReplicaElectionResult {
    let refused = (0..).zip(&topic.partitions).filter_map(|(index, _)| {
        let refusal = elect(topic, index, election);
        (refusal.code != ErrorCode::ElectionNotNeeded).then(|| result(index, &refusal))
    });
    ReplicaElectionResult::default()
        .with_topic(TopicName(StrBytes::from_string(topic.name.to_string())))
        .with_partition_result(refused.collect())
}

fn some_of(
    image: &ClusterImage,
    asked: &TopicPartitions,
    election: Election,
) -> ReplicaElectionResult {
    let topic = image.topic(&asked.topic);
    let partitions = asked.partitions.iter().map(|index| {
        let refusal = match topic {
            Some(topic) => elect(topic, *index, election),
            None => Refusal::new(ErrorCode::UnknownTopicOrPartition, "there is no such topic"),
        };
        result(*index, &refusal)
    });
    ReplicaElectionResult::default()
        .with_topic(asked.topic.clone())
        .with_partition_result(partitions.collect())
}

/// Why no leader is elected: on one node none ever is.
fn elect(topic: &TopicImage, index: i32, election: Election) -> Refusal {
    let Some(partition) = topic.partition(index) else {
        return Refusal::new(
            ErrorCode::UnknownTopicOrPartition,
            "the topic has no such partition",
        );
    };
    let (is_settled, unavailable) = match election {
        Election::Preferred => (
            partition.replicas.first() == Some(&partition.leader),
            ErrorCode::PreferredLeaderNotAvailable,
        ),
        Election::Unclean => (
            partition.leader != NO_LEADER,
            ErrorCode::EligibleLeadersNotAvailable,
        ),
    };
    if is_settled {
        Refusal::new(
            ErrorCode::ElectionNotNeeded,
            "the partition has the leader that an election would give it",
        )
    } else {
        Refusal::new(unavailable, "no replica that could lead is on this broker")
    }
}

fn result(index: i32, refusal: &Refusal) -> PartitionResult {
    PartitionResult::default()
        .with_partition_id(index)
        .with_error_code(refusal.code.code())
        .with_error_message(refusal.message())
}

#[cfg(test)]
mod tests {
    use super::super::testing::TestBroker;
    use super::super::topics::auto_create;
    use super::*;

    fn ask(topics: Option<&[(&'static str, &[i32])]>) -> ElectLeadersRequest {
        let topic = |(name, indexes): &(&'static str, &[i32])| {
            TopicPartitions::default()
                .with_topic(StrBytes::from_static_str(name).into())
                .with_partitions(indexes.to_vec())
        };
        ElectLeadersRequest::default()
            .with_timeout_ms(5_000)
            .with_topic_partitions(topics.map(|topics| topics.iter().map(topic).collect()))
    }

    /// Topics, partitions and error codes.
    fn results(response: &ElectLeadersResponse) -> Vec<(&str, Vec<(i32, i16)>)> {
        let topics = response.replica_election_results.iter();
        topics
            .map(|topic| {
                let partitions = topic.partition_result.iter();
                (
                    topic.topic.as_str(),
                    partitions
                        .map(|result| (result.partition_id, result.error_code))
                        .collect(),
                )
            })
            .collect()
    }

    #[tokio::test]
    async fn partitions_are_led_as_an_election_would_have_it() {
        let broker = TestBroker::start(&["num.partitions=2"]).await;
        auto_create(broker.broker(), &["a".to_owned()]);
        for version in 0..=2 {
            let request = ask(Some(&[("a", &[0, 0, 9]), ("a", &[]), ("gone", &[0])]));
            let response = broker.call(handle, version, request).await;
            let expected = [
                ("a", vec![(0, 84), (0, 84), (9, 3)]),
                ("a", vec![]),
                ("gone", vec![(0, 3)]),
            ];
            assert_eq!(
                (response.error_code, results(&response)),
                (0, expected.to_vec())
            );
            // All partitions: those that are well led are left out.
            let response = broker.call(handle, version, ask(None)).await;
            assert_eq!(results(&response), [("a", vec![])]);
        }
        let unclean = ask(Some(&[("a", &[1])])).with_election_type(1);
        assert_eq!(
            results(&broker.call(handle, 1, unclean).await),
            [("a", vec![(1, 84)])]
        );
    }

    #[tokio::test]
    async fn requests_fail_as_a_whole_when_late_or_of_unknown_type() {
        let broker = TestBroker::start(&[]).await;
        let asked: &[(&str, &[i32])] = &[("a", &[0, 1])];
        let late = ask(Some(asked)).with_timeout_ms(0);
        let unknown = ask(Some(asked)).with_election_type(2);
        for (request, error, has_text) in [(late, 7, false), (unknown, 42, true)] {
            let response = broker.call(handle, 2, request).await;
            assert_eq!(
                (response.error_code, results(&response)),
                (error, vec![("a", vec![(0, error), (1, error)])])
            );
            let result = &response.replica_election_results[0].partition_result[0];
            assert_eq!(result.error_message.is_some(), has_text);
        }
        let response = broker
            .call(handle, 0, ask(Some(asked)).with_timeout_ms(0))
            .await;
        assert_eq!(
            (response.error_code, results(&response)),
            (0, vec![("a", vec![(0, 7), (1, 7)])])
        );
        // Nothing asked for, nothing refused.
        let nothing = ask(Some(&[])).with_timeout_ms(0).with_election_type(2);
        assert_eq!(
            broker.call(handle, 2, nothing).await,
            ElectLeadersResponse::default()
        );
    }
}
