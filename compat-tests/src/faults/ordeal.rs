//! What all checks share: a server with a disk that gets into trouble, what was acknowledged, and the questions that
//! are asked before, during and after.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::faults::disks::Disk;
use crate::faults::probe::{Answer, Found, KAFKA_STORAGE_ERROR, Probe};
use crate::faults::rider::{PREFIX, Rider};
use crate::faults::sabotage::{Rule, Sabotage};
use crate::klamm::{Klamm, KlammOptions, Storage};
use crate::suites::{Failure, Outcome};

/// A log that was failed by its disk is opened again this often at most; Klamm's default is five seconds.
const REOPEN_INTERVAL_MS: &str = "200";
/// Until trouble is noticed, or over.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(20);
const HEALTHY_MEGABYTES: usize = 64;
/// Topics that are created until one lies on each disk.
const TOPICS_MAX: usize = 8;
const RECORD_BYTES: usize = 700;

/// How many log directories the server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disks {
    /// The one that gets into trouble, with the metadata log on it.
    One,
    /// A healthy one with the metadata log, and the other.
    Two,
}

/// One check's server, its disks and its clients.
#[derive(Debug)]
pub struct Ordeal {
    pub server: Klamm,
    pub probe: Probe,
    pub sick_disk: Disk,
    /// The topic on the disk that gets into trouble.
    pub sick: String,
    /// The topic on the other one.
    well: Option<String>,
    rider: Option<Rider>,
    acknowledged: Vec<Found>,
    records_made: usize,
    healthy_disk: Option<Disk>,
    /// Last, because the disks are mounted in it.
    home: TempDir,
}

impl Ordeal {
    /// Starts a server with `settings` and a disk of so many megabytes, and kcat, which writes from now on.
    pub fn begin(disks: Disks, megabytes: usize, settings: &[(&str, &str)]) -> Outcome<Self> {
        let home = tempfile::Builder::new().prefix("klamm-faults-").tempdir()?;
        let sick_disk = Disk::mount(&home.path().join("sick"), megabytes)?;
        let healthy_disk = match disks {
            Disks::One => None,
            Disks::Two => Some(Disk::mount(
                &home.path().join("healthy"),
                HEALTHY_MEGABYTES,
            )?),
        };
        let directories = healthy_disk
            .iter()
            .chain([&sick_disk])
            .map(data_on)
            .collect();
        let mut options = KlammOptions::new(Storage::Directories(directories))
            .set("klamm.log.reopen.interval.ms", REOPEN_INTERVAL_MS);
        for (key, value) in settings {
            options = options.set(key, value);
        }
        let server = Klamm::start(options)?;
        let mut ordeal = Self {
            probe: Probe::new(server.address()),
            server,
            sick: String::new(),
            well: None,
            rider: None,
            acknowledged: Vec::new(),
            records_made: 0,
            sick_disk,
            home,
            healthy_disk,
        };
        ordeal.create_topics(disks)?;
        let said = ordeal.home.path().join("kcat");
        ordeal.rider = Some(Rider::start(ordeal.server.address(), &ordeal.sick, &said)?);
        ordeal.recovers("before the trouble")?;
        Ok(ordeal)
    }

    fn create_topics(&mut self, disks: Disks) -> Outcome<()> {
        for number in 0..TOPICS_MAX {
            let name = format!("trial-{number}");
            self.probe
                .create_topic(&name)?
                .map_err(|code| Failure::new(format!("CreateTopics {name}: error {code}")))?;
            if data_on(&self.sick_disk).join(format!("{name}-0")).is_dir() {
                self.sick = name;
            } else {
                self.well = Some(name);
            }
            if !self.sick.is_empty() && (disks == Disks::One || self.well.is_some()) {
                return Ok(());
            }
        }
        Err(Failure::new("all topics are on one disk"))
    }

    /// The data directory in trouble.
    pub fn sick_data(&self) -> PathBuf {
        data_on(&self.sick_disk)
    }

    /// The first segment of the topic in trouble.
    pub fn sick_log(&self) -> PathBuf {
        let directory = self.sick_data().join(format!("{}-0", self.sick));
        directory.join("00000000000000000000.log")
    }

    /// The first segment of the metadata log.
    pub fn metadata_log(&self) -> PathBuf {
        let disk = self.healthy_disk.as_ref().unwrap_or(&self.sick_disk);
        data_on(disk).join("__cluster_metadata-0/00000000000000000000.log")
    }

    /// Makes calls on the log in trouble fail.
    pub fn sabotage(&self, rule: Rule) -> Outcome<Sabotage> {
        self.sabotage_all(rule, &[self.sick_log()])
    }

    pub fn sabotage_all(&self, rule: Rule, files: &[PathBuf]) -> Outcome<Sabotage> {
        Sabotage::begin(
            self.server.pid(),
            rule,
            files,
            &self.home.path().join("calls"),
        )
    }

    /// Writes one record with padding to the topic in trouble.
    pub fn write(&mut self, bytes: usize) -> Outcome<Answer<i64>> {
        let mut value = format!("record {} ", self.records_made).into_bytes();
        self.records_made += 1;
        value.resize(bytes.max(value.len()), b'.');
        let answer = self.probe.produce(&self.sick, &value)?;
        if let Ok(offset) = answer {
            self.acknowledged.push(Found { offset, value });
        }
        Ok(answer)
    }

    /// Writes records of so many bytes until one is refused with KAFKA_STORAGE_ERROR. Any other refusal is a failure.
    pub fn is_refused(&mut self, bytes: usize) -> Outcome<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.write(bytes)? {
                Ok(_) => {}
                Err(KAFKA_STORAGE_ERROR) => return Ok(()),
                Err(code) => return Err(Failure::new(format!("Produce: error {code}"))),
            }
        }
        Err(Failure::new(format!(
            "every record is acknowledged for {PATIENCE:?}"
        )))
    }

    /// For a while, no record is acknowledged; each is refused with KAFKA_STORAGE_ERROR.
    pub fn stays_refused(&mut self, time: Duration) -> Outcome<()> {
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            match self.write(RECORD_BYTES)? {
                Ok(offset) => {
                    return Err(Failure::new(format!(
                        "a record is acknowledged at offset {offset} in the middle of the trouble"
                    )));
                }
                Err(KAFKA_STORAGE_ERROR) => thread::sleep(PAUSE),
                Err(code) => return Err(Failure::new(format!("Produce: error {code}"))),
            }
        }
        Ok(())
    }

    /// The topic on the other disk is written and read by somebody who has just connected.
    pub fn others_are_served(&mut self) -> Outcome<()> {
        let Some(well) = &self.well else {
            return Ok(());
        };
        let what = format!("the topic {well} on the healthy disk");
        let mut newcomer = Probe::new(self.server.address());
        let offset = newcomer.produce(well, b"well")?.map_err(|code| {
            Failure::new(format!("error {code}")).during(format!("writing {what}"))
        })?;
        let found = newcomer.fetch(well, offset)?.map_err(|code| {
            Failure::new(format!("error {code}")).during(format!("reading {what}"))
        })?;
        if found.first().is_none_or(|record| record.value != b"well") {
            return Err(Failure::new(format!(
                "{what} does not have what was written"
            )));
        }
        Ok(())
    }

    /// Records are taken again, by the same process.
    pub fn recovers(&mut self, when: &str) -> Outcome<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.write(RECORD_BYTES)? {
                Ok(_) => break,
                Err(KAFKA_STORAGE_ERROR) if Instant::now() < deadline => thread::sleep(PAUSE),
                Err(code) => {
                    return Err(Failure::new(format!("{when}, Produce: error {code}")));
                }
            }
        }
        if self.server.has_exited()? {
            return Err(Failure::new("the server has come to an end"));
        }
        Ok(())
    }

    /// A topic takes a record, after a while at the most.
    pub fn takes_records(&mut self, topic: &str) -> Outcome<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.probe.produce(topic, b"record")? {
                Ok(_) => return Ok(()),
                Err(KAFKA_STORAGE_ERROR) if Instant::now() < deadline => thread::sleep(PAUSE),
                Err(code) => {
                    return Err(Failure::new(format!("Produce to {topic}: error {code}")));
                }
            }
        }
    }

    /// `kill -9`, and a new start on the same disks.
    pub fn kill_and_start(&mut self) -> Outcome<()> {
        self.server.kill()?;
        self.start_again()
    }

    pub fn start_again(&mut self) -> Outcome<()> {
        self.server.restart()?;
        self.probe = Probe::new(self.server.address());
        Ok(())
    }

    /// Every record that was acknowledged is where it was said to be, and each of kcat's lines is there once.
    pub fn finish(mut self) -> Outcome<()> {
        self.recovers("after the trouble")?;
        self.others_are_served()?;
        let rider = self.rider.take().expect("it rides until now");
        let lines = rider.arrive()?;
        self.check_log(lines)?;
        self.kill_and_start()?;
        self.check_log(lines)
            .map_err(|failure| failure.during("after kill -9"))?;
        let log = std::fs::read_to_string(self.server.log())?;
        match log.lines().find(|line| line.contains("panicked")) {
            Some(line) => Err(Failure::new(format!("the server's log: {line}"))),
            None => Ok(()),
        }
    }

    fn check_log(&mut self, lines: usize) -> Outcome<()> {
        let found = self.probe.read_whole(&self.sick)?;
        for record in &self.acknowledged {
            let at = found.binary_search_by_key(&record.offset, |found| found.offset);
            if !at.is_ok_and(|at| found[at] == *record) {
                return Err(Failure::new(format!(
                    "the record that was acknowledged at offset {} is not there",
                    record.offset
                )));
            }
        }
        let of_rider = found
            .iter()
            .filter_map(|record| record.value.strip_prefix(PREFIX.as_bytes()));
        let expected = (0..lines).map(|number| number.to_string().into_bytes());
        if !of_rider.clone().eq(expected) {
            return Err(Failure::new(format!(
                "kcat wrote {lines} lines, and {} of its lines are in the log, not one after the other",
                of_rider.count()
            )));
        }
        Ok(())
    }
}

fn data_on(disk: &Disk) -> PathBuf {
    disk.path().join("data")
}
