//! The records of an uncompressed section, one after the other, borrowed from the bytes.
//!
//! ```text
//! record: length varint | attributes u8 | timestamp delta varlong | offset delta varint
//!         | key length varint, key | value length varint, value | header count varint, headers
//! header: key length varint, key | value length varint, value
//! ```
//!
//! A length of -1 (or any negative number, as in Kafka's `Utils.readBytes`) stands for null.

use std::fmt;

use super::compression::DecompressError;
use super::varint::{VarintError, take_varint, take_varlong};

/// One record, borrowed from the section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// Unused bits, kept for whoever wants to see them.
    pub attributes: u8,
    /// Counts from the base timestamp of the batch; see
    /// [`BatchHeader::record_timestamp_ms`](super::BatchHeader::record_timestamp_ms).
    pub timestamp_delta: i64,
    /// Counts from the base offset of the batch.
    pub offset_delta: i32,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    headers: Headers<'a>,
}

impl<'a> RecordRef<'a> {
    pub fn headers(&self) -> Headers<'a> {
        self.headers
    }
}

/// One header of a record. Keys repeat, and need not be UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderRef<'a> {
    pub key: &'a [u8],
    pub value: Option<&'a [u8]>,
}

/// The headers of a record, in order. They have been checked when the record was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers<'a> {
    count: i32,
    bytes: &'a [u8],
}

impl<'a> Headers<'a> {
    /// How many headers are left.
    pub fn header_count(&self) -> i32 {
        self.count
    }

    /// The headers that are left, as they stand in the record after their count.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = HeaderRef<'a>;

    fn next(&mut self) -> Option<HeaderRef<'a>> {
        if self.count <= 0 {
            return None;
        }
        self.count -= 1;
        take_header(&mut self.bytes).ok()
    }
}

/// Why the records of a batch cannot be read to the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordsError {
    /// The section ends before the records that the header announces do.
    Truncated,
    /// A record contradicts itself.
    Malformed(&'static str),
    /// The length of a record does not end within the bytes that a length may take.
    OverlongLength,
    /// Bytes are left after the records that the header announces.
    Trailing,
    /// The section does not decompress.
    Decompress(DecompressError),
}

impl fmt::Display for RecordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordsError::Truncated => f.write_str("the records end too early"),
            RecordsError::Malformed(what) => write!(f, "malformed record: {what}"),
            RecordsError::OverlongLength => f.write_str("the length of a record does not end"),
            RecordsError::Trailing => f.write_str("bytes are left after the last record"),
            RecordsError::Decompress(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RecordsError {}

impl From<DecompressError> for RecordsError {
    fn from(error: DecompressError) -> RecordsError {
        RecordsError::Decompress(error)
    }
}

/// Walks over an uncompressed section without allocating.
///
/// Yields the number of records that the header announces, or an error and then nothing more. With
/// the last record it checks that nothing follows; when something does, the error comes in the
/// place of that record, as in Kafka's `DefaultRecordBatch.RecordIterator`.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    records_left: i32,
}

impl<'a> Records<'a> {
    /// `section` is what follows the header, decompressed; `record_count` stands in the header. A
    /// negative count holds no records.
    pub fn new(section: &'a [u8], record_count: i32) -> Records<'a> {
        Records {
            rest: section,
            records_left: record_count,
        }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<RecordRef<'a>, RecordsError>;

    // Inlined, what the caller does not look at is not put together.
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.records_left <= 0 {
            return None;
        }
        self.records_left -= 1;
        match take_record(&mut self.rest) {
            Ok(record) if self.records_left > 0 || self.rest.is_empty() => Some(Ok(record)),
            last => {
                self.records_left = 0;
                Some(last.and(Err(RecordsError::Trailing)))
            }
        }
    }
}

#[inline(always)]
fn take_record<'a>(section: &mut &'a [u8]) -> Result<RecordRef<'a>, RecordsError> {
    let record_bytes = take_varint(section).map_err(|error| match error {
        VarintError::Truncated => RecordsError::Truncated,
        VarintError::Overlong => RecordsError::OverlongLength,
    })?;
    let record_bytes = usize::try_from(record_bytes)
        .map_err(|_| RecordsError::Malformed("its length is negative"))?;
    let (mut body, rest) = section
        .split_at_checked(record_bytes)
        .ok_or(RecordsError::Truncated)?;
    *section = rest;
    parse_body(&mut body).map_err(|_| RecordsError::Malformed("its fields do not fit its length"))
}

/// A record without its length. `Err` stands for all that can be wrong with the fields: no caller
/// answers differently.
#[inline(always)]
fn parse_body<'a>(body: &mut &'a [u8]) -> Result<RecordRef<'a>, BadField> {
    let (&attributes, rest) = body.split_first().ok_or(BadField)?;
    *body = rest;
    let timestamp_delta = take_varlong(body)?;
    let offset_delta = take_varint(body)?;
    let key = take_nullable(body)?;
    let value = take_nullable(body)?;
    let count = take_varint(body)?;
    if count < 0 {
        return Err(BadField);
    }
    let headers = Headers { count, bytes: body };
    // A header takes two bytes at least, so a huge count runs out of bytes soon.
    for _ in 0..count {
        take_header(body)?;
    }
    if !body.is_empty() {
        return Err(BadField);
    }
    Ok(RecordRef {
        attributes,
        timestamp_delta,
        offset_delta,
        key,
        value,
        headers,
    })
}

struct BadField;

impl From<VarintError> for BadField {
    fn from(_: VarintError) -> BadField {
        BadField
    }
}

fn take_header<'a>(bytes: &mut &'a [u8]) -> Result<HeaderRef<'a>, BadField> {
    let key = take_nullable(bytes)?.ok_or(BadField)?;
    let value = take_nullable(bytes)?;
    Ok(HeaderRef { key, value })
}

#[inline]
fn take_nullable<'a>(bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, BadField> {
    let Ok(field_bytes) = usize::try_from(take_varint(bytes)?) else {
        return Ok(None);
    };
    let (field, rest) = bytes.split_at_checked(field_bytes).ok_or(BadField)?;
    *bytes = rest;
    Ok(Some(field))
}
