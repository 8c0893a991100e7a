//! A message as a tree, without its schema.

use std::fmt;
use std::sync::Arc;

/// One value of a message. All integer types share [`Value::Integer`]; the schema knows the width.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Uuid([u8; 16]),
    Text(String),
    Bytes(Vec<u8>),
    Array(Vec<Value>),
    /// Fields in schema order when decoded, in any order when encoded. Names are in lower camel case.
    Object(Vec<(Arc<str>, Value)>),
}

impl Value {
    /// The field of an object; `None` for a missing field and for anything that is no object.
    pub fn field(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Object(fields) => fields
                .iter()
                .find(|(field, _)| &**field == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    pub fn field_mut(&mut self, name: &str) -> Option<&mut Value> {
        match self {
            Self::Object(fields) => fields
                .iter_mut()
                .find(|(field, _)| &**field == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// The elements of an array; none for anything else, null included.
    pub fn elements(&self) -> &[Value] {
        match self {
            Self::Array(elements) => elements,
            _ => &[],
        }
    }

    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// True for a UUID whose upper half is zero; Kafka gives meanings to these.
    pub fn is_reserved_uuid(&self) -> bool {
        matches!(self, Self::Uuid(bytes) if bytes[..8] == [0; 8])
    }

    /// Follows a path of field names and decimal array indices: `topics.0.partitions.1.errorCode`.
    pub fn at(&self, path: &str) -> Option<&Value> {
        path.split('.')
            .try_fold(self, |value, step| match step.parse::<usize>() {
                Ok(index) => value.elements().get(index),
                Err(_) => value.field(step),
            })
    }

    /// Sets a field of an object, replacing one of the same name.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        match self.field_mut(name) {
            Some(old) => *old = value,
            None => {
                if let Self::Object(fields) = &mut self {
                    fields.push((name.into(), value));
                }
            }
        }
        self
    }
}

/// An object from names and values.
pub fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Object(
        fields
            .into_iter()
            .map(|(name, value)| (name.into(), value))
            .collect(),
    )
}

/// An array from anything that gives values.
pub fn array(elements: impl IntoIterator<Item = impl Into<Value>>) -> Value {
    Value::Array(elements.into_iter().map(Into::into).collect())
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<i16> for Value {
    fn from(value: i16) -> Self {
        Self::Integer(value.into())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<[u8; 16]> for Value {
    fn from(value: [u8; 16]) -> Self {
        Self::Uuid(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// How many bytes of a byte string are shown.
const SHOWN_BYTES: usize = 48;

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Uuid(bytes) => write!(f, "uuid:{}", hex(bytes)),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Bytes(bytes) if bytes.len() > SHOWN_BYTES => {
                write!(
                    f,
                    "{} bytes 0x{}..",
                    bytes.len(),
                    hex(&bytes[..SHOWN_BYTES])
                )
            }
            Self::Bytes(bytes) => write!(f, "0x{}", hex(bytes)),
            Self::Array(elements) => {
                f.write_str("[")?;
                for (index, element) in elements.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{element}")?;
                }
                f.write_str("]")
            }
            Self::Object(fields) => {
                f.write_str("{")?;
                for (index, (name, value)) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{name}: {value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
