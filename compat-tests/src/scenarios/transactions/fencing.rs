//! A second producer with the same transactional id: the first one is told so by its next operation.

use crate::scenarios::clients::Client;
use crate::scenarios::failure::{Failure, Outcome};
use crate::scenarios::run::Bench;
use crate::scenarios::transactions::dialogue::{AMPLE_TIMEOUT, Answer, Producer};
use crate::scenarios::transactions::isolation::{Ledger, Stage};

/// Why a producer's commit must be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Another producer has taken its transactional id.
    Fenced,
    /// The server has aborted its transaction because its time was over.
    Overdue,
}

/// What each client calls it. Those that speak the protocol of `transaction.version` 2 hear of an overdue transaction that
/// there is none; to all others both are the same. sarama knows no name for PRODUCER_FENCED.
struct Words {
    client: &'static str,
    fenced: &'static str,
    overdue: &'static str,
}

const WORDS: &[Words] = &[
    words(
        "java-4.3.1",
        "ProducerFencedException",
        "InvalidTxnStateException",
    ),
    words(
        "java-3.9.1",
        "ProducerFencedException",
        "ProducerFencedException",
    ),
    words("confluent-kafka", "_FENCED", "_FENCED"),
    words("franz-go", "PRODUCER_FENCED", "INVALID_TXN_STATE"),
    words("sarama", "Error code = 90", "Error code = 90"),
    words(
        "kafkajs",
        "INVALID_PRODUCER_EPOCH",
        "INVALID_PRODUCER_EPOCH",
    ),
    words("kafka-python", "ProducerFencedError", "ProducerFencedError"),
    words("aiokafka", "ProducerFenced", "ProducerFenced"),
];

const fn words(client: &'static str, fenced: &'static str, overdue: &'static str) -> Words {
    Words {
        client,
        fenced,
        overdue,
    }
}

/// The first producer's open transaction is aborted, and its commit refused; the second one goes on.
pub fn fence(bench: &Bench, client: &Client, mut stage: Stage) -> Outcome<Ledger> {
    let open = stage.send("fenced")?;
    let successor = Producer::start(bench, client, &stage.id, AMPLE_TIMEOUT)?;
    refuse_commit(client, &mut stage.producer, Refusal::Fenced)?;
    stage.succeed(bench, successor, open)
}

/// The commit of a producer fails with what its client calls this refusal.
pub fn refuse_commit(client: &Client, producer: &mut Producer, refusal: Refusal) -> Outcome<()> {
    let words = WORDS.iter().find(|words| words.client == client.name);
    let wanted = words.map_or("(unknown)", |words| match refusal {
        Refusal::Fenced => words.fenced,
        Refusal::Overdue => words.overdue,
    });
    match producer.ask("commit")? {
        Answer::Done => Err(Failure::new(format!(
            "a commit that must be refused ({refusal:?}) went well"
        ))),
        Answer::Refused(reason) if reason.contains(wanted) => Ok(()),
        Answer::Refused(reason) => Err(Failure::new(format!(
            "a commit ({refusal:?}) is refused without the word {wanted}: {reason}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::clients::{CLIENTS, Transactions};

    #[test]
    fn every_transactional_client_has_words_for_a_refusal() {
        // Both lists name the same clients.
        let known: Vec<&str> = WORDS.iter().map(|words| words.client).collect();
        for client in CLIENTS {
            let is_full = client.transactions == Transactions::Full;
            assert_eq!(known.contains(&client.name), is_full, "{}", client.name);
        }
        assert!(WORDS.iter().all(|words| !words.fenced.is_empty()));
        assert!(WORDS.iter().all(|words| !words.overdue.is_empty()));
    }
}
