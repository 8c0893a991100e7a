//! Records and the line format between the runner and the client programs (`clients/README.md`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::scenarios::failure::{Failure, Outcome};

/// A key, a value or a header value; `None` is Kafka's null, which differs from empty.
pub type Content = Option<Vec<u8>>;

/// What a producer is asked to send, and what a consumer must hand over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Milliseconds since the epoch; `None` leaves the choice to the client.
    pub timestamp: Option<i64>,
    pub key: Content,
    pub value: Content,
    pub headers: Vec<(String, Content)>,
}

/// A record at its place in a log, as a consumer printed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub topic: String,
    pub partition: usize,
    pub offset: i64,
    pub record: Record,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Codec {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Codec {
    /// In the order of the wire's numbers, which is also the order of the partitions that the tests give them.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// One line of a `produce` program's input.
pub fn send_line(codec: Codec, partition: usize, record: &Record) -> String {
    let timestamp = record
        .timestamp
        .map_or_else(|| "-".to_owned(), |milliseconds| milliseconds.to_string());
    let headers: Vec<String> = record
        .headers
        .iter()
        .map(|(name, content)| format!("{}:{}", STANDARD.encode(name), encode(content)))
        .collect();
    [
        codec.name().to_owned(),
        partition.to_string(),
        timestamp,
        encode(&record.key),
        encode(&record.value),
        headers.join(","),
    ]
    .join("\t")
}

/// Reads what follows the word `record` on a line of a program's output.
pub fn parse_seen(fields: &[&str]) -> Outcome<Seen> {
    let [topic, partition, offset, timestamp, key, value, headers] = fields else {
        return Err(Failure::new(format!(
            "a record line has {} fields",
            fields.len()
        )));
    };
    let mut pairs = Vec::new();
    for pair in headers.split(',').filter(|pair| !pair.is_empty()) {
        let (name, content) = pair
            .split_once(':')
            .ok_or_else(|| Failure::new(format!("header without a colon: {pair}")))?;
        let name = decode(name)?.ok_or_else(|| Failure::new("null as a header key"))?;
        let name = String::from_utf8(name).map_err(Failure::new)?;
        pairs.push((name, decode(content)?));
    }
    Ok(Seen {
        topic: (*topic).to_owned(),
        partition: number(partition)?,
        offset: number(offset)?,
        record: Record {
            timestamp: Some(number(timestamp)?),
            key: decode(key)?,
            value: decode(value)?,
            headers: pairs,
        },
    })
}

/// A decimal field.
pub fn number<T: std::str::FromStr>(field: &str) -> Outcome<T> {
    field
        .parse()
        .map_err(|_| Failure::new(format!("not a number: {field}")))
}

fn encode(content: &Content) -> String {
    content
        .as_ref()
        .map_or_else(|| "-".to_owned(), |bytes| STANDARD.encode(bytes))
}

fn decode(field: &str) -> Outcome<Content> {
    match field {
        "-" => Ok(None),
        text => STANDARD.decode(text).map(Some).map_err(Failure::new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_reads_back_as_what_is_seen() {
        // The producer's line holds the same six fields that follow topic and offset in the consumer's.
        let record = Record {
            timestamp: Some(1_700_000_000_123),
            key: Some(Vec::new()),
            value: None,
            headers: vec![
                ("a".to_owned(), Some(vec![0xff, 0x00])),
                ("b".to_owned(), None),
                ("a".to_owned(), Some(Vec::new())),
            ],
        };
        let line = send_line(Codec::Lz4, 3, &record);
        let fields: Vec<&str> = line.split('\t').collect();
        let [codec, partition, timestamp, key, value, headers] = fields[..] else {
            panic!("six fields: {line}");
        };
        assert_eq!(codec, "lz4");
        let seen =
            parse_seen(&["topic", partition, "7", timestamp, key, value, headers]).expect("parses");
        let expected = Seen {
            topic: "topic".to_owned(),
            partition: 3,
            offset: 7,
            record,
        };
        assert_eq!(seen, expected);
    }
}
