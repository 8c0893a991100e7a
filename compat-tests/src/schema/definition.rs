//! What a JSON schema says about one message.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value as Json;

use super::value::Value;

/// An inclusive range of versions; `NONE` holds no version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    pub first: i16,
    pub last: i16,
}

impl Versions {
    pub const NONE: Self = Self { first: 0, last: -1 };
    pub const ALL: Self = Self {
        first: 0,
        last: i16::MAX,
    };

    pub fn contains(self, version: i16) -> bool {
        (self.first..=self.last).contains(&version)
    }

    pub fn intersection(self, other: Self) -> Self {
        Self {
            first: self.first.max(other.first),
            last: self.last.min(other.last),
        }
    }

    pub fn is_empty(self) -> bool {
        self.first > self.last
    }

    /// Reads `"none"`, `"3"`, `"0-5"` and `"2+"`.
    fn parse(text: &str) -> Result<Self, SchemaError> {
        let number = |digits: &str| {
            digits
                .trim()
                .parse()
                .map_err(|_| SchemaError(format!("{text:?} is no version range")))
        };
        if text == "none" {
            return Ok(Self::NONE);
        }
        if let Some(first) = text.strip_suffix('+') {
            return Ok(Self {
                first: number(first)?,
                last: i16::MAX,
            });
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Ok(Self {
            first: number(first)?,
            last: number(last)?,
        })
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            f.write_str("none")
        } else if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// Whether a message goes to a broker or comes from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    Request,
    Response,
}

/// The type of a field or of an array's element.
#[derive(Debug, Clone)]
pub enum FieldType {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Float64,
    Uuid,
    String,
    /// `bytes` and `records`: the same on the wire.
    Bytes,
    Array(Box<FieldType>),
    Struct(Arc<Struct>),
}

impl FieldType {
    /// Zero, false, or nothing; a struct of its fields' defaults.
    pub fn empty(&self) -> Value {
        match self {
            Self::Bool => Value::Boolean(false),
            Self::Int8 | Self::Int16 | Self::Uint16 | Self::Int32 | Self::Uint32 | Self::Int64 => {
                Value::Integer(0)
            }
            Self::Float64 => Value::Float(0.0),
            Self::Uuid => Value::Uuid([0; 16]),
            Self::String => Value::Text(String::new()),
            Self::Bytes => Value::Bytes(Vec::new()),
            Self::Array(_) => Value::Array(Vec::new()),
            Self::Struct(definition) => Value::Object(
                definition
                    .fields
                    .iter()
                    .map(|field| (field.name.clone(), field.default.clone()))
                    .collect(),
            ),
        }
    }
}

/// One field of a struct.
#[derive(Debug, Clone)]
pub struct Field {
    /// In lower camel case, as Kafka's own JSON output names it.
    pub name: Arc<str>,
    pub field_type: FieldType,
    pub versions: Versions,
    pub nullable: Versions,
    /// The tag and the versions in which the field is a tagged one.
    pub tag: Option<(u32, Versions)>,
    /// The versions with compact lengths, where they differ from the message's.
    pub flexible: Option<Versions>,
    pub default: Value,
}

#[derive(Debug)]
pub struct Struct {
    pub name: String,
    pub fields: Vec<Field>,
}

/// One request, response or header.
#[derive(Debug)]
pub struct Message {
    pub name: String,
    pub api_key: Option<i16>,
    pub direction: Option<Direction>,
    pub versions: Versions,
    pub flexible: Versions,
    pub root: Arc<Struct>,
}

impl Message {
    pub fn is_flexible(&self, version: i16) -> bool {
        self.flexible.contains(version)
    }

    /// Reads a schema; comments are gone from the JSON already.
    pub(super) fn parse(json: &Json) -> Result<Self, SchemaError> {
        let name = text(json, "name")?.to_owned();
        let build = || {
            let shared = SharedStructs::parse(json)?;
            let fields = shared.fields(list(json, "fields"), &[])?;
            Ok(Self {
                api_key: json
                    .get("apiKey")
                    .and_then(Json::as_i64)
                    .and_then(|key| i16::try_from(key).ok()),
                direction: match text(json, "type")? {
                    "request" => Some(Direction::Request),
                    "response" => Some(Direction::Response),
                    _ => None,
                },
                versions: Versions::parse(text(json, "validVersions")?)?,
                // Messages that Kafka has removed are left without it.
                flexible: match json.get("flexibleVersions").and_then(Json::as_str) {
                    Some(versions) => Versions::parse(versions)?,
                    None => Versions::NONE,
                },
                root: Arc::new(Struct {
                    name: name.clone(),
                    fields,
                }),
                name: name.clone(),
            })
        };
        build().map_err(|error: SchemaError| SchemaError(format!("{name}: {error}")))
    }
}

/// A schema that this codec can't read.
#[derive(Debug)]
pub struct SchemaError(pub(super) String);

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SchemaError {}

/// Structs that fields name without defining them: `commonStructs`, and a struct defined by an earlier field.
struct SharedStructs<'a> {
    definitions: HashMap<&'a str, &'a [Json]>,
}

impl<'a> SharedStructs<'a> {
    fn parse(message: &'a Json) -> Result<Self, SchemaError> {
        let mut definitions = HashMap::new();
        for common in list(message, "commonStructs") {
            definitions.insert(text(common, "name")?, list(common, "fields"));
        }
        Ok(Self { definitions })
    }

    /// `outer` names the structs around these fields, to refuse a schema that contains itself.
    fn fields(&self, fields: &[Json], outer: &[&str]) -> Result<Vec<Field>, SchemaError> {
        fields.iter().map(|json| self.field(json, outer)).collect()
    }

    fn field(&self, json: &Json, outer: &[&str]) -> Result<Field, SchemaError> {
        let name = lower_camel_case(text(json, "name")?);
        let versions = |key: &str| {
            json.get(key)
                .and_then(Json::as_str)
                .map(Versions::parse)
                .transpose()
        };
        let field_type = self.field_type(text(json, "type")?, list(json, "fields"), outer)?;
        let nullable = versions("nullableVersions")?.unwrap_or(Versions::NONE);
        let tag = match json.get("tag").and_then(Json::as_u64) {
            Some(number) => {
                let number = u32::try_from(number)
                    .map_err(|_| SchemaError(format!("{name}: tag {number} is too large")))?;
                Some((
                    number,
                    versions("taggedVersions")?.unwrap_or(Versions::NONE),
                ))
            }
            None => None,
        };
        let default = default_value(&field_type, json.get("default"))
            .ok_or_else(|| SchemaError(format!("{name}: unreadable default")))?;
        Ok(Field {
            name: name.into(),
            field_type,
            versions: versions("versions")?
                .or(tag.map(|(_, tagged)| tagged))
                .unwrap_or(Versions::ALL),
            nullable,
            tag,
            flexible: versions("flexibleVersions")?,
            default,
        })
    }

    fn field_type(
        &self,
        type_name: &str,
        own_fields: &[Json],
        outer: &[&str],
    ) -> Result<FieldType, SchemaError> {
        if let Some(element) = type_name.strip_prefix("[]") {
            let element = self.field_type(element, own_fields, outer)?;
            return Ok(FieldType::Array(Box::new(element)));
        }
        Ok(match type_name {
            "bool" => FieldType::Bool,
            "int8" => FieldType::Int8,
            "int16" => FieldType::Int16,
            "uint16" => FieldType::Uint16,
            "int32" => FieldType::Int32,
            "uint32" => FieldType::Uint32,
            "int64" => FieldType::Int64,
            "float64" => FieldType::Float64,
            "uuid" => FieldType::Uuid,
            "string" => FieldType::String,
            "bytes" | "records" => FieldType::Bytes,
            name => {
                if outer.contains(&name) {
                    return Err(SchemaError(format!("struct {name} contains itself")));
                }
                let fields = match self.definitions.get(name) {
                    Some(fields) if own_fields.is_empty() => fields,
                    _ => own_fields,
                };
                let path: Vec<_> = outer.iter().copied().chain([name]).collect();
                FieldType::Struct(Arc::new(Struct {
                    name: name.to_owned(),
                    fields: self.fields(fields, &path)?,
                }))
            }
        })
    }
}

/// The value of a field that is absent, or that a request does not mention; `None` for one that can't be read.
fn default_value(field_type: &FieldType, json: Option<&Json>) -> Option<Value> {
    let text = match json {
        None => return Some(field_type.empty()),
        Some(Json::String(text)) => text.trim().to_owned(),
        Some(other) => other.to_string(),
    };
    if text == "null" {
        return Some(Value::Null);
    }
    if text.is_empty() {
        return Some(field_type.empty());
    }
    match field_type {
        FieldType::Bool => text.parse().ok().map(Value::Boolean),
        FieldType::Int8
        | FieldType::Int16
        | FieldType::Uint16
        | FieldType::Int32
        | FieldType::Uint32
        | FieldType::Int64 => match text.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        }
        .map(Value::Integer),
        FieldType::Float64 => text.parse().ok().map(Value::Float),
        FieldType::String => Some(Value::Text(text)),
        FieldType::Uuid | FieldType::Bytes | FieldType::Array(_) | FieldType::Struct(_) => None,
    }
}

fn lower_camel_case(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}

fn text<'a>(json: &'a Json, key: &str) -> Result<&'a str, SchemaError> {
    json.get(key)
        .and_then(Json::as_str)
        .ok_or_else(|| SchemaError(format!("{key} is missing")))
}

fn list<'a>(json: &'a Json, key: &str) -> &'a [Json] {
    json.get(key)
        .and_then(Json::as_array)
        .map_or(&[], Vec::as_slice)
}
