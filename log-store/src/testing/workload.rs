//! Random writing to a log that is compacted, and what must be found in it ever after.

use std::collections::{BTreeMap, BTreeSet};

use super::records::{self, Seen, Write};
use super::{NOW_MS, Random};
use crate::batch::{Codec, Compression, EndMarker};
use crate::partition::{AppendOptions, Durability, Partition, ReadLimit};
use crate::{Offset, ProducerEpoch, ProducerId};

const KEYS: u64 = 12;
const PRODUCERS: usize = 3;

/// Transactional ones come first; the last one is only idempotent.
const TRANSACTIONAL: usize = PRODUCERS - 1;

pub(crate) struct Workload {
    random: Random,
    producers: [ProducerState; PRODUCERS],
    /// Everything that was ever appended, by offset.
    written: BTreeMap<Offset, Written>,
}

#[derive(Clone, Copy, Debug, Default)]
struct ProducerState {
    epoch: i16,
    next_sequence: i32,
    is_in_txn: bool,
}

#[derive(Clone, Debug)]
struct Written {
    record: Seen,
    txn: Option<Txn>,
}

/// The transaction of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Txn {
    producer: usize,
    /// Where its marker is, and what it says.
    end: Option<(Offset, EndMarker)>,
}

impl Written {
    fn is_open(&self) -> bool {
        self.txn.is_some_and(|txn| txn.end.is_none())
    }

    fn is_committed(&self) -> bool {
        self.txn.is_none_or(|txn| {
            txn.end
                .is_some_and(|(_, marker)| marker == EndMarker::Commit)
        })
    }
}

impl Workload {
    pub(crate) fn new(seed: u64) -> Workload {
        Workload {
            random: Random(seed),
            producers: [ProducerState::default(); PRODUCERS],
            written: BTreeMap::new(),
        }
    }

    /// Appends something: a batch, or the end of a transaction.
    pub(crate) fn step(&mut self, log: &Partition) {
        let producer = self.random.below(PRODUCERS as u64 + 1) as usize;
        match producer {
            PRODUCERS => self.append(log, None),
            _ if self.producers[producer].is_in_txn && self.random.one_in(3) => {
                self.end(log, producer);
            }
            _ => self.append(log, Some(producer)),
        }
    }

    /// Ends what is open.
    pub(crate) fn end_all(&mut self, log: &Partition) {
        for producer in 0..TRANSACTIONAL {
            if self.producers[producer].is_in_txn {
                self.end(log, producer);
            }
        }
    }

    fn append(&mut self, log: &Partition, producer: Option<usize>) {
        let record_count = 1 + self.random.below(4);
        let texts: Vec<(String, Option<String>)> =
            (0..record_count).map(|_| self.random_record()).collect();
        let texts: Vec<(&str, Option<&str>)> = texts
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_deref()))
            .collect();
        let headers: &[(&[u8], Option<&[u8]>)] = match self.random.below(3) {
            0 => &[],
            1 => &[(b"h", Some(b"1")), (b"h", None), (b"\xff", Some(b"\xfe"))],
            _ => &[(b"", Some(b""))],
        };
        let codec = Codec::ALL[self.random.below(Codec::ALL.len() as u64) as usize];
        let is_transactional = producer.is_some_and(|producer| producer < TRANSACTIONAL);
        let write = Write {
            producer: producer.map(|producer| {
                let state = &self.producers[producer];
                (producer as i64, state.epoch, state.next_sequence)
            }),
            is_transactional,
            compression: Compression::default_of(codec),
            headers,
            ..Write::plain(&texts)
        };
        let durability = if self.random.one_in(4) {
            Durability::Durable
        } else {
            Durability::Unsynced
        };
        let options = AppendOptions::client(durability, NOW_MS);
        let appended = log.append(&write.batch(), options).expect("it is taken");
        let txn = producer.filter(|_| is_transactional).map(|producer| Txn {
            producer,
            end: None,
        });
        if let Some(producer) = producer {
            let state = &mut self.producers[producer];
            state.next_sequence += record_count as i32;
            state.is_in_txn = is_transactional;
        }
        let offsets = (0..).map(|index| appended.base_offset.plus(index));
        for (offset, (key, value)) in offsets.zip(texts) {
            let record = Seen {
                offset,
                timestamp_ms: NOW_MS,
                key: key.as_bytes().to_vec(),
                value: value.map(|value| value.as_bytes().to_vec()),
                headers: headers
                    .iter()
                    .map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec)))
                    .collect(),
            };
            self.written.insert(offset, Written { record, txn });
        }
    }

    fn random_record(&mut self) -> (String, Option<String>) {
        let key = format!("key {}", self.random.below(KEYS));
        let value_bytes = self.random.below(60) as usize;
        let value = (!self.random.one_in(6)).then(|| "v".repeat(value_bytes));
        (key, value)
    }

    /// By the old protocol, or by the new one, in which the epoch grows.
    fn end(&mut self, log: &Partition, producer: usize) {
        let marker = if self.random.one_in(2) {
            EndMarker::Commit
        } else {
            EndMarker::Abort
        };
        let transaction_version = 1 + self.random.below(2) as i16;
        let state = &mut self.producers[producer];
        if transaction_version == 2 {
            state.epoch += 1;
            state.next_sequence = 0;
        }
        state.is_in_txn = false;
        let epoch = ProducerEpoch(state.epoch);
        let batch = marker.batch(ProducerId(producer as i64), epoch, 1, NOW_MS);
        let options = AppendOptions {
            transaction_version,
            ..AppendOptions::coordinator(NOW_MS)
        };
        let at = log.append(&batch, options).expect("it ends").base_offset;
        for written in self.written.values_mut() {
            if let Some(txn) = &mut written.txn
                && txn.producer == producer
                && txn.end.is_none()
            {
                txn.end = Some((at, marker));
            }
        }
    }

    /// What should be there when everything from `end` on was lost. Nothing can be appended then.
    pub(crate) fn truncated(&self, end: Offset) -> Workload {
        let mut written = self.written.clone();
        written.retain(|offset, _| *offset < end);
        for written in written.values_mut() {
            if let Some(txn) = &mut written.txn {
                txn.end = txn.end.filter(|(marker, _)| *marker < end);
            }
        }
        Workload {
            random: self.random.clone(),
            producers: self.producers,
            written,
        }
    }

    /// Checks what is in the log, which was compacted below `compacted` perhaps and not at all from
    /// `untouched` on: whoever reads it gets the last value of every key, and nothing that was not
    /// written.
    pub(crate) fn check(&self, log: &Partition, untouched: Offset, context: &str) {
        let plain = records::read(log, log.log_start(), ReadLimit::LogEnd);
        for pair in plain.windows(2) {
            assert!(pair[0].offset < pair[1].offset, "{context}");
        }
        for record in &plain {
            let written = self.written.get(&record.offset);
            assert_eq!(written.map(|it| &it.record), Some(record), "{context}");
        }
        let offsets: BTreeSet<Offset> = plain.iter().map(|record| record.offset).collect();
        for (offset, written) in &self.written {
            let must_be_there = *offset >= untouched || written.is_open();
            assert!(
                !must_be_there || offsets.contains(offset),
                "{offset} is missing: {context}"
            );
        }
        let committed = records::read_committed(log, log.log_start());
        for record in &committed {
            let is_committed = self.written[&record.offset].is_committed();
            assert!(is_committed, "{}: {context}", record.offset);
        }
        let found = fold(committed.iter());
        let last_stable = log.last_stable();
        let expected = fold(
            self.written
                .range(..last_stable)
                .filter(|(_, written)| written.is_committed())
                .map(|(_, written)| &written.record),
        );
        assert_eq!(found, expected, "{context}");
    }

    /// Checks that the last value of every key that was there for good below `promised_end` is
    /// there, or another one that was committed later.
    pub(crate) fn check_promised(&self, log: &Partition, promised_end: Offset, context: &str) {
        let seen = records::read(log, log.log_start(), ReadLimit::LogEnd);
        let promised = self.truncated(promised_end);
        let promised = promised.written.values().filter(|it| it.is_committed());
        for (key, (offset, _)) in fold(promised.map(|it| &it.record)) {
            let is_there = seen.iter().any(|record| {
                record.key == key
                    && record.offset >= offset
                    && self.written[&record.offset].is_committed()
            });
            assert!(is_there, "{offset} is missing: {context}");
        }
    }

    /// Checks that below `cleaned_to`, up to where the log has just been compacted, no key is left
    /// twice.
    pub(crate) fn check_compacted(&self, log: &Partition, cleaned_to: Offset, context: &str) {
        let mut keys = BTreeSet::new();
        for record in records::read(log, log.log_start(), ReadLimit::LogEnd) {
            if record.offset < cleaned_to {
                let is_first = keys.insert(record.key.clone());
                assert!(is_first, "{record:?}: {context}");
            }
        }
    }
}

/// The last value of every key that has one.
pub(crate) fn fold<'a>(
    records: impl Iterator<Item = &'a Seen>,
) -> BTreeMap<Vec<u8>, (Offset, Vec<u8>)> {
    let mut last = BTreeMap::new();
    for record in records {
        match &record.value {
            Some(value) => last.insert(record.key.clone(), (record.offset, value.clone())),
            None => last.remove(&record.key),
        };
    }
    last
}
