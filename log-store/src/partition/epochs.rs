//! Which leader epoch began at which offset. Kafka's `LeaderEpochFileCache`.

use crate::{LeaderEpoch, Offset};

/// The first offset that the leader of `epoch` wrote, or would have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochStart {
    pub epoch: LeaderEpoch,
    pub start: Offset,
}

/// Where an epoch ended, as `OffsetForLeaderEpoch` answers it (KIP-101, KIP-279).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The requested epoch or the nearest lower one that is known; [`LeaderEpoch::NONE`] when
    /// nothing is known.
    pub epoch: LeaderEpoch,
    /// Exclusive; [`Offset::NONE`] when nothing is known.
    pub end: Offset,
}

impl EpochEnd {
    pub const UNKNOWN: EpochEnd = EpochEnd {
        epoch: LeaderEpoch::NONE,
        end: Offset::NONE,
    };
}

/// The epochs of one log, oldest first: both epochs and starts only ever grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Epochs {
    starts: Vec<EpochStart>,
}

impl Epochs {
    /// Takes what was saved, leaving out what does not grow.
    pub(super) fn restore(saved: Vec<EpochStart>) -> Epochs {
        let mut epochs = Epochs::default();
        for start in saved {
            epochs.assign(start.epoch, start.start);
        }
        epochs
    }

    pub(super) fn starts(&self) -> &[EpochStart] {
        &self.starts
    }

    pub(super) fn latest(&self) -> Option<EpochStart> {
        self.starts.last().copied()
    }

    /// `epoch` begins at `start`. Entries that contradict this are dropped, as Kafka does. Returns
    /// whether anything changed.
    pub(super) fn assign(&mut self, epoch: LeaderEpoch, start: Offset) -> bool {
        if epoch < LeaderEpoch(0) || start < Offset::ZERO {
            return false;
        }
        if let Some(latest) = self.latest()
            && latest.epoch == epoch
            && start >= latest.start
        {
            return false;
        }
        while let Some(latest) = self.latest()
            && (latest.epoch >= epoch || latest.start >= start)
        {
            self.starts.pop();
        }
        self.starts.push(EpochStart { epoch, start });
        true
    }

    /// Where `requested` ended in a log that ends at `log_end`.
    pub(super) fn end_of(&self, requested: LeaderEpoch, log_end: Offset) -> EpochEnd {
        if requested == LeaderEpoch::NONE {
            return EpochEnd::UNKNOWN;
        }
        if self
            .latest()
            .is_some_and(|latest| latest.epoch == requested)
        {
            return EpochEnd {
                epoch: requested,
                end: log_end,
            };
        }
        let next = self
            .starts
            .partition_point(|start| start.epoch <= requested);
        let Some(higher) = self.starts.get(next) else {
            return EpochEnd::UNKNOWN;
        };
        let floor = next.checked_sub(1).map(|index| self.starts[index].epoch);
        EpochEnd {
            epoch: floor.unwrap_or(requested),
            end: higher.start,
        }
    }

    /// The epoch under which `offset` was written.
    pub(super) fn at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let next = self.starts.partition_point(|start| start.start <= offset);
        next.checked_sub(1).map(|index| self.starts[index].epoch)
    }

    /// The log now ends at `end`: epochs that began there or later never wrote anything.
    pub(super) fn truncate(&mut self, end: Offset) -> bool {
        let before = self.starts.len();
        self.starts.retain(|start| start.start < end);
        self.starts.len() != before
    }

    /// The log now starts at `log_start`: the epoch that was current there begins there.
    pub(super) fn trim(&mut self, log_start: Offset) -> bool {
        let passed = self
            .starts
            .partition_point(|start| start.start <= log_start);
        let Some(current) = passed.checked_sub(1) else {
            return false;
        };
        let moves = self.starts[current].start != log_start;
        if current == 0 && !moves {
            return false;
        }
        self.starts.drain(..current);
        self.starts[0].start = log_start;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(pairs: &[(i32, i64)]) -> Epochs {
        Epochs::restore(
            pairs
                .iter()
                .map(|&(epoch, start)| EpochStart {
                    epoch: LeaderEpoch(epoch),
                    start: Offset(start),
                })
                .collect(),
        )
    }

    fn end(epoch: i32, end: i64) -> EpochEnd {
        EpochEnd {
            epoch: LeaderEpoch(epoch),
            end: Offset(end),
        }
    }

    #[test]
    fn the_end_of_an_epoch_is_answered_as_kafka_does() {
        // The table of `LeaderEpochFileCache.endOffsetFor`, case by case.
        let epochs = epochs(&[(2, 10), (5, 20), (7, 30)]);
        let log_end = Offset(42);
        assert_eq!(epochs.end_of(LeaderEpoch(7), log_end), end(7, 42));
        assert_eq!(epochs.end_of(LeaderEpoch(8), log_end), EpochEnd::UNKNOWN);
        assert_eq!(epochs.end_of(LeaderEpoch(-1), log_end), EpochEnd::UNKNOWN);
        assert_eq!(epochs.end_of(LeaderEpoch(1), log_end), end(1, 10));
        assert_eq!(epochs.end_of(LeaderEpoch(2), log_end), end(2, 20));
        assert_eq!(epochs.end_of(LeaderEpoch(4), log_end), end(2, 20));
        assert_eq!(epochs.end_of(LeaderEpoch(6), log_end), end(5, 30));
        assert_eq!(
            Epochs::default().end_of(LeaderEpoch(0), log_end),
            EpochEnd::UNKNOWN
        );
    }

    #[test]
    fn an_epoch_that_wrote_nothing_gives_way_to_the_next() {
        let mut epochs = epochs(&[(0, 0)]);
        assert!(epochs.assign(LeaderEpoch(1), Offset(0)));
        assert!(!epochs.assign(LeaderEpoch(1), Offset(5)));
        assert_eq!(
            epochs.starts(),
            [EpochStart {
                epoch: LeaderEpoch(1),
                start: Offset(0)
            }]
        );
    }

    #[test]
    fn truncating_and_trimming_keep_the_epoch_that_is_current() {
        let mut epochs = epochs(&[(0, 0), (1, 10), (2, 20)]);
        assert!(epochs.truncate(Offset(20)));
        assert_eq!(
            epochs.latest().map(|start| start.epoch),
            Some(LeaderEpoch(1))
        );
        assert!(epochs.trim(Offset(15)));
        assert_eq!(
            epochs.starts(),
            [EpochStart {
                epoch: LeaderEpoch(1),
                start: Offset(15)
            }]
        );
        assert!(!epochs.trim(Offset(15)));
        assert_eq!(epochs.at(Offset(17)), Some(LeaderEpoch(1)));
        assert_eq!(epochs.at(Offset(14)), None);
    }
}
