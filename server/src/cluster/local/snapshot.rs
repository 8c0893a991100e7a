//! Snapshots: an image as a file of its own, in Kafka's format (`RecordsSnapshotWriter`, `RecordsSnapshotReader`).
//!
//! ```text
//! <end offset>-<epoch>.checkpoint    control batch: snapshot header, and from kraft.version 1 on that version and the voters
//!                                    batches of metadata records
//!                                    control batch: snapshot footer
//! ```
//! Offsets count from 0 and mean nothing; every batch bears the epoch in the name. A snapshot is written under another
//! name and gets its own when it is whole and on the disk.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use klamm_log_store::batch::Batch;

use super::batch::{self, Place};
use super::directory::{SnapshotId, sync_directory};
use super::replay::{Quorum, Replay, for_each_record};
use super::scan::{Refusal, read_first, scan};
use super::{Durability, OpenError};
use crate::cluster::record::{ControlRecord, MetadataRecord, encode};
use crate::cluster::restate;
use crate::cluster::view::ClusterImage;

/// A batch of a snapshot is closed when its records are this long together. One more record is far smaller than the rest
/// of what a batch may have.
const BATCH_BYTES: usize = 64 * 1024;

/// A snapshot in the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SnapshotFile {
    pub(super) id: SnapshotId,
    pub(super) bytes: u64,
    /// When the last record of the log was written that the snapshot holds.
    pub(super) log_timestamp_ms: i64,
}

/// What a snapshot says about the log that it stands for.
#[derive(Debug, Clone)]
pub(super) struct Provenance {
    pub(super) id: SnapshotId,
    pub(super) log_timestamp_ms: i64,
    pub(super) quorum: Quorum,
}

/// Writes a snapshot. When this returns it is durable under its name; until then it does not count.
pub(super) fn write(
    directory: &Path,
    durability: Durability,
    image: &ClusterImage,
    provenance: &Provenance,
    now_ms: i64,
) -> io::Result<SnapshotFile> {
    let Provenance {
        id,
        log_timestamp_ms,
        ..
    } = *provenance;
    let part = id.part_path(directory);
    let mut out = SnapshotWriter {
        file: BufWriter::new(File::create(&part)?),
        place: Place {
            base_offset: 0,
            epoch: id.epoch,
            now_ms,
        },
        bytes: 0,
    };
    out.batches(image, provenance)?;
    let bytes = out.bytes;
    let file = out
        .file
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    if durability == Durability::Disk {
        file.sync_all()?;
    }
    fs::rename(&part, id.path(directory))?;
    if durability == Durability::Disk {
        sync_directory(directory)?;
    }
    Ok(SnapshotFile {
        id,
        bytes,
        log_timestamp_ms,
    })
}

struct SnapshotWriter {
    file: BufWriter<File>,
    /// Where the next batch goes.
    place: Place,
    bytes: u64,
}

impl SnapshotWriter {
    fn batches(&mut self, image: &ClusterImage, provenance: &Provenance) -> io::Result<()> {
        let quorum = &provenance.quorum;
        let mut header = vec![ControlRecord::SnapshotHeader {
            log_timestamp_ms: provenance.log_timestamp_ms,
        }];
        if quorum.kraft_version > 0 {
            header.push(ControlRecord::KraftVersion(quorum.kraft_version));
            header.extend(quorum.voters.clone().map(ControlRecord::Voters));
        }
        self.push(&batch::control(self.place, &header))?;

        let metadata_version = image.features.metadata_version();
        let mut values: Vec<Vec<u8>> = Vec::new();
        let mut values_bytes = 0;
        for record in restate::records(image) {
            let value = encode(&record, metadata_version);
            values_bytes += value.len() + batch::RECORD_OVERHEAD_BYTES_MAX;
            values.push(value);
            if values_bytes >= BATCH_BYTES {
                self.push(&batch::records(self.place, &values))?;
                values.clear();
                values_bytes = 0;
            }
        }
        if !values.is_empty() {
            self.push(&batch::records(self.place, &values))?;
        }
        self.push(&batch::control(
            self.place,
            &[ControlRecord::SnapshotFooter],
        ))
    }

    fn push(&mut self, batch: &Batch) -> io::Result<()> {
        self.file.write_all(batch.bytes())?;
        self.bytes += batch.bytes().len() as u64;
        self.place.base_offset = batch.header().end_offset().0;
        Ok(())
    }
}

/// Reads a snapshot into `replay`. It must be whole, from its header to its footer.
pub(super) fn read(
    directory: &Path,
    id: SnapshotId,
    replay: &mut Replay<'_>,
) -> Result<SnapshotFile, OpenError> {
    let path = id.path(directory);
    let (mut log_timestamp_ms, mut has_footer) = (None, false);
    let scan = scan(&path, |batch| {
        if log_timestamp_ms.is_none() {
            let timestamp_ms = header_timestamp_ms(batch).ok_or_else(|| {
                Refusal::Gap("snapshot does not begin with its header".to_owned())
            })?;
            log_timestamp_ms = Some(timestamp_ms);
        }
        has_footer = is_footer(batch);
        replay.snapshot_batch(id, batch).map_err(Refusal::from)
    })?
    .whole(&path)?;
    let (Some(log_timestamp_ms), true) = (log_timestamp_ms, has_footer) else {
        return Err(OpenError::Damaged {
            path,
            position: scan.position_end,
            reason: "snapshot does not end with its footer".to_owned(),
        });
    };
    replay.end_snapshot(id, log_timestamp_ms);
    Ok(SnapshotFile {
        id,
        bytes: scan.position_end,
        log_timestamp_ms,
    })
}

/// What is known of a snapshot without reading it whole. One whose header cannot be read is as old as can be: it is kept
/// only for its name, and is the first to go.
pub(super) fn glance(directory: &Path, id: SnapshotId) -> io::Result<SnapshotFile> {
    let path = id.path(directory);
    Ok(SnapshotFile {
        id,
        bytes: fs::metadata(&path)?.len(),
        log_timestamp_ms: read_first(&path)?
            .as_ref()
            .and_then(header_timestamp_ms)
            .unwrap_or(0),
    })
}

/// The records of `bootstrap.checkpoint`, with which a formatted directory says how the metadata of a new cluster begins;
/// none when there is no such file (`BootstrapDirectory`).
pub fn bootstrap_records(data_dir: &Path) -> Result<Option<Vec<MetadataRecord>>, OpenError> {
    let path = data_dir.join(BOOTSTRAP_FILE);
    if !path.exists() {
        return Ok(None);
    }
    let mut records = Vec::new();
    scan(&path, |batch| {
        if batch.header().attributes.is_control() {
            return Ok(());
        }
        for_each_record(batch, |_, value| {
            let record = crate::cluster::record::decode(value);
            records.push(record.map_err(|error| error.to_string())?);
            Ok(())
        })
        .map_err(Refusal::from)
    })?
    .whole(&path)?;
    Ok(Some(records))
}

const BOOTSTRAP_FILE: &str = "bootstrap.checkpoint";

fn header_timestamp_ms(batch: &Batch) -> Option<i64> {
    match first_control_record(batch)? {
        ControlRecord::SnapshotHeader { log_timestamp_ms } => Some(log_timestamp_ms),
        _ => None,
    }
}

fn is_footer(batch: &Batch) -> bool {
    first_control_record(batch) == Some(ControlRecord::SnapshotFooter)
}

fn first_control_record(batch: &Batch) -> Option<ControlRecord> {
    if !batch.header().attributes.is_control() {
        return None;
    }
    let mut first = None;
    for_each_record(batch, |key, value| {
        if first.is_none() {
            first = ControlRecord::decode(key.unwrap_or_default(), value).ok();
        }
        Ok(())
    })
    .ok()?;
    first
}
