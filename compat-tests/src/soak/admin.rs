//! An administrator who creates, grows and deletes topics, changes configs, and deletes records, and who remembers.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

use crate::soak::admin_requests::{
    configs_of, create_topic, delete_records, delete_topic, grow_topic, set_config, topics,
};
use crate::soak::anomaly::{Anomaly, Kind};
use crate::soak::link::Link;
use crate::soak::plan::{Regime, TOPICS};
use crate::soak::world::{World, add};

/// Topics of the administrator's own that exist at a time, at most.
const OWN_TOPICS_MAX: usize = 12;

const PARTITIONS_MAX: i32 = 12;

const PAUSE_MAX: Duration = Duration::from_secs(4);

/// Configs that change during a run, and the values that they take.
const CHANGES: &[(&str, &str, &[&str])] = &[
    ("events", "retention.ms", &["25000", "40000", "60000"]),
    ("events", "segment.bytes", &["1048576", "2097152"]),
    (
        "audit",
        "retention.bytes",
        &["2097152", "3145728", "5242880"],
    ),
    ("audit", "compression.type", &["producer", "lz4", "gzip"]),
    ("state", "min.compaction.lag.ms", &["0", "2000", "6000"]),
    (
        "state",
        "compression.type",
        &["producer", "snappy", "uncompressed"],
    ),
    ("state-zstd", "segment.ms", &["3000", "5000", "9000"]),
    ("recent", "retention.ms", &["30000", "60000", "90000"]),
    ("accounts", "min.cleanable.dirty.ratio", &["0.01", "0.3"]),
    ("accounts", "compression.type", &["producer", "zstd"]),
];

#[derive(Debug)]
pub struct Admin<'a> {
    world: &'a World,
    link: Link,
    random: StdRng,
    /// Topics and their partitions. One whose fate is unknown is in none of the two.
    topics: BTreeMap<String, i32>,
    deleted: Vec<String>,
    /// By topic and key.
    configs: BTreeMap<(String, String), String>,
    created: usize,
}

impl<'a> Admin<'a> {
    pub fn new(world: &'a World, random: StdRng) -> Self {
        Self {
            world,
            link: world.link("admin"),
            random,
            topics: BTreeMap::new(),
            deleted: Vec::new(),
            configs: BTreeMap::new(),
            created: 0,
        }
    }

    /// Creates the topics of the plan.
    pub fn prepare(&mut self) -> Option<()> {
        for topic in TOPICS {
            self.create(topic.name, topic.partitions, topic.configs)?;
        }
        Some(())
    }

    /// Works until the run is over.
    pub fn work(mut self) -> Self {
        let mut life = self.world.life();
        while !self.world.is_over() {
            if life != self.world.life() {
                life = self.world.life();
                self.check();
            }
            match self.random.random_range(0..10_u32) {
                0..3 => self.create_own(),
                3..5 => self.delete_own(),
                5 => self.grow_own(),
                6 => self.delete_some_records(),
                7..9 => self.change_config(),
                _ => self.check(),
            };
            let pause = self.random.random_range(Duration::ZERO..PAUSE_MAX);
            self.world.sleep(pause);
        }
        self
    }

    /// Compares what the server tells with what was acknowledged.
    pub fn check(&mut self) -> Option<()> {
        let found = topics(self.world, &mut self.link)?;
        self.world
            .report(check_topics(&self.topics, &self.deleted, &found));
        for topic in TOPICS {
            let found = configs_of(self.world, &mut self.link, topic.name)?;
            let expected = self
                .configs
                .iter()
                .filter(|((name, _), _)| name == topic.name);
            self.world.report(check_configs(expected, &found));
        }
        Some(())
    }

    fn create(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Option<()> {
        create_topic(self.world, &mut self.link, name, partitions, configs)?;
        self.topics.insert(name.to_owned(), partitions);
        for (key, value) in configs {
            let place = (name.to_owned(), (*key).to_owned());
            self.configs.insert(place, (*value).to_owned());
        }
        add(&self.world.counters.topics_created, 1);
        Some(())
    }

    fn own_topics(&self) -> Vec<String> {
        let names = self.topics.keys();
        names
            .filter(|name| name.starts_with("own-"))
            .cloned()
            .collect()
    }

    fn create_own(&mut self) -> Option<()> {
        if self.own_topics().len() >= OWN_TOPICS_MAX {
            return self.delete_own();
        }
        self.created += 1;
        // Some names come back, so that a topic meets what a deleted one of its name has left.
        let name = format!("own-{}", self.created % 20);
        if self.topics.contains_key(&name) {
            return None;
        }
        self.deleted.retain(|deleted| *deleted != name);
        let partitions = self.random.random_range(1..=4);
        let policy = ["delete", "compact"][self.random.random_range(0..2_usize)];
        self.create(&name, partitions, &[("cleanup.policy", policy)])
    }

    fn delete_own(&mut self) -> Option<()> {
        let name = self.pick_own()?;
        self.topics.remove(&name);
        self.configs.retain(|(topic, _), _| *topic != name);
        delete_topic(self.world, &mut self.link, &name)?;
        self.deleted.push(name);
        add(&self.world.counters.topics_deleted, 1);
        Some(())
    }

    fn grow_own(&mut self) -> Option<()> {
        let name = self.pick_own()?;
        let count = self.topics[&name] + 1;
        if count > PARTITIONS_MAX {
            return None;
        }
        self.topics.remove(&name);
        grow_topic(self.world, &mut self.link, &name, count)?;
        self.topics.insert(name, count);
        add(&self.world.counters.partitions_added, 1);
        Some(())
    }

    fn pick_own(&mut self) -> Option<String> {
        let mut own = self.own_topics();
        if own.is_empty() {
            return None;
        }
        Some(own.swap_remove(self.random.random_range(0..own.len())))
    }

    fn delete_some_records(&mut self) -> Option<()> {
        let index = self.random.random_range(0..self.world.logs.len());
        let log = &self.world.logs[index];
        // Kafka refuses DeleteRecords for a topic that is only compacted.
        if log.topic.regime != Regime::Append {
            return None;
        }
        let (start, end) = {
            let ledger = log.ledger();
            (ledger.log_start(), ledger.end())
        };
        if start >= end {
            return None;
        }
        let offset = self
            .random
            .random_range(start..=(start + (end - start) / 2));
        let low_watermark = delete_records(self.world, &mut self.link, log, offset)?;
        self.world
            .report(log.ledger().saw_log_start(offset, low_watermark));
        add(&self.world.counters.records_deleted, 1);
        Some(())
    }

    fn change_config(&mut self) -> Option<()> {
        let (topic, key, values) = CHANGES[self.random.random_range(0..CHANGES.len())];
        let value = values[self.random.random_range(0..values.len())];
        let place = (topic.to_owned(), key.to_owned());
        self.configs.remove(&place);
        set_config(self.world, &mut self.link, topic, key, value)?;
        self.configs.insert(place, value.to_owned());
        add(&self.world.counters.configs_altered, 1);
        Some(())
    }
}

/// Judges the topics that a server tells against those that were created and deleted.
fn check_topics(
    expected: &BTreeMap<String, i32>,
    deleted: &[String],
    found: &BTreeMap<String, i32>,
) -> Vec<Anomaly> {
    let wrong = |story: String| Anomaly::new(Kind::WrongMetadata, story);
    let kept = expected.iter().filter_map(|(name, partitions)| {
        let seen = found.get(name);
        (seen != Some(partitions)).then(|| {
            wrong(format!(
                "topic {name}: {partitions} partitions, found {seen:?}"
            ))
        })
    });
    let gone = deleted.iter().filter(|name| found.contains_key(*name));
    let gone = gone.map(|name| wrong(format!("topic {name} was deleted and is there")));
    kept.chain(gone).collect()
}

fn check_configs<'c>(
    expected: impl Iterator<Item = (&'c (String, String), &'c String)>,
    found: &BTreeMap<String, String>,
) -> Vec<Anomaly> {
    let wrong = expected.filter(|((_, key), value)| found.get(key) != Some(value));
    wrong
        .map(|((topic, key), value)| {
            let story = format!("{topic} {key}: {value}, found {:?}", found.get(key));
            Anomaly::new(Kind::WrongMetadata, story)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics<const N: usize>(topics: [(&str, i32); N]) -> BTreeMap<String, i32> {
        topics.map(|(name, count)| (name.to_owned(), count)).into()
    }

    #[test]
    fn topics_that_are_lost_changed_or_back_are_found() {
        let expected = topics([("a", 1), ("b", 2)]);
        let deleted = ["c".to_owned()];
        let judged = |found| check_topics(&expected, &deleted, &found).len();
        assert_eq!(judged(topics([("a", 1), ("b", 2)])), 0);
        assert_eq!(judged(topics([("a", 1), ("b", 2), ("unknown", 1)])), 0);
        assert_eq!(judged(topics([("a", 1)])), 1);
        assert_eq!(judged(topics([("a", 1), ("b", 3)])), 1);
        assert_eq!(judged(topics([("a", 1), ("b", 2), ("c", 1)])), 1);
    }

    #[test]
    fn configs_that_are_lost_or_changed_are_found() {
        let expected = BTreeMap::from([(("t".to_owned(), "k".to_owned()), "v".to_owned())]);
        let judged = |found: &[(&str, &str)]| {
            let found = found
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            check_configs(expected.iter(), &found.collect()).len()
        };
        assert_eq!(judged(&[("k", "v"), ("other", "x")]), 0);
        assert_eq!(judged(&[("k", "w")]), 1);
        assert_eq!(judged(&[]), 1);
    }
}
