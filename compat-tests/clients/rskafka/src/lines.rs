//! The line format between the runner and this program: tabs, base64 for bytes, "-" for null (see ../../README.md).

use std::collections::BTreeMap;
use std::error::Error;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rskafka::record::Record;
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin, stdin};

/// One line of the producer's input; `timestamp` is in milliseconds, `None` leaves it to the client.
pub struct Send {
    pub codec: String,
    pub partition: i32,
    pub timestamp: Option<i64>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: BTreeMap<String, Vec<u8>>,
}

/// The lines of standard input.
pub fn rows() -> Lines<BufReader<Stdin>> {
    BufReader::new(stdin()).lines()
}

pub fn parse_send(row: &str) -> Result<Send, Box<dyn Error>> {
    let fields: Vec<&str> = row.split('\t').collect();
    let [codec, partition, timestamp, key, value, pairs] = fields[..] else {
        return Err("a produce line has six fields".into());
    };
    let mut headers = BTreeMap::new();
    for pair in pairs.split(',').filter(|pair| !pair.is_empty()) {
        let (name, content) = pair.split_once(':').ok_or("a header has a colon")?;
        let content = decode(content)?.ok_or("rskafka has no null header values")?;
        headers.insert(String::from_utf8(STANDARD.decode(name)?)?, content);
    }
    Ok(Send {
        codec: codec.to_owned(),
        partition: partition.parse()?,
        timestamp: match timestamp {
            "-" => None,
            milliseconds => Some(milliseconds.parse()?),
        },
        key: decode(key)?,
        value: decode(value)?,
        headers,
    })
}

pub fn emit(fields: &[String]) {
    println!("{}", fields.join("\t"));
}

pub fn emit_record(topic: &str, partition: i32, offset: i64, record: &Record) {
    let pairs: Vec<String> = record
        .headers
        .iter()
        .map(|(name, content)| format!("{}:{}", STANDARD.encode(name), STANDARD.encode(content)))
        .collect();
    emit(&[
        "record".to_owned(),
        topic.to_owned(),
        partition.to_string(),
        offset.to_string(),
        record.timestamp.timestamp_millis().to_string(),
        encode(record.key.as_deref()),
        encode(record.value.as_deref()),
        pairs.join(","),
    ]);
}

fn encode(content: Option<&[u8]>) -> String {
    content.map_or_else(|| "-".to_owned(), |bytes| STANDARD.encode(bytes))
}

fn decode(field: &str) -> Result<Option<Vec<u8>>, base64::DecodeError> {
    match field {
        "-" => Ok(None),
        text => STANDARD.decode(text).map(Some),
    }
}
