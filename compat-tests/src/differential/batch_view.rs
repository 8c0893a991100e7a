//! Fetched record sets as value trees, so that a difference names a field of a batch instead of a byte.

use std::collections::HashSet;

use super::compression::Codec;
use crate::schema::{Value, object};

/// Base offset, length, leader epoch, magic and CRC, then 40 bytes that the CRC covers before the records.
const HEADER_BYTES: usize = 61;
const LENGTH_OVERHEAD: usize = 12;
const CRC_END: usize = 21;

/// The record payloads that a sequence has sent, as they were on the wire.
pub type SentPayloads = HashSet<Vec<u8>>;

/// Remembers the payload of every whole batch in a record set.
pub fn remember_payloads(record_set: &[u8], sent: &mut SentPayloads) {
    let mut rest = record_set;
    while let Some((batch, behind)) = split_batch(rest) {
        sent.insert(batch[HEADER_BYTES..].to_vec());
        rest = behind;
    }
}

/// One object per batch. Records are shown decompressed, since two implementations of a codec make different bytes;
/// `verbatim` tells whether the bytes are exactly as a client has sent them, and only then are they counted.
///
/// The checksum is shown as right or wrong: it covers producer ids and times that the broker makes.
pub fn record_set_tree(record_set: &[u8], sent: &SentPayloads) -> Value {
    let mut batches = Vec::new();
    let mut rest = record_set;
    while let Some((batch, behind)) = split_batch(rest) {
        batches.push(batch_tree(batch, sent));
        rest = behind;
    }
    if !rest.is_empty() {
        batches.push(object([("partialBytes", (rest.len() as i64).into())]));
    }
    Value::Array(batches)
}

fn split_batch(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = i32::from_be_bytes(bytes.get(8..LENGTH_OVERHEAD)?.try_into().ok()?);
    let total = usize::try_from(length).ok()?.checked_add(LENGTH_OVERHEAD)?;
    if total < HEADER_BYTES {
        return None;
    }
    bytes.split_at_checked(total)
}

/// `batch` has at least the bytes of a header.
fn batch_tree(batch: &[u8], sent: &SentPayloads) -> Value {
    let number = |position: usize, width: usize| {
        let bytes = &batch[position..position + width];
        let sign = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
        Value::Integer(
            bytes
                .iter()
                .fold(sign, |number, byte| number << 8 | i64::from(*byte)),
        )
    };
    let attributes = i16::from_be_bytes([batch[21], batch[22]]);
    let payload = &batch[HEADER_BYTES..];
    let verbatim = sent.contains(payload);
    let records = Codec::of_attributes(attributes)
        .and_then(|codec| codec.decompress(payload).ok())
        .map_or_else(|| "<undecodable>".into(), Value::Bytes);
    let checksum = u32::from_be_bytes([batch[17], batch[18], batch[19], batch[20]]);
    object([
        ("baseOffset", number(0, 8)),
        (
            "bytes",
            if verbatim {
                Value::Integer(batch.len() as i64)
            } else {
                Value::Null
            },
        ),
        ("partitionLeaderEpoch", number(12, 4)),
        ("magic", number(16, 1)),
        (
            "checksumIsRight",
            (crc32c::crc32c(&batch[CRC_END..]) == checksum).into(),
        ),
        ("attributes", attributes.into()),
        ("lastOffsetDelta", number(23, 4)),
        ("baseTimestamp", number(27, 8)),
        ("maxTimestamp", number(35, 8)),
        ("producerId", number(43, 8)),
        ("producerEpoch", number(51, 2)),
        ("baseSequence", number(53, 4)),
        ("count", number(57, 4)),
        ("verbatim", verbatim.into()),
        ("payload", records),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::batch::{BatchTemplate, Record};
    use super::super::template::Variables;
    use super::*;

    /// Builds a batch with every codec and reads its fields back.
    #[test]
    fn a_built_batch_is_read_back_field_by_field() {
        for codec in Codec::ALL {
            let record = Record {
                attributes: 0,
                timestamp_delta: 5,
                offset_delta: 0,
                key: None,
                value: Some(b"value".to_vec()),
                headers: vec![(b"h".to_vec(), None)],
                length_error: 0,
            };
            let mut template = BatchTemplate::good(vec![record], 1_000, codec);
            template.producer_id = -2;
            let bytes = template.resolve(&Variables::default());
            let mut sent = SentPayloads::new();
            remember_payloads(&bytes, &mut sent);

            let tree = record_set_tree(&bytes, &sent);

            let field = |name: &str| tree.at(&format!("0.{name}")).cloned();
            assert_eq!(field("checksumIsRight"), Some(true.into()));
            assert_eq!(field("verbatim"), Some(true.into()));
            assert_eq!(field("maxTimestamp"), Some(1_005_i64.into()));
            assert_eq!(field("producerId"), Some((-2_i64).into()));
            assert_eq!(field("attributes"), Some((codec as i16).into()));
            let records = b"\x1c\x00\x0a\x00\x01\x0avalue\x02\x02h\x01".to_vec();
            assert_eq!(field("payload"), Some(records.into()));
        }
    }
}
