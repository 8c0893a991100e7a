//! Produce: check, stamp, append, answer.

use std::io::Write;
use std::sync::Arc;

use super::Durability;
use super::connection::Connection;
use super::store::Partition;
use crate::bench::wire::{Reader, Writer};
use crate::bench::{Failure, Outcome, batch};

/// Serves a request, whose batches are stamped where they lie.
pub fn serve(connection: &mut Connection, correlation_id: i32, body: &mut [u8]) -> Outcome<()> {
    let mut cursor = Cursor { body, position: 0 };
    cursor.read(|request| {
        request.compact_string()?; // transactional id
        request.skip(2 + 4)
    })?;
    let topics = cursor.read(|request| request.compact())?;
    let mut answer = Writer::within(std::mem::take(&mut connection.output))
        .int32(correlation_id)
        .no_tags()
        .compact(topics);
    for _ in 0..topics {
        let name = cursor.read(|request| Ok(request.compact_string()?.to_owned()))?;
        let topic = connection
            .store
            .topic(&name)
            .ok_or_else(|| Failure::new(format!("no topic {name}")))?;
        let partitions = cursor.read(|request| request.compact())?;
        answer = answer.compact_string(&name).compact(partitions);
        for _ in 0..partitions {
            let (index, batch_bytes) =
                cursor.read(|request| Ok((request.int32()?, request.compact()?)))?;
            let base_offset = append(
                &topic,
                index,
                cursor.take(batch_bytes)?,
                connection.durability,
            )?;
            answer = answer
                .int32(index)
                .int16(0)
                .int64(base_offset)
                .int64(-1) // log append time
                .int64(0) // log start offset
                .compact(0) // record errors
                .compact_null() // error message
                .no_tags();
            cursor.read(|request| request.tags())?;
        }
        cursor.read(|request| request.tags())?;
        answer = answer.no_tags();
    }
    connection.output = answer.int32(0).no_tags().finish();
    Ok(connection.stream.write_all(&connection.output)?)
}

fn append(
    topic: &Arc<[Partition]>,
    index: i32,
    bytes: &mut [u8],
    durability: Durability,
) -> Outcome<i64> {
    let partition = usize::try_from(index)
        .ok()
        .and_then(|index| topic.get(index))
        .ok_or_else(|| Failure::new(format!("no partition {index}")))?;
    if bytes.len() < batch::HEADER_BYTES || batch::total_bytes(bytes) != Some(bytes.len()) {
        return Err(Failure::new("not one whole batch"));
    }
    if !batch::is_intact(bytes) {
        return Err(Failure::new("a batch is corrupt"));
    }
    let base_offset = partition.append(bytes)?;
    if durability == Durability::Disk {
        partition.file.sync_data()?;
    }
    Ok(base_offset)
}

/// A place in a request of which parts are read and parts are changed.
struct Cursor<'a> {
    body: &'a mut [u8],
    position: usize,
}

impl Cursor<'_> {
    fn read<T>(&mut self, read: impl FnOnce(&mut Reader<'_>) -> Outcome<T>) -> Outcome<T> {
        let mut reader = Reader::new(&self.body[self.position..]);
        let value = read(&mut reader)?;
        self.position = self.body.len() - reader.left();
        Ok(value)
    }

    fn take(&mut self, count: usize) -> Outcome<&mut [u8]> {
        let from = self.position;
        let taken = self
            .body
            .get_mut(from..from + count)
            .ok_or_else(|| Failure::new("a request ends too early"))?;
        self.position += count;
        Ok(taken)
    }
}
