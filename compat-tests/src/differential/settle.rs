//! Waiting until a change is visible everywhere in a server, so that the next request does not race with it.
//!
//! Apache Kafka answers a topic or configuration change when its controller has committed it; the broker learns of it a
//! little later. Changes are applied in order, so a later change of another resource that is visible tells that the
//! earlier one is. Markers of transactions are written behind the answer, too.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::client::Client;
use super::template::{Variables, topic_id_variable};
use crate::schema::{Value, array, object};

const METADATA: i16 = 3;
/// Earlier versions of Metadata always create topics.
const FIRST_VERSION_WITH_CHOICE: i16 = 4;
const DESCRIBE_GROUPS: i16 = 15;
const DELETE_TOPICS: i16 = 20;
const DESCRIBE_CONFIGS: i16 = 32;
const INCREMENTAL_ALTER_CONFIGS: i16 = 44;
const DESCRIBE_TRANSACTIONS: i16 = 65;

/// The APIs that change what other requests see by way of the controller.
const CHANGING_APIS: &[i16] = &[19, 20, 33, 37, 44, 45, 57];

/// The APIs that end transactions, or find one that is being ended: InitProducerId and EndTxn.
const ENDING_APIS: &[i16] = &[22, 26];

/// How the names of the states begin in which markers are being written.
const ENDING_STATES: &str = "Prepare";

const TOPIC_RESOURCE: i64 = 2;
const MARKER_CONFIG: &str = "retention.ms";

/// How long an effect is waited for. What is not there by then will differ, and be reported.
const PATIENCE: Duration = Duration::from_secs(3);
const GROUP_PATIENCE: Duration = Duration::from_secs(1);
const END_PATIENCE: Duration = Duration::from_secs(2);
const GROUP_PAUSE: Duration = Duration::from_millis(5);
const REBALANCE_SIGHTINGS: usize = 4;
const PAUSE: Duration = Duration::from_millis(1);

/// Error codes of topics that auto-creation is about to create.
const BEING_CREATED: [i64; 2] = [3, 5];

/// Waits on behalf of one session.
#[derive(Debug)]
pub struct Settler {
    client: Client,
    barrier_topic: String,
    marker: i64,
    /// Transactional ids whose markers can't be written, which are not waited for again.
    stuck: HashSet<String>,
}

impl Settler {
    /// `first_marker` must be greater than every marker that an earlier settler of this topic used.
    pub fn new(client: Client, barrier_topic: String, first_marker: i64) -> Self {
        Self {
            client,
            barrier_topic,
            marker: first_marker,
            stuck: HashSet::new(),
        }
    }

    /// Waits for the effects of a request that was answered like this, and follows the ids of `topics`.
    pub fn settle(
        &mut self,
        (api_key, version): (i16, i16),
        request: &Value,
        answer: &Value,
        topics: &[String],
        variables: &mut Variables,
    ) {
        let created = api_key == METADATA && self.wait_for_auto_creation(version, request, answer);
        let changed = CHANGING_APIS.contains(&api_key) && has_success(answer);
        if created || changed {
            self.pass_barrier();
            self.pass_barrier();
            self.follow_topic_ids(topics, variables);
        }
        if ENDING_APIS.contains(&api_key)
            && let Some(id) = request.field("transactionalId").and_then(Value::text)
            && !id.is_empty()
        {
            self.wait_for_end_of_transaction(id);
        }
    }

    /// Waits until the markers of a transaction that is being ended are written.
    ///
    /// Apache Kafka answers EndTxn, and an InitProducerId that ends a transaction, before it writes them.
    fn wait_for_end_of_transaction(&mut self, transactional_id: &str) {
        let describe = object([("transactionalIds", array([transactional_id]))]);
        let deadline = Instant::now() + END_PATIENCE;
        while !self.stuck.contains(transactional_id) {
            let answer = self.client.call(DESCRIBE_TRANSACTIONS, 0, &describe);
            let is_ending = answer
                .as_ref()
                .and_then(|answer| answer.at("transactionStates.0.transactionState")?.text())
                .is_some_and(|state| state.starts_with(ENDING_STATES));
            if !is_ending {
                return;
            }
            if Instant::now() >= deadline {
                self.stuck.insert(transactional_id.to_owned());
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Waits until the group gathers its members and goes on doing so: a group that had none is done in a moment.
    pub fn wait_for_rebalance(&mut self, group: &str, mut is_answered: impl FnMut() -> bool) {
        let deadline = Instant::now() + GROUP_PATIENCE;
        let describe = object([("groups", array([group]))]);
        let mut seen = 0;
        while Instant::now() < deadline && seen < REBALANCE_SIGHTINGS && !is_answered() {
            let answer = self.client.call(DESCRIBE_GROUPS, 0, &describe);
            let state = answer
                .as_ref()
                .and_then(|answer| answer.at("groups.0.groupState"))
                .and_then(Value::text);
            if state == Some("PreparingRebalance") {
                seen += 1;
            } else {
                seen = 0;
            }
            std::thread::sleep(GROUP_PAUSE);
        }
    }

    /// Deletes topics without waiting for it.
    pub fn delete_topics(&mut self, topics: &[String]) {
        if topics.is_empty() {
            return;
        }
        let delete = object([
            ("topicNames", array(topics.iter().map(String::as_str))),
            ("timeoutMs", 30_000.into()),
        ]);
        // What is left over does no harm: names are used once.
        self.client.call(DELETE_TOPICS, 4, &delete);
    }

    /// Binds the id of every topic that exists.
    fn follow_topic_ids(&mut self, topics: &[String], variables: &mut Variables) {
        let Some(answer) = self.describe_topics(topics) else {
            return;
        };
        for topic in answer.field("topics").map_or(&[][..], Value::elements) {
            let id = topic.field("topicId");
            let name = topic.field("name").and_then(Value::text);
            if let (Some(id), Some(name), Some(Value::Integer(0))) =
                (id, name, topic.field("errorCode"))
            {
                variables.bind(&topic_id_variable(name), id.clone());
            }
        }
    }

    fn describe_topics(&mut self, topics: &[String]) -> Option<Value> {
        let named = topics
            .iter()
            .map(|name| object([("name", name.as_str().into())]));
        let request = object([
            ("topics", array(named)),
            ("allowAutoTopicCreation", false.into()),
        ]);
        self.client.call(METADATA, 10, &request)
    }

    /// Metadata may create the topics that it does not find. True if it did.
    fn wait_for_auto_creation(&mut self, version: i16, request: &Value, answer: &Value) -> bool {
        let is_refused = request.field("allowAutoTopicCreation") == Some(&Value::Boolean(false));
        if version >= FIRST_VERSION_WITH_CHOICE && is_refused {
            return false;
        }
        let coming: Vec<String> = answer
            .field("topics")
            .map_or(&[][..], Value::elements)
            .iter()
            .filter(|topic| {
                topic
                    .field("errorCode")
                    .and_then(Value::integer)
                    .is_some_and(|code| BEING_CREATED.contains(&code))
            })
            .filter_map(|topic| topic.field("name")?.text())
            .map(str::to_owned)
            .collect();
        if coming.is_empty() {
            return false;
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let all_there = self.describe_topics(&coming).is_some_and(|answer| {
                answer
                    .field("topics")
                    .map_or(&[][..], Value::elements)
                    .iter()
                    .all(|topic| topic.field("errorCode") == Some(&Value::Integer(0)))
            });
            if all_there {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        true
    }

    /// Changes the marker and waits until the change is visible.
    ///
    /// Once is not enough: the broker shows a batch of changes before it has applied them all. A second marker, sent
    /// when the first is visible, belongs to a later batch.
    fn pass_barrier(&mut self) {
        self.marker += 1;
        let marker = self.marker.to_string();
        let alter = object([(
            "resources",
            array([object([
                ("resourceType", TOPIC_RESOURCE.into()),
                ("resourceName", self.barrier_topic.as_str().into()),
                (
                    "configs",
                    array([object([
                        ("name", MARKER_CONFIG.into()),
                        ("configOperation", 0.into()),
                        ("value", marker.as_str().into()),
                    ])]),
                ),
            ])]),
        )]);
        let altered = self.client.call(INCREMENTAL_ALTER_CONFIGS, 1, &alter);
        let accepted = altered
            .as_ref()
            .and_then(|answer| answer.at("responses.0.errorCode"));
        if accepted != Some(&Value::Integer(0)) {
            return;
        }
        let describe = object([(
            "resources",
            array([object([
                ("resourceType", TOPIC_RESOURCE.into()),
                ("resourceName", self.barrier_topic.as_str().into()),
                ("configurationKeys", array([MARKER_CONFIG])),
            ])]),
        )]);
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let described = self.client.call(DESCRIBE_CONFIGS, 4, &describe);
            let value = described
                .as_ref()
                .and_then(|answer| answer.at("results.0.configs.0.value"))
                .and_then(Value::text);
            if value == Some(&marker) {
                return;
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// True when any part of an answer has error code 0.
fn has_success(answer: &Value) -> bool {
    match answer {
        Value::Object(fields) => fields.iter().any(|(name, value)| {
            (&**name == "errorCode" && *value == Value::Integer(0)) || has_success(value)
        }),
        Value::Array(elements) => elements.iter().any(has_success),
        Value::Null
        | Value::Boolean(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Uuid(_)
        | Value::Text(_)
        | Value::Bytes(_) => false,
    }
}
