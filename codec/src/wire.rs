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

/// Appends the length of an array, bytes or records; `None` stands for null.
pub(crate) fn put_length(
    buffer: &mut impl BufMut,
    is_flexible: bool,
    length: Option<usize>,
) -> Result<(), BodyError> {
    let length = match length {
        Some(length) => i32::try_from(length)
            .map_err(|_| BodyError::Refused(format!("length {length} is too long")))?,
        None => -1,
    };
    if is_flexible {
        put_unsigned_varint(buffer, (i64::from(length) + 1) as u32);
    } else {
        buffer.put_i32(length);
    }
    Ok(())
}

/// Appends a string; `None` stands for null.
pub(crate) fn put_text(
    buffer: &mut impl BufMut,
    is_flexible: bool,
    text: Option<&str>,
) -> Result<(), BodyError> {
    let Some(text) = text else {
        buffer.put_slice(if is_flexible { &[0] } else { &[0xff, 0xff] });
        return Ok(());
    };
    if text.len() > STRING_BYTES_MAX {
        return Err(BodyError::Refused(format!(
            "a string of {} bytes is too long",
            text.len()
        )));
    }
    if is_flexible {
        put_unsigned_varint(buffer, text.len() as u32 + 1);
    } else {
        buffer.put_i16(text.len() as i16);
    }
    buffer.put_slice(text.as_bytes());
    Ok(())
}

/// Appends an array with a compact length.
pub(crate) fn put_compact_array<T>(
    buffer: &mut BytesMut,
    elements: &[T],
    mut put_element: impl FnMut(&mut BytesMut, &T) -> Result<(), BodyError>,
) -> Result<(), BodyError> {
    put_length(buffer, true, Some(elements.len()))?;
    elements
        .iter()
        .try_for_each(|element| put_element(buffer, element))
}

/// Appends an empty section of tagged fields.
pub(crate) fn put_no_tagged_fields(buffer: &mut impl BufMut) {
    buffer.put_u8(0);
}
