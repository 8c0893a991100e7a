//! Record batches for the load, and the fields of a batch's header.

use std::time::{SystemTime, UNIX_EPOCH};

use super::wire::{as_i32, fixed};

/// The fixed part of a version 2 batch.
pub const HEADER_BYTES: usize = 61;
/// Base offset and length, which the length does not count.
pub const LENGTH_OVERHEAD: usize = 12;
/// Where the part begins that the checksum covers.
const CHECKED_FROM: usize = 21;
const CRC_POSITION: usize = 17;
const LENGTH_POSITION: usize = 8;
const LAST_OFFSET_DELTA_POSITION: usize = 23;
const LAST_OFFSET_DELTA_END: usize = 27;

/// An uncompressed batch of records with a value of `value_bytes` and nothing else, all from now.
pub fn batch(records: usize, value_bytes: usize) -> Vec<u8> {
    batch_at(now_ms(), records, value_bytes)
}

pub fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.map_or(0, |elapsed| elapsed.as_millis() as i64)
}

/// The same with another timestamp, in milliseconds since 1970.
pub fn batch_at(timestamp_ms: i64, records: usize, value_bytes: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(0_i64.to_be_bytes()); // base offset
    bytes.extend([0; 4]); // length
    bytes.extend((-1_i32).to_be_bytes()); // partition leader epoch
    bytes.push(2); // magic
    bytes.extend([0; 4]); // checksum
    bytes.extend(0_i16.to_be_bytes()); // attributes
    bytes.extend(as_i32(records - 1).to_be_bytes()); // last offset delta
    bytes.extend(timestamp_ms.to_be_bytes()); // base timestamp
    bytes.extend(timestamp_ms.to_be_bytes()); // max timestamp
    bytes.extend((-1_i64).to_be_bytes()); // producer id
    bytes.extend((-1_i16).to_be_bytes()); // producer epoch
    bytes.extend((-1_i32).to_be_bytes()); // base sequence
    bytes.extend(as_i32(records).to_be_bytes());
    for index in 0..records {
        put_record(&mut bytes, index, value_bytes);
    }
    let length = as_i32(bytes.len() - LENGTH_OVERHEAD);
    bytes[LENGTH_POSITION..LENGTH_OVERHEAD].copy_from_slice(&length.to_be_bytes());
    put_checksum(&mut bytes);
    bytes
}

/// The bytes of the batch at the front, the fixed part included; `None` if not even its length is there.
pub fn total_bytes(bytes: &[u8]) -> Option<usize> {
    let length = i32::from_be_bytes(fixed(bytes.get(LENGTH_POSITION..LENGTH_OVERHEAD)?));
    Some(usize::try_from(length).ok()? + LENGTH_OVERHEAD)
}

pub fn base_offset(batch: &[u8]) -> i64 {
    i64::from_be_bytes(fixed(&batch[..LENGTH_POSITION]))
}

/// Gives the batch at the front its place in a log.
pub fn stamp(batch: &mut [u8], base_offset: i64) {
    batch[..LENGTH_POSITION].copy_from_slice(&base_offset.to_be_bytes());
}

/// Gives all records of the batch at the front another timestamp, and the checksum that goes with it; only for batches of
/// [`batch_at`].
pub fn set_timestamp(batch: &mut [u8], timestamp_ms: i64) {
    // Base and max; the records' own are relative to the base.
    let (base, max) = (LAST_OFFSET_DELTA_END, LAST_OFFSET_DELTA_END + 8);
    batch[base..max].copy_from_slice(&timestamp_ms.to_be_bytes());
    batch[max..max + 8].copy_from_slice(&timestamp_ms.to_be_bytes());
    put_checksum(batch);
}

fn put_checksum(batch: &mut [u8]) {
    let checksum = crc32c::crc32c(&batch[CHECKED_FROM..]);
    batch[CRC_POSITION..CHECKED_FROM].copy_from_slice(&checksum.to_be_bytes());
}

/// How many offsets the batch at the front takes; the caller has checked that its header is there.
pub fn offset_count(batch: &[u8]) -> i64 {
    let position = LAST_OFFSET_DELTA_POSITION..LAST_OFFSET_DELTA_END;
    i64::from(i32::from_be_bytes(fixed(&batch[position]))) + 1
}

/// True when the checksum of a whole batch holds: one pass over its bytes.
pub fn is_intact(batch: &[u8]) -> bool {
    let expected = u32::from_be_bytes(fixed(&batch[CRC_POSITION..CHECKED_FROM]));
    crc32c::crc32c(&batch[CHECKED_FROM..]) == expected
}

fn put_record(bytes: &mut Vec<u8>, index: usize, value_bytes: usize) {
    // Attributes and timestamp delta are 0; the key is null (-1 in zigzag is 1).
    let mut body = vec![0, 0];
    put_varint(&mut body, index);
    body.push(1);
    put_varint(&mut body, value_bytes);
    body.extend((0..value_bytes).map(|position| b'a' + ((index + position) % 26) as u8));
    body.push(0); // headers
    put_varint(bytes, body.len());
    bytes.extend(body);
}

/// A non-negative number in zigzag form, seven bits a byte, lowest first.
fn put_varint(bytes: &mut Vec<u8>, number: usize) {
    let mut rest = number << 1;
    while rest >= 0x80 {
        bytes.push(rest as u8 & 0x7f | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds a batch, reads its header back, and breaks one byte.
    #[test]
    fn a_built_batch_is_intact_until_a_byte_changes() {
        let mut bytes = batch(100, 100);
        assert_eq!(total_bytes(&bytes), Some(bytes.len()));
        assert_eq!(offset_count(&bytes), 100);
        assert!(is_intact(&bytes));
        bytes[HEADER_BYTES] ^= 1;
        assert!(!is_intact(&bytes));
    }

    #[test]
    fn a_batch_with_another_timestamp_is_as_if_built_with_it() {
        let mut bytes = batch_at(5, 3, 10);
        set_timestamp(&mut bytes, 7);
        assert_eq!(bytes, batch_at(7, 3, 10));
    }
}
