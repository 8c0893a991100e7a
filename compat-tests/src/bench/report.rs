//! The table, in Markdown.

use std::fmt::Write;

use super::measure::{Metric, Spread, ratios};
use super::server::Kind;
use super::work::{Goal, Unit, Work};

/// One row: what was measured, and a number a round for each server, in the order of [`Kind::ALL`].
#[derive(Debug)]
pub struct Row {
    pub work: String,
    pub what: String,
    pub format: Format,
    /// True if the larger number is the better one; the ratios are turned around then.
    pub grows: bool,
    pub rounds: [Vec<f64>; 3],
    pub kafka_per_klamm_min: Option<f64>,
    pub klamm_per_bare_max: Option<f64>,
}

/// How a number is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Seconds, shown in the unit that fits.
    Time,
    /// Times a second.
    Rate,
    /// Bytes.
    Bytes,
    /// Gigabytes a second, shown in MB/s.
    ByteRate,
}

impl Row {
    pub fn of_work(work: &Work, metric: Metric) -> Self {
        let unit = match work.unit {
            Unit::Request => "request",
            Unit::Record => "record",
            Unit::Gigabyte => "GB",
        };
        let what = match metric {
            Metric::Cpu => format!("CPU a {unit}"),
            Metric::Throughput if work.unit == Unit::Gigabyte => "MB a second".to_owned(),
            Metric::Throughput => format!("{unit}s a second"),
            Metric::P50 => "p50".to_owned(),
            Metric::P99 => "p99".to_owned(),
            Metric::P999 => "p99.9".to_owned(),
        };
        let format = match (metric, work.unit) {
            (Metric::Throughput, Unit::Gigabyte) => Format::ByteRate,
            (Metric::Throughput, _) => Format::Rate,
            _ => Format::Time,
        };
        let goal: Option<&Goal> = work.goals.iter().find(|goal| goal.metric == metric);
        Self {
            work: work.title.to_owned(),
            what,
            format,
            grows: metric.grows(),
            rounds: Default::default(),
            kafka_per_klamm_min: goal.and_then(|goal| goal.kafka_per_klamm_min),
            klamm_per_bare_max: goal.and_then(|goal| goal.klamm_per_bare_max),
        }
    }

    fn ratio(&self, numerator: Kind, denominator: Kind) -> Option<Spread> {
        let (above, below) = if self.grows {
            (denominator, numerator)
        } else {
            (numerator, denominator)
        };
        ratios(&self.rounds[above.index()], &self.rounds[below.index()])
    }

    /// The work and its numbers on these servers.
    fn begin(&self, kinds: &[Kind]) -> String {
        let mut line = format!("| {} | {} |", self.work, self.what);
        for kind in kinds {
            let rounds = &self.rounds[kind.index()];
            let shown = Spread::of(rounds.iter().copied()).map(|spread| self.format.show(spread));
            let _ = write!(line, " {} |", shown.unwrap_or_default());
        }
        line
    }

    fn render(&self) -> String {
        let mut line = self.begin(&Kind::ALL);
        let against_kafka = self.ratio(Kind::Kafka, Kind::Klamm);
        let against_bare = self.ratio(Kind::Klamm, Kind::Bare);
        let _ = write!(
            line,
            " {} | {} | {} | {} |",
            show_ratio(against_kafka),
            show_goal(
                against_kafka,
                self.kafka_per_klamm_min,
                "≥",
                |is, goal| is >= goal
            ),
            show_ratio(against_bare),
            show_goal(against_bare, self.klamm_per_bare_max, "≤", |is, goal| is
                <= goal),
        );
        line
    }
}

impl Format {
    pub fn show_one(self, number: f64) -> String {
        self.show(Spread {
            median: number,
            min: number,
            max: number,
        })
    }

    fn show(self, spread: Spread) -> String {
        let (scale, unit) = match self {
            Self::Time if spread.median >= 1.0 => (1.0, "s"),
            Self::Time if spread.median >= 1e-3 => (1e3, "ms"),
            Self::Time => (1e6, "µs"),
            Self::Rate => (1.0, "/s"),
            Self::Bytes if spread.median >= 1e6 => (1e-6, "MB"),
            Self::Bytes => (1e-3, "KB"),
            Self::ByteRate => (1e3, "MB/s"),
        };
        let [median, min, max] =
            [spread.median, spread.min, spread.max].map(|number| digits(number * scale));
        if min == max {
            format!("{median} {unit}")
        } else {
            format!("{median} {unit} ({min} to {max})")
        }
    }
}

fn show_ratio(spread: Option<Spread>) -> String {
    let Some(spread) = spread else {
        return String::new();
    };
    let [median, min, max] = [spread.median, spread.min, spread.max].map(digits);
    if min == max {
        median
    } else {
        format!("{median} ({min} to {max})")
    }
}

fn show_goal(
    spread: Option<Spread>,
    goal: Option<f64>,
    sign: &str,
    holds: fn(f64, f64) -> bool,
) -> String {
    match (spread, goal) {
        (_, None) => String::new(),
        (None, Some(goal)) => format!("{sign} {goal}"),
        (Some(spread), Some(goal)) if holds(spread.median, goal) => format!("{sign} {goal}"),
        (Some(_), Some(goal)) => format!("**{sign} {goal} missed**"),
    }
}

/// Three digits that matter.
pub fn digits(number: f64) -> String {
    let size = number.abs();
    if size >= 100.0 {
        format!("{number:.0}")
    } else if size >= 10.0 {
        format!("{number:.1}")
    } else {
        format!("{number:.2}")
    }
}

/// The whole table.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| work | measured | Apache Kafka | Klamm | bare server | Kafka / Klamm | goal | Klamm / bare | goal |\n\
         | --- | --- | ---: | ---: | ---: | ---: | :--- | ---: | :--- |\n",
    );
    for row in rows {
        text.push_str(&row.render());
        text.push('\n');
    }
    text
}

/// A table of what only Apache Kafka and Klamm can do.
pub fn pair_table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| work | measured | Apache Kafka | Klamm | Kafka / Klamm |\n| --- | --- | ---: | ---: | ---: |\n",
    );
    for row in rows {
        let numbers = row.begin(&[Kind::Kafka, Kind::Klamm]);
        let ratio = show_ratio(row.ratio(Kind::Kafka, Kind::Klamm));
        let _ = writeln!(text, "{numbers} {ratio} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A time and a rate that say the same: both ratios have to come out alike, and only the missed goal is bold.
    #[test]
    fn ratios_of_rates_are_turned_around() {
        let mut row = Row {
            work: "w".to_owned(),
            what: "p50".to_owned(),
            format: Format::Time,
            grows: false,
            rounds: [vec![8e-6], vec![4e-6], vec![2e-6]],
            kafka_per_klamm_min: Some(2.0),
            klamm_per_bare_max: Some(1.5),
        };
        let expected = "| 2.00 | ≥ 2 | 2.00 | **≤ 1.5 missed** |";
        assert_eq!(
            row.render(),
            format!("| w | p50 | 8.00 µs | 4.00 µs | 2.00 µs {expected}")
        );
        row.rounds = [vec![125e3], vec![250e3], vec![500e3]];
        row.format = Format::Rate;
        row.grows = true;
        assert!(row.render().ends_with(expected), "{}", row.render());
    }
}
