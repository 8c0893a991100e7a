//! Builds a machine from what its partition says. Blocks on the disk.

use bytes::Bytes;
use klamm_group_coordinator::{ProducerId, Replayed, TransactionOutcome};
use klamm_log_store::batch::{Batch, EndMarker, RawBatch};
use klamm_log_store::engine::FirstBatch;
use klamm_log_store::partition::{Partition, ReadLimit};
use tracing::{info, warn};

use super::machine::{LoadedRecord, Machine};

/// Bytes that one read of the partition asks for.
const READ_BYTES: usize = 1 << 20;
/// What the records of one batch may decompress to. A coordinator writes none that come near it.
const DECOMPRESSED_BYTES_MAX: usize = 256 << 20;

/// Replays `log` from its start to its end into a new machine.
///
/// # Errors
/// A text for the log when the partition cannot be read or holds records that make no sense: a machine that misses a
/// record must not serve.
pub fn load<M: Machine>(log: &Partition, config: M::Config) -> Result<M, String> {
    let mut machine = M::new(config, log.leader_epoch().0);
    let mut replay = Replay {
        machine: &mut machine,
        record_count: 0,
        skipped_count: 0,
    };
    let ends = log.ends();
    let mut next = ends.log_start;
    while next < ends.written_end {
        let read = log
            .read(next, READ_BYTES, FirstBatch::Always, ReadLimit::LogEnd)
            .map_err(|error| error.to_string())?;
        let before = next;
        for slice in &read.slices {
            let mut bytes = slice.read_to_bytes().map_err(|error| error.to_string())?;
            while !bytes.is_empty() {
                let batch = RawBatch::split_from(&mut bytes)
                    .and_then(RawBatch::check)
                    .map_err(|error| error.to_string())?;
                next = batch.header().end_offset();
                replay.batch(&batch)?;
            }
        }
        if next <= before {
            break;
        }
    }
    let (record_count, skipped_count) = (replay.record_count, replay.skipped_count);
    if skipped_count > 0 {
        warn!(
            skipped_count,
            topic = M::TOPIC,
            "records of newer protocols were left alone"
        );
    }
    if record_count > 0 {
        info!(record_count, end = next.0, "{} loaded a partition", M::NAME);
    }
    Ok(machine)
}

struct Replay<'a, M: Machine> {
    machine: &'a mut M,
    record_count: u64,
    skipped_count: u64,
}

impl<M: Machine> Replay<'_, M> {
    fn batch(&mut self, batch: &Batch) -> Result<(), String> {
        let header = batch.header();
        let producer = ProducerId(header.producer_id.0);
        let section = batch
            .records(DECOMPRESSED_BYTES_MAX)
            .map_err(|error| error.to_string())?;
        for record in section.iter() {
            let record = record.map_err(|error| error.to_string())?;
            if header.attributes.is_control() {
                let outcome = match EndMarker::parse(&record) {
                    Some((EndMarker::Commit, _)) => TransactionOutcome::Committed,
                    Some((EndMarker::Abort, _)) => TransactionOutcome::Aborted,
                    None => continue,
                };
                self.machine.replay_marker(producer, outcome);
                continue;
            }
            let offset = header.record_offset(record.offset_delta);
            let Some(key) = record.key else { continue };
            let record = LoadedRecord {
                key,
                value: record.value,
                offset: offset.0,
                producer: header.attributes.is_transactional().then_some(producer),
            };
            let replayed = self
                .machine
                .replay(record)
                .map_err(|error| format!("record at offset {offset}: {error}"))?;
            self.record_count += 1;
            if let Replayed::Skipped { .. } = replayed {
                self.skipped_count += 1;
            }
        }
        Ok(())
    }
}

/// A record in the form that the batch builder takes.
pub fn key_and_value(record: &klamm_group_coordinator::Record) -> (Option<&[u8]>, Option<&[u8]>) {
    (Some(&record.key), record.value.as_ref().map(Bytes::as_ref))
}
