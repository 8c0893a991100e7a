//! The judge is judged: every kind of anomaly, put into a recorded history that has none, is found.
//!
//! `fixtures/good.history` was recorded with two writers and two copiers on Apache Kafka 4.3.1.

use std::collections::BTreeSet;

use crate::torture::anomaly::Kind;
use crate::torture::check::check;
use crate::torture::history::{Event, History, Item, Place, TransactionNumber, Value, What};
use crate::torture::ledger::{Fate, Ledger};

const GOOD: &str = include_str!("fixtures/good.history");

const AUDIT: &str = "torture-audit";

fn good() -> History {
    History::parse(GOOD).expect("the recorded history is well formed")
}

fn kinds(history: &History) -> BTreeSet<Kind> {
    let anomalies = check(history).expect("the history hangs together");
    anomalies.iter().map(|anomaly| anomaly.kind).collect()
}

/// Exactly these kinds of anomaly are found.
#[track_caller]
fn assert_found(history: &History, expected: &[Kind]) {
    let anomalies = check(history).expect("the history hangs together");
    let stories: Vec<String> = anomalies.iter().map(ToString::to_string).collect();
    let expected: BTreeSet<Kind> = expected.iter().copied().collect();
    assert_eq!(kinds(history), expected, "{stories:#?}");
}

/// A record of the recorded history.
#[derive(Debug, Clone)]
struct Recorded {
    value: Value,
    place: Place,
    offset: i64,
    transaction: TransactionNumber,
}

/// The acknowledged records of transactions with this fate, by value.
fn records(history: &History, fate: Fate) -> Vec<Recorded> {
    let ledger = Ledger::of(history).expect("the history hangs together");
    let mut records: Vec<Recorded> = ledger
        .writes
        .iter()
        .filter(|(_, write)| ledger.transactions[&write.transaction].fate == fate)
        .filter_map(|(value, write)| {
            Some(Recorded {
                value: *value,
                place: write.place.clone(),
                offset: write.offset?,
                transaction: write.transaction,
            })
        })
        .collect();
    records.sort_by_key(|record| record.value);
    records
}

fn is_copy(history: &History, value: Value) -> bool {
    let ledger = Ledger::of(history).expect("the history hangs together");
    ledger.writes[&value].source.is_some()
}

/// A committed record of a topic that nobody copies from, and its transaction has others.
fn committed_beside_others(history: &History) -> Recorded {
    let all = records(history, Fate::Committed);
    let of = |number| all.iter().filter(|it| it.transaction == number).count();
    all.iter()
        .find(|it| it.place.topic == AUDIT && of(it.transaction) > 1)
        .expect("the recorded history has one")
        .clone()
}

/// Edits what readers were given; a reader and partition that is left with nothing in an event loses the event.
fn edit_reads(
    history: &mut History,
    is_meant: impl Fn(&str) -> bool,
    place: &Place,
    edit: impl Fn(&mut Vec<(i64, Item)>),
) {
    for event in &mut history.events {
        if let What::Saw {
            reader,
            place: at,
            items,
            ..
        } = &mut event.what
            && is_meant(reader)
            && at == place
        {
            edit(items);
        }
    }
    history
        .events
        .retain(|event| !matches!(&event.what, What::Saw { items, .. } if items.is_empty()));
}

fn hide(history: &mut History, is_meant: impl Fn(&str) -> bool, record: &Recorded) {
    edit_reads(history, is_meant, &record.place, |items| {
        items.retain(|(offset, _)| *offset != record.offset);
    });
}

fn replace(history: &mut History, is_meant: impl Fn(&str) -> bool, record: &Recorded, new: Item) {
    edit_reads(history, is_meant, &record.place, |items| {
        for (offset, item) in items {
            if *offset == record.offset {
                *item = new;
            }
        }
    });
}

/// Gives readers one more item, in the event in which they get past its offset.
fn show(history: &mut History, is_meant: impl Fn(&str) -> bool, place: &Place, given: (i64, Item)) {
    let mut served = BTreeSet::new();
    for event in &mut history.events {
        if let What::Saw {
            reader,
            place: at,
            items,
            ..
        } = &mut event.what
            && is_meant(reader)
            && at == place
            && items.last().is_some_and(|(last, _)| *last > given.0)
            && served.insert(reader.clone())
        {
            items.push(given);
            items.sort();
        }
    }
    assert!(!served.is_empty(), "nobody reads past {given:?}");
}

fn committed(reader: &str) -> bool {
    reader != "reader-u" && reader != "final-uncommitted"
}

fn everybody(_: &str) -> bool {
    true
}

fn only_a(reader: &str) -> bool {
    reader == "reader-a"
}

fn position(history: &History, is_it: impl Fn(&What) -> bool) -> usize {
    let mut events = history.events.iter();
    events
        .position(|event| is_it(&event.what))
        .expect("the recorded history has one")
}

/// The last offsets of a partition, marker included, as the final reader of everything saw them.
fn end_of(history: &History, place: &Place) -> i64 {
    let ledger = Ledger::of(history).expect("the history hangs together");
    let reader = ledger.final_reader(false).expect("a final read");
    reader.seen[place].last().expect("records").offset
}

fn before_done(history: &mut History, what: What) {
    let done = position(history, |what| *what == What::Done);
    let at_ms = history.events[done].at_ms;
    history.events.insert(done, Event { at_ms, what });
}

#[test]
fn a_good_history_has_no_anomaly() {
    assert_found(&good(), &[]);
    let ledger = Ledger::of(&good()).expect("the history hangs together");
    for fate in [Fate::Committed, Fate::Aborted, Fate::Unknown] {
        let transactions = ledger.transactions.values();
        assert!(transactions.clone().any(|it| it.fate == fate), "{fate:?}");
    }
}

#[test]
fn a_committed_transaction_that_nobody_can_see_is_lost() {
    let mut history = good();
    let all = records(&history, Fate::Committed);
    let lost = all
        .iter()
        .find(|it| {
            all.iter()
                .all(|other| other.transaction != it.transaction || other.place.topic == AUDIT)
        })
        .expect("a transaction that writes to the audit alone");
    for record in all.iter().filter(|it| it.transaction == lost.transaction) {
        hide(&mut history, committed, record);
    }
    assert_found(&history, &[Kind::Lost]);

    // Without the acknowledgement of the commit, nothing is wrong with it.
    history.events.retain(|event| {
        event.what
            != What::Committed {
                transaction: lost.transaction,
            }
    });
    assert_found(&history, &[]);
}

#[test]
fn an_acknowledged_record_that_is_not_in_the_log_is_lost_even_if_it_was_aborted() {
    let mut history = good();
    let record = records(&history, Fate::Aborted).remove(0);
    hide(&mut history, everybody, &record);
    assert_found(&history, &[Kind::Lost, Kind::NonMonotonicPoll]);
}

#[test]
fn a_record_that_was_seen_and_is_gone_in_the_end_is_lost() {
    let mut history = good();
    let record = committed_beside_others(&history);
    hide(&mut history, |reader| reader == "final-committed", &record);
    assert_found(&history, &[Kind::Lost, Kind::HalfVisible]);
}

#[test]
fn a_value_at_two_offsets_is_duplicated() {
    let mut history = good();
    let all = records(&history, Fate::Committed);
    let record = all.iter().rfind(|it| it.place.topic == AUDIT).expect("one");
    let end = end_of(&history, &record.place);
    edit_reads(&mut history, everybody, &record.place, |items| {
        if items.last().is_some_and(|(last, _)| *last == end) {
            items.push((end + 1, Item::Record(record.value)));
        }
    });
    // The second of the two stands behind what its producer sent later.
    assert_found(&history, &[Kind::Duplicated, Kind::Reordered]);
}

#[test]
fn records_of_one_producer_in_another_order_are_reordered() {
    let mut history = good();
    let all = records(&history, Fate::Committed);
    let is_next = |a: &Recorded, b: &Recorded| {
        a.transaction == b.transaction && a.place == b.place && a.offset + 1 == b.offset
    };
    let (a, b) = all
        .iter()
        .flat_map(|a| all.iter().map(move |b| (a, b)))
        .find(|(a, b)| is_next(a, b) && a.place.topic == AUDIT)
        .expect("two records side by side");
    replace(&mut history, everybody, a, Item::Record(b.value));
    replace(&mut history, everybody, b, Item::Record(a.value));
    for event in &mut history.events {
        if let What::Acked { value, offset } = &mut event.what {
            if *value == a.value {
                *offset = b.offset;
            } else if *value == b.value {
                *offset = a.offset;
            }
        }
    }
    assert_found(&history, &[Kind::Reordered]);
}

#[test]
fn copies_in_another_order_than_their_input_are_reordered() {
    let mut history = good();
    let all = records(&history, Fate::Committed);
    let copies: Vec<Value> = all
        .iter()
        .map(|it| it.value)
        .filter(|value| is_copy(&history, *value))
        .collect();
    let sources =
        |history: &History, value| Ledger::of(history).expect("good").writes[&value].source;
    let (a, b) = copies
        .iter()
        .flat_map(|a| copies.iter().map(move |b| (*a, *b)))
        .find(|(a, b)| {
            let of = |value: Value| {
                let record = all.iter().find(|it| it.value == value).expect("one");
                (
                    record.transaction,
                    record.place.clone(),
                    sources(&history, value).map(|it| it.partition),
                )
            };
            a < b && of(*a) == of(*b)
        })
        .expect("two copies of one transaction from one partition");
    let (from_a, from_b) = (sources(&history, a), sources(&history, b));
    for event in &mut history.events {
        if let What::Write { value, source, .. } = &mut event.what {
            if *value == a {
                *source = from_b;
            } else if *value == b {
                *source = from_a;
            }
        }
    }
    assert_found(&history, &[Kind::Reordered]);
}

#[test]
fn a_record_of_an_aborted_transaction_is_an_aborted_read() {
    for is_meant in [committed, only_a] {
        let mut history = good();
        let all = records(&history, Fate::Aborted);
        let record = all.iter().find(|it| it.place.topic == AUDIT).expect("one");
        let item = (record.offset, Item::Record(record.value));
        show(&mut history, is_meant, &record.place, item);
        let found = kinds(&history);
        assert!(found.contains(&Kind::AbortedRead), "{found:?}");
    }
}

#[test]
fn a_record_that_is_read_before_anybody_asks_for_the_commit_is_an_aborted_read() {
    let mut history = good();
    let record = committed_beside_others(&history);
    let ending = position(
        &history,
        |what| matches!(what, What::Ending { transaction, .. } if *transaction == record.transaction),
    );
    let event = history.events.remove(ending);
    let seen = position(&history, |what| {
        matches!(what, What::Saw { reader, place, items, .. } if committed(reader)
            && *place == record.place
            && items.contains(&(record.offset, Item::Record(record.value))))
    });
    history.events.insert(seen + 1, event);
    let found = kinds(&history);
    assert!(found.contains(&Kind::AbortedRead), "{found:?}");
}

#[test]
fn a_transaction_of_which_a_part_is_missing_is_half_visible_whether_or_not_the_commit_was_acknowledged()
 {
    let mut history = good();
    let record = committed_beside_others(&history);
    hide(&mut history, committed, &record);
    assert_found(&history, &[Kind::HalfVisible]);

    history.events.retain(|event| {
        event.what
            != What::Committed {
                transaction: record.transaction,
            }
    });
    assert_found(&history, &[Kind::HalfVisible]);
}

#[test]
fn a_record_that_a_running_reader_passes_over_is_unseen() {
    let mut history = good();
    let record = committed_beside_others(&history);
    hide(&mut history, only_a, &record);
    assert_found(&history, &[Kind::Unseen]);
}

#[test]
fn offsets_that_go_back_stand_still_or_get_lost_are_a_non_monotonic_poll() {
    let is_read = |what: &What| matches!(what, What::Saw { reader, items, .. } if reader == "reader-a" && items.len() > 1);
    let mut swapped = good();
    let at = position(&swapped, is_read);
    if let What::Saw { items, .. } = &mut swapped.events[at].what {
        items.swap(0, 1);
    }
    assert_found(&swapped, &[Kind::NonMonotonicPoll]);

    let mut repeated = good();
    let again = repeated.events[at].clone();
    repeated.events.insert(at + 1, again);
    assert_found(&repeated, &[Kind::NonMonotonicPoll]);

    let mut forgotten = good();
    let trouble = What::Trouble {
        who: "reader-a".to_owned(),
        place: Place {
            topic: AUDIT.to_owned(),
            partition: 0,
        },
        why: "OFFSET_OUT_OF_RANGE".to_owned(),
    };
    before_done(&mut forgotten, trouble);
    assert_found(&forgotten, &[Kind::NonMonotonicPoll]);
}

/// Takes the request to end away from transaction after transaction, so that they count as open until their
/// transactional id is used again. Those that somebody reads past meanwhile are found, and nothing else is.
#[test]
fn a_read_beyond_an_open_transaction_is_found() {
    let aborted: BTreeSet<TransactionNumber> = records(&good(), Fate::Aborted)
        .into_iter()
        .map(|record| record.transaction)
        .collect();
    let mut found = 0;
    for number in aborted {
        let mut history = good();
        history.events.retain(|event| {
            !matches!(event.what, What::Ending { transaction, .. } if transaction == number)
        });
        let kinds: Vec<Kind> = kinds(&history).into_iter().collect();
        match kinds[..] {
            [] => {}
            [Kind::ReadPastStableOffset] => found += 1,
            _ => panic!("{kinds:?} after transaction {number}"),
        }
    }
    assert!(found > 0, "nobody read past anything");
}

#[test]
fn two_stories_about_one_offset_are_found() {
    let mut history = good();
    let record = committed_beside_others(&history);
    replace(&mut history, only_a, &record, Item::CommitMarker);
    assert_found(
        &history,
        &[Kind::TwoValuesAtOneOffset, Kind::Unseen, Kind::Lost],
    );

    let mut history = good();
    for event in &mut history.events {
        if let What::Acked { value, offset } = &mut event.what
            && *value == record.value
        {
            *offset -= 1;
        }
    }
    assert_found(&history, &[Kind::TwoValuesAtOneOffset]);
}

#[test]
fn input_that_is_copied_twice_or_never_is_not_exactly_once() {
    let mut history = good();
    let all = records(&history, Fate::Committed);
    let copies: Vec<&Recorded> = all
        .iter()
        .filter(|it| is_copy(&history, it.value))
        .collect();
    let never = copies[copies.len() / 2];
    hide(&mut history, committed, never);
    let found = kinds(&history);
    assert!(found.contains(&Kind::NotExactlyOnce), "{found:?}");

    // One input record becomes the source of two copies, and another one of none.
    let mut history = good();
    let (a, b) = (copies[0].value, copies[copies.len() - 1].value);
    let taken = Ledger::of(&history).expect("good").writes[&a].source;
    for event in &mut history.events {
        if let What::Write { value, source, .. } = &mut event.what
            && *value == b
        {
            *source = taken;
        }
    }
    let found = kinds(&history);
    assert!(found.contains(&Kind::NotExactlyOnce), "{found:?}");
}

#[test]
fn committed_offsets_that_no_transaction_stands_behind_are_not_exactly_once() {
    let history = good();
    let last = position(&history, |what| matches!(what, What::Offset { .. }));
    let What::Offset { place, offset } = history.events[last].what.clone() else {
        panic!("not an offset");
    };

    let mut ahead = history.clone();
    before_done(
        &mut ahead,
        What::Offset {
            place: place.clone(),
            offset: offset + 100_000,
        },
    );
    assert_found(&ahead, &[Kind::NotExactlyOnce]);

    let mut back = history.clone();
    before_done(&mut back, What::Offset { place, offset });
    assert_found(&back, &[Kind::NotExactlyOnce]);

    // Visible before the commit was asked for.
    let mut early = history;
    let event = early.events.remove(last);
    early.events.insert(0, event);
    assert_found(&early, &[Kind::NotExactlyOnce]);
}

#[test]
fn a_record_that_nobody_wrote_is_a_phantom() {
    for unheard_of in [Item::Record(9_999_999), Item::Garbage] {
        let mut history = good();
        let record = committed_beside_others(&history);
        let end = end_of(&history, &record.place);
        edit_reads(&mut history, everybody, &record.place, |items| {
            if items.last().is_some_and(|(last, _)| *last == end) {
                items.push((end + 1, unheard_of));
            }
        });
        assert_found(&history, &[Kind::Phantom]);
    }
}

#[test]
fn a_history_without_an_end_is_stuck() {
    let mut history = good();
    let done = position(&history, |what| *what == What::Done);
    history.events.remove(done);
    assert_found(&history, &[Kind::Stuck]);

    let mut history = good();
    let what = "a transaction is open that nobody will end".to_owned();
    before_done(&mut history, What::Stuck { what });
    assert_found(&history, &[Kind::Stuck]);
}
