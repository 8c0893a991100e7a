//! Ends transactions in the partitions that they touched (Kafka's `TransactionMarkerChannelManager`; with one broker
//! the channel is a call).

use std::sync::Arc;
use std::time::Duration;

use klamm_group_coordinator::txn::{MarkersWritten, TxnCommand, TxnPartition, WriteMarkers};
use klamm_log_store::Offset;
use klamm_log_store::partition::Partition;
use tracing::{info, warn};

use super::cell::{self, Marker};
use crate::broker::Broker;
use crate::cluster::topic_name::GROUP_METADATA_TOPIC_NAME;
use crate::errors::{self, ErrorCode};

/// The first pause before markers that could not be written are tried again; it doubles from try to try.
const RETRY_PAUSE_FIRST: Duration = Duration::from_millis(50);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(10);

/// Writes one marker to one partition. Returns what must be committed for it to count.
///
/// # Errors
/// What Kafka answers to WriteTxnMarkers.
pub async fn append_marker(
    broker: &Arc<Broker>,
    topic: &str,
    index: i32,
    marker: &Marker,
) -> Result<(Arc<Partition>, Offset), ErrorCode> {
    let image = broker.image();
    let image = image
        .topic(topic)
        .ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let hosted = broker.hosted(image, index)?;
    let keeps_append_time = hosted.topic.keeps_append_time();
    if topic == GROUP_METADATA_TOPIC_NAME {
        let groups = &broker.groups;
        return groups
            .append_marker(broker, index, marker, keeps_append_time)
            .await;
    }
    let log = hosted.log?;
    let end = cell::append_marker(&log, marker, keeps_append_time, broker.clock.now_ms())
        .map_err(|error| errors::of_append_error(&error).0)?;
    Ok((log, end))
}

/// Writes all markers of a transaction, as often as it takes, and then lets its coordinator know.
pub(super) async fn end_transaction(
    broker: Arc<Broker>,
    coordinator_partition: i32,
    ending: WriteMarkers,
) {
    let marker = Marker {
        producer_id: ending.producer_id,
        producer_epoch: ending.producer_epoch,
        outcome: ending.outcome,
        coordinator_epoch: ending.coordinator_epoch,
        transaction_version: ending.transaction_version,
    };
    let mut missing = ending.partitions;
    let mut pause = RETRY_PAUSE_FIRST;
    loop {
        let written = write_all(&broker, missing, &marker).await;
        missing = written.missing;
        let report = MarkersWritten {
            transactional_id: ending.transactional_id.clone(),
            producer_id: marker.producer_id,
            producer_epoch: marker.producer_epoch,
            missing: missing.clone(),
        };
        broker
            .transactions
            .tell(
                &broker,
                coordinator_partition,
                TxnCommand::MarkersWritten(report),
            )
            .await;
        if missing.is_empty() {
            return;
        }
        if written.is_fenced {
            warn!(
                transactional_id = ending.transactional_id,
                producer_id = marker.producer_id.0,
                "a transaction is left without an end: a partition follows another coordinator or producer"
            );
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_PAUSE_MAX);
    }
}

/// What became of markers.
struct Written {
    /// Partitions without one.
    missing: Vec<TxnPartition>,
    /// One of them has seen a later producer epoch, or a later coordinator: it is of no use to try again.
    is_fenced: bool,
}

/// Writes a marker to every partition.
async fn write_all(
    broker: &Arc<Broker>,
    partitions: Vec<TxnPartition>,
    marker: &Marker,
) -> Written {
    let mut appended = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let append = append_marker(broker, &partition.topic, partition.partition, marker).await;
        appended.push((partition, append));
    }
    let mut all = Written {
        missing: Vec::new(),
        is_fenced: false,
    };
    for (partition, append) in appended {
        let written = match append {
            Ok((log, end)) => log
                .committed(end)
                .await
                .map_err(|_| ErrorCode::KafkaStorageError),
            Err(error) => Err(error),
        };
        let error = match written {
            // A partition that is gone needs no marker.
            Ok(()) | Err(ErrorCode::UnknownTopicOrPartition) => continue,
            Err(error) => error,
        };
        all.is_fenced |= matches!(
            error,
            ErrorCode::InvalidProducerEpoch | ErrorCode::TransactionCoordinatorFenced
        );
        info!(
            topic = partition.topic,
            partition = partition.partition,
            producer_id = marker.producer_id.0,
            %error,
            "the end of a transaction could not be written"
        );
        all.missing.push(partition);
    }
    all
}
