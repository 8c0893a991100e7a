//! From a value tree to the bytes of one message at one version.

use std::fmt;

use super::definition::{Field, FieldType, Message, Struct};
use super::value::Value;
use super::wire::put_unsigned_varint;

/// A tree that does not fit its schema: a mistake of whoever built the tree.
#[derive(Debug)]
pub struct EncodeError {
    path: String,
    problem: String,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

impl std::error::Error for EncodeError {}

/// Encodes the body of a message (or a header) at `version`.
///
/// Fields that the tree lacks take their default, fields that the version lacks are left out, and a field that no
/// version has is an error. Null where this version has no null takes the type's empty value, so that one tree serves
/// every version. Tagged fields are written only when they differ from their default, as Kafka does.
pub fn encode(message: &Message, version: i16, value: &Value) -> Result<Vec<u8>, EncodeError> {
    let mut encoder = Encoder {
        version,
        flexible: message.is_flexible(version),
        out: Vec::new(),
    };
    encoder
        .object(&message.root, value)
        .map_err(|(path, problem)| EncodeError {
            path: format!("{} v{version}{path}", message.name),
            problem,
        })?;
    Ok(encoder.out)
}

/// The path from the message to the failing field, and what is wrong.
type Failure = (String, String);

struct Encoder {
    version: i16,
    flexible: bool,
    out: Vec<u8>,
}

impl Encoder {
    fn object(&mut self, definition: &Struct, value: &Value) -> Result<(), Failure> {
        let Value::Object(given) = value else {
            return Err(mismatch("an object", value));
        };
        for (name, _) in given {
            if !definition.fields.iter().any(|field| field.name == *name) {
                return Err((format!(".{name}"), "no version has this field".to_owned()));
            }
        }
        let mut tagged = Vec::new();
        for field in &definition.fields {
            if !field.versions.contains(self.version) {
                continue;
            }
            let value = value.field(&field.name).unwrap_or(&field.default);
            match field.tag {
                Some((tag, versions)) if versions.contains(self.version) => {
                    if *value != field.default {
                        tagged.push((tag, field, value));
                    }
                }
                _ => self
                    .field(field, value)
                    .map_err(|failure| within(&field.name, failure))?,
            }
        }
        if self.flexible {
            tagged.sort_by_key(|(tag, ..)| *tag);
            self.put_length(tagged.len())?;
            for (tag, field, value) in tagged {
                self.tagged_field(tag, field, value)
                    .map_err(|failure| within(&field.name, failure))?;
            }
        }
        Ok(())
    }

    fn tagged_field(&mut self, tag: u32, field: &Field, value: &Value) -> Result<(), Failure> {
        let mut inner = Self {
            version: self.version,
            flexible: self.flexible,
            out: Vec::new(),
        };
        inner.field(field, value)?;
        put_unsigned_varint(&mut self.out, tag);
        self.put_length(inner.out.len())?;
        self.out.extend(inner.out);
        Ok(())
    }

    fn field(&mut self, field: &Field, value: &Value) -> Result<(), Failure> {
        let nullable = field.nullable.contains(self.version);
        let empty;
        let value = if *value == Value::Null && !nullable {
            empty = field.field_type.empty();
            &empty
        } else {
            value
        };
        let flexible = self.flexible;
        if let Some(versions) = field.flexible {
            self.flexible = versions.contains(self.version);
        }
        let outcome = self.typed(&field.field_type, nullable, value);
        self.flexible = flexible;
        outcome
    }

    fn typed(
        &mut self,
        field_type: &FieldType,
        nullable: bool,
        value: &Value,
    ) -> Result<(), Failure> {
        match (field_type, value) {
            (FieldType::Bool, Value::Boolean(value)) => self.out.push(u8::from(*value)),
            (FieldType::Int8, Value::Integer(number)) => {
                self.put(narrow::<i8>(*number)?.to_be_bytes())
            }
            (FieldType::Int16, Value::Integer(number)) => {
                self.put(narrow::<i16>(*number)?.to_be_bytes())
            }
            (FieldType::Uint16, Value::Integer(number)) => {
                self.put(narrow::<u16>(*number)?.to_be_bytes())
            }
            (FieldType::Int32, Value::Integer(number)) => {
                self.put(narrow::<i32>(*number)?.to_be_bytes())
            }
            (FieldType::Uint32, Value::Integer(number)) => {
                self.put(narrow::<u32>(*number)?.to_be_bytes())
            }
            (FieldType::Int64, Value::Integer(number)) => self.put(number.to_be_bytes()),
            (FieldType::Float64, Value::Float(number)) => self.put(number.to_be_bytes()),
            (FieldType::Uuid, Value::Uuid(bytes)) => self.put(*bytes),
            (FieldType::String, Value::Text(text)) => {
                if self.flexible {
                    self.put_length(text.len() + 1)?;
                } else {
                    self.put(narrow::<i16>(text.len() as i64)?.to_be_bytes());
                }
                self.out.extend(text.as_bytes());
            }
            (FieldType::Bytes, Value::Bytes(bytes)) => {
                self.put_count(bytes.len())?;
                self.out.extend(bytes);
            }
            (FieldType::Array(element), Value::Array(values)) => {
                self.put_count(values.len())?;
                for (index, value) in values.iter().enumerate() {
                    self.typed(element, false, value)
                        .map_err(|(path, problem)| (format!("[{index}]{path}"), problem))?;
                }
            }
            (FieldType::Struct(definition), Value::Object(_)) => {
                if nullable {
                    self.put([1]);
                }
                self.object(definition, value)?;
            }
            (FieldType::Struct(_), Value::Null) if nullable => self.put([0xff]),
            (FieldType::String, Value::Null) if nullable && !self.flexible => self.put([0xff; 2]),
            (FieldType::Bytes | FieldType::Array(_), Value::Null) if nullable && !self.flexible => {
                self.put([0xff; 4]);
            }
            (FieldType::String | FieldType::Bytes | FieldType::Array(_), Value::Null)
                if nullable =>
            {
                self.put([0]);
            }
            (expected, value) => return Err(mismatch(&format!("{expected:?}"), value)),
        }
        Ok(())
    }

    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.out.extend(bytes);
    }

    /// The length of an array or byte string: compact (plus one) in flexible versions.
    fn put_count(&mut self, count: usize) -> Result<(), Failure> {
        if self.flexible {
            self.put_length(count + 1)
        } else {
            self.put(narrow::<i32>(count as i64)?.to_be_bytes());
            Ok(())
        }
    }

    fn put_length(&mut self, length: usize) -> Result<(), Failure> {
        put_unsigned_varint(&mut self.out, narrow(length as i64)?);
        Ok(())
    }
}

fn narrow<T: TryFrom<i64>>(number: i64) -> Result<T, Failure> {
    T::try_from(number).map_err(|_| {
        let width = std::any::type_name::<T>();
        (String::new(), format!("{number} does not fit into {width}"))
    })
}

fn mismatch(expected: &str, found: &Value) -> Failure {
    (String::new(), format!("expected {expected}, found {found}"))
}

fn within(name: &str, (path, problem): Failure) -> Failure {
    (format!(".{name}{path}"), problem)
}
