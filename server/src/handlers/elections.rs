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
