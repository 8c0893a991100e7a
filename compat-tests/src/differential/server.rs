//! One of the two servers that are compared: started or found, warmed up, and asked what it serves.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Failure;
use super::client::Client;
use super::plan::{Ranges, SERVED_APIS};
use crate::kafka::{Kafka, KafkaOptions};
use crate::klamm::{Klamm, KlammOptions, Storage};
use crate::schema::{Schemas, Value, Versions, array, object};
use crate::server_process::tail;

/// Settings of both servers. They make answers quick and keep background work out of the comparison.
const SETTINGS: &[(&str, &str)] = &[
    ("node.id", "1"),
    ("group.initial.rebalance.delay.ms", "0"),
    // Few internal partitions are loaded sooner.
    ("offsets.topic.num.partitions", "4"),
    ("transaction.state.log.num.partitions", "4"),
    // Files of deleted topics would pile up for a minute.
    ("log.segment.delete.delay.ms", "1000"),
    // Retention and compaction would strike at different moments.
    ("log.retention.check.interval.ms", "86400000"),
    ("log.initial.task.delay.ms", "86400000"),
    ("log.cleaner.enable", "false"),
    // Sessions of other sequences must not push out those of this one.
    ("max.incremental.fetch.session.cache.slots", "100000"),
];

/// The internal topics' replication factors, which Kafka's default of three makes impossible on one node.
const KLAMM_SETTINGS: &[(&str, &str)] = &[
    ("offsets.topic.replication.factor", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
];

const WARM_UP_DEADLINE: Duration = Duration::from_secs(60);

/// Enough groups, and transactional ids, to reach each of the four partitions of `__consumer_offsets` and of
/// `__transaction_state`.
const WARM_UP_KEYS: usize = 24;

const FIND_COORDINATOR: i16 = 10;
const INIT_PRODUCER_ID: i16 = 22;
const END_TXN: i16 = 26;

/// The kind of key that FindCoordinator calls a transaction.
const TRANSACTION_KEY: i16 = 1;

/// What a server says about itself, to be taken out of answers.
#[derive(Debug, Clone)]
pub struct Identity {
    pub cluster_id: String,
    pub host: String,
    pub port: i64,
}

#[derive(Debug)]
pub struct Server {
    pub label: String,
    pub address: SocketAddr,
    pub schemas: Arc<Schemas>,
    /// What ApiVersions announces, cut down to what Kafka's schemas know.
    pub ranges: Ranges,
    pub identity: Identity,
    process: Process,
}

/// The process of a server, which lives as long as this.
#[derive(Debug)]
enum Process {
    Kafka(Kafka),
    Klamm(Klamm),
    /// Not ours.
    Foreign,
}

impl Server {
    /// Starts `kafka` or `klamm`, or takes the server at `host:port` as it is, and warms it up for `workers` sessions.
    pub fn start(kind: &str, schemas: &Arc<Schemas>, workers: usize) -> Result<Self, Failure> {
        let (address, process) = match kind {
            "kafka" => {
                let mut options = KafkaOptions::default();
                for (key, value) in SETTINGS {
                    options = options.set(key, value);
                }
                let kafka = Kafka::start(&options)?;
                (kafka.address(), Process::Kafka(kafka))
            }
            "klamm" => {
                let mut options = KlammOptions::new(Storage::Ephemeral);
                for (key, value) in SETTINGS.iter().chain(KLAMM_SETTINGS) {
                    options = options.set(key, value);
                }
                let klamm = Klamm::start(options)?;
                (klamm.address(), Process::Klamm(klamm))
            }
            address => {
                let mut addresses = address.to_socket_addrs()?;
                let first = addresses
                    .next()
                    .ok_or_else(|| Failure(format!("{address} has no address")))?;
                (first, Process::Foreign)
            }
        };
        let mut client = Client::new(address, Arc::clone(schemas));
        let ranges = announced_ranges(&mut client)?;
        let identity = warm_up(&mut client, workers)?;
        if ranges.contains_key(&END_TXN) {
            warm_up_transactions(&mut client)?;
        }
        Ok(Self {
            label: kind.to_owned(),
            address,
            schemas: Arc::clone(schemas),
            ranges,
            identity,
            process,
        })
    }

    /// The end of the server's log, where it is ours.
    pub fn log_tail(&self) -> Option<String> {
        match &self.process {
            Process::Kafka(kafka) => Some(tail(&kafka.log())),
            Process::Klamm(klamm) => Some(klamm.log_tail()),
            Process::Foreign => None,
        }
    }
}

/// The versions that both servers and Kafka's schemas know, for the APIs that are compared.
pub fn common_ranges(left: &Server, right: &Server) -> Ranges {
    SERVED_APIS
        .iter()
        .filter_map(|api_key| {
            let common = left
                .ranges
                .get(api_key)?
                .intersection(*right.ranges.get(api_key)?);
            (!common.is_empty()).then_some((*api_key, common))
        })
        .collect()
}

/// The compared APIs whose announced versions differ, with both ranges.
pub fn range_differences(
    left: &Server,
    right: &Server,
) -> Vec<(i16, Option<Versions>, Option<Versions>)> {
    SERVED_APIS
        .iter()
        .map(|key| {
            let range = |server: &Server| server.ranges.get(key).copied();
            (*key, range(left), range(right))
        })
        .filter(|(_, left, right)| left != right)
        .collect()
}

/// The topic whose configuration a worker's session changes to learn that earlier changes are visible.
pub fn barrier_topic(worker: usize) -> String {
    format!("differential-barrier-{worker}")
}

fn announced_ranges(client: &mut Client) -> Result<Ranges, Failure> {
    let answer = client
        .call(18, 0, &object([]))
        .ok_or_else(|| Failure("no answer to ApiVersions".to_owned()))?;
    let entries = answer.field("apiKeys").map_or(&[][..], Value::elements);
    let number = |entry: &Value, name: &str| {
        entry
            .field(name)
            .and_then(Value::integer)
            .and_then(|number| i16::try_from(number).ok())
    };
    Ok(entries
        .iter()
        .filter_map(|entry| {
            let first = number(entry, "minVersion")?;
            let last = number(entry, "maxVersion")?;
            Some((number(entry, "apiKey")?, Versions { first, last }))
        })
        .collect())
}

/// Creates the barrier topics, waits until every group coordinator answers, and reads the server's identity.
fn warm_up(client: &mut Client, workers: usize) -> Result<Identity, Failure> {
    let deadline = Instant::now() + WARM_UP_DEADLINE;
    let topics = (0..workers).map(|worker| {
        object([
            ("name", barrier_topic(worker).into()),
            ("numPartitions", 1.into()),
            ("replicationFactor", 1.into()),
        ])
    });
    let create = object([("topics", array(topics)), ("timeoutMs", 30_000.into())]);
    client.call(19, 5, &create);
    for group in 0..WARM_UP_KEYS {
        let key = format!("differential-warm-up-{group}");
        let find = object([("key", key.as_str().into())]);
        let fetch = object([
            ("groupId", key.as_str().into()),
            ("topics", array([] as [Value; 0])),
        ]);
        wait_for(deadline, "a group coordinator", || {
            let found = client.call(10, 1, &find)?;
            let fetched = client.call(9, 2, &fetch)?;
            (error_code(&found) == Some(0) && error_code(&fetched) == Some(0)).then_some(())
        })?;
    }
    let init = object([
        ("transactionalId", Value::Null),
        ("transactionTimeoutMs", 60_000.into()),
    ]);
    wait_for(deadline, "a producer id", || {
        (error_code(&client.call(22, 0, &init)?) == Some(0)).then_some(())
    })?;
    wait_for(deadline, "the metadata of the broker", || {
        let none = object([("topics", array([] as [Value; 0]))]);
        let answer = client.call(3, 5, &none)?;
        Some(Identity {
            cluster_id: answer.at("clusterId")?.text()?.to_owned(),
            host: answer.at("brokers.0.host")?.text()?.to_owned(),
            port: answer.at("brokers.0.port")?.integer()?,
        })
    })
}

/// Waits until every transaction coordinator answers.
fn warm_up_transactions(client: &mut Client) -> Result<(), Failure> {
    let deadline = Instant::now() + WARM_UP_DEADLINE;
    for number in 0..WARM_UP_KEYS {
        let id = format!("differential-warm-up-{number}");
        let find = object([
            ("key", id.as_str().into()),
            ("keyType", TRANSACTION_KEY.into()),
        ]);
        let init = object([
            ("transactionalId", id.as_str().into()),
            ("transactionTimeoutMs", 60_000.into()),
        ]);
        wait_for(deadline, "a transaction coordinator", || {
            let found = client.call(FIND_COORDINATOR, 1, &find)?;
            let begun = client.call(INIT_PRODUCER_ID, 1, &init)?;
            (error_code(&found) == Some(0) && error_code(&begun) == Some(0)).then_some(())
        })?;
    }
    Ok(())
}

fn error_code(answer: &Value) -> Option<i64> {
    answer.field("errorCode")?.integer()
}

fn wait_for<T>(
    deadline: Instant,
    what: &str,
    mut attempt: impl FnMut() -> Option<T>,
) -> Result<T, Failure> {
    loop {
        if let Some(found) = attempt() {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            return Err(Failure(format!("{what} is not available")));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
