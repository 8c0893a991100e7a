//! A disk without room.

use std::fs;

use crate::faults::ordeal::{Disks, Ordeal};
use crate::faults::probe::KAFKA_STORAGE_ERROR;
use crate::suites::{Failure, Outcome};

const DISK_MEGABYTES: usize = 24;
const BALLAST_BYTES: usize = 12 << 20;
const RECORD_BYTES: usize = 200_000;
/// Topics whose metadata surely do not fit into what is left of a page of the metadata log.
const TOPICS_MAX: usize = 200;

/// One of two disks is full: the other one is served, and room brings the full one back.
pub fn one_of_two() -> Outcome<()> {
    let mut ordeal = Ordeal::begin(Disks::Two, DISK_MEGABYTES, &[])?;
    let ballast = ordeal.sick_disk.path().join("ballast");
    fs::write(&ballast, vec![0; BALLAST_BYTES])?;
    ordeal.is_refused(RECORD_BYTES)?;
    ordeal.others_are_served()?;
    ordeal.is_refused(RECORD_BYTES)?;
    fs::remove_file(ballast)?;
    ordeal.finish()
}

/// The only disk is full, the metadata log on it: changes of the metadata are refused as well, and work again.
pub fn the_only_one() -> Outcome<()> {
    let mut ordeal = Ordeal::begin(Disks::One, DISK_MEGABYTES, &[])?;
    let ballast = ordeal.sick_disk.path().join("ballast");
    fs::write(&ballast, vec![0; BALLAST_BYTES])?;
    ordeal.is_refused(RECORD_BYTES)?;
    let mut created = Vec::new();
    let refusal = (0..TOPICS_MAX).find_map(|number| {
        let name = format!("late-{number}");
        match ordeal.probe.create_topic(&name) {
            Ok(Ok(())) => {
                created.push(name);
                None
            }
            Ok(Err(code)) => Some(Ok(code)),
            Err(failure) => Some(Err(failure)),
        }
    });
    match refusal.transpose()? {
        Some(KAFKA_STORAGE_ERROR) => {}
        Some(code) => return Err(Failure::new(format!("CreateTopics: error {code}"))),
        None => return Err(Failure::new("a full disk takes any number of topics")),
    }
    fs::remove_file(ballast)?;
    ordeal.recovers("with room again")?;
    let name = "with-room".to_owned();
    ordeal
        .probe
        .create_topic(&name)?
        .map_err(|code| Failure::new(format!("CreateTopics with room again: error {code}")))?;
    created.push(name);
    for name in created {
        ordeal.takes_records(&name)?;
    }
    ordeal.finish()
}
