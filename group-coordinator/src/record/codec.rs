//! Kafka's primitive types, as far as the records of this crate use them.

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::ReplayError;

/// The longest string that Kafka's schemas can hold, in bytes of UTF-8.
pub const STRING_BYTES_MAX: usize = i16::MAX as usize;

/// How strings, byte fields and arrays carry their length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lengths {
    /// Fixed width, big-endian: int16 for strings, int32 for the rest; -1 is null.
    Fixed,
    /// Unsigned varint of length plus one (KIP-482); 0 is null.
    Compact,
}

/// Reads fields off the front of a record. Every length is checked against what is left before it is used.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn int16(&mut self, field: &'static str) -> Result<i16, ReplayError> {
        self.array(field).map(i16::from_be_bytes)
    }

    pub fn int32(&mut self, field: &'static str) -> Result<i32, ReplayError> {
        self.array(field).map(i32::from_be_bytes)
    }

    pub fn int64(&mut self, field: &'static str) -> Result<i64, ReplayError> {
        self.array(field).map(i64::from_be_bytes)
    }

    /// Exactly `N` bytes.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], ReplayError> {
        let (head, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(ReplayError::Truncated { field })?;
        self.rest = rest;
        Ok(*head)
    }

    pub fn string(&mut self, lengths: Lengths, field: &'static str) -> Result<String, ReplayError> {
        self.nullable_string(lengths, field)?
            .ok_or(ReplayError::Malformed { field })
    }

    pub fn nullable_string(
        &mut self,
        lengths: Lengths,
        field: &'static str,
    ) -> Result<Option<String>, ReplayError> {
        let length = match lengths {
            Lengths::Fixed => i64::from(self.int16(field)?),
            Lengths::Compact => i64::from(self.unsigned_varint(field)?) - 1,
        };
        let Some(bytes) = self.counted(length, field)? else {
            return Ok(None);
        };
        let text = std::str::from_utf8(bytes).map_err(|_| ReplayError::Malformed { field })?;
        Ok(Some(text.to_owned()))
    }

    pub fn bytes(&mut self, lengths: Lengths, field: &'static str) -> Result<Bytes, ReplayError> {
        let length = match lengths {
            Lengths::Fixed => i64::from(self.int32(field)?),
            Lengths::Compact => i64::from(self.unsigned_varint(field)?) - 1,
        };
        self.counted(length, field)?
            .map(Bytes::copy_from_slice)
            .ok_or(ReplayError::Malformed { field })
    }

    /// The number of elements of an array. It is at most the number of bytes left, so that a `Vec` may be
    /// reserved for it only where an element is not much larger in memory than on disk.
    pub fn array_count(
        &mut self,
        lengths: Lengths,
        field: &'static str,
    ) -> Result<usize, ReplayError> {
        self.nullable_array_count(lengths, field)?
            .ok_or(ReplayError::Malformed { field })
    }

    /// Like [`Reader::array_count`], of an array that may be null.
    pub fn nullable_array_count(
        &mut self,
        lengths: Lengths,
        field: &'static str,
    ) -> Result<Option<usize>, ReplayError> {
        let count = match lengths {
            Lengths::Fixed => i64::from(self.int32(field)?),
            Lengths::Compact => i64::from(self.unsigned_varint(field)?) - 1,
        };
        let Ok(count) = usize::try_from(count) else {
            return Ok(None);
        };
        if count > self.rest.len() {
            return Err(ReplayError::Truncated { field });
        }
        Ok(Some(count))
    }

    /// The tagged fields at the end of a flexible structure, each given to `take` as tag and bytes.
    pub fn tagged_fields(
        &mut self,
        mut take: impl FnMut(u32, &[u8]) -> Result<(), ReplayError>,
    ) -> Result<(), ReplayError> {
        const FIELD: &str = "tagged fields";
        let count = self.unsigned_varint(FIELD)?;
        for _ in 0..count {
            let tag = self.unsigned_varint(FIELD)?;
            let size = self.unsigned_varint(FIELD)?;
            let bytes = self
                .counted(i64::from(size), FIELD)?
                .ok_or(ReplayError::Malformed { field: FIELD })?;
            take(tag, bytes)?;
        }
        Ok(())
    }

    pub fn unsigned_varint(&mut self, field: &'static str) -> Result<u32, ReplayError> {
        let mut value = 0_u32;
        for shift in (0..32).step_by(7) {
            let [byte] = self.array::<1>(field)?;
            let bits = u32::from(byte & 0x7f);
            // The fifth byte has room for four bits only.
            if shift == 28 && bits > 0x0f {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ReplayError::Malformed { field })
    }

    /// `length` bytes; none if it is negative.
    fn counted(
        &mut self,
        length: i64,
        field: &'static str,
    ) -> Result<Option<&'a [u8]>, ReplayError> {
        let Ok(length) = usize::try_from(length) else {
            return Ok(None);
        };
        let (head, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(ReplayError::Truncated { field })?;
        self.rest = rest;
        Ok(Some(head))
    }
}

/// Appends a string. Callers keep strings within [`STRING_BYTES_MAX`].
pub fn put_string(out: &mut BytesMut, lengths: Lengths, text: &str) {
    assert!(text.len() <= STRING_BYTES_MAX);
    match lengths {
        Lengths::Fixed => out.put_u16(text.len() as u16),
        Lengths::Compact => put_unsigned_varint(out, text.len() as u32 + 1),
    }
    out.put_slice(text.as_bytes());
}

/// Appends a string that may be null.
pub fn put_nullable_string(out: &mut BytesMut, lengths: Lengths, text: Option<&str>) {
    match (text, lengths) {
        (Some(text), _) => put_string(out, lengths, text),
        (None, Lengths::Fixed) => out.put_i16(-1),
        (None, Lengths::Compact) => put_unsigned_varint(out, 0),
    }
}

/// Appends the number of elements of an array, before the elements.
pub fn put_array_count(out: &mut BytesMut, lengths: Lengths, count: usize) {
    let count = i32::try_from(count).expect("an array in a record is far shorter than 2 GiB");
    match lengths {
        Lengths::Fixed => out.put_i32(count),
        Lengths::Compact => put_unsigned_varint(out, count as u32 + 1),
    }
}

/// Appends an array that is null.
pub fn put_null_array(out: &mut BytesMut, lengths: Lengths) {
    match lengths {
        Lengths::Fixed => out.put_i32(-1),
        Lengths::Compact => put_unsigned_varint(out, 0),
    }
}

/// Appends a byte field with an int32 length. Requests are bounded far below 2 GiB, and so are their parts.
pub fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    let length = i32::try_from(bytes.len()).expect("a part of a request is shorter than 2 GiB");
    out.put_i32(length);
    out.put_slice(bytes);
}

pub fn put_unsigned_varint(out: &mut BytesMut, mut value: u32) {
    while value >= 0x80 {
        out.put_u8((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Every value comes back from its own bytes, and no byte is left.
        #[test]
        fn unsigned_varints_come_back(value: u32) {
            let mut out = BytesMut::new();
            put_unsigned_varint(&mut out, value);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.unsigned_varint("value"), Ok(value));
            prop_assert!(reader.rest.is_empty());
        }

        /// Random bytes read as any type give a value or an error, never a panic.
        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            for lengths in [Lengths::Fixed, Lengths::Compact] {
                let _ = Reader::new(&bytes).nullable_string(lengths, "string");
                let _ = Reader::new(&bytes).bytes(lengths, "bytes");
                let _ = Reader::new(&bytes).array_count(lengths, "array");
                let _ = Reader::new(&bytes).tagged_fields(|_, _| Ok(()));
            }
        }
    }

    /// A fifth byte that overflows 32 bits, and a varint that never ends, are refused.
    #[test]
    fn varints_beyond_32_bits_are_malformed() {
        for bytes in [[0xff, 0xff, 0xff, 0xff, 0x1f], [0xff; 5]] {
            let read = Reader::new(&bytes).unsigned_varint("value");
            assert_eq!(read, Err(ReplayError::Malformed { field: "value" }));
        }
    }
}
