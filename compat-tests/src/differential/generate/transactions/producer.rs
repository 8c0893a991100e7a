//! A transactional producer as the generator pictures it, and the requests that it sends.

use std::collections::BTreeMap;

use super::super::draft::{Draft, TopicRef};
use super::super::idempotence::INIT_PRODUCER_ID;
use super::super::produce::{PRODUCE, body, good_batch};
use super::super::topics;
use super::claim::{Claim, Flaw, Past, Protocol};
use super::{ADD_OFFSETS_TO_TXN, ADD_PARTITIONS_TO_TXN, END_TXN, TIMEOUT_MS, TXN_OFFSET_COMMIT};
use crate::differential::batch::{BatchTemplate, CONTROL, TRANSACTIONAL};
use crate::differential::compression::Codec;
use crate::differential::plan::{Reply, Request};
use crate::differential::template::{Template, array, object, shifted, variable};
use crate::schema::Versions;

const FIRST_NEW_PRODUCE: i16 = 12;
const FIRST_NEW_END: i16 = 5;
const FIRST_NEW_OFFSET_COMMIT: i16 = 5;

/// From this version on AddPartitionsToTxn is what brokers send each other: it may only ask.
const FIRST_BROKER_ADD: i16 = 4;

/// The versions in which InitProducerId can tell of a past.
const WITH_PAST: Versions = Versions {
    first: 3,
    last: i16::MAX,
};

/// Older Produce requests can't hold zstd.
const ZSTD_VERSION: i16 = 7;

#[derive(Debug, Clone)]
pub struct Producer {
    pub transactional_id: String,
    pub protocol: Protocol,
    /// The variables that hold its id and epoch.
    id: String,
    epoch: String,
    /// What the open transaction has, as far as the generator knows.
    added: Vec<(TopicRef, i32)>,
    /// The next sequence number of every partition.
    sequences: BTreeMap<(String, i32), i32>,
}

impl Producer {
    /// A new transactional id, initialised.
    pub fn start(draft: &mut Draft<'_>, protocol: Protocol) -> Self {
        let number = draft.fresh_number();
        let transactional_id = format!("{}txn{number}", draft.prefix);
        let mut producer = Self::named(draft, transactional_id, protocol);
        producer.init(draft, Past::Nothing);
        // Only then is there an epoch before the present one.
        if draft.chance(0.5) {
            producer.init(draft, Past::Nothing);
        }
        producer
    }

    fn named(draft: &mut Draft<'_>, transactional_id: String, protocol: Protocol) -> Self {
        let number = draft.fresh_number();
        Self {
            transactional_id,
            protocol,
            id: format!("transactional-producer{number}"),
            epoch: format!("transactional-epoch{number}"),
            added: Vec::new(),
            sequences: BTreeMap::new(),
        }
    }

    /// Another client with the same transactional id, which has yet to be initialised.
    pub fn successor(&self, draft: &mut Draft<'_>) -> Self {
        Self::named(draft, self.transactional_id.clone(), self.protocol)
    }

    pub fn id(&self, claim: Claim) -> Template {
        match claim {
            Claim::Id(id) => id.into(),
            Claim::Own | Claim::Shifted(_) | Claim::Epoch(_) => variable(&self.id, -1),
        }
    }

    pub fn epoch(&self, claim: Claim) -> Template {
        match claim {
            Claim::Epoch(epoch) => epoch.into(),
            Claim::Shifted(by) => shifted(&self.epoch, by.into(), -1),
            Claim::Own | Claim::Id(_) => variable(&self.epoch, -1),
        }
    }

    fn stamp(&self, batch: &mut BatchTemplate, claim: Claim) {
        match claim {
            Claim::Id(id) => batch.producer_id = id,
            Claim::Own | Claim::Shifted(_) | Claim::Epoch(_) => {
                batch.producer = Some(self.id.as_str().into());
            }
        }
        match claim {
            Claim::Epoch(epoch) => batch.producer_epoch = epoch,
            Claim::Shifted(by) => batch.epoch = Some((self.epoch.as_str().into(), by)),
            Claim::Own | Claim::Id(_) => batch.epoch = Some((self.epoch.as_str().into(), 0)),
        }
    }

    /// The own transactional id, or in a few cases one that is empty or nobody's.
    fn claimed_name(&self, draft: &mut Draft<'_>) -> String {
        let unknown = format!("{}nobody", draft.prefix);
        let own = self.transactional_id.clone();
        draft.nearly_always(own.clone(), &[own.clone(), own, unknown, String::new()])
    }

    /// A version of this producer's protocol, or in a few cases of the other one.
    fn version(&self, draft: &mut Draft<'_>, api_key: i16, first_of_new: i16) -> i16 {
        let protocol = match self.protocol {
            Protocol::Oldest => Protocol::Oldest,
            Protocol::Explicit => draft.nearly_always(Protocol::Explicit, &[Protocol::Implicit]),
            Protocol::Implicit => draft.nearly_always(Protocol::Implicit, &[Protocol::Explicit]),
        };
        draft.version_in(api_key, protocol.versions(first_of_new))
    }

    /// Asks for an id and epoch, which this producer has from then on.
    pub fn init(&mut self, draft: &mut Draft<'_>, past: Past) {
        self.init_after(draft, past, &self.clone());
    }

    /// Like [`Self::init`], with the past of another client.
    pub fn init_after(&mut self, draft: &mut Draft<'_>, past: Past, other: &Self) {
        let timeouts = [
            TIMEOUT_MS,
            TIMEOUT_MS,
            TIMEOUT_MS,
            900_000,
            900_001,
            0,
            -1,
            i32::MAX,
        ];
        let (id, epoch) = match past {
            Past::Nothing => ((-1).into(), (-1).into()),
            Past::Claimed(claim) => (other.id(claim), other.epoch(claim)),
        };
        let body = object([
            ("transactionalId", self.transactional_id.as_str().into()),
            (
                "transactionTimeoutMs",
                draft.nearly_always(TIMEOUT_MS, &timeouts).into(),
            ),
            ("producerId", id),
            ("producerEpoch", epoch),
        ]);
        let version = match past {
            Past::Nothing => draft.version(INIT_PRODUCER_ID),
            Past::Claimed(_) => draft.version_in(INIT_PRODUCER_ID, WITH_PAST),
        };
        let request = draft
            .request_at(INIT_PRODUCER_ID, version, body)
            .capture_known(&self.id, "producerId")
            .capture_known(&self.epoch, "producerEpoch");
        draft.ask(request);
        self.added.clear();
        self.sequences.clear();
    }

    /// Initialises itself again and again, which uses up epochs.
    pub fn bump_epoch(&mut self, draft: &mut Draft<'_>, times: usize) {
        let body = object([
            ("transactionalId", self.transactional_id.as_str().into()),
            ("transactionTimeoutMs", TIMEOUT_MS.into()),
        ]);
        let request = draft.request(INIT_PRODUCER_ID, body);
        draft.repeat(request, times);
    }

    /// Partitions for one request, by topic: existing ones, and with a small chance one that does not exist.
    fn some_partitions(&self, draft: &mut Draft<'_>) -> Vec<(TopicRef, i32)> {
        if draft.topics.is_empty() || (draft.topics.len() < 3 && draft.chance(0.2)) {
            topics::create_plain(draft);
        }
        let mut chosen: Vec<(TopicRef, i32)> = Vec::new();
        for _ in 0..draft.pick(&[1, 1, 1, 2, 3]) {
            let Some(topic) = draft.own_topic() else {
                continue;
            };
            let partition = draft.between(0..=i64::from(topic.partitions) - 1) as i32;
            let is_new = chosen
                .iter()
                .all(|(other, number)| other.name != topic.name || *number != partition);
            if is_new {
                chosen.push((topic, partition));
            }
        }
        if draft.chance(0.05) {
            let topic = draft.any_topic();
            let partition = draft.pick(&[topic.partitions, -1, 1_000]);
            chosen.push((topic, partition));
        }
        chosen
    }

    /// AddPartitionsToTxn, as clients and as brokers send it.
    pub fn add_partitions(&mut self, draft: &mut Draft<'_>) {
        let claim = Claim::draw(draft);
        let version = if self.protocol == Protocol::Oldest {
            draft.version_in(
                ADD_PARTITIONS_TO_TXN,
                Versions {
                    first: 0,
                    last: FIRST_BROKER_ADD - 1,
                },
            )
        } else {
            draft.version(ADD_PARTITIONS_TO_TXN)
        };
        let verify_only = version >= FIRST_BROKER_ADD && draft.chance(0.4);
        let partitions = if verify_only && !self.added.is_empty() && draft.chance(0.7) {
            self.added.clone()
        } else {
            self.some_partitions(draft)
        };
        let name = self.claimed_name(draft);
        let topics = array(by_topic(&partitions).into_iter().map(|(topic, numbers)| {
            object([("name", topic.name.into()), ("partitions", array(numbers))])
        }));
        let (id, epoch) = (self.id(claim), self.epoch(claim));
        let transaction = |name: &str, id: Template, verify_only: bool| {
            object([
                ("transactionalId", name.into()),
                ("producerId", id),
                ("producerEpoch", epoch.clone()),
                ("verifyOnly", verify_only.into()),
                ("topics", topics.clone()),
            ])
        };
        let mut transactions = vec![transaction(&name, id.clone(), verify_only)];
        if draft.chance(0.15) {
            let other = format!("{}another", draft.prefix);
            transactions.push(transaction(&other, 0_i64.into(), draft.chance(0.5)));
        }
        let body = object([
            ("transactions", array(transactions)),
            ("v3AndBelowTransactionalId", name.as_str().into()),
            ("v3AndBelowProducerId", id),
            ("v3AndBelowProducerEpoch", epoch.clone()),
            ("v3AndBelowTopics", topics.clone()),
        ]);
        let request = draft.request_at(ADD_PARTITIONS_TO_TXN, version, body);
        draft.ask(request);
        if claim == Claim::Own && !verify_only {
            self.note_added(&partitions);
        }
    }

    fn note_added(&mut self, partitions: &[(TopicRef, i32)]) {
        for (topic, partition) in partitions {
            let exists = (0..topic.partitions).contains(partition);
            let is_known = self
                .added
                .iter()
                .any(|(other, number)| other.name == topic.name && number == partition);
            if exists && !is_known {
                self.added.push((topic.clone(), *partition));
            }
        }
    }

    /// Produce: batches of the transaction, mostly where and as they should be.
    pub fn write(&mut self, draft: &mut Draft<'_>) {
        let claim = Claim::draw(draft);
        let version = self.version(draft, PRODUCE, FIRST_NEW_PRODUCE);
        let goes_where_added = match self.protocol {
            Protocol::Oldest | Protocol::Explicit => draft.chance(0.85),
            Protocol::Implicit => draft.chance(0.4),
        };
        let partitions = if goes_where_added && !self.added.is_empty() {
            vec![draft.pick(&self.added)]
        } else {
            self.some_partitions(draft)
        };
        let flaw = Flaw::draw(draft);
        let mut topics = Vec::new();
        for (topic, numbers) in by_topic(&partitions) {
            let batches = numbers
                .into_iter()
                .map(|number| {
                    let batch = self.batch(draft, claim, flaw, (&topic.name, number), version);
                    (number, Template::Batches(vec![batch]))
                })
                .collect();
            topics.push((topic, batches));
        }
        let acks = draft.pick(&[-1, -1, -1, -1, -1, -1, 1, 1, 0]);
        let name = match flaw {
            Flaw::NoName => Template::null(),
            _ => self.claimed_name(draft).into(),
        };
        let body = body(draft, acks, topics).with("transactionalId", name);
        let mut request = draft.request_at(PRODUCE, version, body);
        if acks == 0 {
            request.reply = Reply::Silence;
        }
        draft.ask(request);
        if claim == Claim::Own && flaw == Flaw::None && self.protocol == Protocol::Implicit {
            self.note_added(&partitions);
        }
    }

    fn batch(
        &mut self,
        draft: &mut Draft<'_>,
        claim: Claim,
        flaw: Flaw,
        (topic, partition): (&str, i32),
        version: i16,
    ) -> BatchTemplate {
        let mut batch = good_batch(draft);
        batch.base_timestamp = draft.usual_timestamp();
        for (record, key) in batch.records.iter_mut().zip([b"a", b"b", b"c", b"d", b"e"]) {
            record.timestamp_delta = 0;
            record.key = Some(key.to_vec());
            // Apache Kafka changes header keys that are not UTF-8 where it compresses anew.
            record
                .headers
                .retain(|(key, _)| std::str::from_utf8(key).is_ok());
        }
        batch.max_timestamp = batch.base_timestamp;
        if batch.codec == Codec::Zstd && version < ZSTD_VERSION {
            batch.codec = Codec::None;
        }
        self.stamp(&mut batch, claim);
        batch.attributes = match flaw {
            Flaw::NotTransactional => 0,
            Flaw::Control => TRANSACTIONAL | CONTROL,
            _ => TRANSACTIONAL,
        };
        let next = self
            .sequences
            .entry((topic.to_owned(), partition))
            .or_default();
        batch.base_sequence = match flaw {
            Flaw::Repeated => next.saturating_sub(batch.count).max(0),
            Flaw::Skipping => *next + 3,
            Flaw::NoSequence => -1,
            _ => *next,
        };
        if claim == Claim::Own && flaw == Flaw::None {
            *next += batch.count;
        }
        draft.advance(topic, partition, batch.count.into());
        batch
    }

    /// AddOffsetsToTxn.
    pub fn add_offsets(&mut self, draft: &mut Draft<'_>, group: &str) {
        let claim = Claim::draw(draft);
        let name = self.claimed_name(draft);
        let body = object([
            ("transactionalId", name.into()),
            ("producerId", self.id(claim)),
            ("producerEpoch", self.epoch(claim)),
            ("groupId", group.into()),
        ]);
        draft.ask_with(ADD_OFFSETS_TO_TXN, body);
    }

    /// TxnOffsetCommit without a member of the group, to be completed by the caller.
    pub fn offset_commit(&mut self, draft: &mut Draft<'_>, group: &str) -> Request {
        let claim = Claim::draw(draft);
        let version = self.version(draft, TXN_OFFSET_COMMIT, FIRST_NEW_OFFSET_COMMIT);
        let partitions = self.some_partitions(draft);
        let topics = by_topic(&partitions).into_iter().map(|(topic, numbers)| {
            let partitions = numbers.into_iter().map(|number| {
                let offset = draft.offset(&topic.name, number);
                let epoch = draft.mostly(-1, &[0, 3]);
                let long = "m".repeat(5_000);
                let metadata = draft.nearly_always(Some("note"), &[None, Some(""), Some(&long)]);
                object([
                    ("partitionIndex", number.into()),
                    ("committedOffset", offset.into()),
                    ("committedLeaderEpoch", epoch.into()),
                    ("committedMetadata", metadata.into()),
                ])
            });
            let partitions = array(partitions.collect::<Vec<_>>());
            object([("name", topic.name.into()), ("partitions", partitions)])
        });
        let topics = array(topics.collect::<Vec<_>>());
        let name = self.claimed_name(draft);
        let body = object([
            ("transactionalId", name.into()),
            ("groupId", group.into()),
            ("producerId", self.id(claim)),
            ("producerEpoch", self.epoch(claim)),
            ("topics", topics),
        ]);
        draft.request_at(TXN_OFFSET_COMMIT, version, body)
    }

    /// EndTxn. The new protocol answers the id and epoch of the next transaction.
    pub fn end(&mut self, draft: &mut Draft<'_>, committed: bool) {
        let claim = Claim::draw(draft);
        self.end_as(draft, claim, committed);
    }

    pub fn end_as(&mut self, draft: &mut Draft<'_>, claim: Claim, committed: bool) {
        let version = self.version(draft, END_TXN, FIRST_NEW_END);
        let name = self.claimed_name(draft);
        let body = object([
            ("transactionalId", name.into()),
            ("producerId", self.id(claim)),
            ("producerEpoch", self.epoch(claim)),
            ("committed", committed.into()),
        ]);
        let request = draft
            .request_at(END_TXN, version, body)
            .capture_known(&self.id, "producerId")
            .capture_known(&self.epoch, "producerEpoch");
        draft.ask(request);
        if claim == Claim::Own {
            self.added.clear();
            if version >= FIRST_NEW_END {
                self.sequences.clear();
            }
        }
    }
}

/// Partitions gathered under their topics, in the order in which they first come up.
fn by_topic(partitions: &[(TopicRef, i32)]) -> Vec<(TopicRef, Vec<i32>)> {
    let mut topics: Vec<(TopicRef, Vec<i32>)> = Vec::new();
    for (topic, partition) in partitions {
        match topics
            .iter_mut()
            .find(|(other, _)| other.name == topic.name)
        {
            Some((_, numbers)) => numbers.push(*partition),
            None => topics.push((topic.clone(), vec![*partition])),
        }
    }
    topics
}
