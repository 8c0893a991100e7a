//! Numbers of several rounds, and what they amount to.

use std::time::Duration;

use super::pump::Observed;
use super::work::Work;

/// What is measured of a work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Seconds of CPU time of the server a unit.
    Cpu,
    /// Units a second.
    Throughput,
    /// Seconds.
    P50,
    P99,
    P999,
}

impl Metric {
    pub const ALL: [Self; 5] = [
        Self::Cpu,
        Self::Throughput,
        Self::P50,
        Self::P99,
        Self::P999,
    ];

    /// True if the larger number is the better one.
    pub fn grows(self) -> bool {
        self == Self::Throughput
    }

    pub fn of(self, work: &Work, observed: &Observed) -> f64 {
        let units = work.units(observed);
        match self {
            Self::Cpu => observed.cpu.as_secs_f64() / units,
            Self::Throughput => units / observed.elapsed.as_secs_f64(),
            Self::P50 => quantile(&observed.latencies, 0.5),
            Self::P99 => quantile(&observed.latencies, 0.99),
            Self::P999 => quantile(&observed.latencies, 0.999),
        }
    }
}

/// Seconds below which this part of the latencies lies; not a number if there are none.
pub fn quantile(ascending: &[Duration], part: f64) -> f64 {
    let index = (ascending.len() as f64 * part) as usize;
    let latency = ascending.get(index.min(ascending.len().saturating_sub(1)));
    latency.map_or(f64::NAN, Duration::as_secs_f64)
}

/// The middle of several rounds and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// `None` without a round that has a number.
    pub fn of(rounds: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut rounds: Vec<f64> = rounds
            .into_iter()
            .filter(|round| round.is_finite())
            .collect();
        rounds.sort_by(f64::total_cmp);
        let (min, max) = (*rounds.first()?, *rounds.last()?);
        let half = rounds.len() / 2;
        let median = if rounds.len().is_multiple_of(2) {
            f64::midpoint(rounds[half - 1], rounds[half])
        } else {
            rounds[half]
        };
        Some(Self { median, min, max })
    }
}

/// The ratios of two servers, each round for itself: noise that lasts longer than a round cancels out.
pub fn ratios(numerators: &[f64], denominators: &[f64]) -> Option<Spread> {
    Spread::of(
        numerators
            .iter()
            .zip(denominators)
            .map(|(numerator, denominator)| numerator / denominator),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_round_by_round() {
        let spread = ratios(&[10.0, 40.0, 30.0], &[1.0, 2.0, f64::NAN]).expect("two rounds");
        assert_eq!((spread.min, spread.median, spread.max), (10.0, 15.0, 20.0));
        assert_eq!(ratios(&[], &[1.0]), None);
    }

    #[test]
    fn a_quantile_is_one_of_the_latencies() {
        let latencies: Vec<_> = (1..=1000).map(Duration::from_secs).collect();
        assert_eq!(quantile(&latencies, 0.5), 501.0);
        assert_eq!(quantile(&latencies, 0.999), 1000.0);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
