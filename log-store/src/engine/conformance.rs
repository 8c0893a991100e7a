//! What every engine must do, as one suite that each of them runs.

use std::io;
use std::ops::ControlFlow;

use super::{
    Engine, Filled, FirstBatch, IndexPace, ReadRange, ReplaceError, Replaced, SegmentRange,
};
use crate::batch::{Batch, BatchHeader, StampedBatch, stamp};
use crate::partition::{AbortedTxn, EpochStart};
use crate::testing::{NOW_MS, all_below, batches_of, headers_of, plain_batch, read_headers};
use crate::{LeaderEpoch, Offset, ProducerId};

const PACE: IndexPace = IndexPace {
    interval_bytes: 300,
};

/// Makes engines, and opens again what was closed.
pub(super) trait Subject {
    type Engine: Engine;

    fn create(&mut self) -> Self::Engine;

    /// `None` for engines that keep nothing.
    fn reopen(&mut self, engine: Self::Engine) -> Option<Self::Engine>;
}

/// Runs the whole suite.
pub(super) fn run(subject: &mut impl Subject) {
    starts_empty(&subject.create());
    reads_back_whole_batches(&subject.create());
    respects_limits(&subject.create());
    reads_across_segments(&subject.create());
    finds_times(&subject.create());
    tells_about_segments(&subject.create());
    trims_whole_segments(&subject.create());
    truncates_at_batches(&subject.create());
    keeps_small_facts(&subject.create());
    replaces_sealed_segments(&subject.create());
    replaces_all_or_nothing(&subject.create());
    keeps_what_was_replaced(subject);
    survives_being_closed(subject);
}

fn starts_empty(engine: &dyn Engine) {
    assert_eq!(engine.start(), Offset(0));
    assert_eq!(engine.end(), Offset(0));
    assert_eq!(engine.log_start(), Offset(0));
    assert_eq!(engine.segments().len(), 1);
    assert_eq!(read_headers(engine, all_below(Offset(0))), []);
    assert_eq!(engine.sync().expect("syncs"), Offset(0));
}

fn reads_back_whole_batches(engine: &dyn Engine) {
    let written = fill(engine, 0, 20, 3);
    assert_eq!(engine.end(), Offset(60));
    assert_eq!(read_headers(engine, all_below(Offset(60))), written);
    for from in 0..60 {
        let range = ReadRange {
            from: Offset(from),
            ..all_below(Offset(60))
        };
        let expected = &written[(from / 3) as usize..];
        assert_eq!(read_headers(engine, range), expected, "from {from}");
        assert_eq!(scan(engine, from), expected, "from {from}");
    }
    assert_eq!(engine.sync().expect("syncs"), Offset(60));
    assert_eq!(engine.durable_end(), Offset(60));
}

fn respects_limits(engine: &dyn Engine) {
    let written = fill(engine, 0, 20, 3);
    let batch_bytes = written[0].total_bytes();
    for end_batch in 0..=20_usize {
        let range = all_below(Offset(end_batch as i64 * 3));
        assert_eq!(read_headers(engine, range), written[..end_batch]);
    }
    for bytes_max in 0..batch_bytes * 5 {
        let range = ReadRange {
            from: Offset(7),
            bytes_max,
            first_batch: FirstBatch::WithinLimit,
            ..all_below(Offset(60))
        };
        let fitting = bytes_max / batch_bytes;
        assert_eq!(read_headers(engine, range), written[2..2 + fitting]);
        let at_least_one = ReadRange {
            first_batch: FirstBatch::Always,
            ..range
        };
        let fitting = fitting.max(1);
        assert_eq!(read_headers(engine, at_least_one), written[2..2 + fitting]);
    }
    let between = engine.bytes_between(Offset(0), Offset(60));
    assert!(between >= 20 * batch_bytes as u64);
}

fn reads_across_segments(engine: &dyn Engine) {
    let mut written = Vec::new();
    for segment in 0..5 {
        let base = segment * 12;
        if segment > 0 {
            engine.roll(Offset(base), b"", NOW_MS).expect("rolls");
        }
        written.extend(fill(engine, base, 4, 3));
    }
    for from in 0..60 {
        let range = ReadRange {
            from: Offset(from),
            ..all_below(Offset(60))
        };
        assert_eq!(read_headers(engine, range), written[(from / 3) as usize..]);
        assert_eq!(scan(engine, from), written[(from / 3) as usize..]);
    }
    let batch_bytes = written[0].total_bytes();
    let range = ReadRange {
        from: Offset(10),
        bytes_max: batch_bytes * 4,
        ..all_below(Offset(60))
    };
    assert_eq!(read_headers(engine, range), written[3..7]);
    let range = ReadRange {
        from: Offset(10),
        ..all_below(Offset(27))
    };
    assert_eq!(read_headers(engine, range), written[3..9]);
}

fn finds_times(engine: &dyn Engine) {
    // Timestamps go up and down; what is asked for is the first batch that reaches a time.
    let times = [50, 10, 70, 60, 90, 20, 90, 120, 30, 110];
    for (base, time) in (0..).zip(times) {
        if base == 5 {
            engine.roll(Offset(base), b"", NOW_MS).expect("rolls");
        }
        write(engine, &[stamped(&plain_batch(1, time, 200), base)]);
    }
    for wanted in 0..130 {
        let floor = engine.timestamp_floor(wanted).expect("finds");
        let first = times.iter().position(|time| *time >= wanted);
        match first {
            Some(index) => assert!(floor <= Offset(index as i64), "for {wanted}"),
            None => assert_eq!(floor, Offset(10)),
        }
    }
}

fn tells_about_segments(engine: &dyn Engine) {
    write(engine, &[stamped(&plain_batch(2, 100, 10), 0)]);
    write(engine, &[stamped(&plain_batch(2, 500, 10), 2)]);
    write(engine, &[stamped(&plain_batch(2, 300, 10), 4)]);
    engine.roll(Offset(6), b"", NOW_MS).expect("rolls");
    let segments = engine.segments();
    assert_eq!(segments.len(), 2);
    assert_eq!(segments[0].base, Offset(0));
    assert_eq!(segments[0].end, Offset(6));
    assert_eq!(segments[0].first_timestamp_ms, 101);
    assert_eq!(segments[0].max_timestamp_ms, 501);
    assert_eq!(segments[0].max_timestamp_offset, Offset(3));
    let written_bytes = 3 * plain_batch(2, 100, 10).header().total_bytes() as u64;
    assert_eq!(segments[0].bytes, written_bytes);
    assert_eq!(segments[1].base, Offset(6));
    assert_eq!(segments[1].end, Offset(6));
    assert_eq!(segments[1].bytes, 0);
    engine.roll(Offset(6), b"", NOW_MS).expect("does nothing");
    assert_eq!(engine.segments().len(), 2);
}

fn trims_whole_segments(engine: &dyn Engine) {
    let written = three_segments(engine);
    engine.trim(Offset(11)).expect("trims nothing");
    assert_eq!(engine.start(), Offset(0));
    engine.trim(Offset(13)).expect("trims");
    assert_eq!(engine.start(), Offset(12));
    assert_eq!(read_headers(engine, all_below(Offset(36))), written[4..]);
    assert_eq!(engine.producers(Offset(11)).expect("looks"), None);
    engine.trim(Offset(36)).expect("keeps the active segment");
    assert_eq!(engine.start(), Offset(24));
    assert_eq!(engine.end(), Offset(36));
    assert_eq!(read_headers(engine, all_below(Offset(36))), written[8..]);
}

fn truncates_at_batches(engine: &dyn Engine) {
    let written = three_segments(engine);
    engine.truncate(Offset(40)).expect("does nothing");
    assert_eq!(engine.end(), Offset(36));
    engine.truncate(Offset(31)).expect("truncates");
    assert_eq!(engine.end(), Offset(30));
    assert_eq!(read_headers(engine, all_below(Offset(30))), written[..10]);
    engine.truncate(Offset(18)).expect("truncates");
    assert_eq!(engine.end(), Offset(18));
    assert_eq!(engine.segments().len(), 2);
    assert_eq!(
        engine.producers(Offset(99)).expect("looks"),
        Some((Offset(12), b"at 12".to_vec()))
    );
    let again = fill(engine, 18, 2, 3);
    assert_eq!(engine.end(), Offset(24));
    let expected = [&written[..6], &again[..]].concat();
    assert_eq!(read_headers(engine, all_below(Offset(24))), expected);
}

fn keeps_small_facts(engine: &dyn Engine) {
    fill(engine, 0, 4, 3);
    assert_eq!(engine.producers(Offset(99)).expect("looks"), None);
    engine.save_producers(Offset(6), b"six").expect("saves");
    engine.save_producers(Offset(12), b"twelve").expect("saves");
    let newest = |at_most| engine.producers(Offset(at_most)).expect("looks");
    assert_eq!(newest(5), None);
    assert_eq!(newest(11), Some((Offset(6), b"six".to_vec())));
    assert_eq!(newest(12), Some((Offset(12), b"twelve".to_vec())));

    let epochs = [epoch(0, 0), epoch(3, 6)];
    engine.save_epochs(&epochs).expect("saves");
    engine.sync().expect("syncs");
    assert_eq!(engine.epochs().expect("looks"), epochs);

    engine.save_aborted(aborted(5)).expect("saves");
    engine.save_aborted(aborted(9)).expect("saves");
    assert_eq!(engine.aborted().expect("looks"), [aborted(5), aborted(9)]);

    engine.save_log_start(Offset(4)).expect("saves");
    assert_eq!(engine.log_start(), Offset(4));
}

fn replaces_sealed_segments(engine: &dyn Engine) {
    // Two segments become one with every other batch, while somebody has read the old ones.
    let written = three_segments(engine);
    for txn in [aborted(5), aborted(14), aborted(30)] {
        engine.save_aborted(txn).expect("saves");
    }
    let before = engine.read(all_below(Offset(36))).expect("reads");
    let kept: Vec<usize> = (0..8).step_by(2).collect();
    let replaced = replace(engine, range(0, 24), &kept, vec![aborted(14)]);
    assert_eq!(replaced.expect("replaces"), Replaced::Done);
    assert_eq!(headers_of(&before), written);

    let expected: Vec<BatchHeader> = kept
        .iter()
        .copied()
        .chain(8..12)
        .map(|index| written[index])
        .collect();
    assert_eq!(engine.start(), Offset(0));
    assert_eq!(engine.end(), Offset(36));
    for from in 0..36 {
        let wanted = ReadRange {
            from: Offset(from),
            ..all_below(Offset(36))
        };
        let rest: Vec<BatchHeader> = expected
            .iter()
            .filter(|header| header.last_offset() >= Offset(from))
            .copied()
            .collect();
        assert_eq!(read_headers(engine, wanted), rest, "from {from}");
        assert_eq!(scan(engine, from), rest, "from {from}");
    }
    let segments = engine.segments();
    assert_eq!(segments.len(), 2);
    assert_eq!((segments[0].base, segments[0].end), (Offset(0), Offset(24)));
    let kept_bytes: usize = expected[..4].iter().map(BatchHeader::total_bytes).sum();
    assert_eq!(segments[0].bytes, kept_bytes as u64);
    assert_eq!(segments[0].max_timestamp_ms, expected[0].max_timestamp_ms);
    assert_eq!(engine.aborted().expect("looks"), [aborted(14), aborted(30)]);
    // The producers of the segment that is gone are, those of the others are not.
    assert_eq!(engine.producers(Offset(23)).expect("looks"), None);
    assert_eq!(
        engine.producers(Offset(24)).expect("looks"),
        Some((Offset(24), b"at 24".to_vec()))
    );
    // Writing, trimming and another replacement go on.
    let more = fill(engine, 36, 2, 3);
    assert_eq!(read_headers(engine, all_below(Offset(42)))[8..], more);
    let nothing = replace(engine, range(0, 24), &[], Vec::new());
    assert_eq!(nothing.expect("replaces"), Replaced::Done);
    assert_eq!(
        read_headers(engine, all_below(Offset(42)))[..4],
        written[8..]
    );
    assert_eq!(engine.segments()[0].bytes, 0);
    engine.trim(Offset(24)).expect("trims");
    assert_eq!(engine.start(), Offset(24));
}

fn replaces_all_or_nothing(engine: &dyn Engine) {
    // Not what is active, what does not begin or end where segments do, what is given up or fails,
    // what is trimmed meanwhile, and what is not the engine's any more.
    let written = three_segments(engine);
    let is_untouched = || {
        assert_eq!(read_headers(engine, all_below(Offset(36))), written);
        assert_eq!(engine.segments().len(), 3);
    };
    for wrong in [range(0, 36), range(24, 36), range(3, 24), range(0, 13)] {
        let replaced = replace(engine, wrong, &[], Vec::new());
        assert_eq!(replaced.expect("looks"), Replaced::NotNow, "{wrong:?}");
        is_untouched();
    }
    let given_up = engine.replace(range(0, 24), PACE, &mut |_| Ok(Filled::GivenUp));
    assert_eq!(given_up.expect("looks"), Replaced::NotNow);
    is_untouched();
    let failed = engine.replace(range(0, 24), PACE, &mut |_| {
        Err(io::ErrorKind::StorageFull.into())
    });
    assert!(matches!(failed, Err(ReplaceError::Unchanged(_))));
    is_untouched();
    let trimmed = engine.replace(range(0, 24), PACE, &mut |_| {
        engine.trim(Offset(12)).expect("trims");
        Ok(Filled::Completely {
            aborted: Vec::new(),
        })
    });
    assert_eq!(trimmed.expect("looks"), Replaced::NotNow);
    assert_eq!(read_headers(engine, all_below(Offset(36))), written[4..]);
    engine.retire();
    let late = engine.replace(range(12, 24), PACE, &mut |_| {
        Ok(Filled::Completely {
            aborted: Vec::new(),
        })
    });
    assert_eq!(late.expect("looks"), Replaced::NotNow);
    assert_eq!(read_headers(engine, all_below(Offset(36))), written[4..]);
}

fn keeps_what_was_replaced<S: Subject>(subject: &mut S) {
    let engine = subject.create();
    let written = three_segments(&engine);
    engine.save_aborted(aborted(5)).expect("saves");
    let replaced = replace(&engine, range(0, 24), &[1, 7], vec![aborted(5)]);
    assert_eq!(replaced.expect("replaces"), Replaced::Done);
    engine.save_cleaned_to(Offset(24)).expect("saves");
    assert_eq!(engine.cleaned_to(), Some(Offset(24)));
    let expected = [&[written[1], written[7]], &written[8..]].concat();
    let segments = engine.segments();
    engine.prepare_close(b"closing").expect("prepares");
    engine.close().expect("closes");
    let Some(engine) = subject.reopen(engine) else {
        return;
    };
    assert_eq!(engine.cleaned_to(), Some(Offset(24)));
    assert_eq!(engine.aborted().expect("looks"), [aborted(5)]);
    assert_eq!(read_headers(&engine, all_below(Offset(36))), expected);
    for (before, after) in segments.iter().zip(engine.segments()) {
        assert_eq!((before.base, before.end), (after.base, after.end));
        assert_eq!(before.bytes, after.bytes);
        assert_eq!(before.max_timestamp_ms, after.max_timestamp_ms);
        assert_eq!(before.index_entries, after.index_entries);
    }
}

/// Replaces the segments of `range` by the batches at these places among all of them.
fn replace(
    engine: &dyn Engine,
    range: SegmentRange,
    kept: &[usize],
    aborted: Vec<AbortedTxn>,
) -> Result<Replaced, ReplaceError> {
    let batches = batches_of(&engine.read(all_below(engine.end())).expect("reads"));
    engine.replace(range, PACE, &mut |sink| {
        for &index in kept {
            sink.push(&batches[index])?;
        }
        Ok(Filled::Completely {
            aborted: aborted.clone(),
        })
    })
}

fn range(base: i64, end: i64) -> SegmentRange {
    SegmentRange {
        base: Offset(base),
        end: Offset(end),
    }
}

fn survives_being_closed<S: Subject>(subject: &mut S) {
    let engine = subject.create();
    let written = three_segments(&engine);
    let segments = engine.segments();
    engine.save_epochs(&[epoch(1, 0)]).expect("saves");
    engine.save_aborted(aborted(30)).expect("saves");
    engine.save_log_start(Offset(5)).expect("saves");
    engine.prepare_close(b"closing").expect("prepares");
    engine.close().expect("closes");
    let Some(engine) = subject.reopen(engine) else {
        return;
    };
    assert_eq!(engine.recovered_from(), None);
    assert_eq!(engine.end(), Offset(36));
    assert_eq!(engine.durable_end(), Offset(36));
    assert_eq!(read_headers(&engine, all_below(Offset(36))), written);
    assert_eq!(engine.epochs().expect("looks"), [epoch(1, 0)]);
    assert_eq!(engine.aborted().expect("looks"), [aborted(30)]);
    assert_eq!(engine.log_start(), Offset(5));
    let newest = engine.producers(Offset(99)).expect("looks");
    assert_eq!(newest, Some((Offset(36), b"closing".to_vec())));
    for (before, after) in segments.iter().zip(engine.segments()) {
        assert_eq!(before.base, after.base);
        assert_eq!(before.end, after.end);
        assert_eq!(before.bytes, after.bytes);
        assert_eq!(before.max_timestamp_ms, after.max_timestamp_ms);
        assert_eq!(before.max_timestamp_offset, after.max_timestamp_offset);
        assert_eq!(before.first_timestamp_ms, after.first_timestamp_ms);
        assert_eq!(before.index_entries, after.index_entries);
    }
    let more = fill(&engine, 36, 3, 3);
    assert_eq!(
        read_headers(&engine, all_below(Offset(45))),
        [&written[..], &more[..]].concat()
    );
    engine.prepare_close(b"closing again").expect("prepares");
    engine.close().expect("closes");
    let engine = subject.reopen(engine).expect("it kept it before");
    assert_eq!(engine.end(), Offset(45));
    assert_eq!(
        headers_of(&engine.read(all_below(Offset(45))).expect("reads")).len(),
        15
    );
}

/// Three segments of four batches with three records each, with producers saved at each roll.
fn three_segments(engine: &dyn Engine) -> Vec<BatchHeader> {
    let mut written = fill(engine, 0, 4, 3);
    engine.roll(Offset(12), b"at 12", NOW_MS).expect("rolls");
    written.extend(fill(engine, 12, 4, 3));
    engine.roll(Offset(24), b"at 24", NOW_MS).expect("rolls");
    written.extend(fill(engine, 24, 4, 3));
    written
}

/// Batches of equal size from `base` on, some written together.
fn fill(engine: &dyn Engine, base: i64, batch_count: i64, record_count: i32) -> Vec<BatchHeader> {
    let batches: Vec<StampedBatch> = (0..batch_count)
        .map(|index| {
            let batch = plain_batch(record_count, NOW_MS, 100);
            stamped(&batch, base + index * i64::from(record_count))
        })
        .collect();
    for group in batches.chunks(3) {
        write(engine, group);
    }
    batches.iter().map(|batch| *batch.header()).collect()
}

fn write(engine: &dyn Engine, batches: &[StampedBatch]) {
    engine.write(batches, PACE).expect("writes");
}

fn stamped(batch: &Batch, base: i64) -> StampedBatch {
    stamp(batch, Offset(base), LeaderEpoch(1))
}

fn scan(engine: &dyn Engine, from: i64) -> Vec<BatchHeader> {
    let mut headers = Vec::new();
    let scanned = engine.scan(Offset(from), &mut |header| {
        headers.push(*header);
        ControlFlow::Continue(())
    });
    scanned.expect("scans");
    headers
}

fn epoch(epoch: i32, start: i64) -> EpochStart {
    EpochStart {
        epoch: LeaderEpoch(epoch),
        start: Offset(start),
    }
}

fn aborted(last_offset: i64) -> AbortedTxn {
    AbortedTxn {
        producer_id: ProducerId(7),
        first_offset: Offset(last_offset - 2),
        last_offset: Offset(last_offset),
        last_stable_offset: Offset(last_offset + 1),
    }
}
