//! Random trees that fit a schema, for the codec's own tests.

use rand::Rng;

use super::definition::{FieldType, Message, Struct};
use super::value::Value;

/// A tree with exactly the fields of `version`, as decoding gives it.
pub(super) fn random_message(message: &Message, version: i16, random: &mut impl Rng) -> Value {
    random_object(&message.root, version, random)
}

fn random_object(definition: &Struct, version: i16, random: &mut impl Rng) -> Value {
    Value::Object(
        definition
            .fields
            .iter()
            .filter(|field| field.versions.contains(version))
            .map(|field| {
                let is_tagged = field
                    .tag
                    .is_some_and(|(_, versions)| versions.contains(version));
                let value = if is_tagged && random.random_bool(0.5) {
                    field.default.clone()
                } else if field.nullable.contains(version) && random.random_bool(0.3) {
                    Value::Null
                } else {
                    random_value(&field.field_type, version, random)
                };
                (field.name.clone(), value)
            })
            .collect(),
    )
}

fn random_value(field_type: &FieldType, version: i16, random: &mut impl Rng) -> Value {
    match field_type {
        FieldType::Bool => Value::Boolean(random.random()),
        FieldType::Int8 => Value::Integer(random.random::<i8>().into()),
        FieldType::Int16 => Value::Integer(random.random::<i16>().into()),
        FieldType::Uint16 => Value::Integer(random.random::<u16>().into()),
        FieldType::Int32 => Value::Integer(random.random::<i32>().into()),
        FieldType::Uint32 => Value::Integer(random.random::<u32>().into()),
        FieldType::Int64 => Value::Integer(random.random()),
        FieldType::Float64 => Value::Float(random.random()),
        FieldType::Uuid => Value::Uuid(random.random()),
        FieldType::String => Value::Text("ä".repeat(random.random_range(0..90))),
        FieldType::Bytes => Value::Bytes(vec![7; random.random_range(0..200)]),
        FieldType::Array(element) => Value::Array(
            (0..random.random_range(0..4))
                .map(|_| random_value(element, version, random))
                .collect(),
        ),
        FieldType::Struct(definition) => random_object(definition, version, random),
    }
}
