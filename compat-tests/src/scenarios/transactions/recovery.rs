//! `kill -9` of the server in the middle of an open transaction, and a restart.

use crate::scenarios::clients::Client;
use crate::scenarios::failure::{Failure, Outcome};
use crate::scenarios::run::Bench;
use crate::scenarios::transactions::dialogue::{
    AMPLE_TIMEOUT, Answer, Isolation, PARTITIONS, Producer, Reader, WRITTEN, let_them_look,
};

/// A client with a transaction that is open in two topics.
pub struct Armed {
    pub id: String,
    pub topics: Vec<String>,
    producer: Producer,
}

pub fn arm(bench: &Bench, client: &Client) -> Outcome<Armed> {
    let topics = ["near", "far"].map(|side| format!("survivors-{side}-{}", client.name));
    for topic in &topics {
        bench.wire.create_topic(topic, PARTITIONS)?;
    }
    let id = format!("survivor-{}", client.name);
    let mut producer = Producer::start(bench, client, &id, AMPLE_TIMEOUT)?;
    producer.begin()?;
    producer.send(&topics, &["before".to_owned()])?;
    producer.commit()?;
    producer.begin()?;
    producer.send(&topics, &["across".to_owned()])?;
    Ok(Armed {
        id,
        topics: topics.to_vec(),
        producer,
    })
}

/// The transaction is still open after the restart. Its producer commits it, or, when the client gives it up, a new
/// producer ends it; then the next one goes through, and whatever became of the open one, both topics agree on it.
pub fn recover(bench: &Bench, client: &Client, armed: Armed) -> Outcome<()> {
    let Armed {
        id,
        topics,
        mut producer,
    } = armed;
    for topic in &topics {
        bench.wire.wait_for_topic(topic, PARTITIONS)?;
        // "before", its marker, and "across", which is held back.
        let ends = (bench.wire.stable_ends(topic)?, bench.wire.ends(topic)?);
        if (ends.0[WRITTEN], ends.1[WRITTEN]) != (2, 3) {
            return Err(Failure::new(format!(
                "after the restart the last stable offsets of {topic} are {:?} with the log ends {:?}",
                ends.0, ends.1
            )));
        }
    }
    let answer = producer.ask("commit")?;
    let is_committed = matches!(answer, Answer::Done);
    if !is_committed {
        producer = Producer::start(bench, client, &id, AMPLE_TIMEOUT)?;
    }
    producer.begin()?;
    producer.send(&topics, &["after".to_owned()])?;
    producer.commit()?;

    let whole = ["before", "across", "after"].map(str::to_owned).to_vec();
    let without = ["before", "after"].map(str::to_owned).to_vec();
    let reader = Reader::start(bench, client, Isolation::Committed, &topics)?;
    for topic in &topics {
        reader.wait_for_value(topic, "after")?;
    }
    let_them_look(bench, &topics, &[&reader])?;
    let found: Vec<Vec<String>> = topics.iter().map(|topic| reader.values(topic)).collect();
    let is_whole = found.iter().all(|values| *values == whole);
    let is_without = found.iter().all(|values| *values == without);
    if is_whole || (is_without && !is_committed) {
        return reader.leave();
    }
    Err(Failure::new(format!(
        "the commit of the open transaction ended with {answer:?}, and the topics show {found:?}"
    )))
}
