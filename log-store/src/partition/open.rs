//! Bringing a log back: fencing, leader epochs, and the producers from the newest snapshot and
//! what follows it.

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, OnceLock};

use super::ends::EndsCell;
use super::epochs::Epochs;
use super::marker::{Control, EndTxnMarker};
use super::plan::SegmentPlan;
use super::producers::{Producers, TxnChange};
use super::txns::OpenTxns;
use super::verification::Verifications;
use super::waiters::Waiters;
use super::writer::WriteQueue;
use super::{AbortedTxn, LogOptions, OpenError, Partition, State, producer_snapshot};
use crate::batch::{BatchHeader, EndMarker, RawBatch};
use crate::engine::{Engine, FirstBatch, ReadRange};
use crate::syncer::{SyncQueue, SyncTurn};
use crate::{LeaderEpoch, Offset};

/// What a log needs besides its engine.
#[derive(Debug)]
pub struct OpenOptions {
    /// Stamped on new batches. Fences whoever had the log open at a lower epoch; an epoch under
    /// which nothing is written leaves no trace on the disk.
    pub leader_epoch: LeaderEpoch,
    pub log: LogOptions,
    pub now_ms: i64,
    /// Who syncs, from [`Syncer::queue`](crate::Syncer::queue).
    pub sync_queue: Arc<SyncQueue>,
}

impl Partition {
    /// Opens the log that `engine` holds. Everything it holds is committed.
    ///
    /// # Errors
    /// [`OpenError::EpochFenced`] when the log was led at a newer epoch; otherwise what the disk
    /// says.
    pub fn open(
        engine: Box<dyn Engine>,
        options: OpenOptions,
    ) -> Result<Arc<Partition>, OpenError> {
        let log_end = engine.end();
        let log_start = engine.log_start().max(engine.start());
        assert!(log_start <= log_end);
        let mut replay = Replay::of(&*engine)?;
        replay.run(&*engine, log_end)?;
        replay.epochs.truncate(log_end);
        replay.epochs.trim(log_start);
        if let Some(latest) = replay.epochs.latest()
            && latest.epoch > options.leader_epoch
        {
            return Err(OpenError::EpochFenced {
                epoch: options.leader_epoch,
                current: latest.epoch,
            });
        }
        if engine.recovered_from().is_some() {
            // What was found is acknowledged from now on, and so must be what was learned from it.
            if replay.has_new_epochs {
                engine.save_epochs(replay.epochs.starts())?;
                replay.has_new_epochs = false;
            }
            engine.sync()?;
        }
        let has_new_epoch = replay.epochs.assign(options.leader_epoch, log_end);
        replay
            .producers
            .expire(options.now_ms, options.log.producer_id_expiration_ms);
        replay.aborted.retain(|txn| txn.last_offset >= log_start);
        replay.aborted.sort_by_key(|txn| txn.last_offset);

        let segments = engine.segments();
        let active = segments.last().expect("an engine has an active segment");
        let plan = SegmentPlan::of(active);
        let size_bytes = segments.iter().map(|segment| segment.bytes).sum();
        let ends = EndsCell::new(log_start, log_end, size_bytes);
        ends.txns_reopened(
            replay
                .producers
                .iter()
                .filter_map(|(_, producer)| producer.txn_first_offset),
        );
        let state = State {
            options: Arc::new(options.log),
            producers: replay.producers,
            verifications: Verifications::default(),
            epochs: replay.epochs,
            are_epochs_saved: !has_new_epoch && !replay.has_new_epochs,
            plan,
            queue: WriteQueue::default(),
            flush_end: log_end,
            is_closed: false,
        };
        Ok(Arc::new_cyclic(|this| Partition {
            engine,
            leader_epoch: options.leader_epoch,
            state: Mutex::new(state),
            drained: Condvar::new(),
            ends,
            waiters: Waiters::default(),
            aborted: Mutex::new(replay.aborted),
            is_cleaning: AtomicBool::new(false),
            uncleanable: OnceLock::new(),
            trimming: Mutex::new(()),
            offline: OnceLock::new(),
            sync_queue: options.sync_queue,
            turn: SyncTurn::default(),
            this: this.clone(),
        }))
    }
}

/// The state of a log, rebuilt from a snapshot and the batches after it.
struct Replay {
    from: Offset,
    producers: Producers,
    epochs: Epochs,
    has_new_epochs: bool,
    open: OpenTxns,
    aborted: Vec<AbortedTxn>,
    /// Markers from here on may be missing in the saved list of aborted transactions.
    aborted_from: Option<Offset>,
}

impl Replay {
    /// The newest snapshot that can be read and is not above what was proven.
    fn of(engine: &dyn Engine) -> io::Result<Replay> {
        let recovered_from = engine.recovered_from();
        let mut at_most = recovered_from.unwrap_or_else(|| engine.end());
        let (from, producers) = loop {
            let Some((at, bytes)) = engine.producers(at_most)? else {
                break (engine.start(), Producers::default());
            };
            match producer_snapshot::decode(&bytes) {
                Ok(producers) => break (at, producers),
                Err(error) => {
                    tracing::warn!(%error, at = at.0, log = ?engine, "ignoring a producer snapshot");
                    at_most = at.plus(-1);
                }
            }
        };
        let mut open = OpenTxns::default();
        for (_, producer) in producers.iter() {
            if let Some(first) = producer.txn_first_offset {
                open.begin_at(first);
            }
        }
        // A snapshot within a segment was saved when nothing before it in the segment was aborted,
        // or by a clean close, which has made last what was.
        let aborted_from = recovered_from.map(|at| from.max(segment_base(engine, at)));
        if let Some(aborted_from) = aborted_from {
            engine.forget_from(aborted_from)?;
        }
        let aborted = engine.aborted()?;
        Ok(Replay {
            from,
            producers,
            epochs: Epochs::restore(engine.epochs()?),
            has_new_epochs: false,
            open,
            aborted,
            aborted_from,
        })
    }

    /// Takes the batches from the snapshot on. Where a segment begins, the producers are saved
    /// again: a crash may have spoilt what was saved there, and when the segments in front of it
    /// are trimmed nothing else tells of them.
    fn run(&mut self, engine: &dyn Engine, log_end: Offset) -> io::Result<()> {
        if self.from >= log_end {
            return Ok(());
        }
        let mut bases: VecDeque<Offset> = engine
            .segments()
            .iter()
            .map(|segment| segment.base)
            .filter(|base| *base > self.from)
            .collect();
        let mut failure = None;
        engine.scan(self.from, &mut |header| {
            if header.base_offset < self.from {
                return ControlFlow::Continue(());
            }
            let taken = self
                .save_up_to(engine, &mut bases, header.base_offset)
                .and_then(|()| self.batch(engine, header));
            match taken {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failure.map_or(Ok(()), Err)?;
        self.save_up_to(engine, &mut bases, log_end)
    }

    fn save_up_to(
        &self,
        engine: &dyn Engine,
        bases: &mut VecDeque<Offset>,
        offset: Offset,
    ) -> io::Result<()> {
        while let Some(&base) = bases.front()
            && base <= offset
        {
            bases.pop_front();
            engine.save_producers(base, &producer_snapshot::encode(&self.producers))?;
        }
        Ok(())
    }

    fn batch(&mut self, engine: &dyn Engine, header: &BatchHeader) -> io::Result<()> {
        let base_offset = header.base_offset;
        let epoch = header.partition_leader_epoch;
        if self
            .epochs
            .latest()
            .is_none_or(|latest| epoch > latest.epoch)
        {
            self.has_new_epochs |= self.epochs.assign(epoch, base_offset);
        }
        let marker = if header.attributes.is_control() {
            read_marker(engine, header)?
        } else {
            None
        };
        match self.producers.apply(header, marker.as_ref(), base_offset) {
            TxnChange::None => {}
            TxnChange::Began => self.open.begin_at(base_offset),
            TxnChange::Ended { first } => {
                self.open.end(first, base_offset);
                let is_abort = marker.is_some_and(|marker| marker.outcome == EndMarker::Abort);
                if is_abort && self.aborted_from.is_some_and(|from| base_offset >= from) {
                    let aborted = AbortedTxn {
                        producer_id: header.producer_id,
                        first_offset: first,
                        last_offset: base_offset,
                        last_stable_offset: self.open.first_open().unwrap_or(base_offset.plus(1)),
                    };
                    engine.save_aborted(aborted)?;
                    self.aborted.push(aborted);
                }
            }
        }
        Ok(())
    }
}

/// Where the segment begins that holds the batch at `offset`, or would hold the next one.
fn segment_base(engine: &dyn Engine, offset: Offset) -> Offset {
    let segments = engine.segments();
    let bases = segments.iter().rev().map(|segment| segment.base);
    let mut below = bases.filter(|base| *base <= offset);
    below.next().unwrap_or(engine.start())
}

fn read_marker(engine: &dyn Engine, header: &BatchHeader) -> io::Result<Option<EndTxnMarker>> {
    let slices = engine.read(ReadRange {
        from: header.base_offset,
        end: header.end_offset(),
        bytes_max: header.total_bytes(),
        first_batch: FirstBatch::Always,
    })?;
    let Some(slice) = slices.first() else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    let mut bytes = slice.read_to_bytes()?;
    let batch = RawBatch::split_from(&mut bytes).and_then(RawBatch::check);
    let batch = batch.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(match Control::of(&batch) {
        Control::EndTxn(marker) => Some(marker),
        Control::Other | Control::Malformed => None,
    })
}
