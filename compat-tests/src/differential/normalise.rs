//! Takes out of an answer what two servers can't have in common: ids and times that a broker makes, and its address.
//!
//! An id is replaced by where it was first seen, on each side for itself, so that a later answer with the wrong id still
//! differs.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use super::batch_view::{SentPayloads, record_set_tree, remember_payloads};
use super::exchange::Answer;
use super::generate::UNKNOWN_ID;
use super::rules::{Context, PRODUCER_ID, actions, apply, producer_name};
use super::server::Identity;
use crate::schema::Value;

/// Times this close to now are the broker's; sequences send none of them.
const BROKER_TIME_WINDOW_MS: u64 = 5 * 60 * 1_000;

/// Texts for people, of which only the presence is compared by default.
const HUMAN_TEXTS: &[&str] = &["errorMessage", "documentation", "batchIndexErrorMessage"];

const RECORD_SETS: &[&str] = &["records"];
const COMPRESSION_CONFIG: &str = "compression.type";
const FETCH: i16 = 1;
const NO_SESSION: i64 = 0;

/// The length of a UUID in its canonical text form, and where its hyphens are.
const UUID_TEXT_BYTES: usize = 36;
const UUID_HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// Normalises the answers of one server in one sequence.
#[derive(Debug)]
pub struct Normaliser<'a> {
    identity: &'a Identity,
    context: Context<'a>,
    compare_texts: bool,
    /// The replacement of every id seen so far, by its raw form.
    seen: HashMap<String, String>,
    sent: SentPayloads,
}

impl<'a> Normaliser<'a> {
    pub fn new(identity: &'a Identity, prefix: &'a str, compare_texts: bool) -> Self {
        Self {
            identity,
            context: Context {
                prefix,
                is_recompressed: false,
            },
            compare_texts,
            // An id that sequences send themselves.
            seen: HashMap::from([(
                Value::Uuid(UNKNOWN_ID).to_string(),
                "<unknown id>".to_owned(),
            )]),
            sent: SentPayloads::new(),
        }
    }

    /// Learns the record sets in a request, so that fetched ones can be recognised, and whether it sets a compression.
    pub fn remember_sent(&mut self, request: &Value) {
        match request {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| match value {
                Value::Bytes(bytes) if RECORD_SETS.contains(&&**name) => {
                    remember_payloads(bytes, &mut self.sent);
                }
                Value::Text(text) if text == COMPRESSION_CONFIG => {
                    self.context.is_recompressed = true;
                }
                _ => self.remember_sent(value),
            }),
            Value::Array(elements) => elements
                .iter()
                .for_each(|element| self.remember_sent(element)),
            _ => {}
        }
    }

    /// Names the id of a topic, unless an answer has shown it before.
    pub fn learn_topic_id(&mut self, topic: &str, id: &Value) {
        self.seen
            .entry(id.to_string())
            .or_insert_with(|| format!("<id of {topic}>"));
    }

    /// Orders elements alike on both sides, ids included.
    fn sort_key(&self, key: &Value) -> String {
        let text = match key {
            Value::Text(text) => text.clone(),
            other => other.to_string(),
        };
        self.seen.get(&text).cloned().unwrap_or(text)
    }

    /// The comparable form of the answer to the request at `step`.
    pub fn normalise(&mut self, api_key: i16, step: usize, answer: Answer) -> Value {
        match answer {
            Answer::Message(value) => {
                let mut walk = Walk {
                    api_key,
                    step,
                    now_ms: now_ms(),
                    path: Vec::new(),
                    ids: 0,
                    normaliser: self,
                };
                walk.value(value).unwrap_or(Value::Null)
            }
            Answer::Closed => "<connection closed>".into(),
            Answer::Nothing => "<no answer>".into(),
            Answer::Undecodable(problem) => format!("<undecodable: {problem}>").into(),
            Answer::Silent => "<no answer, as asked>".into(),
        }
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|elapsed| i64::try_from(elapsed.as_millis()).ok())
        .unwrap_or(0)
}

/// One pass over one answer.
struct Walk<'w, 'a> {
    api_key: i16,
    step: usize,
    now_ms: i64,
    path: Vec<String>,
    /// Ids first seen in this answer.
    ids: usize,
    normaliser: &'w mut Normaliser<'a>,
}

impl Walk<'_, '_> {
    /// `None` when the value is taken out. An element has the path of its array; the array's actions leave it alone.
    fn value(&mut self, value: Value) -> Option<Value> {
        let mut value = value;
        for action in actions(self.api_key, &self.path) {
            let normaliser = &*self.normaliser;
            value = apply(action, value, normaliser.context, |key| {
                normaliser.sort_key(key)
            })?;
        }
        Some(match value {
            Value::Object(fields) => Value::Object(
                fields
                    .into_iter()
                    .filter_map(|(name, value)| {
                        let is_key = name.starts_with('{');
                        if !is_key {
                            self.path.push(name.to_string());
                        }
                        let value = self.value(value);
                        if !is_key {
                            self.path.pop();
                        }
                        Some((name, value?))
                    })
                    .collect(),
            ),
            Value::Array(elements) => Value::Array(
                elements
                    .into_iter()
                    .filter_map(|element| self.value(element))
                    .collect(),
            ),
            Value::Uuid(_) if value.is_reserved_uuid() => value,
            Value::Uuid(_) => self.id(&value.to_string()).into(),
            Value::Integer(number) => self.integer(number),
            Value::Text(text) => self.text(text),
            Value::Bytes(bytes) if self.api_key == FETCH && self.is_record_set() => {
                let tree = record_set_tree(&bytes, &self.normaliser.sent);
                self.value(tree)?
            }
            Value::Null | Value::Boolean(_) | Value::Float(_) | Value::Bytes(_) => value,
        })
    }

    fn integer(&mut self, number: i64) -> Value {
        if self.field_is(PRODUCER_ID) && number >= 0 {
            return self.id(&producer_name(number)).into();
        }
        if self.field_is("sessionId") && number != NO_SESSION {
            return self.id(&format!("session {number}")).into();
        }
        if self.field_is("port") && number == self.normaliser.identity.port {
            return "<port>".into();
        }
        if number.abs_diff(self.now_ms) <= BROKER_TIME_WINDOW_MS {
            return "<now>".into();
        }
        Value::Integer(number)
    }

    fn text(&mut self, text: String) -> Value {
        let is_for_people = self
            .path
            .last()
            .is_some_and(|name| HUMAN_TEXTS.contains(&name.as_str()));
        if is_for_people && !self.normaliser.compare_texts {
            return "<text>".into();
        }
        if text == self.normaliser.identity.cluster_id {
            return "<cluster id>".into();
        }
        if self.field_is("host") && text == self.normaliser.identity.host {
            return "<host>".into();
        }
        let Some(start) = uuid_in(&text) else {
            return text.into();
        };
        let end = start + UUID_TEXT_BYTES;
        let id = self.id(&text[start..end]);
        format!("{}{id}{}", &text[..start], &text[end..]).into()
    }

    /// The replacement of an id: the place of its first appearance, and behind `@` which one it was there.
    fn id(&mut self, raw: &str) -> String {
        if let Some(known) = self.normaliser.seen.get(raw) {
            return known.clone();
        }
        let place = self.path.join(".");
        let name = format!("<{place}@{}.{}>", self.step, self.ids);
        self.ids += 1;
        self.normaliser.seen.insert(raw.to_owned(), name.clone());
        name
    }

    fn field_is(&self, name: &str) -> bool {
        self.path.last().is_some_and(|field| field == name)
    }

    fn is_record_set(&self) -> bool {
        self.path
            .last()
            .is_some_and(|field| RECORD_SETS.contains(&field.as_str()))
    }
}

/// Where a UUID in its canonical form begins.
fn uuid_in(text: &str) -> Option<usize> {
    text.as_bytes().windows(UUID_TEXT_BYTES).position(|window| {
        window.iter().enumerate().all(|(position, byte)| {
            if UUID_HYPHENS.contains(&position) {
                *byte == b'-'
            } else {
                byte.is_ascii_hexdigit()
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{array, object};

    fn identity(port: i64) -> Identity {
        Identity {
            cluster_id: format!("cluster-{port}"),
            host: "127.0.0.1".to_owned(),
            port,
        }
    }

    fn joined(member: &str) -> Answer {
        Answer::Message(object([
            ("throttleTimeMs", 3.into()),
            ("memberId", member.into()),
            ("leader", member.into()),
        ]))
    }

    /// Two servers make different member ids; using the wrong one later is still a difference.
    #[test]
    fn ids_are_equal_when_they_refer_to_the_same_answer() {
        let [a, b, c] = ["1", "2", "3"]
            .map(|digit| format!("client-{}{digit}", "0d7fd1f0-66a8-4d26-9b2a-9a6a1c4d4e3"));
        let (left, right) = (identity(1), identity(2));
        let mut left = Normaliser::new(&left, "p", false);
        let mut right = Normaliser::new(&right, "p", false);
        assert_eq!(
            left.normalise(11, 0, joined(&a)),
            right.normalise(11, 0, joined(&b))
        );
        assert_eq!(
            left.normalise(11, 1, joined(&a)),
            right.normalise(11, 1, joined(&b))
        );
        assert_ne!(
            left.normalise(11, 2, joined(&a)),
            right.normalise(11, 2, joined(&c))
        );
    }

    #[test]
    fn foreign_topics_are_left_out_and_addresses_replaced() {
        let identity = identity(9092);
        let mut normaliser = Normaliser::new(&identity, "mine-", false);
        let answer = Answer::Message(object([
            ("brokers", array([object([("port", 9092.into())])])),
            (
                "topics",
                array(["mine-b", "other", "mine-a"].map(|name| object([("name", name.into())]))),
            ),
        ]));
        assert_eq!(
            normaliser.normalise(3, 0, answer),
            object([
                ("brokers", array([object([("port", "<port>".into())])])),
                (
                    "topics",
                    array(["mine-a", "mine-b"].map(|name| object([("name", name.into())]))),
                ),
            ])
        );
    }

    #[test]
    fn a_time_of_the_broker_is_not_compared_but_any_other_time_is() {
        let identity = identity(1);
        let mut normaliser = Normaliser::new(&identity, "p", false);
        let mut time = |ms: i64| {
            let answer = Answer::Message(object([("logAppendTimeMs", ms.into())]));
            normaliser.normalise(0, 0, answer)
        };
        assert_eq!(time(now_ms()), time(now_ms() - 1_000));
        assert_ne!(time(now_ms()), time(now_ms() - 3_600_000));
        for odd in [-1, i64::MIN, i64::MAX] {
            assert_eq!(time(odd), object([("logAppendTimeMs", odd.into())]));
        }
    }

    /// Two servers number producers differently, and list them in the order of their numbers.
    #[test]
    fn producers_are_listed_in_the_order_in_which_they_were_met() {
        let identity = identity(1);
        let answers = |first: i64, second: i64| {
            let mut normaliser = Normaliser::new(&identity, "p", false);
            for (step, id) in [first, second].into_iter().enumerate() {
                let answer = object([("errorCode", 0.into()), ("producerId", id.into())]);
                normaliser.normalise(22, step, Answer::Message(answer));
            }
            let mut ids = [first, second];
            ids.sort_unstable();
            let producers = ids.map(|id| {
                object([
                    ("producerId", id.into()),
                    ("lastSequence", i64::from(id == first).into()),
                ])
            });
            let partition = object([("activeProducers", array(producers))]);
            let topic = object([("partitions", array([partition]))]);
            let answer = object([("topics", array([topic]))]);
            normaliser.normalise(61, 2, Answer::Message(answer))
        };
        assert_eq!(answers(10, 11), answers(7, 3));
    }
}
