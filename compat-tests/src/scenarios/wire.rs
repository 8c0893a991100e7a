//! The runner's own look at the server, independent of every client: a few old, fixed-layout requests by hand.
//!
//! It tells what no client does (which codec a stored batch has), and gives all clients the same witness.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::scenarios::failure::{Failure, Outcome};
use crate::scenarios::layout::{Answer, Batch, Request, as_i32, batch_of_one, parse_batches};

const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a topic is left alone before it is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// The wire's isolation levels.
const READ_UNCOMMITTED: i8 = 0;
const READ_COMMITTED: i8 = 1;
const FETCH_BYTES_MAX: i32 = 16 << 20;
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// One server, asked over a new connection for each question.
#[derive(Debug, Clone, Copy)]
pub struct Wire {
    pub address: SocketAddr,
}

impl Wire {
    /// How many partitions a topic has; the question creates nothing.
    pub fn partition_count(self, topic: &str) -> Outcome<usize> {
        let request = Request::new(3, 4).array(1).string(topic).int8(0);
        let mut answer = self.ask(request)?;
        answer.skip(4)?;
        for _ in 0..answer.int32()? {
            answer.skip(4)?;
            answer.string()?;
            answer.skip(4)?;
            answer.string()?;
        }
        answer.string()?;
        answer.skip(4 + 4)?;
        answer.refuse_error("metadata")?;
        answer.string()?;
        answer.skip(1)?;
        answer.count()
    }

    /// The id of the only broker.
    pub fn broker_id(self) -> Outcome<i32> {
        // No topics at all: an empty list of them.
        let mut answer = self.ask(Request::new(3, 4).array(0).int8(0))?;
        answer.skip(4)?;
        match answer.int32()? {
            1 => answer.int32(),
            brokers => Err(Failure::new(format!("{brokers} brokers instead of one"))),
        }
    }

    /// Creates a topic and waits for its partitions.
    pub fn create_topic(self, topic: &str, partitions: usize) -> Outcome<()> {
        let request = Request::new(19, 2)
            .array(1)
            .string(topic)
            .int32(as_i32(partitions))
            .int16(1)
            .array(0)
            .array(0)
            .int32(10_000)
            .int8(0);
        let mut answer = self.ask(request)?;
        answer.skip(4 + 4)?;
        answer.string()?;
        answer.refuse_error("create topics")?;
        self.wait_for_topic(topic, partitions)
    }

    /// Waits until a topic has exactly these partitions and all can be written: creation is asynchronous in Kafka.
    pub fn wait_for_topic(self, topic: &str, partitions: usize) -> Outcome<()> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            match self.ends(topic) {
                Ok(ends) if ends.len() == partitions => return Ok(()),
                outcome if Instant::now() >= deadline => {
                    let reason = format!("no {partitions} partitions are ready: {outcome:?}");
                    return Err(Failure::new(reason));
                }
                _ => std::thread::sleep(LOOK_AGAIN),
            }
        }
    }

    /// The log end of every partition.
    pub fn ends(self, topic: &str) -> Outcome<Vec<i64>> {
        self.latest(topic, READ_UNCOMMITTED)
    }

    /// The last stable offset of every partition: where the first open transaction begins.
    pub fn stable_ends(self, topic: &str) -> Outcome<Vec<i64>> {
        self.latest(topic, READ_COMMITTED)
    }

    fn latest(self, topic: &str, isolation_level: i8) -> Outcome<Vec<i64>> {
        let partitions = self.partition_count(topic)?;
        let mut request = Request::new(2, 2)
            .int32(-1)
            .int8(isolation_level)
            .array(1)
            .string(topic)
            .array(partitions);
        for partition in 0..partitions {
            request = request.int32(as_i32(partition)).int64(-1);
        }
        let mut answer = self.ask(request)?;
        answer.skip(4 + 4)?;
        answer.string()?;
        let mut ends = vec![0; partitions];
        for _ in 0..answer.count()? {
            let partition = answer.index(partitions)?;
            answer.refuse_error("list offsets")?;
            answer.skip(8)?;
            ends[partition] = answer.int64()?;
        }
        Ok(ends)
    }

    /// Every batch of a partition from its start.
    pub fn batches(self, topic: &str, partition: usize) -> Outcome<Vec<Batch>> {
        let mut batches: Vec<Batch> = Vec::new();
        loop {
            let next = batches
                .last()
                .map_or(0, |batch| batch.base_offset + batch.records);
            let records = self.fetch(topic, partition, next)?;
            let fetched = parse_batches(&records)?;
            if fetched.is_empty() {
                return Ok(batches);
            }
            batches.extend(fetched);
        }
    }

    fn fetch(self, topic: &str, partition: usize, offset: i64) -> Outcome<Vec<u8>> {
        let request = Request::new(1, 4)
            .int32(-1)
            .int32(0)
            .int32(0)
            .int32(FETCH_BYTES_MAX)
            .int8(READ_UNCOMMITTED)
            .array(1)
            .string(topic)
            .array(1)
            .int32(as_i32(partition))
            .int64(offset)
            .int32(FETCH_BYTES_MAX);
        let mut answer = self.ask(request)?;
        answer.skip(4 + 4)?;
        answer.string()?;
        answer.skip(4 + 4)?;
        answer.refuse_error("fetch")?;
        answer.skip(8 + 8)?;
        for _ in 0..answer.int32()?.max(0) {
            answer.skip(8 + 8)?;
        }
        answer.bytes()
    }

    /// Appends one record without a key, acknowledged by all replicas.
    pub fn produce(self, topic: &str, partition: usize, value: &str) -> Outcome<()> {
        let batch = batch_of_one(value.as_bytes());
        let request = Request::new(0, 3)
            .int16(-1)
            .int16(-1)
            .int32(30_000)
            .array(1)
            .string(topic)
            .array(1)
            .int32(as_i32(partition))
            .int32(as_i32(batch.len()))
            .raw(&batch);
        let mut answer = self.ask(request)?;
        answer.skip(4)?;
        answer.string()?;
        answer.skip(4 + 4)?;
        answer.refuse_error("produce")
    }

    /// The group's committed offset of every partition; −1 where there is none.
    pub fn committed(self, group: &str, topic: &str) -> Outcome<Vec<i64>> {
        let partitions = self.partition_count(topic)?;
        let mut request = Request::new(9, 1)
            .string(group)
            .array(1)
            .string(topic)
            .array(partitions);
        for partition in 0..partitions {
            request = request.int32(as_i32(partition));
        }
        let mut answer = self.ask(request)?;
        answer.skip(4)?;
        answer.string()?;
        let mut offsets = vec![-1; partitions];
        for _ in 0..answer.count()? {
            let partition = answer.index(partitions)?;
            offsets[partition] = answer.int64()?;
            answer.string()?;
            answer.refuse_error("offset fetch")?;
        }
        Ok(offsets)
    }

    fn ask(self, request: Request) -> Outcome<Answer> {
        let mut stream = TcpStream::connect_timeout(&self.address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.write_all(&as_i32(request.bytes.len()).to_be_bytes())?;
        stream.write_all(&request.bytes)?;
        let mut size = [0; 4];
        stream.read_exact(&mut size)?;
        let size = usize::try_from(i32::from_be_bytes(size)).unwrap_or(usize::MAX);
        if size > ANSWER_BYTES_MAX {
            return Err(Failure::new(format!("an answer of {size} bytes")));
        }
        let mut bytes = vec![0; size];
        stream.read_exact(&mut bytes)?;
        Answer::new(bytes)
    }
}
