//! The shape of every request that a broker listener takes, as a table, and the walk of untrusted bytes against it.
//!
//! The table holds what Kafka's message schemas say: fields in wire order, the versions that have them, where null is
//! allowed, tags, and where the flexible encoding starts (KIP-482). It is made by `scripts/gen-shapes.py`; a test
//! compares it with the schemas. It also covers requests that the server does not serve.
//!
//! The walk exists because `kafka-protocol` trusts every declared array length and reserves memory for it at once.
//! [`check_request`] proves that each declared length fits the bytes that are there before the library sees them.

mod rewrite;
#[rustfmt::skip]
mod table;
mod walk;

pub(crate) use rewrite::rewrite_request;
pub use walk::{ELEMENTS_MAX, STRING_BYTES_MAX, Walked, check_request};

use crate::error::ShapeError;

/// The API key of ApiVersions, the one API with a header rule of its own.
const API_VERSIONS: i16 = 18;

/// One request API: its key, its versions and the fields of its body.
#[derive(Debug)]
pub struct Api {
    pub key: i16,
    /// The name in the schema without "Request", such as `ListOffsets`.
    pub name: &'static str,
    /// The versions that the schema has, an unstable last one included (InitProducerId 6).
    pub versions: Versions,
    /// The versions with compact lengths and tagged fields.
    pub flexible: Versions,
    pub fields: &'static [Field],
}

/// One field of a request or of a struct inside it.
#[derive(Debug)]
pub struct Field {
    pub name: &'static str,
    /// The versions whose bytes hold this field.
    pub versions: Versions,
    /// The versions at which it may be null.
    pub nullable: Versions,
    /// The tag, where the field is written in the tagged section instead of in order.
    pub tag: Option<u32>,
    pub kind: Kind,
}

/// How a value is written.
#[derive(Debug)]
pub enum Kind {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Int64,
    Float64,
    Uuid,
    String,
    Bytes,
    /// Record batches: on the wire the same as [`Kind::Bytes`].
    Records,
    Array(&'static Kind),
    Struct(&'static [Field]),
}

/// A range of versions, both ends included; empty when `first` is above `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    pub first: i16,
    pub last: i16,
}

/// Every API of the table, ordered by key.
pub fn apis() -> &'static [Api] {
    table::APIS
}

/// The row of an API key, or `None` for a key that a broker listener does not take.
pub fn find_api(api_key: i16) -> Option<&'static Api> {
    let index = table::APIS
        .binary_search_by_key(&api_key, |api| api.key)
        .ok()?;
    table::APIS.get(index)
}

/// The row of an API key that has this version.
pub(crate) fn find_version(api_key: i16, version: i16) -> Result<&'static Api, ShapeError> {
    let api = find_api(api_key).ok_or(ShapeError::UnknownApi { api_key })?;
    if !api.versions.contains(version) {
        return Err(ShapeError::UnsupportedVersion { api_key, version });
    }
    Ok(api)
}

impl Api {
    /// The version of the request header: 2 with tagged fields, 1 without. Holds for versions that the table does not
    /// have too, because the header of an ApiVersions request from the future must be readable (`ApiKeys.java`).
    pub fn request_header_version(&self, version: i16) -> i16 {
        if self.flexible.contains(version) {
            2
        } else {
            1
        }
    }

    /// The version of the response header: 1 with tagged fields, 0 without. ApiVersions always has 0, so that a client
    /// can read the answer before it knows which versions the broker speaks (KIP-511).
    pub fn response_header_version(&self, version: i16) -> i16 {
        if self.key != API_VERSIONS && self.flexible.contains(version) {
            1
        } else {
            0
        }
    }
}

impl Field {
    /// Allows null at these versions.
    const fn nullable(mut self, versions: Versions) -> Field {
        self.nullable = versions;
        self
    }
}

impl Kind {
    /// The bytes of a value whose size never varies.
    pub const fn fixed_bytes(&self) -> Option<usize> {
        match self {
            Kind::Bool | Kind::Int8 => Some(1),
            Kind::Int16 | Kind::Uint16 => Some(2),
            Kind::Int32 => Some(4),
            Kind::Int64 | Kind::Float64 => Some(8),
            Kind::Uuid => Some(16),
            Kind::String | Kind::Bytes | Kind::Records | Kind::Array(_) | Kind::Struct(_) => None,
        }
    }

    /// The fewest bytes that a value can take at a version. It is never zero.
    pub fn least_bytes(&self, version: i16, is_flexible: bool) -> usize {
        if let Some(bytes) = self.fixed_bytes() {
            return bytes;
        }
        match self {
            Kind::String if !is_flexible => 2,
            Kind::Bytes | Kind::Records | Kind::Array(_) if !is_flexible => 4,
            Kind::Struct(fields) => least_struct_bytes(fields, version, is_flexible),
            _ => 1,
        }
    }
}

impl Versions {
    pub const fn contains(&self, version: i16) -> bool {
        self.first <= version && version <= self.last
    }
}

fn least_struct_bytes(fields: &[Field], version: i16, is_flexible: bool) -> usize {
    let tag_count_bytes = usize::from(is_flexible);
    let in_order = fields
        .iter()
        .filter(|field| field.tag.is_none() && field.versions.contains(version));
    tag_count_bytes
        + in_order
            .map(|field| match field.kind {
                Kind::Struct(_) if field.nullable.contains(version) => 1,
                _ => field.kind.least_bytes(version, is_flexible),
            })
            .sum::<usize>()
}

// The words that the generated table is written in.

const fn field(name: &'static str, versions: Versions, kind: Kind) -> Field {
    Field {
        name,
        versions,
        nullable: never(),
        tag: None,
        kind,
    }
}

const fn tagged(tag: u32, name: &'static str, versions: Versions, kind: Kind) -> Field {
    Field {
        name,
        versions,
        nullable: never(),
        tag: Some(tag),
        kind,
    }
}

const fn array(element: &'static Kind) -> Kind {
    Kind::Array(element)
}

const fn structs(fields: &'static [Field]) -> Kind {
    Kind::Struct(fields)
}

const fn from(first: i16) -> Versions {
    Versions {
        first,
        last: i16::MAX,
    }
}

const fn to(last: i16) -> Versions {
    Versions { first: 0, last }
}

const fn within(first: i16, last: i16) -> Versions {
    Versions { first, last }
}

const fn never() -> Versions {
    Versions { first: 0, last: -1 }
}
