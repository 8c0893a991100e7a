//! The one table of what is not compared as it is, beyond ids and times, each row with its reason.

use super::plan::SERVED_APIS;
use crate::schema::{Value, object};

/// What happens to the value at a path.
#[derive(Debug, Clone, Copy)]
pub enum Action {
    /// Taken out.
    Ignore,
    /// Only negative, zero or positive is compared.
    Sign,
    /// Like [`Action::Sign`] where a broker may have compressed records anew: no two implementations of a codec make the
    /// same bytes.
    SignIfRecompressed,
    /// An array whose order means nothing, sorted by fields, the first one first.
    SortBy(&'static [&'static str]),
    /// An array of plain values whose order means nothing.
    SortByValue,
    /// An array that is a map: shown with the field as key, so that differences name it.
    KeyBy(&'static str),
    /// Elements whose field does not begin with the prefix of the sequence are left out; null stays.
    OnlyOwn(&'static str),
    /// Topics that are named by ids which this sequence has not met are left out.
    OnlyKnownIds,
    /// Elements of APIs that are not compared are left out.
    OnlyServed,
    /// Configs that tell where and how a server was started are only compared by name.
    HideMachine,
}

struct Rule {
    /// `None` for every API.
    api_key: Option<i16>,
    /// Field names from the message down, without indices. A lone name applies at any depth.
    path: &'static str,
    action: Action,
}

const fn rule(api_key: i16, path: &'static str, action: Action) -> Rule {
    Rule {
        api_key: Some(api_key),
        path,
        action,
    }
}

const RULES: &[Rule] = &[
    // Depends on load and quotas.
    Rule {
        api_key: None,
        path: "throttleTimeMs",
        action: Action::Ignore,
    },
    // Other sequences run on the same server at the same time.
    rule(3, "topics", Action::OnlyOwn("name")),
    rule(9, "topics", Action::OnlyOwn("name")),
    rule(9, "groups.topics", Action::OnlyOwn("name")),
    rule(9, "groups.topics", Action::OnlyKnownIds),
    rule(16, "groups", Action::OnlyOwn("groupId")),
    rule(35, "results.topics", Action::OnlyOwn("name")),
    rule(46, "topics", Action::OnlyOwn("name")),
    rule(66, "transactionStates", Action::OnlyOwn("transactionalId")),
    // Kafka keeps these in hash maps, keyed by names or by random ids.
    rule(0, "responses", Action::SortBy(&["name", "topicId"])),
    rule(
        0,
        "responses.partitionResponses",
        Action::SortBy(&["index"]),
    ),
    rule(2, "topics", Action::SortBy(&["name"])),
    rule(2, "topics.partitions", Action::SortBy(&["partitionIndex"])),
    rule(3, "topics", Action::SortBy(&["name", "topicId"])),
    rule(9, "topics", Action::SortBy(&["name"])),
    rule(9, "topics.partitions", Action::SortBy(&["partitionIndex"])),
    rule(9, "groups.topics", Action::SortBy(&["name", "topicId"])),
    rule(
        9,
        "groups.topics.partitions",
        Action::SortBy(&["partitionIndex"]),
    ),
    rule(11, "members", Action::SortBy(&["memberId"])),
    rule(15, "groups", Action::SortBy(&["groupId"])),
    rule(15, "groups.members", Action::SortBy(&["memberId"])),
    rule(16, "groups", Action::SortBy(&["groupId"])),
    rule(19, "topics", Action::SortBy(&["name"])),
    rule(21, "topics", Action::SortBy(&["name"])),
    rule(21, "topics.partitions", Action::SortBy(&["partitionIndex"])),
    rule(35, "results.topics", Action::SortBy(&["name"])),
    rule(
        35,
        "results.topics.partitions",
        Action::SortBy(&["partitionIndex"]),
    ),
    rule(24, "resultsByTopicV3AndBelow", Action::SortBy(&["name"])),
    rule(
        24,
        "resultsByTopicV3AndBelow.resultsByPartition",
        Action::SortBy(&["partitionIndex"]),
    ),
    rule(
        24,
        "resultsByTransaction",
        Action::SortBy(&["transactionalId"]),
    ),
    rule(
        24,
        "resultsByTransaction.topicResults",
        Action::SortBy(&["name"]),
    ),
    rule(
        24,
        "resultsByTransaction.topicResults.resultsByPartition",
        Action::SortBy(&["partitionIndex"]),
    ),
    rule(27, "markers", Action::SortBy(&["producerId"])),
    rule(27, "markers.topics", Action::SortBy(&["name"])),
    rule(
        27,
        "markers.topics.partitions",
        Action::SortBy(&["partitionIndex"]),
    ),
    rule(28, "topics", Action::SortBy(&["name"])),
    rule(28, "topics.partitions", Action::SortBy(&["partitionIndex"])),
    rule(37, "results", Action::SortBy(&["name"])),
    rule(42, "results", Action::SortBy(&["groupId"])),
    rule(57, "results", Action::SortBy(&["feature"])),
    rule(
        61,
        "topics.partitions.activeProducers",
        Action::SortBy(&["producerId", "producerEpoch"]),
    ),
    rule(65, "transactionStates.topics", Action::SortBy(&["topic"])),
    rule(
        65,
        "transactionStates.topics.partitions",
        Action::SortByValue,
    ),
    rule(66, "unknownStateFilters", Action::SortByValue),
    rule(
        66,
        "transactionStates",
        Action::SortBy(&["transactionalId"]),
    ),
    // Kafka shuffles these on purpose.
    rule(
        20,
        "responses",
        Action::SortBy(&["name", "errorCode", "topicId"]),
    ),
    // Maps by nature.
    rule(18, "apiKeys", Action::OnlyServed),
    rule(18, "apiKeys", Action::KeyBy("apiKey")),
    rule(18, "supportedFeatures", Action::KeyBy("name")),
    rule(18, "finalizedFeatures", Action::KeyBy("name")),
    rule(19, "topics.configs", Action::KeyBy("name")),
    rule(32, "results.configs", Action::HideMachine),
    rule(32, "results.configs", Action::KeyBy("name")),
    // Offsets of the metadata log: every change on the server moves them.
    rule(18, "finalizedFeaturesEpoch", Action::Sign),
    rule(55, "topics.partitions.highWatermark", Action::Sign),
    rule(55, "topics.partitions.leaderEpoch", Action::Sign),
    rule(
        55,
        "topics.partitions.currentVoters.logEndOffset",
        Action::Sign,
    ),
    rule(55, "topics.partitions.observers.logEndOffset", Action::Sign),
    // The disk of the machine, and where on it the data is.
    rule(35, "results.logDir", Action::Ignore),
    rule(
        35,
        "results.topics.partitions.partitionSize",
        Action::SignIfRecompressed,
    ),
    rule(35, "results.totalBytes", Action::Sign),
    rule(35, "results.usableBytes", Action::Sign),
    // One server has a listener for its controller, the other may not.
    rule(55, "nodes.listeners.name", Action::Ignore),
    rule(55, "nodes.listeners.port", Action::Sign),
];

/// The actions for a path, in the order of the table.
pub fn actions<'a>(api_key: i16, path: &'a [String]) -> impl Iterator<Item = Action> + 'a {
    let joined = path.join(".");
    RULES
        .iter()
        .filter(move |rule| {
            rule.api_key.is_none_or(|key| key == api_key)
                && (rule.path == joined
                    || (!rule.path.contains('.')
                        && rule.api_key.is_none()
                        && path.last().is_some_and(|name| name == rule.path)))
        })
        .map(|rule| rule.action)
}

/// Broker configs that hold addresses and folders.
const MACHINE_CONFIGS: &[&str] = &[
    "advertised.listeners",
    "controller.listener.names",
    "controller.quorum.voters",
    "listener.security.protocol.map",
    "listeners",
    "log.dir",
    "log.dirs",
    "process.roles",
];

/// What actions need to know about the sequence.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    pub prefix: &'a str,
    /// A config of the sequence may have made the broker compress records anew.
    pub is_recompressed: bool,
}

/// Applies an action to a value; `None` takes it out. `key` gives the comparable form of a value to sort by.
pub fn apply(
    action: Action,
    value: Value,
    context: Context<'_>,
    key: impl Fn(&Value) -> String,
) -> Option<Value> {
    let value = match (action, value) {
        (Action::Ignore, _) => return None,
        (Action::Sign, Value::Integer(number)) => sign(number),
        (Action::SignIfRecompressed, Value::Integer(number)) if context.is_recompressed => {
            sign(number)
        }
        (Action::SortBy(fields), Value::Array(mut elements)) => {
            elements.sort_by_cached_key(|element| {
                fields
                    .iter()
                    .map(|field| match element.field(field) {
                        Some(Value::Integer(id)) if *field == PRODUCER_ID => {
                            key(&producer_name(*id).into())
                        }
                        Some(value) => key(value),
                        None => String::new(),
                    })
                    .collect::<Vec<_>>()
            });
            Value::Array(elements)
        }
        (Action::SortByValue, Value::Array(mut elements)) => {
            elements.sort_by_cached_key(&key);
            Value::Array(elements)
        }
        (Action::KeyBy(field), Value::Array(elements)) => keyed(elements, |element| {
            element.field(field).map(&key).unwrap_or_default()
        }),
        (Action::OnlyOwn(field), Value::Array(mut elements)) => {
            elements.retain(|element| {
                element
                    .field(field)
                    .and_then(Value::text)
                    .is_none_or(|name| name.starts_with(context.prefix))
            });
            Value::Array(elements)
        }
        (Action::OnlyKnownIds, Value::Array(mut elements)) => {
            elements.retain(|element| {
                element
                    .field("topicId")
                    .is_none_or(|id| key(id) != id.to_string() || id.is_reserved_uuid())
            });
            Value::Array(elements)
        }
        (Action::OnlyServed, Value::Array(mut elements)) => {
            elements.retain(|element| {
                element
                    .field("apiKey")
                    .and_then(Value::integer)
                    .is_some_and(|key| SERVED_APIS.iter().any(|served| i64::from(*served) == key))
            });
            Value::Array(elements)
        }
        (Action::HideMachine, Value::Array(mut elements)) => {
            elements.iter_mut().for_each(hide_machine);
            Value::Array(elements)
        }
        (_, value) => value,
    };
    Some(value)
}

/// The field of every answer that holds the id of a producer.
pub const PRODUCER_ID: &str = "producerId";

/// What stands for a producer id among the ids that were seen.
pub fn producer_name(id: i64) -> String {
    format!("producer {id}")
}

fn sign(number: i64) -> Value {
    match number.signum() {
        -1 => "<negative>".into(),
        0 => 0.into(),
        _ => "<positive>".into(),
    }
}

/// Leaves only the name of a config whose value is the machine's.
fn hide_machine(config: &mut Value) {
    let Some(name) = config.field("name").cloned() else {
        return;
    };
    if name
        .text()
        .is_some_and(|name| MACHINE_CONFIGS.contains(&name))
    {
        *config = object([("name", name)]);
    }
}

/// An object with a name in braces for each element; elements of the same key are numbered.
fn keyed(elements: Vec<Value>, key_of: impl Fn(&Value) -> String) -> Value {
    let mut fields: Vec<(String, Value)> = Vec::with_capacity(elements.len());
    for element in elements {
        let key = key_of(&element);
        let mut name = format!("{{{key}}}");
        let mut copies = 1;
        while fields.iter().any(|(taken, _)| *taken == name) {
            copies += 1;
            name = format!("{{{key} #{copies}}}");
        }
        fields.push((name, element));
    }
    fields.sort_by(|(left, _), (right, _)| left.cmp(right));
    Value::Object(
        fields
            .into_iter()
            .map(|(name, value)| (name.into(), value))
            .collect(),
    )
}
