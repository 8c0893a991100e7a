//! Request bodies made from the shape table: valid bytes for every API and version.

use std::ops::RangeInclusive;

use bytes::Bytes;
use klamm_codec::{Api, Field, Kind, find_api};

use crate::random::Random;

/// What a body is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Anything that the schema allows.
    Any,
    /// The same with tagged fields that no schema knows.
    WithUnknownTags,
    /// Nothing is null, every known tag is there, and every array has one element.
    Full,
}

/// A body and the places where its arrays begin.
#[derive(Debug)]
pub struct Body {
    pub bytes: Vec<u8>,
    pub arrays: Vec<ArrayPlace>,
}

/// Where the length of an array is, and how many bytes it takes.
#[derive(Debug, Clone, Copy)]
pub struct ArrayPlace {
    pub field: &'static str,
    pub position: usize,
    pub length_bytes: usize,
}

/// Every API of the table at each of its versions.
pub fn every_version() -> impl Iterator<Item = (&'static Api, i16)> {
    klamm_codec::apis()
        .iter()
        .flat_map(|api| (api.versions.first..=api.versions.last).map(move |version| (api, version)))
}

/// How many random bodies of each version a decoder is compared with the library on.
const COMPARED_ROUNDS: u64 = 200;

/// Hands over random bodies of an API at each version, about half of them with tagged fields that no schema knows, and what
/// names the case in a failure.
pub fn for_random_bodies(
    api_key: i16,
    versions: RangeInclusive<i16>,
    seed: u64,
    mut check: impl FnMut(i16, Bytes, &str),
) {
    let api = find_api(api_key).expect("the API has a row");
    for version in versions {
        for round in 0..COMPARED_ROUNDS {
            let mut random = Random::of_case(seed, api_key, version, round);
            let style = if random.one_in(2) {
                Style::Any
            } else {
                Style::WithUnknownTags
            };
            let body = Bytes::from(random_body(api, version, style, &mut random).bytes);
            let case = format!("version {version} seed {seed:#x} round {round}");
            check(version, body, &case);
        }
    }
}

/// Makes a body. With the same generator, `Style::WithUnknownTags` makes the body of `Style::Any` and adds the tags.
pub fn random_body(api: &'static Api, version: i16, style: Style, random: &mut Random) -> Body {
    let tags = Random::new(random.next());
    let is_flexible = api.flexible.contains(version);
    let mut maker = Maker {
        version,
        is_flexible,
        style,
        random,
        tags,
        arrays: Vec::new(),
    };
    let mut bytes = Vec::new();
    maker.put_struct(api.fields, &mut bytes);
    Body {
        bytes,
        arrays: maker.arrays,
    }
}

struct Maker<'a> {
    version: i16,
    is_flexible: bool,
    style: Style,
    random: &'a mut Random,
    /// Decides on unknown tags, so that they do not change the rest of the body.
    tags: Random,
    arrays: Vec<ArrayPlace>,
}

impl Maker<'_> {
    fn put_struct(&mut self, fields: &'static [Field], bytes: &mut Vec<u8>) {
        for field in fields {
            if field.tag.is_none() && field.versions.contains(self.version) {
                self.put_field(field, bytes);
            }
        }
        if self.is_flexible {
            self.put_tags(fields, bytes);
        }
    }

    fn put_field(&mut self, field: &'static Field, bytes: &mut Vec<u8>) {
        let is_nullable = field.nullable.contains(self.version) && field.tag.is_none();
        let is_null = is_nullable && self.style != Style::Full && self.random.one_in(4);
        if let (Kind::Struct(_), true) = (&field.kind, field.nullable.contains(self.version)) {
            bytes.push(if is_null { 0xff } else { 1 });
        } else if is_null {
            return self.put_null(&field.kind, bytes);
        }
        if !is_null {
            self.put_value(field.name, &field.kind, bytes);
        }
    }

    fn put_null(&mut self, kind: &Kind, bytes: &mut Vec<u8>) {
        let null: &[u8] = match kind {
            _ if self.is_flexible => &[0],
            Kind::String => &[0xff; 2],
            _ => &[0xff; 4],
        };
        bytes.extend_from_slice(null);
    }

    fn put_value(&mut self, name: &'static str, kind: &'static Kind, bytes: &mut Vec<u8>) {
        match kind {
            Kind::Bool => bytes.push(self.random.below(2) as u8),
            Kind::Int8 => bytes.extend(self.random.bytes(1)),
            Kind::Int16 | Kind::Uint16 => bytes.extend(self.random.bytes(2)),
            Kind::Int32 => bytes.extend(self.random.bytes(4)),
            Kind::Int64 | Kind::Float64 => bytes.extend(self.random.bytes(8)),
            Kind::Uuid => bytes.extend(self.random.bytes(16)),
            Kind::String => {
                let text = self.random.text(8);
                if self.is_flexible {
                    put_varint(bytes, text.len() as u32 + 1);
                } else {
                    bytes.extend((text.len() as i16).to_be_bytes());
                }
                bytes.extend(text.as_bytes());
            }
            Kind::Bytes | Kind::Records => {
                let length = self.random.below(200);
                self.put_length(length, bytes);
                bytes.extend(self.random.bytes(length));
            }
            Kind::Array(element) => {
                let count = if self.style == Style::Full {
                    1
                } else {
                    self.random.below(4)
                };
                let position = bytes.len();
                self.put_length(count, bytes);
                self.arrays.push(ArrayPlace {
                    field: name,
                    position,
                    length_bytes: bytes.len() - position,
                });
                for _ in 0..count {
                    self.put_value(name, element, bytes);
                }
            }
            Kind::Struct(fields) => self.put_struct(fields, bytes),
        }
    }

    fn put_tags(&mut self, fields: &'static [Field], bytes: &mut Vec<u8>) {
        let mut tagged = Vec::new();
        for field in fields {
            let Some(tag) = field.tag.filter(|_| field.versions.contains(self.version)) else {
                continue;
            };
            if self.style == Style::Full || !self.random.one_in(3) {
                let places = self.arrays.len();
                let mut value = Vec::new();
                self.put_field(field, &mut value);
                assert_eq!(
                    places,
                    self.arrays.len(),
                    "places of arrays in tagged fields are not kept"
                );
                tagged.push((tag, value));
            }
        }
        if self.style == Style::WithUnknownTags {
            let mut tag = 100;
            for _ in 0..self.tags.below(3) {
                tag += 1 + self.tags.below(1_000_000) as u32;
                let length = self.tags.below(200);
                tagged.push((tag, self.tags.bytes(length)));
            }
        }
        put_varint(bytes, tagged.len() as u32);
        for (tag, value) in tagged {
            put_varint(bytes, tag);
            put_varint(bytes, value.len() as u32);
            bytes.extend(value);
        }
    }

    fn put_length(&self, length: usize, bytes: &mut Vec<u8>) {
        if self.is_flexible {
            put_varint(bytes, length as u32 + 1);
        } else {
            bytes.extend((length as i32).to_be_bytes());
        }
    }
}

pub fn put_varint(bytes: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
