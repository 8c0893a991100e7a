//! `kafka-producer-perf-test` and `kafka-consumer-perf-test`, started as their scripts start them.

use std::ffi::OsString;
use std::fs;
use std::process::Command;
use std::time::Duration;

use super::said::{Latencies, Said, last_match, refuse_other_count};
use super::session::{Job, PACE_A_SECOND, Step};
use crate::bench::{Failure, Outcome};
use crate::kafka::{KafkaJars, PRODUCTION_FLAGS};
use crate::suites::process::must_succeed;

const PRODUCER: &str = "org.apache.kafka.tools.ProducerPerformance";
const CONSUMER: &str = "org.apache.kafka.tools.ConsumerPerformance";
/// What both scripts give their JVM.
const HEAP: &str = "-Xmx512M";
const PATIENCE: Duration = Duration::from_secs(180);
const LOG4J_PROPERTIES: &str = "\
rootLogger.level=WARN
rootLogger.appenderRef.console.ref=CONSOLE
appender.console.type=Console
appender.console.name=CONSOLE
appender.console.target=SYSTEM_ERR
";

/// Where the jars are.
#[derive(Debug)]
pub struct JavaTools {
    class_path: OsString,
}

impl JavaTools {
    pub fn locate() -> Outcome<Self> {
        Ok(Self {
            class_path: KafkaJars::locate()?.class_path(),
        })
    }

    pub fn run(&self, job: &Job<'_>) -> Outcome<Said> {
        let logging = job.place.folder().join("log4j2.properties");
        fs::write(&logging, LOG4J_PROPERTIES)?;
        let mut command = Command::new("java");
        command
            .arg(HEAP)
            .args(PRODUCTION_FLAGS)
            // Numbers with a full stop, wherever this runs.
            .args(["-Duser.language=en", "-Duser.country=US"])
            .arg(format!("-Dlog4j2.configurationFile={}", logging.display()))
            .env("CLASSPATH", &self.class_path);
        match job.step {
            Step::Write | Step::Paced => produce(&mut command, job),
            Step::Read => consume(&mut command, job),
        }
        let output = must_succeed(&mut command, &job.place.output(), PATIENCE)?;
        match job.step {
            Step::Write | Step::Paced => producer_said(&output, job.records, job.warm_up_records),
            Step::Read => consumer_said(&output, job.records),
        }
    }
}

fn produce(command: &mut Command, job: &Job<'_>) {
    let (pace, linger) = match job.step {
        Step::Paced => (PACE_A_SECOND.to_string(), Some("linger.ms=0")),
        // As fast as it can, with the client's own linger.
        Step::Write | Step::Read => ("-1".to_owned(), None),
    };
    command
        .arg(PRODUCER)
        .args(["--bootstrap-server", &job.address.to_string()])
        .args(["--topic", job.topic])
        .args(["--num-records", &job.records.to_string()])
        .args(["--warmup-records", &job.warm_up_records.to_string()])
        .args(["--throughput", &pace])
        .arg("--payload-file")
        .arg(job.place.values())
        .args([
            "--command-property",
            &format!("compression.type={}", job.codec),
        ])
        .args(linger);
}

fn consume(command: &mut Command, job: &Job<'_>) {
    command
        .arg(CONSUMER)
        .args(["--bootstrap-server", &job.address.to_string()])
        .args(["--topic", job.topic])
        .args(["--num-records", &job.records.to_string()]);
}

/// The whole run has a line of its own, which tells whether everything was sent; the numbers are from the line about what
/// came behind the warm-up.
fn producer_said(output: &str, records: u64, warm_up_records: u64) -> Outcome<Said> {
    let figures = "{} records/sec ({} MB/sec), {} ms avg latency, {} ms max latency, {} ms 50th, {} ms 95th, {} ms 99th, \
                   {} ms 99.9th.";
    let [sent, ..] = last_match::<9>(output, &format!("{{}} records sent, {figures}"))?;
    refuse_other_count("records were sent", sent, records)?;
    let [steady, records_a_second, _, mean, _, p50, _, p99, p999] = last_match(
        output,
        &format!("{{}} steady state records sent, {figures}"),
    )?;
    refuse_other_count("records were steady", steady, records - warm_up_records)?;
    Ok(Said {
        records_a_second,
        latencies: Some(Latencies {
            mean: mean / 1e3,
            p50: p50 / 1e3,
            p99: p99 / 1e3,
            p999: p999 / 1e3,
        }),
    })
}

/// A header and one line of values; `fetch.nMsg.sec` leaves out the time until the group had its partitions.
fn consumer_said(output: &str, records: u64) -> Outcome<Said> {
    let unlike = || {
        Failure::new(format!(
            "kafka-consumer-perf-test is not understood:\n{}",
            output.trim()
        ))
    };
    let cells = |line: &str| -> Vec<String> {
        line.split(',').map(|cell| cell.trim().to_owned()).collect()
    };
    let header = output.lines().find(|line| line.starts_with("start.time, "));
    let names = cells(header.ok_or_else(unlike)?);
    let values = output
        .lines()
        .rev()
        .map(cells)
        .find(|cells| cells.len() == names.len())
        .ok_or_else(unlike)?;
    let value = |name: &str| -> Outcome<f64> {
        let index = names.iter().position(|known| known == name);
        index
            .and_then(|index| values[index].parse().ok())
            .filter(|value: &f64| value.is_finite())
            .ok_or_else(unlike)
    };
    refuse_other_count(
        "records were read",
        value("data.consumed.in.nMsg")?,
        records,
    )?;
    Ok(Said {
        records_a_second: value("fetch.nMsg.sec")?,
        latencies: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCED: &str = "\
        Warmup first 250 records. Steady state results will print after the complete test summary.\n\
        600 records sent, 120.0 records/sec (0.12 MB/sec), 1490.6 ms avg latency, 2305.0 ms max latency.\n\
        1000 records sent, 200.500000 records/sec (0.20 MB/sec), 90.18 ms avg latency, 2305.00 ms max latency, \
        80 ms 50th, 210 ms 95th, 221 ms 99th, 227 ms 99.9th.\n\
        750 steady state records sent, 300.25 records/sec (0.29 MB/sec), 12.50 ms avg latency, 40.00 ms max latency, \
        11 ms 50th, 21 ms 95th, 31 ms 99th, 39 ms 99.9th.\n";

    #[test]
    fn a_producer_is_judged_by_its_steady_state() {
        let said = producer_said(PRODUCED, 1000, 250).expect("both lines are there");
        let expected = Said {
            records_a_second: 300.25,
            latencies: Some(Latencies {
                mean: 0.0125,
                p50: 0.011,
                p99: 0.031,
                p999: 0.039,
            }),
        };
        assert_eq!(said, expected);
    }

    /// Records that failed, another number of them in the steady state, a line that is missing, a word that is new.
    #[test]
    fn a_producer_that_says_something_else_is_an_error() {
        assert!(producer_said(PRODUCED, 1001, 250).is_err());
        assert!(producer_said(PRODUCED, 1000, 200).is_err());
        let without_steady: String = PRODUCED.lines().take(3).collect::<Vec<_>>().join("\n");
        assert!(producer_said(&without_steady, 1000, 250).is_err());
        let other_words = PRODUCED.replace("avg latency", "mean latency");
        assert!(producer_said(&other_words, 1000, 250).is_err());
    }

    const CONSUMED: &str = "\
        start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, \
        fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec\n\
        2026-01-02 16:55:02:322, 2026-01-02 16:55:06:617, 0.9766, 0.2274, 1000, 232.8289, 1925, 2370, 0.4120, 421.9409\n";

    #[test]
    fn a_consumer_is_judged_without_its_rebalance() {
        let said = consumer_said(CONSUMED, 1000).expect("header and values are there");
        assert_eq!(said.records_a_second, 421.9409);
        assert_eq!(said.latencies, None);
    }

    /// Too few records, as after a timeout; a column less; a column with another name; no values.
    #[test]
    fn a_consumer_that_says_something_else_is_an_error() {
        assert!(consumer_said(CONSUMED, 1001).is_err());
        assert!(consumer_said(&CONSUMED.replace(", 421.9409", ""), 1000).is_err());
        assert!(consumer_said(&CONSUMED.replace("fetch.nMsg.sec", "rate"), 1000).is_err());
        assert!(consumer_said(&CONSUMED.replace("421.9409", "fast"), 1000).is_err());
        let header = CONSUMED.lines().next().expect("a header");
        assert!(consumer_said(header, 1000).is_err());
    }
}
