//! What happened in a run, in the order in which it became known: one event per line, as text that a person can read.
//!
//! A line is `MILLISECONDS KIND FIELD...`, separated by tabs. What a client is about to ask stands before the request
//! left, what it was told stands after the answer arrived. So when line A stands before line B, A did not happen after B.

use std::fmt;

use crate::torture::failure::{Failure, Outcome};

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub topic: String,
    pub partition: i32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// The number of a transaction, unique in a history.
pub type TransactionNumber = u64;

/// What a record holds; every written record has a value of its own.
pub type Value = u64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Wall clock of the machine that clients and server share.
    pub at_ms: u64,
    pub what: What,
}

/// Where the input record of a copy stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    pub partition: i32,
    pub offset: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The server was killed with SIGKILL.
    Killed,
    /// It serves again.
    Restarted,
    Topic {
        name: String,
        partitions: i32,
    },
    /// A life of a transactional client begins.
    Client {
        name: String,
        transactional_id: String,
    },
    /// The client is about to send InitProducerId, which ends what its transactional id had open.
    Init {
        client: String,
    },
    Ready {
        client: String,
    },
    Begin {
        transaction: TransactionNumber,
        client: String,
        timeout_ms: u64,
    },
    /// A record is about to be sent.
    Write {
        transaction: TransactionNumber,
        value: Value,
        place: Place,
        source: Option<Source>,
    },
    Acked {
        value: Value,
        offset: i64,
    },
    WriteFailed {
        value: Value,
    },
    /// EndTxn is about to be sent.
    Ending {
        transaction: TransactionNumber,
        commits: bool,
    },
    Committed {
        transaction: TransactionNumber,
    },
    Aborted {
        transaction: TransactionNumber,
    },
    /// The only answer to the commit, if one was asked for, was that the producer is fenced.
    Refused {
        transaction: TransactionNumber,
    },
    /// Nobody knows how the transaction ended.
    Unclear {
        transaction: TransactionNumber,
    },
    Crash,
    Zombie,
    /// A client gave up on answers that did not come.
    Stalled,
    Reader {
        name: String,
        is_committed: bool,
        /// Started when nothing was written any more, and read everything.
        is_final: bool,
    },
    Saw {
        reader: String,
        place: Place,
        /// The ends that came with the records; they may be older than these.
        high_watermark: i64,
        last_stable_offset: i64,
        items: Vec<(i64, Item)>,
    },
    /// A client met what no client should meet; a reader lost its position.
    Trouble {
        who: String,
        place: Place,
        why: String,
    },
    /// The group's committed offset.
    Offset {
        place: Place,
        offset: i64,
    },
    /// Log end and last stable offset, once nothing is open.
    End {
        place: Place,
        offset: i64,
    },
    /// Something that must come to an end did not.
    Stuck {
        what: String,
    },
    Note,
    Done,
}

/// What stands at an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    Record(Value),
    CommitMarker,
    AbortMarker,
    /// Bytes that no client wrote.
    Garbage,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    pub events: Vec<Event>,
}

impl History {
    /// Reads the lines of a history; one that is not understood is an error, for a gap could hide an anomaly.
    pub fn parse(text: &str) -> Outcome<Self> {
        let events = text
            .lines()
            .map(|line| {
                parse_line(line).map_err(|failure| failure.during(format!("line {line:?}")))
            })
            .collect::<Outcome<Vec<_>>>()?;
        Ok(Self { events })
    }
}

fn parse_line(line: &str) -> Outcome<Event> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [at_ms, kind, rest @ ..] = &fields[..] else {
        return Err(Failure::new("no time and kind"));
    };
    Ok(Event {
        at_ms: number(at_ms)?,
        what: parse_what(kind, rest)?,
    })
}

fn parse_what(kind: &str, fields: &[&str]) -> Outcome<What> {
    Ok(match (kind, fields) {
        ("kill", []) => What::Killed,
        ("restart", []) => What::Restarted,
        ("topic", [name, partitions]) => What::Topic {
            name: (*name).to_owned(),
            partitions: number(partitions)?,
        },
        ("client", [name, transactional_id]) => What::Client {
            name: (*name).to_owned(),
            transactional_id: (*transactional_id).to_owned(),
        },
        ("init", [client]) => What::Init {
            client: (*client).to_owned(),
        },
        ("ready", [client, _, _]) => What::Ready {
            client: (*client).to_owned(),
        },
        ("reader", [name, level, span]) => What::Reader {
            name: (*name).to_owned(),
            is_committed: either(level, "committed", "uncommitted")?,
            is_final: either(span, "final", "running")?,
        },
        ("saw", [reader, topic, partition, high_watermark, stable, items]) => What::Saw {
            reader: (*reader).to_owned(),
            place: place(topic, partition)?,
            high_watermark: number(high_watermark)?,
            last_stable_offset: number(stable)?,
            items: items.split(' ').map(item).collect::<Outcome<_>>()?,
        },
        ("trouble", [who, topic, partition, why]) => What::Trouble {
            who: (*who).to_owned(),
            place: place(topic, partition)?,
            why: (*why).to_owned(),
        },
        ("offset", [_, topic, partition, offset]) => What::Offset {
            place: place(topic, partition)?,
            offset: number(offset)?,
        },
        ("end", [topic, partition, offset]) => What::End {
            place: place(topic, partition)?,
            offset: number(offset)?,
        },
        ("stuck", [what]) => What::Stuck {
            what: (*what).to_owned(),
        },
        ("crash", [_]) => What::Crash,
        ("zombie", [_]) => What::Zombie,
        ("stalled", [_, _]) => What::Stalled,
        ("note", [_, _]) => What::Note,
        ("done", []) => What::Done,
        _ => parse_transactional(kind, fields)?,
    })
}

fn parse_transactional(kind: &str, fields: &[&str]) -> Outcome<What> {
    let [transaction, rest @ ..] = fields else {
        return Err(Failure::new("not an event"));
    };
    let transaction = number(transaction)?;
    Ok(match (kind, rest) {
        ("begin", [client, timeout_ms]) => What::Begin {
            transaction,
            client: (*client).to_owned(),
            timeout_ms: number(timeout_ms)?,
        },
        ("write", [value, topic, partition, from_partition, from_offset]) => What::Write {
            transaction,
            value: number(value)?,
            place: place(topic, partition)?,
            source: source(from_partition, from_offset)?,
        },
        ("ack", [value, offset]) => What::Acked {
            value: number(value)?,
            offset: number(offset)?,
        },
        ("fail", [value, _]) => What::WriteFailed {
            value: number(value)?,
        },
        ("ending", [verdict]) => What::Ending {
            transaction,
            commits: either(verdict, "commit", "abort")?,
        },
        ("committed", []) => What::Committed { transaction },
        ("aborted", []) => What::Aborted { transaction },
        ("refused", [_]) => What::Refused { transaction },
        ("unclear", [_]) => What::Unclear { transaction },
        _ => return Err(Failure::new("not an event")),
    })
}

fn number<T: std::str::FromStr>(text: &str) -> Outcome<T> {
    text.parse()
        .map_err(|_| Failure::new(format!("{text:?} is not a number")))
}

fn place(topic: &str, partition: &str) -> Outcome<Place> {
    Ok(Place {
        topic: topic.to_owned(),
        partition: number(partition)?,
    })
}

fn source(partition: &str, offset: &str) -> Outcome<Option<Source>> {
    if partition == "-" {
        return Ok(None);
    }
    Ok(Some(Source {
        partition: number(partition)?,
        offset: number(offset)?,
    }))
}

fn either(text: &str, yes: &str, no: &str) -> Outcome<bool> {
    if text == yes || text == no {
        return Ok(text == yes);
    }
    Err(Failure::new(format!("{text:?} is neither {yes} nor {no}")))
}

/// `12=345` is value 345 at offset 12, `12=?` bytes that nobody wrote; `13#commit` and `13#abort` are markers.
fn item(text: &str) -> Outcome<(i64, Item)> {
    if let Some((offset, value)) = text.split_once('=') {
        let item = match value {
            "?" => Item::Garbage,
            value => Item::Record(number(value)?),
        };
        return Ok((number(offset)?, item));
    }
    let (offset, marker) = text
        .split_once('#')
        .ok_or_else(|| Failure::new(format!("{text:?} is not a record")))?;
    let item = if either(marker, "commit", "abort")? {
        Item::CommitMarker
    } else {
        Item::AbortMarker
    };
    Ok((number(offset)?, item))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_not_understood_is_an_error() {
        for line in [
            "",
            "5",
            "5\tbegan\t1",
            "x\tdone",
            "5\tack\t1\t2",
            "5\tending\t1\tmaybe",
            "5\tsaw\tr\tt\t0\t1\t1\t",
            "5\tsaw\tr\tt\t0\t1\t1\t3-4",
        ] {
            assert!(History::parse(&format!("{line}\n")).is_err(), "{line:?}");
        }
    }

    #[test]
    fn reads_are_offsets_with_values_and_markers() {
        let history = History::parse("5\tsaw\tr\tt\t1\t9\t8\t3=7 4=? 5#commit 6#abort\n")
            .expect("a well-formed line");
        let What::Saw { items, place, .. } = &history.events[0].what else {
            panic!("not a read");
        };
        assert_eq!(place.to_string(), "t-1");
        let expected = [
            (3, Item::Record(7)),
            (4, Item::Garbage),
            (5, Item::CommitMarker),
            (6, Item::AbortMarker),
        ];
        assert_eq!(items[..], expected);
    }
}
