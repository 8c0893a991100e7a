//! librdkafka's `rdkafka_performance`, built from the source that the crate `rdkafka-sys` carries.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::said::{Latencies, Said, last_match, refuse_other_count};
use super::session::{Codec, Job, PACE_A_SECOND, PARTITIONS, Step};
use super::values::{VALUE_BYTES, values};
use crate::bench::{Failure, Outcome};
use crate::suites::librdkafka::{CRATE, DEBIAN_PACKAGES};
use crate::suites::process::must_succeed;
use crate::suites::workshop::Workshop;

/// The folder in the workshop.
const NAME: &str = "rdkafka-performance";
const PATIENCE: Duration = Duration::from_secs(180);
/// The library's own default; the tool would wait for a second.
const LINGER: &str = "linger.ms=5";
const PACED_LINGER: &str = "linger.ms=0";

/// The program.
#[derive(Debug)]
pub struct Rdkafka {
    program: PathBuf,
    /// It sends the same value over and over.
    value: String,
}

impl Rdkafka {
    /// With the optimisation that librdkafka's own build chooses.
    pub fn build() -> Outcome<Self> {
        let workshop = Workshop::open()?;
        let stamp = format!("{} {} 1", CRATE.name, CRATE.version);
        workshop.debian_packages(NAME, DEBIAN_PACKAGES)?;
        workshop.when_changed(NAME, &stamp, |home| build(&workshop, home))?;
        let examples = tree(&workshop.home(NAME)).join("examples");
        Ok(Self {
            program: examples.join("rdkafka_performance"),
            value: values().swap_remove(0),
        })
    }

    pub fn run(&self, job: &Job<'_>) -> Outcome<Said> {
        let mut command = Command::new(&self.program);
        command
            .args(["-b", &job.address.to_string()])
            .args(["-t", job.topic])
            .args(["-c", &job.records.to_string()]);
        match job.step {
            Step::Write | Step::Paced => self.produce(&mut command, job),
            Step::Read => consume(&mut command),
        }
        let output = must_succeed(&mut command, &job.place.output(), PATIENCE)?;
        match job.step {
            Step::Write => producer_said(&output, job.codec, job.records),
            Step::Read => consumer_said(&output, job.records),
            Step::Paced => {
                let said = producer_said(&output, job.codec, job.records)?;
                let text = fs::read_to_string(job.place.latencies())?;
                let latencies = written_latencies(&text, job.records, job.warm_up_records)?;
                Ok(Said {
                    latencies: Some(latencies),
                    ..said
                })
            }
        }
    }

    fn produce(&self, command: &mut Command, job: &Job<'_>) {
        command
            .arg("-P")
            .args(["-a", "-1"])
            .args(["-s", &VALUE_BYTES.to_string()])
            .args(["-m", &self.value])
            .args(["-z", &job.codec.to_string()]);
        if job.step == Step::Paced {
            command
                .args(["-X", PACED_LINGER])
                .args(["-r", &PACE_A_SECOND.to_string()])
                .args(["-l", "-A"])
                .arg(job.place.latencies());
        } else {
            command.args(["-X", LINGER]);
        }
    }
}

fn consume(command: &mut Command) {
    command.args(["-C", "-o", "beginning"]);
    for partition in 0..PARTITIONS {
        command.args(["-p", &partition.to_string()]);
    }
}

fn tree(home: &Path) -> PathBuf {
    home.join("source").join("librdkafka")
}

fn build(workshop: &Workshop, home: &Path) -> Outcome<()> {
    workshop.crate_source(NAME, &CRATE, &home.join("source"))?;
    let tree = tree(home);
    let step = |step: &str, program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&tree);
        workshop.step(NAME, step, &mut command).map(drop)
    };
    step("configure", "./configure", &["--disable-debug-symbols"])?;
    step(
        "make-library",
        "make",
        &["-j2", "-C", "src", "librdkafka.a"],
    )?;
    step(
        "make-tool",
        "make",
        &["-C", "examples", "rdkafka_performance"],
    )
}

/// The last of its progress lines is about everything.
fn producer_said(output: &str, codec: Codec, records: u64) -> Outcome<Said> {
    let pattern = format!(
        "% {{}} messages produced ({{}} bytes), {{}} delivered (offset {{}}, {{}} failed) in {{}}ms: {{}} msgs/s and {{}} \
         MB/s, {{}} produce failures, {{}} in queue, {codec} compression"
    );
    let [_, _, delivered, _, failed, _, records_a_second, ..] = last_match::<10>(output, &pattern)?;
    refuse_other_count("records were delivered", delivered, records)?;
    refuse_other_count("records failed", failed, 0)?;
    Ok(Said {
        records_a_second,
        latencies: None,
    })
}

fn consumer_said(output: &str, records: u64) -> Outcome<Said> {
    let pattern = "% {} messages ({} bytes) consumed in {}ms: {} msgs/s ({} MB/s)";
    let [read, _, _, records_a_second, _] = last_match(output, pattern)?;
    refuse_other_count("records were read", read, records)?;
    Ok(Said {
        records_a_second,
        latencies: None,
    })
}

/// A line for each record: microseconds from the call until the delivery report. The first `warm_up_records` don't count.
fn written_latencies(text: &str, records: u64, warm_up_records: u64) -> Outcome<Latencies> {
    let latencies = text
        .lines()
        .map(|line| line.trim().parse().map(Duration::from_micros))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Failure::new(format!("the latencies are not understood: {error}")))?;
    refuse_other_count(
        "latencies were written down",
        latencies.len() as f64,
        records,
    )?;
    let steady = latencies.into_iter().skip(warm_up_records as usize);
    Latencies::of(steady.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCED: &str = "\
        % Sending 1000 messages of size 1024 bytes\n\
        % 400 messages produced (409600 bytes), 310 delivered (offset 77, 0 failed) in 1000ms: 310 msgs/s and 0.32 MB/s, \
        0 produce failures, 90 in queue, lz4 compression\n\
        % 7 backpressures for 1000 produce calls: 0.700% backpressure rate\n\
        % 1000 messages produced (1024000 bytes), 1000 delivered (offset 249, 0 failed) in 2000ms: 500 msgs/s and 0.51 \
        MB/s, 7 produce failures, 0 in queue, lz4 compression\n";

    #[test]
    fn a_producer_is_judged_by_its_last_line() {
        let said = producer_said(PRODUCED, Codec::Lz4, 1000).expect("a last line");
        assert_eq!(said.records_a_second, 500.0);
    }

    /// Another compression than was asked for, records missing, records failed, a word that is new.
    #[test]
    fn a_producer_that_says_something_else_is_an_error() {
        assert!(producer_said(PRODUCED, Codec::Zstd, 1000).is_err());
        assert!(producer_said(PRODUCED, Codec::Lz4, 1001).is_err());
        let failed = PRODUCED.replace("249, 0 failed", "249, 3 failed");
        assert!(producer_said(&failed, Codec::Lz4, 1000).is_err());
        let other_words = PRODUCED.replace("msgs/s", "records/s");
        assert!(producer_said(&other_words, Codec::Lz4, 1000).is_err());
    }

    const CONSUMED: &str = "\
        % Consumer reached end of t [0] message queue at offset 250\n\
        % 1000 messages (1024000 bytes) consumed in 125ms: 8000 msgs/s (8.19 MB/s)\n\
        % Average application fetch latency: 3us\n";

    #[test]
    fn a_consumer_must_have_read_all() {
        let said = consumer_said(CONSUMED, 1000).expect("a line");
        assert_eq!(said.records_a_second, 8000.0);
        assert!(consumer_said(CONSUMED, 1001).is_err());
        assert!(consumer_said(&CONSUMED.replace("consumed", "read"), 1000).is_err());
    }

    #[test]
    fn latencies_of_the_warm_up_do_not_count() {
        let latencies = written_latencies("9000\n1000\n3000\n", 3, 1).expect("three lines");
        assert_eq!((latencies.mean, latencies.p999), (0.002, 0.003));
        assert!(written_latencies("9000\n1000\n", 3, 1).is_err());
        assert!(written_latencies("9000\n1000\nx\n", 3, 1).is_err());
    }
}
