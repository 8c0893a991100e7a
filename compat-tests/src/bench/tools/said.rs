//! What a tool says about its run, and how its lines are read: to the letter, so that a tool that speaks otherwise is an
//! error and not a zero.

use std::time::Duration;

use crate::bench::measure::quantile;
use crate::bench::{Failure, Outcome};

/// What a tool has said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Said {
    pub records_a_second: f64,
    /// Where it measures them.
    pub latencies: Option<Latencies>,
}

/// Seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latencies {
    pub mean: f64,
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
}

impl Latencies {
    /// Of single latencies, in any order.
    pub fn of(mut latencies: Vec<Duration>) -> Outcome<Self> {
        if latencies.is_empty() {
            return Err(Failure::new("no latency was written down"));
        }
        latencies.sort_unstable();
        let sum: Duration = latencies.iter().sum();
        Ok(Self {
            mean: sum.as_secs_f64() / latencies.len() as f64,
            p50: quantile(&latencies, 0.5),
            p99: quantile(&latencies, 0.99),
            p999: quantile(&latencies, 0.999),
        })
    }
}

/// The numbers in the last line of `output` that reads like `pattern`, in which `{}` stands for a number.
pub fn last_match<const N: usize>(output: &str, pattern: &str) -> Outcome<[f64; N]> {
    let matched = output
        .lines()
        .rev()
        .find_map(|line| numbers(line.trim(), pattern));
    let numbers = matched.ok_or_else(|| {
        Failure::new(format!(
            "no line reads like \"{pattern}\" in:\n{}",
            output.trim()
        ))
    })?;
    numbers
        .try_into()
        .map_err(|_| Failure::new(format!("\"{pattern}\" has not {N} numbers")))
}

/// The tool must have done what was asked of it.
pub fn refuse_other_count(what: &str, said: f64, asked: u64) -> Outcome<()> {
    if said == asked as f64 {
        Ok(())
    } else {
        Err(Failure::new(format!("{said} {what}, not {asked}")))
    }
}

fn numbers(line: &str, pattern: &str) -> Option<Vec<f64>> {
    let mut parts = pattern.split("{}");
    let mut rest = line.strip_prefix(parts.next()?)?;
    let mut numbers = Vec::new();
    for part in parts {
        let length = rest
            .find(|character: char| !matches!(character, '0'..='9' | '.' | '-'))
            .unwrap_or(rest.len());
        // A full stop at the end of a sentence is no part of its last number, but of the text behind it.
        let number = rest[..length].strip_suffix('.').unwrap_or(&rest[..length]);
        numbers.push(number.parse().ok()?);
        rest = rest[number.len()..].strip_prefix(part)?;
    }
    rest.is_empty().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_to_the_letter() {
        let pattern = "{} sent, {} a second, 99th: {}.";
        let good = "noise\n1 sent, 2 a second, 99th: 3.\n 10 sent, 2.5 a second, 99th: -1.25.\n";
        assert_eq!(last_match(good, pattern), Ok([10.0, 2.5, -1.25]));
        for bad in [
            "",
            "10 sent, 2.5 a second, 99th: 1",
            "10 sent, 2.5 a second, 99th: 1. And more.",
            "10 sent, 2,5 a second, 99th: 1.",
            "10 sent, NaN a second, 99th: 1.",
            "10 sent,  a second, 99th: 1.",
        ] {
            assert!(last_match::<3>(bad, pattern).is_err(), "{bad:?}");
        }
        assert!(last_match::<2>(good, pattern).is_err());
    }

    #[test]
    fn latencies_need_not_be_sorted() {
        let latencies = [3, 1, 2].map(Duration::from_secs).to_vec();
        let expected = Latencies {
            mean: 2.0,
            p50: 2.0,
            p99: 3.0,
            p999: 3.0,
        };
        assert_eq!(Latencies::of(latencies), Ok(expected));
        assert!(Latencies::of(Vec::new()).is_err());
    }
}
