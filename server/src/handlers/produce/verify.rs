//! Transactional batches: what their partitions want to see before they take them.

use klamm_group_coordinator::txn::TxnPartition;
use klamm_log_store::batch::BatchHeader;
use klamm_log_store::partition::{Verification, VerificationGuard};
use tokio::time::Instant;

use super::Terms;
use super::append::Refusal;
use super::prepare::Part;
use crate::coordinator::{Demand, Manner, Writer};
use crate::errors::{self, ErrorCode};

/// The transaction that a request writes in, if any.
///
/// # Errors
/// INVALID_PRODUCER_ID_MAPPING for the whole request when its batches are of more than one producer.
pub(super) fn writer(
    terms: &Terms,
    transactional_id: Option<&str>,
    parts: &[Part],
) -> Result<Option<Writer>, ErrorCode> {
    let mut writer: Option<Writer> = None;
    for header in parts.iter().filter_map(transactional_header) {
        match &writer {
            None => {
                writer = Some(Writer {
                    transactional_id: transactional_id.unwrap_or_default().to_owned(),
                    producer_id: header.producer_id,
                    producer_epoch: header.producer_epoch,
                    manner: Manner::of_produce(terms.version),
                });
            }
            Some(writer)
                if writer.producer_id == header.producer_id
                    && writer.producer_epoch == header.producer_epoch => {}
            Some(_) => return Err(ErrorCode::InvalidProducerIdMapping),
        }
    }
    Ok(writer)
}

/// The parts for which the coordinator must vouch, by their place, with their guards.
pub(super) type Unvouched = Vec<(usize, VerificationGuard)>;

/// Asks every partition of a transactional batch what it wants. Refused parts are marked as such.
pub(super) fn demands(terms: &Terms, writer: &Writer, parts: &mut [Part]) -> Unvouched {
    let mut unvouched = Unvouched::new();
    for (place, part) in parts.iter_mut().enumerate() {
        let Some(header) = transactional_header(part) else {
            continue;
        };
        let Ok(ready) = &mut part.prepared else {
            continue;
        };
        let demand = match &ready.hosted.log {
            Ok(log) => writer
                .demand(&terms.broker, log, header.base_sequence)
                .map_err(|error| errors::of_append_error(&error).0),
            Err(error) => Err(*error),
        };
        match demand {
            Ok(Demand::Met(verification)) => ready.verification = verification,
            Ok(Demand::Vouch(guard)) => unvouched.push((place, guard)),
            Err(error) => part.prepared = Err(error.into()),
        }
    }
    unvouched
}

/// Has the coordinator vouch for parts. Those for which it does not are refused.
///
/// The coordinator may still be ending the producer's last transaction: a client that leaves the adding to the broker
/// has no turn of its own to wait for that, so the broker tries for a while
/// (`add.partitions.to.txn.retry.backoff.ms`).
pub(super) async fn vouch(
    terms: &Terms,
    writer: &Writer,
    parts: &mut [Part],
    unvouched: Unvouched,
) {
    let config = terms.broker.config();
    let deadline = Instant::now() + config.transaction.add_partitions_retry_max;
    let results = loop {
        let partitions = unvouched
            .iter()
            .filter_map(|(place, _)| partition(&parts[*place]))
            .collect();
        let results = writer.vouch(&terms.broker, partitions).await;
        let is_ending = results.contains(&Err(ErrorCode::ConcurrentTransactions));
        if !is_ending || writer.manner != Manner::WithRecords || Instant::now() >= deadline {
            break results;
        }
        tokio::time::sleep(config.transaction.add_partitions_retry_backoff).await;
    };
    for ((place, guard), result) in unvouched.into_iter().zip(results) {
        let part = &mut parts[place];
        match (result, &mut part.prepared) {
            (Ok(()), Ok(ready)) => ready.verification = Verification::Required(Some(guard)),
            (Err(error), _) => part.prepared = Err(refusal(error, writer.manner)),
            (Ok(()), Err(_)) => {}
        }
    }
}

/// The header of a batch that belongs to somebody's transaction: without a producer id its flag means nothing, as in
/// Kafka.
fn transactional_header(part: &Part) -> Option<BatchHeader> {
    let ready = part.prepared.as_ref().ok()?;
    if !ready.batch.is_transactional() {
        return None;
    }
    BatchHeader::parse(ready.batch.bytes())
        .ok()
        .filter(|header| header.producer_id.is_some())
}

fn partition(part: &Part) -> Option<TxnPartition> {
    let ready = part.prepared.as_ref().ok()?;
    Some(TxnPartition {
        topic: ready.hosted.topic.name().to_owned(),
        partition: part.place.index,
    })
}

/// What a producer is told that the coordinator does not vouch for. Errors that a producer would not try again become
/// NOT_ENOUGH_REPLICAS, which it does.
fn refusal(error: ErrorCode, manner: Manner) -> Refusal {
    let (error, message) = match error {
        ErrorCode::InvalidTxnState => (
            error,
            Some("the partition is not part of the transaction".to_owned()),
        ),
        ErrorCode::NetworkException
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::NotCoordinator => (ErrorCode::NotEnoughReplicas, Some(unverified(error))),
        ErrorCode::ConcurrentTransactions if manner != Manner::WithRecords => {
            (ErrorCode::NotEnoughReplicas, Some(unverified(error)))
        }
        error => (error, None),
    };
    Refusal {
        message,
        ..error.into()
    }
}

fn unverified(error: ErrorCode) -> String {
    format!("whether the partition is part of the transaction could not be found out: {error}")
}
