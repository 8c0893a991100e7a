//! Every anomaly is put into a sound run, one at a time, and must be found.

use std::time::Duration;

use crate::soak::anomaly::{Anomaly, Kind};
use crate::soak::check::{
    Bounds, Commits, Files, Read, Sample, Seen, Visibility, check_append, check_commit,
    check_compacted, check_files, check_resources,
};
use crate::soak::content::{Style, mark_of, number_of};
use crate::soak::ledger::Ledger;

const STYLE: Style = Style {
    keys: 8,
    has_tombstones: true,
};

const SEED: u64 = 5;

/// A ledger with 100 acknowledged records from offset 0 on.
fn ledger() -> Ledger {
    let mut ledger = Ledger::new("log-0".to_owned(), 1, SEED, STYLE);
    let numbers = ledger.ask(100);
    assert_eq!(ledger.ack(0, &numbers), []);
    ledger.publish(0, &numbers);
    ledger
}

/// A sound read of it.
fn read() -> Read {
    let records = (0..100).map(|offset| Seen {
        offset,
        number: Ok(number_of(1, offset as u64 + 1)),
    });
    Read {
        from: 0,
        next: 100,
        known_log_start: 0,
        log_start: 0,
        records: records.collect(),
        visibility: Visibility::All,
    }
}

fn mark_at(offset: i64) -> crate::soak::content::Mark {
    mark_of(SEED, STYLE, number_of(1, offset as u64 + 1))
}

/// The read as a perfect cleaner leaves it: the last record of each key.
fn cleaned() -> Read {
    let mut read = read();
    let all = read.records.clone();
    read.records.retain(|seen| {
        let key = mark_at(seen.offset).key;
        let last = all.iter().rfind(|other| mark_at(other.offset).key == key);
        last == Some(seen)
    });
    read
}

fn kinds(anomalies: &[Anomaly]) -> Vec<Kind> {
    let mut kinds: Vec<_> = anomalies.iter().map(|anomaly| anomaly.kind).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

fn judged(change: impl FnOnce(&mut Ledger, &mut Read)) -> Vec<Kind> {
    let (mut ledger, mut read) = (ledger(), read());
    change(&mut ledger, &mut read);
    kinds(&check_append(&mut ledger, &read))
}

fn judged_cleaned(change: impl FnOnce(&mut Ledger, &mut Read)) -> Vec<Kind> {
    let (mut ledger, mut read) = (ledger(), cleaned());
    change(&mut ledger, &mut read);
    let promise = ledger.promise();
    kinds(&check_compacted(&mut ledger, &promise, &read))
}

#[test]
fn a_sound_run_has_no_anomalies() {
    assert_eq!(judged(|_, _| {}), []);
    assert_eq!(judged_cleaned(|_, _| {}), []);
    let uncleaned = judged_cleaned(|_, it| it.records = read().records);
    assert_eq!(uncleaned, []);
    let from_the_middle = judged(|_, it| {
        it.from = 40;
        it.log_start = 30;
        it.records.drain(..40);
    });
    assert_eq!(from_the_middle, []);
}

#[test]
fn an_unacknowledged_record_may_be_there_or_not_but_once() {
    let with = |offsets: &'static [i64]| {
        judged(move |ledger, read| {
            let number = ledger.ask(1)[0];
            for offset in offsets {
                read.records.push(Seen {
                    offset: *offset,
                    number: Ok(number),
                });
            }
            read.next += offsets.len() as i64;
        })
    };
    assert_eq!(with(&[]), []);
    assert_eq!(with(&[100]), []);
    assert_eq!(with(&[100, 101]), [Kind::Duplicated]);
}

#[test]
fn a_missing_offset_is_a_gap() {
    let middle = judged(|_, read| drop(read.records.remove(50)));
    assert_eq!(middle, [Kind::Gap]);
    let end = judged(|_, read| drop(read.records.pop()));
    assert_eq!(end, [Kind::Gap]);
}

#[test]
fn a_record_at_a_second_offset_is_a_duplicate() {
    let kinds = judged(|ledger, read| {
        let number = number_of(1, 7);
        assert_eq!(ledger.saw(6, number), None);
        read.records.push(Seen {
            offset: 100,
            number: Ok(number),
        });
        read.next = 101;
    });
    assert_eq!(kinds, [Kind::Duplicated, Kind::Reordered].as_slice());
}

#[test]
fn an_offset_with_another_record_is_found() {
    let kinds = judged(|ledger, read| {
        let number = ledger.ask(1)[0];
        read.records[99].number = Ok(number);
    });
    assert_eq!(kinds, [Kind::OffsetReused]);
    let mut ledger = ledger();
    let numbers = ledger.ask(1);
    let anomalies = ledger.ack(99, &numbers);
    assert_eq!(self::kinds(&anomalies), [Kind::OffsetReused]);
}

#[test]
fn records_in_another_order_are_found() {
    let swapped = judged(|_, read| read.records.swap(3, 4));
    assert!(swapped.contains(&Kind::Reordered), "{swapped:?}");
    let late = judged(|ledger, read| {
        let numbers = ledger.ask(2);
        for (offset, number) in [(100, numbers[1]), (101, numbers[0])] {
            let number = Ok(number);
            read.records.push(Seen { offset, number });
        }
        read.next = 102;
    });
    assert_eq!(late, [Kind::Reordered]);
}

#[test]
fn strangers_are_phantoms_and_changed_records_are_corrupt() {
    for number in [number_of(1, 101), number_of(2, 1), number_of(1, 0), 0] {
        let kinds = judged(|_, read| read.records[99].number = Ok(number));
        assert!(kinds.contains(&Kind::Phantom), "{number:#x}: {kinds:?}");
    }
    let changed = judged(|_, read| read.records[9].number = Err("another value".to_owned()));
    assert_eq!(changed, [Kind::Corrupt]);
}

#[test]
fn a_log_start_that_goes_back_is_found() {
    let kinds = judged(|_, read| read.known_log_start = 20);
    assert_eq!(kinds, [Kind::LogStartWentBack]);
}

#[test]
fn a_key_whose_last_record_is_gone_is_lost_or_resurrected() {
    let offsets: Vec<_> = cleaned().records.iter().map(|seen| seen.offset).collect();
    let gone = |offset: i64| {
        judged_cleaned(move |_, read| read.records.retain(|seen| seen.offset != offset))
    };
    let with_older = |offset: i64| {
        judged_cleaned(move |_, it| {
            it.records = read().records;
            it.records.retain(|seen| seen.offset != offset);
        })
    };
    let mut tombstones = 0;
    for offset in offsets {
        if mark_at(offset).is_tombstone {
            tombstones += 1;
            assert_eq!(gone(offset), [], "a tombstone may go");
            assert_eq!(with_older(offset), [Kind::Resurrected]);
        } else {
            assert_eq!(gone(offset), [Kind::Lost]);
            assert_eq!(with_older(offset), [Kind::Lost]);
        }
    }
    assert!(tombstones > 0, "the seed makes some");
}

#[test]
fn a_lost_tail_of_a_compacted_log_is_found() {
    let kinds = judged_cleaned(|_, read| {
        read.records.retain(|seen| seen.offset < 90);
        read.next = 90;
    });
    assert_eq!(kinds, [Kind::Lost]);
}

#[test]
fn keys_before_the_log_start_may_be_gone() {
    let kinds = judged_cleaned(|_, read| {
        read.records.retain(|seen| seen.offset >= 97);
        read.log_start = 97;
        read.from = 97;
    });
    assert_eq!(kinds, []);
}

#[test]
fn records_that_nobody_asked_to_commit_are_not_seen_by_committed_readers() {
    let judged = |visibility: Visibility, is_revealed: bool| {
        judged_cleaned(move |ledger, read| {
            let numbers = ledger.ask_hidden(1);
            assert_eq!(ledger.ack(100, &numbers), []);
            if is_revealed {
                ledger.reveal(&numbers);
            }
            read.records.push(Seen {
                offset: 100,
                number: Ok(numbers[0]),
            });
            read.next = 101;
            read.visibility = visibility;
        })
    };
    assert_eq!(judged(Visibility::Committed, false), [Kind::AbortedRead]);
    assert_eq!(judged(Visibility::Committed, true), []);
    assert_eq!(judged(Visibility::All, false), []);
}

#[test]
fn a_commit_that_is_too_old_or_that_nobody_asked_for_is_wrong() {
    let commits = Commits {
        acked: Some(10),
        asked: Some(12),
    };
    let kind = |committed| check_commit("group", commits, committed).map(|it| it.kind);
    assert_eq!(kind(Some(10)), None);
    assert_eq!(kind(Some(12)), None);
    assert_eq!(kind(Some(9)), Some(Kind::WrongCommit));
    assert_eq!(kind(Some(13)), Some(Kind::WrongCommit));
    assert_eq!(kind(None), Some(Kind::WrongCommit));
    assert_eq!(check_commit("group", Commits::default(), None), None);
}

#[test]
fn memory_and_files_beyond_their_bounds_are_leaks() {
    let bounds = Bounds {
        resident_bytes_max: 1_000,
        open_files_base: 10,
        open_files_per_segment: 2,
        settled: Duration::from_secs(10),
        growth_bytes_max: 100,
    };
    let sample = |seconds, resident_bytes, open_files| Sample {
        age: Duration::from_secs(seconds),
        life: 1,
        resident_bytes,
        open_files,
        segments: 5,
    };
    let judged = |samples: &[Sample]| kinds(&check_resources(bounds, samples));
    let begin = [sample(0, 100, 5), sample(10, 500, 20)];
    assert_eq!(judged(&[begin[0], begin[1], sample(20, 600, 20)]), []);
    for bad in [sample(20, 601, 20), sample(20, 500, 21)] {
        assert_eq!(judged(&[begin[0], begin[1], bad]), [Kind::Leak], "{bad:?}");
    }
    assert_eq!(judged(&[sample(5, 1_001, 20)]), [Kind::Leak]);
    let other_life = Sample {
        life: 2,
        ..sample(1, 900, 20)
    };
    assert_eq!(judged(&[begin[0], begin[1], other_life]), []);
}

#[test]
fn logs_that_are_not_cleaned_or_too_large_are_found() {
    let good = Files {
        removed: 1,
        shrunk: 1,
        bytes_max: 100,
    };
    let judged = |is_compacted, files| kinds(&check_files("log", is_compacted, 100, files));
    for is_compacted in [false, true] {
        assert_eq!(judged(is_compacted, good), []);
        let large = Files {
            bytes_max: 101,
            ..good
        };
        assert_eq!(judged(is_compacted, large), [Kind::NotCleaned]);
        let idle = Files {
            removed: 0,
            shrunk: 0,
            ..good
        };
        assert_eq!(judged(is_compacted, idle), [Kind::NotCleaned]);
    }
    let only_removed = Files { shrunk: 0, ..good };
    assert_eq!(judged(true, only_removed), [Kind::NotCleaned]);
    assert_eq!(judged(false, only_removed), []);
}
