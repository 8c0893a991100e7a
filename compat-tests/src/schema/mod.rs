//! A codec for every Kafka message at every version, driven at run time by the JSON schemas in Kafka's own jar.
//!
//! It shares no line with the codec of the server, so the two can't agree on the same mistake.
//!
//! [`Schemas`] reads the schemas, [`encode`] and [`decode`] translate between a [`Value`] tree and bytes.

mod decode;
mod definition;
mod encode;
mod jar;
#[cfg(test)]
mod random;
mod value;
mod wire;

pub use decode::{DecodeError, decode};
pub use definition::{Direction, Field, FieldType, Message, SchemaError, Struct, Versions};
pub use encode::{EncodeError, encode};
pub use jar::Schemas;
pub use value::{Value, array, object};
