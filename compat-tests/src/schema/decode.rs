//! From the bytes of one message at one version to a value tree.

use std::fmt;
use std::sync::Arc;

use super::definition::{Field, FieldType, Message, Struct};
use super::value::{Value, object};
use super::wire::Reader;

/// The name under which tagged fields that the schema does not know are kept.
const UNKNOWN_TAGS: &str = "unknownTaggedFields";

/// Bytes that are not the message they should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    path: String,
    problem: String,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

impl std::error::Error for DecodeError {}

/// Decodes the body of a message (or a header) at `version` and returns the bytes behind it.
///
/// The tree has the fields of this version only; tagged fields that were not sent have their default.
pub fn decode<'a>(
    message: &Message,
    version: i16,
    bytes: &'a [u8],
) -> Result<(Value, &'a [u8]), DecodeError> {
    let mut decoder = Decoder {
        version,
        flexible: message.is_flexible(version),
        reader: Reader { rest: bytes },
    };
    match decoder.object(&message.root) {
        Ok(value) => Ok((value, decoder.reader.rest)),
        Err((path, problem)) => Err(DecodeError {
            path: format!("{} v{version}{path}", message.name),
            problem,
        }),
    }
}

type Failure = (String, String);

struct Decoder<'a> {
    version: i16,
    flexible: bool,
    reader: Reader<'a>,
}

impl Decoder<'_> {
    fn object(&mut self, definition: &Struct) -> Result<Value, Failure> {
        let mut fields: Vec<(Arc<str>, Value)> = Vec::new();
        for field in &definition.fields {
            if !field.versions.contains(self.version) {
                continue;
            }
            let is_tagged = field
                .tag
                .is_some_and(|(_, versions)| versions.contains(self.version));
            let value = if is_tagged {
                field.default.clone()
            } else {
                self.field(field)
                    .map_err(|failure| within(&field.name, failure))?
            };
            fields.push((field.name.clone(), value));
        }
        let mut value = Value::Object(fields);
        if self.flexible {
            let unknown = self.tagged_fields(definition, &mut value)?;
            if !unknown.is_empty() {
                value = value.with(UNKNOWN_TAGS, Value::Array(unknown));
            }
        }
        Ok(value)
    }

    /// Fills the tagged fields into `value` and returns those that the schema does not know.
    fn tagged_fields(
        &mut self,
        definition: &Struct,
        value: &mut Value,
    ) -> Result<Vec<Value>, Failure> {
        let count = self.reader.unsigned_varint().map_err(here)?;
        let mut unknown = Vec::new();
        let mut previous = None;
        for _ in 0..count {
            let tag = self.reader.unsigned_varint().map_err(here)?;
            if previous.is_some_and(|previous| previous >= tag) {
                return Err(here(format!("tag {tag} is repeated or out of order")));
            }
            previous = Some(tag);
            let size = self.reader.unsigned_varint().map_err(here)?;
            let bytes = self.reader.take(size as usize).map_err(here)?;
            let known = definition.fields.iter().find(|field| {
                field.tag.is_some_and(|(number, versions)| {
                    number == tag && versions.contains(self.version)
                })
            });
            let Some(field) = known else {
                unknown.push(object([
                    ("tag", i64::from(tag).into()),
                    ("bytes", bytes.to_vec().into()),
                ]));
                continue;
            };
            let mut inner = Decoder {
                version: self.version,
                flexible: self.flexible,
                reader: Reader { rest: bytes },
            };
            let decoded = inner
                .field(field)
                .map_err(|failure| within(&field.name, failure))?;
            if !inner.reader.rest.is_empty() {
                let left = inner.reader.rest.len();
                return Err(within(
                    &field.name,
                    here(format!("{left} bytes left over in tag {tag}")),
                ));
            }
            if let Some(slot) = value.field_mut(&field.name) {
                *slot = decoded;
            }
        }
        Ok(unknown)
    }

    fn field(&mut self, field: &Field) -> Result<Value, Failure> {
        let flexible = self.flexible;
        if let Some(versions) = field.flexible {
            self.flexible = versions.contains(self.version);
        }
        let outcome = self.typed(&field.field_type, field.nullable.contains(self.version));
        self.flexible = flexible;
        let value = outcome?;
        if value == Value::Null && !field.nullable.contains(self.version) {
            return Err(here("null where this version has none".to_owned()));
        }
        Ok(value)
    }

    fn typed(&mut self, field_type: &FieldType, nullable: bool) -> Result<Value, Failure> {
        let reader = &mut self.reader;
        let plain = match field_type {
            FieldType::Bool => reader.int8().map(|byte| Value::Boolean(byte != 0)),
            FieldType::Int8 => reader.int8().map(|number| Value::Integer(number.into())),
            FieldType::Int16 => reader.int16().map(|number| Value::Integer(number.into())),
            FieldType::Uint16 => reader
                .array()
                .map(|bytes| Value::Integer(u16::from_be_bytes(bytes).into())),
            FieldType::Int32 => reader.int32().map(|number| Value::Integer(number.into())),
            FieldType::Uint32 => reader
                .array()
                .map(|bytes| Value::Integer(u32::from_be_bytes(bytes).into())),
            FieldType::Int64 => reader.int64().map(Value::Integer),
            FieldType::Float64 => reader
                .array()
                .map(|bytes| Value::Float(f64::from_be_bytes(bytes))),
            FieldType::Uuid => reader.array().map(Value::Uuid),
            FieldType::String => return self.string(),
            FieldType::Bytes => {
                return Ok(match self.count()? {
                    None => Value::Null,
                    Some(count) => Value::Bytes(self.reader.take(count).map_err(here)?.to_vec()),
                });
            }
            FieldType::Array(element) => return self.elements(element),
            FieldType::Struct(definition) => {
                if nullable && self.reader.int8().map_err(here)? < 0 {
                    return Ok(Value::Null);
                }
                return self.object(definition);
            }
        };
        plain.map_err(here)
    }

    fn string(&mut self) -> Result<Value, Failure> {
        let length = if self.flexible {
            i64::from(self.reader.unsigned_varint().map_err(here)?) - 1
        } else {
            i64::from(self.reader.int16().map_err(here)?)
        };
        let Some(length) = checked_length(length)? else {
            return Ok(Value::Null);
        };
        let bytes = self.reader.take(length).map_err(here)?;
        let text = std::str::from_utf8(bytes)
            .map_err(|_| here(format!("{} is not UTF-8", Value::Bytes(bytes.to_vec()))))?;
        Ok(Value::Text(text.to_owned()))
    }

    fn elements(&mut self, element: &FieldType) -> Result<Value, Failure> {
        let Some(count) = self.count()? else {
            return Ok(Value::Null);
        };
        // An element has at least one byte, except an empty struct, which no schema has.
        if count > self.reader.rest.len() {
            return Err(here(format!(
                "{count} elements announced, {} bytes left",
                self.reader.rest.len()
            )));
        }
        let mut values = Vec::with_capacity(count);
        for index in 0..count {
            let value = self
                .typed(element, false)
                .map_err(|(path, problem)| (format!("[{index}]{path}"), problem))?;
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn count(&mut self) -> Result<Option<usize>, Failure> {
        let count = if self.flexible {
            i64::from(self.reader.unsigned_varint().map_err(here)?) - 1
        } else {
            i64::from(self.reader.int32().map_err(here)?)
        };
        checked_length(count)
    }
}

/// −1 means null; any other negative length is an error.
fn checked_length(length: i64) -> Result<Option<usize>, Failure> {
    match usize::try_from(length) {
        Ok(length) => Ok(Some(length)),
        Err(_) if length == -1 => Ok(None),
        Err(_) => Err(here(format!("length {length}"))),
    }
}

fn here(problem: String) -> Failure {
    (String::new(), problem)
}

fn within(name: &str, (path, problem): Failure) -> Failure {
    (format!(".{name}{path}"), problem)
}
