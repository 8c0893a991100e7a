//! Reads the fields of a message out of untrusted bytes without copying them.

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::cursor::{Cursor, LengthWidth};
use crate::error::Fault;
use crate::header::skip_tagged_fields;
use crate::shape::{ELEMENTS_MAX, STRING_BYTES_MAX};
use crate::text::decode_text;

/// A position in a message. Strings and bytes that are read share the memory of the source.
pub(crate) struct Reader<'a> {
    source: &'a Bytes,
    cursor: Cursor<'a>,
    is_flexible: bool,
    elements: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(source: &'a Bytes, is_flexible: bool) -> Self {
        Reader {
            source,
            cursor: Cursor::new(source),
            is_flexible,
            elements: 0,
        }
    }

    pub(crate) fn position(&self) -> usize {
        self.cursor.position()
    }

    pub(crate) fn read_bool(&mut self) -> Result<bool, Fault> {
        Ok(self.cursor.read_i8()? != 0)
    }

    pub(crate) fn read_i8(&mut self) -> Result<i8, Fault> {
        self.cursor.read_i8()
    }

    pub(crate) fn read_i16(&mut self) -> Result<i16, Fault> {
        self.cursor.read_i16()
    }

    pub(crate) fn read_i32(&mut self) -> Result<i32, Fault> {
        self.cursor.read_i32()
    }

    pub(crate) fn read_i64(&mut self) -> Result<i64, Fault> {
        self.cursor.read_i64()
    }

    pub(crate) fn read_uuid(&mut self) -> Result<Uuid, Fault> {
        self.cursor.read_uuid().map(Uuid::from_bytes)
    }

    pub(crate) fn read_text(&mut self) -> Result<StrBytes, Fault> {
        self.read_nullable_text()?.ok_or(Fault::NullNotAllowed)
    }

    pub(crate) fn read_nullable_text(&mut self) -> Result<Option<StrBytes>, Fault> {
        let Some(length) = self
            .cursor
            .read_length(LengthWidth::of_string(self.is_flexible))?
        else {
            return Ok(None);
        };
        if length > STRING_BYTES_MAX {
            return Err(Fault::StringTooLong { length });
        }
        Ok(Some(decode_text(self.source, self.cursor.take(length)?)))
    }

    pub(crate) fn read_nullable_bytes(&mut self) -> Result<Option<Bytes>, Fault> {
        match self
            .cursor
            .read_length(LengthWidth::of_sequence(self.is_flexible))?
        {
            Some(length) => Ok(Some(self.source.slice_ref(self.cursor.take(length)?))),
            None => Ok(None),
        }
    }

    /// Reads an array whose elements take at least `least_bytes` each. Nothing is reserved for elements that cannot be
    /// there, and all arrays of one message together have at most [`ELEMENTS_MAX`] elements.
    pub(crate) fn read_array<T>(
        &mut self,
        least_bytes: usize,
        read_element: impl FnMut(&mut Self) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        self.read_nullable_array(least_bytes, read_element)?
            .ok_or(Fault::NullNotAllowed)
    }

    /// The same for an array that may be null.
    pub(crate) fn read_nullable_array<T>(
        &mut self,
        least_bytes: usize,
        mut read_element: impl FnMut(&mut Self) -> Result<T, Fault>,
    ) -> Result<Option<Vec<T>>, Fault> {
        let Some(count) = self
            .cursor
            .read_length(LengthWidth::of_sequence(self.is_flexible))?
        else {
            return Ok(None);
        };
        let remaining = self.cursor.remaining();
        if count > remaining / least_bytes {
            return Err(Fault::ArrayTooLong { count, remaining });
        }
        self.elements += count;
        if self.elements > ELEMENTS_MAX {
            return Err(Fault::TooManyElements {
                limit: ELEMENTS_MAX,
            });
        }
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(read_element(self)?);
        }
        Ok(Some(elements))
    }

    /// Ends a struct of which the caller knows tagged fields: `read_tagged` reads the one with a tag, or says that it does
    /// not know it, without having read anything.
    pub(crate) fn end_struct_with(
        &mut self,
        mut read_tagged: impl FnMut(&mut Self, u32) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        if !self.is_flexible {
            return Ok(());
        }
        let count = self.cursor.read_unsigned_varint()?;
        let mut least_tag = 0;
        for _ in 0..count {
            let tag = self.cursor.read_unsigned_varint()?;
            if u64::from(tag) < least_tag {
                return Err(Fault::TagsNotAscending { tag });
            }
            least_tag = u64::from(tag) + 1;
            let declared = self.cursor.read_unsigned_varint()? as usize;
            let start = self.position();
            if !read_tagged(self, tag)? {
                self.cursor.take(declared)?;
            }
            let actual = self.position() - start;
            if actual != declared {
                return Err(Fault::TagSizeWrong {
                    tag,
                    declared,
                    actual,
                });
            }
        }
        Ok(())
    }

    /// Ends a struct: skips its tagged fields, of which the caller knows none.
    pub(crate) fn end_struct(&mut self) -> Result<(), Fault> {
        if self.is_flexible {
            skip_tagged_fields(&mut self.cursor)
        } else {
            Ok(())
        }
    }
}
