//! Writes a request anew in a form that the library can read.
//!
//! Kafka reads a string that is not UTF-8 with U+FFFD in place of the bad bytes; the library refuses it. Kafka keeps
//! unknown tagged fields and uses them for nothing; the library puts each into a map, some 400 bytes for two on the
//! wire. So a request that has either is written anew: bad text replaced, unknown tags left out. This is the slow path,
//! and it copies; requests of today's clients never take it.

use bytes::{BufMut, Bytes};

use super::walk::find_tagged;
use super::{Field, Kind, STRING_BYTES_MAX, find_version};
use crate::cursor::{Cursor, LengthWidth};
use crate::error::{Fault, ShapeError};
use crate::wire::put_unsigned_varint;

/// Rewrites a body that [`super::check_request`] accepted. Bytes after the end of the message are left out.
pub(crate) fn rewrite_request(
    api_key: i16,
    version: i16,
    body: &[u8],
) -> Result<Bytes, ShapeError> {
    let api = find_version(api_key, version)?;
    let mut rewriter = Rewriter {
        cursor: Cursor::new(body),
        version,
        is_flexible: api.flexible.contains(version),
        field: api.name,
    };
    let mut written = Vec::with_capacity(body.len());
    match rewriter.rewrite_struct(api.fields, &mut written) {
        Ok(()) => Ok(Bytes::from(written)),
        Err(fault) => Err(ShapeError::Malformed {
            field: rewriter.field,
            position: rewriter.cursor.position(),
            fault,
        }),
    }
}

struct Rewriter<'a> {
    cursor: Cursor<'a>,
    version: i16,
    is_flexible: bool,
    field: &'static str,
}

impl Rewriter<'_> {
    fn rewrite_struct(
        &mut self,
        fields: &'static [Field],
        written: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        for field in fields {
            if field.tag.is_none() && field.versions.contains(self.version) {
                self.rewrite_field(field, written)?;
            }
        }
        if self.is_flexible {
            self.rewrite_tags(fields, written)
        } else {
            Ok(())
        }
    }

    fn rewrite_field(&mut self, field: &'static Field, written: &mut Vec<u8>) -> Result<(), Fault> {
        self.field = field.name;
        let is_optional_struct =
            matches!(field.kind, Kind::Struct(_)) && field.nullable.contains(self.version);
        if is_optional_struct {
            let presence = self.cursor.read_i8()?;
            written.put_i8(presence);
            if presence < 0 {
                return Ok(());
            }
        }
        self.rewrite_value(&field.kind, written)
    }

    fn rewrite_value(&mut self, kind: &'static Kind, written: &mut Vec<u8>) -> Result<(), Fault> {
        if let Some(bytes) = kind.fixed_bytes() {
            written.put_slice(self.cursor.take(bytes)?);
            return Ok(());
        }
        match kind {
            Kind::String => self.rewrite_string(written),
            Kind::Array(element) => {
                let width = LengthWidth::of_sequence(self.is_flexible);
                let count = self.cursor.read_length(width)?;
                put_length(written, width, count);
                for _ in 0..count.unwrap_or(0) {
                    self.rewrite_value(element, written)?;
                }
                Ok(())
            }
            Kind::Struct(fields) => self.rewrite_struct(fields, written),
            Kind::Bytes | Kind::Records => {
                let width = LengthWidth::of_sequence(self.is_flexible);
                let length = self.cursor.read_length(width)?;
                put_length(written, width, length);
                written.put_slice(self.cursor.take(length.unwrap_or(0))?);
                Ok(())
            }
            // These have a fixed size and were copied above.
            Kind::Bool | Kind::Int8 | Kind::Int16 | Kind::Uint16 | Kind::Int32 | Kind::Int64 => {
                Ok(())
            }
            Kind::Float64 | Kind::Uuid => Ok(()),
        }
    }

    fn rewrite_string(&mut self, written: &mut Vec<u8>) -> Result<(), Fault> {
        let width = LengthWidth::of_string(self.is_flexible);
        let Some(length) = self.cursor.read_length(width)? else {
            put_length(written, width, None);
            return Ok(());
        };
        let text = String::from_utf8_lossy(self.cursor.take(length)?);
        // Each bad byte becomes three: what was short enough may no longer be. Kafka would keep such a string in
        // memory, but could not write it to a log or to another broker either.
        if text.len() > STRING_BYTES_MAX {
            return Err(Fault::StringTooLong { length: text.len() });
        }
        put_length(written, width, Some(text.len()));
        written.put_slice(text.as_bytes());
        Ok(())
    }

    fn rewrite_tags(
        &mut self,
        fields: &'static [Field],
        written: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let mut known_count = 0;
        let mut known = Vec::new();
        for _ in 0..self.cursor.read_unsigned_varint()? {
            let tag = self.cursor.read_unsigned_varint()?;
            let size = self.cursor.read_unsigned_varint()?;
            let Some(field) = find_tagged(fields, tag, self.version) else {
                self.cursor.take(size as usize)?;
                continue;
            };
            let mut value = Vec::new();
            self.rewrite_field(field, &mut value)?;
            known_count += 1;
            put_unsigned_varint(&mut known, tag);
            put_unsigned_varint(&mut known, value.len() as u32);
            known.put_slice(&value);
        }
        put_unsigned_varint(written, known_count);
        written.put_slice(&known);
        Ok(())
    }
}

fn put_length(written: &mut Vec<u8>, width: LengthWidth, length: Option<usize>) {
    // Lengths come out of a frame or are bounded by STRING_BYTES_MAX, so that none is cut off here.
    match width {
        LengthWidth::Varint => {
            put_unsigned_varint(written, length.map_or(0, |length| length as u32 + 1))
        }
        LengthWidth::Int16 => written.put_i16(length.map_or(-1, |length| length as i16)),
        LengthWidth::Int32 => written.put_i32(length.map_or(-1, |length| length as i32)),
    }
}
