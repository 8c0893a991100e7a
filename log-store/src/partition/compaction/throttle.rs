//! How fast compaction may read and write, all workers together. Kafka's `Throttler`.

use std::ops::ControlFlow;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long it may have been idle to be faster afterwards.
const BURST: Duration = Duration::from_millis(300);

/// Makes workers wait when they are too fast, and ends what they are at when it is time to.
#[derive(Debug)]
pub struct Throttle {
    began: Instant,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    pace: Pace,
    is_stopped: bool,
}

/// When the next byte may be spent, as time since the beginning.
#[derive(Clone, Copy, Debug)]
struct Pace {
    bytes_per_second: f64,
    free_at: Duration,
}

impl Pace {
    /// `bytes` are spent at `now`. Returns until when whoever spent them must wait.
    fn spend(&mut self, now: Duration, bytes: usize) -> Duration {
        let seconds = bytes as f64 / self.bytes_per_second;
        // No rate, or one that takes longer than anybody waits.
        let cost = Duration::try_from_secs_f64(seconds).unwrap_or(LONG);
        let earliest = now.saturating_sub(BURST);
        self.free_at = self.free_at.max(earliest).saturating_add(cost.min(LONG));
        self.free_at
    }
}

/// Longer than one read or write is ever made to wait.
const LONG: Duration = Duration::from_secs(3600);

impl Throttle {
    /// `log.cleaner.io.max.bytes.per.second`; infinite for no limit.
    pub fn new(bytes_per_second: f64) -> Throttle {
        Throttle {
            began: Instant::now(),
            state: Mutex::new(State {
                pace: Pace {
                    bytes_per_second,
                    free_at: Duration::ZERO,
                },
                is_stopped: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// As in [`Throttle::new`]; whoever waits goes on at the new rate.
    pub fn set_rate(&self, bytes_per_second: f64) {
        let mut state = self.lock();
        state.pace = Pace {
            bytes_per_second,
            free_at: Duration::ZERO,
        };
        self.changed.notify_all();
    }

    /// Ends the cleanings that are under way, and all that would begin.
    pub fn stop(&self) {
        self.lock().is_stopped = true;
        self.changed.notify_all();
    }

    /// `bytes` were read or written. Blocks until more may be; breaks when no more are to be.
    pub(super) fn spent(&self, bytes: usize) -> ControlFlow<()> {
        let mut state = self.lock();
        let until = state.pace.spend(self.began.elapsed(), bytes);
        loop {
            if state.is_stopped {
                return ControlFlow::Break(());
            }
            // A new rate forgives what was spent at the old one.
            let left = until
                .min(state.pace.free_at)
                .saturating_sub(self.began.elapsed());
            if left.is_zero() {
                return ControlFlow::Continue(());
            }
            let woken = self.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use super::{Pace, Throttle};

    #[test]
    fn the_rate_holds_over_any_time_and_a_pause_is_made_up_for_only_in_part() {
        // 1000 bytes a second, on a clock of its own.
        let mut pace = Pace {
            bytes_per_second: 1000.0,
            free_at: Duration::ZERO,
        };
        let mut now = Duration::from_secs(10);
        let spent: usize = (1..=100).map(|round| round * 7 % 50).sum();
        for round in 1..=100 {
            now = now.max(pace.spend(now, round * 7 % 50));
        }
        let expected = Duration::from_secs_f64(10.0 - 0.3 + spent as f64 / 1000.0);
        assert_eq!(now.as_millis(), expected.as_millis());
        // After an hour of nothing it has saved up three tenths of a second, and no more.
        let later = now + Duration::from_secs(3600);
        assert!(pace.spend(later, 300) <= later);
        assert_eq!(
            pace.spend(later, 500).as_millis(),
            (later + Duration::from_millis(500)).as_millis()
        );
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        // Any number of bytes at once.
        let throttle = Throttle::new(f64::INFINITY);
        assert!(throttle.spent(usize::MAX).is_continue());
    }

    #[test]
    fn whoever_waits_is_woken_by_a_new_rate_and_by_the_end() {
        // At a byte an hour both would wait for ever.
        let throttle = Arc::new(Throttle::new(1.0 / 3600.0));
        for wake in [
            (|throttle| throttle.set_rate(f64::INFINITY)) as fn(&Throttle),
            Throttle::stop,
        ] {
            throttle.set_rate(1.0 / 3600.0);
            let waiting = {
                let throttle = Arc::clone(&throttle);
                thread::spawn(move || throttle.spent(1 << 20).is_continue())
            };
            while throttle.lock().pace.free_at.is_zero() {
                thread::yield_now();
            }
            wake(&throttle);
            let goes_on = waiting.join().expect("it ends");
            assert_eq!(goes_on, !throttle.lock().is_stopped);
        }
    }
}
