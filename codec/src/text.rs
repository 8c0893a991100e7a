//! Strings as Kafka reads them.

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;

/// Reads a string the way Kafka does (`Readable.readString`): bytes that are not UTF-8 become U+FFFD instead of an
/// error. Valid UTF-8, which is everything real clients send, is not copied. `text` is a part of `source`.
///
/// Java and Rust agree on how many U+FFFD a run of bad bytes becomes, except for a UTF-16 surrogate that was encoded by
/// itself: Java makes one of its three bytes, Rust three.
pub(crate) fn decode_text(source: &Bytes, text: &[u8]) -> StrBytes {
    match StrBytes::from_utf8(source.slice_ref(text)) {
        Ok(text) => text,
        Err(_) => StrBytes::from_string(String::from_utf8_lossy(text).into_owned()),
    }
}
