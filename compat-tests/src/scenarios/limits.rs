//! What the clients' APIs cannot say, in one table with the reason for each.
//!
//! A record that a producer cannot say is not asked of it. What a consumer cannot tell is blurred in the expectation, and
//! only that.

use crate::scenarios::record::{Content, Record};

/// Something that a client's API has no words for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// The client stamps every record with its own clock.
    Timestamps,
    /// The client chooses the partition; its topics get a single one.
    Partitions,
    /// The acknowledgement names no offset.
    AckOffsets,
    /// A record with neither a key nor a value.
    NullKeyAndValue,
    /// A record without a key whose value is null or empty.
    NothingAtAll,
    /// Null and empty are the same, for keys, values and header values.
    NullOrEmpty,
    /// Anything that is not one line of UTF-8 text, in keys, values and header values.
    NotText,
    /// A zero byte in a header value.
    ZeroInHeader,
    NullHeaderValue,
    EmptyHeaderKey,
    /// Two headers with the same key.
    RepeatedHeaderKey,
    /// Two headers with the same key and another one between them.
    SplitHeaderKey,
    /// Headers whose keys are not in alphabetical order.
    HeaderOrder,
    /// A read_committed consumer waits at the last stable offset, but does not leave out what was aborted.
    AbortedRecords,
    /// The markers at the ends of transactions are handed over as records.
    Markers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The producer is not asked for such a record.
    Produce,
    /// The consumer hands over such a record without this.
    Consume,
    /// The consumer fails on such a record: it is not asked to read the topic.
    Read,
}

#[derive(Debug)]
pub struct Limit {
    pub client: &'static str,
    pub side: Side,
    pub gap: Gap,
    pub reason: &'static str,
}

/// Everything that is not asked of some client.
pub const LIMITS: &[Limit] = &[
    produce("kcat", Gap::Timestamps, "no option sets a timestamp"),
    produce(
        "kcat",
        Gap::NothingAtAll,
        "an empty input line is not a message",
    ),
    produce("kcat", Gap::EmptyHeaderKey, "-H wants a name"),
    produce(
        "kcat",
        Gap::ZeroInHeader,
        "headers are command-line arguments, which end at a zero byte",
    ),
    consume(
        "kcat",
        Gap::ZeroInHeader,
        "%h prints header values as C strings",
    ),
    produce(
        "console",
        Gap::Timestamps,
        "ConsoleProducer sets no timestamp",
    ),
    produce(
        "console",
        Gap::Partitions,
        "ConsoleProducer leaves the partition to the partitioner",
    ),
    produce(
        "console",
        Gap::AckOffsets,
        "ConsoleProducer reports failures only",
    ),
    produce(
        "console",
        Gap::NotText,
        "ConsoleProducer reads lines of text",
    ),
    consume("kafka-go", Gap::NullOrEmpty, "the Reader makes nil of both"),
    consume(
        "kafka-go",
        Gap::AbortedRecords,
        "the Reader does not look at the list of aborted transactions",
    ),
    consume(
        "kafka-go",
        Gap::Markers,
        "the Reader does not know control batches",
    ),
    produce(
        "kafkajs",
        Gap::NullHeaderValue,
        "the encoder measures a header value without looking",
    ),
    produce(
        "kafkajs",
        Gap::SplitHeaderKey,
        "headers are an object of arrays",
    ),
    consume(
        "kafkajs",
        Gap::SplitHeaderKey,
        "headers are an object of arrays",
    ),
    produce(
        "kafka-python",
        Gap::NullHeaderValue,
        "send() demands (str, bytes) pairs",
    ),
    produce(
        "kafka-python",
        Gap::NullKeyAndValue,
        "send() demands a key or a value",
    ),
    produce(
        "aiokafka",
        Gap::NullKeyAndValue,
        "send() asserts that there is a key or a value",
    ),
    produce(
        "rskafka",
        Gap::NullHeaderValue,
        "a header value is a Vec<u8>",
    ),
    produce("rskafka", Gap::RepeatedHeaderKey, "headers are a BTreeMap"),
    produce("rskafka", Gap::HeaderOrder, "headers are a BTreeMap"),
    read(
        "rskafka",
        Gap::NullHeaderValue,
        "the decoder fails on a negative length",
    ),
    consume("rskafka", Gap::RepeatedHeaderKey, "headers are a BTreeMap"),
    consume("rskafka", Gap::HeaderOrder, "headers are a BTreeMap"),
];

const fn produce(client: &'static str, gap: Gap, reason: &'static str) -> Limit {
    Limit {
        client,
        side: Side::Produce,
        gap,
        reason,
    }
}

const fn consume(client: &'static str, gap: Gap, reason: &'static str) -> Limit {
    Limit {
        client,
        side: Side::Consume,
        gap,
        reason,
    }
}

const fn read(client: &'static str, gap: Gap, reason: &'static str) -> Limit {
    Limit {
        client,
        side: Side::Read,
        gap,
        reason,
    }
}

/// True when the table holds this gap for the client's producer.
pub fn producer_lacks(client: &str, gap: Gap) -> bool {
    gaps(client, Side::Produce).any(|found| found == gap)
}

/// True when the table holds this gap for the client's consumer.
pub fn consumer_lacks(client: &str, gap: Gap) -> bool {
    gaps(client, Side::Consume).any(|found| found == gap)
}

/// The record as the client can be asked to send it; `None` when it cannot.
pub fn sendable(client: &str, record: &Record) -> Option<Record> {
    if gaps(client, Side::Produce).any(|gap| gap.concerns(record)) {
        return None;
    }
    let mut record = record.clone();
    if producer_lacks(client, Gap::Timestamps) {
        record.timestamp = None;
    }
    Some(record)
}

/// True when the client's consumer fails on such a record.
pub fn is_readable(client: &str, record: &Record) -> bool {
    !gaps(client, Side::Read).any(|gap| gap.concerns(record))
}

/// The record as the client can be expected to hand it over.
pub fn visible(client: &str, record: &Record) -> Record {
    let mut record = record.clone();
    for gap in gaps(client, Side::Consume) {
        gap.blur(&mut record);
    }
    record
}

fn gaps(client: &str, side: Side) -> impl Iterator<Item = Gap> {
    LIMITS
        .iter()
        .filter(move |limit| limit.client == client && limit.side == side)
        .map(|limit| limit.gap)
}

impl Gap {
    /// True when a record cannot be said because of this gap.
    fn concerns(self, record: &Record) -> bool {
        let Record {
            key,
            value,
            headers,
            ..
        } = record;
        match self {
            // These change how a client is asked, not which records.
            Self::Timestamps
            | Self::Partitions
            | Self::AckOffsets
            | Self::AbortedRecords
            | Self::Markers => false,
            Self::NullKeyAndValue => key.is_none() && value.is_none(),
            Self::NothingAtAll => key.is_none() && value.as_ref().is_none_or(Vec::is_empty),
            Self::NullOrEmpty => contents(record).any(Vec::is_empty),
            Self::NotText => contents(record).any(|content| {
                str::from_utf8(content).map_or(true, |text| text.contains(['\n', '\r']))
            }),
            Self::ZeroInHeader => headers
                .iter()
                .any(|(_, content)| content.as_ref().is_some_and(|bytes| bytes.contains(&0))),
            Self::NullHeaderValue => headers.iter().any(|(_, content)| content.is_none()),
            Self::EmptyHeaderKey => headers.iter().any(|(name, _)| name.is_empty()),
            Self::RepeatedHeaderKey => *headers != last_of_each_key(headers),
            Self::SplitHeaderKey => *headers != gathered(headers),
            Self::HeaderOrder => !headers.is_sorted_by_key(|(name, _)| name),
        }
    }

    /// Takes out of a record what a consumer with this gap does not show.
    fn blur(self, record: &mut Record) {
        match self {
            Self::NullOrEmpty => {
                let headers = record.headers.iter_mut().map(|(_, content)| content);
                for content in headers.chain([&mut record.key, &mut record.value]) {
                    content.take_if(|bytes| bytes.is_empty());
                }
            }
            Self::ZeroInHeader => {
                for content in record
                    .headers
                    .iter_mut()
                    .filter_map(|(_, value)| value.as_mut())
                {
                    let zero = content.iter().position(|byte| *byte == 0);
                    content.truncate(zero.unwrap_or(content.len()));
                }
            }
            Self::RepeatedHeaderKey => record.headers = last_of_each_key(&record.headers),
            Self::SplitHeaderKey => record.headers = gathered(&record.headers),
            Self::HeaderOrder => record
                .headers
                .sort_by(|(one, _), (other, _)| one.cmp(other)),
            Self::Timestamps
            | Self::Partitions
            | Self::AckOffsets
            | Self::AbortedRecords
            | Self::Markers
            | Self::NullKeyAndValue
            | Self::NothingAtAll
            | Self::NotText
            | Self::NullHeaderValue
            | Self::EmptyHeaderKey => {}
        }
    }
}

/// Everything of a record that is not null.
fn contents(record: &Record) -> impl Iterator<Item = &Vec<u8>> {
    let headers = record.headers.iter().map(|(_, content)| content);
    headers.chain([&record.key, &record.value]).flatten()
}

type Headers = Vec<(String, Content)>;

/// A map's view: one value for each key, the last.
fn last_of_each_key(headers: &Headers) -> Headers {
    let mut kept = Headers::new();
    for (name, content) in headers {
        match kept.iter_mut().find(|(known, _)| known == name) {
            Some(known) => known.1 = content.clone(),
            None => kept.push((name.clone(), content.clone())),
        }
    }
    kept
}

/// A map of lists: keys in the order of their first header, all values of a key behind each other.
fn gathered(headers: &Headers) -> Headers {
    let mut gathered = Headers::new();
    for (name, _) in headers {
        if !gathered.iter().any(|(known, _)| known == name) {
            gathered.extend(headers.iter().filter(|(other, _)| other == name).cloned());
        }
    }
    gathered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::clients::CLIENTS;

    #[test]
    fn every_limit_names_a_client_that_exists() {
        for limit in LIMITS {
            assert!(
                CLIENTS.iter().any(|client| client.name == limit.client),
                "{limit:?}"
            );
        }
    }

    #[test]
    fn a_map_of_lists_gathers_the_values_of_a_key() {
        let one = |name: &str, content: &[u8]| (name.to_owned(), Some(content.to_vec()));
        let headers = vec![one("a", b"1"), one("b", b"x"), one("a", b"2")];
        assert_eq!(
            gathered(&headers),
            [one("a", b"1"), one("a", b"2"), one("b", b"x")]
        );
        assert_eq!(last_of_each_key(&headers), [one("a", b"2"), one("b", b"x")]);
    }
}
