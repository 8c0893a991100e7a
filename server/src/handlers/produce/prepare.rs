//! From a produce request to partitions and batches, before anything is written.

use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};

use bytes::Bytes;
use klamm_codec::{ProduceRequest, TopicRef};
use klamm_log_store::batch;
use klamm_log_store::partition::Verification;

use super::append::Refusal;
use super::{FIRST_ZSTD_VERSION, Terms};
use crate::errors::{self, ErrorCode};
use crate::partitions::Hosted;

/// One partition's part of a request, as it was sent.
#[derive(Debug)]
pub(super) struct Entry {
    pub topic: TopicRef,
    pub index: i32,
    pub records: Bytes,
}

/// One partition's part of a request, as it can be carried out.
#[derive(Debug)]
pub(super) struct Part {
    pub topic: TopicRef,
    pub index: i32,
    pub prepared: Result<Ready, Refusal>,
}

/// A partition, its only batch, and what the batch shows if it belongs to a transaction.
#[derive(Debug)]
pub(super) struct Ready {
    pub hosted: Hosted,
    pub batch: Bytes,
    pub verification: Verification,
}

/// The partitions of a request, each once: of two entries for one partition Kafka keeps the later.
pub(super) fn once_each(request: ProduceRequest) -> Vec<Entry> {
    let is_single = request.topics.len() == 1 && request.topics[0].partitions.len() == 1;
    let mut entries: Vec<Entry> = Vec::new();
    let mut places: HashMap<(TopicRef, i32), usize> = HashMap::new();
    for topic in request.topics {
        for partition in topic.partitions {
            let entry = Entry {
                topic: topic.topic.clone(),
                index: partition.index,
                records: partition.records.unwrap_or_default(),
            };
            if is_single {
                entries.push(entry);
                continue;
            }
            match places.entry((topic.topic.clone(), partition.index)) {
                Occupied(place) => entries[*place.get()] = entry,
                Vacant(place) => {
                    place.insert(entries.len());
                    entries.push(entry);
                }
            }
        }
    }
    entries
}

/// Transactional records need a transactional id. Kafka looks at all partitions for this, until it finds the first
/// transactional batch, before it looks at any partition by itself.
///
/// # Errors
/// What fails the request as a whole.
pub(super) fn refuse_transactional(
    entries: &[Entry],
    has_transactional_id: bool,
) -> Result<(), ErrorCode> {
    for entry in entries {
        if batch::is_first_transactional(&entry.records)
            .map_err(|error| errors::of_request_error(&error))?
        {
            return if has_transactional_id {
                Ok(())
            } else {
                Err(ErrorCode::TransactionalIdAuthorizationFailed)
            };
        }
    }
    Ok(())
}

/// Finds every partition and its only batch, before any partition is written to.
///
/// # Errors
/// What fails the request as a whole, with the entries as they were.
pub(super) fn prepare(
    terms: &Terms,
    entries: Vec<Entry>,
) -> Result<Vec<Part>, (Vec<Entry>, ErrorCode)> {
    let allows_zstd = terms.version >= FIRST_ZSTD_VERSION;
    let mut prepared = Vec::with_capacity(entries.len());
    for entry in &entries {
        let hosted = match find(terms, &entry.topic, entry.index) {
            Ok(hosted) => hosted,
            Err(error) => {
                prepared.push(Err(error.into()));
                continue;
            }
        };
        match batch::only_batch(entry.records.clone(), allows_zstd) {
            Ok(batch) => prepared.push(Ok(Ready {
                hosted,
                batch,
                verification: Verification::NotRequired,
            })),
            Err(error) if error.fails_request() => {
                return Err((entries, errors::of_request_error(&error)));
            }
            Err(error) => prepared.push(Err(errors::of_request_error(&error).into())),
        }
    }
    // From here on the batches alone keep the request's memory.
    Ok(entries
        .into_iter()
        .zip(prepared)
        .map(|(entry, prepared)| Part {
            topic: entry.topic,
            index: entry.index,
            prepared,
        })
        .collect())
}

fn find(terms: &Terms, topic: &TopicRef, index: i32) -> Result<Hosted, ErrorCode> {
    let image = terms.broker.metadata.image();
    let topic = match topic {
        TopicRef::Name(name) => image
            .topic(name)
            .ok_or(ErrorCode::UnknownTopicOrPartition)?,
        TopicRef::Id(id) => image.topic_by_id(*id).ok_or(ErrorCode::UnknownTopicId)?,
    };
    terms.broker.hosted(topic, index)
}
