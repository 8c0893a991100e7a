//! The topics of a run, small enough that every mechanism has work within minutes.

use crate::soak::content::Style;

/// How a topic is judged and written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Regime {
    /// Retention takes whole segments from the start.
    Append,
    /// The cleaner keeps the last record of each key.
    Compacted,
    /// As [`Regime::Compacted`], written by transactions, some of them aborted.
    Transactional,
}

#[derive(Debug)]
pub struct TopicPlan {
    pub name: &'static str,
    pub partitions: i32,
    pub regime: Regime,
    pub style: Style,
    pub configs: &'static [(&'static str, &'static str)],
}

impl TopicPlan {
    pub fn is_compacted(&self) -> bool {
        self.regime != Regime::Append
    }
}

/// `delete.retention.ms` of the compacted topics.
pub const DELETE_RETENTION_MS: u64 = 20_000;

const PLAIN: Style = Style {
    keys: 10_000,
    has_tombstones: false,
};

const KEYED: Style = Style {
    keys: 400,
    has_tombstones: true,
};

pub const TOPICS: &[TopicPlan] = &[
    TopicPlan {
        name: "events",
        partitions: 3,
        regime: Regime::Append,
        style: PLAIN,
        configs: &[
            ("retention.ms", "40000"),
            ("segment.ms", "6000"),
            ("segment.bytes", "1048576"),
            ("file.delete.delay.ms", "2000"),
        ],
    },
    TopicPlan {
        name: "audit",
        partitions: 2,
        regime: Regime::Append,
        style: PLAIN,
        configs: &[
            ("retention.bytes", "3145728"),
            ("segment.bytes", "1048576"),
            ("message.timestamp.type", "LogAppendTime"),
            ("file.delete.delay.ms", "2000"),
        ],
    },
    TopicPlan {
        name: "state",
        partitions: 2,
        regime: Regime::Compacted,
        style: KEYED,
        configs: COMPACTED,
    },
    TopicPlan {
        name: "state-zstd",
        partitions: 1,
        regime: Regime::Compacted,
        style: KEYED,
        configs: &[
            ("cleanup.policy", "compact"),
            ("compression.type", "zstd"),
            ("segment.ms", "5000"),
            ("segment.bytes", "1048576"),
            ("min.cleanable.dirty.ratio", "0.01"),
            ("delete.retention.ms", "20000"),
            ("file.delete.delay.ms", "2000"),
        ],
    },
    TopicPlan {
        name: "recent",
        partitions: 2,
        regime: Regime::Compacted,
        style: KEYED,
        configs: &[
            ("cleanup.policy", "compact,delete"),
            ("retention.ms", "60000"),
            ("segment.ms", "5000"),
            ("segment.bytes", "1048576"),
            ("min.cleanable.dirty.ratio", "0.01"),
            ("delete.retention.ms", "20000"),
            ("file.delete.delay.ms", "2000"),
        ],
    },
    TopicPlan {
        name: "accounts",
        partitions: 2,
        regime: Regime::Transactional,
        style: KEYED,
        configs: COMPACTED,
    },
];

const COMPACTED: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("segment.ms", "5000"),
    ("segment.bytes", "1048576"),
    ("min.cleanable.dirty.ratio", "0.01"),
    ("delete.retention.ms", "20000"),
    ("file.delete.delay.ms", "2000"),
];

/// Lines of `server.properties`.
pub const SETTINGS: &[(&str, &str)] = &[
    ("auto.create.topics.enable", "false"),
    ("offsets.topic.num.partitions", "5"),
    ("offsets.topic.segment.bytes", "1048576"),
    ("transaction.state.log.num.partitions", "5"),
    ("transaction.state.log.segment.bytes", "1048576"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("log.cleaner.backoff.ms", "500"),
    ("log.retention.check.interval.ms", "2000"),
];
