//! Reads the primitives of the wire from untrusted bytes. Every read is checked against what remains.

use crate::error::Fault;

/// The most bytes that a varint of 32 bits takes.
const VARINT_BYTES_MAX: u32 = 5;

/// A position in a slice of untrusted bytes.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Cursor { bytes, position: 0 }
    }

    /// The bytes read so far. Never above the length of the slice.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// Takes the next `count` bytes.
    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        match self.bytes[self.position..].get(..count) {
            Some(taken) => {
                self.position += count;
                Ok(taken)
            }
            None => Err(Fault::Truncated {
                needed: count,
                remaining: self.remaining(),
            }),
        }
    }

    #[inline]
    fn take_array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        match self.bytes[self.position..].first_chunk::<N>() {
            Some(taken) => {
                self.position += N;
                Ok(*taken)
            }
            None => Err(Fault::Truncated {
                needed: N,
                remaining: self.remaining(),
            }),
        }
    }

    #[inline]
    pub(crate) fn read_i8(&mut self) -> Result<i8, Fault> {
        Ok(i8::from_be_bytes(self.take_array()?))
    }

    #[inline]
    pub(crate) fn read_i16(&mut self) -> Result<i16, Fault> {
        Ok(i16::from_be_bytes(self.take_array()?))
    }

    #[inline]
    pub(crate) fn read_i32(&mut self) -> Result<i32, Fault> {
        Ok(i32::from_be_bytes(self.take_array()?))
    }

    #[inline]
    pub(crate) fn read_i64(&mut self) -> Result<i64, Fault> {
        Ok(i64::from_be_bytes(self.take_array()?))
    }

    #[inline]
    pub(crate) fn read_uuid(&mut self) -> Result<[u8; 16], Fault> {
        self.take_array()
    }

    /// Reads an unsigned varint of at most five bytes. As in Kafka (`ByteUtils.readUnsignedVarint`) the bits of the
    /// fifth byte that do not fit are dropped.
    #[inline]
    pub(crate) fn read_unsigned_varint(&mut self) -> Result<u32, Fault> {
        // Nearly all are counts, and lengths of names.
        if let Some(&byte) = self.bytes.get(self.position)
            && byte < 0x80
        {
            self.position += 1;
            return Ok(byte.into());
        }
        self.read_long_varint()
    }

    fn read_long_varint(&mut self) -> Result<u32, Fault> {
        let mut value = 0;
        for index in 0..VARINT_BYTES_MAX {
            let [byte] = self.take_array()?;
            value |= u32::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Fault::VarintTooLong)
    }

    /// Reads a length that may stand for null: a varint of length + 1 where the version is flexible (KIP-482), an
    /// int16 for a string and an int32 for bytes and arrays otherwise. The length is not checked against the bytes
    /// that remain, only against the sign.
    #[inline]
    pub(crate) fn read_length(&mut self, width: LengthWidth) -> Result<Option<usize>, Fault> {
        let length = match width {
            LengthWidth::Varint => i64::from(self.read_unsigned_varint()?) - 1,
            LengthWidth::Int16 => i64::from(self.read_i16()?),
            LengthWidth::Int32 => i64::from(self.read_i32()?),
        };
        match length {
            -1 => Ok(None),
            0.. if length <= i64::from(i32::MAX) => Ok(Some(length as usize)),
            _ => Err(Fault::LengthOutOfRange { length }),
        }
    }
}

/// How a length is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LengthWidth {
    Varint,
    Int16,
    Int32,
}

impl LengthWidth {
    /// The width of the length of a string.
    pub(crate) fn of_string(is_flexible: bool) -> Self {
        if is_flexible {
            LengthWidth::Varint
        } else {
            LengthWidth::Int16
        }
    }

    /// The width of the length of bytes, records and arrays.
    pub(crate) fn of_sequence(is_flexible: bool) -> Self {
        if is_flexible {
            LengthWidth::Varint
        } else {
            LengthWidth::Int32
        }
    }
}
