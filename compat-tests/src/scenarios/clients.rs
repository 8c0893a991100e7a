//! The clients under test: which programs they are and what each of them has.

use std::path::Path;
use std::process::Command;

use crate::scenarios::install::Cache;

/// How a client's program is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// `clients/java`, with the jars of this release of `kafka-clients`.
    Java(&'static str),
    /// A Python program in the virtual environment that holds this client's pinned packages.
    Python,
    /// A Python program that runs command-line tools.
    Wrapper,
    Node,
    Go,
    Rust,
}

/// What a client promises to a producer whose broker is killed under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The idempotent producer: every record once, in order.
    ExactlyOnce,
    /// Retries without a guarantee about duplicates.
    AtLeastOnce,
}

/// What a client has for groups beside being a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Groups {
    /// No group membership at all.
    None,
    /// Membership only: committed offsets and descriptions cannot be asked for.
    Member,
    /// Membership and an admin API for committed offsets and descriptions.
    Full,
}

/// What a client has for transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transactions {
    /// Nothing to compare: rskafka always asks for committed records, shows aborted ones all the same, and gives its user
    /// no way past a marker.
    None,
    /// A consumer with isolation levels.
    Consumer,
    /// A transactional producer as well.
    Full,
}

#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// As in `--only`.
    pub name: &'static str,
    /// The folder below `clients/`.
    pub folder: &'static str,
    pub runtime: Runtime,
    pub delivery: Delivery,
    pub groups: Groups,
    pub transactions: Transactions,
}

/// Every client, the slow starters first.
pub const CLIENTS: [Client; 12] = [
    client(
        "console",
        "console",
        Runtime::Wrapper,
        Delivery::ExactlyOnce,
        Groups::Full,
        Transactions::Consumer,
    ),
    client(
        "java-4.3.1",
        "java",
        Runtime::Java("4.3.1"),
        Delivery::ExactlyOnce,
        Groups::Full,
        Transactions::Full,
    ),
    client(
        "java-3.9.1",
        "java",
        Runtime::Java("3.9.1"),
        Delivery::ExactlyOnce,
        Groups::Full,
        Transactions::Full,
    ),
    client(
        "kcat",
        "kcat",
        Runtime::Wrapper,
        Delivery::ExactlyOnce,
        Groups::Member,
        Transactions::Consumer,
    ),
    client(
        "confluent-kafka",
        "confluent-kafka",
        Runtime::Python,
        Delivery::ExactlyOnce,
        Groups::Full,
        Transactions::Full,
    ),
    client(
        "franz-go",
        "franz-go",
        Runtime::Go,
        Delivery::ExactlyOnce,
        Groups::Full,
        Transactions::Full,
    ),
    client(
        "sarama",
        "sarama",
        Runtime::Go,
        Delivery::AtLeastOnce,
        Groups::Full,
        Transactions::Full,
    ),
    client(
        "kafka-go",
        "kafka-go",
        Runtime::Go,
        Delivery::AtLeastOnce,
        Groups::Full,
        Transactions::Consumer,
    ),
    client(
        "kafkajs",
        "kafkajs",
        Runtime::Node,
        Delivery::AtLeastOnce,
        Groups::Full,
        Transactions::Full,
    ),
    client(
        "kafka-python",
        "kafka-python",
        Runtime::Python,
        Delivery::AtLeastOnce,
        Groups::Full,
        Transactions::Full,
    ),
    client(
        "aiokafka",
        "aiokafka",
        Runtime::Python,
        Delivery::AtLeastOnce,
        Groups::Full,
        Transactions::Full,
    ),
    client(
        "rskafka",
        "rskafka",
        Runtime::Rust,
        Delivery::AtLeastOnce,
        Groups::None,
        Transactions::None,
    ),
];

const fn client(
    name: &'static str,
    folder: &'static str,
    runtime: Runtime,
    delivery: Delivery,
    groups: Groups,
    transactions: Transactions,
) -> Client {
    Client {
        name,
        folder,
        runtime,
        delivery,
        groups,
        transactions,
    }
}

/// A JVM that starts fast: these programs live for seconds.
pub const JVM_FLAGS: [&str; 4] = [
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xmx256m",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
];

impl Client {
    /// The command line up to the verb.
    pub fn command(&self, cache: &Cache) -> Command {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
        let mut command = match self.runtime {
            Runtime::Java(release) => {
                let mut java = Command::new("java");
                java.args(JVM_FLAGS)
                    .arg("-cp")
                    .arg(cache.java_class_path(release))
                    .arg("Client");
                java
            }
            Runtime::Python => {
                let mut python = Command::new(cache.python());
                python.arg(source.join(self.folder).join("client.py"));
                python
            }
            Runtime::Wrapper => {
                let mut python = Command::new("python3");
                python.arg(source.join(self.folder).join("client.py"));
                python
            }
            Runtime::Node => {
                let mut node = Command::new("node");
                node.arg(cache.node_folder().join("client.js"));
                node
            }
            Runtime::Go => Command::new(cache.program(self.name)),
            Runtime::Rust => Command::new(cache.rust_program()),
        };
        command
            .env("PYTHONPATH", source.join("shared").join("python"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("KLAMM_COMPAT_TOOL", cache.console_tool());
        command
    }
}
