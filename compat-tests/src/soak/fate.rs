//! What happens to the server: `kill -9` at random moments, some right after each other, and clean stops now and then.
//!
//! Storms of restarts alternate with calm times, in which memory and files get the time to grow.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;

use crate::klamm::Klamm;
use crate::soak::anomaly::{Anomaly, Kind};
use crate::soak::gauge::Gauge;
use crate::soak::world::World;
use crate::suites::{Failure, Outcome};

/// Between two restarts of a storm, at most.
const STORM_PAUSE_MAX: Duration = Duration::from_secs(25);

/// How long a stopped server stays away, at most.
const DOWNTIME_MAX: Duration = Duration::from_millis(800);

/// How soon after a restart the second kill of two comes, at most.
const SECOND_KILL_MAX: Duration = Duration::from_millis(400);

/// How far a start that is cut off gets, at most.
const STARTING_MAX: Duration = Duration::from_millis(80);

const SAMPLE_EVERY: Duration = Duration::from_secs(2);

/// What became of the server so far.
#[derive(Debug, Default)]
pub struct Fates {
    pub kills: usize,
    /// Further ones of a process that was not ready so far, or only just.
    pub kills_while_starting: usize,
    pub clean_stops: usize,
    /// From the start of the process to its ready line, in order.
    pub starts: Vec<Duration>,
    pub stops: Vec<Duration>,
}

#[derive(Debug)]
pub struct Fate<'a> {
    pub world: &'a World,
    pub server: &'a mut Klamm,
    pub gauge: &'a mut Gauge,
    pub random: StdRng,
    pub fates: Fates,
}

impl Fate<'_> {
    /// Storms for the first half of `time`, then is calm. The server runs afterwards.
    pub fn storm_and_calm(&mut self, time: Duration) -> Outcome<()> {
        let begun = Instant::now();
        let storm_end = begun + time / 2;
        loop {
            let pause = self
                .random
                .random_range(Duration::from_millis(500)..STORM_PAUSE_MAX);
            if Instant::now() + pause >= storm_end {
                break;
            }
            self.watch(pause)?;
            match self.random.random_range(0..10_u32) {
                0..4 => self.kill()?,
                4..6 => self.kill_while_starting()?,
                6..8 => {
                    self.kill()?;
                    std::thread::sleep(self.random.random_range(Duration::ZERO..SECOND_KILL_MAX));
                    self.kill()?;
                }
                _ => self.stop()?,
            }
        }
        self.watch(time.saturating_sub(begun.elapsed()))
    }

    /// Lets the server run and looks at it now and then.
    pub fn watch(&mut self, time: Duration) -> Outcome<()> {
        let deadline = Instant::now() + time;
        loop {
            if self.server.has_exited()? {
                let story = format!("the server ended by itself:\n{}", self.server.log_tail());
                self.world.report([Anomaly::new(Kind::Crashed, story)]);
                self.restart()?;
            }
            self.gauge.sample(self.server.pid(), self.world.life());
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(SAMPLE_EVERY));
        }
    }

    pub fn kill(&mut self) -> Outcome<()> {
        self.server.kill()?;
        self.fates.kills += 1;
        std::thread::sleep(self.random.random_range(Duration::ZERO..DOWNTIME_MAX));
        self.restart()
    }

    /// Kills, and once to three times more before the server is ready.
    fn kill_while_starting(&mut self) -> Outcome<()> {
        self.server.kill()?;
        self.fates.kills += 1;
        for _ in 0..self.random.random_range(1..=3_u32) {
            let delay = self.random.random_range(Duration::ZERO..STARTING_MAX);
            self.server.kill_while_starting(delay)?;
            self.fates.kills_while_starting += 1;
        }
        self.restart()
    }

    pub fn stop(&mut self) -> Outcome<()> {
        let began = Instant::now();
        let status = self.server.terminate()?;
        self.fates.clean_stops += 1;
        self.fates.stops.push(began.elapsed());
        if !status.success() {
            let story = format!("SIGTERM ended with {status}:\n{}", self.server.log_tail());
            self.world.report([Anomaly::new(Kind::Crashed, story)]);
        }
        self.restart()
    }

    fn restart(&mut self) -> Outcome<()> {
        let began = Instant::now();
        self.world.begin_life();
        self.server
            .restart()
            .map_err(|error| Failure::new(error).during("the server does not start again"))?;
        self.fates.starts.push(began.elapsed());
        self.gauge.begin_life();
        Ok(())
    }

    pub fn log(&self) -> PathBuf {
        self.server.log()
    }
}

/// Lines of the server's log that tell of a panic.
pub fn panics_in(log: &str) -> Vec<Anomaly> {
    let lines = log.lines().filter(|line| line.contains("panicked at"));
    lines
        .map(|line| Anomaly::new(Kind::Crashed, line))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_the_log_is_found() {
        let log = "INFO ready\nthread 'x' panicked at src/y.rs:3:5:\nboom\n";
        let kinds: Vec<_> = panics_in(log).iter().map(|it| it.kind).collect();
        assert_eq!(kinds, [Kind::Crashed]);
        assert_eq!(panics_in("INFO ready\n"), []);
    }
}
