//! Consumers: they follow the logs that only grow, read compacted logs over and over while the cleaner runs, and commit.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::protocol::StrBytes;
use rand::Rng;
use rand::rngs::StdRng;

use crate::soak::anomaly::{Anomaly, Kind};
use crate::soak::batches::{Content, decode};
use crate::soak::check::{Read, Seen, Visibility, check_append, check_commit, check_compacted};
use crate::soak::content::number_in;
use crate::soak::ledger::Promise;
use crate::soak::link::Link;
use crate::soak::plan::{DELETE_RETENTION_MS, Regime, TopicPlan};
use crate::soak::requests::{Committer, Edge, Fetch, commit, committed, fetch, list_offset};
use crate::soak::world::{Log, World, add};

/// A scan that took longer may have missed tombstones that are gone by right.
const SCAN_TIME_MAX: Duration = Duration::from_millis(DELETE_RETENTION_MS / 2);

/// How often a fetch may bring nothing although the log goes on.
const EMPTY_FETCHES_MAX: u32 = 100;

const EMPTY_PAUSE: Duration = Duration::from_millis(20);

/// A follower goes back to the log start, or to its committed offset, once in so many polls.
const REWIND_EVERY: u32 = 150;

const COMMIT_EVERY: u32 = 8;

/// Follows the logs of a topic, and commits how far it is.
pub fn follow(world: &World, topic: &TopicPlan, mut random: StdRng) {
    const WAIT_MS: i32 = 200;
    let mut link = world.link(&format!("follower-{}", topic.name));
    let logs = world.logs_of(topic);
    let mut positions = vec![0; logs.len()];
    let mut life = world.life();
    while !world.is_over() {
        if life != world.life() {
            life = world.life();
            for log in &logs {
                check_committed(world, &mut link, log);
            }
        }
        for (log, position) in logs.iter().zip(&mut positions) {
            let next = poll(world, &mut link, log, *position, WAIT_MS);
            *position = next.unwrap_or(*position);
            if random.random_range(0..COMMIT_EVERY) == 0 {
                commit_position(world, &mut link, log, *position);
            }
            match random.random_range(0..REWIND_EVERY) {
                0 => *position = log.ledger().log_start(),
                1 => {
                    let committed = check_committed(world, &mut link, log);
                    *position = committed.unwrap_or(*position);
                }
                _ => {}
            }
        }
        world.sleep(Duration::from_millis(100));
    }
}

/// One fetch of a log that only grows, judged: where to go on. `None` when that is not known.
fn poll(world: &World, link: &mut Link, log: &Log, from: i64, wait_ms: i32) -> Option<i64> {
    let visibility = Visibility::All;
    let (end, known_log_start) = {
        let ledger = log.ledger();
        (ledger.end(), ledger.log_start())
    };
    let data = match fetch(world, link, log, from, visibility, wait_ms)? {
        Fetch::Some(data) => data,
        Fetch::OutOfRange => return after_out_of_range(world, link, log, from),
    };
    if data.high_watermark < end {
        let story = format!(
            "{} ends at {}, acknowledged up to {end}",
            log.name(),
            data.high_watermark
        );
        world.report([Anomaly::new(Kind::Lost, story)]);
    }
    let piece = piece(world, log, from, visibility, &data)?;
    let read = Read {
        from,
        next: piece.next,
        known_log_start,
        log_start: data.log_start_offset,
        records: piece.records,
        visibility,
    };
    let anomalies = check_append(&mut log.ledger(), &read);
    world.report(anomalies);
    Some(read.next)
}

/// The log start has passed the reader, or the log has lost its end.
fn after_out_of_range(world: &World, link: &mut Link, log: &Log, from: i64) -> Option<i64> {
    let earliest = list_offset(world, link, log, Edge::Earliest)?;
    let latest = list_offset(world, link, log, Edge::Latest)?;
    if from >= earliest {
        let story = format!(
            "{} has {earliest} to {latest} and refused {from}",
            log.name()
        );
        world.report([Anomaly::new(Kind::Lost, story)]);
    }
    Some(earliest)
}

/// The group of the readers of a topic, who are no members of it.
fn group_of(log: &Log) -> String {
    format!("readers-of-{}", log.topic.name)
}

fn commit_position(world: &World, link: &mut Link, log: &Log, position: i64) {
    let known = {
        let mut commits = log.commits();
        if Some(position) < commits.asked {
            return;
        }
        commits.asked = Some(position);
        *commits
    };
    let group = group_of(log);
    let committer = Committer {
        group: &group,
        generation: -1,
        member_id: StrBytes::default(),
    };
    let what = format!("OffsetCommit {}", log.name());
    let committed = world.insist(&what, || {
        let answer = commit(link, &committer, log, position);
        world.judge(&what, answer, |it| {
            Some(it.topics.first()?.partitions.first()?.error_code)
        })
    });
    if committed.is_some() {
        log.commits().acked = Some(position).max(known.acked);
        add(&world.counters.commits, 1);
    }
}

/// The committed offset, judged.
pub fn check_committed(world: &World, link: &mut Link, log: &Log) -> Option<i64> {
    let found = committed(world, link, &group_of(log), log)?;
    let commits = *log.commits();
    world.report(check_commit(&log.name(), commits, found));
    found
}

/// Reads the compacted logs of a topic from start to end, again and again.
pub fn scan(world: &World, topic: &TopicPlan, mut random: StdRng) {
    let mut link = world.link(&format!("scanner-{}", topic.name));
    while !world.is_over() {
        for log in world.logs_of(topic) {
            let visibility = if topic.regime == Regime::Transactional && random.random_bool(0.7) {
                Visibility::Committed
            } else {
                Visibility::All
            };
            if scan_once(world, &mut link, log, visibility).is_some() {
                add(&world.counters.scans, 1);
            }
        }
        world.sleep(random.random_range(Duration::from_millis(500)..Duration::from_secs(4)));
    }
}

/// One judged read of a compacted log: how many records it had. `None` when the log start overtook the reader, or
/// when the log can't be read.
pub fn scan_once(
    world: &World,
    link: &mut Link,
    log: &Log,
    visibility: Visibility,
) -> Option<usize> {
    let mut promise = log.ledger().promise();
    if log.topic.regime == Regime::Transactional && visibility == Visibility::All {
        // Whoever reads everything may find a record of an aborted transaction as the last of its key.
        promise.latest.clear();
    }
    let began = Instant::now();
    let read = read_to_end(world, link, log, visibility)?;
    let promise = if began.elapsed() > SCAN_TIME_MAX {
        Promise::default()
    } else {
        promise
    };
    let anomalies = check_compacted(&mut log.ledger(), &promise, &read);
    world.report(anomalies);
    Some(read.records.len())
}

/// Everything from the log start to the end as it is when the reader arrives there.
fn read_to_end(world: &World, link: &mut Link, log: &Log, visibility: Visibility) -> Option<Read> {
    let known_log_start = log.ledger().log_start();
    let from = list_offset(world, link, log, Edge::Earliest)?;
    let mut read = Read {
        from,
        next: from,
        known_log_start,
        log_start: from,
        records: Vec::new(),
        visibility,
    };
    let mut empty_fetches = 0;
    loop {
        let data = match fetch(world, link, log, read.next, visibility, 0)? {
            Fetch::Some(data) => data,
            Fetch::OutOfRange => {
                after_out_of_range(world, link, log, read.next);
                return None;
            }
        };
        read.log_start = read.log_start.max(data.log_start_offset);
        let end = match visibility {
            Visibility::All => data.high_watermark,
            Visibility::Committed => data.last_stable_offset,
        };
        let piece = piece(world, log, read.next, visibility, &data)?;
        if piece.next > read.next {
            empty_fetches = 0;
        } else if read.next >= end {
            return Some(read);
        } else {
            empty_fetches += 1;
            if empty_fetches > EMPTY_FETCHES_MAX {
                let story = format!("{} at {} of {end}: nothing", log.name(), read.next);
                world.report([Anomaly::new(Kind::Stuck, story)]);
                return None;
            }
            std::thread::sleep(EMPTY_PAUSE);
        }
        read.next = piece.next;
        read.records.extend(piece.records);
    }
}

/// Reads a log that only grows from its start to its end, and judges all of it.
pub fn read_whole(world: &World, link: &mut Link, log: &Log) -> Option<()> {
    let end = list_offset(world, link, log, Edge::Latest)?;
    let mut position = list_offset(world, link, log, Edge::Earliest)?;
    let mut empty_fetches = 0;
    while position < end {
        let next = poll(world, link, log, position, 0)?;
        if next == position {
            empty_fetches += 1;
            if empty_fetches > EMPTY_FETCHES_MAX {
                let story = format!("{} at {position} of {end}: nothing", log.name());
                world.report([Anomaly::new(Kind::Stuck, story)]);
                return None;
            }
            std::thread::sleep(EMPTY_PAUSE);
        } else {
            empty_fetches = 0;
        }
        position = next;
    }
    let promised = log.ledger().end();
    if end < promised && position < promised {
        let story = format!(
            "{} ends at {end}, acknowledged up to {promised}",
            log.name()
        );
        world.report([Anomaly::new(Kind::Lost, story)]);
    }
    add(&world.counters.full_reads, 1);
    Some(())
}

struct Piece {
    records: Vec<Seen>,
    next: i64,
}

/// The records of a fetch as a consumer hands them on: from the position on, without markers, and for committed readers
/// without those of aborted transactions. `None`, and an anomaly, when it can't be read.
fn piece(
    world: &World,
    log: &Log,
    from: i64,
    visibility: Visibility,
    data: &PartitionData,
) -> Option<Piece> {
    let mut piece = Piece {
        records: Vec::new(),
        next: from,
    };
    let bytes = data.records.as_deref().unwrap_or_default();
    let batches = match decode(bytes) {
        Ok(batches) => batches,
        Err(why) => {
            let story = format!("{} from {from}: {why}", log.name());
            world.report([Anomaly::new(Kind::Corrupt, story)]);
            return None;
        }
    };
    let mut aborted = data.aborted_transactions.clone().unwrap_or_default();
    aborted.sort_by_key(|transaction| transaction.first_offset);
    let mut aborted = aborted.into_iter().peekable();
    let mut aborting = HashSet::new();
    for batch in batches {
        while let Some(it) = aborted.next_if(|it| it.first_offset <= batch.last_offset) {
            aborting.insert(it.producer_id.0);
        }
        piece.next = piece.next.max(batch.last_offset + 1);
        let records = match batch.content {
            Content::Records(records) => records,
            Content::Marker { commits } => {
                if !commits {
                    aborting.remove(&batch.producer_id);
                }
                continue;
            }
        };
        let is_aborted = batch.is_transactional && aborting.contains(&batch.producer_id);
        if visibility == Visibility::Committed && is_aborted {
            continue;
        }
        let style = log.topic.style;
        let records = records.into_iter().filter(|(offset, _)| *offset >= from);
        piece.records.extend(records.map(|(offset, record)| Seen {
            offset,
            number: number_in(world.seed, style, &record),
        }));
    }
    add(&world.counters.read, piece.records.len() as u64);
    Some(piece)
}
