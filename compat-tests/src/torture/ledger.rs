//! A history by transactions, records and readers: what the checks look things up in.

use std::collections::{BTreeMap, HashMap};

use crate::torture::failure::{Failure, Outcome};
use crate::torture::history::{History, Item, Place, Source, TransactionNumber, Value, What};

/// The index of an event in its history.
pub type Line = usize;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The commit was acknowledged.
    Committed,
    /// A commit was never asked for, or refused.
    Aborted,
    /// A commit was asked for and the answer did not arrive: all or nothing.
    Unknown,
}

#[derive(Debug)]
pub struct Transaction {
    pub transactional_id: String,
    pub began_ms: u64,
    pub timeout_ms: u64,
    pub fate: Fate,
    /// When a commit was first asked for.
    pub commit_asked: Option<Line>,
    pub writes: Vec<Value>,
}

#[derive(Debug)]
pub struct Write {
    pub transaction: TransactionNumber,
    pub place: Place,
    pub source: Option<Source>,
    /// The acknowledged offset.
    pub offset: Option<i64>,
}

/// One record or marker that a reader was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub offset: i64,
    pub item: Item,
}

#[derive(Debug)]
pub struct Reader {
    pub name: String,
    pub is_committed: bool,
    pub is_final: bool,
    /// In the order of arrival.
    pub seen: BTreeMap<Place, Vec<Seen>>,
}

impl Reader {
    /// The records that were seen, without markers.
    pub fn records(&self) -> impl Iterator<Item = (&Place, i64, Value)> {
        self.seen.iter().flat_map(|(place, all)| {
            all.iter().filter_map(move |seen| match seen.item {
                Item::Record(value) => Some((place, seen.offset, value)),
                Item::CommitMarker | Item::AbortMarker | Item::Garbage => None,
            })
        })
    }
}

#[derive(Debug)]
pub struct Ledger {
    pub transactions: BTreeMap<TransactionNumber, Transaction>,
    pub writes: HashMap<Value, Write>,
    pub readers: Vec<Reader>,
    /// The transactional id of every client.
    pub clients: HashMap<String, String>,
}

impl Ledger {
    /// An error when the history mentions what it never introduced.
    pub fn of(history: &History) -> Outcome<Self> {
        let mut ledger = Self {
            transactions: BTreeMap::new(),
            writes: HashMap::new(),
            readers: Vec::new(),
            clients: HashMap::new(),
        };
        for (line, event) in history.events.iter().enumerate() {
            ledger
                .enter(line, event.at_ms, &event.what)
                .map_err(|failure| failure.during(format!("event {line}")))?;
        }
        Ok(ledger)
    }

    /// The reader that read everything at this isolation after the last write.
    pub fn final_reader(&self, is_committed: bool) -> Outcome<&Reader> {
        self.readers
            .iter()
            .find(|reader| reader.is_final && reader.is_committed == is_committed)
            .ok_or_else(|| Failure::new("the history has no final read"))
    }

    fn enter(&mut self, line: Line, at_ms: u64, what: &What) -> Outcome<()> {
        match what {
            What::Client {
                name,
                transactional_id,
            } => {
                self.clients.insert(name.clone(), transactional_id.clone());
            }
            What::Begin {
                transaction,
                client,
                timeout_ms,
            } => {
                let transactional_id = self
                    .clients
                    .get(client)
                    .ok_or_else(|| Failure::new(format!("nobody is called {client}")))?;
                let fresh = Transaction {
                    transactional_id: transactional_id.clone(),
                    began_ms: at_ms,
                    timeout_ms: *timeout_ms,
                    fate: Fate::Aborted,
                    commit_asked: None,
                    writes: Vec::new(),
                };
                self.transactions.insert(*transaction, fresh);
            }
            What::Write {
                transaction,
                value,
                place,
                source,
            } => {
                self.transaction(*transaction)?.writes.push(*value);
                let write = Write {
                    transaction: *transaction,
                    place: place.clone(),
                    source: *source,
                    offset: None,
                };
                if self.writes.insert(*value, write).is_some() {
                    return Err(Failure::new(format!("value {value} is written twice")));
                }
            }
            What::Acked { value, offset } => {
                let write = self.writes.get_mut(value);
                write
                    .ok_or_else(|| Failure::new(format!("nobody writes {value}")))?
                    .offset = Some(*offset);
            }
            What::Ending {
                transaction,
                commits: true,
            } => {
                let transaction = self.transaction(*transaction)?;
                transaction.commit_asked.get_or_insert(line);
                transaction.fate = Fate::Unknown;
            }
            What::Committed { transaction } => {
                self.transaction(*transaction)?.fate = Fate::Committed;
            }
            What::Refused { transaction } => self.transaction(*transaction)?.fate = Fate::Aborted,
            What::Reader {
                name,
                is_committed,
                is_final,
            } => self.readers.push(Reader {
                name: name.clone(),
                is_committed: *is_committed,
                is_final: *is_final,
                seen: BTreeMap::new(),
            }),
            What::Saw {
                reader,
                place,
                items,
                ..
            } => {
                let found = self.readers.iter_mut().find(|it| it.name == *reader);
                let reader =
                    found.ok_or_else(|| Failure::new(format!("no reader is called {reader}")))?;
                let seen = reader.seen.entry(place.clone()).or_default();
                seen.extend(items.iter().map(|(offset, item)| Seen {
                    offset: *offset,
                    item: *item,
                }));
            }
            What::Killed
            | What::Restarted
            | What::Topic { .. }
            | What::Init { .. }
            | What::Ready { .. }
            | What::WriteFailed { .. }
            | What::Ending { commits: false, .. }
            | What::Aborted { .. }
            | What::Unclear { .. }
            | What::Crash
            | What::Zombie
            | What::Stalled
            | What::Trouble { .. }
            | What::Offset { .. }
            | What::End { .. }
            | What::Stuck { .. }
            | What::Note
            | What::Done => {}
        }
        Ok(())
    }

    fn transaction(&mut self, number: TransactionNumber) -> Outcome<&mut Transaction> {
        self.transactions
            .get_mut(&number)
            .ok_or_else(|| Failure::new(format!("transaction {number} never began")))
    }
}
