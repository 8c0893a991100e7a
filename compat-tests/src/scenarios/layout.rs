//! The bytes of the few requests and answers that [`super::wire`] needs, in the fixed layouts of old versions, and of record
//! batches.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::scenarios::failure::{Failure, Outcome};
use crate::scenarios::record::Codec;

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

/// A request under construction; the correlation id is always 1.
pub struct Request {
    pub bytes: Vec<u8>,
}

impl Request {
    pub fn new(api: i16, version: i16) -> Self {
        Self { bytes: Vec::new() }
            .int16(api)
            .int16(version)
            .int32(1)
            .string(CLIENT_ID)
    }

    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub fn int8(self, value: i8) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub fn int16(self, value: i16) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub fn int32(self, value: i32) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub fn int64(self, value: i64) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub fn array(self, length: usize) -> Self {
        self.int32(as_i32(length))
    }

    pub fn string(self, text: &str) -> Self {
        let length = i16::try_from(text.len()).expect("names in these tests are short");
        self.int16(length).raw(text.as_bytes())
    }
}

pub struct Answer {
    bytes: Vec<u8>,
    position: usize,
}

impl Answer {
    /// Skips the correlation id: each connection asks one question.
    pub fn new(bytes: Vec<u8>) -> Outcome<Self> {
        let mut answer = Self { bytes, position: 0 };
        answer.skip(4)?;
        Ok(answer)
    }

    pub fn take(&mut self, length: usize) -> Outcome<&[u8]> {
        let end = self.position.saturating_add(length);
        let taken = self
            .bytes
            .get(self.position..end)
            .ok_or_else(|| Failure::new("an answer ends too early"))?;
        self.position = end;
        Ok(taken)
    }

    pub fn skip(&mut self, length: usize) -> Outcome<()> {
        self.take(length).map(drop)
    }

    pub fn int16(&mut self) -> Outcome<i16> {
        Ok(i16::from_be_bytes(fixed(self.take(2)?)))
    }

    pub fn int32(&mut self) -> Outcome<i32> {
        Ok(i32::from_be_bytes(fixed(self.take(4)?)))
    }

    pub fn int64(&mut self) -> Outcome<i64> {
        Ok(i64::from_be_bytes(fixed(self.take(8)?)))
    }

    pub fn count(&mut self) -> Outcome<usize> {
        Ok(usize::try_from(self.int32()?).unwrap_or(0))
    }

    pub fn index(&mut self, below: usize) -> Outcome<usize> {
        let index = self.count()?;
        if index < below {
            Ok(index)
        } else {
            Err(Failure::new(format!("no partition {index} was asked for")))
        }
    }

    /// Skips a string or null.
    pub fn string(&mut self) -> Outcome<()> {
        let length = usize::try_from(self.int16()?).unwrap_or(0);
        self.skip(length)
    }

    pub fn bytes(&mut self) -> Outcome<Vec<u8>> {
        let length = self.count()?;
        Ok(self.take(length)?.to_vec())
    }

    pub fn refuse_error(&mut self, question: &str) -> Outcome<()> {
        match self.int16()? {
            0 => Ok(()),
            code => Err(Failure::new(format!(
                "{question} is answered with error {code}"
            ))),
        }
    }
}

pub fn parse_batches(mut bytes: &[u8]) -> Outcome<Vec<Batch>> {
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
pub fn batch_of_one(value: &[u8]) -> Vec<u8> {
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

pub fn as_i32(number: usize) -> i32 {
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
