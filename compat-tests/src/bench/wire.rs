//! The primitive types of the Kafka protocol, to build and to read the few messages that the benchmark exchanges.
//! Big-endian throughout.

use super::{Failure, Outcome};

const LENGTH_BYTES: usize = 4;
const CLIENT_ID: &str = "klamm-bench";
/// Answers come in the order of the requests, so nobody needs to tell them apart.
const CORRELATION_ID: i32 = 1;

/// Builds a message, its length in front once it is finished.
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty frame in the memory of `bytes`.
    pub fn within(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        bytes.extend([0; LENGTH_BYTES]);
        Self { bytes }
    }

    /// A request with header version 1, for messages without tagged fields.
    pub fn request(api_key: i16, version: i16) -> Self {
        Self::within(Vec::new())
            .int16(api_key)
            .int16(version)
            .int32(CORRELATION_ID)
            .string(CLIENT_ID)
    }

    /// A request with header version 2, which has tagged fields.
    pub fn flexible_request(api_key: i16, version: i16) -> Self {
        Self::request(api_key, version).no_tags()
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

    pub fn string(self, text: &str) -> Self {
        let length = i16::try_from(text.len()).expect("names in the benchmark are short");
        self.int16(length).raw(text.as_bytes())
    }

    pub fn bytes(self, bytes: &[u8]) -> Self {
        self.array(bytes.len()).raw(bytes)
    }

    /// The length of an array with a fixed-size length.
    pub fn array(self, length: usize) -> Self {
        self.int32(as_i32(length))
    }

    /// The length of a compact array, string or byte string.
    pub fn compact(mut self, length: usize) -> Self {
        let mut rest = length + 1;
        while rest >= 0x80 {
            self.bytes.push(rest as u8 & 0x7f | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest as u8);
        self
    }

    pub fn compact_null(self) -> Self {
        self.raw(&[0])
    }

    pub fn compact_string(self, text: &str) -> Self {
        self.compact(text.len()).raw(text.as_bytes())
    }

    pub fn no_tags(self) -> Self {
        self.raw(&[0])
    }

    /// The frame with its length, which counts `bytes_behind` bytes that are sent behind it.
    pub fn finish_with(mut self, bytes_behind: usize) -> Vec<u8> {
        let length = as_i32(self.bytes.len() - LENGTH_BYTES + bytes_behind);
        self.bytes[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        self.bytes
    }

    pub fn finish(self) -> Vec<u8> {
        self.finish_with(0)
    }
}

/// What is left of a message.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn left(&self) -> usize {
        self.rest.len()
    }

    pub fn take(&mut self, count: usize) -> Outcome<&'a [u8]> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| Failure::new("a message ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub fn skip(&mut self, count: usize) -> Outcome<()> {
        self.take(count).map(drop)
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

    /// The length of an array, a string or bytes; null counts as empty.
    pub fn count(&mut self) -> Outcome<usize> {
        Ok(usize::try_from(self.int32()?).unwrap_or(0))
    }

    /// The same of a compact one.
    pub fn compact(&mut self) -> Outcome<usize> {
        Ok(self.varint()?.saturating_sub(1))
    }

    fn varint(&mut self) -> Outcome<usize> {
        let mut number = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.take(1)?[0];
            number |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Failure::new("a length has too many digits"))
    }

    pub fn string(&mut self) -> Outcome<&'a str> {
        let length = usize::try_from(self.int16()?).unwrap_or(0);
        text(self.take(length)?)
    }

    pub fn compact_string(&mut self) -> Outcome<&'a str> {
        let length = self.compact()?;
        text(self.take(length)?)
    }

    pub fn tags(&mut self) -> Outcome<()> {
        for _ in 0..self.varint()? {
            self.varint()?;
            let bytes = self.varint()?;
            self.skip(bytes)?;
        }
        Ok(())
    }

    /// Fails on any error code but 0.
    pub fn refuse_error(&mut self, question: &str) -> Outcome<()> {
        match self.int16()? {
            0 => Ok(()),
            code => Err(Failure::new(format!(
                "{question} is answered with error {code}"
            ))),
        }
    }
}

fn text(bytes: &[u8]) -> Outcome<&str> {
    std::str::from_utf8(bytes).map_err(|_| Failure::new("a name is no UTF-8"))
}

pub fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the caller took exactly N bytes")
}

pub fn as_i32(number: usize) -> i32 {
    i32::try_from(number).expect("sizes in the benchmark are below 2 GB")
}
