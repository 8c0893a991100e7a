//! The schemas out of the kafka-clients jar.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use zip::ZipArchive;

use super::definition::{Direction, Message, SchemaError};

const SCHEMA_FOLDER: &str = "common/message/";

/// Every request, response and header of one Kafka release.
#[derive(Debug)]
pub struct Schemas {
    messages: HashMap<(i16, Direction), Message>,
    request_header: Message,
    response_header: Message,
}

impl Schemas {
    /// Reads `common/message/*.json` of a kafka-clients jar.
    pub fn from_jar(path: &Path) -> Result<Self, SchemaError> {
        let unreadable =
            |error: &dyn std::fmt::Display| SchemaError(format!("{}: {error}", path.display()));
        let file = File::open(path).map_err(|error| unreadable(&error))?;
        let mut archive = ZipArchive::new(file).map_err(|error| unreadable(&error))?;
        let mut messages = HashMap::new();
        let mut headers = HashMap::new();
        for index in 0..archive.len() {
            let mut entry = archive
                .by_index(index)
                .map_err(|error| unreadable(&error))?;
            if !is_schema(entry.name()) {
                continue;
            }
            let mut text = String::new();
            entry
                .read_to_string(&mut text)
                .map_err(|error| unreadable(&error))?;
            let json = serde_json::from_str(&without_comments(&text))
                .map_err(|error| SchemaError(format!("{}: {error}", entry.name())))?;
            let message = Message::parse(&json)?;
            match (message.api_key, message.direction) {
                (Some(key), Some(direction)) => {
                    messages.insert((key, direction), message);
                }
                _ => {
                    headers.insert(message.name.clone(), message);
                }
            }
        }
        let mut header = |name: &str| {
            headers
                .remove(name)
                .ok_or_else(|| SchemaError(format!("{} has no {name}", path.display())))
        };
        Ok(Self {
            request_header: header("RequestHeader")?,
            response_header: header("ResponseHeader")?,
            messages,
        })
    }

    pub fn message(&self, api_key: i16, direction: Direction) -> Option<&Message> {
        self.messages.get(&(api_key, direction))
    }

    pub fn request_header(&self) -> &Message {
        &self.request_header
    }

    pub fn response_header(&self) -> &Message {
        &self.response_header
    }

    /// All requests and responses, in no order.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.messages.values()
    }

    /// The request's name without its suffix: `ListOffsets`.
    pub fn api_name(&self, api_key: i16) -> String {
        self.message(api_key, Direction::Request).map_or_else(
            || format!("api {api_key}"),
            |message| message.name.trim_end_matches("Request").to_owned(),
        )
    }
}

fn is_schema(entry: &str) -> bool {
    entry
        .strip_prefix(SCHEMA_FOLDER)
        .and_then(|file| file.strip_suffix(".json"))
        .is_some_and(|name| {
            !name.contains('/')
                && ["Request", "Response", "Header"]
                    .iter()
                    .any(|end| name.ends_with(end))
        })
}

/// Kafka's schemas have `//` comments, which JSON has not.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let mut in_string = false;
        let mut escaped = false;
        let mut end = line.len();
        for (position, byte) in line.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                b'/' if !in_string && line[position..].starts_with("//") => {
                    end = position;
                    break;
                }
                _ => {}
            }
        }
        out.push_str(&line[..end]);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::super::{decode, encode, random::random_message};
    use super::*;
    use crate::kafka::KafkaJars;

    #[test]
    fn comments_end_a_line_but_not_a_string() {
        let text = "{ \"a\": \"http://x\", // why\n// all of it\n\"b\": \"\\\"//\" }";
        assert_eq!(
            without_comments(text),
            "{ \"a\": \"http://x\", \n\n\"b\": \"\\\"//\" }\n"
        );
    }

    /// Encodes random trees of every message at every version and expects the same tree back, without a byte left,
    /// and an error for every proper prefix of the bytes.
    #[test]
    fn every_message_survives_the_round_trip_at_every_version() {
        let jars = KafkaJars::locate().expect("Apache Kafka's jars");
        let schemas = Schemas::from_jar(&jars.clients_jar()).expect("readable schemas");
        let mut random = StdRng::seed_from_u64(7);
        let mut round_trips = 0;
        for message in schemas
            .messages()
            .chain([schemas.request_header(), schemas.response_header()])
        {
            for version in message.versions.first..=message.versions.last {
                for round in 0..10 {
                    let value = random_message(message, version, &mut random);
                    let bytes = encode(message, version, &value).expect("a random tree fits");
                    let (decoded, rest) = decode(message, version, &bytes).expect("own bytes");
                    assert_eq!(decoded, value, "{} v{version}", message.name);
                    assert!(rest.is_empty(), "{} v{version}", message.name);
                    let cuts = if round == 0 { bytes.len() } else { 0 };
                    for end in 0..cuts {
                        let cut = decode(message, version, &bytes[..end]);
                        assert!(cut.is_err(), "{} v{version} cut at {end}", message.name);
                    }
                    round_trips += 1;
                }
            }
        }
        assert!(round_trips > 3_000, "only {round_trips} round trips");
    }
}
