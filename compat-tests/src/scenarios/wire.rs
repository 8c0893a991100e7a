//! The runner's own look at the server, independent of every client: a few old, fixed-layout requests by hand.
//!
//! It tells what no client does (which codec a stored batch has), and gives all clients the same witness.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::scenarios::failure::{Failure, Outcome};
use crate::scenarios::record::Codec;

const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a topic is left alone before it is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const FETCH_BYTES_MAX: i32 = 16 << 20;
const ANSWER_BYTES_MAX: usize = 64 << 20;
const CLIENT_ID: &str = "klamm-scenarios";

/// The fixed part of a version 2 record batch.
const BATCH_HEADER_BYTES: usize = 61;
/// Where the part begins that the CRC covers.
const CRC_COVERS_FROM: usize = 21;

/// A batch as the server stores it.
#[derive(Debug, Clone)]
pub struct Batch {
    pub base_offset: i64,
    pub records: i64,
    pub codec: Codec,
    /// −1 without idempotence.
    pub producer_id: i64,
}

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
        let partitions = self.partition_count(topic)?;
        let mut request = Request::new(2, 1)
            .int32(-1)
            .array(1)
            .string(topic)
            .array(partitions);
        for partition in 0..partitions {
            request = request.int32(as_i32(partition)).int64(-1);
        }
        let mut answer = self.ask(request)?;
        answer.skip(4)?;
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
            .int8(0)
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
        let mut answer = Answer { bytes, position: 0 };
        answer.skip(4)?;
        Ok(answer)
    }
}

/// A request under construction; the correlation id is always 1.
struct Request {
    bytes: Vec<u8>,
}

impl Request {
    fn new(api: i16, version: i16) -> Self {
        Self { bytes: Vec::new() }
            .int16(api)
            .int16(version)
            .int32(1)
            .string(CLIENT_ID)
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    fn int8(self, value: i8) -> Self {
        self.raw(&value.to_be_bytes())
    }

    fn int16(self, value: i16) -> Self {
        self.raw(&value.to_be_bytes())
    }

    fn int32(self, value: i32) -> Self {
        self.raw(&value.to_be_bytes())
    }

    fn int64(self, value: i64) -> Self {
        self.raw(&value.to_be_bytes())
    }

    fn array(self, length: usize) -> Self {
        self.int32(as_i32(length))
    }

    fn string(self, text: &str) -> Self {
        let length = i16::try_from(text.len()).expect("names in these tests are short");
        self.int16(length).raw(text.as_bytes())
    }
}

struct Answer {
    bytes: Vec<u8>,
    position: usize,
}

impl Answer {
    fn take(&mut self, length: usize) -> Outcome<&[u8]> {
        let end = self.position.saturating_add(length);
        let taken = self
            .bytes
            .get(self.position..end)
            .ok_or_else(|| Failure::new("an answer ends too early"))?;
        self.position = end;
        Ok(taken)
    }

    fn skip(&mut self, length: usize) -> Outcome<()> {
        self.take(length).map(drop)
    }

    fn int16(&mut self) -> Outcome<i16> {
        Ok(i16::from_be_bytes(fixed(self.take(2)?)))
    }

    fn int32(&mut self) -> Outcome<i32> {
        Ok(i32::from_be_bytes(fixed(self.take(4)?)))
    }

    fn int64(&mut self) -> Outcome<i64> {
        Ok(i64::from_be_bytes(fixed(self.take(8)?)))
    }

    fn count(&mut self) -> Outcome<usize> {
        Ok(usize::try_from(self.int32()?).unwrap_or(0))
    }

    fn index(&mut self, below: usize) -> Outcome<usize> {
        let index = self.count()?;
        if index < below {
            Ok(index)
        } else {
            Err(Failure::new(format!("no partition {index} was asked for")))
        }
    }

    /// Skips a string or null.
    fn string(&mut self) -> Outcome<()> {
        let length = usize::try_from(self.int16()?).unwrap_or(0);
        self.skip(length)
    }

    fn bytes(&mut self) -> Outcome<Vec<u8>> {
        let length = self.count()?;
        Ok(self.take(length)?.to_vec())
    }

    fn refuse_error(&mut self, question: &str) -> Outcome<()> {
        match self.int16()? {
            0 => Ok(()),
            code => Err(Failure::new(format!(
                "{question} is answered with error {code}"
            ))),
        }
    }
}

fn parse_batches(mut bytes: &[u8]) -> Outcome<Vec<Batch>> {
    let mut batches = Vec::new();
    while bytes.len() >= BATCH_HEADER_BYTES {
        let length = usize::try_from(i32::from_be_bytes(fixed(&bytes[8..12]))).unwrap_or(0) + 12;
        if length > bytes.len() {
            break;
        }
        let attributes = i16::from_be_bytes(fixed(&bytes[21..23]));
        let codec = Codec::ALL
            .get(usize::from(attributes.unsigned_abs() & 0x07))
            .ok_or_else(|| Failure::new(format!("batch attributes {attributes:#x}")))?;
        batches.push(Batch {
            base_offset: i64::from_be_bytes(fixed(&bytes[0..8])),
            records: i64::from(i32::from_be_bytes(fixed(&bytes[57..61]))),
            codec: *codec,
            producer_id: i64::from_be_bytes(fixed(&bytes[43..51])),
        });
        bytes = &bytes[length..];
    }
    Ok(batches)
}

/// An uncompressed version 2 batch with one record that has only a value.
fn batch_of_one(value: &[u8]) -> Vec<u8> {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = since_epoch.map_or(0, |elapsed| elapsed.as_millis() as i64);
    // Attributes, timestamp delta and offset delta are 0, the key is null (−1 in zigzag is 1).
    let mut body = vec![0, 0, 0, 1];
    put_varint(&mut body, value.len());
    body.extend_from_slice(value);
    body.push(0);
    let mut record = Vec::new();
    put_varint(&mut record, body.len());
    record.extend(body);

    let mut covered = Vec::new();
    covered.extend(0_i16.to_be_bytes()); // attributes
    covered.extend(0_i32.to_be_bytes()); // last offset delta
    covered.extend(now.to_be_bytes()); // base timestamp
    covered.extend(now.to_be_bytes()); // max timestamp
    covered.extend((-1_i64).to_be_bytes()); // producer id
    covered.extend((-1_i16).to_be_bytes()); // producer epoch
    covered.extend((-1_i32).to_be_bytes()); // base sequence
    covered.extend(1_i32.to_be_bytes()); // records
    covered.extend(record);

    let mut batch = Vec::new();
    batch.extend(0_i64.to_be_bytes()); // base offset
    batch.extend(as_i32(CRC_COVERS_FROM - 12 + covered.len()).to_be_bytes());
    batch.extend((-1_i32).to_be_bytes()); // partition leader epoch
    batch.push(2); // magic
    batch.extend(crc32c::crc32c(&covered).to_be_bytes());
    batch.extend(covered);
    batch
}

/// A non-negative number in zigzag and base 128, lowest digits first.
fn put_varint(bytes: &mut Vec<u8>, number: usize) {
    let mut rest = number << 1;
    while rest >= 0x80 {
        bytes.push(rest as u8 & 0x7f | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the caller took exactly N bytes")
}

fn as_i32(number: usize) -> i32 {
    i32::try_from(number).expect("sizes in these tests are small")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_batch_parses_and_its_crc_holds() {
        let batch = batch_of_one(&[b'x'; 200]);
        let parsed = parse_batches(&batch).expect("a known codec");
        assert_eq!(parsed.len(), 1);
        assert_eq!((parsed[0].base_offset, parsed[0].records), (0, 1));
        assert_eq!(parsed[0].codec, Codec::None);
        let crc = u32::from_be_bytes(fixed(&batch[17..21]));
        assert_eq!(crc, crc32c::crc32c(&batch[CRC_COVERS_FROM..]));
    }

    #[test]
    fn a_batch_cut_off_by_the_fetch_limit_is_left_out() {
        let mut bytes = batch_of_one(b"whole");
        let second = batch_of_one(b"cut");
        bytes.extend_from_slice(&second[..second.len() - 1]);
        assert_eq!(parse_batches(&bytes).expect("a known codec").len(), 1);
    }
}
