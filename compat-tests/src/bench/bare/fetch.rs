//! Fetch: find, wait if there is nothing, send the file's bytes.

use std::io::{self, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::SendFlags;

use super::connection::Connection;
use super::store::{Partition, Place, Wake};
use crate::bench::wire::{Reader, Writer, as_i32};
use crate::bench::{Failure, Outcome};

/// Below this a copy costs less than another system call.
const COPIED_BYTES_MAX: usize = 8 << 10;

/// A partition's end as a connection last saw it: a consumer continues there.
#[derive(Debug)]
pub struct Position {
    topic: Arc<[Partition]>,
    index: usize,
    place: Place,
}

/// A partition of a request, and what it can have.
struct Target {
    topic: Arc<[Partition]>,
    index: usize,
    bytes_max: usize,
    place: Place,
    end: Place,
}

impl Target {
    fn partition(&self) -> &Partition {
        &self.topic[self.index]
    }

    fn bytes(&self) -> usize {
        let available = self.end.position - self.place.position;
        usize::try_from(available).map_or(self.bytes_max, |bytes| bytes.min(self.bytes_max))
    }
}

/// Serves a request.
pub fn serve(
    connection: &mut Connection,
    correlation_id: i32,
    mut request: Reader<'_>,
) -> Outcome<()> {
    request.skip(4)?;
    let patience = Duration::from_millis(u64::try_from(request.int32()?).unwrap_or(0));
    let bytes_min = request.count()?;
    request.skip(4 + 1 + 4 + 4)?;
    if request.compact()? != 1 {
        return Err(Failure::new("a fetch names one topic here"));
    }
    let name = request.compact_string()?;
    let topic = connection
        .store
        .topic(name)
        .ok_or_else(|| Failure::new(format!("no topic {name}")))?;
    let mut targets = Vec::new();
    for _ in 0..request.compact()? {
        targets.push(target(connection, &topic, &mut request)?);
    }
    wait(&mut targets, bytes_min, patience);
    send(connection, correlation_id, name, &targets)
}

fn target(
    connection: &Connection,
    topic: &Arc<[Partition]>,
    request: &mut Reader<'_>,
) -> Outcome<Target> {
    let index = request.count()?;
    request.skip(4)?;
    let offset = request.int64()?;
    request.skip(4 + 8)?;
    let bytes_max = request.count()?;
    request.tags()?;
    let partition = topic
        .get(index)
        .ok_or_else(|| Failure::new(format!("no partition {index}")))?;
    let known = connection.positions.iter().find(|known| {
        known.index == index && Arc::ptr_eq(&known.topic, topic) && known.place.offset == offset
    });
    let place = match known {
        Some(known) => known.place,
        None => partition.find(offset)?,
    };
    Ok(Target {
        topic: Arc::clone(topic),
        index,
        bytes_max,
        place,
        end: partition.end(),
    })
}

/// Waits until there are `bytes_min` bytes or the time is up.
fn wait(targets: &mut [Target], bytes_min: usize, patience: Duration) {
    let deadline = Instant::now() + patience;
    while targets.iter().map(Target::bytes).sum::<usize>() < bytes_min {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        let wake = Arc::new(Wake::default());
        if targets
            .iter()
            .all(|target| target.partition().wait_beyond(target.end.position, &wake))
        {
            wake.wait(left);
        }
        for target in &mut *targets {
            target.end = target.partition().end();
        }
    }
}

fn send(
    connection: &mut Connection,
    correlation_id: i32,
    topic: &str,
    targets: &[Target],
) -> Outcome<()> {
    let begin = Writer::within(std::mem::take(&mut connection.output))
        .int32(correlation_id)
        .no_tags()
        .int32(0)
        .int16(0)
        .int32(0) // no session
        .compact(1)
        .compact_string(topic)
        .compact(targets.len());
    // All partitions' headers have to be known before the first byte goes out, because the frame's length comes first.
    let headers: Vec<Vec<u8>> = targets.iter().map(partition_header).collect();
    let tags_of_topic_and_answer = [0; 2];
    let behind = headers.iter().map(Vec::len).sum::<usize>()
        + targets
            .iter()
            .map(|target| target.bytes() + 1)
            .sum::<usize>()
        + tags_of_topic_and_answer.len();
    let mut pending = begin.finish_with(behind);
    for (target, header) in targets.iter().zip(&headers) {
        pending.extend(header);
        let bytes = target.bytes();
        if bytes <= COPIED_BYTES_MAX {
            let from = pending.len();
            pending.resize(from + bytes, 0);
            let file = &target.partition().file;
            file.read_exact_at(&mut pending[from..], target.place.position)?;
        } else {
            send_more(&connection.stream, &pending)?;
            pending.clear();
            send_file(&connection.stream, target, bytes)?;
        }
        pending.push(0); // tags of the partition
    }
    pending.extend(tags_of_topic_and_answer);
    connection.stream.write_all(&pending)?;
    connection.output = pending;
    remember(connection, targets);
    Ok(())
}

fn partition_header(target: &Target) -> Vec<u8> {
    let bytes = Writer::within(Vec::new())
        .int32(as_i32(target.index))
        .int16(0)
        .int64(target.end.offset) // high watermark
        .int64(target.end.offset) // last stable offset
        .int64(0) // log start offset
        .compact_null() // aborted transactions
        .int32(-1) // preferred replica
        .compact(target.bytes())
        .finish();
    bytes[4..].to_vec()
}

/// Bytes that more will follow, so that the kernel can put both into one packet.
fn send_more(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = rustix::net::send(stream, bytes, SendFlags::MORE | SendFlags::NOSIGNAL)?;
        bytes = &bytes[sent..];
    }
    Ok(())
}

fn send_file(stream: &TcpStream, target: &Target, bytes: usize) -> io::Result<()> {
    let mut position = target.place.position;
    let end = position + bytes as u64;
    while position < end {
        let left = usize::try_from(end - position).unwrap_or(usize::MAX);
        let file = &target.partition().file;
        if rustix::fs::sendfile(stream, file, Some(&mut position), left)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Keeps where the consumer will continue if it has got all there was.
fn remember(connection: &mut Connection, targets: &[Target]) {
    connection.positions.clear();
    for target in targets {
        if target.place.position + target.bytes() as u64 == target.end.position {
            connection.positions.push(Position {
                topic: Arc::clone(&target.topic),
                index: target.index,
                place: target.end,
            });
        }
    }
}
