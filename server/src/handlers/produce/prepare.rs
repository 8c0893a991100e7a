//! From a produce request to partitions and batches, before anything is written.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use klamm_codec::{ProduceTopic, TopicRef};
use klamm_log_store::batch::{self, OnlyBatch};
use klamm_log_store::partition::Verification;

use super::append::Refusal;
use super::{FIRST_ZSTD_VERSION, Terms};
use crate::broker::Broker;
use crate::cluster::{ClusterImage, TopicImage};
use crate::errors::{self, ErrorCode};
use crate::partitions::{Hosted, HostedTopic};

/// The partitions of a request, each once.
#[derive(Debug)]
pub(super) struct Entries {
    /// The topics that entries are of, each once.
    pub topics: Vec<TopicRef>,
    /// In the order of the request.
    pub entries: Vec<Entry>,
}

/// One partition's part of a request, as it was sent.
#[derive(Debug)]
pub(super) struct Entry {
    pub place: Place,
    pub records: Bytes,
}

/// A partition in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    /// Which of [`Entries::topics`].
    pub topic: usize,
    /// The partition's own index.
    pub index: i32,
}

/// One partition's part of a request, as it can be carried out.
#[derive(Debug)]
pub(super) struct Part {
    pub place: Place,
    pub prepared: Result<Ready, Refusal>,
}

/// A partition, its only batch, and what the batch shows if it belongs to a transaction.
#[derive(Debug)]
pub(super) struct Ready {
    pub hosted: Hosted,
    pub batch: OnlyBatch,
    pub verification: Verification,
}

/// The partitions of a request, each once: of two entries for one partition Kafka keeps the later.
pub(super) fn once_each(request: Vec<ProduceTopic>) -> Entries {
    let mut topics = Topics::default();
    let mut entries = Vec::with_capacity(request.first().map_or(0, |topic| topic.partitions.len()));
    for topic in request {
        if topic.partitions.is_empty() {
            continue;
        }
        let place_of_topic = topics.place(topic.topic);
        entries.extend(topic.partitions.into_iter().map(|partition| Entry {
            place: Place {
                topic: place_of_topic,
                index: partition.index,
            },
            records: partition.records.unwrap_or_default(),
        }));
    }
    if has_repeated(&entries) {
        entries = keep_later(entries);
    }
    Entries {
        topics: topics.in_order,
        entries,
    }
}

/// Gives each topic a number, the same one when it comes again.
#[derive(Default)]
struct Topics {
    in_order: Vec<TopicRef>,
    places: HashMap<TopicRef, usize>,
}

impl Topics {
    fn place(&mut self, topic: TopicRef) -> usize {
        let next = self.in_order.len();
        if next == 0 {
            // Most requests have one topic, which need not be found again.
            self.in_order.push(topic);
            return next;
        }
        if self.places.is_empty() {
            self.places.insert(self.in_order[0].clone(), 0);
        }
        let place = *self.places.entry(topic.clone()).or_insert(next);
        if place == next {
            self.in_order.push(topic);
        }
        place
    }
}

fn has_repeated(entries: &[Entry]) -> bool {
    if entries.len() < 2 {
        return false;
    }
    let mut places: Vec<Place> = entries.iter().map(|entry| entry.place).collect();
    places.sort_unstable();
    places.windows(2).any(|pair| pair[0] == pair[1])
}

/// Puts the last entry of each partition in the place of the first.
fn keep_later(entries: Vec<Entry>) -> Vec<Entry> {
    let mut kept: Vec<Entry> = Vec::with_capacity(entries.len());
    let mut seen: HashMap<Place, usize> = HashMap::new();
    for entry in entries {
        let at = *seen.entry(entry.place).or_insert(kept.len());
        match kept.get_mut(at) {
            Some(earlier) => *earlier = entry,
            None => kept.push(entry),
        }
    }
    kept
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

/// Finds every partition and its only batch, before any partition is written to. Takes the records out of the entries,
/// so that from here on the batches alone keep the request's memory.
///
/// # Errors
/// What fails the request as a whole.
pub(super) fn prepare(terms: &Terms, request: &mut Entries) -> Result<Vec<Part>, ErrorCode> {
    let allows_zstd = terms.version >= FIRST_ZSTD_VERSION;
    let image = terms.broker.image();
    let mut finder = Finder::new(&terms.broker, &image);
    let mut parts = Vec::with_capacity(request.entries.len());
    for entry in &mut request.entries {
        let records = std::mem::take(&mut entry.records);
        let prepared = match finder.find(&request.topics, entry.place) {
            Ok(hosted) => match batch::only_batch(records, allows_zstd) {
                Ok(batch) => Ok(Ready {
                    hosted,
                    batch,
                    verification: Verification::NotRequired,
                }),
                Err(error) if error.fails_request() => {
                    return Err(errors::of_request_error(&error));
                }
                Err(error) => Err(errors::of_request_error(&error).into()),
            },
            Err(error) => Err(error.into()),
        };
        parts.push(Part {
            place: entry.place,
            prepared,
        });
    }
    Ok(parts)
}

/// Finds partitions. Those of one topic usually follow each other: it is looked up for the first of them.
struct Finder<'a> {
    broker: &'a Broker,
    image: &'a ClusterImage,
    last: Option<(usize, Result<FoundTopic<'a>, ErrorCode>)>,
}

struct FoundTopic<'a> {
    image: &'a TopicImage,
    hosted: Arc<HostedTopic>,
}

impl<'a> Finder<'a> {
    fn new(broker: &'a Broker, image: &'a ClusterImage) -> Self {
        Self {
            broker,
            image,
            last: None,
        }
    }

    fn find(&mut self, topics: &[TopicRef], place: Place) -> Result<Hosted, ErrorCode> {
        let Broker {
            partitions,
            configs,
            ..
        } = self.broker;
        let found = match self.last.take() {
            Some((last, found)) if last == place.topic => found,
            _ => self.find_topic(&topics[place.topic]),
        };
        let (_, found) = self.last.insert((place.topic, found));
        match found {
            Ok(topic) => {
                partitions.hosted_partition(&topic.hosted, topic.image, place.index, configs)
            }
            Err(error) => Err(*error),
        }
    }

    fn find_topic(&self, topic: &TopicRef) -> Result<FoundTopic<'a>, ErrorCode> {
        let image = match topic {
            TopicRef::Name(name) => self
                .image
                .topic(name)
                .ok_or(ErrorCode::UnknownTopicOrPartition)?,
            TopicRef::Id(id) => self
                .image
                .topic_by_id(*id)
                .ok_or(ErrorCode::UnknownTopicId)?,
        };
        let Broker {
            partitions,
            configs,
            ..
        } = self.broker;
        let hosted = partitions.hosted_topic(self.image, image, configs)?;
        Ok(FoundTopic { image, hosted })
    }
}
