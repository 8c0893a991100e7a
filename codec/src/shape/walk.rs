//! Walks untrusted bytes against the table, without allocating.
//!
//! What the walk accepts is what Kafka's generated readers accept, with these exceptions, all of which no client sends:
//! lengths below -1 (Kafka reads them as null), tags that repeat or do not ascend and tagged fields that do not fill
//! their size (KIP-482 forbids both, Kafka's readers do not look), presence bytes of 0 or above 1. They are refused
//! because two readers could take them for different things.
//! Like Kafka it ignores bytes after the end of the message, takes any byte but 0 as true, and lets strings pass that
//! are not UTF-8.

use super::{Api, Field, Kind, find_version};
use crate::cursor::{Cursor, LengthWidth};
use crate::error::{Fault, ShapeError};

/// The most bytes of one string, whatever its encoding could say. The generated readers of Kafka refuse more.
pub const STRING_BYTES_MAX: usize = 0x7fff;

/// The most array elements in one request, over all its arrays, nested ones included.
///
/// Bytes alone do not bound memory: a string of one byte on the wire takes 32 in memory, a member of four bytes takes
/// 120, so that a frame of 100 MiB could ask for more than 3 GB. No element takes more than 128 bytes (ACLs, SCRAM
/// credentials), so that with this limit a request decodes to some 200 MB at the very worst, allocation overhead
/// included, and a server can count what is in flight by [`Walked::elements`]. The largest honest requests, a Fetch or
/// OffsetFetch that names every partition of a large cluster, have a few 100,000 elements.
pub const ELEMENTS_MAX: usize = 1_000_000;

/// What the walk found out about a body of the right shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walked {
    /// The bytes that the message takes. More may follow in the body; Kafka ignores them.
    pub length_bytes: usize,
    /// The elements of all arrays.
    pub elements: usize,
    /// True when the library may see the bytes as they are: every string is UTF-8 and every tag is known.
    pub is_plain: bool,
}

/// Walks a request body. `Ok` means that each length in it fits the bytes that are there, so that a reader of the same
/// schema cannot run over the end nor reserve more than the elements that are there.
pub fn check_request(api_key: i16, version: i16, body: &[u8]) -> Result<Walked, ShapeError> {
    let api = find_version(api_key, version)?;
    let mut walker = Walker::new(api, version, body);
    let walked = walker.walk_struct(api.fields);
    let position = walker.cursor.position();
    match walked {
        Ok(()) => Ok(Walked {
            length_bytes: position,
            elements: walker.elements,
            is_plain: walker.is_plain,
        }),
        Err(fault) => Err(ShapeError::Malformed {
            field: walker.field,
            position,
            fault,
        }),
    }
}

struct Walker<'a> {
    cursor: Cursor<'a>,
    version: i16,
    is_flexible: bool,
    elements: usize,
    is_plain: bool,
    /// The field that is being read, for errors.
    field: &'static str,
}

impl<'a> Walker<'a> {
    fn new(api: &Api, version: i16, body: &'a [u8]) -> Self {
        Walker {
            cursor: Cursor::new(body),
            version,
            is_flexible: api.flexible.contains(version),
            elements: 0,
            is_plain: true,
            field: api.name,
        }
    }

    /// The recursion is over the static table, never over the bytes: its depth is that of the deepest schema.
    fn walk_struct(&mut self, fields: &'static [Field]) -> Result<(), Fault> {
        for field in fields {
            if field.tag.is_none() && field.versions.contains(self.version) {
                self.walk_field(field)?;
            }
        }
        if self.is_flexible {
            self.walk_tags(fields)
        } else {
            Ok(())
        }
    }

    fn walk_field(&mut self, field: &'static Field) -> Result<(), Fault> {
        self.field = field.name;
        let is_nullable = field.nullable.contains(self.version);
        if let Kind::Struct(fields) = &field.kind {
            if is_nullable && !self.is_struct_present()? {
                return Ok(());
            }
            return self.walk_struct(fields);
        }
        self.walk_value(&field.kind, is_nullable)
    }

    fn walk_value(&mut self, kind: &'static Kind, is_nullable: bool) -> Result<(), Fault> {
        if let Some(bytes) = kind.fixed_bytes() {
            return self.skip(bytes);
        }
        match kind {
            Kind::String => self.walk_string(is_nullable),
            Kind::Bytes | Kind::Records => {
                match self.read_length(LengthWidth::of_sequence(self.is_flexible), is_nullable)? {
                    Some(length) => self.skip(length),
                    None => Ok(()),
                }
            }
            Kind::Array(element) => self.walk_array(element, is_nullable),
            Kind::Struct(fields) => self.walk_struct(fields),
            // These have a fixed size and were skipped above.
            Kind::Bool | Kind::Int8 | Kind::Int16 | Kind::Uint16 | Kind::Int32 | Kind::Int64 => {
                Ok(())
            }
            Kind::Float64 | Kind::Uuid => Ok(()),
        }
    }

    fn walk_string(&mut self, is_nullable: bool) -> Result<(), Fault> {
        let Some(length) =
            self.read_length(LengthWidth::of_string(self.is_flexible), is_nullable)?
        else {
            return Ok(());
        };
        if length > STRING_BYTES_MAX {
            return Err(Fault::StringTooLong { length });
        }
        let text = self.cursor.take(length)?;
        self.is_plain &= std::str::from_utf8(text).is_ok();
        Ok(())
    }

    fn walk_array(&mut self, element: &'static Kind, is_nullable: bool) -> Result<(), Fault> {
        let Some(count) =
            self.read_length(LengthWidth::of_sequence(self.is_flexible), is_nullable)?
        else {
            return Ok(());
        };
        let remaining = self.cursor.remaining();
        if count > remaining / element.least_bytes(self.version, self.is_flexible) {
            return Err(Fault::ArrayTooLong { count, remaining });
        }
        // Both are bounded by the length of a slice, so that the sum cannot overflow.
        self.elements += count;
        if self.elements > ELEMENTS_MAX {
            return Err(Fault::TooManyElements {
                limit: ELEMENTS_MAX,
            });
        }
        if let Some(bytes) = element.fixed_bytes() {
            return self.skip(count * bytes);
        }
        for _ in 0..count {
            self.walk_value(element, false)?;
        }
        Ok(())
    }

    fn walk_tags(&mut self, fields: &'static [Field]) -> Result<(), Fault> {
        let count = self.read_varint()?;
        let mut least_tag = 0;
        for _ in 0..count {
            let tag = self.read_varint()?;
            if u64::from(tag) < least_tag {
                return Err(Fault::TagsNotAscending { tag });
            }
            least_tag = u64::from(tag) + 1;
            let declared = self.read_varint()? as usize;
            let start = self.cursor.position();
            match find_tagged(fields, tag, self.version) {
                Some(field) => self.walk_field(field)?,
                None => {
                    self.is_plain = false;
                    self.skip(declared)?;
                }
            }
            let actual = self.cursor.position() - start;
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

    /// Reads the byte before a struct that may be null: Kafka writes 1 and -1 (KIP-893).
    fn is_struct_present(&mut self) -> Result<bool, Fault> {
        match self.cursor.read_i8()? {
            1 => Ok(true),
            i8::MIN..=-1 => Ok(false),
            byte => Err(Fault::PresenceUnknown { byte }),
        }
    }

    fn read_length(
        &mut self,
        width: LengthWidth,
        is_nullable: bool,
    ) -> Result<Option<usize>, Fault> {
        let length = self.cursor.read_length(width)?;
        if length.is_none() && !is_nullable {
            return Err(Fault::NullNotAllowed);
        }
        Ok(length)
    }

    fn read_varint(&mut self) -> Result<u32, Fault> {
        self.cursor.read_unsigned_varint()
    }

    fn skip(&mut self, count: usize) -> Result<(), Fault> {
        self.cursor.take(count).map(|_| ())
    }
}

/// The field that a tag stands for at a version, if the schema has one.
pub(super) fn find_tagged(
    fields: &'static [Field],
    tag: u32,
    version: i16,
) -> Option<&'static Field> {
    fields
        .iter()
        .find(|field| field.tag == Some(tag) && field.versions.contains(version))
}
