//! How far a log goes: six offsets that mean different things.
//!
//! ```text
//!   log_start   last_stable   high_watermark   durable_end   written_end   log_end
//!       |            |              |               |             |           |
//!  -----[============|==============|===============|=============|===========)
//!   gone | decided   | undecided    | waiting for   | in the page | assigned,
//!        |           | transactions | its promise   | cache       | queued
//! ```
//!
//! `log_start <= last_stable <= high_watermark <= written_end <= log_end` and
//! `durable_end <= written_end` always hold. The high watermark may lie on either side of the
//! durable end: a batch whose append asked for no more than the page cache is committed once it is
//! written, one that asked for the disk is committed once a sync has covered it, and nothing is
//! committed before what precedes it.
//!
//! On one machine this rule moves the high watermark. In a cluster something else will.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::txns::OpenTxns;
use crate::Offset;

/// All ends of a log at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The first offset that may be read.
    pub log_start: Offset,
    /// The next offset to be assigned.
    pub log_end: Offset,
    /// Everything below is written, and readable by who does not care for commitment.
    pub written_end: Offset,
    /// Everything below has been covered by fdatasync.
    pub durable_end: Offset,
    /// Everything below is committed: it has met its own durability promise.
    pub high_watermark: Offset,
    /// Everything below is committed and outside of any open transaction.
    pub last_stable: Offset,
}

impl Ends {
    /// The end (exclusive) that `limit` stands for.
    pub fn at(&self, limit: ReadLimit) -> Offset {
        match limit {
            ReadLimit::HighWatermark => self.high_watermark,
            ReadLimit::LastStable => self.last_stable,
            ReadLimit::LogEnd => self.written_end,
        }
    }
}

/// How far a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadLimit {
    /// Committed records (consumers with `read_uncommitted`).
    HighWatermark,
    /// Committed records whose transactions are decided (`read_committed`).
    LastStable,
    /// Everything written (replicas, and the partition itself).
    LogEnd,
}

/// An offset together with the bytes that were ever written below it, so that the difference of
/// two marks is the number of bytes between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) offset: Offset,
    pub(super) bytes: u64,
}

/// What the waiters must know after the ends have moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    pub(super) written: Mark,
    pub(super) high_watermark: Mark,
    pub(super) last_stable: Mark,
}

impl Moved {
    pub(super) fn mark(&self, limit: ReadLimit) -> Mark {
        match limit {
            ReadLimit::HighWatermark => self.high_watermark,
            ReadLimit::LastStable => self.last_stable,
            ReadLimit::LogEnd => self.written,
        }
    }
}

/// A group of batches that has just been written.
#[derive(Clone, Copy, Debug)]
pub(super) struct WrittenGroup {
    pub(super) end: Offset,
    pub(super) bytes: u64,
    /// The durable batches of the group, if there are any.
    pub(super) durable: Option<DurableSpan>,
}

/// From the first durable batch of a group to the end of the last one.
#[derive(Clone, Copy, Debug)]
pub(super) struct DurableSpan {
    pub(super) base: Offset,
    /// Bytes of the group in front of `base`.
    pub(super) bytes_before: u64,
    pub(super) end: Offset,
}

/// The ends of one log: atomics to read, and a short lock under which they move together.
#[derive(Debug)]
pub(super) struct EndsCell {
    log_start: AtomicI64,
    log_end: AtomicI64,
    written_end: AtomicI64,
    durable_end: AtomicI64,
    high_watermark: AtomicI64,
    last_stable: AtomicI64,
    commit: Mutex<Commit>,
}

#[derive(Debug)]
struct Commit {
    written: Mark,
    durable_end: Offset,
    high_watermark: Mark,
    last_stable: Mark,
    /// Written groups that wait for the disk, oldest first. At most one per written group, and
    /// gone with the next sync.
    waiting: VecDeque<Waiting>,
    txns: OpenTxns,
}

/// The high watermark stays at `base` until the durable end has reached `end`.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    base: Mark,
    end: Offset,
}

impl EndsCell {
    /// The ends of a log that has just been opened: what it holds is committed.
    pub(super) fn new(log_start: Offset, log_end: Offset, size_bytes: u64) -> EndsCell {
        assert!(log_start <= log_end);
        let end = Mark {
            offset: log_end,
            bytes: size_bytes,
        };
        EndsCell {
            log_start: AtomicI64::new(log_start.0),
            log_end: AtomicI64::new(log_end.0),
            written_end: AtomicI64::new(log_end.0),
            durable_end: AtomicI64::new(log_end.0),
            high_watermark: AtomicI64::new(log_end.0),
            last_stable: AtomicI64::new(log_end.0),
            commit: Mutex::new(Commit {
                written: end,
                durable_end: log_end,
                high_watermark: end,
                last_stable: end,
                waiting: VecDeque::new(),
                txns: OpenTxns::default(),
            }),
        }
    }

    pub(super) fn snapshot(&self) -> Ends {
        let commit = self.lock();
        Ends {
            log_start: self.log_start(),
            log_end: self.log_end(),
            written_end: commit.written.offset,
            durable_end: commit.durable_end.min(commit.written.offset),
            high_watermark: commit.high_watermark.offset,
            last_stable: commit.last_stable.offset,
        }
    }

    pub(super) fn log_start(&self) -> Offset {
        Offset(self.log_start.load(Ordering::Acquire))
    }

    pub(super) fn log_end(&self) -> Offset {
        Offset(self.log_end.load(Ordering::Acquire))
    }

    pub(super) fn written_end(&self) -> Offset {
        Offset(self.written_end.load(Ordering::Acquire))
    }

    pub(super) fn durable_end(&self) -> Offset {
        Offset(self.durable_end.load(Ordering::Acquire))
    }

    pub(super) fn high_watermark(&self) -> Offset {
        Offset(self.high_watermark.load(Ordering::Acquire))
    }

    pub(super) fn last_stable(&self) -> Offset {
        Offset(self.last_stable.load(Ordering::Acquire))
    }

    pub(super) fn limit(&self, limit: ReadLimit) -> Offset {
        match limit {
            ReadLimit::HighWatermark => self.high_watermark(),
            ReadLimit::LastStable => self.last_stable(),
            ReadLimit::LogEnd => self.written_end(),
        }
    }

    /// The marks as they stand.
    pub(super) fn marks(&self) -> Moved {
        self.lock().moved()
    }

    /// Offsets up to `log_end` have been given out. Called under the partition's lock.
    pub(super) fn assigned(&self, log_end: Offset) {
        assert!(log_end >= self.log_end());
        self.log_end.store(log_end.0, Ordering::Release);
    }

    /// `group` follows what was written before, and readers may now see it.
    pub(super) fn wrote(&self, group: WrittenGroup) -> Moved {
        let mut commit = self.lock();
        assert!(group.end > commit.written.offset);
        assert!(group.end <= self.log_end());
        if let Some(span) = group.durable
            && span.end > commit.durable_end
        {
            let base = Mark {
                offset: span.base,
                bytes: commit.written.bytes + span.bytes_before,
            };
            commit.waiting.push_back(Waiting {
                base,
                end: span.end,
            });
        }
        commit.written.offset = group.end;
        commit.written.bytes += group.bytes;
        self.publish(&mut commit)
    }

    /// A sync has covered everything below `durable_end`.
    pub(super) fn synced(&self, durable_end: Offset) -> Moved {
        let mut commit = self.lock();
        // It may be ahead of `wrote`, which is called after the engine has written.
        if durable_end > commit.durable_end {
            commit.durable_end = durable_end;
            while let Some(first) = commit.waiting.front()
                && first.end <= durable_end
            {
                commit.waiting.pop_front();
            }
        }
        self.publish(&mut commit)
    }

    /// Records below `log_start` are gone. `log_start` must not lie above the high watermark.
    pub(super) fn trimmed(&self, log_start: Offset) -> Moved {
        let mut commit = self.lock();
        assert!(log_start >= self.log_start());
        assert!(log_start <= commit.high_watermark.offset);
        self.log_start.store(log_start.0, Ordering::Release);
        self.publish(&mut commit)
    }

    /// A transaction begins at `first`, which has just been assigned.
    pub(super) fn txn_began(&self, first: Offset) {
        let mut commit = self.lock();
        // The bytes below an offset that is not written yet are only known when everything that
        // was assigned is written. Too small a number wakes a reader early, which is harmless.
        let bytes = commit.written.bytes;
        commit.txns.begin(Mark {
            offset: first,
            bytes,
        });
    }

    /// Transactions that were open when the log was closed. Called before anybody reads.
    pub(super) fn txns_reopened(&self, open: impl Iterator<Item = Offset>) {
        let mut commit = self.lock();
        for first in open {
            commit.txns.begin_at(first);
        }
        self.publish(&mut commit);
    }

    /// The transaction that began at `first` is decided by the marker at `marker`. Readers of
    /// committed transactions pass it once the marker is committed. Returns where the next
    /// transaction that is still open begins, if there is one.
    pub(super) fn txn_ended(&self, first: Offset, marker: Offset) -> Option<Offset> {
        let mut commit = self.lock();
        commit.txns.end(first, marker);
        commit.txns.first_open()
    }

    fn publish(&self, commit: &mut Commit) -> Moved {
        let high_watermark = match commit.waiting.front() {
            Some(first) => first.base,
            None => commit.written,
        };
        assert!(high_watermark.offset >= commit.high_watermark.offset);
        commit.high_watermark = high_watermark;
        commit.txns.committed(high_watermark.offset);
        commit.last_stable = match commit.txns.first_unstable() {
            Some(mark) if mark.offset < high_watermark.offset => Mark {
                offset: mark.offset.max(self.log_start()),
                ..mark
            },
            Some(_) | None => high_watermark,
        };
        self.written_end
            .store(commit.written.offset.0, Ordering::Release);
        self.durable_end.store(
            commit.durable_end.min(commit.written.offset).0,
            Ordering::Release,
        );
        self.high_watermark
            .store(commit.high_watermark.offset.0, Ordering::Release);
        self.last_stable
            .store(commit.last_stable.offset.0, Ordering::Release);
        commit.moved()
    }

    /// The state is consistent after every statement that can panic, so a poisoned lock is not a
    /// broken one; the partition goes offline for other reasons then.
    fn lock(&self) -> MutexGuard<'_, Commit> {
        self.commit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Commit {
    fn moved(&self) -> Moved {
        Moved {
            written: self.written,
            high_watermark: self.high_watermark,
            last_stable: self.last_stable,
        }
    }
}
