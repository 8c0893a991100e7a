//! Primitive types of the flexible Kafka encoding: unsigned varints, compact strings and arrays, tagged fields.

use std::fmt;

use uuid::Uuid;

/// Why bytes are not a metadata record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordError {
    /// A field reaches past the end of the record.
    Truncated,
    /// A varint is longer than its type.
    Varint,
    /// A length that cannot be, or null where there is no null.
    Length,
    /// A string is not UTF-8.
    Text,
    /// Bytes remain after the last field.
    Garbage { bytes: usize },
    /// Only frame version 1 is known.
    FrameVersion(u32),
    /// The record type has no such version.
    Version { api_key: u16, version: u16 },
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => write!(f, "metadata record ends inside a field"),
            Self::Varint => write!(f, "varint is too long"),
            Self::Length => write!(f, "length is impossible"),
            Self::Text => write!(f, "string is not UTF-8"),
            Self::Garbage { bytes } => write!(f, "{bytes} bytes follow the last field"),
            Self::FrameVersion(version) => write!(f, "frame version {version} is unknown"),
            Self::Version { api_key, version } => {
                write!(f, "metadata record type {api_key} has no version {version}")
            }
        }
    }
}

impl std::error::Error for RecordError {}

/// Takes fields off the front of a record. Every length is checked against what remains before anything is allocated.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], RecordError> {
        let (head, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(RecordError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let (head, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(RecordError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    pub(super) fn int8(&mut self) -> Result<i8, RecordError> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    pub(super) fn boolean(&mut self) -> Result<bool, RecordError> {
        Ok(self.int8()? != 0)
    }

    pub(super) fn int16(&mut self) -> Result<i16, RecordError> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(super) fn uint16(&mut self) -> Result<u16, RecordError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(super) fn int32(&mut self) -> Result<i32, RecordError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(super) fn int64(&mut self) -> Result<i64, RecordError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(super) fn uuid(&mut self) -> Result<Uuid, RecordError> {
        Ok(Uuid::from_bytes(self.array()?))
    }

    pub(super) fn varint(&mut self) -> Result<u32, RecordError> {
        let mut value = 0u64;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| RecordError::Varint);
            }
        }
        Err(RecordError::Varint)
    }

    pub(super) fn nullable_string(&mut self) -> Result<Option<String>, RecordError> {
        let Some(length) = self.varint()?.checked_sub(1) else {
            return Ok(None);
        };
        let bytes = self.take(length as usize)?;
        let text = std::str::from_utf8(bytes).map_err(|_| RecordError::Text)?;
        Ok(Some(text.to_owned()))
    }

    pub(super) fn string(&mut self) -> Result<String, RecordError> {
        self.nullable_string()?.ok_or(RecordError::Length)
    }

    pub(super) fn nullable_list<T>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<T, RecordError>,
    ) -> Result<Option<Vec<T>>, RecordError> {
        let Some(count) = self.varint()?.checked_sub(1) else {
            return Ok(None);
        };
        // No element is shorter than a byte, so a count past the rest of the record is a lie.
        if count as usize > self.rest.len() {
            return Err(RecordError::Truncated);
        }
        let mut list = Vec::new();
        for _ in 0..count {
            list.push(element(self)?);
        }
        Ok(Some(list))
    }

    pub(super) fn list<T>(
        &mut self,
        element: impl FnMut(&mut Self) -> Result<T, RecordError>,
    ) -> Result<Vec<T>, RecordError> {
        self.nullable_list(element)?.ok_or(RecordError::Length)
    }

    /// Reads the tagged fields at the end of a structure. `field` is given each tag with a reader over its value; tags
    /// that it does not know it leaves alone.
    pub(super) fn tagged(
        &mut self,
        mut field: impl FnMut(u32, &mut Reader<'a>) -> Result<(), RecordError>,
    ) -> Result<(), RecordError> {
        let count = self.varint()?;
        for _ in 0..count {
            let tag = self.varint()?;
            let length = self.varint()?;
            let mut value = Reader::new(self.take(length as usize)?);
            field(tag, &mut value)?;
        }
        Ok(())
    }

    /// Reads tagged fields of a structure that knows none.
    pub(super) fn no_tags(&mut self) -> Result<(), RecordError> {
        self.tagged(|_, _| Ok(()))
    }
}

/// Appends fields to a record.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn int8(&mut self, value: i8) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn boolean(&mut self, value: bool) {
        self.bytes.push(u8::from(value));
    }

    pub(super) fn int16(&mut self, value: i16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn uint16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn int32(&mut self, value: i32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn int64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn uuid(&mut self, value: Uuid) {
        self.bytes.extend_from_slice(value.as_bytes());
    }

    pub(super) fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// A compact length: one more than the count, so that 0 can mean null.
    fn length(&mut self, count: usize) {
        let count = u32::try_from(count)
            .ok()
            .and_then(|count| count.checked_add(1));
        self.varint(count.expect("a proposal is far smaller than 4 GiB"));
    }

    pub(super) fn string(&mut self, value: &str) {
        self.length(value.len());
        self.bytes.extend_from_slice(value.as_bytes());
    }

    pub(super) fn nullable_string(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.string(value),
            None => self.varint(0),
        }
    }

    pub(super) fn list<T>(&mut self, list: &[T], mut element: impl FnMut(&mut Self, &T)) {
        self.length(list.len());
        for item in list {
            element(self, item);
        }
    }

    pub(super) fn int32s(&mut self, list: &[i32]) {
        self.list(list, |out, value| out.int32(*value));
    }

    pub(super) fn uuids(&mut self, list: &[Uuid]) {
        self.list(list, |out, value| out.uuid(*value));
    }

    /// The tagged fields that are present, which must come in the order of their tags.
    pub(super) fn tagged(&mut self, fields: TaggedFields) {
        self.length_of_tags(fields.fields.len());
        for (tag, value) in fields.fields {
            self.varint(tag);
            self.length_of_tags(value.len());
            self.bytes.extend_from_slice(&value);
        }
    }

    pub(super) fn no_tags(&mut self) {
        self.bytes.push(0);
    }

    /// Tag counts and sizes are plain varints, not compact lengths.
    fn length_of_tags(&mut self, count: usize) {
        self.varint(u32::try_from(count).expect("a proposal is far smaller than 4 GiB"));
    }
}

/// Tagged fields of one structure, in ascending order of their tags.
#[derive(Debug, Default)]
pub(super) struct TaggedFields {
    fields: Vec<(u32, Vec<u8>)>,
}

impl TaggedFields {
    /// Adds a field. A field that has its default value is left out by the caller, as Kafka's writers do.
    pub(super) fn push(&mut self, tag: u32, value: impl FnOnce(&mut Writer)) {
        assert!(self.fields.last().is_none_or(|(last, _)| *last < tag));
        let mut out = Writer::default();
        value(&mut out);
        self.fields.push((tag, out.bytes));
    }
}
