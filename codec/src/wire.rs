//! Writes the primitives of the wire that are more than one call of [`BufMut`].

use bytes::{BufMut, BytesMut};

use crate::message::BodyError;
use crate::shape::STRING_BYTES_MAX;

/// Appends an unsigned varint.
pub(crate) fn put_unsigned_varint(buffer: &mut impl BufMut, mut value: u32) {
    while value >= 0x80 {
        buffer.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    buffer.put_u8(value as u8);
}

/// The bytes of an unsigned varint.
pub(crate) fn unsigned_varint_bytes(value: u32) -> usize {
    let bits = 32 - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Appends a string with a compact length.
pub(crate) fn put_compact_text(buffer: &mut BytesMut, text: &str) -> Result<(), BodyError> {
    if text.len() > STRING_BYTES_MAX {
        return Err(BodyError::Refused(format!(
            "a string of {} bytes is too long",
            text.len()
        )));
    }
    put_unsigned_varint(buffer, text.len() as u32 + 1);
    buffer.put_slice(text.as_bytes());
    Ok(())
}

/// Appends an array with a compact length.
pub(crate) fn put_compact_array<T>(
    buffer: &mut BytesMut,
    elements: &[T],
    mut put_element: impl FnMut(&mut BytesMut, &T) -> Result<(), BodyError>,
) -> Result<(), BodyError> {
    if elements.len() >= i32::MAX as usize {
        return Err(BodyError::Refused(format!(
            "an array of {} elements is too long",
            elements.len()
        )));
    }
    put_unsigned_varint(buffer, elements.len() as u32 + 1);
    elements
        .iter()
        .try_for_each(|element| put_element(buffer, element))
}

/// Appends an empty section of tagged fields.
pub(crate) fn put_no_tagged_fields(buffer: &mut BytesMut) {
    buffer.put_u8(0);
}
