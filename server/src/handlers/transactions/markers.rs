//! WriteTxnMarkers, versions 1 and 2.
//!
//! Behaviour: ends transactions on partitions of this broker: what a coordinator on another broker says, and what
//! `kafka-transactions abort` says about a transaction that hangs. Partitions that are not here are refused one by one,
//! the others get their marker all the same. Markers of one producer are answered together.
//!
//! Version notes: 2 says under which `transaction.version` the transaction ran (KIP-1228).

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use kafka_protocol::messages::{ProducerId, TopicName, WriteTxnMarkersResponse};
use klamm_codec::{TxnMarker, TxnMarkerTopic, WriteTxnMarkersRequest};
use klamm_group_coordinator as coordinator;
use klamm_group_coordinator::TransactionOutcome;

use crate::api::{Ctx, Reply};
use crate::broker::Broker;
use crate::cluster::topic_name::GROUP_METADATA_TOPIC_NAME;
use crate::coordinator::{Marker, append_marker};
use crate::errors::{self, ErrorCode};

/// The outcome for each partition of each producer.
type Results = BTreeMap<ProducerId, BTreeMap<(TopicName, i32), i16>>;

/// Answers WriteTxnMarkers.
pub fn handle(ctx: &Ctx<'_>, request: WriteTxnMarkersRequest) -> Reply<WriteTxnMarkersResponse> {
    let broker = Arc::clone(ctx.broker);
    Reply::later(async move {
        let mut results = Results::new();
        let everything: Vec<_> = request.markers.iter().flat_map(partitions).collect();
        for marker in request.markers {
            if is_nobodys(&broker, &marker) {
                for (producer_id, partition) in everything {
                    let results = results.entry(producer_id).or_default();
                    results.insert(partition, ErrorCode::UnknownServerError.code());
                }
                break;
            }
            write(&broker, marker, &mut results).await;
        }
        let markers = results.into_iter().map(|(producer_id, partitions)| {
            WritableTxnMarkerResult::default()
                .with_producer_id(producer_id)
                .with_topics(by_topic(partitions))
        });
        WriteTxnMarkersResponse::default().with_markers(markers.collect())
    })
}

fn partitions(marker: &TxnMarker) -> Vec<(ProducerId, (TopicName, i32))> {
    let topics = marker.topics.iter();
    topics
        .flat_map(|topic| {
            let place = |index: &i32| (marker.producer_id, (topic.name.clone(), *index));
            topic.partition_indexes.iter().map(place)
        })
        .collect()
}

/// Whether a marker names no producer. On the first such marker that has a partition here to go to Apache Kafka fails
/// inside: the whole request is an UNKNOWN_SERVER_ERROR, though the markers before it are written.
fn is_nobodys(broker: &Broker, marker: &TxnMarker) -> bool {
    let image = broker.image();
    let is_here = |topic: &TxnMarkerTopic| {
        let found = image.topic(&topic.name);
        topic.name.as_str() != GROUP_METADATA_TOPIC_NAME
            && found.is_some_and(|found| {
                let mut indexes = topic.partition_indexes.iter();
                indexes.any(|index| found.partition(*index).is_some())
            })
    };
    (marker.producer_id.0 < 0 || marker.producer_epoch < 0) && marker.topics.iter().any(is_here)
}

/// Writes one marker to its partitions, and waits for all of them.
async fn write(broker: &Arc<Broker>, request: TxnMarker, results: &mut Results) {
    let marker = Marker {
        producer_id: coordinator::ProducerId(request.producer_id.0),
        producer_epoch: request.producer_epoch,
        outcome: match request.transaction_result {
            true => TransactionOutcome::Committed,
            false => TransactionOutcome::Aborted,
        },
        coordinator_epoch: request.coordinator_epoch,
        transaction_version: i16::from(request.transaction_version),
    };
    let mut appended = Vec::new();
    for topic in request.topics {
        for index in topic.partition_indexes {
            let append = append(broker, &topic.name, index, &marker).await;
            appended.push(((topic.name.clone(), index), append));
        }
    }
    for (partition, append) in appended {
        let error = match append {
            Ok((log, end)) => log
                .committed(end)
                .await
                .err()
                .map(|_| ErrorCode::KafkaStorageError),
            Err(error) => Some(error),
        };
        let code = error.map_or(errors::NONE, |error| error.code());
        results
            .entry(request.producer_id)
            .or_default()
            .insert(partition, code);
    }
}

async fn append(
    broker: &Arc<Broker>,
    topic: &str,
    index: i32,
    marker: &Marker,
) -> Result<
    (
        Arc<klamm_log_store::partition::Partition>,
        klamm_log_store::Offset,
    ),
    ErrorCode,
> {
    // A log that is offline is as good as not here (`ReplicaManager.onlinePartition`).
    broker
        .partition_by_name(topic, index)
        .map_err(|_| ErrorCode::UnknownTopicOrPartition)?;
    append_marker(broker, topic, index, marker).await
}

fn by_topic(partitions: BTreeMap<(TopicName, i32), i16>) -> Vec<WritableTxnMarkerTopicResult> {
    let mut topics: Vec<WritableTxnMarkerTopicResult> = Vec::new();
    for ((name, index), code) in partitions {
        let result = WritableTxnMarkerPartitionResult::default()
            .with_partition_index(index)
            .with_error_code(code);
        match topics.last_mut() {
            Some(topic) if topic.name == name => topic.partitions.push(result),
            _ => topics.push(
                WritableTxnMarkerTopicResult::default()
                    .with_name(name)
                    .with_partitions(vec![result]),
            ),
        }
    }
    topics
}
