//! What readers of both isolation levels see of transactions over two topics.

use crate::scenarios::clients::Client;
use crate::scenarios::failure::{Failure, Outcome};
use crate::scenarios::limits::{Gap, consumer_lacks};
use crate::scenarios::run::Bench;
use crate::scenarios::transactions::dialogue::{
    AMPLE_TIMEOUT, Isolation, PARTITIONS, Producer, Reader, WRITTEN, let_them_look,
};

/// Records of each transaction in each topic.
const PORTION: usize = 3;

/// What became of a record's transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Committed,
    Aborted,
}

/// What one client wrote to both of its topics, in the order of their logs.
#[derive(Debug)]
pub struct Ledger {
    topics: Vec<String>,
    records: Vec<(String, Fate)>,
}

impl Ledger {
    fn add(&mut self, values: Vec<String>, fate: Fate) {
        let records = values.into_iter().map(|value| (value, fate));
        self.records.extend(records);
    }

    fn all(&self) -> Vec<String> {
        let values = self.records.iter().map(|(value, _)| value.clone());
        values.collect()
    }

    fn committed(&self) -> Vec<String> {
        let committed = self
            .records
            .iter()
            .filter(|(_, fate)| *fate == Fate::Committed);
        committed.map(|(value, _)| value.clone()).collect()
    }
}

/// A producer at work, and a reader of each isolation level beside it.
pub struct Stage {
    pub producer: Producer,
    pub id: String,
    ledger: Ledger,
    committed: Reader,
    uncommitted: Reader,
}

/// One transaction is committed, one aborted.
pub fn commit_and_abort(bench: &Bench, client: &Client) -> Outcome<Stage> {
    let topics = ["left", "right"].map(|side| format!("transactions-{side}-{}", client.name));
    for topic in &topics {
        bench.wire.create_topic(topic, PARTITIONS)?;
    }
    let id = format!("writer-{}", client.name);
    let mut stage = Stage {
        producer: Producer::start(bench, client, &id, AMPLE_TIMEOUT)?,
        id,
        committed: Reader::start(bench, client, Isolation::Committed, &topics)?,
        uncommitted: Reader::start(bench, client, Isolation::Uncommitted, &topics)?,
        ledger: Ledger {
            topics: topics.to_vec(),
            records: Vec::new(),
        },
    };
    let kept = stage.send("kept")?;
    stage.producer.commit()?;
    stage.ledger.add(kept, Fate::Committed);
    let dropped = stage.send("dropped")?;
    stage.producer.abort()?;
    stage.ledger.add(dropped, Fate::Aborted);
    stage.compare(bench)?;
    Ok(stage)
}

impl Stage {
    /// Nothing of an open transaction is seen by the one reader and all of it by the other, nor is a record behind it
    /// that belongs to no transaction; the commit shows everything.
    pub fn wait_behind(&mut self, bench: &Bench) -> Outcome<()> {
        let topics = self.ledger.topics.clone();
        let mut open = self.send("open")?;
        for topic in &topics {
            bench.wire.produce(topic, WRITTEN, "behind")?;
        }
        open.push("behind".to_owned());
        let mut shown = self.ledger.all();
        shown.extend(open.iter().cloned());
        for topic in &topics {
            self.uncommitted.wait_for(topic, &shown)?;
            let ends = (bench.wire.stable_ends(topic)?, bench.wire.ends(topic)?);
            let held_back = ends.1[WRITTEN] - ends.0[WRITTEN];
            if usize::try_from(held_back) != Ok(open.len()) {
                return Err(Failure::new(format!(
                    "the last stable offsets of {topic} are {:?} with the log ends {:?}",
                    ends.0, ends.1
                )));
            }
        }
        let_them_look(bench, &topics, &[&self.committed, &self.uncommitted])?;
        for topic in &topics {
            self.committed.compare(topic, &self.ledger.committed())?;
        }
        self.producer.commit()?;
        self.ledger.add(open, Fate::Committed);
        self.compare(bench)
    }

    /// Begins a transaction and writes a portion to both topics.
    pub fn send(&mut self, name: &str) -> Outcome<Vec<String>> {
        let values: Vec<String> = (0..PORTION)
            .map(|index| format!("{name} {index}"))
            .collect();
        self.producer.begin()?;
        self.producer.send(&self.ledger.topics, &values)?;
        Ok(values)
    }

    /// The producer has been fenced with these values in its open transaction; its successor commits one of its own.
    pub fn succeed(
        mut self,
        bench: &Bench,
        mut successor: Producer,
        fenced: Vec<String>,
    ) -> Outcome<Ledger> {
        self.ledger.add(fenced, Fate::Aborted);
        let values = vec!["by the successor".to_owned()];
        successor.begin()?;
        successor.send(&self.ledger.topics, &values)?;
        successor.commit()?;
        self.ledger.add(values, Fate::Committed);
        self.compare(bench)?;
        self.committed.leave()?;
        self.uncommitted.leave()?;
        Ok(self.ledger)
    }

    /// Both readers have seen exactly what they must by now.
    fn compare(&self, bench: &Bench) -> Outcome<()> {
        let expected = [
            (&self.committed, self.ledger.committed()),
            (&self.uncommitted, self.ledger.all()),
        ];
        for (reader, expected) in &expected {
            for topic in &self.ledger.topics {
                reader.wait_for(topic, expected)?;
            }
        }
        let readers = [&self.committed, &self.uncommitted];
        let_them_look(bench, &self.ledger.topics, &readers)?;
        for (reader, expected) in &expected {
            for topic in &self.ledger.topics {
                reader.compare(topic, expected)?;
            }
        }
        Ok(())
    }
}

/// A client without a transactional producer reads what another one's left behind.
pub fn read_others(bench: &Bench, client: &Client, ledgers: &[Ledger]) -> Outcome<()> {
    let ledger = ledgers
        .first()
        .ok_or_else(|| Failure::new("no client has written transactions"))?;
    let expected = if consumer_lacks(client.name, Gap::AbortedRecords) {
        ledger.all()
    } else {
        ledger.committed()
    };
    let reader = Reader::start(bench, client, Isolation::Committed, &ledger.topics)?;
    for topic in &ledger.topics {
        reader.wait_for(topic, &expected)?;
    }
    let_them_look(bench, &ledger.topics, &[&reader])?;
    for topic in &ledger.topics {
        reader.compare(topic, &expected)?;
    }
    reader.leave()
}
